"""The table of peers: who is in which swarm, in some twenty bytes per peer.

A peer is its packed address and port (engine.md F D-12: nobody can announce for somebody else's address), and a tick
that says when it was last heard of. The peers of one kind lie behind each other in one byte array, so that handing
some out is copying bytes. A short list is searched as it is; a long one gets an index.
"""

from __future__ import annotations

from array import array

INDEX_ABOVE = 128
"""Peers from which on a list has an index. Below, searching the bytes takes less than half a microsecond, and the
index would cost some hundred bytes per peer: most swarms are small."""
TICK = 16
"""Seconds of one tick."""
TICKS = 1 << 16
"""Ticks are counted modulo this: twelve days, far more than any peer is kept."""


class PeerList:
    """The peers of one kind (seeds or leechers) and one address family in one swarm.

    Invariant: `entries` holds `size` bytes and `seen` one tick for each slot 0..n-1; `index`, where there is one, maps
    each packed peer to its slot.
    """

    __slots__ = ("entries", "index", "seen", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries = bytearray()
        self.seen = array("H")
        self.index: dict[bytes, int] | None = None

    def __len__(self) -> int:
        return len(self.seen)

    def find(self, peer: bytes) -> int:
        """Its slot, or -1."""
        if self.index is not None:
            return self.index.get(peer, -1)
        size = self.size
        at = self.entries.find(peer)
        while at > 0 and at % size:  # the end of one entry and the beginning of the next may look like it
            at = self.entries.find(peer, at + 1)
        return at // size

    def add(self, peer: bytes, tick: int) -> int:
        """Append one that is not here yet; its slot."""
        slot = len(self.seen)
        self.entries += peer
        self.seen.append(tick)
        if self.index is not None:
            self.index[peer] = slot
        elif slot >= INDEX_ABOVE:
            size, entries = self.size, bytes(self.entries)
            self.index = {entries[i * size : i * size + size]: i for i in range(slot + 1)}
        return slot

    def remove(self, slot: int) -> None:
        """Forget a slot; the last peer moves into it."""
        size, last = self.size, len(self.seen) - 1
        at = slot * size
        if self.index is not None:
            del self.index[bytes(self.entries[at : at + size])]
        if slot != last:
            moved = self.entries[last * size :]
            self.entries[at : at + size] = moved
            self.seen[slot] = self.seen[last]
            if self.index is not None:
                self.index[bytes(moved)] = slot
        del self.entries[last * size :]
        self.seen.pop()
        if self.index is not None and last < INDEX_ABOVE // 2:
            self.index = None

    def expire(self, first: int, last: int, tick: int, max_age: int) -> int:
        """Forget those of the slots `first`..`last`-1 that were not heard of for `max_age` ticks; how many.

        To miss nobody, begin with the last slots: the peer at the end moves into a slot that is emptied.
        """
        seen = self.seen
        gone = 0
        for slot in range(min(last, len(seen)) - 1, first - 1, -1):
            if (tick - seen[slot]) % TICKS > max_age:
                self.remove(slot)
                gone += 1
        return gone

    def check_invariants(self) -> None:
        """For tests."""
        count = len(self.seen)
        assert len(self.entries) == count * self.size
        peers = [bytes(self.entries[i * self.size : (i + 1) * self.size]) for i in range(count)]
        assert len(set(peers)) == count
        if self.index is None:
            assert count <= INDEX_ABOVE
        else:
            assert self.index == {peer: slot for slot, peer in enumerate(peers)}


V4_SIZE, V6_SIZE = 6, 18
NOBODY_V4, NOBODY_V6 = PeerList(V4_SIZE), PeerList(V6_SIZE)
"""Stand in for lists that are empty in nearly all swarms. Never added to."""


class Swarm:
    """The peers of one info-hash. `seeders` and `leechers` count both families."""

    __slots__ = ("completed", "leechers", "leechers4", "leechers6", "seeders", "seeds4", "seeds6")

    def __init__(self) -> None:
        self.seeds4 = self.leechers4 = NOBODY_V4
        self.seeds6 = self.leechers6 = NOBODY_V6
        self.seeders = self.leechers = 0
        self.completed = 0

    def role(self, ipv6: bool, seed: bool) -> PeerList:
        if ipv6:
            return self.seeds6 if seed else self.leechers6
        return self.seeds4 if seed else self.leechers4

    def add(self, peer: bytes, tick: int, *, seed: bool) -> int:
        """Add one that is in none of the lists; its slot."""
        ipv6 = len(peer) == V6_SIZE
        peers = self.role(ipv6, seed)
        if peers is NOBODY_V4 or peers is NOBODY_V6:
            peers = PeerList(len(peer))
            if ipv6 and seed:
                self.seeds6 = peers
            elif ipv6:
                self.leechers6 = peers
            elif seed:
                self.seeds4 = peers
            else:
                self.leechers4 = peers
        if seed:
            self.seeders += 1
        else:
            self.leechers += 1
        return peers.add(peer, tick)

    def remove(self, peer: bytes, *, seed: bool) -> bool:
        """Forget it from the list of its kind; False when it was not there."""
        peers = self.role(len(peer) == V6_SIZE, seed)
        slot = peers.find(peer)
        if slot < 0:
            return False
        peers.remove(slot)
        if seed:
            self.seeders -= 1
        else:
            self.leechers -= 1
        return True

    def expire(self, first: int, last: int, tick: int, max_age: int) -> int:
        """Forget the silent ones among slots `first`..`last`-1 of each list; how many."""
        seeds = self.seeds4.expire(first, last, tick, max_age) + self.seeds6.expire(first, last, tick, max_age)
        leechers = self.leechers4.expire(first, last, tick, max_age) + self.leechers6.expire(first, last, tick, max_age)
        self.seeders -= seeds
        self.leechers -= leechers
        return seeds + leechers

    def longest(self) -> int:
        """Slots of its longest list."""
        return max(len(self.seeds4), len(self.leechers4), len(self.seeds6), len(self.leechers6))
