"""One engine per data directory: two would run the same transfers twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from icworkshop_gui.core.errors import Conflict
from icworkshop_gui.store.disk import storage_error

NAME = "engine.lock"


class EngineLock:
    """Held until `release` or the end of the process, however it ends: the system lets go of it."""

    def __init__(self, fd: int) -> None:
        """Use `take`."""
        self._fd = fd

    @classmethod
    def take(cls, data_dir: Path) -> EngineLock:
        """Conflict while another engine has it. StorageError when the folder cannot be made or written."""
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            fd = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise storage_error(error) from None
        try:
            _lock(fd)
        except OSError:
            os.close(fd)
            raise Conflict(
                f"Another Workshop program is using {data_dir}. Close that one, or give this one another "
                "folder with --data-dir."
            ) from None
        return cls(fd)

    def release(self) -> None:
        """Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
