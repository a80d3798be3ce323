"""The bytes of one running transfer and the journal that remembers which are right: written in order, closed once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future

from icworkshop_gui.core.errors import StorageError
from icworkshop_gui.engine.content import Opened
from icworkshop_gui.store.disk import Disk

log = logging.getLogger("icw.transfer")

CHECKPOINT_SECONDS = 15.0
"""Between two flushes: what a power cut may cost in re-reading."""


class Shelf:
    """Opened content. Jobs go to the disk pool; `close` waits for all of them. On the engine's loop."""

    def __init__(self, disk: Disk, opened: Opened, now: float) -> None:
        self.storage = opened.storage
        self.journal = opened.journal
        self._disk = disk
        self._pending: set[asyncio.Future[None]] = set()
        self._checkpoint_at = now
        self._dirty = False

    def record(self, indices: Sequence[int]) -> None:
        """Note pieces that were verified and written."""
        if self.journal is not None:
            self._dirty = True
            self._track(self._disk.submit(self.journal.record, tuple(indices)))

    def tick(self, now: float) -> None:
        """Flush now and then."""
        if self._dirty and self.journal is not None and now - self._checkpoint_at >= CHECKPOINT_SECONDS:
            self._checkpoint_at, self._dirty = now, False
            self._track(self._disk.submit(self.journal.checkpoint, self.storage.sync))

    def _track(self, future: Future[None]) -> None:
        waiting = asyncio.wrap_future(future)
        self._pending.add(waiting)
        waiting.add_done_callback(self._done)

    def _done(self, finished: asyncio.Future[None]) -> None:
        """A failure costs a re-read later, and the next write meets the same disk and says so."""
        self._pending.discard(finished)
        if not finished.cancelled() and (error := finished.exception()) is not None:
            log.info("event=journal-failed: %s", error)

    async def settle(self) -> None:
        """Until nothing is under way."""
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def flush(self) -> None:
        """Everything recorded survives a power cut. StorageError."""
        await self.settle()
        if self.journal is not None:
            await asyncio.wrap_future(self._disk.submit(self.journal.checkpoint, self.storage.sync))

    async def rest(self) -> None:
        """After the last write: close every file. What is read opens its file again."""
        await self.settle()
        await asyncio.wrap_future(self._disk.submit(self._close))
        self.journal = None

    async def close(self) -> None:
        """Flush as far as the disk lets, then close. Raises nothing."""
        try:
            await self.flush()
        except StorageError as error:
            log.info("event=checkpoint-failed: %s", error)
        await asyncio.wrap_future(self._disk.submit(self._close))

    def _close(self) -> None:
        if self.journal is not None:
            self.journal.close()
        self.storage.close()
