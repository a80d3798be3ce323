"""A network whose small talk is counted: what trackers are asked and answer comes out of the limits.

It never waits: an announce is short, and without it there would be nobody to be limited. The transfers wait for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.limiter import Budget
from icworkshop_gui.engine.net.network import DatagramSocket, HttpResponse, Listener, Network
from icworkshop_gui.engine.net.stream import Stream

UDP_IPV4: Final = 28
UDP_IPV6: Final = 48
"""Bytes of headers of one datagram."""


class ChargedNetwork:
    """See `Network`. Datagrams and HTTP answers are charged; connections to peers have their own limits."""

    def __init__(self, inner: Network, *, up: Budget, down: Budget) -> None:
        self._inner = inner
        self._up = up
        self._down = down

    async def dial(self, endpoint: Endpoint, kind: TransportKind, timeout: float) -> Stream:
        return await self._inner.dial(endpoint, kind, timeout)

    async def listen(self, port: int, on_stream: Callable[[Stream], None]) -> Listener:
        return await self._inner.listen(port, on_stream)

    async def datagrams(
        self, port: int, on_datagram: Callable[[bytes, Endpoint], None], *, ipv6: bool = False
    ) -> DatagramSocket:
        header = UDP_IPV6 if ipv6 else UDP_IPV4

        def received(data: bytes, endpoint: Endpoint) -> None:
            self._down.charge(len(data) + header)
            on_datagram(data, endpoint)

        return _ChargedSocket(await self._inner.datagrams(port, received, ipv6=ipv6), self._up, header)

    async def multicast(self, group: Endpoint, on_datagram: Callable[[bytes, Endpoint], None]) -> DatagramSocket:
        header = UDP_IPV6 if group.is_ipv6 else UDP_IPV4

        def received(data: bytes, endpoint: Endpoint) -> None:
            self._down.charge(len(data) + header)
            on_datagram(data, endpoint)

        return _ChargedSocket(await self._inner.multicast(group, received), self._up, header)

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        return await self._inner.resolve(host, port)

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> HttpResponse:
        self._up.charge(len(url) + head_size(headers or {}))
        response = await self._inner.http_get(url, headers=headers, timeout=timeout, allow_private=allow_private)
        self._down.charge(head_size(response.headers))
        return _ChargedResponse(response, self._down)

    async def aclose(self) -> None:
        await self._inner.aclose()


def head_size(headers: Mapping[str, str]) -> int:
    """Bytes of the headers of a request or an answer."""
    return sum(len(name) + len(value) + 4 for name, value in headers.items())


class _ChargedSocket:
    def __init__(self, inner: DatagramSocket, up: Budget, header: int) -> None:
        self._inner = inner
        self._up = up
        self._header = header

    @property
    def port(self) -> int:
        return self._inner.port

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        self._up.charge(len(data) + self._header)
        self._inner.send(data, endpoint)

    def close(self) -> None:
        self._inner.close()


class _ChargedResponse:
    def __init__(self, inner: HttpResponse, down: Budget) -> None:
        self._inner = inner
        self._down = down

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            self._down.charge(len(chunk))
            yield chunk

    async def read(self, limit: int) -> bytes:
        body = await self._inner.read(limit)
        self._down.charge(len(body))
        return body

    async def aclose(self) -> None:
        await self._inner.aclose()
