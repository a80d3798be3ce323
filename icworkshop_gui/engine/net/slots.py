"""So many at once; of those who wait, the highest tier goes first, and within one the first who came."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from icworkshop_gui.core.priority import Tier


class TierSlots:
    """A semaphore with an order."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = 0

    @asynccontextmanager
    async def taken(self, tier: Tier) -> AsyncIterator[None]:
        """Wait for a slot, and give it back at the end."""
        await self._acquire(tier)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, tier: Tier) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._waiting, (-tier, self._number, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # It was given in the very moment in which nobody wanted it any more.
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
