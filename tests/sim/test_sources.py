"""Swarms whose peers find each other by one source alone."""

from __future__ import annotations

import asyncio

import pytest

from icworkshop_gui.core.address import PeerSource
from icworkshop_gui.engine.discovery.lsd import LocalDiscovery
from icworkshop_gui.engine.world import World
from tests.sim.loop import LoopClock, run_leaping
from tests.sim.swarm import INFO_HASH, PORT, Actor, Scene
from tests.sim.test_swarms import LINE, SIZE, scene, until

pytestmark = pytest.mark.slow


def test_all_but_peer_exchange_is_gone() -> None:
    """No tracker; each knows the seed alone, and the seed leaves when everything was sent once."""

    async def play() -> None:
        stage = scene(4 * SIZE, with_tracker=False)
        seed = await stage.host("seed", LINE, have=None)
        leechers = [await stage.host(f"leech{i}", LINE) for i in range(6)]
        for leech in leechers:
            leech.meet(seed)
        pieces = set(range(stage.geometry.piece_count))
        await until(lambda: {index for actor in leechers for index in actor.swarm.have} == pieces)
        await seed.stop()
        await stage.finished(*leechers, timeout=300)
        sources = {peer.source for leech in leechers for peer in leech.swarm.peers()}
        assert sources <= {PeerSource.PEX, PeerSource.INCOMING}
        await stage.stop()

    run_leaping(play())


def test_without_peer_exchange_the_same_swarm_stays_apart() -> None:
    async def play() -> None:
        stage = scene(4 * SIZE, with_tracker=False)
        seed = await stage.host("seed", LINE, have=None)
        leechers = [await stage.host(f"leech{i}", LINE, pex=False) for i in range(3)]
        for leech in leechers:
            leech.meet(seed)
        await asyncio.sleep(2)
        await seed.stop()
        await asyncio.sleep(300)
        assert not any(leech.done_at for leech in leechers)
        assert [leech.swarm.stats().known for leech in leechers] == [1, 1, 1]
        await stage.stop()

    run_leaping(play())


def test_in_a_private_swarm_nobody_is_named() -> None:
    async def play() -> None:
        stage = scene(4 * SIZE, with_tracker=False)
        seed = await stage.host("seed", LINE, have=None, private=True)
        leechers = [await stage.host(f"leech{i}", LINE, private=True) for i in range(2)]
        for leech in leechers:
            leech.meet(seed)
        await asyncio.sleep(70)
        assert [leech.swarm.stats().known for leech in leechers] == [1, 1]
        await stage.stop()

    run_leaping(play())


def local(stage: Scene, actor: Actor) -> LocalDiscovery:
    world = World(clock=LoopClock(), rng=stage.wires.rng, network=actor.network, disk=actor.disk)
    found = LocalDiscovery(world, lambda: PORT)
    found.join(INFO_HASH, lambda peers: actor.swarm.add_candidates(peers, PeerSource.LSD))
    return found


def test_the_internet_is_cut_and_the_house_goes_on() -> None:
    """Four of one house and a seed far away; the line to the Internet is cut when the house has everything once."""

    async def play() -> None:
        stage = scene(4 * SIZE, with_tracker=False)
        seed = await stage.host("seed", LINE, have=None)
        house = [await stage.host(f"room{i}", LINE, address=f"192.168.1.{10 + i}", pex=False) for i in range(4)]
        for actor in house:
            actor.meet(seed)
        sides = [local(stage, actor) for actor in house]
        for side in sides:
            await side.enable()
        pieces = set(range(stage.geometry.piece_count))
        await until(lambda: {index for actor in house for index in actor.swarm.have} == pieces)
        assert not all(actor.done_at for actor in house)
        assert any(peer.source is PeerSource.LSD for actor in house for peer in actor.swarm.peers())
        with stage.wires.partition(*(actor.host for actor in house)):
            await stage.finished(*house, timeout=300)
        for side in sides:
            side.disable()
        await stage.stop()

    run_leaping(play())
