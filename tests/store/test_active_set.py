"""One tree for the game, swapped in one step: all of a set or all of the one before, whatever dies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound, StorageError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.formats.namespace import Namespace, Source, build
from icworkshop_gui.formats.profile import Profile
from icworkshop_gui.store import active_set
from icworkshop_gui.store.active_set import NOTE, ActiveSet
from icworkshop_gui.store.hashing import Cancelled
from icworkshop_gui.store.package_files import list_files
from icworkshop_gui.store.profiles import PROFILES_MAX
from icworkshop_gui.store.store import Store
from tests.helpers.builders import content
from tests.store.samples import Sample, every_crash, open_store, sample, tree

BASE = {"rules/units.yaml": b"base", "art/tank.shp": content(30_000, "tank"), "README.md": b"about"}
MOD = {"rules/units.yaml": b"mod", "new/unit.yaml": content(500, "unit")}
PACKED = {"packed/a.lua": b"a" * 5000}


def samples() -> list[Sample]:
    return [
        sample(BASE, "a/base@1.0.0", piece_length=16384),
        sample(MOD, "a/mod@1.0.0", piece_length=16384),
        sample(PACKED, "b/foreign@1.0.0", compressed=True),
    ]


def fill(store: Store) -> None:
    for number, package in enumerate(samples()):
        package.fetch(store, TransferId(f"t{number}"))


def namespace(store: Store, *refs: str) -> tuple[ActiveSet, Namespace]:
    parsed = tuple(PackageRef.parse(ref) for ref in refs)
    found = build([Source(ref=ref, files=list_files(store.packages, ref)) for ref in parsed])
    name = f"set of {len(refs)}"
    return ActiveSet(name=name, gameplay=found.gameplay(), presentation=found.presentation(), sources=parsed), found


ONE, ALL = ("a/base@1.0.0",), ("a/base@1.0.0", "a/mod@1.0.0", "b/foreign@1.0.0")
TREES = {
    1: {path: data for path, data in BASE.items() if path != "README.md"},
    3: {"art/tank.shp": BASE["art/tank.shp"], **MOD, **PACKED},
}


def shown(store: Store) -> dict[str, bytes]:
    found = tree(store.paths.active)
    found.pop(NOTE, None)
    return found


@pytest.fixture(params=["exchange", "two renames"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param != "exchange":
        monkeypatch.setattr(active_set, "exchange", lambda one, other: False)
    opened = open_store(tmp_path)
    fill(opened)
    return opened


def test_a_set_takes_the_place_of_another(store: Store) -> None:
    assert store.active.read() is None
    for refs in (ONE, ALL, ONE):
        wanted, what = namespace(store, *refs)
        done: list[int] = []
        store.active.activate(wanted, what, progress=done.append)
        assert shown(store) == TREES[len(refs)]
        assert store.active.read() == wanted
        assert done[-1] == what.size
        assert sorted(path.name for path in store.paths.active.parent.iterdir() if "active" in path.name) == ["active"]
    blob = store.blobs.path(samples()[0].skeleton.files[-1].sha256)
    assert os.stat(blob).st_nlink > 1 or os.stat(blob).st_blocks, "its bytes are not on the disk twice"


def test_fingerprints_are_of_what_is_there(store: Store) -> None:
    wanted, what = namespace(store, *ALL)
    assert wanted.gameplay == what.gameplay()
    assert {entry.file.path for entry in what.entries} == TREES[3].keys()


def test_what_fails_or_is_cancelled_leaves_the_set_that_was_there(store: Store) -> None:
    wanted, what = namespace(store, *ONE)
    store.active.activate(wanted, what)
    other, more = namespace(store, *ALL)
    with pytest.raises(Cancelled):
        store.active.activate(other, more, cancel=lambda: True)
    lost = store.blobs.path(samples()[1].skeleton.files[-1].sha256)
    lost.unlink()
    with pytest.raises(StorageError):
        store.active.activate(other, more)
    assert shown(store) == TREES[1]
    assert store.active.read() == wanted
    assert not list(store.paths.active.parent.glob(".active*"))


def test_what_the_player_put_there_moves_along(store: Store) -> None:
    store.active.activate(*namespace(store, *ALL))
    mine = store.paths.active / "saves" / "game 1.sav"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    store.active.activate(*namespace(store, *ONE))
    assert shown(store) == {**TREES[1], "saves/game 1.sav": b"mine"}
    assert sorted(path.name for path in store.paths.active.parent.iterdir() if "active" in path.name) == ["active"]


@pytest.mark.logs
def test_what_of_the_players_has_no_place_is_kept_beside(store: Store) -> None:
    store.active.activate(*namespace(store, *ONE))
    (store.paths.active / "new").write_bytes(b"a file where the next set has a folder")
    (store.paths.active / "packed").mkdir()
    (store.paths.active / "packed" / "a.lua").write_bytes(b"mine")
    store.active.activate(*namespace(store, *ALL))
    assert shown(store) == TREES[3]
    assert tree(store.paths.active.with_name("active-kept-1")) == {
        "new": b"a file where the next set has a folder",
        "packed/a.lua": b"mine",
    }


@pytest.mark.logs
def test_a_folder_of_that_name_that_is_not_ours_is_kept(store: Store) -> None:
    for number, name in ((1, "one"), (2, "two")):
        if store.paths.active.exists():
            (store.paths.active / NOTE).unlink()
        else:
            store.paths.active.mkdir()
        (store.paths.active / f"{name}.txt").write_bytes(name.encode())
        store.active.activate(*namespace(store, *ONE))
        assert shown(store) == TREES[1]
        assert tree(store.paths.active.with_name(f"active-kept-{number}"))[f"{name}.txt"] == name.encode()


@pytest.mark.logs
def test_a_note_that_says_nonsense_is_nobodys_set(store: Store) -> None:
    wanted, what = namespace(store, *ONE)
    store.active.activate(wanted, what)
    wrong = b'{"name":"","gameplay":"","presentation":"","sources":["x"]}'
    for nonsense in (b"", b"[]", b'{"name": 1}', b"[" * 100_000, wrong):
        (store.paths.active / NOTE).write_bytes(nonsense)
        assert store.active.read() is None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("exchanging", [True, False])
def test_it_dies_at_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanging: bool) -> None:
    if not exchanging:
        monkeypatch.setattr(active_set, "exchange", lambda one, other: False)
    begun, place = tmp_path / "begun", tmp_path / "crash"
    store = open_store(begun)
    fill(store)
    store.active.activate(*namespace(store, *ONE))
    (store.paths.active / "mine.sav").write_bytes(b"mine")
    store.close()

    def switch() -> None:
        store = open_store(place)
        store.active.activate(*namespace(store, *ALL))
        store.close()

    def prepare() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(begun, place)

    prepare()
    seen = set()
    for _ in every_crash(switch, calls=("fsync", "replace", "mkdir", "rmdir", "unlink", "link", "write")):
        if exchanging:
            assert (place / "active" / NOTE).is_file(), "the game always finds a set"
        store = open_store(place)
        active = store.active.read()
        assert active is not None
        assert shown(store) == {**TREES[len(active.sources)], "mine.sav": b"mine"}
        seen.add(len(active.sources))
        store.active.activate(*namespace(store, *ALL))
        assert shown(store) == {**TREES[3], "mine.sav": b"mine"}
        assert sorted(path.name for path in place.iterdir() if "active" in path.name) == ["active"]
        store.close()
        prepare()
    assert seen == {1, 3}


def profile(name: str, *refs: str) -> Profile:
    return Profile(name=name, sources=tuple(PackageRef.parse(ref) for ref in refs))


def test_profiles_are_files_and_come_back(store: Store) -> None:
    shelf = store.profiles
    assert shelf.all() == []
    shelf.save(profile("LAN", *ALL))
    shelf.save(profile("Solo", *ONE))
    assert [found.name for found in shelf.all()] == ["LAN", "Solo"]
    assert shelf.get("lan") == profile("LAN", *ALL)
    shelf.save(profile("lan", *ONE))
    assert [found.name for found in shelf.all()] == ["lan", "Solo"]
    shelf.delete("LAN")
    with pytest.raises(NotFound, match="profile list"):
        shelf.get("lan")
    shelf.save(profile("Lan", *ALL))
    with pytest.raises(Conflict, match="by now"):
        shelf.restore("lan")
    shelf.delete("Lan")
    shelf.restore("lan")
    assert shelf.get("lan") == profile("lan", *ONE)
    with pytest.raises(NotFound):
        shelf.restore("never")


@pytest.mark.logs
def test_a_file_by_hand_counts_and_one_that_is_wrong_is_left_alone(store: Store) -> None:
    store.profiles.save(profile("LAN", *ONE))
    folder = store.paths.profiles
    (folder / "LAN.toml").rename(folder / "Party.toml")
    (folder / "broken.toml").write_bytes(b"[")
    assert store.profiles.all() == [profile("Party", *ONE)]
    with pytest.raises(FormatError, match="no TOML"):
        store.profiles.get("broken")
    assert (folder / "broken.toml").read_bytes() == b"["


def test_no_more_profiles_than_anybody_needs(store: Store) -> None:
    store.paths.profiles.mkdir()
    for number in range(PROFILES_MAX):
        (store.paths.profiles / f"{number}.toml").touch()
    with pytest.raises(Conflict, match="Delete one"):
        store.profiles.save(profile("one more"))
