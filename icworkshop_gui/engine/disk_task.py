"""A long job on the disk pool that ends soon after whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from icworkshop_gui.core.errors import WorkshopError
from icworkshop_gui.store.disk import Disk

R = TypeVar("R")


async def run_job(disk: Disk, job: Callable[[Callable[[], bool]], R]) -> R:
    """`job` is handed a function that says whether it shall stop. What it raises is raised."""
    cancelled = False
    future: Future[R] = disk.submit(job, lambda: cancelled)
    waiting = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        cancelled = True
        try:
            await waiting
        except (WorkshopError, OSError):
            pass
        raise
