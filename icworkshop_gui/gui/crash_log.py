"""Nothing dies silently: a rotating log off the GUI thread, and words for the player when our own code fails."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import queue
import sys
import threading
import time
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from PySide6.QtCore import QMessageLogContext, QObject, QtMsgType, Signal, qInstallMessageHandler

log = logging.getLogger("icw.gui.fault")

LOG_BYTES = 1_000_000
LOG_KEPT = 3
QUIET_SECONDS = 10.0
"""Between two words about faults of our own: one broken timer must not bury the window in toasts."""
WORDS = "Something went wrong inside the program. It goes on; the log has the details."
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class CrashLog(QObject):
    """Hooks in on `start`, off on `close`.

    Signals:
        failed(str): our own code failed; the words are ready to show. From any thread: connect queued.
    """

    failed = Signal(str)

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._listener: QueueListener | None = None
        self._handlers: list[logging.Handler] = []
        self._faults: IO[str] | None = None
        self._told = float("-inf")
        self._before: tuple[Any, Any] = (sys.excepthook, threading.excepthook)

    def start(self) -> None:
        """Log to `window.log`; a folder that cannot be written costs the file, not the start."""
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        line = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        targets: list[logging.Handler] = [logging.StreamHandler()]
        targets[0].setLevel(logging.WARNING)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / "window.log"
            targets.append(RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_KEPT, encoding="utf-8"))
            self._faults = (self._folder / "crash.log").open("a", encoding="utf-8")
            faulthandler.enable(self._faults)
        except OSError as error:
            log.info("no log file: %s", error)
        for target in targets:
            target.setFormatter(line)
        # The queue keeps a slow disk away from the GUI thread.
        lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        handler = QueueHandler(lines)
        root.addHandler(handler)
        self._handlers = [handler, *targets]
        self._listener = QueueListener(lines, *targets, respect_handler_level=True)
        self._listener.start()
        self._before = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._fault
        threading.excepthook = self._thread_fault
        qInstallMessageHandler(_qt_message)

    def close(self) -> None:
        """Everything logged so far is in the file."""
        sys.excepthook, threading.excepthook = self._before
        qInstallMessageHandler(None)
        if self._listener is not None:
            logging.getLogger().removeHandler(self._handlers[0])
            self._listener.stop()
            self._listener = None
            for handler in self._handlers:
                handler.close()
        if self._faults is not None:
            faulthandler.disable()
            self._faults.close()
            self._faults = None

    def on_loop_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """For `loop.set_exception_handler`."""
        error = context.get("exception")
        if isinstance(error, Exception):
            self._fault(type(error), error, error.__traceback__)
        else:
            log.error("event loop: %s", context.get("message", context))

    def _fault(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("fault in the window", exc_info=(kind, error, trace))
        now = time.monotonic()
        if now - self._told >= QUIET_SECONDS:
            self._told = now
            self.failed.emit(WORDS)

    def _thread_fault(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            self._fault(args.exc_type, args.exc_value, args.exc_traceback)


def _qt_message(kind: QtMsgType, context: QMessageLogContext, message: str | None) -> None:
    logging.getLogger("icw.qt").log(_LEVELS.get(kind, logging.INFO), "%s", message)
