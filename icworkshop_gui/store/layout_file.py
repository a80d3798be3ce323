"""A Storage as a file for those who read archives."""

from __future__ import annotations

import io

from icworkshop_gui.store.storage import Buffer, Storage


class LayoutFile(io.RawIOBase):
    """Read-only and seekable. Not thread-safe; does not own the storage. Raises StorageError."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._storage.total_length}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._storage.total_length - self._position)
        data = self._storage.read(self._position, left if size < 0 else min(size, left)) if left and size else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]  # the stub's Buffer is not importable on 3.11
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
