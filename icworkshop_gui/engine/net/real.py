"""The operating system's network: the only implementation of `Network` that opens sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from icworkshop_gui import __version__
from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.network import HttpResponse, OnDatagram
from icworkshop_gui.engine.net.public_address import is_numeric
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.net.tcp import BACKLOG, TcpAcceptor, TcpStream
from icworkshop_gui.engine.net.transport_stream import TransportStream
from icworkshop_gui.engine.net.udp import TransportUdpSocket, UdpSocket, bind_multicast, bind_udp

if TYPE_CHECKING:
    from icworkshop_gui.engine.net.http import HttpClient

USER_AGENT: Final = f"IronCurtainWorkshop/{__version__}"

PORT_ATTEMPTS: Final = 10
"""Tries to find a port that is free for IPv4 and IPv6 alike when any will do."""


class RealNetwork:
    """See `Network`.

    `host` restricts everything that listens to one numeric address, `127.0.0.1` for tests and the demo; empty means
    every address of both families.
    """

    def __init__(self, *, host: str = "") -> None:
        self._host = host
        self._http: HttpClient | None = None

    async def dial(self, endpoint: Endpoint, kind: TransportKind, timeout: float) -> Stream:
        if kind is not TransportKind.TCP:
            raise OSError(errno.EPROTONOSUPPORT, f"{kind.value} is not spoken here")
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(timeout):
                await loop.sock_connect(sock, endpoint)
            if sock.getsockname() == sock.getpeername():
                # Dialing a free port in the ephemeral range can connect a socket to itself.
                raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")
            if watches_sockets(loop):
                return TcpStream(sock, endpoint, incoming=False)
            _, stream = await loop.create_connection(lambda: TransportStream(incoming=False), sock=sock)
            return stream
        except BaseException:
            sock.close()
            raise

    async def listen(self, port: int, on_stream: Callable[[Stream], None]) -> TcpListener:
        loop = asyncio.get_running_loop()
        sockets = bind_tcp(self._host, port)
        bound: int = sockets[0].getsockname()[1]
        if watches_sockets(loop):
            return TcpListener(bound, acceptors=[TcpAcceptor(sock, on_stream) for sock in sockets])
        servers = [
            await loop.create_server(lambda: TransportStream(incoming=True, on_stream=on_stream), sock=sock)
            for sock in sockets
        ]
        return TcpListener(bound, servers=servers)

    async def datagrams(
        self, port: int, on_datagram: OnDatagram, *, ipv6: bool = False
    ) -> UdpSocket | TransportUdpSocket:
        loop = asyncio.get_running_loop()
        # Always an explicit local address: without one Windows' proactor cannot receive.
        host = self._host if self._host and (":" in self._host) == ipv6 else ("::" if ipv6 else "0.0.0.0")
        if self._host == "127.0.0.1" and ipv6:
            host = "::1"
        sock = bind_udp(host, port)
        if watches_sockets(loop):
            return UdpSocket(sock, on_datagram)
        _, protocol = await loop.create_datagram_endpoint(lambda: TransportUdpSocket(on_datagram), sock=sock)
        return protocol

    async def multicast(self, group: Endpoint, on_datagram: OnDatagram) -> UdpSocket | TransportUdpSocket:
        loop = asyncio.get_running_loop()
        if self._host and (":" in self._host) != group.is_ipv6:
            raise OSError(errno.EADDRNOTAVAIL, "not a network of this family")
        sock = bind_multicast(group, self._host)
        if watches_sockets(loop):
            return UdpSocket(sock, on_datagram)
        _, protocol = await loop.create_datagram_endpoint(lambda: TransportUdpSocket(on_datagram), sock=sock)
        return protocol

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        if is_numeric(host):
            return (Endpoint.of(host, port),)
        if not host.isascii():
            raise OSError(errno.EINVAL, "a host name that is not ASCII")  # homographs (engine.md F D-6)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError(errno.EINVAL, "not a host name") from error
        return tuple(dict.fromkeys(Endpoint.of(str(address[0]), port) for *_, address in found))

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> HttpResponse:
        if self._http is None:
            # In a thread: what it loads takes longer than the loop may stand still.
            client = await asyncio.to_thread(_http_client)
            if self._http is None:  # else another request was as early
                self._http = client
        return await self._http.get(url, headers=headers, timeout=timeout, allow_private=allow_private)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()


class TcpListener:
    """See `Listener`."""

    def __init__(
        self, port: int, *, acceptors: list[TcpAcceptor] | None = None, servers: list[asyncio.Server] | None = None
    ) -> None:
        self.port = port
        self._acceptors = acceptors or []
        self._servers = servers or []

    async def aclose(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        for server in self._servers:
            server.close()
        self._acceptors, self._servers = [], []


def _http_client() -> HttpClient:
    """Loads aiohttp; a torrent without trackers and web seeds does without."""
    from icworkshop_gui.engine.net.http import HttpClient

    return HttpClient(USER_AGENT)


def watches_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Can this loop tell when a socket is ready, and the system send many buffers in one call?"""
    return hasattr(socket.socket, "sendmsg") and "Proactor" not in type(loop).__name__


def bind_tcp(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on one address, or on every address of both families with the same port.

    OSError when the port is taken. A machine without IPv6 gets the IPv4 socket alone, and the other way round.
    """
    if host:
        return [_listening(host, port)]
    for attempt in range(PORT_ATTEMPTS):
        sockets: list[socket.socket] = []
        errors: list[OSError] = []
        for each in ("0.0.0.0", "::"):
            try:
                sockets.append(_listening(each, sockets[0].getsockname()[1] if sockets else port))
            except OSError as error:
                errors.append(error)
        taken = any(error.errno in _TAKEN for error in errors)
        if sockets and not taken:
            return sockets
        for sock in sockets:
            sock.close()
        if port or not taken or attempt == PORT_ATTEMPTS - 1:
            raise errors[0]
    raise AssertionError("unreachable")


_TAKEN = (errno.EADDRINUSE, errno.EACCES)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            # On Windows SO_REUSEADDR would let two programs share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
