"""What the game sees of a set: who wins, what is left out, and fingerprints that are the same everywhere."""

from __future__ import annotations

import hashlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.formats.namespace import PERSONAL, Namespace, Source, SourceFile, Why, build, key_of


def source(name: str, *paths: str, category: str = "") -> Source:
    """Each file's content is the package's name and the path."""
    files = [SourceFile(path, hashlib.sha256(f"{name} {path}".encode()).digest(), 10) for path in paths]
    return Source(ref=PackageRef("a", name, "1.0.0"), files=files, category=category)


def whose(namespace: Namespace) -> dict[str, str]:
    return {entry.file.path: entry.source.name for entry in namespace.entries}


def test_the_last_one_wins_unless_another_was_chosen() -> None:
    sources = [source("base", "rules/units.yaml", "map.bin"), source("mod", "rules/units.yaml"), source("fix", "x.lua")]
    plain = build(sources)
    assert whose(plain) == {"map.bin": "base", "rules/units.yaml": "mod", "x.lua": "fix"}
    (contested,) = plain.contested
    assert (contested.why, contested.over) == (Why.LAST_WINS, (sources[0].ref,))
    assert {entry.why for entry in plain.entries} == {Why.UNIQUE, Why.LAST_WINS}

    chosen = build(sources, {"Rules/Units.yaml": PackageId("a", "base")})
    assert whose(chosen)["rules/units.yaml"] == "base"
    (contested,) = chosen.contested
    assert (contested.why, contested.over) == (Why.CHOSEN, (sources[1].ref,))

    void = build(sources, {"rules/units.yaml": PackageId("a", "nobody"), "map.bin": PackageId("a", "mod")})
    assert void == plain


@pytest.mark.parametrize(
    ("first", "second"),
    [("Maps/A.map", "maps/a.map"), ("stra\u00dfe.lua", "STRASSE.lua"), ("e\u0301.lua", "\u00e9.lua")],
)
def test_two_spellings_of_one_file_are_one_file(first: str, second: str) -> None:
    assert key_of(first) == key_of(second)
    assert whose(build([source("one", first), source("two", second)])) == {second: "two"}


def test_a_file_and_a_folder_of_one_name_cannot_both_be() -> None:
    file, folder = source("file", "Data", "x"), source("folder", "data/a", "data/b/c")
    assert whose(build([file, folder])) == {"x": "file", "data/a": "folder", "data/b/c": "folder"}
    assert whose(build([folder, file])) == {"x": "file", "Data": "file"}
    assert whose(build([folder, file, folder])) == {"x": "file", "data/a": "folder", "data/b/c": "folder"}


def test_what_speaks_of_a_package_is_not_for_the_game() -> None:
    one = source("one", "manifest.yaml", "README.md", "LICENSE", "preview.png", "docs/README.md")
    assert whose(build([one])) == {"docs/README.md": "one"}


def test_looks_do_not_change_how_it_plays() -> None:
    base = source("base", "rules.yaml", "tank.shp")
    plain, shiny = build([base]), build([base, source("hd", "tank.shp", "music/a.OGG")])
    assert plain.gameplay() == shiny.gameplay()
    assert plain.presentation() != shiny.presentation()
    faster = build([base, source("mod", "rules.yaml")])
    assert faster.gameplay() != plain.gameplay()
    assert faster.presentation() == plain.presentation()
    mine = build([base, source("keys", "keys.yaml", category=PERSONAL)])
    assert (mine.gameplay(), mine.presentation()) == (plain.gameplay(), plain.presentation())
    assert "keys.yaml" in whose(mine)


def test_fingerprints_are_these_bytes() -> None:
    """Vectors: others compute the same, on every system."""
    content = hashlib.sha256(b"x").digest()
    files = [SourceFile("b.lua", content, 1), SourceFile("B/a.lua", content, 1), SourceFile("ü.png", content, 1)]
    namespace = build([Source(ref=PackageRef("a", "b", "1.0.0"), files=files)])
    lines = "".join(f"{path}\t{content.hex()}\n" for path in ("B/a.lua", "b.lua"))
    assert namespace.gameplay() == hashlib.sha256(lines.encode()).hexdigest()
    assert namespace.presentation() == hashlib.sha256(f"ü.png\t{content.hex()}\n".encode()).hexdigest()
    assert build([]).gameplay() == hashlib.sha256(b"").hexdigest()


NAMES = st.sampled_from(["a", "A", "b", "c.png", "d"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(st.lists(st.lists(PATHS, max_size=6, unique_by=key_of), max_size=5), st.integers())
def test_any_set_is_a_tree_and_the_order_of_files_is_nothing(found: list[list[str]], seed: int) -> None:
    # A package itself never has a file below a file.
    sources = [
        source(f"p{number}", *(p for p in paths if not any(key_of(p).startswith(key_of(q) + "/") for q in paths)))
        for number, paths in enumerate(found)
    ]
    namespace = build(sources)
    keys = [key_of(entry.file.path) for entry in namespace.entries]
    assert len(set(keys)) == len(keys)
    assert not any(one.startswith(other + "/") for one in keys for other in keys)
    shuffled = []
    for one in sources:
        files = list(one.files)
        Random(seed).shuffle(files)
        shuffled.append(Source(ref=one.ref, files=files))
    assert build(shuffled) == namespace
    if sources:
        # Everything that the last one brings is there.
        assert {file.path for file in sources[-1].files} <= {entry.file.path for entry in namespace.entries}
