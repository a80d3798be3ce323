"""TCP on a non-blocking socket that we own, for loops that can watch sockets (all but Windows' proactor).

Why not asyncio's transports: on Python 3.11 `writelines` joins all chunks into one copy, and a transport costs a
few calls more for each event. Here a read is one `recv_into` the handler's buffer and a write is one `sendmsg`.
`transport_stream` serves the other loops.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.stream import LOW_SHARE, LOW_WATER, Buffer, StreamHandler

logger = logging.getLogger("icw.net.tcp")

CHUNKS_MAX: Final = 512
"""Chunks of one `sendmsg`; systems refuse more than 1,024 (IOV_MAX)."""

READS_MAX: Final = 4
"""`recv_into` calls for one readiness event while each fills its buffer: saves turns of the loop and stays fair."""

EXPECT_MIN: Final = 2048
"""Bytes to wait for that are worth a system call: more than a packet."""

LINGER: Final = 10.0
"""Seconds that a closing stream waits for the other side to take what was written and to close too."""

ACCEPTS_MAX: Final = 64
"""Connections accepted in one turn of the loop."""

ACCEPT_PAUSE: Final = 1.0
"""Seconds without accepting after the system ran out of file descriptors."""

BACKLOG: Final = 128

_DISCARD: Final = memoryview(bytearray(65536))

HAS_RCVLOWAT: Final = sys.platform == "linux"

_NOTSENT_LOWAT: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def limit_unsent(sock: socket.socket, count: int) -> None:
    """Have the system take no more than about `count` bytes that it cannot send yet (Linux and macOS; elsewhere its
    buffer stays as it is)."""
    if _NOTSENT_LOWAT is not None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, count)
        except OSError:
            # Only latency is lost; a socket that is dead says so at the next write.
            pass


class TcpStream:
    """One TCP connection. See `Stream`."""

    kind = TransportKind.TCP

    def __init__(self, sock: socket.socket, endpoint: Endpoint, *, incoming: bool) -> None:
        """Takes over a connected socket; must be made on the running loop."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.endpoint = endpoint
        self.incoming = incoming
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._handler: StreamHandler | None = None
        self._queue: deque[Buffer] = deque()
        self._queued = 0
        self._low_water = LOW_WATER
        self._was_high = False
        self._expected = 1
        self._watching_reads = False
        self._watching_writes = False
        self._paused = False
        self._closing = False
        self._peer_ended = False
        self._finished = False
        self._error: Exception | None = None
        self._linger: asyncio.TimerHandle | None = None

    @property
    def unsent(self) -> int:
        return self._queued

    def start(self, handler: StreamHandler) -> None:
        self._handler = handler
        if self._finished:
            self._loop.call_soon(handler.closed, self._error)
        elif not self._paused and not self._closing:
            self._watch_reads()

    def write(self, chunks: Sequence[Buffer]) -> None:
        if self._closing or self._finished:
            return
        if self._queue:
            self._enqueue(chunks)
            return
        try:
            sent = self._sock.sendmsg(chunks if len(chunks) <= CHUNKS_MAX else chunks[:CHUNKS_MAX])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._finish(error)
            return
        for position, chunk in enumerate(chunks):
            size = len(chunk)
            if sent < size:
                self._enqueue((memoryview(chunk)[sent:], *chunks[position + 1 :]) if sent else chunks[position:])
                self._watch_writes()
                return
            sent -= size

    def set_backlog(self, count: int) -> None:
        self._low_water = count // LOW_SHARE
        limit_unsent(self._sock, count)

    def expect(self, count: int) -> None:
        """SO_RCVLOWAT: the system wakes us once a block, not once a packet. Linux alone: there it is known to hold for
        epoll, and to tell of the end of the stream all the same."""
        if count < EXPECT_MIN:
            count = 1
        if count != self._expected and HAS_RCVLOWAT and not self._finished:
            self._expected = count
            try:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
            except OSError as error:
                self._finish(error)

    def pause_reading(self) -> None:
        self._paused = True
        self._ignore_reads()

    def resume_reading(self) -> None:
        self._paused = False
        if self._handler is not None and not self._closing and not self._finished:
            self._watch_reads()

    def close(self) -> None:
        if self._closing or self._finished:
            return
        self._closing = True
        self._linger = self._loop.call_later(LINGER, self.abort)
        self._ignore_reads()
        self._watching_reads = True
        self._loop.add_reader(self._sock, self._on_farewell)
        if not self._queue:
            self._shut_down()

    def abort(self) -> None:
        self._finish(None)

    # Reading

    def _on_readable(self) -> None:
        handler = self._handler
        assert handler is not None
        for _ in range(READS_MAX):
            buffer = handler.buffer()
            try:
                count = self._sock.recv_into(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._finish(error)
                return
            if not count:
                self._finish(None)
                return
            try:
                handler.received(count)
            except Exception as error:
                logger.exception("a stream handler failed")
                self._finish(error)
                return
            if count < len(buffer) or not self._watching_reads or handler is not self._handler:
                return

    def _on_farewell(self) -> None:
        """Whatever still comes after we closed is dropped until the other side closes too.

        Closing a socket with unread bytes resets the connection, and the other side could lose what we sent last.
        """
        try:
            while self._sock.recv_into(_DISCARD):
                pass
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._finish(None)
            return
        self._peer_ended = True
        self._ignore_reads()
        if not self._queue:
            self._finish(None)

    # Writing

    def _enqueue(self, chunks: Sequence[Buffer]) -> None:
        self._queue.extend([chunk for chunk in chunks if len(chunk)])
        self._queued += sum(map(len, chunks))
        if self._queued > self._low_water:
            self._was_high = True

    def _on_writable(self) -> None:
        queue = self._queue
        try:
            sent = self._sock.sendmsg(list(islice(queue, CHUNKS_MAX)))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        self._queued -= sent
        while sent:
            chunk = queue.popleft()
            if sent < len(chunk):
                queue.appendleft(memoryview(chunk)[sent:])
                break
            sent -= len(chunk)
        if not queue:
            self._ignore_writes()
            if self._closing:
                self._shut_down()
                return
        if self._was_high and self._queued <= self._low_water:
            self._was_high = False
            if self._handler is not None and not self._closing:
                self._handler.writable()

    # The end

    def _shut_down(self) -> None:
        """All is sent: say so, and wait for the other side's end."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._finish(None)
            return
        if self._peer_ended:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if self._finished:
            return
        self._finished = True
        self._error = error
        if self._linger is not None:
            self._linger.cancel()
        self._ignore_reads()
        self._ignore_writes()
        self._queue.clear()
        self._queued = 0
        self._sock.close()
        if self._handler is not None:
            self._loop.call_soon(self._handler.closed, error)

    def _watch_reads(self) -> None:
        if not self._watching_reads:
            self._watching_reads = True
            self._loop.add_reader(self._sock, self._on_readable)

    def _ignore_reads(self) -> None:
        if self._watching_reads:
            self._watching_reads = False
            self._loop.remove_reader(self._sock)

    def _watch_writes(self) -> None:
        if not self._watching_writes:
            self._watching_writes = True
            self._loop.add_writer(self._sock, self._on_writable)

    def _ignore_writes(self) -> None:
        if self._watching_writes:
            self._watching_writes = False
            self._loop.remove_writer(self._sock)


class TcpAcceptor:
    """Accepts on one listening socket."""

    def __init__(self, sock: socket.socket, on_stream: Callable[[TcpStream], None]) -> None:
        self._sock = sock
        self._on_stream = on_stream
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock, self._on_readable)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _on_readable(self) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # EMFILE and its kin: the connection stays in the backlog, so the socket stays readable.
                logger.warning("cannot accept connections for a moment: %s", error)
                self._loop.remove_reader(self._sock)
                self._timer = self._loop.call_later(ACCEPT_PAUSE, self._loop.add_reader, self._sock, self._on_readable)
                return
            try:
                stream = TcpStream(sock, Endpoint.of(address[0], address[1]), incoming=True)
            except (OSError, ValueError):
                sock.close()
                continue
            self._on_stream(stream)
