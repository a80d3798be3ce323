"""The bytes of one torrent, wherever they live: what a swarm reads, writes and verifies through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Buffer = bytes | bytearray | memoryview


class Storage(Protocol):
    """Byte-addressed over the whole torrent. Thread-safe; every method may block; all raise StorageError."""

    @property
    def total_length(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. StorageError: GONE where nothing is stored, CHANGED where a file is not ours now."""
        ...

    def write(self, offset: int, chunks: Sequence[Buffer]) -> None:
        """The chunks one after the other from `offset` on. Writing the same bytes again is harmless."""
        ...

    def sync(self) -> None:
        """After this, what was written survives a power cut."""
        ...

    def close(self) -> None: ...
