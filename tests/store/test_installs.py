"""Installed files, removal, undo, damage, and the sweep."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import NotFound, StorageError, StorageFault
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.store import clone
from icworkshop_gui.store.clone import FileMaker, How, WhyCopy
from icworkshop_gui.store.hashing import Cancelled
from icworkshop_gui.store.layout import whole_pieces
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.sweep import GRACE, QUARANTINE_KEEP, UNDO_WINDOW, free, sweep
from tests.helpers.builders import content
from tests.store.samples import FILES, T1, WALL, open_store, sample, tree

T2 = TransferId("t2")
LATER = WALL * 2
NEWER = {**FILES, "assets/fire.ogg": content(70_000, "louder")}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, wall=lambda: WALL)
    yield opened
    opened.close()


def files_in(folder: Path) -> dict[str, bytes]:
    found = tree(folder)
    found.pop("manifest.yaml", None)
    return found


@pytest.mark.parametrize("ways", [(How.LINK,), (How.COPY,), clone.EVERY_WAY])
def test_ways(store: Store, tmp_path: Path, ways: tuple[How, ...]) -> None:
    package = sample()
    package.fetch(store)
    target = tmp_path / "mods" / "tank"
    how = store.installs.install(package.ref, target, ways=ways)
    assert how in ways
    assert files_in(target) == package.files
    assert not any(path.is_symlink() for path in target.rglob("*"))
    blob = store.blobs.path(package.skeleton.files[-1].sha256)
    installed = target / package.skeleton.files[-1].path
    assert os.path.samefile(blob, installed) == (how is How.LINK)
    record = store.packages.get(package.ref)
    assert (record.folder, record.how, record.installed_at) == (str(target), how.value, WALL)
    assert store.installs.verify(package.ref).bad == ()


def test_a_file_system_that_can_link_no_more(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_of_links(*_: object, **__: object) -> None:
        raise OSError(errno.EMLINK, "too many links")

    package = sample()
    package.fetch(store)
    monkeypatch.setattr(os, "link", full_of_links)
    assert store.installs.install(package.ref, tmp_path / "tank", ways=(How.LINK, How.COPY)) is How.COPY
    with pytest.raises(OSError, match="too many"):
        FileMaker((How.LINK,)).make(store.blobs.path(package.skeleton.files[0].sha256), tmp_path / "x")


@pytest.mark.parametrize(
    ("code", "why", "tries"),
    [
        (errno.EXDEV, WhyCopy.OTHER_DISK, 1),
        (errno.EPERM, WhyCopy.NO_LINKS, 1),
        (errno.EOPNOTSUPP, WhyCopy.NO_LINKS, 1),
        (errno.EACCES, WhyCopy.DENIED, 5),
        (errno.EMLINK, WhyCopy.TOO_MANY, 5),
    ],
)
def test_why_a_copy_was_needed_is_remembered(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, why: WhyCopy, tries: int
) -> None:
    count = 0

    def refuse(*_: object, **__: object) -> None:
        nonlocal count
        count += 1
        raise OSError(code, "no")

    package = sample()
    package.fetch(store)
    monkeypatch.setattr(os, "link", refuse)
    assert store.installs.install(package.ref, tmp_path / "tank", ways=(How.LINK, How.COPY)) is How.COPY
    assert store.packages.get(package.ref).why_copied == why
    assert (count == 1) == (tries == 1)  # what the file system cannot do is tried once, not for every file
    assert files_in(tmp_path / "tank") == package.files
    monkeypatch.undo()
    store.installs.install(package.ref, tmp_path / "tank", ways=(How.LINK, How.COPY))
    assert store.packages.get(package.ref).why_copied == ""


def bytes_below(*folders: Path) -> int:
    """Each file once, however many names it has."""
    stats = [path.stat() for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}.values())


@pytest.mark.parametrize("ways", [(How.LINK,), (How.COPY,)])
def test_what_a_removal_is_said_to_free_it_frees(store: Store, tmp_path: Path, ways: tuple[How, ...]) -> None:
    old, new = sample(), sample(NEWER, "alice/tank-sounds@1.3.0")
    for package, transfer in ((old, T1), (new, T2)):
        package.fetch(store, transfer)
        store.installs.install(package.ref, tmp_path / "mods" / package.ref.version, ways=ways)
    for refs in ((new.ref,), (old.ref,)):
        said = store.packages.unique_bytes(*refs)
        before = bytes_below(store.paths.blobs, tmp_path / "mods")
        for ref in refs:
            blobs = store.packages.blobs_of(ref)
            store.installs.remove(ref)
            store.installs.purge(ref)
            free(store, blobs)
        assert before - bytes_below(store.paths.blobs, tmp_path / "mods") == said > 0


def test_a_package_that_came_compressed_takes_its_room_twice_and_says_so(store: Store, tmp_path: Path) -> None:
    text = b"much the same, " * 20_000
    package = sample({"readme.txt": text}, compressed=True)
    package.fetch(store)
    assert store.installs.install(package.ref, tmp_path / "tank") is How.COPY
    record = store.packages.get(package.ref)
    assert record.why_copied == WhyCopy.PACKED
    assert record.copied >= len(text)


def test_files_of_others_may_not_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "protected_hardlinks")

    blob = tmp_path / "blob"
    blob.write_bytes(b"x")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: blob.stat().st_uid + 1)
    maker = FileMaker((How.LINK, How.COPY))
    assert maker.make(blob, tmp_path / "x") is How.COPY
    assert maker.why is WhyCopy.DENIED


def test_a_real_error_is_not_taken_for_a_missing_ability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blob").write_bytes(b"x")

    def broken(*_: object, **__: object) -> None:
        raise OSError(5, "I/O error")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(OSError, match="I/O"):
        FileMaker((How.LINK, How.COPY)).make(tmp_path / "blob", tmp_path / "x")


def test_cancelled_and_failed_installs_leave_what_was_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = sample()
    package.fetch(store)
    target = tmp_path / "mods" / "tank"
    with pytest.raises(Cancelled):
        store.installs.install(package.ref, target, cancel=lambda: True)
    assert list(target.parent.iterdir()) == []
    store.installs.install(package.ref, target)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(clone, "_reflink", full)
    with pytest.raises(StorageError) as caught:
        store.installs.install(package.ref, target)
    assert caught.value.fault is StorageFault.FULL
    assert files_in(target) == package.files
    assert store.packages.get(package.ref).is_installed


def test_an_update_in_place_keeps_what_the_player_put_there(store: Store, tmp_path: Path) -> None:
    old, new = sample({**FILES, "old.txt": b"old"}), sample(NEWER, "alice/tank-sounds@1.3.0")
    old.fetch(store)
    new.fetch(store, T2)
    target = tmp_path / "mods" / "tank"
    store.installs.install(old.ref, target)
    (target / "assets" / "mine").mkdir()
    (target / "assets" / "mine" / "save.dat").write_bytes(b"mine")
    store.installs.install(new.ref, target)
    assert files_in(target) == {**new.files, "assets/mine/save.dat": b"mine"}
    # The old release owns nothing there any more.
    store.installs.remove(old.ref)
    assert files_in(target) == {**new.files, "assets/mine/save.dat": b"mine"}
    store.installs.remove(new.ref)
    assert tree(target) == {"assets/mine/save.dat": b"mine"}
    store.installs.undo_remove(new.ref)
    assert files_in(target) == {**new.files, "assets/mine/save.dat": b"mine"}


def test_something_else_in_the_place_of_the_folder(store: Store, tmp_path: Path) -> None:
    package = sample()
    package.fetch(store)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "file").write_bytes(b"mine")
    for name in ("link", "file"):
        with pytest.raises(StorageError):
            store.installs.install(package.ref, tmp_path / name)
    assert list(outside.iterdir()) == []
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_removal_does_not_follow_a_symlink(store: Store, tmp_path: Path) -> None:
    package = sample()
    package.fetch(store)
    target, outside = tmp_path / "tank", tmp_path / "outside"
    store.installs.install(package.ref, target)
    (target / "assets").rename(outside)
    (target / "assets").symlink_to(outside)
    store.installs.remove(package.ref)
    assert set(tree(outside)) == {"empty.txt", "fire.ogg", "idle.ogg", "idle-again.ogg"}


def test_removing_one_of_two_that_share(store: Store, tmp_path: Path) -> None:
    old, new = sample(), sample(NEWER, "alice/tank-sounds@1.3.0")
    old.fetch(store)
    new.fetch(store, T2)
    assert store.packages.unique_bytes(old.ref) == store.packages.unique_bytes(new.ref) == 70_000
    store.installs.remove(old.ref)
    assert [record.ref for record in store.packages.list()] == [new.ref]
    assert store.packages.find(old.ref) is None
    # Undone within the window, a sweep notwithstanding.
    assert sweep(store, WALL + UNDO_WINDOW - 1, grace=-1e12).blobs == 0
    store.installs.undo_remove(old.ref)
    assert store.packages.seed_storage(old.ref).read(0, len(old.data)) == old.data
    store.installs.remove(old.ref)
    report = sweep(store, LATER)
    assert (report.packages, report.blobs, report.freed) == (1, 1, 70_000)
    assert store.packages.seed_storage(new.ref).read(0, len(new.data)) == new.data
    with pytest.raises(NotFound):
        store.packages.get(old.ref)
    with pytest.raises(NotFound):
        store.installs.undo_remove(old.ref)


def test_removal_survives_a_restart(store: Store, tmp_path: Path) -> None:
    package = sample()
    package.fetch(store)
    store.installs.remove(package.ref)
    again = open_store(tmp_path)
    assert again.packages.list() == ()
    assert [record.ref for record in again.packages.removed()] == [package.ref]
    again.close()


def test_downloading_a_removed_package_again_brings_it_back(store: Store) -> None:
    package = sample()
    package.fetch(store)
    store.installs.remove(package.ref)
    assert package.fetch(store, T2).removed_at is None
    assert sweep(store, LATER).packages == 0


def test_the_sweep_beside_a_download(store: Store) -> None:
    """The package that a download reuses blobs of goes meanwhile."""
    old, new = sample(), sample(NEWER, "alice/tank-sounds@1.3.0")
    old.fetch(store)
    store.transfers.make_folder(T2)
    download = new.download(store, T2)
    new.write(download, [0])
    store.installs.remove(old.ref)
    report = sweep(store, LATER)
    assert (report.packages, report.freed) == (1, 70_000)
    new.write(download)
    download.finish()
    assert store.packages.seed_storage(new.ref).read(0, len(new.data)) == new.data


def test_a_sweep_that_never_rests_takes_nothing_that_an_installation_needs(store: Store, tmp_path: Path) -> None:
    """While packages that share files come and go. Young blobs are safe; that is what the grace is for."""
    over = threading.Event()
    rounds: list[int] = []

    def sweep_on() -> None:
        while not over.is_set():
            rounds.append(sweep(store, time.time(), grace=30, undo_window=0).packages)

    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(sweep_on)
        try:
            for turn in range(12):
                files = {**FILES, "own.bin": content(40_000, turn), "next.bin": content(40_000, turn + 1)}
                package = sample(files, f"alice/pack-{turn}@1.0.0")
                transfer = TransferId(f"t{turn}")
                store.transfers.make_folder(transfer)
                package.fetch(store, transfer)
                store.transfers.delete(transfer)
                folder = tmp_path / "mods" / str(turn)
                store.installs.install(package.ref, folder)
                if turn:
                    store.installs.remove(PackageRef("alice", f"pack-{turn - 1}", "1.0.0"))
                assert files_in(folder) == package.files
                assert store.installs.verify(package.ref).bad == ()
        finally:
            over.set()
        sweeping.result()
    assert len(rounds) > 1
    # Removed at WALL, which the clock has not reached: their time comes now, and that of their blobs.
    last = sweep(store, max(time.time(), WALL) + 60, undo_window=0, grace=30)
    assert (last.packages + sum(rounds), last.blobs > 0) == (11, True)
    assert {blob for blob, _ in store.blobs.entries()} == store.index.needed_blobs()


def test_what_is_young_stays(store: Store) -> None:
    blob = store.blobs.put_bytes(b"just now")
    assert sweep(store, time.time() + GRACE - 10).blobs == 0
    assert store.blobs.has(blob)
    assert sweep(store, time.time() + GRACE + 10).blobs == 1


def test_staged_bytes_of_forgotten_transfers_go(store: Store) -> None:
    package = sample()
    package.write(package.download(store))
    assert sweep(store, 0.0).downloads == 0
    store.transfers.make_folder(T1)
    assert sweep(store, LATER).downloads == 0
    store.transfers.delete(T1)
    assert sweep(store, LATER).downloads == 1
    assert list(store.paths.staging.iterdir()) == []


@pytest.mark.logs
def test_quarantine_and_litter_go_in_the_end(store: Store, tmp_path: Path) -> None:
    blob = store.blobs.put_bytes(b"to be spoilt")
    path = store.blobs.path(blob)
    path.chmod(0o644)
    path.write_bytes(b"spoilt")
    os.utime(path, (1, 1))
    assert not store.blobs.has(blob)
    (store.paths.blobs / ".half.new").write_bytes(b"x")
    (store.paths.packages / ".aside").mkdir()
    assert store.usage().quarantine > 0
    sweep(store, time.time())
    assert len(list(store.paths.quarantine.iterdir())) == 1
    sweep(store, time.time() + QUARANTINE_KEEP + 10)
    assert list(store.paths.quarantine.iterdir()) == []
    assert [path.name for path in store.paths.packages.iterdir()] == [".aside"]
    assert list(store.paths.blobs.glob(".*")) == []


# damage and repair


@pytest.mark.logs
def test_a_damaged_blob_is_reported_and_repaired(tmp_path: Path) -> None:
    told: list[tuple[object, tuple[PackageRef, ...]]] = []
    store = open_store(tmp_path, on_damage=lambda blob, refs: told.append((blob, refs)))
    package = sample()
    package.fetch(store)
    target = tmp_path / "mods" / "tank"
    store.installs.install(package.ref, target, ways=(How.LINK,))
    # A game writes into a file that is the blob itself.
    fire = target / "assets" / "fire.ogg"
    fire.chmod(0o644)
    fire.write_bytes(b"edited")
    blob = next(file.sha256 for file in package.skeleton.files if file.path == "assets/fire.ogg")
    with pytest.raises(StorageError) as caught:
        store.packages.seed_storage(package.ref).read(0, len(package.data))
    assert caught.value.fault is StorageFault.CHANGED
    assert told == [(blob, (package.ref,))]
    assert store.packages.get(package.ref).damaged
    check = store.installs.verify(package.ref)
    assert (check.bad, check.lost) == (("assets/fire.ogg",), (blob,))
    download = package.download(store, T2)
    assert download.layout.staged_size() == 70_000
    have = whole_pieces(download.layout.known_ranges(), package.metainfo.geometry)
    package.write(download, [n for n in range(package.metainfo.piece_count) if n not in have])
    assert not download.finish().damaged
    store.installs.install(package.ref, target)
    assert files_in(target) == package.files
    assert store.installs.verify(package.ref).bad == ()
    store.close()


def test_a_damaged_copy_is_found_and_made_again(store: Store, tmp_path: Path) -> None:
    package = sample()
    package.fetch(store)
    target = tmp_path / "tank"
    store.installs.install(package.ref, target, ways=(How.COPY,))
    data = bytearray((target / "assets" / "fire.ogg").read_bytes())
    data[5] ^= 1
    (target / "assets" / "fire.ogg").write_bytes(data)
    (target / "README.md").unlink()
    (target / "manifest.yaml").write_bytes(b"x" * len(store.packages.manifest(package.ref)))
    (target / "assets" / "idle.ogg").unlink()
    (target / "assets" / "idle.ogg").symlink_to(target / "assets" / "idle-again.ogg")
    seen: list[int] = []
    check = store.installs.verify(package.ref, progress=seen.append)
    assert check.bad == ("README.md", "assets/fire.ogg", "assets/idle.ogg", "manifest.yaml")
    assert check.lost == ()
    assert seen == sorted(seen)
    store.installs.install(package.ref, target)
    assert store.installs.verify(package.ref).bad == ()
    with pytest.raises(Cancelled):
        store.installs.verify(package.ref, cancel=lambda: True)


def test_usage(store: Store) -> None:
    package = sample()
    package.fetch(store)
    other = sample(NEWER, "alice/tank-sounds@1.3.0")
    other.write(other.download(store, T2), [0])
    usage = store.usage()
    assert usage.blobs == sum({data: len(data) for data in FILES.values()}.values())
    assert 0 < usage.staging <= 200_000
    assert usage.quarantine == 0
    assert usage.free > 0
    store.discard_transfer(T2)
    assert store.usage().staging == 0
