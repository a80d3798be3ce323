"""The server's TCP port: answers announces and scrapes itself, hands every other connection to the web server.

A tracker's HTTP clients open a connection for one question. An ASGI server spends some 300 µs on such a one, most of
it on the objects of a connection; here it is accepted, read, answered and closed in one go, without ever meeting the
event loop's transports. `UvicornBehind` (behind.py) is the web server to put behind it.

Needs a loop with `add_reader`: on Windows that is the selector loop. Speaks no TLS; behind a TLS proxy name it in
`trusted`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from icworkshop_gui.server.tracker.http import ANNOUNCE_PATH, CONTENT_TYPE, SCRAPE_PATH, HttpAnswers
from icworkshop_gui.server.tracker.sockets import open_everywhere
from icworkshop_gui.server.tracker.tracker import Tracker
from icworkshop_gui.wire.tracker.http import MAX_QUERY

BACKLOG = 1024
"""Connections that the system may queue for us."""
ACCEPT = 64
"""Connections accepted in one go; then others on the loop have their turn."""
MAX_HEAD = MAX_QUERY + 8192
"""Bytes of a request head; a longer one is refused."""
MAX_WAITING = 1024
"""Connections that have not said what they want yet; the oldest makes room."""
PATIENCE = 10.0
"""Seconds to send a whole request head (engine.md F D-8)."""
PAUSE = 0.5
"""Seconds without accepting when the system has no more file descriptors."""

_ANNOUNCE = f"GET {ANNOUNCE_PATH}?".encode()
_SCRAPE = f"GET {SCRAPE_PATH}?".encode()
_LONGEST = max(len(_ANNOUNCE), len(_SCRAPE))
_END = b"\r\n\r\n"
_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)

_LOG = logging.getLogger("icw.tracker")


@dataclass(slots=True)
class _Waiting:
    """A connection whose request is not complete."""

    sock: socket.socket
    host: str
    data: bytes
    deadline: float


class TrackerFront:
    """Owns the listening socket. `host` "" is every address of the machine; `then` makes the web server's protocols."""

    def __init__(
        self,
        tracker: Tracker,
        host: str = "",
        port: int = 19710,
        *,
        trusted: Iterable[str] = (),
        then: Callable[[], asyncio.Protocol] | None = None,
    ) -> None:
        self._answers = HttpAnswers(tracker, trusted)
        self._host = host
        self._port = port
        self._then = then
        self._sockets: list[socket.socket] = []
        self._waiting: dict[socket.socket, _Waiting] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._handing: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The real one, also when 0 was asked for."""
        return self._port

    async def start(self) -> None:
        """Open the port; OSError when it is taken."""
        self._sockets = open_everywhere(self._host, self._port, socket.SOCK_STREAM, _prepare)
        self._port = self._sockets[0].getsockname()[1]
        for sock in self._sockets:
            sock.listen(BACKLOG)
            self._listen(sock)

    async def aclose(self) -> None:
        """Close the port and what has not said what it wants. Connections handed on are the web server's to end."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
        for sock in list(self._waiting):
            self._drop(sock)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        await asyncio.gather(*self._handing, return_exceptions=True)

    def _listen(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                _LOG.warning("accept failed, pausing: %s", error)
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener)
                loop.call_later(PAUSE, self._listen, listener)
                return
            try:
                if not _DONTWAIT:
                    sock.setblocking(False)
                data = sock.recv(MAX_HEAD, _DONTWAIT)
            except BlockingIOError:
                self._wait(_Waiting(sock, address[0], b"", asyncio.get_running_loop().time() + PATIENCE))
                continue
            except OSError:
                sock.close()
                continue
            if data[-4:] != _END or not self._answer(sock, address[0], data):
                self._wait_or_hand_on(sock, address[0], data)

    def _answer(self, sock: socket.socket, host: str, data: bytes) -> bool:
        """Answer and close when it is one of ours."""
        if data.startswith(_ANNOUNCE):
            body = self._answers.announce(
                data[len(_ANNOUNCE) : data.index(b"\r")].partition(b" ")[0], host, lambda: _forwarded_for(data)
            )
        elif data.startswith(_SCRAPE):
            body = self._answers.scrape(data[len(_SCRAPE) : data.index(b"\r")].partition(b" ")[0])
        else:
            return False
        _reply(sock, b"200 OK", body)
        return True

    def _wait_or_hand_on(self, sock: socket.socket, host: str, data: bytes) -> None:
        """A request that is not one of ours, or not complete, or the end of the connection (`data` empty)."""
        if not data:
            sock.close()
            return
        ours = data.startswith((_ANNOUNCE, _SCRAPE)) or _ANNOUNCE.startswith(data) or _SCRAPE.startswith(data)
        if _END not in data and len(data) < MAX_HEAD and (ours or self._then is not None):
            # The web server behind has no patience of its own: a head that never ends would hold its place for ever.
            self._wait(_Waiting(sock, host, data, asyncio.get_running_loop().time() + PATIENCE))
        elif ours and _END in data and self._answer(sock, host, data):
            return
        elif self._then is None:
            _reply(sock, b"404 Not Found", b"")
        elif _END not in data:
            _reply(sock, b"431 Request Header Fields Too Large", b"")
        else:
            task = asyncio.ensure_future(self._hand_on(sock, data))
            self._handing.add(task)
            task.add_done_callback(self._handing.discard)

    def _wait(self, waiting: _Waiting) -> None:
        while len(self._waiting) >= MAX_WAITING:
            self._drop(next(iter(self._waiting)))
        loop = asyncio.get_running_loop()
        waiting.sock.setblocking(False)
        self._waiting[waiting.sock] = waiting
        loop.add_reader(waiting.sock, self._more, waiting)
        if self._sweep is None:
            self._sweep = loop.call_later(PATIENCE / 2, self._drop_late)

    def _more(self, waiting: _Waiting) -> None:
        try:
            data = waiting.sock.recv(MAX_HEAD - len(waiting.data))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        asyncio.get_running_loop().remove_reader(waiting.sock)
        del self._waiting[waiting.sock]
        data = waiting.data + data if data else b""
        if data[-4:] != _END or not self._answer(waiting.sock, waiting.host, data):
            deadline = waiting.deadline
            self._wait_or_hand_on(waiting.sock, waiting.host, data)
            if waiting.sock in self._waiting:
                self._waiting[waiting.sock].deadline = deadline  # more bytes do not buy more time

    def _drop(self, sock: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(sock)
        del self._waiting[sock]
        sock.close()

    def _drop_late(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for sock in [sock for sock, waiting in self._waiting.items() if waiting.deadline <= now]:
            self._drop(sock)
        self._sweep = loop.call_later(PATIENCE / 2, self._drop_late) if self._waiting else None

    async def _hand_on(self, sock: socket.socket, data: bytes) -> None:
        assert self._then is not None
        sock.setblocking(False)
        then = self._then
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: _Handover(then(), data), sock)
        except OSError:
            sock.close()


class _Handover(asyncio.Protocol):
    """Gives a connection and the bytes read from it to the protocol that it is really for, and leaves."""

    def __init__(self, protocol: asyncio.Protocol, data: bytes) -> None:
        self._protocol = protocol
        self._data = data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
        self._protocol.data_received(self._data)


def _prepare(sock: socket.socket) -> None:
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        # On Windows SO_REUSEADDR would let two programs share the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_DEFER_ACCEPT"):
        # We hear of a connection when its request is here: nothing to wait for.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(PATIENCE))


def _reply(sock: socket.socket, status: bytes, body: bytes) -> None:
    """One send, then close. An answer is far smaller than the buffer of a fresh socket, so it is sent whole."""
    head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    try:
        sock.send(head % (status, _CONTENT_TYPE, len(body)) + body, _DONTWAIT)
    except OSError:
        pass
    sock.close()


def _forwarded_for(head: bytes) -> bytes:
    """The last X-Forwarded-For of a request head, or nothing."""
    found = b""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"x-forwarded-for":
            found = value.strip()
    return found


_CONTENT_TYPE = CONTENT_TYPE.encode()
