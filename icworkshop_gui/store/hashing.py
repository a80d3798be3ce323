"""SHA-256 of what lies on the disk, in bounded memory, with progress and a way to stop."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from icworkshop_gui.core.errors import WorkshopError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import MIB

HASH_CHUNK = 1 * MIB
"""Bytes read at a time: long enough that the interpreter's lock is free nearly always."""

Progress = Callable[[int], None]
"""Told the bytes done so far, from the thread that does the work."""
Cancel = Callable[[], bool]
"""Asked between reads; True stops the work with Cancelled."""


class Cancelled(WorkshopError):
    """The caller's `cancel` said so. Nothing is half done."""


def no_progress(done: int) -> None:
    """Nobody looks."""


def never() -> bool:
    """Nobody stops it."""
    return False


class Stamp(NamedTuple):
    """What changes when a file is written to behind our back. (ctime is not here: every hard link changes it.)"""

    size: int
    mtime_ns: int
    ino: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Stamp:
        # Windows' 64-bit file ids do not fit SQLite's signed integers.
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ino & 0x7FFF_FFFF_FFFF_FFFF)


def hash_file(path: Path, *, progress: Progress = no_progress, cancel: Cancel = never) -> tuple[BlobId, Stamp]:
    """SHA-256 of a file, and the stamp it had all the while. OSError; Cancelled.

    The stamp is one that no file has (mtime -1) when the file changed while it was read.
    """
    digest = hashlib.sha256()
    done = 0
    with open(path, "rb", buffering=0) as file:
        before = Stamp.of(os.fstat(file.fileno()))
        buffer = bytearray(min(HASH_CHUNK, before.size + 1))
        view = memoryview(buffer)
        while True:
            if cancel():
                raise Cancelled
            count = file.readinto(buffer)
            if not count:
                break
            digest.update(view[:count])
            done += count
            progress(done)
        after = Stamp.of(os.fstat(file.fileno()))
    steady = before == after and after.size == done
    return BlobId(digest.digest()), after if steady else after._replace(mtime_ns=-1)
