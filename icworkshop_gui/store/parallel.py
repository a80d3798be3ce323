"""Work that leaves the interpreter's lock alone, on all cores at once, inside a job of the disk pool."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from icworkshop_gui.store.hashing import Progress

A = TypeVar("A")
R = TypeVar("R")

THREADS_MAX = 8
"""Beyond, the disk is what is waited for."""
WINDOW = 1024
"""Items that wait for a thread at once; each costs some memory."""


def in_parallel(work: Callable[[A], R], items: Sequence[A]) -> Iterator[R]:
    """`work` of every item, in their order. What it raises is raised, once the others under way have ended.

    The threads are this call's own: a pool that waited for its own threads could wait for ever.
    """
    threads = min(THREADS_MAX, os.cpu_count() or 1, len(items))
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="icw-scan") as pool:
        try:
            for at in range(0, len(items), WINDOW):
                yield from pool.map(work, items[at : at + WINDOW])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class Sum:
    """Adds up what several threads have done, and tells."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress(self._done)
