"""What trackers cost comes out of the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.engine.bandwidth import LimitTree
from icworkshop_gui.engine.net.charged import UDP_IPV4, ChargedNetwork

TRACKER = Endpoint("203.0.113.1", 6969)


class Socket:
    port = 1

    def __init__(self, on_datagram: Callable[[bytes, Endpoint], None]) -> None:
        self.on_datagram = on_datagram

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        self.on_datagram(data * 2, endpoint)

    def close(self) -> None:
        pass


class Answer:
    status = 200
    headers: Mapping[str, str] = {"A": "12345"}

    async def chunks(self) -> AsyncIterator[bytes]:
        yield bytes(100)
        yield bytes(50)

    async def read(self, limit: int) -> bytes:
        return bytes(200)

    async def aclose(self) -> None:
        pass


class Net:
    async def datagrams(self, port: int, on_datagram: Any, *, ipv6: bool = False) -> Socket:
        return Socket(on_datagram)

    async def http_get(self, url: str, **_options: Any) -> Answer:
        return Answer()


def left(tree: LimitTree) -> int:
    """Bytes that may still pass at once."""
    return tree.root.child().budget(lambda: None).available(1.0)


@pytest.mark.parametrize("what", ["udp", "read", "chunks"])
def test_each_way_is_charged(what: str) -> None:
    down, up = LimitTree(), LimitTree()
    for tree in (down, up):
        tree.root.set_rate(1_000_000, 0.0)
    full = left(down)
    assert left(up) == full
    network = ChargedNetwork(Net(), up=up.chatter, down=down.chatter)  # type: ignore[arg-type]
    got: list[bytes] = []

    async def talk() -> None:
        if what == "udp":
            socket = await network.datagrams(0, lambda data, _from: got.append(data))
            socket.send(bytes(60), TRACKER)
            socket.close()
            return
        answer = await network.http_get("http://x.example/announce", headers={"B": "1"})
        if what == "read":
            got.append(await answer.read(1000))
        else:
            got.extend([chunk async for chunk in answer.chunks()])

    asyncio.run(talk())
    assert sum(map(len, got)) == {"udp": 120, "read": 200, "chunks": 150}[what]
    assert full - left(down) == {"udp": 120 + UDP_IPV4, "read": 200 + 10, "chunks": 150 + 10}[what]
    assert full - left(up) == {"udp": 60 + UDP_IPV4, "read": 25 + 6, "chunks": 25 + 6}[what]
