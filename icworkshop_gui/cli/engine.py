"""An engine for the length of one command, and the wait for what it does."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from icworkshop_gui.cli.output import Output
from icworkshop_gui.core.errors import IntegrityError, UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import Command
from icworkshop_gui.engine.api.events import (
    BundleProgress,
    EngineFault,
    Event,
    PeerBanned,
    TransferFinished,
    TransferStalled,
)
from icworkshop_gui.engine.api.snapshots import EngineView, Reason, SnapshotDelta, TransferState
from icworkshop_gui.engine.host import EngineHost

R = TypeVar("R")
COMPLETE = (TransferState.SEEDING, TransferState.FINISHED)


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; everything that had to be saved is saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class Shell:
    """One engine, its view kept up to date, its events passed to the output."""

    def __init__(self, host: EngineHost, output: Output, *, active: bool = True) -> None:
        """`active` False: nothing moves, so states are nothing to tell."""
        self._active = active
        self.host = host
        self.output = output
        self.view = EngineView()
        self.failures: dict[TransferId, TransferStalled] = {}
        self._facts: queue.SimpleQueue[SnapshotDelta | Event | int] = queue.SimpleQueue()
        self._states: dict[TransferId, tuple[str, str]] = {}
        self._unsubscribe = host.subscribe(self._facts.put)
        self._next(10.0)  # the first delta holds everything

    def ask(self, command: Command[R]) -> R:
        """Submit and wait; signals still end the command."""
        future = self.host.submit(command)
        future.add_done_callback(lambda _done: self._facts.put(0))
        while not future.done():
            self._next(0.5)
        while not self._facts.empty():
            self._next(0.0)  # what was told before the answer
        return future.result()

    def interrupt(self, number: int) -> None:
        self._facts.put(number)

    def run(self, until: Callable[[], bool]) -> None:
        """Show progress until `until` is true. Interrupted when a signal arrives first."""
        while not until():
            self._next(0.5)
            active = [
                t for t in self.view.transfers.values() if t.state not in (TransferState.FINISHED, TransferState.ERROR)
            ]
            self.output.progress(active)

    def fetch(self, wanted: Callable[[], Sequence[TransferId]]) -> None:
        """Until all of `wanted` are complete. UserError or IntegrityError when one can't be."""

        def finished() -> bool:
            for transfer_id in wanted():
                failure = self.failures.get(transfer_id)
                if failure is not None:
                    raise (IntegrityError if failure.reason is Reason.HASH else UserError)(failure.message)
            return all(
                transfer_id in self.view.transfers and self.view.transfers[transfer_id].state in COMPLETE
                for transfer_id in wanted()
            )

        self.run(finished)

    def _next(self, timeout: float) -> None:
        try:
            fact = self._facts.get(timeout=timeout)
        except queue.Empty:
            return
        match fact:
            case SnapshotDelta():
                self.view.apply(fact)
                if self._active:
                    self._tell_states()
            case TransferStalled():
                if fact.reason in (Reason.FAILED, Reason.HASH):
                    self.failures[fact.id] = fact
                else:
                    self.output.note(f"{fact.name}: {fact.message}")
            case PeerBanned():
                self.output.object(event="banned", address=fact.address, why=fact.why)
            case EngineFault():
                self.output.note(fact.message)
            case BundleProgress(path=path, done=done, total=total):
                self.output.step(path.name, done, total)
            case TransferFinished() | Event():
                pass
            case 0:
                pass
            case number:
                raise Interrupted(number)

    def _tell_states(self) -> None:
        for transfer in self.view.transfers.values():
            now = (transfer.state.value, transfer.reason.value)
            if self._states.get(transfer.id) != now:
                self._states[transfer.id] = now
                self.output.state(transfer.name, *now, id=transfer.id)


@contextmanager
def shell(
    output: Output,
    data_dir: Path,
    *,
    sources: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    listen: bool = True,
    active: bool = True,
    listen_host: str | None = None,
    memory: Path | None = None,
) -> Iterator[Shell]:
    """An engine that is stopped in order, whatever ends the command."""
    host = EngineHost(
        data_dir=data_dir,
        sources=sources,
        settings=settings,
        listen=listen,
        active=active,
        listen_host=listen_host,
        memory=memory,
    ).start()
    try:
        opened = Shell(host, output, active=active)
        with _signals(opened.interrupt):
            yield opened
    finally:
        host.close()


@contextmanager
def _signals(tell: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _frame: FrameType | None) -> None:
        tell(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    old = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, previous in zip(numbers, old, strict=True):
            signal.signal(number, previous)
