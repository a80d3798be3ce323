"""Whom to serve. Pure: a view of the peers in, the keys to unchoke out (BEP 3 "choking", engine.md E.3).

While we download, slots go to those who gave most in the last round, but for one in five, which is optimistic: for
30 s it is whoever has waited longest, the time of new connections counting three times. A lot, which is usual, leaves
somebody waiting for as long as chance wants; in a queue each of n peers has its turn within
`NEWCOMER_SECONDS * NEWCOMER_WEIGHT + ceil(n / optimistic slots) * interval` seconds, whoever comes and goes.

While we seed, slots go round (`seed_choking.by_turns`). Nobody has to be discovered then, and an optimistic slot beside
the round only makes it less fair.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from icworkshop_gui.engine.swarm.seed_choking import RULES, ChokeView, SeedChoking

__all__ = ["NEWCOMER_SECONDS", "NEWCOMER_WEIGHT", "ChokeView", "Choker"]

NEWCOMER_SECONDS = 60.0
"""How long a connection counts as new for the optimistic slot."""

NEWCOMER_WEIGHT = 3
"""BEP 3 prefers new connections so many times: each second that they wait counts so often."""


class Choker:
    """Remembers the optimistic peers between rounds; everything else is in the view."""

    __slots__ = ("_changed_at", "_optimistic", "_rng", "_seeding", "interval")

    def __init__(
        self, rng: Random, *, interval: float = 30.0, seed_choking: SeedChoking = SeedChoking.BY_TURNS
    ) -> None:
        self._rng = rng
        self._seeding = RULES[seed_choking]
        self._optimistic: list[int] = []
        self._changed_at = float("-inf")
        self.interval = interval
        """Seconds for which an optimistic slot is kept."""

    @property
    def optimistic(self) -> tuple[int, ...]:
        """Keys of those who had earned nothing and are unchoked because it is their turn."""
        return tuple(self._optimistic)

    def round(self, peers: Sequence[ChokeView], now: float, *, seeding: bool, slots: int) -> set[int]:
        """The keys to be unchoked from now on; everybody else is choked."""
        wanting = [peer for peer in peers if peer.interested]
        if len(wanting) <= slots:
            self._optimistic.clear()
            return {peer.key for peer in wanting}
        if slots <= 0:
            return set()
        rank = self._seeding.rank if seeding else _leeching_rank
        order = sorted(wanting, key=lambda peer: rank(peer, now))
        turns = 0 if slots == 1 or (seeding and not self._seeding.lots) else max(1, slots // 5)
        earned = order[: slots - turns]
        return {peer.key for peer in earned} | self._next_turns(order[slots - turns :], turns, now)

    def fill(self, peers: Sequence[ChokeView], *, slots: int) -> set[int]:
        """Between rounds: keys to unchoke at once because slots are free. Chokes nobody."""
        used = sum(peer.unchoked and peer.interested for peer in peers)
        waiting = sorted(
            (peer for peer in peers if peer.interested and not peer.unchoked),
            key=lambda peer: (peer.flipped_at, peer.key),
        )
        return {peer.key for peer in waiting[: max(0, slots - used)]}

    def forget(self, key: int) -> None:
        """The peer left."""
        if key in self._optimistic:
            self._optimistic.remove(key)

    def _next_turns(self, rest: Sequence[ChokeView], turns: int, now: float) -> set[int]:
        keys = {peer.key for peer in rest}
        kept = [key for key in self._optimistic if key in keys][:turns]
        if now - self._changed_at >= self.interval:
            kept = []
            self._changed_at = now
        # Who waited equally long is taken by lot: keys would favour whoever connected first, each time.
        queue = sorted(
            (peer for peer in rest if peer.key not in kept),
            key=lambda peer: (-_waited(peer, now), peer.key in self._optimistic, self._rng.random()),
        )
        self._optimistic = kept + [peer.key for peer in queue[: turns - len(kept)]]
        return set(self._optimistic)


def _leeching_rank(peer: ChokeView, now: float) -> tuple[float, ...]:
    return (peer.snubbed, -peer.given, not peer.unchoked, peer.flipped_at, peer.key)


def _waited(peer: ChokeView, now: float) -> float:
    if peer.unchoked:
        return 0.0
    return (now - peer.flipped_at) * (NEWCOMER_WEIGHT if now - peer.connected_at < NEWCOMER_SECONDS else 1)
