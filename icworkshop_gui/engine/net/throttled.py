"""A stream under rate limits, over any transport: to its handler it is a stream like every other, only slower."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.net.classes import classes_of, header_of
from icworkshop_gui.engine.net.limiter import QUANTUM, Limiter
from icworkshop_gui.engine.net.stream import LOW_SHARE, LOW_WATER, Buffer, Stream, StreamHandler

INNER_MAX: Final = 256 * KIB
"""Bytes unsent in the transport above which nothing more is handed to it: there a limit no longer reaches them."""

CREDIT: Final = 16
"""Bytes read of a stream that became readable while nothing may pass: enough to learn that it wants something, and
little enough that a hundred which wake together stay within the limit."""


class ThrottledStream:
    """Bytes received are charged to `down`, bytes sent to `up`, to the byte, and to the classes of the connection."""

    def __init__(self, inner: Stream, *, up: Limiter, down: Limiter, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._handler: StreamHandler | None = None
        classes, header = classes_of(inner.kind, inner.endpoint), header_of(inner.kind, inner.endpoint)
        self._up = up.budget(self._pump, classes=classes, header=header)
        self._down = down.budget(self._resume, classes=classes, header=header)
        self._queue: deque[Buffer] = deque()
        self._queued = 0
        self._low_water = LOW_WATER
        self._was_high = False
        self._paused_by_user = False
        self._paused_by_limit = False
        self._closed = False

    @property
    def endpoint(self) -> Endpoint:
        return self._inner.endpoint

    @property
    def kind(self) -> TransportKind:
        return self._inner.kind

    @property
    def incoming(self) -> bool:
        return self._inner.incoming

    @property
    def unsent(self) -> int:
        return self._queued + self._inner.unsent

    def start(self, handler: StreamHandler) -> None:
        self._handler = handler
        self._inner.start(self)

    def write(self, chunks: Sequence[Buffer]) -> None:
        if self._closed:
            return
        if not self._queue and self._up.unlimited:
            self._inner.write(chunks)
        else:
            self._queue.extend(chunk for chunk in chunks if len(chunk))
            self._queued += sum(len(chunk) for chunk in chunks)
            self._pump()
        if self.unsent > self._low_water:
            self._was_high = True

    def set_backlog(self, count: int) -> None:
        self._low_water = count // LOW_SHARE
        self._inner.set_backlog(count)

    def expect(self, count: int) -> None:
        # Under a limit bytes are taken as they may be, not as they are wanted.
        self._inner.expect(count if self._down.unlimited else 1)

    def pause_reading(self) -> None:
        self._paused_by_user = True
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._paused_by_user = False
        if not self._paused_by_limit:
            self._inner.resume_reading()

    def close(self) -> None:
        """What waits is sent past the limit and charged to it: a close must not hang on a limit of 0."""
        if self._closed:
            return
        self._closed = True
        if self._queue:
            self._up.charge(self._queued)
            self._inner.write(tuple(self._queue))
            self._forget()
        self._inner.close()

    def abort(self) -> None:
        self._closed = True
        self._forget()
        self._inner.abort()

    # The inner stream's handler

    def buffer(self) -> memoryview:
        assert self._handler is not None
        view = self._handler.buffer()
        if self._down.unlimited:
            return view
        # A stream that became readable while others wait gets a little on credit, then it queues like them.
        return view[: max(CREDIT, self._down.available(self._clock.now()))]

    def received(self, count: int) -> None:
        assert self._handler is not None
        self._down.charge(count)
        self._handler.received(count)
        if self._closed or self._down.unlimited or self._down.available(self._clock.now()) >= QUANTUM:
            return
        self._paused_by_limit = True
        self._inner.pause_reading()
        self._down.wait(max(QUANTUM, 4 * count))

    def writable(self) -> None:
        self._pump()
        self._tell_writable()

    def closed(self, error: Exception | None) -> None:
        self._closed = True
        self._forget()
        self._up.close()
        self._down.close()
        if self._handler is not None:
            self._handler.closed(error)

    def _resume(self) -> None:
        self._paused_by_limit = False
        if not self._paused_by_user:
            self._inner.resume_reading()

    def _pump(self) -> None:
        while self._queue and self._inner.unsent < INNER_MAX and not self._up.waiting:
            allowed = self._up.take(min(self._queued, INNER_MAX), self._clock.now())
            if allowed:
                self._inner.write(self._dequeue(allowed))
        self._tell_writable()

    def _dequeue(self, count: int) -> list[Buffer]:
        chunks: list[Buffer] = []
        self._queued -= count
        while count:
            chunk = self._queue.popleft()
            if len(chunk) > count:
                view = memoryview(chunk)
                chunks.append(view[:count])
                self._queue.appendleft(view[count:])
                break
            chunks.append(chunk)
            count -= len(chunk)
        return chunks

    def _tell_writable(self) -> None:
        if self._was_high and not self._closed and self.unsent <= self._low_water:
            self._was_high = False
            if self._handler is not None:
                self._handler.writable()

    def _forget(self) -> None:
        self._queue.clear()
        self._queued = 0
