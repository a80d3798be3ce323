"""What a peer has been worth to us: what it really delivered, and what it really took (DESIGN §4.7). Pure.

Two averages of what came in a second, a quick and a slow one, so that neither one good second nor one good hour long
ago decides. Who gives more than he takes counts for up to half as much again as who only takes (ic-workshop.md §2.4).
"""

from __future__ import annotations

QUICK = 0.3
"""Weight of the last second in the quick average."""
SLOW = 0.05
"""The same in the slow one."""


class PeerScore:
    """Of one connection. `value` while we fetch, `demand` while we only give; both grow with bytes a second."""

    __slots__ = ("_quick", "_received", "_sent", "_slow", "demand")

    def __init__(self) -> None:
        self._quick = 0.0
        self._slow = 0.0
        self._received = 0
        self._sent = 0
        self.demand = 0.0
        """Bytes a second that it took, averaged slowly."""

    def sample(self, received: int, sent: int, seconds: float) -> None:
        """Payload of both directions in the last `seconds`."""
        if seconds <= 0:
            return
        rate = received / seconds
        quick, slow = 1 - (1 - QUICK) ** seconds, 1 - (1 - SLOW) ** seconds
        self._quick += (rate - self._quick) * quick
        self._slow += (rate - self._slow) * slow
        self.demand += (sent / seconds - self.demand) * slow
        self._received += received
        self._sent += sent

    @property
    def value(self) -> float:
        """0 for who never gave anything."""
        total = self._received + self._sent
        share = self._received / total if total else 0.0
        return (self._quick + self._slow) * (0.5 * share + 0.75)
