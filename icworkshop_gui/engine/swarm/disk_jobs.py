"""Jobs of one swarm on the disk pool: results come back to the loop in batches, without a task for each."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from icworkshop_gui.core.priority import Tier
from icworkshop_gui.store.disk import Disk, Ranked

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("icw.swarm.disk")


class DiskJobs:
    """Submits to `Disk`, calls back on the loop. `idle()` waits until nothing is in flight."""

    def __init__(self, disk: Disk, tier: Tier) -> None:
        self._disk = disk
        self.tier = tier
        """Of the jobs from now on."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: deque[Callable[[], None]] = deque()
        self._woken = False
        self._pending = 0
        self._idle: asyncio.Event | None = None

    @property
    def pending(self) -> int:
        return self._pending

    def run(self, then: Callable[[Future[R]], None], job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Run `job` on the pool; `then` gets its finished future on the loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._pending += 1

        def finished(future: Future[R]) -> None:
            # On a pool thread. `deque.append` is atomic; a wake-up too many does no harm, one too few cannot happen:
            # `_deliver` lowers the flag before it looks.
            self._done.append(lambda: then(future))
            if not self._woken:
                self._woken = True
                assert self._loop is not None
                self._loop.call_soon_threadsafe(self._deliver)

        self._disk.submit(Ranked(self.tier, job), *args, **kwargs).add_done_callback(finished)

    def _deliver(self) -> None:
        self._woken = False
        while self._done:
            deliver = self._done.popleft()
            self._pending -= 1
            try:
                deliver()
            except Exception:
                logger.exception("a disk job's result was not taken")
        if not self._pending and self._idle is not None:
            self._idle.set()

    async def idle(self) -> None:
        """Until no job is in flight."""
        while self._pending:
            self._idle = asyncio.Event()
            await self._idle.wait()
