"""Where bytes live, and one way to read and write them all."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError, StorageError, StorageFault
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.formats.create import TorrentVersion
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.store import layout_storage
from icworkshop_gui.store.hashing import Cancelled
from icworkshop_gui.store.layout import (
    Blob,
    Layout,
    Literal,
    Pad,
    PlainFile,
    StagedBlob,
    layout_of_torrent,
    whole_pieces,
)
from icworkshop_gui.store.layout_file import LayoutFile
from icworkshop_gui.store.layout_storage import LayoutContradicted, LayoutStorage
from icworkshop_gui.store.open_files import OpenFile, OpenFiles, read_at, write_at
from icworkshop_gui.store.safe_open import open_below, remove_below
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.verifier import recheck
from tests.helpers.builders import content, torrent
from tests.store.samples import blob_id, open_store, tree


def plain(*sizes: int) -> Layout:
    return Layout(PlainFile(("dir", f"{n}.bin"), size) for n, size in enumerate(sizes))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "data")
    yield opened
    opened.close()


# the map


def test_locate() -> None:
    layout = Layout([Literal(b"abc"), PlainFile(("empty",), 0), Pad(4), PlainFile(("a",), 10)])
    assert layout.total_length == 17
    assert list(layout.locate(1, 10)) == [
        (Literal(b"abc"), 1, 2),
        (Pad(4), 0, 4),
        (PlainFile(("a",), 10), 0, 4),
    ]
    assert list(layout.locate(3, 1)) == [(Pad(4), 0, 1)]
    assert list(layout.locate(17, 0)) == []
    for offset, length in ((-1, 2), (16, 2), (0, 18), (5, -1)):
        with pytest.raises(IndexError):
            list(layout.locate(offset, length))


@given(sizes=st.lists(st.integers(0, 5), max_size=8), at=st.integers(0, 20), length=st.integers(0, 20))
def test_locate_covers_every_byte_once(sizes: list[int], at: int, length: int) -> None:
    layout = plain(*sizes)
    flat = [(extent, begin) for extent in layout.extents for begin in range(extent.size)]
    if at + length <= len(flat):
        found = [(span.extent, span.begin + n) for span in layout.locate(at, length) for n in range(span.length)]
        assert found == flat[at : at + length]


def test_what_is_known() -> None:
    blob, staged = Blob(blob_id(b"1"), 30), StagedBlob(blob_id(b"2"), 25)
    layout = Layout([Literal(b"0123456789"), blob, staged, Pad(5), Literal(b"end")])
    assert layout.known_ranges() == [(0, 40), (65, 8)]
    assert whole_pieces(layout.known_ranges(), Geometry(73, 10)) == [0, 1, 2, 3, 7]
    assert whole_pieces(layout.known_ranges(), Geometry(73, 73)) == []
    assert layout.reused_size() == 30
    assert layout.staged_size() == 25
    assert Layout([staged, staged]).staged_size() == 25


# reading and writing


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 50), max_size=12),
    seed=st.integers(0, 3),
)
def test_any_writes_make_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cuts: list[int], seed: int
) -> None:
    layout = plain(*sizes)
    data = content(layout.total_length, seed)
    storage = LayoutStorage(layout, root=tmp_path_factory.mktemp("s"), files=OpenFiles(2))
    at = 0
    parts = []
    for cut in [*cuts, layout.total_length]:
        parts.append((at, data[at : at + cut]))
        at = min(at + cut, layout.total_length)
    for at, part in reversed(parts):
        storage.write(at, [part[:3], b"", bytearray(part[3:])])
    storage.sync()
    assert storage.read(0, len(data)) == data
    at = 0
    for n, size in enumerate(sizes):
        assert (storage._root / "dir" / f"{n}.bin").read_bytes() == data[at : at + size]  # type: ignore[operator]
        at += size
    storage.close()


def test_a_torrent_of_several_files(tmp_path: Path) -> None:
    files = {"a.bin": content(20_000, "a"), "sub/empty": b"", "sub/z.bin": content(50_000, "z")}
    metainfo = Metainfo.parse(torrent(files, version=TorrentVersion.HYBRID))
    storage = LayoutStorage(layout_of_torrent(metainfo.files), root=tmp_path / "down")
    assert storage.total_length == metainfo.geometry.total_length
    assert recheck(storage, metainfo.geometry, metainfo.piece_matches).is_empty
    assert not (tmp_path / "down").exists()
    whole = bytearray(storage.total_length)
    for file in metainfo.files:
        if not file.is_pad:
            whole[file.offset : file.offset + file.size] = files["/".join(file.path[1:])]
    storage.write(0, [whole])
    assert tree(tmp_path / "down" / "thing") == files
    seen: list[int] = []
    assert recheck(storage, metainfo.geometry, metainfo.piece_matches, progress=seen.append).is_full
    assert seen == list(range(1, metainfo.piece_count + 1))
    pad = next(file for file in metainfo.files if file.is_pad)
    with pytest.raises(LayoutContradicted):
        storage.write(pad.offset, [b"\0\1"])
    with pytest.raises(Cancelled):
        recheck(storage, metainfo.geometry, metainfo.piece_matches, cancel=lambda: True)
    # One byte wrong, one file short.
    (tmp_path / "down" / "thing" / "a.bin").write_bytes(b"?" + files["a.bin"][1:])
    os.truncate(tmp_path / "down" / "thing" / "sub" / "z.bin", 40_000)
    have = recheck(storage, metainfo.geometry, metainfo.piece_matches)
    assert list(have) == [1, 2, 3]
    assert list(recheck(storage, metainfo.geometry, metainfo.piece_matches, [0, 2])) == [2]
    storage.close()


def test_files_that_no_piece_touches(tmp_path: Path) -> None:
    storage = LayoutStorage(plain(0, 5, 0), root=tmp_path)
    storage.create_empty_files()
    assert tree(tmp_path) == {"dir/0.bin": b"", "dir/2.bin": b""}


def test_reading_past_what_is_there(tmp_path: Path) -> None:
    storage = LayoutStorage(plain(10, 10), root=tmp_path)
    storage.write(0, [b"01234"])
    assert storage.read(0, 5) == b"01234"
    for offset, length in ((0, 6), (10, 1)):
        with pytest.raises(StorageError) as caught:
            storage.read(offset, length)
        assert caught.value.fault is StorageFault.GONE


def test_a_file_that_is_too_long_is_cut_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "0.bin").write_bytes(b"x" * 100)
    LayoutStorage(plain(10), root=tmp_path).write(0, [b"0123456789"])
    assert tree(tmp_path) == {"dir/0.bin": b"0123456789"}


def test_nothing_is_written_when_a_later_part_is_contradicted(tmp_path: Path) -> None:
    layout = Layout([PlainFile(("a",), 4), Literal(b"good")])
    storage = LayoutStorage(layout, root=tmp_path)
    with pytest.raises(LayoutContradicted):
        storage.write(0, [b"fileevil"])
    assert tree(tmp_path) == {}
    storage.write(0, [b"filegood"])
    assert tree(tmp_path) == {"a": b"file"}


def test_blobs_are_compared_not_written(store: Store, tmp_path: Path) -> None:
    data = content(1000)
    blob = store.blobs.put_bytes(data)
    layout = Layout([Blob(blob, 1000), StagedBlob(blob_id(b"new"), 500)])
    storage = store.storage(layout, staging=tmp_path)
    storage.write(990, [data[990:], b"n" * 10])
    with pytest.raises(LayoutContradicted):
        storage.write(989, [data[990:] + b"?"])
    assert storage.read(0, 1010) == data + b"n" * 10


def test_a_staged_blob_is_sparse(store: Store, tmp_path: Path) -> None:
    blob = blob_id(b"big")
    storage = store.storage(Layout([StagedBlob(blob, 10_000_000)]), staging=tmp_path)
    storage.write(9_000_000, [b"tail"])
    assert (tmp_path / blob.hex()).stat().st_blocks * 512 < 100_000


def test_another_download_publishes_our_staged_blob(store: Store, tmp_path: Path) -> None:
    data = content(5000)
    blob = blob_id(data)
    storage = store.storage(Layout([StagedBlob(blob, 5000)]), staging=tmp_path)
    store.blobs.put_bytes(data)
    storage.write(0, [data])
    assert list(tmp_path.glob(f"*{blob.hex()}")) == []
    storage.sync()
    assert storage.read(100, 10) == data[100:110]


def test_pieces_that_cannot_be_there(tmp_path: Path) -> None:
    storage = LayoutStorage(plain(25, 0, 30, 10), root=tmp_path)
    geometry = Geometry(65, 10)
    assert storage.absent_pieces(geometry) == set(range(7))
    storage.write(0, [bytes(48)])
    assert storage.absent_pieces(geometry) == {4, 5, 6}
    storage.write(48, [bytes(17)])
    assert storage.absent_pieces(geometry) == set()
    (tmp_path / "dir" / "0.bin").unlink()
    assert storage.absent_pieces(geometry) == {0, 1, 2}


# threads and descriptors


def test_threads_and_few_descriptors(tmp_path: Path) -> None:
    layout = plain(*[100] * 40)
    data = content(4000)
    files = OpenFiles(3)
    storage = LayoutStorage(layout, root=tmp_path, files=files)
    wrong: list[int] = []

    def work(first: int) -> None:
        for at in range(first, 4000, 250):
            storage.write(at, [data[at : at + 50]])
            if storage.read(at, 50) != data[at : at + 50]:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(n * 50,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert storage.read(0, 4000) == data
    assert len(files) <= 3
    storage.close()
    assert len(files) == 0


def test_a_file_in_use_is_not_closed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"content")
    files = OpenFiles(1)
    opened: list[int] = []

    def opener() -> OpenFile:
        opened.append(os.open(path, os.O_RDONLY))
        return OpenFile(opened[-1])

    first, second = files.acquire("a", opener), files.acquire("b", opener)
    files.forget(lambda key: key == "a")
    assert read_at(first, 7, 0) == b"content"
    files.release(first)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    assert read_at(second, 7, 0) == b"content"
    files.release(second)
    files.close()


def test_without_positioned_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.delattr(os, "pwritev")
    monkeypatch.delattr(os, "pread")
    file = OpenFile(os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT))
    write_at(file, [memoryview(b"abc"), memoryview(b"def")], 2)
    assert read_at(file, 100, 1) == b"\0abcdef"
    os.close(file.fd)


def test_short_writes_and_many_buffers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = content(5000)
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, chunks, at: real(fd, [b"".join(chunks)[:7]], at))
    file = OpenFile(os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT))
    write_at(file, [memoryview(data[n : n + 5]) for n in range(0, 5000, 5)], 0)
    assert (tmp_path / "f").read_bytes() == data
    monkeypatch.setattr(os, "pwritev", lambda *_: 0)
    with pytest.raises(OSError, match="takes nothing"):
        write_at(file, [memoryview(b"x")], 0)
    os.close(file.fd)


# disks that fail


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (errno.ENOSPC, StorageFault.FULL),
        (errno.EDQUOT, StorageFault.FULL),
        (errno.EIO, StorageFault.IO),
        (errno.ENODEV, StorageFault.GONE),
        (errno.EACCES, StorageFault.DENIED),
    ],
)
def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, fault: StorageFault) -> None:
    storage = LayoutStorage(plain(10), root=tmp_path)

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", fail)
        with pytest.raises(StorageError) as caught:
            storage.write(0, [b"0123456789"])
        assert caught.value.fault is fault
    # The cause is gone: so is the error.
    storage.write(0, [b"0123456789"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        with pytest.raises(StorageError) as caught:
            storage.read(0, 10)
        assert caught.value.fault is fault
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError) as caught:
            storage.sync()
        assert caught.value.fault is fault
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    storage.sync()
    assert flushed
    flushed.clear()
    storage.sync()
    assert flushed == []


def test_the_folder_vanishes(tmp_path: Path) -> None:
    root = tmp_path / "usb" / "down"
    storage = LayoutStorage(plain(10, 10), root=root)
    storage.write(0, [b"0123456789"])
    shutil.rmtree(root)
    with pytest.raises(StorageError) as caught:
        storage.write(5, [b"56789"])
    assert caught.value.fault is StorageFault.GONE
    # Not made again behind the user's back, neither by this storage nor after a restart.
    for again in (storage, LayoutStorage(plain(10, 10), root=root, root_exists=True)):
        with pytest.raises(StorageError) as caught:
            again.write(10, [b"x"])
        assert caught.value.fault is StorageFault.GONE
    assert not root.exists()


def test_the_folder_is_moved(tmp_path: Path) -> None:
    root = tmp_path / "down"
    storage = LayoutStorage(plain(10), root=root)
    storage.write(0, [b"01234"])
    root.rename(tmp_path / "elsewhere")
    storage.write(5, [b"56789"])
    with pytest.raises(StorageError) as caught:
        storage.sync()
    assert caught.value.fault is StorageFault.GONE


def test_of_many_files_none_is_opened_again_to_be_flushed_and_one_that_went_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = OpenFiles(limit=2)
    storage = LayoutStorage(plain(*[10] * 40), root=tmp_path / "down", files=files)
    storage.write(0, [bytes(400)])
    (tmp_path / "down" / "dir" / "7.bin").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(layout_storage, "open_below", lambda *_, **__: pytest.fail("opened"))
        with pytest.raises(StorageError) as caught:
            storage.sync()
        assert caught.value.fault is StorageFault.GONE
    assert not (tmp_path / "down" / "dir" / "7.bin").exists()
    storage.write(70, [bytes(10)])
    storage.sync()
    assert (tmp_path / "down" / "dir" / "7.bin").read_bytes() == bytes(10)
    files.close()


# links that lead elsewhere


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("where", ["file", "folder", "dangling"])
def test_a_planted_symlink_is_not_followed(tmp_path: Path, where: str, write: bool) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "0.bin").write_bytes(b"precious!!")
    if where == "folder":
        (root / "dir").symlink_to(outside)
    else:
        (root / "dir").mkdir()
        (root / "dir" / "0.bin").symlink_to(outside / ("0.bin" if where == "file" else "made.bin"))
    storage = LayoutStorage(plain(10), root=root)
    with pytest.raises(StorageError) as caught:
        storage.write(0, [b"0123456789"]) if write else storage.read(0, 10)
    assert caught.value.fault is StorageFault.DENIED
    assert tree(outside) == {"0.bin": b"precious!!"}
    assert not remove_below(root, ("dir", "0.bin")) or where != "folder"
    assert tree(outside) == {"0.bin": b"precious!!"}


def test_a_symlink_on_systems_without_descriptors_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from icworkshop_gui.store import safe_open

    monkeypatch.setattr(safe_open, "_BY_DESCRIPTOR", False)
    test_a_planted_symlink_is_not_followed(tmp_path / "1", "folder", True) if (tmp_path / "1").mkdir() is None else None
    storage = LayoutStorage(plain(10), root=tmp_path / "plain")
    storage.write(0, [b"0123456789"])
    assert storage.read(3, 4) == b"3456"


def test_the_users_own_folder_may_be_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    LayoutStorage(plain(3), root=tmp_path / "link").write(0, [b"abc"])
    assert tree(tmp_path / "real") == {"dir/0.bin": b"abc"}


@pytest.mark.parametrize("path", [("..", "x"), ("a/b",), ("",), (), ("a\\b",), ("C:",), ("a\0",)])
def test_paths_that_leave_by_their_own_words(tmp_path: Path, path: tuple[str, ...]) -> None:
    with pytest.raises(FormatError):
        open_below(tmp_path, path, write=True)
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "dir" / "0.bin")
    with pytest.raises(StorageError):
        LayoutStorage(plain(10), root=tmp_path).read(0, 1)


def test_as_a_file() -> None:
    layout = Layout([Literal(b"abc"), Pad(2), Literal(b"xyz")])
    file = LayoutFile(LayoutStorage(layout))
    assert file.read() == b"abc\0\0xyz"
    assert file.read(5) == b""
    assert file.seek(-3, 2) == 5
    assert file.read(2) == b"xy"
    buffer = bytearray(4)
    assert file.seek(1) == 1
    assert file.readinto(buffer) == 4
    assert buffer == b"bc\0\0"
