"""The door itself: one Protocol, implemented by `engine.host.EngineHost` and by the tests' FakeEngine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from icworkshop_gui.engine.api.commands import Command
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.snapshots import SnapshotDelta

R = TypeVar("R")
Subscriber = Callable[[SnapshotDelta | Event], Any]


class EngineFacade(Protocol):
    """Everything a window, a command line or a server may do with an engine. Thread-safe."""

    def submit(self, command: Command[R]) -> Future[R]:
        """Hand in a wish. The future resolves on the engine's thread; after `close` it holds a UserError."""
        ...

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Called on the engine's thread with every delta (first: everything) and event, in order.

        The callback must return at once and not raise. Returns the way to unsubscribe.
        """
        ...

    def close(self, timeout: float = 10.0) -> None:
        """Stop in order: no new commands, announce `stopped`, close peers, flush, save, end the thread.

        Blocks up to `timeout` seconds; safe to call twice.
        """
        ...
