"""UDP on a non-blocking socket that is drained by hand: four times the packets of asyncio's datagram transport,
and none dropped (stack.md §7). Where a loop cannot watch sockets, the transport serves."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Final, cast

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.net.network import OnDatagram

DATAGRAM_MAX: Final = 65536
"""Bytes of the receive buffer: any UDP datagram."""

DRAIN_MAX: Final = 64
"""Datagrams taken in one turn of the loop."""

RECEIVE_BUFFER: Final = 4 * MIB
"""Bytes asked of the system for datagrams that wait for us; it may give less."""


def bind_udp(host: str, port: int) -> socket.socket:
    """A bound non-blocking UDP socket on a numeric address. OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def bind_multicast(group: Endpoint, host: str = "") -> socket.socket:
    """A non-blocking UDP socket that hears `group`, on the interface with the address `host` or the usual one.

    What it sends reaches one hop, and the programs of this computer. OSError where that cannot be.
    """
    family = socket.AF_INET6 if group.is_ipv6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT") and sys.platform != "linux":
            # Of datagrams to a group Linux gives each socket one with SO_REUSEADDR alone; the BSDs want this as well.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("::", group.port))
            index = 0
            joined = socket.inet_pton(family, group.host) + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        else:
            # Windows cannot bind to a group; elsewhere that keeps out what was not sent to it.
            sock.bind(("" if sys.platform == "win32" else group.host, group.port))
            ours = socket.inet_aton(host or "0.0.0.0")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group.host) + ours)
            if host:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ours)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    except OSError:
        sock.close()
        raise
    return sock


class UdpSocket:
    """See `DatagramSocket`. Datagrams from port 0 are dropped: they cannot be answered (engine.md F D-11)."""

    def __init__(self, sock: socket.socket, on_datagram: OnDatagram) -> None:
        self._sock = sock
        self._on_datagram = on_datagram
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(DATAGRAM_MAX)
        self._view = memoryview(self._buffer)
        self._closed = False
        self.port: int = sock.getsockname()[1]
        self._loop.add_reader(sock, self._on_readable)

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        if self._closed:
            return
        try:
            self._sock.sendto(data, endpoint)
        except OSError:
            # A full queue, an unreachable net, an address family that this machine lacks: lost, as datagrams may be.
            pass

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _on_readable(self) -> None:
        view, buffer, receive, deliver = self._view, self._buffer, self._sock.recvfrom_into, self._on_datagram
        for _ in range(DRAIN_MAX):
            try:
                count, address = receive(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # An ICMP answer to something we sent: says nothing about the next datagram.
            if address[1]:
                deliver(bytes(view[:count]), Endpoint(address[0].partition("%")[0], address[1]))
            if self._closed:
                return


class TransportUdpSocket(asyncio.DatagramProtocol):
    """The same over asyncio's datagram transport."""

    def __init__(self, on_datagram: OnDatagram) -> None:
        self._on_datagram = on_datagram
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not `isinstance`: on Python 3.11 the selector loop's transport does not inherit from it.
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[1]:
            self._on_datagram(data, Endpoint(addr[0].partition("%")[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """As above: says nothing about the next datagram."""

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, endpoint)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
