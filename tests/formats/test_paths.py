"""No stranger's name leaves the folder, hides what it is, or stands for two files."""

from __future__ import annotations

import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.paths import (
    DEPTH_MAX,
    DUPLICATES_MAX,
    ELEMENT_BYTES_MAX,
    collision_key,
    is_safe_path,
    safe_element,
    safe_path,
    unique_paths,
)

NASTY = st.lists(
    st.sampled_from(
        ["..", ".", "/", "\\", "\0", "C:", "a", " ", "con", "NUL", ".txt", "\u202e", "\u200b", "*", "é", "漢"]
    ),
    max_size=8,
).map("".join)
COMPONENTS = st.lists(st.text(max_size=20) | NASTY | st.binary(max_size=20) | st.text(max_size=400), max_size=6)
INVISIBLE = "\u061c\u200b\u200f\u202a\u202e\u2060\u2064\u2066\u2069\ufeff"


@given(COMPONENTS)
def test_no_path_escapes(components):
    try:
        path = safe_path(components)
    except FormatError:
        return
    assert path
    joined = os.path.normpath(os.path.join("/some/folder", *path))
    assert joined == "/some/folder/" + "/".join(path)
    for element in path:
        assert element not in ("", ".", "..")
        assert not re.search(r'[\x00-\x1f\x7f-\x9f/\\?<>"|*:]', element)
        assert not set(element) & set(INVISIBLE)
        assert not element.endswith((".", " "))
        assert len(element.encode()) <= ELEMENT_BYTES_MAX
        assert safe_element(element) == element
    assert safe_path(path) == path


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("map.oramap", "map.oramap"),
        ("..", ""),
        (".", ""),
        ("", ""),
        (".\u200b.", ""),
        ("\0..\x1f", ""),
        ("a/b", "ab"),
        ("..\\..\\x", "....x"),
        ("C:", "C_"),
        ("C:evil.exe", "C_evil.exe"),
        ("file.txt:stream", "file.txt_stream"),
        ('what?<>|*".txt', "what______.txt"),
        ("trailing. . ", "trailing"),
        ("...", "_"),
        ("   ", "_"),
        ("con", "_con"),
        ("CON.txt", "_CON.txt"),
        ("aux.tar.gz", "_aux.tar.gz"),
        ("nul .txt", "_nul .txt"),
        ("COM0", "_COM0"),
        ("com9.log", "_com9.log"),
        ("LPT¹", "_LPT¹"),
        ("CLOCK$", "_CLOCK$"),
        ("CONIN$", "_CONIN$"),
        ("console", "console"),
        ("com10", "com10"),
        ("com", "com"),
        ("gpj\u202e.exe", "gpj.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        (b"\xff\xfebad\x80.txt", "__bad_.txt"),
        ("half\ud800pair", "half_pair"),
        (".hidden", ".hidden"),
    ],
)
def test_names(name, safe):
    assert safe_element(name) == safe


@pytest.mark.parametrize(
    "name",
    [
        "Красная тревога.map",
        "紅色警戒",
        "レッドアラート.ogg",
        "적색경보",
        "إنذار أحمر.txt",
        "אזעקה אדומה",
        "καλημέρα",
        "चेतावनी",
        "เตือนภัย",
        "e\u0301te",
        "été",
        "🎮 tank.png",
        "Straße",
        "İstanbul",
    ],
)
def test_names_in_many_scripts_survive(name):
    assert safe_path([name.encode()]) == (name,)


def test_long_names_keep_their_extension():
    cut = safe_element("漢" * 200 + ".oramap")
    assert cut.endswith("漢.oramap")
    assert ELEMENT_BYTES_MAX - 3 < len(cut.encode()) <= ELEMENT_BYTES_MAX
    assert len(safe_element("a" * 300)) == ELEMENT_BYTES_MAX
    assert len(safe_element("a." + "b" * 300)) == ELEMENT_BYTES_MAX
    assert safe_element("a" * 239 + ". b" + "c" * 50) == "a" * 239


