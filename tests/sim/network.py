"""`engine/net/network.py` in the simulation: TCP as `SimStream`, datagrams, names, and HTTP to our own servers."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.engine.net.network import HttpResponse, OnDatagram
from icworkshop_gui.engine.net.stream import Stream
from tests.sim.counters import CountedStream, Reading, Traffic
from tests.sim.links import HEADERS, MSS, UDP_HEADERS, Host, Wires
from tests.sim.tcp import SimStream

SYN_RETRY = 1.0
"""Seconds until a connection is tried again; each further time twice as long (RFC 6298)."""
FIRST_PORT = 49152
"""Of those that the system chooses."""
HTTP_REQUEST = 500
"""Bytes that a request costs, headers and all."""
HTTP_CHUNK = 4 * MSS

Ask = Callable[[str, Mapping[str, str], str], tuple[int, bytes]]
"""A web server: path and query, headers, the asker's address in; status and body out."""


@dataclass
class SimInternet:
    """All hosts, what they listen on, and what they are called."""

    wires: Wires
    names: dict[str, str] = field(default_factory=dict)
    """Name to address."""
    listeners: dict[tuple[str, int], Callable[[Stream], None]] = field(default_factory=dict)
    sockets: dict[tuple[str, int], OnDatagram] = field(default_factory=dict)
    web: dict[tuple[str, int], Ask] = field(default_factory=dict)
    groups: dict[Endpoint, list[_Multicast]] = field(default_factory=dict)
    datagrams: int = 0
    """Sent so far."""
    unreachable: set[str] = field(default_factory=set)
    """Addresses behind a NAT without a mapping: nobody reaches them unasked."""
    asked: set[tuple[Endpoint, Endpoint]] = field(default_factory=set)
    """(From behind a NAT, to whom): answers get in."""
    traffic: Traffic | None = None
    """Counted when it is there."""
    dials: Counter[str] = field(default_factory=Counter)
    """Connection attempts, by the address they come from."""

    def host_of(self, name: str) -> Host | None:
        return self.wires.hosts.get(self.names.get(name, name))


@dataclass
class _Listener:
    net: SimInternet
    host: Host
    port: int

    async def aclose(self) -> None:
        self.net.listeners.pop((self.host.address, self.port), None)


@dataclass
class _Datagrams:
    net: SimInternet
    host: Host
    port: int

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        target = self.net.wires.hosts.get(endpoint.host)
        if target is not None and (self.host.address, self.port) in self.net.sockets:
            size = len(data) + UDP_HEADERS
            self.net.datagrams += 1
            if self.host.address in self.net.unreachable:
                self.net.asked.add((Endpoint(self.host.address, self.port), endpoint))
            self.net.wires.send(self.host, target, size, 1, self._arrive, _nothing, data, endpoint)

    def _arrive(self, data: bytes, endpoint: Endpoint) -> None:
        on_datagram = self.net.sockets.get((endpoint.host, endpoint.port))
        asked = (endpoint, Endpoint(self.host.address, self.port)) in self.net.asked
        if on_datagram is not None and (asked or endpoint.host not in self.net.unreachable):
            self.net.wires.loop.call_soon(on_datagram, data, Endpoint(self.host.address, self.port))

    def close(self) -> None:
        self.net.sockets.pop((self.host.address, self.port), None)


@dataclass(eq=False)
class _Multicast:
    """Reaches all hosts of the same /24 that have joined, itself included."""

    net: SimInternet
    host: Host
    group: Endpoint
    on_datagram: OnDatagram

    @property
    def port(self) -> int:
        return self.group.port

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        here = Endpoint(self.host.address, self.port)
        for other in self.net.groups.get(endpoint, ()):
            if Endpoint(other.host.address, self.port).subnet == here.subnet:
                self.net.datagrams += 1
                self.net.wires.loop.call_later(0.001, other.hear, data, here)

    def hear(self, data: bytes, source: Endpoint) -> None:
        if self in self.net.groups[self.group]:
            self.on_datagram(data, source)

    def close(self) -> None:
        if self in self.net.groups[self.group]:
            self.net.groups[self.group].remove(self)


def _nothing(*_: object) -> None:
    """A lost datagram is lost."""


