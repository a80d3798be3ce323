"""Local discovery (BEP 14): how often we speak, whom we hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.discovery.lsd import (
    ANSWER_MIN,
    BATCHES_MAX,
    HEARD_MAX,
    HEARD_SECONDS,
    INTERVAL,
    LocalDiscovery,
)
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire import lsd
from tests.helpers.fake_peer import InlineDisk
from tests.sim.loop import LoopClock, run_leaping

ONE, TWO = InfoHash(b"1" * 20), InfoHash(b"2" * 20)
NEIGHBOUR = Endpoint("192.168.1.9", 6771)


class Air:
    """A network with a multicast group for IPv4 only."""

    def __init__(self) -> None:
        self.said: list[tuple[float, lsd.LsdMessage]] = []
        self.on_datagram: Callable[[bytes, Endpoint], None] | None = None
        self.port = 6771

    async def multicast(self, group: Endpoint, on_datagram: Callable[[bytes, Endpoint], None]) -> Air:
        if group.is_ipv6:
            raise OSError("no IPv6 here")
        self.on_datagram = on_datagram
        return self

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        assert endpoint == lsd.GROUP_V4
        message = lsd.parse(data)
        assert message is not None
        self.said.append((round(asyncio.get_running_loop().time(), 3), message))

    def close(self) -> None:
        self.on_datagram = None

    def hear(self, source: Endpoint, *info_hashes: InfoHash, port: int = 6881, cookie: str = "other") -> None:
        assert self.on_datagram is not None
        self.on_datagram(lsd.encode(port, info_hashes, cookie, ipv6=False), source)


def play(scene: Callable[[LocalDiscovery, Air], Coroutine[Any, Any, None]], port: int = 19711) -> None:
    async def run() -> None:
        air = Air()
        world = World(clock=LoopClock(), rng=Random(1), network=air, disk=InlineDisk())  # type: ignore[arg-type]
        local = LocalDiscovery(world, lambda: port)
        await local.enable()
        await scene(local, air)
        local.disable()

    run_leaping(run())


def test_what_begins_together_is_said_together_and_again_after_five_minutes() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        local.join(ONE, lambda peers: None)
        local.join(TWO, lambda peers: None)
        await asyncio.sleep(2 * INTERVAL + 5)
        assert [set(message.info_hashes) for _at, message in air.said] == [{ONE, TWO}] * 3
        assert air.said[1][0] - air.said[0][0] >= INTERVAL
        assert air.said[0][1].port == 19711
        local.leave(ONE, print)  # not one that joined
        await asyncio.sleep(INTERVAL)
        assert set(air.said[-1][1].info_hashes) == {ONE, TWO}

    play(scene)


def test_who_leaves_is_silent() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        found: list[Endpoint] = []
        on_peers = found.extend
        local.join(ONE, on_peers)
        await asyncio.sleep(1)
        local.leave(ONE, on_peers)
        air.hear(NEIGHBOUR, ONE)
        await asyncio.sleep(2 * INTERVAL)
        assert (len(air.said), found) == (1, [])

    play(scene)


def test_a_neighbour_is_a_peer_and_gets_an_answer_once_a_minute() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        found: list[Endpoint] = []
        local.join(ONE, found.extend)
        await asyncio.sleep(1)
        air.hear(NEIGHBOUR, ONE, TWO)
        await asyncio.sleep(ANSWER_MIN - 5)
        assert found == [Endpoint("192.168.1.9", 6881)]
        assert len(air.said) == 1  # we have only just said it
        await asyncio.sleep(10)
        assert len(air.said) == 2
        for number in range(20):  # newcomers, all at once
            air.hear(Endpoint(f"192.168.1.{20 + number}", 6771), ONE)
        await asyncio.sleep(ANSWER_MIN + 5)
        assert len(air.said) == 3
        for _ in range(5):  # he is known
            air.hear(NEIGHBOUR, ONE)
            await asyncio.sleep(ANSWER_MIN - 20)
        assert len(air.said) == 3

    play(scene)


def test_who_is_not_heard() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        found: list[Endpoint] = []
        local.join(ONE, found.extend)
        await asyncio.sleep(1)
        air.hear(Endpoint("93.1.1.1", 6771), ONE)  # from afar
        air.hear(Endpoint("fe80::1", 6771), ONE)  # the interface is not known
        air.hear(NEIGHBOUR, ONE, cookie=air.said[0][1].cookie)  # our own words
        air.hear(NEIGHBOUR, TWO)
        assert air.on_datagram is not None
        air.on_datagram(b"noise", NEIGHBOUR)
        assert found == []

    play(scene)


def test_a_flood_is_read_to_its_limit() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        found: list[Endpoint] = []
        local.join(ONE, found.extend)
        for number in range(3 * HEARD_MAX):
            air.hear(NEIGHBOUR, ONE, port=2000 + number)
        assert len(found) == HEARD_MAX
        air.hear(Endpoint("192.168.1.10", 6771), ONE)
        assert len(found) == HEARD_MAX + 1
        await asyncio.sleep(HEARD_SECONDS)
        air.hear(NEIGHBOUR, ONE)
        assert len(found) == HEARD_MAX + 2

    play(scene)


def test_a_thousand_torrents_are_said_in_rounds() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        for number in range(1000):
            local.join(InfoHash(number.to_bytes(20)), lambda peers: None)
        await asyncio.sleep(1)
        assert len(air.said) == BATCHES_MAX
        await asyncio.sleep(30)
        assert len({key for _at, message in air.said for key in message.info_hashes}) == 1000
        assert len(air.said) == 50

    play(scene)


def test_where_nobody_can_reach_us_we_only_listen() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        found: list[Endpoint] = []
        local.join(ONE, found.extend)
        await asyncio.sleep(10)
        air.hear(NEIGHBOUR, ONE)
        assert (air.said, len(found)) == ([], 1)

    play(scene, port=0)


def test_off_and_on_again() -> None:
    async def scene(local: LocalDiscovery, air: Air) -> None:
        local.join(ONE, lambda peers: None)
        await asyncio.sleep(1)
        local.disable()
        assert not local.is_on
        assert air.on_datagram is None
        await asyncio.sleep(2 * INTERVAL)
        assert len(air.said) == 1
        await local.enable()
        await asyncio.sleep(1)
        assert len(air.said) == 2

    play(scene)