def test_depth_limit():
    assert len(safe_path(["a"] * DEPTH_MAX)) == DEPTH_MAX
    with pytest.raises(FormatError, match="folders"):
        safe_path(["a"] * (DEPTH_MAX + 1))


def test_nothing_left_is_an_error():
    for components in ([], [".."], ["", ".", b".."]):
        with pytest.raises(FormatError, match="without a name"):
            safe_path(components)


def test_colliding_names_give_way():
    paths = [
        ("a", "X.txt"),
        ("a", "x.TXT"),
        ("a", "x.1.TXT"),
        ("A", "x.txt"),
        ("e\u0301",),
        ("é",),
        ("STRASSE",),
        ("straße",),
    ]
    unique = unique_paths(paths)
    assert unique == [
        ("a", "X.txt"),
        ("a", "x.1.TXT"),
        ("a", "x.1.1.TXT"),
        ("A", "x.2.txt"),
        ("e\u0301",),
        ("é.1",),
        ("STRASSE",),
        ("straße.1",),
    ]


def test_a_file_gives_way_to_a_folder_of_its_name():
    assert unique_paths([("a",), ("A", "b")]) == [("a.1",), ("A", "b")]
    assert unique_paths([("x", "y", "z"), ("x", "Y")]) == [("x", "y", "z"), ("x", "Y.1")]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "A", "b", "é", "e\u0301", "a.1", "É"]), min_size=1, max_size=3).map(tuple),
        max_size=30,
    )
)
def test_unique_paths_are_unique(paths):
    unique = unique_paths(paths)
    keys = [collision_key(path) for path in unique]
    assert len(set(keys)) == len(paths)
    folders = {collision_key(path[:depth]) for path in unique for depth in range(1, len(path))}
    assert not folders & set(keys)
    assert [path[:-1] for path in unique] == [path[:-1] for path in paths]


def test_unique_names_stay_short():
    name = "a" * ELEMENT_BYTES_MAX
    assert all(len(path[0].encode()) <= ELEMENT_BYTES_MAX for path in unique_paths([(name,)] * 20))


def test_duplicates_limit():
    assert len(unique_paths([("a",)] * (DUPLICATES_MAX + 1))) == DUPLICATES_MAX + 1
    with pytest.raises(FormatError, match="share their names"):
        unique_paths([("a",)] * (DUPLICATES_MAX + 2))


def test_many_taken_suffixes_cost_linear_time():
    paths = [(f"a.{number}",) for number in range(1, 50_000)] + [("a",)] * (DUPLICATES_MAX // 2)
    assert len({collision_key(path) for path in unique_paths(paths)}) == len(paths)


def test_collisions_are_normalised():
    assert (
        collision_key(["\N{ANGSTROM SIGN}"])
        == collision_key(["å"])
        == collision_key([unicodedata.normalize("NFD", "Å")])
    )


@given(
    st.lists(
        st.text("aZ09_. -/\\:é\x00", max_size=6)
        | st.sampled_from(
            ["con", "NUL.txt", "com1", "aux .x", "lpt9", "conin$", "..", ".", "a" * 101, "a." + "b" * 40]
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_said_of_a_plain_path_at_once_is_what_is_made_of_it(parts: list[str]) -> None:
    path = "/".join(parts)
    try:
        made = list(safe_path(path.split("/"))) == path.split("/")
    except FormatError:
        made = False
    assert is_safe_path(path) == made


def test_how_deep_a_plain_path_may_be() -> None:
    assert is_safe_path("/".join("a" * DEPTH_MAX))
    assert not is_safe_path("/".join("a" * (DEPTH_MAX + 1)))


@given(st.lists(st.text("aZ09.Éß\u0301", max_size=5), max_size=4))
def test_the_key_of_an_ascii_path_is_that_of_any_other(path: list[str]) -> None:
    folded = unicodedata.normalize("NFD", "/".join(path)).casefold()
    assert collision_key(path) == unicodedata.normalize("NFC", folded)