class SimNetwork:
    """One host's way out. Implements `Network`."""

    def __init__(self, net: SimInternet, host: Host) -> None:
        self._net = net
        self._wires = net.wires
        self.host = host
        self._next_port = FIRST_PORT
        self.streams: list[SimStream] = []
        """Every connection that was made, from here or to here."""

    async def dial(self, endpoint: Endpoint, kind: TransportKind, timeout: float) -> Stream:
        assert kind is TransportKind.TCP, "only TCP is simulated so far"
        target = self._wires.hosts.get(endpoint.host)
        if target is None:
            raise OSError("no route to that address")
        self._net.dials[self.host.address] += 1
        self._next_port += 1
        here = Endpoint(self.host.address, self._next_port)
        future: asyncio.Future[SimStream] = self._wires.loop.create_future()

        def refused() -> None:
            if not future.done():
                future.set_exception(ConnectionRefusedError("nobody listens there"))

        def answered() -> None:
            if not future.done():
                future.set_result(self._connected(target, here, endpoint))

        def knocked() -> None:
            if future.done() or endpoint.host in self._net.unreachable:
                return
            listens = (endpoint.host, endpoint.port) in self._net.listeners
            self._wires.answer(target, self.host, answered if listens else refused)

        async with asyncio.timeout(timeout):
            wait = SYN_RETRY
            while True:
                self._wires.answer(self.host, target, knocked)
                done, _ = await asyncio.wait([future], timeout=wait)
                if done:
                    return future.result()
                wait *= 2

    def _connected(self, target: Host, here: Endpoint, there: Endpoint) -> SimStream:
        near = self._stream(self.host, there, incoming=False)
        far = self._stream(target, here, incoming=True)
        near.peer, far.peer = far, near
        self.streams.append(near)

        def accepted() -> None:
            on_stream = self._net.listeners.get((there.host, there.port))
            if on_stream is None:
                far.abort()
            else:
                self._wires.loop.call_soon(on_stream, far)

        self._wires.answer(self.host, target, accepted)
        return near

    def _stream(self, host: Host, peer: Endpoint, *, incoming: bool) -> SimStream:
        traffic = self._net.traffic
        if traffic is None:
            return SimStream(self._wires, host, peer, incoming=incoming)
        counted = CountedStream(self._wires, host, peer, incoming=incoming)
        counted.reading = Reading(host.address, peer.host, traffic)
        return counted

    async def listen(self, port: int, on_stream: Callable[[Stream], None]) -> _Listener:
        port = port or self._free(self._net.listeners)
        if (self.host.address, port) in self._net.listeners:
            raise OSError(errno.EADDRINUSE, "address in use")
        self._net.listeners[self.host.address, port] = on_stream
        return _Listener(self._net, self.host, port)

    async def multicast(self, group: Endpoint, on_datagram: OnDatagram) -> _Multicast:
        if group.is_ipv6:
            raise OSError(errno.EADDRNOTAVAIL, "the simulated networks speak IPv4")
        socket = _Multicast(self._net, self.host, group, on_datagram)
        self._net.groups.setdefault(group, []).append(socket)
        return socket

    async def datagrams(self, port: int, on_datagram: OnDatagram, *, ipv6: bool = False) -> _Datagrams:
        if ipv6 != (":" in self.host.address):
            raise OSError(errno.EAFNOSUPPORT, "a simulated host has one address, and so one family")
        port = port or self._free(self._net.sockets)
        if (self.host.address, port) in self._net.sockets:
            raise OSError(errno.EADDRINUSE, "address in use")
        self._net.sockets[self.host.address, port] = on_datagram
        return _Datagrams(self._net, self.host, port)

    def _free(self, taken: Mapping[tuple[str, int], object]) -> int:
        while True:
            self._next_port += 1
            if (self.host.address, self._next_port) not in taken:
                return self._next_port

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        address = self._net.names.get(host, host)
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise OSError(f"{host} is not known") from None
        return (Endpoint(address, port),)

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> HttpResponse:
        parts = urlsplit(url)
        target = self._net.host_of(parts.hostname or "")
        if target is None:
            raise OSError(f"{parts.hostname} is not known")
        async with asyncio.timeout(timeout):
            await self._carry(self.host, target, HEADERS)
            await self._carry(target, self.host, HEADERS)
            ask = self._net.web.get((target.address, parts.port or 80))
            if ask is None:
                raise ConnectionRefusedError("no web server there")
            await self._carry(self.host, target, HTTP_REQUEST)
            status, body = ask(f"{parts.path}?{parts.query}", headers or {}, self.host.address)
        return _Answer(self, target, status, body, timeout)

    async def _carry(self, source: Host, target: Host, size: int) -> None:
        """Until it is there, sent again when it gets lost."""
        future: asyncio.Future[None] = self._wires.loop.create_future()

        def arrived() -> None:
            if not future.done():
                future.set_result(None)

        wait = SYN_RETRY
        while True:
            self._wires.send(source, target, size, 1, arrived, _nothing)
            done, _ = await asyncio.wait([future], timeout=wait)
            if done:
                return
            wait *= 2

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class _Answer:
    net: SimNetwork
    server: Host
    status: int
    body: bytes
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.body), HTTP_CHUNK):
            chunk = self.body[at : at + HTTP_CHUNK]
            async with asyncio.timeout(self.timeout):
                await self.net._carry(self.server, self.net.host, len(chunk) + HEADERS)
            yield chunk

    async def read(self, limit: int) -> bytes:
        if len(self.body) > limit:
            raise RemoteProtocolError("longer than was allowed")
        return b"".join([chunk async for chunk in self.chunks()])

    async def aclose(self) -> None:
        """Nothing is held."""
