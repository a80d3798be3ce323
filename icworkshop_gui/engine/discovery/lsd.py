"""Finding peers on this network, and being found by them (BEP 14): one for all transfers.

A torrent is announced when it begins and every five minutes; many go into one datagram. Whoever hears of a torrent that
he has as well announces it too, once in a while, so that the newcomer learns of him at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.net.network import DatagramSocket
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire import lsd

log = logging.getLogger("icw.lsd")

INTERVAL: Final = 300.0
"""Seconds between two announces of one torrent (BEP 14)."""
ANSWER_MIN: Final = 60.0
"""Seconds since the last announce of a torrent until which a newcomer waits for our answer (BEP 14: once a minute)."""
GATHER: Final = 0.2
"""Seconds for which torrents that begin together are collected into one message."""
BATCHES_MAX: Final = 20
"""Messages of one round: 400 torrents; what is left has its turn in the next."""
ROUND_SECONDS: Final = 5.0
"""Between two rounds when there is more to say than one may hold."""
HEARD_MAX: Final = 100
"""Messages of one sender that are read in `HEARD_SECONDS`."""
HEARD_SECONDS: Final = 60.0
SENDERS_MAX: Final = 500
"""Senders that are counted at once; on a network with more of them the rest waits for the next minute."""

MET_MAX: Final = 5_000
"""Pairs of torrent and peer that are remembered, to know newcomers."""

OnPeers = Callable[[Sequence[Endpoint]], None]


class LocalDiscovery:
    """Off until `enable`. Everything runs on the engine's loop."""

    def __init__(self, world: World, port: Callable[[], int]) -> None:
        """`port`: where we accept peers; 0 for nowhere: then we only listen."""
        self._world = world
        self._port = port
        self._cookie = f"icw-{world.rng.getrandbits(48):012x}"
        self._sockets: dict[bool, DatagramSocket] = {}
        self._wanted: dict[InfoHash, list[OnPeers]] = {}
        self._said_at: dict[InfoHash, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._met: dict[tuple[InfoHash, Endpoint], float] = {}
        """Who said when that he has what."""
        self._heard: Counter[str] = Counter()
        self._heard_since = 0.0

    @property
    def is_on(self) -> bool:
        return bool(self._sockets)

    async def enable(self) -> None:
        """Join the groups. A second call does nothing; without a network for it everything stays as it was."""
        if self._sockets:
            return
        for ipv6, group in ((False, lsd.GROUP_V4), (True, lsd.GROUP_V6)):
            try:
                self._sockets[ipv6] = await self._world.network.multicast(group, self._received)
            except OSError as error:
                log.debug("event=no-multicast group=%s: %s", group, error)
        self._said_at.clear()
        self._soon(0.0)

    def disable(self) -> None:
        """Leave the groups; what is wanted stays so."""
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            socket.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def join(self, info_hash: InfoHash, on_peers: OnPeers) -> None:
        """Announce this torrent, and tell of those who announce it. `on_peers` must not raise."""
        self._wanted.setdefault(info_hash, []).append(on_peers)
        self._soon(GATHER)

    def leave(self, info_hash: InfoHash, on_peers: OnPeers) -> None:
        """No more. Others forget us when they cannot reach us: there is no word for leaving."""
        listeners = self._wanted.get(info_hash, [])
        if on_peers in listeners:
            listeners.remove(on_peers)
        if not listeners:
            self._wanted.pop(info_hash, None)
            self._said_at.pop(info_hash, None)

    # --- saying -----------------------------------------------------------------------------------

    def _soon(self, delay: float) -> None:
        at = self._world.clock.now() + delay
        if not self._sockets or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(delay, self._say)

    def _say(self) -> None:
        self._timer = None
        now, port = self._world.clock.now(), self._port()
        due = [key for key in self._wanted if now - self._said_at.get(key, -INTERVAL) >= INTERVAL]
        due.sort(key=lambda key: self._said_at.get(key, -INTERVAL))
        batch = due[: BATCHES_MAX * lsd.HASHES_MAX]
        if port:
            for start in range(0, len(batch), lsd.HASHES_MAX):
                part = batch[start : start + lsd.HASHES_MAX]
                for ipv6, socket in self._sockets.items():
                    group = lsd.GROUP_V6 if ipv6 else lsd.GROUP_V4
                    socket.send(lsd.encode(port, part, self._cookie, ipv6=ipv6), group)
        self._said_at.update((key, now) for key in batch)
        if len(due) > len(batch):
            self._soon(ROUND_SECONDS)
        elif self._wanted:
            self._soon(max(GATHER, min(self._said_at.get(key, now) for key in self._wanted) + INTERVAL - now))

    # --- hearing ----------------------------------------------------------------------------------

    def _received(self, data: bytes, source: Endpoint) -> None:
        now = self._world.clock.now()
        if now - self._heard_since >= HEARD_SECONDS:
            self._heard_since = now
            self._heard.clear()
        # A global address is nobody of this network: somebody sends to the group from afar. And of a link-local one of
        # IPv6 the interface would have to be known.
        if source.is_global or source.host.startswith("fe80:"):
            return
        if source.host not in self._heard and len(self._heard) >= SENDERS_MAX:
            return
        self._heard[source.host] += 1
        if self._heard[source.host] > HEARD_MAX:
            return
        message = lsd.parse(data)
        if message is None or message.cookie == self._cookie:
            return
        peer = Endpoint(source.host, message.port)
        for info_hash in message.info_hashes:
            listeners = tuple(self._wanted.get(info_hash, ()))
            if listeners and self._is_newcomer(info_hash, peer, now):
                self._answer(info_hash, now)
            for on_peers in listeners:
                on_peers((peer,))

    def _is_newcomer(self, info_hash: InfoHash, peer: Endpoint, now: float) -> bool:
        """Else two would answer each other for ever."""
        heard_at = self._met.pop((info_hash, peer), None)
        self._met[info_hash, peer] = now
        if len(self._met) > MET_MAX:
            del self._met[next(iter(self._met))]
        return heard_at is None or now - heard_at > 2 * INTERVAL

    def _answer(self, info_hash: InfoHash, now: float) -> None:
        """Say that we have it too, a minute after we did so last at the earliest."""
        said_at = self._said_at.get(info_hash)
        if said_at is None:
            return  # its turn is near
        at = max(said_at + ANSWER_MIN, now)
        self._said_at[info_hash] = min(said_at, at - INTERVAL)
        # Not all at once: on a large network everybody heard the same.
        self._soon(at - now + GATHER + self._world.rng.uniform(0.0, 1.0))
