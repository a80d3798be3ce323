"""A whole set comes and goes at once, whatever dies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.store.clone import How
from icworkshop_gui.store.hashing import Cancelled
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.switch import Coming, Going
from icworkshop_gui.store.transfers import TransferRecord
from tests.store.samples import Sample, every_crash, open_store, sample, tree

OLD = sample({"a.txt": b"old"}, "a/old@1.0.0")
ONE = sample({"a.txt": b"one", "d/b.txt": b"b"}, "a/one@1.0.0")
TWO = sample({"a.txt": b"two"}, "a/two@1.0.0", compressed=True)
CHANGES = ("fsync", "replace", "unlink", "mkdir", "rmdir", "link", "chmod", "write")
LINKS = (How.LINK, How.COPY)


def place_of(folder: Path, package: Sample) -> Path:
    return folder / "mods" / package.ref.folder_name


def filled(folder: Path) -> Store:
    store = open_store(folder)
    for package in (OLD, ONE, TWO):
        package.fetch(store)
        store.discard_transfer(TransferId("t1"))
    store.installs.install(OLD.ref, place_of(folder, OLD), ways=LINKS)
    store.transfers.save(TransferRecord(id=TransferId("old"), metainfo=b"", ref=OLD.ref))
    return store


def switch(store: Store, folder: Path, **how: object) -> None:
    store.switch.apply(
        [Coming(ONE.ref, place_of(folder, ONE)), Coming(TWO.ref, place_of(folder, TWO))],
        [Going(OLD.ref, TransferId("old"))],
        ways=LINKS,
        **how,  # type: ignore[arg-type]
    )


def here(store: Store, folder: Path) -> set[str]:
    """Names of the packages that are installed; everything on the disk must agree."""
    found = set()
    for package in (OLD, ONE, TWO):
        record = store.packages.find(package.ref)
        place = place_of(folder, package)
        if record is not None and record.is_installed:
            there = tree(place)
            there.pop("manifest.yaml", None)
            assert there == package.files
            found.add(package.ref.name)
        else:
            assert not place.exists()
    assert {path.name for path in (folder / "mods").iterdir()} == {f"a--{name}-1.0.0" for name in found}
    assert not store.paths.switch.exists()
    assert (TransferId("old") in store.transfers.ids()) == ("old" in found)
    return found


def test_there_and_back(tmp_path: Path) -> None:
    store = filled(tmp_path)
    told: list[str] = []
    switch(store, tmp_path, progress=lambda ref, done: told.append(ref.name))
    assert set(told) == {"one", "two"}
    assert here(store, tmp_path) == {"one", "two"}
    store.transfers.save(TransferRecord(id=TransferId("old"), metainfo=b"", ref=OLD.ref))
    store.switch.apply([Coming(OLD.ref, place_of(tmp_path, OLD))], [Going(ONE.ref), Going(TWO.ref)], ways=LINKS)
    assert here(store, tmp_path) == {"old"}
    store.close()


def test_an_error_before_the_decision_changes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.packages.forget(TWO.ref)
    with pytest.raises(NotFound):
        switch(store, tmp_path)
    assert here(store, tmp_path) == {"old"}

    TWO.fetch(store)
    store.discard_transfer(TransferId("t1"))
    looks = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        switch(store, tmp_path, cancel=lambda: next(looks))
    assert here(store, tmp_path) == {"old"}
    store.close()


@pytest.mark.logs
def test_a_journal_that_is_none(tmp_path: Path) -> None:
    store = filled(tmp_path)
    for raw in (b"", b"[]", b'{"version": 1, "state": "odd", "coming": [], "going": []}', b"[" * 100_000):
        store.paths.switch.write_bytes(raw)
        store.switch.recover()
        assert here(store, tmp_path) == {"old"}
    store.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_every_write(tmp_path: Path) -> None:
    place = tmp_path / "crash"

    def prepare() -> None:
        # Made anew each time: records hold whole paths.
        shutil.rmtree(place, ignore_errors=True)
        filled(place).close()

    def go() -> None:
        store = open_store(place)
        switch(store, place)
        store.close()

    prepare()
    results = []
    for _number in every_crash(go, calls=CHANGES):
        store = open_store(place)
        store.switch.recover()
        results.append(frozenset(here(store, place)))
        store.close()
        prepare()
    # First the old set, then, from one moment on, the new one.
    assert set(results) == {frozenset({"old"}), frozenset({"one", "two"})}
    assert results == sorted(results, key=len)
