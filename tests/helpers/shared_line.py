"""One household's line in virtual time: all that its programs download comes down it, connection by connection in turn.

What a sender has handed over can be neither taken back nor overtaken by others of the same connection: as with TCP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.engine.net.stream import Buffer
from tests.helpers.fake_peer import PairedStream

QUANTUM = 16 * 1024
"""Bytes of one connection before it is the next one's turn."""
WINDOW = 128 * 1024
"""Bytes of a connection on their way; more is unsent."""


class SharedLine:
    """`rate` bytes a second. Set `MemoryNetwork.pair` of all who share it to `pair`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.carried = 0
        self._turns: deque[SentDown] = deque()
        self._busy = False

    def pair(self, dialer: Endpoint, listener: Endpoint, delay: float) -> tuple[PairedStream, PairedStream]:
        """As `stream_pair`; what the listener sends comes down the line."""
        near = PairedStream(listener, incoming=False, delay=delay)
        far = SentDown(dialer, incoming=True, delay=delay)
        near.other, far.other, far.line = far, near, self
        return near, far

    def wake(self, stream: SentDown) -> None:
        if stream not in self._turns:
            self._turns.append(stream)
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._turns)
        if not self._busy:
            return
        stream = self._turns.popleft()
        data = stream.take(QUANTUM)
        self.carried += len(data)
        asyncio.get_running_loop().call_later(len(data) / self.rate, self._sent, stream, data)

    def _sent(self, stream: SentDown, data: bytes) -> None:
        stream.arrived(data)
        if stream.waiting:
            self._turns.append(stream)
        self._next()


class SentDown(PairedStream):
    """The far end of a connection."""

    line: SharedLine

    def __init__(self, endpoint: Endpoint, *, incoming: bool, delay: float) -> None:
        super().__init__(endpoint, incoming=incoming, delay=delay)
        self._chunks: deque[memoryview] = deque()
        self.waiting = 0

    @property
    def unsent(self) -> int:
        return max(0, self.waiting - WINDOW)

    def write(self, chunks: Sequence[Buffer]) -> None:
        if self._over:
            return
        for chunk in chunks:
            if len(chunk):
                self._chunks.append(memoryview(bytes(chunk)))
                self.waiting += len(chunk)
        self._was_high |= self.unsent > self._low_water
        if self.waiting:
            self.line.wake(self)

    def flush(self) -> None:
        """Everything is on its way."""

    def take(self, size: int) -> bytes:
        parts: list[memoryview] = []
        while size and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            parts.append(chunk)
            size -= len(chunk)
        return b"".join(parts)

    def arrived(self, data: bytes) -> None:
        self.waiting -= len(data)
        loop = asyncio.get_running_loop()
        if self.other is not None:
            self.other._line.append(data)
            loop.call_later(self._delay, self.other._arrive)
        if self._was_high and self.unsent <= self._low_water and self._handler is not None:
            self._was_high = False
            loop.call_soon(self._handler.writable)
