"""Both ends of a stream for tests: a handler that keeps what happened, and a stream that needs no socket."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.stream import LOW_SHARE, LOW_WATER, Buffer, Stream, StreamHandler


class Recorder:
    """Keeps what arrives; `done` is set at the end, with the error if there was one."""

    def __init__(self, stream: Stream | None = None, *, room: int = 65536) -> None:
        self.got = bytearray()
        self.bites = 0
        self.writable_calls = 0
        self.ended = False
        self.error: Exception | None = None
        self.done = asyncio.Event()
        self._view = memoryview(bytearray(room))
        if stream is not None:
            stream.start(self)

    def buffer(self) -> memoryview:
        assert not self.ended, "lent after the end"
        return self._view

    def received(self, count: int) -> None:
        assert not self.ended, "received after the end"
        assert count > 0
        self.bites += 1
        self.got += self._view[:count]

    def writable(self) -> None:
        assert not self.ended, "writable after the end"
        self.writable_calls += 1

    def closed(self, error: Exception | None) -> None:
        assert not self.ended, "closed twice"
        self.ended, self.error = True, error
        self.done.set()


async def until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait until it holds; TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110  # nothing in the code under test signals these moments
            await asyncio.sleep(0.001)


MEMORY_WINDOW = 256 * 1024
"""Bytes that a memory stream takes before they count as unsent, as a system's socket buffers would."""


class MemoryStream:
    """A stream without a socket: works on any loop, a leaping one too. Passes `tests/contracts/test_stream.py`."""

    kind = TransportKind.TCP

    def __init__(self, endpoint: Endpoint, *, incoming: bool) -> None:
        self.endpoint = endpoint
        self.incoming = incoming
        self.peer: MemoryStream = self
        self._loop = asyncio.get_running_loop()
        self._handler: StreamHandler | None = None
        self._inbox: deque[bytes] = deque()
        self._waiting = 0
        self._window = MEMORY_WINDOW
        self._low_water = LOW_WATER
        self._paused = self._closing = self._finished = self._eof = self._was_high = self._scheduled = False
        self._error: Exception | None = None

    @property
    def unsent(self) -> int:
        return 0 if self._finished else max(0, self.peer._waiting - self._window)

    def start(self, handler: StreamHandler) -> None:
        self._handler = handler
        if self._finished:
            self._loop.call_soon(handler.closed, self._error)
        self._soon()

    def write(self, chunks: Sequence[Buffer]) -> None:
        data = b"".join(chunks)
        if self._closing or self._finished or self.peer._finished or not data:
            return
        self.peer._inbox.append(data)
        self.peer._waiting += len(data)
        self._was_high = self._was_high or self.unsent > self._low_water
        self.peer._soon()

    def set_backlog(self, count: int) -> None:
        self._window, self._low_water = min(MEMORY_WINDOW, count), count // LOW_SHARE

    def expect(self, count: int) -> None:
        """A call too many costs nothing here."""

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._soon()

    def close(self) -> None:
        if not self._closing and not self._finished:
            self._closing = self.peer._eof = True
            self._inbox.clear()
            self.peer._soon()
            self._soon()

    def abort(self) -> None:
        self._finish(None)

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        handler = self._handler
        if self._finished or handler is None:
            return
        if self._inbox and not self._paused and not self._closing:
            data = self._inbox.popleft()
            room = handler.buffer()
            count = min(len(room), len(data))
            room[:count] = data[:count]
            if count < len(data):
                self._inbox.appendleft(data[count:])
            self._waiting -= count
            try:
                handler.received(count)
            except Exception as error:
                logging.getLogger("icw.net.memory").exception("a stream handler failed")
                self._finish(error)
                return
            self.peer._tell_writable()
            self._soon()
        elif self._eof and not self._inbox:
            self._finish(None)

    def _tell_writable(self) -> None:
        if self._was_high and self.unsent <= self._low_water:
            self._was_high = False
            if self._handler is not None and not self._closing and not self._finished:
                self._handler.writable()

    def _finish(self, error: Exception | None) -> None:
        if self._finished:
            return
        self._finished, self._error = True, error
        self._inbox.clear()
        self._waiting = 0
        if self._handler is not None:
            self._loop.call_soon(self._handler.closed, error)
        self.peer._eof = True
        self.peer._soon()


def memory_pair() -> tuple[MemoryStream, MemoryStream]:
    """The one who dialed and the one who was dialed."""
    ours = MemoryStream(Endpoint("127.0.0.1", 2), incoming=False)
    theirs = MemoryStream(Endpoint("127.0.0.1", 1), incoming=True)
    ours.peer, theirs.peer = theirs, ours
    return ours, theirs
