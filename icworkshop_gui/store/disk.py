"""Where blocking disk and hash work runs: bounded thread pools whose jobs return values.

Synchronous storage on threads, because positioned writes and SHA release the interpreter's lock, because
one job moves a whole piece (so the hop costs little), and because a simulation can run the jobs inline.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.units import MIB

P = ParamSpec("P")
R = TypeVar("R")


class Disk(Protocol):
    """Runs jobs that block. A job that fails on the disk raises StorageError through its future."""

    def submit(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...

    def close(self) -> None:
        """Wait for what runs, refuse what comes."""
        ...


class ThreadDisk:
    """Production: one pool for disk and hashing."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads or min(8, max(2, os.cpu_count() or 2)), thread_name_prefix="icw-disk")

    def submit(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        return self._pool.submit(job, *args, **kwargs)

    def close(self) -> None:
        self._pool.shutdown(wait=True)


_FAULTS = {
    errno.ENOSPC: StorageFault.FULL,
    errno.EDQUOT: StorageFault.FULL,
    errno.ENOENT: StorageFault.GONE,
    errno.ENOTDIR: StorageFault.GONE,
    errno.ENODEV: StorageFault.GONE,
    errno.ENXIO: StorageFault.GONE,
    errno.ESTALE: StorageFault.GONE,
    errno.EROFS: StorageFault.GONE,
    errno.EACCES: StorageFault.DENIED,
    errno.EPERM: StorageFault.DENIED,
    errno.ELOOP: StorageFault.DENIED,
    errno.EISDIR: StorageFault.DENIED,
}


def storage_error(error: OSError) -> StorageError:
    """The StorageError that an OSError of a disk operation means."""
    fault = _FAULTS.get(error.errno or 0, StorageFault.IO)
    return StorageError(fault, str(error.filename or ""), error.strerror or str(error))


SPACE_RESERVE = 64 * MIB
"""Bytes that a download leaves free, so that the system and our own small files can still be written."""


def free_space(path: Path) -> int:
    """Bytes that this user can still write on the disk of `path`, which need not exist yet. StorageError."""
    for folder in (path, *path.parents):
        try:
            return shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError as error:
            raise storage_error(error) from error
    raise StorageError(StorageFault.GONE, str(path))


def require_space(path: Path, needed: int, *, reserve: int = SPACE_RESERVE) -> None:
    """Nothing when `needed` bytes fit on the disk of `path`; else StorageError(FULL), `detail` "needed free"."""
    free = free_space(path)
    if needed > 0 and needed + reserve > free:
        raise StorageError(StorageFault.FULL, str(path), f"{needed} {free}")
