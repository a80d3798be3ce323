"""How many bytes of blocks lie between a decision and the line. Pure.

What was handed to a stream can be neither cancelled nor overtaken: every HAVE, request and choke waits behind it. What
lies there must last until our next turn, and no longer.
"""

from __future__ import annotations

from typing import Final

from icworkshop_gui.core.units import KIB

SECONDS: Final = 0.05
"""For how long the backlog lasts at the rate that the line has."""
MIN: Final = 16 * KIB
MAX: Final = 512 * KIB
START: Final = 32 * KIB
WINDOW: Final = 0.1
"""Seconds over which a rate is taken, unless four backlogs left sooner."""


class Backlog:
    """Of one peer. Doubles and halves, so that the stream need not be told of every small change."""

    __slots__ = ("_bytes", "_since", "size")

    def __init__(self, now: float) -> None:
        self.size = START
        """Bytes."""
        self._since = now
        self._bytes = 0

    def handed(self, count: int, now: float) -> bool:
        """`count` bytes were handed over. True when `size` has changed."""
        elapsed = now - self._since
        self._bytes += count
        if elapsed < WINDOW and (self._bytes < 4 * self.size or elapsed <= 0):
            return False
        wish = self._bytes / elapsed * SECONDS
        self._since, self._bytes = now, 0
        before = self.size
        if wish >= 2 * self.size:
            self.size = min(MAX, 2 * self.size)
        elif wish < self.size / 2:
            self.size = max(MIN, self.size // 2)
        return self.size != before
