"""The running desktop program: constructs, connects, and ends everything in order. No business."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import qasync
from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox

from icworkshop_gui import __version__
from icworkshop_gui.core.errors import UserError, WorkshopError
from icworkshop_gui.engine.api.commands import SetSharing
from icworkshop_gui.engine.api.facade import EngineFacade
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.crash_log import CrashLog
from icworkshop_gui.gui.demo_child import DemoChild, DemoWorkshop
from icworkshop_gui.gui.dialogs.first_run import FirstRunSheet
from icworkshop_gui.gui.format import error_sentence
from icworkshop_gui.gui.garbage import GarbageCollector
from icworkshop_gui.gui.prefs import (
    CLOSE_TO_TRAY,
    FIRST_RUN_DONE,
    NOTIFY_FINISHED,
    REDUCED_MOTION,
    THEME,
    TOLD_ABOUT_TRAY,
    Prefs,
    install,
)
from icworkshop_gui.gui.single_instance import SingleInstance
from icworkshop_gui.gui.theme import Mode, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.tray import Tray
from icworkshop_gui.gui.widgets.toast import Toast
from icworkshop_gui.gui.window import MainWindow

log = logging.getLogger("icw.gui.program")

OpenEngine = Callable[[Path, tuple[str, ...]], EngineFacade]

SHUTDOWN_SECONDS = 10.0
"""The engine saves, says goodbye to trackers and ends within this, or is left behind."""
NOTE_AFTER_MS = 400
"""A quick start or end needs no words."""
INTERRUPTED = 130


class _Note(QLabel):
    """What stands on the screen while there is no window yet, or none any more; after a moment."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        QTimer.singleShot(NOTE_AFTER_MS, self, self.show)
        self.setWindowFlags(Qt.WindowType.SplashScreen | Qt.WindowType.FramelessWindowHint)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setContentsMargins(34, 20, 34, 20)


