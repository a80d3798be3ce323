"""Cargo's version requirements; where semantic_version's npm-free rules agree, it is the oracle."""

from __future__ import annotations

import pytest
import semantic_version
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.ranges import COMPARATORS_MAX, REQUIREMENT_MAX, Requirement

TABLE = [
    ("1.2.3", "1.2.3 1.2.4 1.9.0 1.2.3+build", "1.2.2 2.0.0 0.9.9 1.3.0-a 2.0.0-a"),
    ("^1.2.3", "1.2.3 1.99.0", "1.2.2 2.0.0"),
    ("^0.2.3", "0.2.3 0.2.99", "0.3.0 0.2.2 1.0.0"),
    ("^0.0.3", "0.0.3", "0.0.4 0.0.2 0.1.0"),
    ("^1.2", "1.2.0 1.3.0", "1.1.9 2.0.0"),
    ("^0.0", "0.0.0 0.0.9", "0.1.0"),
    ("^0", "0.0.0 0.9.9", "1.0.0"),
    ("^1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
    ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
    ("~1.2", "1.2.0 1.2.9", "1.3.0"),
    ("~1", "1.0.0 1.9.9", "2.0.0"),
    (">=1.0, <3.0", "1.0.0 2.9.9", "3.0.0 0.9.9 3.0.0-a"),
    (">=1.0", "1.0.0 99.0.0", "0.9.9 1.0.0-a"),
    (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9"),
    (">1.2.3", "1.2.4", "1.2.3"),
    ("<=1.2", "1.2.9 0.0.1", "1.3.0"),
    ("<=1.2.3", "1.2.3", "1.2.4"),
    ("<1.2", "1.1.9", "1.2.0"),
    ("=1.2.3", "1.2.3 1.2.3+x", "1.2.4 1.2.2"),
    ("=1.2", "1.2.0 1.2.9", "1.3.0"),
    ("*", "0.0.0 99.9.9", "1.0.0-a"),
    ("1.*", "1.0.0 1.9.9", "2.0.0"),
    ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
    ("1.x.X", "1.0.0", "2.0.0"),
    ("^1.1.0-beta.1", "1.1.0-beta.1 1.1.0-beta.2 1.1.0-rc.1 1.1.0 1.2.0", "1.1.0-alpha.9 1.2.0-beta.1 2.0.0"),
    ("=1.0.0-rc.1", "1.0.0-rc.1", "1.0.0 1.0.0-rc.2"),
    (">=1.0.0-a, <1.0.0", "1.0.0-a 1.0.0-z", "1.0.0"),
    (" ^ 1.2 ,  < 1.5 ", "1.2.0 1.4.9", "1.5.0"),
]


@pytest.mark.parametrize(("text", "yes", "no"), TABLE)
def test_table(text, yes, no):
    requirement = Requirement.parse(text)
    assert str(requirement) == text
    assert [version for version in yes.split() if not requirement.matches(version)] == []
    assert [version for version in no.split() if requirement.matches(version)] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "1,",
        "a",
        "1.2.3.4",
        "^^1",
        "=>1",
        "1.*.3",
        "*.1",
        "01.2.3",
        "1.2-a",
        "1.2.3-",
        "1.2.3-a..b",
        "1.2.3-01",
        ">=",
        "v1",
        "1 2",
        "1.2.3 || 2",
        "-1",
        "٣",
        "*, 1",
        "1." + "9" * 30,
    ],
)
def test_refused(text):
    with pytest.raises(FormatError):
        Requirement.parse(text)


def test_limits():
    assert Requirement.parse(",".join([">=1"] * COMPARATORS_MAX)).matches("1.0.0")
    with pytest.raises(FormatError, match="comparators"):
        Requirement.parse(",".join([">=1"] * (COMPARATORS_MAX + 1)))
    with pytest.raises(FormatError, match="characters"):
        Requirement.parse("1" + " " * REQUIREMENT_MAX)
    with pytest.raises(ValueError, match="not a version"):
        Requirement.parse("*").matches("1.2")


NUMBER = st.integers(0, 3)
FULL = st.tuples(NUMBER, NUMBER, NUMBER).map(lambda parts: ".".join(map(str, parts)))


@given(st.lists(st.tuples(st.sampled_from(["^", "~", ">=", ">", "<", "<="]), FULL), min_size=1, max_size=3), FULL)
def test_full_release_comparators_agree_with_semantic_version(comparators, version):
    text = ",".join(operator + bound for operator, bound in comparators)
    oracle = semantic_version.NpmSpec(" ".join(operator + bound for operator, bound in comparators))
    assert Requirement.parse(text).matches(version) == (semantic_version.Version(version) in oracle)


@given(st.text(alphabet="^~=<>.,*x-+ab019 ", max_size=20))
def test_any_text_is_a_requirement_or_a_format_error(text):
    try:
        Requirement.parse(text).matches("1.2.3")
    except FormatError:
        pass
