"""Looking for the peers of one transfer in the DHT, and being found there, again and again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.discovery.dht import Dht
from icworkshop_gui.engine.discovery.pace import AnnouncePace
from icworkshop_gui.engine.discovery.usable import is_usable
from icworkshop_gui.engine.world import World

INTERVAL: Final = 15 * 60.0
"""Seconds between two searches; nodes keep a peer for 30 minutes at the least (BEP 5)."""
RETRY_FIRST: Final = 60.0
"""Seconds until the next one after nobody was found; each further time twice as long, up to `INTERVAL`."""
ASK_MIN: Final = 30.0
"""Seconds between two searches at the least, whoever asks."""
JITTER: Final = 0.1
"""Part of an interval by which the next search comes later, drawn anew each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtStatus:
    """For the Sources tab."""

    searches: int
    """Ended so far."""
    peers: int
    """How many the last one found."""
    next_in: float | None
    """Seconds until the next one; None while one runs, or none can."""


class DhtAnnouncer:
    """Searches from `start` until `stop`. On the engine's loop; `on_peers` must not raise."""

    def __init__(
        self,
        world: World,
        dht: Dht,
        info_hash: InfoHash,
        port: Callable[[], int],
        on_peers: Callable[[Sequence[Endpoint]], None],
        *,
        allow_private: bool,
        pace: AnnouncePace | None = None,
    ) -> None:
        """`port`: TCP, 0 while not listening: then nothing is announced. `pace`: as of `TrackerAnnouncer`."""
        self.pace = pace
        self._world = world
        self._dht = dht
        self._info_hash = info_hash
        self._port = port
        self._on_peers = on_peers
        self._allow_private = allow_private
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._began_at = -math.inf
        self._next_at: float | None = None
        self._found: set[Endpoint] = set()
        self._searches = 0
        self._peers = 0

    @property
    def is_on(self) -> bool:
        """The DHT is; otherwise this waits."""
        return self._dht.is_on

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def ask(self) -> None:
        """Search as soon as that is decent."""
        self._wake.set()

    async def stop(self) -> None:
        """Others forget us by themselves: the DHT has no word for leaving."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def status(self) -> DhtStatus:
        now = self._world.clock.now()
        return DhtStatus(
            searches=self._searches,
            peers=self._peers,
            next_in=None if self._next_at is None else max(0.0, self._next_at - now),
        )

    async def _run(self) -> None:
        clock = self._world.clock
        retry = RETRY_FIRST
        self._dht.want()
        while True:
            await self._dht.ready.wait()
            if self.pace is not None:
                await asyncio.sleep(self.pace.turn("dht", clock.now()) - clock.now())
            self._wake.clear()
            self._began_at = clock.now()
            self._next_at, self._found = None, set()
            await self._dht.search(self._info_hash, self._heard, announce=self._port() or None)
            self._searches, self._peers = self._searches + 1, len(self._found)
            wait = (INTERVAL if self._found else retry) * (1.0 + self._world.rng.uniform(0.0, JITTER))
            retry = RETRY_FIRST if self._found else min(2 * retry, INTERVAL)
            self._next_at = clock.now() + wait
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(max(0.0, self._began_at + ASK_MIN - clock.now()))

    def _heard(self, peers: Sequence[Endpoint]) -> None:
        port, own = self._port(), self._dht.own_hosts
        fresh = [
            peer
            for peer in peers
            if peer not in self._found and is_usable(peer, port=port, own_hosts=own, allow_private=self._allow_private)
        ]
        if fresh:
            self._found.update(fresh)
            self._on_peers(fresh)
