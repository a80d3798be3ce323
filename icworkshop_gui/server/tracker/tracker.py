"""The tracker without its sockets: announce, scrape, expiry, and who may be in it at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.server.tracker.policy import MAX_PEERS, choose
from icworkshop_gui.server.tracker.swarms import TICK, TICKS, V4_SIZE, V6_SIZE, Swarm
from icworkshop_gui.wire.tracker.messages import AnnounceEvent, ScrapeEntry

INTERVAL = 120
"""Seconds between announces that we ask for; lobbies are short, and a player counts as gone after two."""
MIN_INTERVAL = 30
"""Seconds below which clients please keep still."""
MISSED_ANNOUNCES = 2
"""A peer is forgotten when it has not been heard of for this many intervals."""
MAX_TORRENTS = 200_000
"""Swarms; some 700 bytes each, so an open tracker that is flooded with invented ones stays below 150 MB."""
MAX_PEERS_IN_ALL = 2_000_000
"""Peers in all swarms; some 20 bytes each (up to 150 in very large swarms)."""
SWEEP_SLOTS = 1000
"""Places looked at in one step of the sweep: below a millisecond even when all of them are empty now."""

_STOPPED = int(AnnounceEvent.STOPPED)
_COMPLETED = int(AnnounceEvent.COMPLETED)


class TrackerAccess:
    """Whose swarms we track: anybody's, or only those that `is_known` knows.

    A swarm that is not ours gets an empty peer list, as one without peers does: an error would tell (DESIGN §4.5).
    """

    __slots__ = ("is_known",)

    def __init__(self, is_known: Callable[[bytes], bool] | None = None) -> None:
        self.is_known = is_known

    @classmethod
    def open(cls) -> TrackerAccess:
        return cls()

    @classmethod
    def whitelist(cls, is_known: Callable[[bytes], bool]) -> TrackerAccess:
        """`is_known(info_hash)` must be quick: it is asked for every announce to a swarm that is empty."""
        return cls(is_known)


class TrackerStats(NamedTuple):
    torrents: int
    """Swarms with at least one peer."""
    peers: int
    announces: int
    """Since start."""


Handout = tuple[int, int, bytes]
"""Seeders, leechers, and packed peers of the asker's address family. A bare tuple: one is made per announce."""

_NOTHING: Handout = (0, 0, b"")


