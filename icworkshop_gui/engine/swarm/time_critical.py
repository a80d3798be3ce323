"""Whom to ask when somebody waits for the end (engine.md E.2, "Time-critical"). Pure.

All of a package is needed before a lobby can start, so no piece has a deadline of its own: what counts is when the last
block comes. Until near the end every peer is kept as busy as it can be; then two rules take over.

- Nobody is asked for more than it will have sent by the time the others are through: a slow peer with three seconds of
  requests would still be at it when the fast ones have long been idle.
- A block that comes late at a slow peer is asked of a faster one that is idle, those first that would come last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

HORIZON = 6.0
"""Seconds before the end in which that is looked at: twice what a pipeline holds."""
GAIN = 2.0
"""A second copy must be expected in less than the first one's time by this factor, or it mostly comes for nothing."""


def fair_requests(rate: float, rates: Sequence[float], left: int, block: int) -> int | None:
    """How many requests a peer may have so that all end together; None while the end is far.

    `rate` of the peer, `rates` of all that serve us, bytes a second; `left`: bytes asked for or to be asked for.
    """
    total = sum(rates)
    if not total or left > total * HORIZON:
        return None
    return max(1, math.ceil(rate * left / total / block))


def is_late(seconds_there: float, seconds_here: float) -> bool:
    """Will the first copy come so much later than a second one would?"""
    if math.isinf(seconds_here):
        # Nothing is known of who is idle: whether it is faster shows.
        return seconds_there > 1.0
    return seconds_there > GAIN * seconds_here
