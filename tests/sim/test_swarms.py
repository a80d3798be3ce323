"""Whole swarms in virtual time. Exact counters: when one changes, behaviour did, and the commit says why."""

from __future__ import annotations

import asyncio

import pytest

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.swarm.config import SwarmConfig
from tests.helpers.streams import until
from tests.sim.links import Drop, dsl
from tests.sim.loop import run_leaping, sim_loop
from tests.sim.swarm import OVERHEAD, Actor, Scene, swarm

PIECE = 64 * KIB
SIZE = 32 * PIECE
LINE = dsl(20, 20)


def scene(size: int = SIZE, **settings: object) -> Scene:
    return Scene(size=size, piece_length=PIECE, **settings)


def got(actor: Actor) -> int:
    return actor.swarm.stats().from_peers


def test_one_seed_and_twenty_leechers_send_the_content_twenty_times() -> None:
    outcome = swarm(20, links=LINE, size=SIZE, piece_length=PIECE)
    sent = sum(outcome.uploaded.values())
    # 41.9 MB are twenty times the content, 2.6 MB came twice, 0.2 MB were handed to streams and not received.
    assert (sent, outcome.wasted) == (44_679_168, 2_555_904)
    assert round(outcome.last, 3) == 2.547


def test_the_last_copy_survives_a_seed_that_leaves_when_everything_was_sent_once() -> None:
    async def play() -> None:
        stage = scene()
        seed = await stage.host("seed", LINE, have=None)
        leechers = [await stage.host(f"leech{i}", LINE) for i in range(6)]
        pieces = set(range(stage.geometry.piece_count))
        await until(lambda: {index for actor in leechers for index in actor.swarm.have} == pieces)
        assert not any(actor.done_at for actor in leechers), "the seed leaves before anybody is done"
        await seed.stop()
        await stage.finished(*leechers, timeout=120)
        assert all(actor.storage.written == pieces for actor in leechers)
        await stage.stop()

    run_leaping(play())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_corrupt_peer_is_banned_and_nobody_else(seed: int) -> None:
    async def play() -> None:
        stage = scene(seed=seed)
        liar = await stage.host("liar", dsl(100, 100), have=None)
        liar.storage.corrupts = True
        await stage.host("seed", dsl(10, 10), have=None)
        leechers = [await stage.host(f"leech{i}", LINE) for i in range(4)]
        await stage.finished(*leechers, timeout=600)
        banned = {endpoint.host for actor in leechers for endpoint in actor.banned}
        assert banned == {liar.host.address}
        await stage.stop()

    run_leaping(play())


def test_blocks_of_a_peer_that_fell_silent_are_asked_of_another() -> None:
    async def play() -> None:
        stage = scene(with_tracker=False)
        silent = await stage.host("silent", dsl(20, 4), have=None)
        leech = await stage.host("leech", LINE)
        leech.meet(silent)
        await asyncio.sleep(1.0)
        silent.host.is_on = False
        held = len(leech.swarm.in_flight())
        assert held > 0
        seed = await stage.host("seed", LINE, have=None)
        leech.meet(seed)
        began = sim_loop().now
        await stage.finished(leech, timeout=120)
        # Endgame asks for them once more before the silent one counts as snubbing us.
        assert sim_loop().now - began < SwarmConfig().snub_timeout + 3
        assert leech.swarm.stats().hash_failures == 0
        await stage.stop()

    run_leaping(play())


def test_a_partition_heals() -> None:
    async def play() -> None:
        stage = scene(4 * SIZE)
        seed = await stage.host("seed", LINE, have=None)
        near = [await stage.host(f"near{i}", LINE) for i in range(2)]
        far = [await stage.host(f"far{i}", LINE) for i in range(2)]
        await asyncio.sleep(1.5)
        with stage.wires.partition(*(actor.host for actor in far)):
            await stage.finished(*near, timeout=60)
            await asyncio.sleep(400)
            assert len(far[0].storage.written | far[1].storage.written) < stage.geometry.piece_count
            assert all(actor.done_at is None for actor in far)
        await stage.finished(*far, timeout=900)
        assert got(seed) == 0
        await stage.stop()

    run_leaping(play())


