"""Where others reach us: TCP and UDP on one number, and who of us a datagram is for.

DHT and uTP share the UDP port of the torrents (DESIGN §4.15), so that one hole in a router serves them all. Which of
them a datagram belongs to is said by its first byte: a KRPC message is a dictionary and begins with `d`; a uTP packet
begins with type and version, 0x01 to 0x41 (BEP 29).
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.engine.net.network import DatagramSocket, Listener, Network, OnDatagram
from icworkshop_gui.engine.net.stream import Stream

ATTEMPTS: Final = 10
"""Tries to find a number that is free for TCP and UDP alike when any will do."""
TAKEN: Final = frozenset({errno.EADDRINUSE, errno.EACCES})

_LOG = logging.getLogger("icw.net")


class UdpPort:
    """The sockets of one UDP port, of both families where there are both. Not to be made by hand: see `open`."""

    def __init__(self) -> None:
        self._handlers: list[OnDatagram | None] = [None] * 256
        self._sockets: dict[bool, DatagramSocket] = {}

    @classmethod
    async def open(cls, network: Network, port: int) -> UdpPort:
        """On `port` (0: any free one). OSError when it is taken, or when there is no UDP at all."""
        self = cls()
        problem: OSError | None = None
        for ipv6 in (False, True):
            try:
                self._sockets[ipv6] = await network.datagrams(self.port or port, self._deliver, ipv6=ipv6)
            except OSError as error:
                # A machine of one family has one socket; a number that is half ours is not ours.
                problem = problem or error
                if error.errno in TAKEN:
                    self.close()
                    raise
        if not self._sockets:
            raise problem or OSError("no UDP here")
        return self

    @property
    def port(self) -> int:
        """0 once closed."""
        return next((sock.port for sock in self._sockets.values()), 0)

    def speaks(self, *, ipv6: bool) -> bool:
        """Is there a socket of this family?"""
        return ipv6 in self._sockets

    def handle(self, first_bytes: Iterable[int], handler: OnDatagram | None) -> None:
        """Datagrams that begin with one of these go to `handler` from now on; None: they are dropped again.

        Nobody's datagrams are dropped, and so are empty ones. Whoever takes bytes that are another's is a bug.
        """
        for byte in first_bytes:
            if handler is not None and self._handlers[byte] is not None:
                raise ValueError(f"datagrams that begin with {byte:#04x} have a handler already")
            self._handlers[byte] = handler

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        """Send one datagram or drop it: like the network, it promises nothing."""
        sock = self._sockets.get(endpoint.is_ipv6)
        if sock is not None:
            sock.send(data, endpoint)

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets = {}

    def _deliver(self, data: bytes, endpoint: Endpoint) -> None:
        handler = self._handlers[data[0]] if data else None
        if handler is not None:
            handler(data, endpoint)


class PeerPort:
    """A TCP listener and, where there is UDP, the UDP port of the same number."""

    def __init__(self, listener: Listener, udp: UdpPort | None) -> None:
        self._listener = listener
        self.udp = udp
        """None: there is no UDP here."""
        self.number = listener.port

    @classmethod
    async def open(cls, network: Network, port: int, on_stream: Callable[[Stream], None]) -> PeerPort:
        """On `port` (0: any that is free for both). OSError when it is taken for either, or there is no TCP."""
        for attempt in range(ATTEMPTS):
            listener = await network.listen(port, on_stream)
            try:
                return cls(listener, await UdpPort.open(network, listener.port))
            except OSError as error:
                if error.errno not in TAKEN or (not port and attempt == ATTEMPTS - 1):
                    _LOG.info("event=no-udp port=%d: %s", listener.port, error)
                    return cls(listener, None)
                await listener.aclose()
                if port:
                    raise
            except asyncio.CancelledError:
                await listener.aclose()
                raise
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        if self.udp is not None:
            self.udp.close()
        await self._listener.aclose()
