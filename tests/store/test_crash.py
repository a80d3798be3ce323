"""The program dies before each single call that changes the disk; the next start finds nothing lost, nothing wrong."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from icworkshop_gui.store.clone import How
from icworkshop_gui.store.resume import ResumeJournal
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.sweep import sweep
from icworkshop_gui.store.transfers import TransferRecord, TransferRecords
from icworkshop_gui.store.verifier import recheck
from tests.helpers.builders import content
from tests.store.samples import FILES, T1, WALL, every_crash, open_store, sample, tree

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.slow,
]
CHANGES = ("fsync", "replace", "unlink", "mkdir", "rmdir", "link", "chmod", "write", "pwritev", "ftruncate")
SMALL = {name: FILES[name] for name in ("README.md", "assets/empty.txt", "assets/idle.ogg")}


def test_finish(tmp_path: Path) -> None:
    package = sample(SMALL, piece_length=16384)
    count = package.metainfo.piece_count
    begun = tmp_path / "begun"
    store = open_store(begun)
    download = package.download(store)
    journal, _, _ = download.open_journal()
    package.write(download)
    journal.record(range(count))
    journal.close()
    store.close()
    place = tmp_path / "crash"

    def finish() -> None:
        store = open_store(place)
        package.download(store).finish()
        store.close()

    crashes = 0
    for _ in _crashes(begun, place, finish):
        crashes += 1
        store = open_store(place)
        if store.packages.find(package.ref) is None:
            again = package.download(store)
            journal, have, suspect = again.open_journal()
            # Nothing verified is lost: not a single piece is fetched again.
            assert have.is_full
            assert suspect == []
            journal.close()
            assert recheck(again.storage, package.metainfo.geometry, package.metainfo.piece_matches).is_full
            again.finish()
        store.discard_transfer(T1)
        _is_whole(store, package.ref, package.data)
        assert list(store.paths.staging.iterdir()) == []
        store.close()
    assert crashes > 15


def test_write_and_record(tmp_path: Path) -> None:
    package = sample(SMALL, piece_length=16384)
    begun, place = tmp_path / "begun", tmp_path / "crash"
    open_store(begun).close()

    def fetch() -> None:
        store = open_store(place)
        download = package.download(store)
        journal, _, _ = download.open_journal()
        for index in range(package.metainfo.piece_count):
            package.write(download, [index])
            journal.record([index])
            journal.checkpoint(download.storage.sync)

    for _ in _crashes(begun, place, fetch):
        store = open_store(place)
        download = package.download(store)
        journal, have, suspect = download.open_journal()
        assert suspect == []
        right = recheck(download.storage, package.metainfo.geometry, package.metainfo.piece_matches, have)
        assert right == have
        # What the child wrote before it died was recorded, but for the piece it was about to record.
        package.write(download, have.missing())
        download.finish()
        _is_whole(store, package.ref, package.data)
        journal.close()
        store.close()


def test_keep_whole(tmp_path: Path) -> None:
    package = sample(SMALL)
    count = package.metainfo.piece_count
    lie = Skeleton.of(
        segment._replace(sha256=package.sha256) if isinstance(segment, FileSegment) and segment.size else segment
        for segment in package.skeleton.segments
        if not isinstance(segment, FileSegment) or segment.path != "README.md"
    )
    # One file less: its bytes go into a literal of the right length.
    missing = len(package.data) - lie.total_length
    lie = Skeleton.of([*lie.segments[:1], type(lie.segments[0])(bytes(missing)), *lie.segments[1:]])  # type: ignore[call-arg, list-item]
    begun, place = tmp_path / "begun", tmp_path / "crash"
    store = open_store(begun)
    download = package.download(store, skeleton=lie)
    journal, _, _ = download.open_journal()
    journal.close()
    store.close()

    def keep() -> None:
        store = open_store(place)
        download = package.download(store, skeleton=lie)
        journal, have, _ = download.open_journal()
        download.keep_whole(journal, have)
        store.close()

    for _ in _crashes(begun, place, keep):
        store = open_store(place)
        again = package.download(store, skeleton=lie)
        journal, have, _ = again.open_journal()
        if not again.is_whole:
            have = again.keep_whole(journal, have)
        package.write(again, Bitfield(count, full=True))
        again.finish()
        _is_whole(store, package.ref, package.data)
        journal.close()
        store.close()


def test_install(tmp_path: Path) -> None:
    old, new = sample(SMALL), sample({**SMALL, "assets/new.ogg": content(3000, "new")}, "alice/tank-sounds@2.0.0")
    begun, place = tmp_path / "begun", tmp_path / "crash"
    store = open_store(begun)
    old.fetch(store)
    new.fetch(store, TransferId("t2"))
    store.close()

    def put() -> None:
        store = open_store(place)
        store.installs.install(new.ref, place / "mods" / "tank", ways=(How.LINK, How.COPY))
        store.close()

    def is_one_or_the_other() -> bool:
        there = tree(place / "mods" / "tank")
        assert there.pop("save.dat") == b"mine"
        manifest = there.pop("manifest.yaml", None)
        return manifest is not None and there in (old.files, new.files)

    for _ in _crashes(begun, place, put, before=lambda: _first_install(place, old.ref)):
        target = place / "mods" / "tank"
        # At the moment of the crash: one release, or none for a moment, but never a mixture.
        assert not target.exists() or {**tree(target), "save.dat": b"mine"}.keys() - {"save.dat", "manifest.yaml"} in (
            old.files.keys(),
            new.files.keys(),
        )
        store = open_store(place)
        store.installs.install(new.ref, target)
        assert is_one_or_the_other()
        assert [path.name for path in (place / "mods").iterdir()] == ["tank"]
        assert store.installs.verify(new.ref).bad == ()
        store.close()


def _first_install(place: Path, ref: object) -> None:
    store = open_store(place)
    store.installs.install(ref, place / "mods" / "tank")  # type: ignore[arg-type]
    (place / "mods" / "tank" / "save.dat").write_bytes(b"mine")
    store.close()


def test_purge_and_sweep(tmp_path: Path) -> None:
    stays, goes = sample(), sample(SMALL, "bob/other@1.0.0")
    begun, place = tmp_path / "begun", tmp_path / "crash"
    store = open_store(begun)
    stays.fetch(store)
    goes.fetch(store, TransferId("t2"))
    store.installs.remove(goes.ref)
    store.close()

    def clean() -> None:
        store = open_store(place)
        sweep(store, WALL * 2, grace=0)
        store.close()

    for _ in _crashes(begun, place, clean):
        store = open_store(place)
        _is_whole(store, stays.ref, stays.data)
        sweep(store, WALL * 2, grace=0)
        _is_whole(store, stays.ref, stays.data)
        assert {blob for blob, _ in store.blobs.entries()} == set(store.packages.blobs_of(stays.ref))
        assert not any(path.name.startswith(".") for path in store.paths.packages.iterdir())
        store.close()


def test_transfer_record(tmp_path: Path) -> None:
    begun, place = tmp_path / "begun", tmp_path / "crash"
    begun.mkdir()
    first = TransferRecord(id=T1, metainfo=b"torrent", position=1)
    second = dataclasses.replace(first, position=2, metainfo=b"longer torrent")
    TransferRecords(begun).save(first)
    for _ in _crashes(begun, place, lambda: TransferRecords(place).save(second)):
        records, aside = TransferRecords(place).load()
        assert aside == []
        assert records in ([first], [second])


def test_journal_compaction(tmp_path: Path) -> None:
    begun, place = tmp_path / "begun", tmp_path / "crash"
    begun.mkdir()
    journal, _, _ = ResumeJournal.open(begun / "journal", 40, boot=b"now")
    journal.record(range(0, 40, 2))
    journal.checkpoint()
    journal.record(range(1, 40, 2))
    journal.close()

    def reopen() -> None:
        journal, _, _ = ResumeJournal.open(place / "journal", 40, boot=b"now")
        journal.close()

    for _ in _crashes(begun, place, reopen):
        journal, have, suspect = ResumeJournal.open(place / "journal", 40, boot=b"now")
        journal.close()
        assert have.is_full
        assert suspect == []


def _is_whole(store: Store, ref: object, data: bytes) -> None:
    storage = store.packages.seed_storage(ref)  # type: ignore[arg-type]
    assert storage.read(0, len(data)) == data


def _crashes(begun: Path, place: Path, scenario: object, before: object = None) -> object:
    """Each round starts from a fresh copy of `begun` at `place`."""

    def prepare() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(begun, place)
        if before is not None:
            before()  # type: ignore[operator]

    prepare()
    for number in every_crash(scenario, calls=CHANGES):  # type: ignore[arg-type]
        yield number
        prepare()
