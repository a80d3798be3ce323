"""One window per data directory: a second start brings the first window forward and ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

ANSWER = b"ok\n"
WORDS_MAX = 64 * 1024
"""Bytes that are read from whoever connects: one line of JSON, `{"open": ["/a/b.torrent"]}`; all else is hung up on."""
PATIENCE_MS = 1500
CALLERS_MAX = 8
"""Open conversations at once; more are hung up on."""


def channel(data_dir: Path) -> str:
    """The name under which the window of a data directory listens; short enough for every system's limit."""
    return "icworkshop-" + hashlib.sha256(str(data_dir).encode()).hexdigest()[:24]


def call_first(data_dir: Path, texts: Sequence[str] = ()) -> bool:
    """True when another window has this data directory and was asked to come forward and open these."""
    socket = QLocalSocket()
    socket.connectToServer(channel(data_dir))
    if not socket.waitForConnected(PATIENCE_MS):
        return False
    socket.write(json.dumps({"open": list(texts)}).encode() + b"\n")
    socket.flush()
    answered = socket.waitForReadyRead(PATIENCE_MS)
    socket.disconnectFromServer()
    return answered


class SingleInstance(QObject):
    """Signals: called(list of str): another start asks for the window, and to open these."""

    called = Signal(object)

    def __init__(self, data_dir: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = channel(data_dir)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.setMaxPendingConnections(CALLERS_MAX)
        self._server.newConnection.connect(self._welcome)
        self._callers: set[QLocalSocket] = set()

    def listen(self) -> bool:
        """Answer from now on. False when the system refuses; the engine's own lock still holds then."""
        # What a killed program left behind answers nobody (`call_first` came first), so it may go.
        QLocalServer.removeServer(self._name)
        return self._server.listen(self._name)

    def close(self) -> None:
        self._server.close()
        for caller in tuple(self._callers):
            caller.abort()

    def _welcome(self) -> None:
        while (caller := self._server.nextPendingConnection()) is not None:
            if len(self._callers) >= CALLERS_MAX:
                caller.abort()
                caller.deleteLater()
                continue
            caller.setReadBufferSize(WORDS_MAX)
            self._callers.add(caller)
            caller.readyRead.connect(self._hear)
            caller.disconnected.connect(self._part)

    def _hear(self) -> None:
        caller = self.sender()
        if not isinstance(caller, QLocalSocket):
            return
        if not caller.canReadLine():
            if caller.bytesAvailable() >= WORDS_MAX:
                caller.abort()
            return
        texts = _wish(bytes(caller.readLine(WORDS_MAX).data()))
        if texts is None:
            caller.abort()
            return
        caller.write(ANSWER)
        caller.flush()
        self.called.emit(texts)

    def _part(self) -> None:
        caller = self.sender()
        if isinstance(caller, QLocalSocket):
            self._callers.discard(caller)
            caller.deleteLater()


def _wish(line: bytes) -> list[str] | None:
    """What another start asks for; None for what is none of ours."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    texts = told.get("open") if isinstance(told, dict) else None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None
