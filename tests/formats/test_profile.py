"""Profiles as TOML: the same set is the same bytes, and no file from anywhere gets past the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.profile import CHOICES_MAX, NAME_MAX, PROFILE_MAX, SOURCES_MAX, Profile

LAN = Profile(
    name="LAN „Abend“",
    game_module="ra",
    sources=(PackageRef("b", "tiles", "1.0.0"), PackageRef("a", "map", "2.0.0-beta.1")),
    choices=(("rules/units.yaml", PackageId("b", "tiles")), ("x/ü ‘quoted’.yaml", PackageId("a", "map"))),
)


def test_a_profile_reads_back_byte_for_byte() -> None:
    data = LAN.dump()
    assert Profile.parse(data) == LAN
    assert Profile.parse(data).dump() == data
    assert b'id = "b/tiles"\nversion = "1.0.0"\n\n[[sources]]\nid = "a/map"' in data


def test_a_profile_written_by_hand() -> None:
    text = """
    [profile]
    name = "Mine"
    [experience]
    balance = "classic"
    [[sources]]
    id = "a/b"
    version = "1.0.0"
    note = "ignored"
    [[conflicts]]
    unit = "tank"
    field = "speed"
    use_source = "a/b"
    """
    assert Profile.parse(text.encode()) == Profile(name="Mine", sources=(PackageRef("a", "b", "1.0.0"),))


ONE = '[profile]\nname = "x"\n[[sources]]\nid = "a/b"\nversion = "1.0.0"\n'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "no TOML"),
        (b"[" * 100_000, "no TOML"),
        (b" " * (PROFILE_MAX + 1), "more than"),
        (b"x = 1", r"\[profile\]"),
        (b"profile = 1", r"\[profile\]"),
        (b"[profile]", "without name"),
        (b'[profile]\nname = ""', "1 to"),
        (b'[profile]\nname = "../x"', "file name"),
        (b'[profile]\nname = "con"', "file name"),
        (b'[profile]\nname = ".x"', "file name"),
        (b'[profile]\nname = "x "', "file name"),
        (f'[profile]\nname = "{"x" * (NAME_MAX + 1)}"'.encode(), "1 to"),
        (b'[profile]\nname = "x"\ngame_module = "a\\u0007b"', "game_module"),
        (b'sources = 1\n[profile]\nname = "x"', "sources are no list"),
        (b'sources = [1]\n[profile]\nname = "x"', "sources are no list"),
        (b"conflicts = [" + b"{}," * (CHOICES_MAX + 1) + b']\n[profile]\nname = "x"', "conflicts are no list"),
        (b"sources = [" + b"{}," * (SOURCES_MAX + 1) + b']\n[profile]\nname = "x"', "sources are no list"),
        (ONE.replace("a/b", "A/../b").encode(), "publisher/name"),
        (ONE.replace("1.0.0", "^1").encode(), "version like"),
        ((ONE + ONE[ONE.index("[[") :].replace("1.0.0", "2.0.0")).encode(), "two versions"),
        ((ONE + '[[conflicts]]\npath = "../x"\nuse_source = "a/b"').encode(), "no package can have"),
        ((ONE + '[[conflicts]]\npath = "x"\nuse_source = "b"').encode(), "publisher/name"),
    ],
    ids=str,
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        Profile.parse(data)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_profile_or_an_error(data: bytes) -> None:
    try:
        found = Profile.parse(data)
    except FormatError:
        return
    assert Profile.parse(found.dump()) == found
