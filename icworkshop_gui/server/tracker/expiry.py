"""Forgets silent peers in small steps, so that nobody ever waits for it."""

from __future__ import annotations

import asyncio

from icworkshop_gui.server.tracker.tracker import SWEEP_SLOTS, Tracker

STEP = 0.1
"""Seconds between two steps."""


def slots_per_step(peers: int, interval: int) -> int:
    """Places to look at in one step so that a whole round takes half an announce interval."""
    steps = max(interval / 2 / STEP, 1.0)
    return max(SWEEP_SLOTS, int(peers / steps) + 1)


class Expiry:
    """Sweeps `tracker` while it runs."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running loop."""
        self._timer = asyncio.get_running_loop().call_later(STEP, self._step)

    def stop(self) -> None:
        """End; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        self._tracker.sweep(slots_per_step(self._tracker.stats().peers, self._tracker.interval))
        self.start()
