"""What strangers may cost us: questions from one address, bytes that we answer with (engine.md F D-11)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

QUERIES_RATE: Final = 5.0
"""Questions a second that one address may ask for long."""
QUERIES_BURST: Final = 50.0
"""Questions that it may ask at once after a silence."""
BLOCK_SECONDS: Final = 5 * 60.0
"""How long an address that asks more is not heard at all."""
HOSTS_MAX: Final = 2_000
"""Addresses remembered; the one heard least recently is forgotten."""
BLOCKED_MAX: Final = 1_000
"""Addresses blocked at once."""


class Bucket:
    """Tokens that refill at `rate` a second, up to `burst`."""

    __slots__ = ("_at", "burst", "level", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self.level = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take so many, or none when there are fewer."""
        self.level = min(self.burst, self.level + (now - self._at) * self.rate)
        self._at = now
        if self.level < amount:
            return False
        self.level -= amount
        return True


class QueryGate:
    """Who is heard. Pure: the time is an argument."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, Bucket] = OrderedDict()
        self._blocked: OrderedDict[str, float] = OrderedDict()

    def is_blocked(self, host: str, now: float) -> bool:
        """Is nothing of this address to be read, not even what kind of message it is?"""
        until = self._blocked.get(host)
        if until is None:
            return False
        if until <= now:
            del self._blocked[host]
            return False
        return True

    def admit(self, host: str, now: float) -> bool:
        """One more question. False: it asks too much, and is blocked from now on."""
        bucket = self._hosts.pop(host, None) or Bucket(QUERIES_RATE, QUERIES_BURST, now)
        self._hosts[host] = bucket
        if len(self._hosts) > HOSTS_MAX:
            self._hosts.popitem(last=False)
        if bucket.take(1.0, now):
            return True
        del self._hosts[host]
        self._blocked[host] = now + BLOCK_SECONDS
        if len(self._blocked) > BLOCKED_MAX:
            self._blocked.popitem(last=False)
        return False
