"""The network as a parameter: production opens sockets, a simulation does not (style rule 13)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.stream import Stream


class Listener(Protocol):
    """An open peer port."""

    @property
    def port(self) -> int: ...

    async def aclose(self) -> None: ...


class DatagramSocket(Protocol):
    """One UDP socket."""

    @property
    def port(self) -> int: ...

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        """Send one datagram or drop it: like the network, it promises nothing."""
        ...

    def close(self) -> None: ...


class ForbiddenAddress(OSError):
    """The URL leads where it may not: an address that is not public, or no web address at all."""


class HttpResponse(Protocol):
    """Status and headers are here; the body still flows."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece; raises OSError or TimeoutError when it breaks off."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body; RemoteProtocolError when it is longer than `limit` bytes."""
        ...

    async def aclose(self) -> None: ...


class Network(Protocol):
    """The only way to the outside."""

    async def dial(self, endpoint: Endpoint, kind: TransportKind, timeout: float) -> Stream:
        """Connect. OSError or TimeoutError when it does not work within `timeout` seconds."""
        ...

    async def listen(self, port: int, on_stream: Callable[[Stream], None]) -> Listener:
        """Accept peers on TCP `port` (0: any free one) over IPv4 and, where there is one, IPv6."""
        ...

    async def datagrams(
        self, port: int, on_datagram: Callable[[bytes, Endpoint], None], *, ipv6: bool = False
    ) -> DatagramSocket:
        """Open a UDP socket."""
        ...

    async def multicast(self, group: Endpoint, on_datagram: Callable[[bytes, Endpoint], None]) -> DatagramSocket:
        """Listen to what is sent to this group and its port, beside other programs; what is sent to it stays on this
        network. OSError where there is no such network."""
        ...

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        """Addresses of a name, IPv4 and IPv6. OSError when there are none."""
        ...

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> HttpResponse:
        """Start a GET. At most 5 redirects, never from a global address to another kind (engine.md F D-5).

        OSError, TimeoutError; ForbiddenAddress where it may not lead; RemoteProtocolError for too many redirects.
        `allow_private` lets the first hop be a private or loopback address: for servers the user configured.
        """
        ...

    async def aclose(self) -> None: ...


OnDatagram = Callable[[bytes, Endpoint], None]
Resolver = Callable[[str], Awaitable[tuple[Endpoint, ...]]]
