"""Storage over a Layout: the one way to read, write and seed a torrent, whatever its bytes live in (DESIGN §3)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import count
from pathlib import Path

from icworkshop_gui.core.errors import IntegrityError, StorageError, StorageFault
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.store.blobs import BlobStore
from icworkshop_gui.store.disk import storage_error
from icworkshop_gui.store.durable import disk_errors, sync_files, sync_folder
from icworkshop_gui.store.layout import Blob, Extent, Layout, Literal, Pad, PlainFile, Span, StagedBlob
from icworkshop_gui.store.open_files import OpenFile, OpenFiles, read_at, write_at
from icworkshop_gui.store.safe_open import open_below
from icworkshop_gui.store.storage import Buffer

log = logging.getLogger("icw.store")

_numbers = count()
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class LayoutContradicted(IntegrityError):
    """Verified bytes differ from a literal, a pad or a stored blob: the skeleton describes another package.

    Nothing was written. A package download goes on by `PackageDownload.keep_whole`.
    """


class LayoutStorage:
    """Implements `storage.Storage`. Thread-safe; open files are bounded by `files`.

    Blobs are never written: a write over one is compared with it.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        blobs: BlobStore | None = None,
        staging: Path | None = None,
        root: Path | None = None,
        files: OpenFiles | None = None,
        root_exists: bool = False,
    ) -> None:
        """`root` is the folder of plain files; with `root_exists` it is never made, only found.

        Set it for a transfer that has bytes there already: the empty mount point of a disk that was pulled out
        must not be filled as if it were the disk.
        """
        self.layout = layout
        self._blobs = blobs
        self._staging = staging
        self._root = root
        self._files = OpenFiles() if files is None else files
        self._owns_files = files is None
        self._number = next(_numbers)
        self._lock = threading.Lock()
        self._root_exists = root_exists
        self._unsynced: set[StagedBlob | PlainFile] = set()
        self._empty_made = False

    @property
    def total_length(self) -> int:
        return self.layout.total_length

    # reading

    def read(self, offset: int, length: int) -> bytes:
        parts = [self._read(*span) for span in self.layout.locate(offset, length)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, extent: Extent, begin: int, length: int) -> bytes:
        # Once per block that is sent: the frequent kinds first, and no context managers.
        if isinstance(extent, Blob):
            return self._store().read(extent.blob, begin, length)
        if isinstance(extent, Literal):
            return extent.data[begin : begin + length]
        if isinstance(extent, Pad):
            return bytes(length)
        try:
            file = self._acquire(extent, write=False)
        except StorageError as error:
            # Published meanwhile: the download is finished and its swarm goes on seeding.
            if error.fault is StorageFault.GONE and isinstance(extent, StagedBlob) and self._is_stored(extent.blob):
                return self._store().read(extent.blob, begin, length)
            raise
        try:
            data = read_at(file, length, begin)
        except OSError as error:
            raise storage_error(error) from error
        finally:
            self._files.release(file)
        if len(data) != length:
            raise StorageError(StorageFault.GONE, self._describe(extent), "past the end")
        return data

    def absent_pieces(self, geometry: Geometry) -> set[int]:
        """Pieces that reach past the end of a file or into a missing one, so cannot be there whatever a journal says.

        Looks at names and sizes only. StorageError.
        """
        absent: set[int] = set()
        offset = 0
        for extent in self.layout.extents:
            if isinstance(extent, StagedBlob | PlainFile) and extent.size:
                try:
                    size = min(os.stat(self._place(extent), follow_symlinks=False).st_size, extent.size)
                except (FileNotFoundError, NotADirectoryError):
                    size = 0
                except OSError as error:
                    raise storage_error(error) from error
                absent.update(geometry.pieces_of(offset + size, extent.size - size))
            offset += extent.size
        return absent

    # writing

    def write(self, offset: int, chunks: Sequence[Buffer]) -> None:
        """Raises LayoutContradicted besides StorageError."""
        views = [memoryview(chunk).cast("B") for chunk in chunks]
        parts = _cut(self.layout.locate(offset, sum(map(len, views))), views)
        to_files = [(extent, begin, part) for extent, begin, part in parts if not self._compared(extent, begin, part)]
        if not self._empty_made:
            self.create_empty_files()
        for extent, begin, part in to_files:
            self._write(extent, begin, part)

    def _compared(self, extent: Extent, begin: int, chunks: list[memoryview]) -> bool:
        """True when the bytes were there before, the same; False when they must be written."""
        match extent:
            case Literal(data):
                # Joined, for views are compared byte by byte in a loop, and bytes are not.
                told = b"".join(chunks)
                if data[begin : begin + len(told)] != told:
                    raise LayoutContradicted("a literal of the skeleton is wrong")
                return True
            case Pad():
                if b"".join(chunks).strip(b"\0"):
                    raise LayoutContradicted("padding that is not zero")
                return True
            case Blob(blob):
                told = b"".join(chunks)
                if self._store().read(blob, begin, len(told)) != told:
                    raise LayoutContradicted(f"blob {blob} is not where the skeleton says")
                return True
            case StagedBlob(blob, size):
                # Published meanwhile by another transfer of the same file, or by this one's finish.
                if not os.path.lexists(self._staged_path(blob)) and self._is_stored(blob):
                    return self._compared(Blob(blob, size), begin, chunks)
                return False
            case PlainFile():
                return False

    def _write(self, extent: Extent, begin: int, chunks: list[memoryview]) -> None:
        assert isinstance(extent, StagedBlob | PlainFile)
        # Before the write: a sync that starts in between flushes a little too much, never too little.
        with self._lock:
            self._unsynced.add(extent)
        file = self._acquire(extent, write=True)
        try:
            write_at(file, chunks, begin)
            vanished = os.fstat(file.fd).st_nlink == 0
        except OSError as error:
            raise storage_error(error) from error
        finally:
            self._files.release(file)
        if vanished:
            self._forget(extent)
            raise StorageError(StorageFault.GONE, self._describe(extent), "deleted while open")

    def create_empty_files(self) -> None:
        """Make the plain files of no bytes, which no piece touches. `write` does it; for a torrent that needs
        no write it is the caller's to ask for."""
        for extent in self.layout.extents:
            if isinstance(extent, PlainFile) and extent.size == 0:
                self._files.release(self._acquire(extent, write=True))
        self._empty_made = True

    # durability

    def sync(self) -> None:
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
        try:
            with disk_errors():
                in_place = [(extent, path) for extent in unsynced if (path := self._in_place(extent)) is not None]
                sync_files([path for _, path in in_place])
                for folder in self._folders(extent for extent, _ in in_place):
                    sync_folder(folder)
        except BaseException:
            with self._lock:
                self._unsynced |= unsynced
            raise

    def _in_place(self, extent: StagedBlob | PlainFile) -> str | None:
        """The path to flush; None when its bytes were published, which flushed them. OSError, StorageError(GONE).

        A folder that was moved or replaced takes its open files along: what they hold is not where we look.
        """
        path = self._place(extent)
        if isinstance(extent, StagedBlob):
            if not os.path.lexists(path) and self._is_stored(extent.blob):
                return None
            return path
        file = self._files.opened((self._number, extent.path, True))
        try:
            there = os.stat(path, follow_symlinks=False).st_ino
            moved = file is not None and os.fstat(file.fd).st_ino != there
        except FileNotFoundError:
            moved = True
        finally:
            if file is not None:
                self._files.release(file)
        if moved:
            self._forget(extent)
            raise StorageError(StorageFault.GONE, path, "moved while open")
        return path

    def _folders(self, extents: Iterable[StagedBlob | PlainFile]) -> set[Path]:
        """The folders whose names the files rely on, down from the root."""
        folders: set[Path] = set()
        branches: set[tuple[str, ...]] = set()
        for extent in extents:
            if isinstance(extent, StagedBlob):
                folders.update(() if self._staging is None else (self._staging,))
            else:
                branches.update(extent.path[:depth] for depth in range(len(extent.path)))
        return folders | {self._folder().joinpath(*branch) for branch in branches}

    def close(self) -> None:
        """Close what is open. Does not sync."""
        number = self._number
        self._files.forget(lambda key: isinstance(key, tuple) and key[0] == number)
        if self._owns_files:
            self._files.close()

    # files

    def _acquire(self, extent: StagedBlob | PlainFile, *, write: bool) -> OpenFile:
        opener: Callable[[], OpenFile]
        key: Hashable
        match extent:
            case StagedBlob(blob):
                # One descriptor for both: staged files are read back while they are written.
                key = (self._number, blob)
                path = self._staged_path(blob)

                def opener() -> OpenFile:
                    return OpenFile(os.open(path, os.O_RDWR | (os.O_CREAT if write else 0) | _BINARY, 0o644))

            case PlainFile(elements, size):
                key = (self._number, elements, write)

                def opener() -> OpenFile:
                    return self._open_plain(elements, size, write=write)

        try:
            return self._files.acquire(key, opener)
        except OSError as error:
            raise storage_error(error) from error

    def _open_plain(self, elements: tuple[str, ...], size: int, *, write: bool) -> OpenFile:
        root = self._folder()
        if write and self._root_exists and not root.is_dir():
            raise StorageError(StorageFault.GONE, str(root))
        fd = open_below(root, elements, write=write)
        self._root_exists = True
        if write and os.fstat(fd).st_size > size:
            os.ftruncate(fd, size)
        return OpenFile(fd)

    def _forget(self, extent: StagedBlob | PlainFile) -> None:
        # Keys hold what has its hash at hand, for they are made for every write.
        prefix = (self._number, extent.blob if isinstance(extent, StagedBlob) else extent.path)
        self._files.forget(lambda key: isinstance(key, tuple) and key[:2] == prefix)

    def _place(self, extent: StagedBlob | PlainFile) -> str:
        """As text: a Path costs more than the system call that it is made for, and there may be thousands."""
        if isinstance(extent, StagedBlob):
            return os.fspath(self._staged_path(extent.blob))
        return os.path.join(self._folder(), *extent.path)

    def _describe(self, extent: Extent) -> str:
        return self._place(extent) if isinstance(extent, StagedBlob | PlainFile) else ""

    def _staged_path(self, blob: BlobId) -> Path:
        assert self._staging is not None, "a layout with staged blobs needs a staging folder"
        return self._staging / blob.hex()

    def _folder(self) -> Path:
        assert self._root is not None, "a layout with plain files needs a folder"
        return self._root

    def _is_stored(self, blob: BlobId) -> bool:
        return self._blobs is not None and self._blobs.has(blob)

    def _store(self) -> BlobStore:
        assert self._blobs is not None, "a layout with blobs needs a store"
        return self._blobs


def _cut(spans: Iterable[Span], chunks: list[memoryview]) -> list[tuple[Extent, int, list[memoryview]]]:
    """The chunks cut where the extents end: (extent, begin in it, what goes there)."""
    parts: list[tuple[Extent, int, list[memoryview]]] = []
    queue = iter(chunks)
    rest = memoryview(b"")
    for extent, begin, length in spans:
        part: list[memoryview] = []
        while length:
            while not rest:
                rest = next(queue)
            part.append(rest[:length])
            length -= len(part[-1])
            rest = rest[len(part[-1]) :]
        parts.append((extent, begin, part))
    return parts