class Program(QObject):
    """One run of the desktop program."""

    def __init__(
        self,
        *,
        open_engine: OpenEngine,
        data_dir: Path,
        sources: tuple[str, ...] = (),
        demo: bool = False,
        keep: Path | None = None,
        mode: str | None = None,
        opened: Sequence[str] = (),
    ) -> None:
        """`open_engine` starts an engine on a folder with sources; it may block. `mode`: colours for this run.
        `opened`: files that the program was started with.
        """
        self.app = QApplication.instance() or QApplication([sys.argv[0]])
        assert isinstance(self.app, QApplication)
        # The tray outlives the window, and a dialog's end is not the program's.
        self.app.setQuitOnLastWindowClosed(False)
        self.app.setApplicationName("icworkshop-gui")
        self.app.setApplicationDisplayName("IC Workshop")
        self.app.setApplicationVersion(__version__)
        self.app.setDesktopFileName("icworkshop-gui")
        super().__init__()
        self._open_engine = open_engine
        self._data_dir = data_dir
        self._sources = sources
        self._demo = DemoChild(keep.absolute() if keep is not None else None) if demo else None
        self._mode = mode
        self._opened = opened
        self._exit = 0
        self._end: asyncio.Event | None = None
        self.prefs: Prefs | None = None
        self.bridge: EngineBridge | None = None
        self.window: MainWindow | None = None
        self.tray: Tray | None = None
        self._instance: SingleInstance | None = None

    def run(self) -> int:
        """Until the player quits; the exit code."""
        loop = qasync.QEventLoop(self.app)
        pool = ThreadPoolExecutor(2, thread_name_prefix="window")
        loop.set_default_executor(pool)
        garbage = GarbageCollector()
        with loop:
            try:
                loop.run_until_complete(self._live())
            finally:
                garbage.stop()
                pool.shutdown(wait=False, cancel_futures=True)
        return self._exit

    def quit(self, code: int = 0) -> None:
        """Begin the end. A second call while it is under way does not wait for it."""
        if self._end is None or self._end.is_set():
            log.info("forced end")
            os._exit(code or 1)
        self._exit = code
        self._end.set()

    # --- life ----------------------------------------------------------------------------------------

    async def _live(self) -> None:
        self._end = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._listen_for_signals(loop)
        try:
            if self._demo is not None:
                workshop = await self._start_demo(self._demo)
                if workshop is None:
                    return
                self._data_dir = workshop.folder / "desktop"
                self._sources = (workshop.source, *self._sources)
            crash_log = CrashLog(self._data_dir / "logs", self)
            crash_log.start()
        except Exception as error:
            await self._explain(error)
            return
        loop.set_exception_handler(crash_log.on_loop_fault)
        try:
            await self._open()
            crash_log.failed.connect(self._complain, Qt.ConnectionType.QueuedConnection)
            await self._end.wait()
        except Exception as error:
            log.error("the program cannot start", exc_info=not isinstance(error, WorkshopError))
            await self._explain(error)
        finally:
            await self._close()
            crash_log.close()

    async def _start_demo(self, demo: DemoChild) -> DemoWorkshop | None:
        """None when the end was asked for before it was up; it is gone again then."""
        assert self._end is not None
        loop = asyncio.get_running_loop()
        note = _Note("Preparing the demo Workshop…")

        def told(done: int, total: int) -> None:
            words = f"Preparing the demo Workshop… {done} of {total}"
            loop.call_soon_threadsafe(note.setText, words)

        starting = loop.run_in_executor(None, demo.start, told)
        ending = asyncio.ensure_future(self._end.wait())
        try:
            await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
            if not self._end.is_set():
                return await starting
            await loop.run_in_executor(None, demo.stop)
            with contextlib.suppress(UserError):
                await starting
            return None
        finally:
            ending.cancel()
            note.close()
            note.deleteLater()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self.prefs = install(self._data_dir / "window.json")
        theme().set_mode(Mode(self._mode or self.prefs.get(THEME)))
        theme().set_reduced_motion(self.prefs.on(REDUCED_MOTION))
        self.prefs.changed.connect(self._pref_changed)
        engine = await loop.run_in_executor(None, self._open_engine, self._data_dir, self._sources)
        self.bridge = EngineBridge(engine, self)
        # What the demo shares never leaves this computer; everybody else is asked first (DESIGN §4.12).
        asks = self._demo is None and not self.prefs.on(FIRST_RUN_DONE)
        if asks:
            await self.bridge.submit(SetSharing(False))
        self.window = MainWindow(
            self.bridge, memory=self._data_dir / "window-place.json", stays_in_tray=self._stays_in_tray
        )
        self.tray = Tray(self.bridge, in_front=self._in_front, may_tell=self._may_tell, parent=self)
        self.tray.openWanted.connect(self._bring_up)
        self.tray.quitWanted.connect(self.window.request_quit)
        self.window.quitRequested.connect(self._quit_wanted)
        self.window.hidden.connect(self._explain_tray)
        if self._demo is None:  # a second demo is one of its own, and a killed one shall leave no socket
            self._instance = SingleInstance(self._data_dir, self)
            self._instance.called.connect(self._called)
            if not self._instance.listen():
                log.info("a second start will not find this window")
        self.window.go("browse")
        self.window.show()
        if asks:
            self.window.open_sheet(FirstRunSheet(self.bridge))
        self.window.torrents.open(self._opened)
        if self.prefs.set_aside:
            words = "The window's settings could not be read. Defaults are used; the old file ends in .bad."
            self.window.toast(Toast(words, icon="info", token=Token.INFO))

    async def _close(self) -> None:
        """Engine first, so that nothing it says is lost; then threads; then the demo's Workshop."""
        note = _Note("Closing…")
        if self._instance is not None:
            self._instance.close()
        if self.window is not None:
            self.window.hide()
        if self.tray is not None:
            self.tray.close()
        loop = asyncio.get_running_loop()
        if self.bridge is not None:
            try:
                async with asyncio.timeout(SHUTDOWN_SECONDS + 1):
                    await self.bridge.aclose(SHUTDOWN_SECONDS)
            except TimeoutError:
                log.info("the engine did not end in time")
        if self.window is not None:
            self.window.shut_down()
        if self._demo is not None:
            await loop.run_in_executor(None, self._demo.stop)
        note.close()
        note.deleteLater()

    async def _explain(self, error: Exception) -> None:
        """Why it cannot start: on the terminal and in a box."""
        self._exit = 1
        words = error_sentence(error)
        print(f"icworkshop-gui: {words}", file=sys.stderr)
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
        if not on_terminal and self._has_screen():
            box = QMessageBox(QMessageBox.Icon.Warning, "IC Workshop", words)
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def closed(_code: int) -> None:
                if not done.done():
                    done.set_result(None)

            box.finished.connect(closed)
            box.open()
            await done

    @staticmethod
    def _has_screen() -> bool:
        return QApplication.platformName() not in ("offscreen", "minimal")

    def _listen_for_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows knows no signal handlers of a loop; there the console's own do.
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, self.quit, INTERRUPTED if number == signal.SIGINT else 0)

    # --- what happens --------------------------------------------------------------------------------

    def _stays_in_tray(self) -> bool:
        return self.prefs is not None and self.prefs.on(CLOSE_TO_TRAY) and self.tray is not None and self.tray.is_shown

    def _in_front(self) -> bool:
        return self.window is not None and self.window.isActiveWindow()

    def _may_tell(self) -> bool:
        return self.prefs is not None and self.prefs.on(NOTIFY_FINISHED)

    @Slot()
    def _quit_wanted(self) -> None:
        if self._end is not None and not self._end.is_set():
            self.quit()

    @Slot()
    def _bring_up(self, page: str = "") -> None:
        if self.window is not None:
            self.window.bring_up()
            if page:
                self.window.go(page)

    @Slot(object)
    def _called(self, texts: Sequence[str]) -> None:
        """Another start was meant for this window."""
        self._bring_up()
        if self.window is not None:
            self.window.torrents.open(texts)

    @Slot()
    def _explain_tray(self) -> None:
        """Once: where the window went."""
        if self.prefs is not None and self.tray is not None and not self.prefs.on(TOLD_ABOUT_TRAY):
            self.prefs.set(TOLD_ABOUT_TRAY, "true")
            self.tray.tell(
                "Still running", "Downloads and sharing go on. Open or quit the Workshop from its tray icon."
            )

    @Slot(str)
    def _complain(self, words: str) -> None:
        if self.window is not None:
            self.window.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))

    @Slot(str)
    def _pref_changed(self, key: str) -> None:
        assert self.prefs is not None
        if key == THEME:
            theme().set_mode(Mode(self.prefs.get(THEME)))
        elif key == REDUCED_MOTION:
            theme().set_reduced_motion(self.prefs.on(REDUCED_MOTION))
