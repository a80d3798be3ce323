"""How much one address or token may ask for: token buckets, and downloads that count once."""

from __future__ import annotations

from collections import OrderedDict

from icworkshop_gui.core.clock import Clock

KEYS_MAX = 100_000
"""Addresses remembered; the one not heard of for longest is forgotten first."""


class RateLimit:
    """`rate` a second on average, `burst` at once, for each key. One thread."""

    def __init__(self, clock: Clock, rate: float, burst: float, *, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Keys remembered."""
        return len(self._buckets)

    def take(self, key: str) -> float:
        """0 when it may pass, else seconds until it may."""
        now = self._clock.now()
        level, then = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        wait = 0.0
        if level >= 1:
            level -= 1
        else:
            wait = (1 - level) / self._rate if self._rate > 0 else 3600.0
        self._buckets[key] = (level, now)
        while len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)
        return wait


class Once:
    """Has this key been seen within `seconds`? One thread."""

    def __init__(self, clock: Clock, seconds: float, *, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._seconds = seconds
        self._keys_max = keys_max
        self._seen: OrderedDict[object, float] = OrderedDict()

    def is_first(self, key: object) -> bool:
        now = self._clock.now()
        before = self._seen.get(key)
        if before is not None and now - before < self._seconds:
            return False
        self._seen[key] = now
        self._seen.move_to_end(key)
        while len(self._seen) > self._keys_max:
            self._seen.popitem(last=False)
        return True


def limit_key(host: str) -> str:
    """Who shares a bucket: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    if ":" not in host:
        return host
    return ":".join(host.partition("%")[0].split(":")[:4])
