"""Writes that a crash or a power cut leaves either done or not begun."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from icworkshop_gui.store.disk import storage_error

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SYNC_EACH_MAX = 32
"""Files that are flushed one by one; for more, one flush of their file system is faster (Linux)."""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut. Windows has no such call and journals them by itself."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_files(paths: Iterable[str | Path]) -> None:
    """Flush the content of these files. OSError when one is gone or the disk refuses."""
    ordered = list(paths)
    if len(ordered) > SYNC_EACH_MAX and _sync_file_system(os.path.dirname(ordered[0])):
        return
    for path in ordered:
        fd = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _sync_file_system(folder: str) -> bool:
    """syncfs(2) on the file system of `folder`; False where there is no such call."""
    if sys.platform != "linux":
        return False
    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), folder)
    finally:
        os.close(fd)
    return True


def write_file(path: Path, data: bytes) -> None:
    """Create or overwrite, flushed to the disk; not atomic. OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, data: bytes) -> None:
    """Atomically give `path` this content: temporary file, flush, rename, flush of the folder. StorageError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.new")
    try:
        try:
            write_file(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(error) from error


class Gate:
    """One at a time, among the threads of this program and among all programs that share the store.

    Held only for moments: by whoever decides which blobs a new transfer relies on, and by the sweep.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            if self._depth == 0:
                self._file = open(self._path, "ab")  # closed in __exit__, which releases the lock
                _lock_file(self._file.fileno())
            self._depth += 1
        except BaseException as error:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._lock.release()
            if isinstance(error, OSError):
                raise storage_error(error) from error
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()


def _lock_file(fd: int) -> None:
    if sys.platform == "win32":
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_LOCK, 1)
    else:
        fcntl.flock(fd, fcntl.LOCK_EX)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """OSError inside becomes StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) from error


def remove_read_only(path: str | os.PathLike[str]) -> None:
    """Delete a file even where Windows refuses because it is read-only. OSError."""
    try:
        os.unlink(path)
    except PermissionError:
        os.chmod(path, 0o644)
        os.unlink(path)


def remove_tree(folder: Path) -> None:
    """Delete a folder of ours with all that is in it, links as links. Nothing when it is not there. OSError."""
    if folder.is_symlink() or not folder.is_dir():
        with contextlib.suppress(FileNotFoundError):
            remove_read_only(folder)
        return
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            remove_tree(Path(entry.path))
        else:
            remove_read_only(entry.path)
    os.rmdir(folder)
