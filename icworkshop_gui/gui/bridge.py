"""From the engine's thread to the window's, and back: one queued signal, merged facts, awaitable wishes.

The bridge holds an `EngineView` (facts), never a living object of the engine. It refuses to know widgets.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import shiboken6
from PySide6.QtCore import QObject, Qt, QTimer, Signal, SignalInstance, Slot

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import Command
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.facade import EngineFacade
from icworkshop_gui.engine.api.snapshots import EngineView, LibraryEntry, SnapshotDelta, TransferSnapshot
from icworkshop_gui.gui.format import error_sentence

log = logging.getLogger("icw.gui.bridge")

R = TypeVar("R")

FLUSH_INTERVAL_MS = 250
"""Facts reach the screens at most this often: four times a second (DESIGN §7)."""


@dataclass(frozen=True, slots=True)
class TransfersDelta:
    """Rows of Downloads that are new or changed, and those that went."""

    changed: tuple[TransferSnapshot, ...] = ()
    gone: tuple[TransferId, ...] = ()


@dataclass(frozen=True, slots=True)
class LibraryDelta:
    """Rows of the library that are new or changed, and those that went."""

    changed: tuple[LibraryEntry, ...] = ()
    gone: tuple[PackageRef, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer(Generic[R]):
    """A future that is done, and who wants to know."""

    future: Future[R]
    on_result: Callable[[R], object] | None
    on_error: Callable[[Exception], object] | None


def _alive(callback: Callable[..., object]) -> bool:
    """False when the callback belongs to a Qt object that is gone already."""
    while isinstance(callback, partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    return not isinstance(owner, QObject) or shiboken6.isValid(owner)


class EngineBridge(QObject):
    """The window's end of the engine's door. Lives on the GUI thread; nothing here ever waits.

    Signals:
        totalsChanged(EngineTotals), transfersChanged(TransfersDelta), libraryChanged(LibraryDelta),
        settingsChanged(dict of the changed ones), detailChanged(TransferDetail or None),
        subscriptionsChanged(tuple of all SubscriptionSnapshots): facts, merged, at most 4 Hz.
        eventHappened(Event): at once, after the facts that came before it are in `view`.
        failed(str): a wish that nobody else looks after could not be carried out; the words are ready to show.
    """

    totalsChanged = Signal(object)
    transfersChanged = Signal(object)
    libraryChanged = Signal(object)
    settingsChanged = Signal(object)
    detailChanged = Signal(object)
    subscriptionsChanged = Signal(object)
    eventHappened = Signal(object)
    failed = Signal(str)
    _arrived = Signal()

    def __init__(self, engine: EngineFacade, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.view = EngineView()
        self._engine = engine
        self._inbox: deque[SnapshotDelta | Event | _Answer[Any]] = deque()
        self._awake = False
        """True while a wake-up is under way, so that a burst costs one. Read and set from both threads: a race costs
        one superfluous wake-up, never a lost one, because the inbox is filled before and drained after."""
        self._changed: dict[TransferId, TransferSnapshot] = {}
        self._gone: dict[TransferId, None] = {}
        self._changed_library: dict[PackageRef, LibraryEntry] = {}
        self._gone_library: dict[PackageRef, None] = {}
        self._changed_settings: dict[str, str] = {}
        self._dirty = False
        self._told_detail: object = None
        self._told_subscriptions: object = None
        self._last_flush = float("-inf")
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._flush_in_turns)
        self._turns: deque[tuple[SignalInstance, object]] = deque()
        self._turn_timer = QTimer(self)
        self._turn_timer.setInterval(0)
        self._turn_timer.timeout.connect(self._turn)
        self._arrived.connect(self._drain, Qt.ConnectionType.QueuedConnection)
        self._unsubscribe = engine.subscribe(self._receive)

    # --- wishes ----------------------------------------------------------------------------------

    def submit(self, command: Command[R]) -> Awaitable[R]:
        """Hand in a wish; await the answer on the running loop of the GUI thread. Raises what the engine raises."""
        return asyncio.wrap_future(self._engine.submit(command), loop=asyncio.get_running_loop())

    def ask(
        self,
        command: Command[R],
        on_result: Callable[[R], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        """Hand in a wish; the answer comes back on the GUI thread. Without `on_error`, errors go to `failed`."""
        future = self._engine.submit(command)
        future.add_done_callback(lambda done: self._receive(_Answer(done, on_result, on_error)))

    def send(self, command: Command[Any], on_error: Callable[[Exception], object] | None = None) -> None:
        """Hand in a wish and forget it; errors go to `on_error`, else to `failed`."""
        self.ask(command, None, on_error)

    # --- facts -----------------------------------------------------------------------------------

    def _receive(self, item: SnapshotDelta | Event | _Answer[Any]) -> None:
        """On any thread: keep it, wake the GUI thread once."""
        self._inbox.append(item)
        if not self._awake:
            self._awake = True
            try:
                self._arrived.emit()
            except RuntimeError:  # the QObject went while the engine was still talking
                log.debug("bridge gone, %s dropped", type(item).__name__)

    @Slot()
    def _drain(self) -> None:
        self._awake = False
        # Only what is there now: a producer that is faster than we are must not hold the event loop.
        for _ in range(len(self._inbox)):
            item = self._inbox.popleft()
            if isinstance(item, SnapshotDelta):
                self._merge(item)
            elif isinstance(item, Event):
                self.eventHappened.emit(item)
            else:
                self._answer(item)
        if self._dirty and not self._timer.isActive():
            waited = (time.monotonic() - self._last_flush) * 1000
            if waited >= FLUSH_INTERVAL_MS:
                self._flush_in_turns()
            else:
                self._timer.start(max(1, round(FLUSH_INTERVAL_MS - waited)))

    def _merge(self, delta: SnapshotDelta) -> None:
        self.view.apply(delta)
        self._dirty = True
        for transfer in delta.transfers:
            self._changed[transfer.id] = transfer
            self._gone.pop(transfer.id, None)
        for transfer_id in delta.gone_transfers:
            self._changed.pop(transfer_id, None)
            self._gone[transfer_id] = None
        for entry in delta.library:
            self._changed_library[entry.ref] = entry
            self._gone_library.pop(entry.ref, None)
        for ref in delta.gone_library:
            self._changed_library.pop(ref, None)
            self._gone_library[ref] = None
        self._changed_settings.update(delta.settings)

    def _answer(self, answer: _Answer[Any]) -> None:
        if answer.future.cancelled():
            return
        error = answer.future.exception()
        try:
            if error is None:
                if answer.on_result is not None and _alive(answer.on_result):
                    answer.on_result(answer.future.result())
            elif not isinstance(error, Exception):
                raise error
            elif answer.on_error is None:
                self.failed.emit(error_sentence(error))
            elif _alive(answer.on_error):
                answer.on_error(error)
        except Exception:
            # One broken receiver must not cost the others their answers.
            sys.excepthook(*sys.exc_info())

    @Slot()
    def flush(self) -> None:
        """Tell the screens everything merged so far, now."""
        self._gather()
        while self._turns:
            self._turn()

    @Slot()
    def _flush_in_turns(self) -> None:
        """The same, one signal a turn of the event loop: keys, timers and painting get theirs in between."""
        self._gather()
        self._turn_timer.start()

    @Slot()
    def _turn(self) -> None:
        if self._turns:
            signal, facts = self._turns.popleft()
            signal.emit(facts)
        if not self._turns:
            self._turn_timer.stop()

    def _gather(self) -> None:
        """Put what is new in line. What still waits there from the last time goes first."""
        if not self._dirty:
            return
        self._dirty = False
        self._last_flush = time.monotonic()
        transfers = TransfersDelta(tuple(self._changed.values()), tuple(self._gone))
        library = LibraryDelta(tuple(self._changed_library.values()), tuple(self._gone_library))
        settings = self._changed_settings
        self._changed, self._gone = {}, {}
        self._changed_library, self._gone_library = {}, {}
        self._changed_settings = {}
        if settings:
            self._turns.append((self.settingsChanged, settings))
        if transfers.changed or transfers.gone:
            self._turns.append((self.transfersChanged, transfers))
        if library.changed or library.gone:
            self._turns.append((self.libraryChanged, library))
        if self.view.detail is not self._told_detail:
            self._told_detail = self.view.detail
            self._turns.append((self.detailChanged, self.view.detail))
        if self.view.subscriptions is not self._told_subscriptions:
            self._told_subscriptions = self.view.subscriptions
            self._turns.append((self.subscriptionsChanged, self.view.subscriptions))
        self._turns.append((self.totalsChanged, self.view.totals))

    # --- end -------------------------------------------------------------------------------------

    async def aclose(self, timeout: float = 10.0) -> None:
        """Close the engine off the GUI thread, then deliver all that it still said."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(None, self._engine.close, timeout)
            self.detach()

    def detach(self) -> None:
        """Stop listening; everything received so far is delivered now."""
        self._unsubscribe()
        while self._inbox:
            self._drain()
        self._timer.stop()
        self.flush()
