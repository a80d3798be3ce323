"""How much a swarm may ask for while others go first. Pure.

Requests are what steers a download whose bottleneck is elsewhere: what is not asked for does not come, whatever the
transport and wherever the line is narrow. A limit on reading would let it come first and keep it waiting then, in
buffers that fill the very line it is kept off.
"""

from __future__ import annotations

from icworkshop_gui.core.units import BLOCK_SIZE

BURST = 1.0
"""Seconds of its rate that may be asked for at once after a silence; the swarm looks once a second."""


class RequestPace:
    """A bucket of bytes that may be asked for."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self) -> None:
        self._rate: float | None = None
        self._tokens = 0.0
        self._at = 0.0

    @property
    def is_on(self) -> bool:
        """Is the asking limited?"""
        return self._rate is not None

    @property
    def rate(self) -> float | None:
        return self._rate

    def set_rate(self, rate: float | None, now: float) -> None:
        """Bytes a second; None: no limit."""
        if self._rate is None:
            self._tokens, self._at = 0.0, now
        else:
            self._fill(now)
        self._rate = rate

    def room(self, now: float) -> int:
        """Blocks that may be asked for now. Only meaningful while `is_on`."""
        self._fill(now)
        return int(self._tokens // BLOCK_SIZE)

    def asked(self, blocks: int) -> None:
        self._tokens -= blocks * BLOCK_SIZE

    def _fill(self, now: float) -> None:
        rate = self._rate or 0.0
        self._tokens = min(self._tokens + rate * (now - self._at), max(rate * BURST, float(BLOCK_SIZE)))
        self._at = now
