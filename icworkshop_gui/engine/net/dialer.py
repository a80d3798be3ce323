"""Outgoing connections, so many at a time: routers choke on half-open ones, and each holds a socket."""

from __future__ import annotations

import asyncio
from typing import Final

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.net.network import Network
from icworkshop_gui.engine.net.slots import TierSlots
from icworkshop_gui.engine.net.stream import Stream

HALF_OPEN_MAX: Final = 50
"""Connection attempts in flight in the whole program."""

DIAL_TIMEOUT: Final = 10.0
"""Seconds for one attempt."""


class Dialer:
    """Dials through the network, at most `half_open_max` at once; of the rest the highest tier goes first."""

    def __init__(self, network: Network, *, half_open_max: int = HALF_OPEN_MAX, timeout: float = DIAL_TIMEOUT) -> None:
        self._network = network
        self._slots = TierSlots(half_open_max)
        self._timeout = timeout
        self._tasks: set[asyncio.Task[Stream]] = set()
        self._closed = False

    @property
    def dialing(self) -> int:
        """Attempts that wait or are in flight."""
        return len(self._tasks)

    async def dial(
        self, endpoint: Endpoint, kind: TransportKind = TransportKind.TCP, *, tier: Tier = Tier.USER_REQUESTED
    ) -> Stream:
        """Connect. OSError or TimeoutError when it does not work; cancel the caller to give up."""
        if self._closed:
            raise ConnectionAbortedError("the dialer is closed")
        task = asyncio.ensure_future(self._attempt(endpoint, kind, tier))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await task
        except asyncio.CancelledError:
            if task.done() and not task.cancelled() and task.exception() is None:
                task.result().abort()  # It connected in the very moment in which nobody wanted it any more.
            if self._closed:
                raise ConnectionAbortedError("the dialer is closed") from None
            raise

    async def _attempt(self, endpoint: Endpoint, kind: TransportKind, tier: Tier) -> Stream:
        async with self._slots.taken(tier):
            return await self._network.dial(endpoint, kind, self._timeout)

    async def aclose(self) -> None:
        """Give up every attempt."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
