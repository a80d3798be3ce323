"""What is remembered between two starts: transfers, packages, the index; and what becomes of it when it is damaged."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from pathlib import Path

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.store import durable, index
from icworkshop_gui.store.durable import Gate, replace_file, sync_files
from icworkshop_gui.store.transfers import TransferRecord, TransferRecords, TransferStats, with_stats
from tests.helpers.builders import content
from tests.store.samples import T1, WALL, open_store, sample, tree

FULL = TransferRecord(
    id=T1,
    metainfo=content(3000, "torrent"),
    skeleton=b"bones",
    sha256="ab" * 32,
    folder="/home/имя/Downloads",
    ref=PackageRef("alice", "tank-sounds", "1.2.0"),
    title="Tank sounds",
    category="Sound",
    preview_sha256="cd" * 32,
    tier=Tier.LOBBY_URGENT,
    position=4,
    paused=True,
    seed_only=True,
    use_trackers=False,
    cleared=True,
    asked=False,
    temporary=True,
    staged=True,
    magnet="magnet:?xt=urn:btih:" + "ab" * 20,
    local="/mnt/packages/tank.icpkg",
    local_offset=7,
    promised=("https://files.example/tank.icpkg",),
    manifest_sha256="ef" * 32,
    sharing=False,
    size=5,
    source="https://workshop.example",
    verified=True,
    limit_down=0,
    limit_up=1000,
    added_at=WALL,
    finished_at=WALL + 1,
    peers=(Endpoint("127.0.0.1", 19711), Endpoint("::1", 1)),
    web_seeds=("https://example.org/a",),
    extra_trackers=("udp://example.org:6969",),
    goal=SeedGoal(ratio=150, seconds=3600, seeds=4),
    shared_seconds=12.5,
    stats=TransferStats(from_peers=1, from_http=2, uploaded=3, wasted=4, reused=5),
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    records = TransferRecords(tmp_path)
    plain = TransferRecord(id=TransferId("t2"), metainfo=b"m")
    records.save(plain)
    records.save(FULL)
    records.save(FULL)
    assert records.load() == ([FULL, plain], [])
    assert {field.name for field in dataclasses.fields(FULL) if getattr(FULL, field.name) == field.default} == set()
    records.save(with_stats(FULL, uploaded=99))
    assert records.load()[0][0].stats == dataclasses.replace(FULL.stats, uploaded=99)
    records.delete(T1)
    records.delete(T1)
    assert records.load() == ([plain], [])
    assert records.ids() == {"t2"}


def test_order_is_tier_then_position(tmp_path: Path) -> None:
    records = TransferRecords(tmp_path)
    for name, tier, position in (("a", 0, 0), ("b", 1, 1), ("c", 1, 0), ("d", 2, 7)):
        records.save(TransferRecord(id=TransferId(name), metainfo=b"", tier=Tier(tier), position=position))
    assert [record.id for record in records.load()[0]] == ["d", "c", "b", "a"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a.b", "x" * 65, "ä"])
def test_ids_that_are_no_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        TransferRecords(tmp_path).save(TransferRecord(id=TransferId(name), metainfo=b""))


def test_the_predecessor_serves_where_the_record_is_damaged(tmp_path: Path) -> None:
    records = TransferRecords(tmp_path)
    records.save(FULL)
    records.save(dataclasses.replace(FULL, position=5))
    for damage in (b"", b"{", b"\0" * 500):
        (tmp_path / "t1" / "record.json").write_bytes(damage)
        assert records.load() == ([FULL], [])
    (tmp_path / "t1" / "record.json").unlink()
    assert records.load() == ([FULL], [])


@pytest.mark.logs
@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff",
        b"[1]",
        b"[" * 100_000,
        b'{"version": 2}',
        b'{"version": 1, "check": "", "record": 7}',
        b'{"version": 1, "check": "00", "record": "{}"}',
        b'{"version": 1, "check": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "record": "{}"}',
    ],
)
def test_a_damaged_record_is_set_aside_with_a_reason(tmp_path: Path, damage: bytes) -> None:
    records = TransferRecords(tmp_path)
    records.save(FULL)
    good = TransferRecord(id=TransferId("good"), metainfo=b"m")
    records.save(good)
    (tmp_path / "t1" / "record.json").write_bytes(damage)
    found, (aside,) = records.load()
    assert found == [good]
    assert aside.reason
    assert (aside.path / "record.json").read_bytes() == damage
    assert records.load() == ([good], [])


def test_one_wrong_letter_in_a_record_is_noticed(tmp_path: Path) -> None:
    records = TransferRecords(tmp_path)
    records.save(FULL)
    path = tmp_path / "t1" / "record.json"
    records.save(dataclasses.replace(FULL, limit_up=1234567))
    path.write_bytes(path.read_bytes().replace(b"1234567", b"1234568"))
    # Readable, but not what was written: the one before it serves.
    assert records.load() == ([FULL], [])


@pytest.mark.logs
def test_a_damaged_or_missing_metainfo(tmp_path: Path) -> None:
    records = TransferRecords(tmp_path)
    for name in ("a", "b"):
        records.save(dataclasses.replace(FULL, id=TransferId(name)))
    next((tmp_path / "a").glob("metainfo-*")).write_bytes(b"else")
    next((tmp_path / "b").glob("metainfo-*")).unlink()
    (tmp_path / "stray file").write_bytes(b"")
    found, aside = records.load()
    assert found == []
    assert ["metainfo" in item.reason for item in aside] == [True, True, False]


def test_packages_come_back(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    record = package.fetch(store)
    store.packages.update(package.ref, sharing=False, uploaded=7)
    store.close()
    store = open_store(tmp_path)
    assert store.set_aside == []
    assert store.packages.list() == (dataclasses.replace(record, sharing=False, uploaded=7),)
    store.close()


@pytest.mark.logs
@pytest.mark.parametrize("damage", ["garbage", "lost", "other version", "truncated"])
def test_the_index_is_made_again_from_the_folders(tmp_path: Path, damage: str) -> None:
    store, package = open_store(tmp_path), sample()
    package.fetch(store)
    unique = store.packages.unique_bytes(package.ref)
    store.close()
    path = store.paths.index
    match damage:
        case "garbage":
            path.write_bytes(b"no database " * 1000)
        case "lost":
            path.unlink()
        case "truncated":
            os.truncate(path, path.stat().st_size // 2)
        case "other version":
            db = sqlite3.connect(path)
            db.execute("PRAGMA user_version = 99")
            db.close()
    store = open_store(tmp_path)
    assert store.index.rebuilt
    assert path.with_name("store.db.bad").exists() == (damage != "lost")
    assert store.packages.unique_bytes(package.ref) == unique
    assert store.packages.seed_storage(package.ref).read(0, len(package.data)) == package.data
    store.close()


@pytest.mark.logs
@pytest.mark.parametrize("name", ["package.json", "skeleton"])
def test_a_damaged_package_folder_is_set_aside(tmp_path: Path, name: str) -> None:
    store, package = open_store(tmp_path), sample()
    package.fetch(store)
    store.close()
    (store.packages.folder(package.ref) / name).write_bytes(b"{}")
    store.paths.index.unlink()
    store = open_store(tmp_path)
    (aside,) = store.set_aside
    assert aside.path.parent.name == ".aside"
    assert store.packages.list() == ()
    assert store.index.package_folders() == set()
    # Nothing but the small files has to be fetched again.
    assert package.download(store).reused == sum(map(len, package.files.values()))
    store.close()


def test_an_index_that_knows_too_much(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.index.put_package("alice--gone-1.0.0", 5, [])
    store.close()
    store = open_store(tmp_path)
    assert store.index.package_folders() == set()
    store.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        open_store(tmp_path / "file")
    (tmp_path / "workshop" / "store.db").mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        index.Index(tmp_path / "no such folder" / "store.db")
    assert caught.value.fault is StorageFault.DENIED


# small durable writes


def test_a_failed_replacement_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(*_: object) -> int:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError) as caught:
        replace_file(path, b"new")
    assert caught.value.fault is StorageFault.FULL
    assert tree(tmp_path) == {"file": b"old"}


def test_what_is_renamed_was_flushed_before_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of everything that a download, an install and a removal rename, when the power may go at any time."""
    flushed: set[int] = set()
    folders_due: set[Path] = set()
    replace = os.replace

    def fsync(fd: int) -> None:
        inode = os.fstat(fd).st_ino
        flushed.add(inode)
        for folder in [folder for folder in folders_due if not folder.exists() or folder.stat().st_ino == inode]:
            folders_due.discard(folder)

    def checked(source: str | Path, target: str | Path) -> None:
        if os.path.isfile(source) and "quarantine" not in str(target) and not str(target).endswith("prev.json"):
            assert os.stat(source).st_ino in flushed, source
        replace(source, target)
        folders_due.add(Path(target).parent)

    store, package = open_store(tmp_path), sample()
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", checked)
    monkeypatch.setattr(durable, "_sync_file_system", lambda folder: False)
    download = package.download(store)
    journal, _, _ = download.open_journal()
    package.write(download, [0])
    journal.record([0])
    journal.checkpoint(download.storage.sync)
    flushed.clear()
    package.write(download)
    download.finish()
    store.transfers.save(FULL)
    store.installs.install(package.ref, tmp_path / "mods" / "tank")
    store.installs.remove(package.ref)
    assert folders_due == set()


def test_many_files_are_flushed_by_their_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / str(n) for n in range(durable.SYNC_EACH_MAX + 1)]
    for path in paths:
        path.write_bytes(b"x")
    each: list[int] = []
    monkeypatch.setattr(os, "fsync", each.append)
    sync_files(paths)
    assert len(each) in (0, len(paths))
    sync_files(paths[:-1])
    assert len(each) in (len(paths) - 1, 2 * len(paths) - 1)


def test_one_at_a_time_through_the_gate(tmp_path: Path) -> None:
    import threading

    gates = [Gate(tmp_path / "lock"), Gate(tmp_path / "lock")]
    inside: list[int] = []
    most: list[int] = []

    def work(gate: Gate) -> None:
        for _ in range(50):
            with gate, gate:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(gates[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    with pytest.raises(StorageError), Gate(tmp_path / "no" / "lock"):
        pass
