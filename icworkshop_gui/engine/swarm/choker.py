"""Whom to serve. Pure: a view of the peers in, the keys to unchoke out (BEP 3 "choking", engine.md E.3).

While we download, slots go to those who gave most in the last round, but for one in five, which is optimistic: given
by lot, new connections three times as likely, for 30 s. While we seed, slots go round: a peer that got its share steps
back behind those who wait, and newcomers with nothing go first, so that they can start to trade. Nobody has to be
discovered then, and a lot beside the round only makes it less fair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from icworkshop_gui.core.units import MIB

NEWCOMER_SECONDS = 60.0
"""How long a connection counts as new in the optimistic draw."""

NEWCOMER_WEIGHT = 3
"""BEP 3: newly connected peers are three times as likely to be the optimistic unchoke."""

SHARE_BYTES = 8 * MIB
"""A seeding round ends for a peer that got so much since its unchoke..."""

SHARE_SECONDS = 60.0
"""...and has been unchoked so long."""

STARTER_BYTES = 4 * MIB
"""What a newcomer may get before it waits like everybody else, whatever it says it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChokeView:
    """One connected peer as the choker sees it."""

    key: int
    interested: bool
    unchoked: bool = False
    given: int = 0
    """Bytes it gave us since the last round."""
    taken: int = 0
    """Bytes we sent it since the last round."""
    taken_since_unchoke: int = 0
    taken_ever: int = 0
    flipped_at: float = 0.0
    """When it was last choked or unchoked; connected, when never."""
    connected_at: float = 0.0
    has_nothing: bool = False
    snubbed: bool = False
    """It makes us wait: no slot by merit."""


class Choker:
    """Remembers the optimistic peers between rounds; everything else is in the view."""

    __slots__ = ("_drawn_at", "_optimistic", "_rng", "interval")

    def __init__(self, rng: Random, *, interval: float = 30.0) -> None:
        self._rng = rng
        self._optimistic: list[int] = []
        self._drawn_at = float("-inf")
        self.interval = interval
        """Seconds for which an optimistic slot is kept."""

    @property
    def optimistic(self) -> tuple[int, ...]:
        """Keys of those unchoked by lot."""
        return tuple(self._optimistic)

    def round(self, peers: Sequence[ChokeView], now: float, *, seeding: bool, slots: int) -> set[int]:
        """The keys to be unchoked from now on; everybody else is choked."""
        wanting = [peer for peer in peers if peer.interested]
        if len(wanting) <= slots:
            self._optimistic.clear()
            return {peer.key for peer in wanting}
        if slots <= 0:
            return set()
        order = sorted(wanting, key=lambda peer: _seeding_rank(peer, now) if seeding else _leeching_rank(peer))
        lots = 0 if seeding or slots == 1 else max(1, slots // 5)
        earned = order[: slots - lots]
        chosen = {peer.key for peer in earned}
        return chosen | self._draw([peer for peer in order if peer.key not in chosen], lots, now)

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

    def _draw(self, rest: list[ChokeView], lots: int, now: float) -> set[int]:
        keys = {peer.key for peer in rest}
        kept = [key for key in self._optimistic if key in keys][:lots]
        if now - self._drawn_at >= self.interval:
            kept = []
            self._drawn_at = now
        # Whoever had the lot last time goes to the end of the hat, unless nobody else is there.
        hat = [peer for peer in rest if peer.key not in kept and peer.key not in self._optimistic]
        hat = hat or [peer for peer in rest if peer.key not in kept]
        while hat and len(kept) < lots:
            weights = [_lot_weight(peer, now) for peer in hat]
            winner = self._rng.choices(hat, weights)[0]
            hat.remove(winner)
            kept.append(winner.key)
        self._optimistic = kept
        return set(kept)


def _leeching_rank(peer: ChokeView) -> tuple[object, ...]:
    return (peer.snubbed, -peer.given, not peer.unchoked, peer.flipped_at, peer.key)


def _seeding_rank(peer: ChokeView, now: float) -> tuple[object, ...]:
    had_share = peer.unchoked and peer.taken_since_unchoke >= SHARE_BYTES and now - peer.flipped_at >= SHARE_SECONDS
    newcomer = peer.has_nothing and peer.taken_ever < STARTER_BYTES
    # A slot that is in use stays in use until its share is through: a choke between costs both sides their pipeline.
    idle = peer.unchoked and not peer.taken and now - peer.flipped_at >= SHARE_SECONDS
    return (had_share or idle, not newcomer, not peer.unchoked, peer.flipped_at, -peer.taken, peer.key)


def _lot_weight(peer: ChokeView, now: float) -> int:
    return NEWCOMER_WEIGHT if now - peer.connected_at < NEWCOMER_SECONDS else 1
