"""How much of the recent download came from web servers. Pure.

Bytes fade with time, so that the sums stand for the last seconds. A request counts in full from the moment it is
made: a fast server would otherwise have sent ten times its share before anybody had measured it.
"""

from __future__ import annotations

import math

HALF_LIFE = 10.0
"""Seconds in which a byte comes to count for half."""


class Share:
    """The two sums."""

    __slots__ = ("_at", "_http", "_peers")

    def __init__(self, now: float) -> None:
        self._at = now
        self._http = 0.0
        self._peers = 0.0

    def asked(self, count: int, now: float) -> None:
        """So many bytes were asked of web servers; negative: will not come."""
        self._fade(now)
        self._http = max(0.0, self._http + count)

    def peers_sent(self, count: int, now: float) -> None:
        self._fade(now)
        self._peers += count

    def left(self, fraction: float, now: float) -> int | None:
        """Bytes that web servers may be asked for so that their share stays within `fraction`; None: no limit."""
        self._fade(now)
        if fraction >= 1:
            return None
        return max(0, int(self._peers * fraction / (1 - fraction) - self._http))

    def _fade(self, now: float) -> None:
        factor = math.exp2(-max(0.0, now - self._at) / HALF_LIFE)
        self._http *= factor
        self._peers *= factor
        self._at = max(self._at, now)
