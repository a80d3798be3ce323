"""Which releases are news: a table, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import PackageId, PackageRef, version_key
from icworkshop_gui.engine.following import NEWS_MAX, news

MAP = PackageId("alice", "map")


@pytest.mark.parametrize(
    ("found", "known", "here", "expected"),
    [
        ("1.1.0", "1.0.0", "", "1.1.0"),
        ("1.0.0", "1.0.0", "", ""),
        ("0.9.0", "1.0.0", "", ""),
        ("1.1.0", "1.0.0", "1.1.0", ""),
        ("1.2.0", "1.0.0", "1.1.0", "1.2.0"),
        ("1.0.0", "", "", "1.0.0"),
        ("1.10.0", "1.9.0", "", "1.10.0"),
        ("2.0.0-beta.1", "1.0.0", "", ""),
        ("2.0.0-beta.2", "2.0.0-beta.1", "", "2.0.0-beta.2"),
        ("2.0.0", "2.0.0-beta.1", "", "2.0.0"),
        ("1.1.0", "1.0.0", "3.0.0", ""),
        ("1.1.0+build-5", "1.0.0", "", "1.1.0+build-5"),
    ],
)
def test_what_is_news(found: str, known: str, here: str, expected: str) -> None:
    fresh = news([(MAP, found)], {"alice/map": known} if known else {}, {MAP: here} if here else {})
    assert [ref.version for ref in fresh] == ([expected] if expected else [])


versions = st.builds("{}.{}.{}".format, *(3 * [st.integers(0, 12)]))


@given(st.lists(versions, max_size=8), versions, versions)
def test_news_is_newer_than_all_that_was_had(found: list[str], known: str, here: str) -> None:
    fresh = news([(MAP, version) for version in found], {"alice/map": known}, {MAP: here})
    floor = max(version_key(known), version_key(here))
    assert {ref.version for ref in fresh} == {text for text in found if version_key(text) > floor}


def test_a_publisher_who_publishes_everything_at_once_comes_in_parts() -> None:
    found = [(PackageId("alice", f"map-{number}"), "1.0.0") for number in range(3 * NEWS_MAX)]
    first = news(found, {}, {})
    assert len(first) == NEWS_MAX
    rest = news(found, {}, {ref.package: ref.version for ref in first})
    assert not set(first) & set(rest)
    assert isinstance(rest[0], PackageRef)