class Tracker:
    """All swarms. One thread; nothing in it waits.

    A peer is `packed`: 4 or 16 bytes of the address its announce came from and 2 of the port it names.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        access: TrackerAccess | None = None,
        interval: int = INTERVAL,
        min_interval: int = MIN_INTERVAL,
        max_torrents: int = MAX_TORRENTS,
        max_peers: int = MAX_PEERS_IN_ALL,
    ) -> None:
        self.interval = interval
        """Seconds, for the answers."""
        self.min_interval = min(min_interval, interval)
        self.rng = rng
        """For keys; not for choosing peers."""
        self.clock = clock
        self._is_known = (access or TrackerAccess.open()).is_known
        self._max_torrents = max_torrents
        self._max_peers = max_peers
        # Rounded up by two ticks: the one in which it was heard of, and the one that now is.
        self._max_age = min(-(-interval * MISSED_ANNOUNCES // TICK) + 1, TICKS // 2)
        # Choosing peers needs speed, not secrecy; `rng` may be the operating system's.
        self._spin = random.Random(rng.getrandbits(64)).random
        self._swarms: dict[bytes, Swarm] = {}
        self._peers = 0
        self._announces = 0
        self._tick = 0
        self.turn()
        self._round: list[bytes] = []
        self._round_slot = -1
        """Places of the swarm at hand that are still to be looked at; -1: all of them."""

    def turn(self) -> None:
        """Look at the clock. To be called when work begins, once for many announces."""
        self._tick = int(self.clock.now()) // TICK % TICKS

    def announce(self, info_hash: bytes, peer: bytes, left: int, event: int, want: int) -> Handout:
        """Note the peer and pick others for it. `left` 0 is a seed, `event` as in BEP 15, `want` -1 leaves it to us.

        Port 0 cannot be reached: such a peer, and one that stops, is not kept and gets no peers.
        """
        self._announces += 1
        seed = left == 0
        swarm = self._swarms.get(info_hash)
        if event == _STOPPED or peer[-2:] == b"\0\0":
            return self._stop(info_hash, swarm, peer)
        if swarm is None:
            if (self._is_known is not None and not self._is_known(info_hash)) or len(
                self._swarms
            ) >= self._max_torrents:
                return _NOTHING
            swarm = Swarm()
        ipv6 = len(peer) == V6_SIZE
        mine = swarm.role(ipv6, seed)
        slot = mine.find(peer)
        if slot >= 0:
            mine.seen[slot] = self._tick
        else:
            slot = self._join(info_hash, swarm, peer, seed, event == _COMPLETED)
        return swarm.seeders, swarm.leechers, self._choose(swarm, ipv6, want, seed, slot)

    def other_family(self, info_hash: bytes, ipv6: bool, left: int, want: int) -> bytes:
        """Packed peers of the family that the asker did not come over, for answers that can carry both (BEP 7)."""
        swarm = self._swarms.get(info_hash)
        return b"" if swarm is None else self._choose(swarm, ipv6, want, left == 0, -1)

    def scrape(self, info_hashes: Iterable[bytes]) -> dict[InfoHash, ScrapeEntry]:
        """Counts, zeros for what is unknown."""
        entries = {}
        for info_hash in info_hashes:
            swarm = self._swarms.get(info_hash)
            entries[InfoHash(info_hash)] = (
                ScrapeEntry(0, 0, 0) if swarm is None else ScrapeEntry(swarm.seeders, swarm.completed, swarm.leechers)
            )
        return entries

    def counts(self, info_hash: bytes) -> tuple[int, int]:
        """Seeders and leechers."""
        swarm = self._swarms.get(info_hash)
        return (0, 0) if swarm is None else (swarm.seeders, swarm.leechers)

    def stats(self) -> TrackerStats:
        return TrackerStats(len(self._swarms), self._peers, self._announces)

    def forget(self, info_hash: bytes) -> None:
        """Drop a swarm at once: its content was revoked."""
        swarm = self._swarms.pop(info_hash, None)
        if swarm is not None:
            self._peers -= swarm.seeders + swarm.leechers

    def sweep(self, slots: int = SWEEP_SLOTS) -> int:
        """One small step of forgetting who has gone silent; how many were. Looks at about `slots` places.

        A whole round over P peers takes P / `slots` steps and should fit into an interval.
        """
        if not self._round:
            self._round = list(self._swarms)
            self._round_slot = -1
        self.turn()
        gone = 0
        while slots > 0 and self._round:
            info_hash = self._round[-1]
            swarm = self._swarms.get(info_hash)
            if swarm is not None and self._is_known is not None and not self._is_known(info_hash):
                self.forget(info_hash)
                swarm = None
            if swarm is None:
                self._round.pop()
                self._round_slot = -1
                slots -= 1
                continue
            # From behind: what moves into an emptied place comes from the end, and has been looked at already.
            longest = swarm.longest()
            last = longest if self._round_slot < 0 else min(self._round_slot, longest)
            first = max(last - slots, 0)
            here = swarm.expire(first, last, self._tick, self._max_age)
            self._peers -= here
            gone += here
            slots -= max(last - first, 1)
            self._round_slot = first
            if first == 0:
                self._round.pop()
                self._round_slot = -1
                if not swarm.seeders and not swarm.leechers:
                    del self._swarms[info_hash]
        return gone

    def _choose(self, swarm: Swarm, ipv6: bool, want: int, seed: bool, slot: int) -> bytes:
        if want < 0 or want > MAX_PEERS:
            want = MAX_PEERS
        if ipv6:
            return choose(swarm.seeds6.entries, swarm.leechers6.entries, V6_SIZE, want, seed, slot, self._spin())
        return choose(swarm.seeds4.entries, swarm.leechers4.entries, V4_SIZE, want, seed, slot, self._spin())

    def _join(self, info_hash: bytes, swarm: Swarm, peer: bytes, seed: bool, completed: bool) -> int:
        """Its slot in the list of its kind, or -1 when there is no room."""
        if swarm.remove(peer, seed=not seed):
            self._peers -= 1
            if seed and completed:
                swarm.completed += 1
        if self._peers >= self._max_peers:
            return -1
        self._peers += 1
        if not swarm.seeders and not swarm.leechers:
            self._swarms[info_hash] = swarm
        return swarm.add(peer, self._tick, seed=seed)

    def _stop(self, info_hash: bytes, swarm: Swarm | None, peer: bytes) -> Handout:
        if swarm is None:
            return _NOTHING
        if swarm.remove(peer, seed=True) or swarm.remove(peer, seed=False):
            self._peers -= 1
            if not swarm.seeders and not swarm.leechers:
                del self._swarms[info_hash]
        return swarm.seeders, swarm.leechers, b""
