"""Which transfers run, and why the others wait. Pure: a view in, a verdict for each out.

DESIGN §4.2: a lobby-urgent transfer always runs and makes background ones wait; under user-requested ones
the background keeps a small share of the bandwidth, so there it only competes for slots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One unfinished transfer, as the queue sees it."""

    id: TransferId
    tier: Tier
    position: int
    """Within its tier; ties go by `id`, so that the verdict never depends on the order of the view."""
    paused: bool = False
    """By the user."""
    forced: bool = False
    """"Start now": runs whatever the number of slots."""


def decide(view: Iterable[Waiting], slots: int) -> dict[TransferId, Reason]:
    """For every transfer NONE (run) or the reason why it waits."""
    verdict: dict[TransferId, Reason] = {}
    order = sorted(view, key=lambda item: (-item.tier, item.position, item.id))
    lobby = any(item.tier is Tier.LOBBY_URGENT and not item.paused for item in order)
    free = slots
    for item in order:
        if item.paused:
            verdict[item.id] = Reason.USER
        elif item.tier is Tier.LOBBY_URGENT or item.forced:
            verdict[item.id] = Reason.NONE
            free -= 1
        elif lobby and item.tier is Tier.BACKGROUND:
            verdict[item.id] = Reason.LOBBY_FIRST
        elif free > 0:
            verdict[item.id] = Reason.NONE
            free -= 1
        else:
            verdict[item.id] = Reason.SLOT
    return verdict
