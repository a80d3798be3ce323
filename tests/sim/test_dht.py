"""The DHT at work in virtual time: many nodes of which some leave, and swarms whose tracker is gone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.discovery import dht_announcer
from icworkshop_gui.engine.discovery.dht import Dht
from icworkshop_gui.engine.discovery.dht_file import load_state
from icworkshop_gui.engine.net.peer_port import UdpPort
from icworkshop_gui.engine.world import World
from tests.bench.dht import play
from tests.sim.dht import PORT, Crowd
from tests.sim.disk import SimDisk
from tests.sim.links import Link, dsl
from tests.sim.loop import LoopClock, run_leaping, sim_loop
from tests.sim.network import SimNetwork
from tests.sim.swarm import Scene

TORRENT = InfoHash(b"simulated torrent  1")
LINE = dsl(20, 20)


@pytest.mark.slow
def test_a_fifth_of_the_nodes_leave_and_what_was_announced_is_found() -> None:
    """The small sister of `tests/bench/dht.py`."""
    result = run_leaping(play(nodes=80, churn=0.2, torrents=20, lookups=60, seed=2))
    assert result.share >= 0.99
    assert max(result.hops) <= 5
    assert max(result.queries) <= 40
    assert sorted(result.seconds)[len(result.seconds) // 2] < 1.0
    assert result.datagrams / result.simulated / 80 < 1.0, "a node at rest is quiet"


@pytest.mark.slow
def test_the_same_course_every_time() -> None:
    first, second = (run_leaping(play(nodes=20, churn=0.1, torrents=3, lookups=5, seed=7)) for _ in range(2))
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("with_dht", [True, False])
def test_the_tracker_dies_and_the_swarm_completes(with_dht: bool) -> None:
    async def run() -> set[PeerSource]:
        scene = Scene(size=8_000_000, with_dht=with_dht)
        await scene.host("seed", LINE, have=None)
        early = [await scene.host(f"early{number}", LINE) for number in range(3)]
        await asyncio.sleep(1.5)
        assert not any(actor.done.is_set() for actor in early), "mid-swarm"
        scene.tracker_host.is_on = False
        late = [await scene.host(f"late{number}", LINE) for number in range(3)]
        sources: set[PeerSource] = set()
        for _ in range(240):
            await asyncio.sleep(0.5)
            sources |= {peer.source for actor in late for peer in actor.swarm.peers()}
        assert all(actor.done.is_set() for actor in early)
        assert [actor.done.is_set() for actor in late] == [with_dht] * 3
        await scene.stop()
        return sources - {PeerSource.INCOMING}

    # Who came after the tracker had gone knows of nobody but through the DHT, and without that of nobody.
    # (Whom the DHT names, they name to each other.)
    assert run_leaping(run()) - {PeerSource.PEX} == ({PeerSource.DHT} if with_dht else set())


def test_nobody_asks_a_router_before_somebody_looks_for_peers() -> None:
    async def run() -> None:
        crowd = Crowd()
        residents = [await crowd.join([]) for _ in range(1)]
        for _ in range(14):
            residents.append(await crowd.join(residents[:1]))
            await asyncio.sleep(1.0)
        await asyncio.sleep(30.0)
        host = crowd.wires.host("94.1.1.1", Link())
        network = SimNetwork(crowd.net, host)
        asked: list[str] = []
        resolve = network.resolve

        async def watched(name: str, port: int) -> tuple[Endpoint, ...]:
            asked.append(name)
            return await resolve(name, port)

        network.resolve = watched
        crowd.net.names["router.example"] = residents[3].host.address
        crowd.net.names["community.example"] = "94.9.9.9"  # nobody is there
        world = World(clock=LoopClock(), rng=Random(1), network=network, disk=SimDisk())
        dht = Dht(
            world,
            community=lambda: [("community.example", PORT)],
            routers=lambda: [("router.example", PORT), ("unknown.example", PORT)],
        )
        udp = await UdpPort.open(network, PORT)
        await dht.enable(udp)
        await asyncio.sleep(120.0)
        assert set(asked) == {"community.example"}
        assert (dht.count, dht.ready.is_set()) == (0, False)
        dht.want()
        await asyncio.sleep(40.0)
        assert set(asked) == {"community.example", "router.example", "unknown.example"}
        assert dht.count
        assert dht.count >= 8
        asked.clear()
        await asyncio.sleep(600.0)
        assert asked == [], "enough answer"
        await dht.disable()
        udp.close()
        await crowd.close()

    run_leaping(run())


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"nonsense", b"d3:id4i7e6:nodes43:abce", b"x" * 100_000])
def test_what_is_remembered_is_the_first_way_in_and_damage_costs_only_that(tmp_path: Path, damage: bytes) -> None:
    async def run() -> None:
        crowd = Crowd()
        residents = [await crowd.join([])]
        for _ in range(14):
            residents.append(await crowd.join(residents[:1]))
            await asyncio.sleep(1.0)
        await asyncio.sleep(30.0)
        network = SimNetwork(crowd.net, crowd.wires.host("94.1.1.1", Link()))
        world = World(clock=LoopClock(), rng=Random(1), network=network, disk=SimDisk())
        first = Dht(world, folder=tmp_path, community=lambda: [(residents[0].host.address, PORT)])
        udp = await UdpPort.open(network, PORT)
        await first.enable(udp)
        await asyncio.sleep(30.0)
        known = first.count
        await first.disable()
        state = load_state(tmp_path)
        assert known
        assert len(state.nodes[False]) == known
        second = Dht(world, folder=tmp_path)
        await second.enable(udp)
        await asyncio.sleep(5.0)
        assert second.count
        assert second.count >= 8
        await second.disable()
        assert load_state(tmp_path).ids == state.ids, "the id stays"
        (tmp_path / "dht.state").write_bytes(damage)
        third = Dht(world, folder=tmp_path)
        await third.enable(udp)
        await asyncio.sleep(5.0)
        assert third.count == 0
        await third.disable()
        udp.close()
        await crowd.close()

    run_leaping(run())


@pytest.mark.slow
def test_a_transfer_asks_again_soon_while_nobody_is_found_and_rarely_once_somebody_is() -> None:
    async def run() -> None:
        crowd = Crowd()
        residents = [await crowd.join([])]
        for _ in range(11):
            residents.append(await crowd.join(residents[:1]))
            await asyncio.sleep(1.0)
        await asyncio.sleep(30.0)
        here = residents[5]
        times: list[float] = []
        heard: list[Endpoint] = []
        search = here.dht.search

        async def counted(*args: object, **more: object) -> None:
            times.append(sim_loop().now)
            await search(*args, **more)

        here.dht.search = counted
        world = World(clock=LoopClock(), rng=Random(1), network=SimNetwork(crowd.net, here.host), disk=SimDisk())

        def on_peers(peers: Sequence[Endpoint]) -> None:
            heard.extend(peers)

        announcer = dht_announcer.DhtAnnouncer(world, here.dht, TORRENT, lambda: 7001, on_peers, allow_private=False)
        announcer.start()
        await asyncio.sleep(600.0)
        waits = [round((b - a) / dht_announcer.RETRY_FIRST) for a, b in itertools.pairwise(times)]
        assert waits == [1, 2, 4]
        assert heard == [], "we are not our own peer"
        await residents[8].dht.search(TORRENT, lambda peers: None, announce=7002)
        times.clear()
        announcer.ask()
        announcer.ask()
        await asyncio.sleep(dht_announcer.INTERVAL - 1)
        assert heard == [Endpoint(residents[8].host.address, 7002)]
        assert len(times) == 1
        await asyncio.sleep(dht_announcer.INTERVAL * (1 + dht_announcer.JITTER))
        assert len(times) in (2, 3)
        await announcer.stop()
        await crowd.close()

    run_leaping(run())


def test_switched_off_in_the_middle_of_a_search() -> None:
    async def run() -> None:
        crowd = Crowd()
        residents = [await crowd.join([])]
        for _ in range(9):
            residents.append(await crowd.join(residents[:1]))
            await asyncio.sleep(1.0)
        here = residents[4]
        task = asyncio.ensure_future(here.dht.search(TORRENT, lambda peers: None, announce=7001))
        await asyncio.sleep(0.05)
        assert not task.done()
        await here.dht.disable()
        await asyncio.wait_for(task, 1.0)
        assert here.dht.count is None
        sent = crowd.datagrams
        await here.dht.search(TORRENT, lambda peers: None, announce=7001)
        here.dht.meet(Endpoint(residents[1].host.address, PORT))
        assert crowd.datagrams == sent
        # On and off again by an impatient player, who ends with on.
        switches = [here.dht.enable(here.udp), here.dht.disable(), here.dht.enable(here.udp), here.dht.enable(here.udp)]
        await asyncio.gather(*switches)
        await asyncio.sleep(20.0)
        assert here.dht.count
        await crowd.close()

    run_leaping(run())
