"""How fast bytes flow, from counters that are looked at once in a while. Pure."""

from __future__ import annotations

import math


class RateMeter:
    """Smooths a growing counter into bytes a second. The hot path only counts; `sample` does the rest."""

    __slots__ = ("_at", "_half_life", "_rate", "_seen", "_total", "last")

    def __init__(self, now: float, *, half_life: float = 2.0) -> None:
        self._at = now
        self._total = 0
        self._rate = 0.0
        self._half_life = half_life
        self._seen = 0.0
        self.last = 0
        """Bytes between the last two samples."""

    def sample(self, total: int, now: float) -> float:
        """Take the counter's value; returns the new rate. Samples at the same moment count together."""
        elapsed = now - self._at
        if elapsed <= 0:
            return self.rate
        self.last = total - self._total
        weight = math.exp2(-elapsed / self._half_life)
        self._rate = self._rate * weight + self.last / elapsed * (1 - weight)
        self._seen = self._seen * weight + (1 - weight)
        self._at, self._total = now, total
        return self.rate

    @property
    def rate(self) -> float:
        """Bytes a second. Right from the first sample on: what came before counts as unknown, not as nothing."""
        rate = self._rate / self._seen if self._seen else 0.0
        return rate if rate >= 1 else 0.0
