"""An event loop in virtual time: it leaps to whatever comes next, so hours pass at once and nothing depends on the
machine's speed.

Two queues feed it: asyncio's own timers, and events of the simulated world (`SimLoop.at`), which cost no handle each
and so may be many. Both run in the order of their times; events of one moment run in the order in which they were
made. A loop that would wait for ever raises instead.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

BEGIN = 1000.0
"""What a new loop's clock shows: not 0, which code might take for "never"."""


class _LeapSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    loop: SimLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self.loop.leap()
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """`time()` is the sum of all leaps so far."""

    def __init__(self) -> None:
        selector = _LeapSelector()
        selector.loop = self
        self.now = BEGIN
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._made = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def at(self, when: float, work: Callable[..., object], *args: Any) -> None:
        """Call `work` at `when`. It cannot be taken back, and must not raise."""
        self._made += 1
        heapq.heappush(self._events, (when, self._made, work, args))

    def leap(self) -> None:
        """To the next moment in which asyncio has something to do."""
        events, ready, timers = self._events, self._ready, self._scheduled  # type: ignore[attr-defined]
        while events:
            if timers and timers[0]._when <= events[0][0]:
                break
            when, _, work, args = heapq.heappop(events)
            if when > self.now:
                self.now = when
            work(*args)
            if ready:
                return
        if not timers:
            raise RuntimeError("nothing is ready and no timer runs: this would wait for ever")
        self.now = max(self.now, timers[0]._when)

    def _write_to_self(self) -> None:
        """Wakes a selector that sleeps; ours never does."""


class LoopClock:
    """The world's clock on the running loop's time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now()


def run_leaping(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """As `asyncio.run`, on a SimLoop. RuntimeError when a task is left behind."""
    loop = SimLoop()
    try:
        result = loop.run_until_complete(main)
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
            raise RuntimeError(f"tasks left behind: {left}")
        return result
    finally:
        loop.close()


def sim_loop() -> SimLoop:
    """The running loop, which must be one of these."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop), "run this with `run_leaping`"
    return loop
