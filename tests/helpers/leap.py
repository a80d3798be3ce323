"""An event loop whose time leaps to the next timer: hours pass at once, and nothing depends on the machine's speed.

For code that needs no sockets; a loop that would wait for ever raises.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class _LeapSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    leapt = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is ready and no timer runs: this would wait for ever")
        self.leapt += max(timeout, 0.0)
        return []


class LeapLoop(asyncio.SelectorEventLoop):
    """`time()` is the sum of all waits so far."""

    def __init__(self) -> None:
        self._leap = _LeapSelector()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.leapt


class LoopClock:
    """The world's clock on the running loop's time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now()


def run_leaping(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """As `asyncio.run`, on a LeapLoop. RuntimeError when a task is left behind."""
    loop = LeapLoop()
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
