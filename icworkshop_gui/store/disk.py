"""Where blocking disk and hash work runs: bounded thread pools whose jobs return values.

Synchronous storage on threads, because positioned writes and SHA release the interpreter's lock, because
one job moves a whole piece (so the hop costs little), and because a simulation can run the jobs inline.
"""

from __future__ import annotations

import errno
import functools
import heapq
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import MIB

P = ParamSpec("P")
R = TypeVar("R")


class Disk(Protocol):
    """Runs jobs that block. A job that fails on the disk raises StorageError through its future."""

    def submit(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...

    def close(self) -> None:
        """Wait for what runs, refuse what comes."""
        ...


class Ranked(Generic[P, R]):
    """A job that says for whom it is. What is submitted without is for the user."""

    __slots__ = ("job", "tier")

    def __init__(self, tier: Tier, job: Callable[P, R]) -> None:
        self.tier = tier
        self.job = job

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.job(*args, **kwargs)


class ThreadDisk:
    """Production: one pool for disk and hashing. The highest tier goes first; one thread is never for the background,
    whose jobs may be long (a package of gigabytes is hashed at once)."""

    def __init__(self, threads: int | None = None) -> None:
        count = threads or min(8, max(2, os.cpu_count() or 2))
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="icw-disk")
        self._background_max = max(1, count - 1)
        self._background = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, int, Future[Any], Callable[[], Any]]] = []
        self._number = 0

    def submit(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        tier = job.tier if isinstance(job, Ranked) else Tier.USER_REQUESTED
        future: Future[R] = Future()
        with self._lock:
            self._number += 1
            turn: tuple[int, int, Future[Any], Callable[[], Any]]
            turn = (-tier, self._number, future, functools.partial(job, *args, **kwargs))
            heapq.heappush(self._waiting, turn)
        # A thread takes what is first then, which may be another job: there are as many turns as jobs.
        self._pool.submit(self._work)
        return future

    def _work(self) -> None:
        while (item := self._take()) is not None:
            rank, _number, future, job = item
            try:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(job())
                    except BaseException as error:
                        future.set_exception(error)
            finally:
                # Neither job nor result may live on in this frame while the thread waits.
                del item, future, job
                if rank == -Tier.BACKGROUND:
                    with self._lock:
                        self._background -= 1

    def _take(self) -> tuple[int, int, Future[Any], Callable[[], Any]] | None:
        with self._lock:
            if not self._waiting:
                return None
            if self._waiting[0][0] == -Tier.BACKGROUND:
                if self._background >= self._background_max:
                    return None  # whoever does one of them now takes this one next
                self._background += 1
            return heapq.heappop(self._waiting)

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
