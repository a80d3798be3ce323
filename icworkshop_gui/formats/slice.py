"""A stretch of an open file, read like a file of its own."""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class FileSlice(io.RawIOBase):
    """`size` bytes of `file` from `start` on. The file stays the caller's, and moves as this is read."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]  # as io has it
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
