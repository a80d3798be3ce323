"""Rate limits: token buckets in a tree, the whole program over its transfers, one tree for each direction.

Sans-IO: the time is an argument, and `LimiterTicker` drives it in production. `ThrottledStream` applies it to a
connection, so that nobody else meets a `Budget`.

    down = Limiter(None)                               # the whole program, one for each direction
    mine = down.child(200_000, weight=16)              # one transfer
    mine.set_rate(None, now)                           # None: no limit; 0: nothing may pass (DESIGN §4.13)

Invariants: what is granted comes out of every limited bucket on the way to the root. A bucket that nobody waits for
holds at most `BURST` seconds of its rate, so an idle line does not save up. Those who wait are served in weighted
fair order between transfers and in turn within one, and nobody overtakes them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.units import BytesPerSecond

TICK: Final = 0.02
"""Seconds between hand-outs while somebody waits. A new rate is in force after one."""

BURST: Final = 0.04
"""Seconds of its rate that an idle bucket holds: what may pass at once after a pause."""

STALL_MAX: Final = 0.2
"""Seconds of its rate that a bucket makes up for when the hand-out comes late while somebody waits."""

QUANTUM: Final = 1448
"""Bytes below which nothing is handed out unless less is wanted: one TCP segment. Keeps system calls worth making."""


class Limiter:
    """One bucket: the whole program, or one transfer in it."""

    def __init__(self, rate: BytesPerSecond | None, *, weight: float = 1.0, parent: Limiter | None = None) -> None:
        if parent is not None and parent._parent is not None:
            raise ValueError("limiters stand two deep: the program and its transfers")
        self._rate = rate
        self._weight = weight
        self._parent: Limiter | None = parent
        self._root: Limiter = self if parent is None else parent
        self._tokens = 0.0
        self._filled_at = float("-inf")
        self._waiting: deque[Budget] = deque()
        self._virtual_time = 0.0
        # Only used by the root
        self._groups: dict[Limiter, None] = {}  # ordered, unlike a set: runs must repeat exactly
        self._granted: list[Budget] = []
        self._progress = 0.0
        self.on_work: Callable[[], None] = _nothing
        """Called when `tick` has something to do again; the driver sets it on the root."""

    def child(self, rate: BytesPerSecond | None = None, *, weight: float = 1.0) -> Limiter:
        """A limiter under this one. `weight` is its share of this one's rate while more is wanted than there is."""
        return Limiter(rate, weight=weight, parent=self)

    def budget(self, on_grant: Callable[[], None]) -> Budget:
        """For one connection. `on_grant` is called from `tick` when it may go on after waiting."""
        return Budget(self, on_grant)

    @property
    def rate(self) -> BytesPerSecond | None:
        """Bytes a second; None for no limit, 0 when nothing may pass."""
        return self._rate

    def set_rate(self, rate: BytesPerSecond | None, now: float) -> None:
        """In force at the next `tick`."""
        self._fill(now)
        self._rate = rate
        self._tokens = min(self._tokens, self._capacity(BURST))
        self._root.on_work()

    def set_weight(self, weight: float) -> None:
        self._weight = weight

    @property
    def unlimited(self) -> bool:
        """True when neither this bucket nor the one above it limits."""
        return self._rate is None and self._root._rate is None

    def tick(self, now: float) -> bool:
        """Hand out what has come in. To be called on the root every `TICK`; True while it must be called again."""
        if self._parent is not None:
            raise ValueError("only the root ticks")
        for budget in self._granted:
            budget._return_grant()
        self._granted.clear()
        self._fill(now)
        for group in self._groups:
            group._fill(now)
        served = self._serve()
        self._granted.extend(served)
        for budget in served:
            budget._on_grant()
        return any(group._rate != 0 for group in self._groups) and self._rate != 0

    def _serve(self) -> list[Budget]:
        open_groups = list(self._groups)
        waiting = sum(len(group._waiting) for group in open_groups)
        # Fixed for this hand-out: a share of what is left would give the last in the queue the least, every time.
        parts = {
            group: max(QUANTUM, group._available() / (waiting if self._rate is not None else len(group._waiting)))
            for group in open_groups
        }
        served: dict[Budget, None] = {}
        while open_groups:
            group = min(open_groups, key=_by_virtual_time)
            budget = group._waiting[0]
            amount = int(min(budget._wanted, parts[group], group._available()))
            if amount < min(QUANTUM, budget._wanted):
                open_groups.remove(group)
                continue
            self._progress = max(self._progress, group._virtual_time)
            group._spend(amount)
            budget._grant += amount
            budget._wanted -= amount
            served[budget] = None
            group._waiting.popleft()
            if budget._wanted:
                group._waiting.append(budget)
            elif not group._waiting:
                open_groups.remove(group)
        for budget in served:
            # Who got a part goes on with that, and asks again.
            if budget._wanted:
                budget._limiter._waiting.remove(budget)
                budget._wanted = 0
        for group in [group for group in self._groups if not group._waiting]:
            del self._groups[group]
        return list(served)

    def _enqueue(self, budget: Budget) -> None:
        root = self._root
        if self not in root._groups:
            # Who was away starts level with the others: it can neither claim the past nor owe it.
            self._virtual_time = max(self._virtual_time, root._progress)
            root._groups[self] = None
        self._waiting.append(budget)
        root.on_work()

    def _dequeue(self, budget: Budget) -> None:
        self._waiting.remove(budget)
        if not self._waiting:
            self._root._groups.pop(self, None)

    def _others_wait(self) -> bool:
        return bool(self._waiting) or (self._root._rate is not None and bool(self._root._groups))

    def _available(self) -> float:
        here = float("inf") if self._rate is None else self._tokens
        if self._parent is None or self._parent._rate is None:
            return here
        return min(here, self._parent._tokens)

    def _spend(self, amount: float) -> None:
        """Negative gives back."""
        self._virtual_time += amount / self._weight
        self._tokens -= amount
        if self._parent is not None:
            self._parent._tokens -= amount

    def _capacity(self, seconds: float) -> float:
        if not self._rate:
            return 0.0
        return max(self._rate * seconds, QUANTUM)

    def _fill(self, now: float) -> None:
        elapsed, self._filled_at = now - self._filled_at, now
        if not self._rate:
            self._tokens = 0.0 if self._rate is None else min(self._tokens, 0.0)
            return
        busy = bool(self._waiting) or (self._parent is None and bool(self._groups))
        limit = self._capacity(STALL_MAX if busy else BURST)
        self._tokens = min(self._tokens + self._rate * elapsed, limit)


