"""Whom a seed serves first: rules that were measured against each other (`tests.bench.choking`, DECISIONS.md). Pure.

A rule ranks the interested peers, the first ones get the slots. `by_turns` is what the engine uses; the others are
what other programs do, and stay so that the measurement can be made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from icworkshop_gui.core.units import MIB

SHARE_BYTES: Final = 8 * MIB
"""A turn ends for a peer that got so much since its unchoke..."""

SHARE_SECONDS: Final = 60.0
"""...and has been unchoked so long."""

STARTER_BYTES: Final = 4 * MIB
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
    progress: float = 0.0
    """Part of the pieces that it says it has, 0..1."""
    snubbed: bool = False
    """It makes us wait: no slot by merit."""


Rank = Callable[[ChokeView, float], tuple[float, ...]]
"""A peer and the time in; whoever has the smallest tuple is served first."""


class SeedChoking(StrEnum):
    """Names of the rules."""

    ROUND_ROBIN = "round-robin"
    BY_TURNS = "newcomer bonus"
    ANTI_LEECH = "anti-leech"
    FASTEST = "fastest upload"
    LOWEST = "lowest completion"


@dataclass(frozen=True, slots=True)
class SeedRule:
    """How slots are given away while there is nothing to download."""

    rank: Rank
    lots: bool = False
    """One slot in five is optimistic: a rule that looks at what peers take must find out first."""


def _steps_back(peer: ChokeView, now: float) -> bool:
    """Its share is through, or its slot lies idle."""
    if not peer.unchoked or now - peer.flipped_at < SHARE_SECONDS:
        return False
    return peer.taken_since_unchoke >= SHARE_BYTES or not peer.taken


def round_robin(peer: ChokeView, now: float) -> tuple[float, ...]:
    """libtorrent's default, simplified: a slot in use stays in use until its share is through (a choke between costs
    both sides their pipeline), then whoever has waited longest."""
    return (_steps_back(peer, now), not peer.unchoked, peer.flipped_at, -peer.taken, peer.key)


def by_turns(peer: ChokeView, now: float) -> tuple[float, ...]:
    """Round-robin, but newcomers with nothing go first, so that they can start to trade."""
    newcomer = not peer.progress and peer.taken_ever < STARTER_BYTES
    steps_back, *rest = round_robin(peer, now)
    return (steps_back, not newcomer, *rest)


def anti_leech(peer: ChokeView, now: float) -> tuple[float, ...]:
    """libtorrent's `anti_leech`: those who just began and those who are nearly done, since both will give soon."""
    return (-abs(peer.progress - 0.5), not peer.unchoked, peer.flipped_at, peer.key)


def fastest_upload(peer: ChokeView, now: float) -> tuple[float, ...]:
    """Who takes most is served: the line is full with few slots."""
    return (-peer.taken, not peer.unchoked, peer.flipped_at, peer.key)


def lowest_completion(peer: ChokeView, now: float) -> tuple[float, ...]:
    """Who has least is served (ic-workshop.md §2.7)."""
    return (peer.progress, not peer.unchoked, peer.flipped_at, peer.key)


RULES: Final = {
    SeedChoking.ROUND_ROBIN: SeedRule(round_robin),
    SeedChoking.BY_TURNS: SeedRule(by_turns),
    SeedChoking.ANTI_LEECH: SeedRule(anti_leech),
    SeedChoking.FASTEST: SeedRule(fastest_upload, lots=True),
    SeedChoking.LOWEST: SeedRule(lowest_completion),
}
