"""TCP over asyncio's own transports: for loops that cannot watch a socket (Windows' proactor)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.stream import LOW_SHARE, LOW_WATER, Buffer, StreamHandler
from icworkshop_gui.engine.net.tcp import LINGER, limit_unsent

logger = logging.getLogger("icw.net.tcp")


class TransportStream(asyncio.BufferedProtocol):
    """One TCP connection. See `Stream`."""

    kind = TransportKind.TCP

    def __init__(self, *, incoming: bool, on_stream: Callable[[TransportStream], None] | None = None) -> None:
        self.endpoint = Endpoint("0.0.0.0", 0)
        self.incoming = incoming
        self._on_stream = on_stream
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._handler: StreamHandler | None = None
        self._lent: memoryview | None = None
        self._low_water = LOW_WATER
        self._was_high = False
        self._paused = False
        self._closing = False
        self._finished = False
        self._error: Exception | None = None
        self._linger: asyncio.TimerHandle | None = None

    @property
    def unsent(self) -> int:
        return 0 if self._transport is None or self._finished else self._transport.get_write_buffer_size()

    def start(self, handler: StreamHandler) -> None:
        self._handler = handler
        if self._finished:
            self._loop.call_soon(handler.closed, self._error)
        elif not self._paused:
            self._apply_pause()

    def write(self, chunks: Sequence[Buffer]) -> None:
        if self._closing or self._finished or self._transport is None:
            return
        # One joined copy: these loops take one buffer at a time, and a call for each chunk costs more.
        self._transport.write(b"".join(chunks))
        if self.unsent > self._low_water:
            self._was_high = True

    def set_backlog(self, count: int) -> None:
        self._low_water = count // LOW_SHARE
        if self._transport is not None and not self._finished:
            self._transport.set_write_buffer_limits(high=self._low_water, low=self._low_water)
            limit_unsent(self._transport.get_extra_info("socket"), count)

    def expect(self, count: int) -> None:
        """Not told: the loop reads by itself."""

    def pause_reading(self) -> None:
        self._paused = True
        self._apply_pause()

    def resume_reading(self) -> None:
        self._paused = False
        self._apply_pause()

    def close(self) -> None:
        if self._closing or self._finished or self._transport is None:
            return
        self._closing = True
        self._linger = self._loop.call_later(LINGER, self.abort)
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._apply_pause()
        else:
            self._transport.close()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None and not self._finished:
            self._transport.abort()

    def _apply_pause(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        # While closing everything is read and dropped, until the other side has closed too.
        wanted = self._closing or (self._handler is not None and not self._paused)
        if wanted and not transport.is_reading():
            transport.resume_reading()
        elif not wanted and transport.is_reading():
            transport.pause_reading()

    def _pause_again(self) -> None:
        """Python 3.11.2 begins to read after `connection_made`, even when that paused it."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and not transport.is_reading():
            transport.resume_reading()
            transport.pause_reading()

    # BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=self._low_water, low=self._low_water)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = transport.get_extra_info("peername")
        self.endpoint = Endpoint.of(address[0], address[1])
        self._apply_pause()
        self._loop.call_soon(self._pause_again)
        if self._on_stream is not None:
            self._on_stream(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        handler = self._handler
        # The proactor lends before it knows that we closed or paused; the bytes then go to whoever lent the room.
        self._lent = memoryview(bytearray(65536)) if handler is None or self._closing else handler.buffer()
        return self._lent

    def buffer_updated(self, nbytes: int) -> None:
        if self._closing or self._handler is None:
            return
        try:
            self._handler.received(nbytes)
        except Exception as error:
            logger.exception("a stream handler failed")
            self._error = error
            self.abort()

    def eof_received(self) -> bool:
        return False

    def resume_writing(self) -> None:
        if self._was_high and not self._closing:
            self._was_high = False
            if self._handler is not None:
                self._handler.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finished = True
        if self._linger is not None:
            self._linger.cancel()
        self._error = self._error or exc
        if self._handler is not None:
            self._handler.closed(self._error)