def _by_virtual_time(group: Limiter) -> float:
    return group._virtual_time


class Budget:
    """One connection's part in a limiter."""

    __slots__ = ("_grant", "_limiter", "_on_grant", "_wanted")

    def __init__(self, limiter: Limiter, on_grant: Callable[[], None]) -> None:
        self._limiter = limiter
        self._on_grant = on_grant
        self._grant = 0
        self._wanted = 0

    @property
    def unlimited(self) -> bool:
        return self._limiter.unlimited

    @property
    def waiting(self) -> bool:
        return self._wanted > 0

    def available(self, now: float) -> int:
        """Bytes that may pass now without waiting; 0 when others came first. Only meaningful under a limit."""
        if self._grant:
            return self._grant
        limiter = self._limiter
        if self._wanted or limiter._others_wait():
            return 0
        limiter._fill(now)
        limiter._root._fill(now)
        return max(0, int(limiter._available()))

    def charge(self, count: int) -> None:
        """`count` bytes have passed. More than was available becomes a debt that later bytes wait for."""
        if self._limiter.unlimited:
            return
        from_grant = min(self._grant, count)
        self._grant -= from_grant
        if count > from_grant:
            self._limiter._spend(count - from_grant)

    def take(self, wanted: int, now: float) -> int:
        """Bytes of `wanted` that may pass now. When none may, `on_grant` will be called: take again then."""
        if wanted <= 0 or self._limiter.unlimited:
            return wanted
        allowed = min(wanted, self.available(now))
        if allowed < min(wanted, QUANTUM) and not self._grant:
            self.wait(wanted)
            return 0
        self.charge(allowed)
        return allowed

    def wait(self, wanted: int) -> None:
        """Queue for up to `wanted` bytes, at least 1; `on_grant` is called once they may pass."""
        if not self._wanted:
            self._limiter._enqueue(self)
        self._wanted = max(1, wanted)

    def close(self) -> None:
        """Leave the queue and return what was granted and not used."""
        if self._wanted:
            self._limiter._dequeue(self)
            self._wanted = 0
        self._return_grant()

    def _return_grant(self) -> None:
        if self._grant:
            self._limiter._spend(-self._grant)
            self._grant = 0


class LimiterTicker:
    """Calls `tick` of a root on the running loop, only while somebody waits."""

    def __init__(self, root: Limiter, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        root.on_work = self._arm

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._run)

    def _run(self) -> None:
        self._timer = None
        if self._root.tick(self._clock.now()):
            self._arm()

    def close(self) -> None:
        self._root.on_work = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing() -> None:
    """Until a driver is attached."""