def test_only_what_a_rule_says_is_lost() -> None:
    """One pair that cannot talk: the others carry between them."""

    async def play() -> None:
        stage = scene()
        seed = await stage.host("seed", LINE, have=None)
        middle = await stage.host("middle", LINE)
        end = await stage.host("end", LINE)
        apart = {seed.host.address, end.host.address}
        with stage.wires.rule(lambda a, b: Drop() if {a.address, b.address} == apart else None):
            await stage.finished(middle, end, timeout=120)
        assert got(end) - end.swarm.stats().wasted == SIZE
        assert middle.swarm.stats().uploaded >= SIZE
        await stage.stop()

    run_leaping(play())


def test_a_tracker_that_is_lost_and_comes_back() -> None:
    async def play() -> None:
        stage = scene()
        stage.tracker_host.is_on = False
        await stage.host("seed", LINE, have=None)
        leech = await stage.host("leech", LINE)
        await asyncio.sleep(100)
        assert not stage.announces
        assert got(leech) == 0
        stage.tracker_host.is_on = True
        await stage.finished(leech, timeout=600)
        assert {asker for _, asker in stage.announces} == {actor.host.address for actor in stage.actors.values()}
        stage.tracker_host.is_on = False
        late = await stage.host("late", LINE)
        late.meet(leech)
        await stage.finished(late, timeout=60)
        stage.tracker_host.is_on = True
        await stage.stop()

    run_leaping(play())


def test_a_restart_downloads_nothing_again() -> None:
    async def play() -> None:
        stage = scene()
        seed = await stage.host("seed", dsl(20, 4), have=None)
        first = await stage.host("leech", LINE)
        await asyncio.sleep(2)
        await first.stop()
        had = set(first.swarm.have)
        assert 0 < len(had) < stage.geometry.piece_count
        again = await stage.host("again", LINE, have=had)
        await stage.finished(again, timeout=600)
        stats = again.swarm.stats()
        assert stats.from_peers == SIZE - len(had) * PIECE
        assert stats.wasted == 0
        # The pieces that were half done when it ended are the only ones that leave the seed twice.
        assert seed.swarm.stats().uploaded - SIZE <= 2 * SwarmConfig().upload_batch
        await stage.stop()

    run_leaping(play())


def test_a_full_disk_waits_and_goes_on() -> None:
    async def play() -> None:
        stage = scene()
        await stage.host("seed", LINE, have=None)
        leech = await stage.host("leech", LINE)
        leech.storage.fail_writes = StorageError(StorageFault.FULL)
        await asyncio.sleep(30)
        assert [error.fault for error in leech.errors] == [StorageFault.FULL]
        assert not leech.storage.written
        leech.storage.fail_writes = None
        leech.swarm.retry_storage()
        await stage.finished(leech, timeout=60)
        assert got(leech) == SIZE, "nothing came twice"
        await stage.stop()

    run_leaping(play())


def test_what_a_choke_took_back_is_asked_again_as_soon_as_it_ends() -> None:
    """A choke answers what waits with rejects (BEP 6). Taken for refusals they would bar those pieces for 10 s."""

    async def play() -> None:
        stage = scene()
        seed = await stage.host("seed", dsl(20, 4), have=None)
        leech = await stage.host("leech", LINE)
        await asyncio.sleep(1.5)
        seed.swarm.sharing = False
        await asyncio.sleep(1.0)
        stopped = got(leech)
        assert stopped < SIZE
        seed.swarm.sharing = True
        began = sim_loop().now
        await stage.finished(leech, timeout=120)
        ideal = (SIZE - stopped) * OVERHEAD / dsl(20, 4).up
        assert sim_loop().now - began < ideal + 1.0
        await stage.stop()

    run_leaping(play())
