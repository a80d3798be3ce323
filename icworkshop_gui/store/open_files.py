"""Open file descriptors, bounded in number, shared by threads: a file is never closed under somebody who reads it."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice

OPEN_FILES_MAX = 128
"""Descriptors kept open by one store; sockets need theirs too, and 1,024 is a common limit of a process."""


class OpenFile:
    """One descriptor. `stamp` is what its opener wants to remember of it."""

    __slots__ = ("closing", "fd", "lock", "stamp", "users")

    def __init__(self, fd: int, stamp: object = None) -> None:
        self.fd = fd
        self.stamp = stamp
        self.users = 0
        self.closing = False
        self.lock = threading.Lock()
        """For systems without positioned reads and writes."""


class OpenFiles:
    """Least recently used first to go. Thread-safe; opening happens outside the lock."""

    def __init__(self, limit: int = OPEN_FILES_MAX) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._files: OrderedDict[Hashable, OpenFile] = OrderedDict()

    def acquire(self, key: Hashable, opener: Callable[[], OpenFile]) -> OpenFile:
        """The open file of `key`, opened if need be. Hand it back with `release`."""
        with self._lock:
            file = self._files.get(key)
            if file is not None:
                self._files.move_to_end(key)
                file.users += 1
                return file
        fresh = opener()
        surplus: list[OpenFile] = []
        with self._lock:
            file = self._files.setdefault(key, fresh)
            self._files.move_to_end(key)
            file.users += 1
            if file is not fresh:
                surplus.append(fresh)
            excess = len(self._files) - self._limit
            if excess > 0:
                idle = list(islice((key for key, file in self._files.items() if not file.users), excess))
                surplus.extend([self._files.pop(key) for key in idle])
        for loser in surplus:
            os.close(loser.fd)
        return file

    def opened(self, key: Hashable) -> OpenFile | None:
        """As `acquire`, but only if it is open."""
        with self._lock:
            file = self._files.get(key)
            if file is not None:
                file.users += 1
            return file

    def release(self, file: OpenFile) -> None:
        with self._lock:
            file.users -= 1
            if file.users or not file.closing:
                return
        os.close(file.fd)

    def forget(self, belongs: Callable[[Hashable], bool]) -> None:
        """Close these; those in use as soon as their last user is done."""
        idle: list[OpenFile] = []
        with self._lock:
            for key in [key for key in self._files if belongs(key)]:
                file = self._files.pop(key)
                file.closing = True
                if not file.users:
                    idle.append(file)
        for file in idle:
            os.close(file.fd)

    def close(self) -> None:
        self.forget(lambda key: True)

    def __len__(self) -> int:
        return len(self._files)


def read_at(file: OpenFile, length: int, offset: int) -> bytes:
    """Up to `length` bytes; fewer only at the end of the file. OSError."""
    if hasattr(os, "pread"):
        data = os.pread(file.fd, length, offset)
        while 0 < len(data) < length:
            more = os.pread(file.fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data
    with file.lock:
        os.lseek(file.fd, offset, os.SEEK_SET)
        data = os.read(file.fd, length)
        while 0 < len(data) < length:
            more = os.read(file.fd, length - len(data))
            if not more:
                break
            data += more
        return data


VECTORS_MAX = 512
"""Buffers of one call; IOV_MAX is 1,024 on every system that has it."""


def write_at(file: OpenFile, chunks: list[memoryview], offset: int) -> None:
    """All the chunks, one after the other from `offset` on. OSError."""
    if not hasattr(os, "pwritev"):
        with file.lock:
            os.lseek(file.fd, offset, os.SEEK_SET)
            for chunk in chunks:
                while chunk:
                    chunk = chunk[os.write(file.fd, chunk) :]
        return
    index = 0
    while index < len(chunks):
        first = index
        written = os.pwritev(file.fd, chunks[index : index + VECTORS_MAX], offset)
        offset += written
        while index < len(chunks) and written >= len(chunks[index]):
            written -= len(chunks[index])
            index += 1
        if written:
            chunks[index] = chunks[index][written:]
        elif index == first:
            raise OSError(errno.EIO, "the disk takes nothing")
