"""The seed with which this server signs lobby tickets: made when it is needed first, kept beside the catalog."""

from __future__ import annotations

import threading
from pathlib import Path

from icworkshop_gui.store.secret_file import make_secret, read_secret

FILE = "lobby.key"


class LobbyKey:
    def __init__(self, data: Path) -> None:
        self._path = data / FILE
        self._lock = threading.Lock()
        self._secret = b""

    def secret(self) -> bytes:
        """32 bytes. Reads or writes a file the first time; UserError when that cannot be."""
        with self._lock:
            if not self._secret:
                if not self._path.exists():
                    make_secret(self._path)
                self._secret = read_secret(self._path)
            return self._secret
