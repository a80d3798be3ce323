"""Whole swarms in virtual time, with exact counters (`courses/`): when one changes, behaviour did, and the commit says
why. After a look at the difference,

    ICW_WRITE_COURSES=1 python -m pytest tests/sim/test_swarms.py

writes them anew. Hashes of bytes are salted anew in each process, so each run is also a test that no decision hangs on
the order of a set; the last test says so for two salts.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.swarm.config import SwarmConfig
from tests.helpers.streams import until
from tests.sim.links import Drop, dsl
from tests.sim.loop import run_leaping, sim_loop
from tests.sim.swarm import OVERHEAD, Actor, Scene

PIECE = 64 * KIB
SIZE = 32 * PIECE
LINE = dsl(20, 20)


def scene(size: int = SIZE, **settings: object) -> Scene:
    return Scene(size=size, piece_length=PIECE, counted=True, **settings)


COURSES = Path(__file__).parent / "courses"


def as_before(stage: Scene, course: str) -> None:
    """Are all counters and the order of all pieces the recorded ones?"""
    now, path = stage.report(), COURSES / f"{course}.txt"
    if os.environ.get("ICW_WRITE_COURSES"):
        path.write_text(now, encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    assert now == before, "\n" + "".join(difflib.unified_diff(before.splitlines(True), now.splitlines(True)))


def got(actor: Actor) -> int:
    return actor.swarm.stats().from_peers


@pytest.mark.slow
def test_one_seed_and_twenty_leechers_send_the_content_twenty_times() -> None:
    async def play() -> None:
        stage = scene()
        seed = await stage.host("seed", LINE, have=None)
        await asyncio.sleep(2.0)
        leechers = [await stage.host(f"leech{i:02}", LINE) for i in range(20)]
        began = sim_loop().now
        await stage.finished(*leechers, timeout=60)
        sent = sum(actor.swarm.stats().uploaded for actor in stage.actors.values())
        # What came twice in the endgame, and what was handed to streams and not received any more.
        assert 20 * SIZE <= sent < 22 * SIZE
        assert seed.swarm.stats().uploaded < 2.5 * SIZE
        assert sim_loop().now - began < 3.0
        as_before(stage, "leechers")
        await stage.stop()

    run_leaping(play())


@pytest.mark.slow
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
        as_before(stage, "last-copy")
        await stage.stop()

    run_leaping(play())


@pytest.mark.slow
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
        as_before(stage, f"corrupt-peer-{seed}")
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
        as_before(stage, "snubbing")
        await stage.stop()

    run_leaping(play())


@pytest.mark.slow
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
        as_before(stage, "partition")
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
        as_before(stage, "rule")
        await stage.stop()

    run_leaping(play())


@pytest.mark.parametrize("over_udp", [False, True])
def test_a_tracker_that_is_lost_and_comes_back(over_udp: bool) -> None:
    async def play() -> None:
        stage = scene(over_udp=over_udp)
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
        as_before(stage, "tracker-loss-udp" if over_udp else "tracker-loss")
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
        as_before(stage, "restart")
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
        as_before(stage, "full-disk")
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
        as_before(stage, "choke")
        await stage.stop()

    run_leaping(play())


@pytest.mark.slow
def test_everybody_who_gives_nothing_has_a_turn_now_and_then() -> None:
    """Half an hour at a leecher with a thin line: the optimistic slot goes round among twelve with nothing to give."""

    async def play() -> None:
        stage = scene(with_tracker=False)
        hub = await stage.host("hub", dsl(2, 0.1), have=range(16))
        takers = [await stage.host(f"taker{i:02}", LINE) for i in range(12)]
        for taker in takers:
            taker.meet(hub)
        waits = dict.fromkeys((taker.host.address for taker in takers), 0)
        longest = dict(waits)
        apart = {hub.host.address}
        with stage.wires.rule(lambda a, b: None if apart & {a.address, b.address} else Drop()):
            for _ in range(1800):
                await asyncio.sleep(1)
                for peer in hub.swarm.peers():
                    who = peer.address.rpartition(":")[0]
                    waits[who] = waits[who] + 1 if "u" in peer.flags else 0
                    longest[who] = max(longest[who], waits[who])
        # Ten wait for the optimistic slot, which each keeps for 30 s: 300 s, and what chance adds to the first turn.
        assert max(longest.values()) <= 360, sorted(longest.values())
        as_before(stage, "fairness")
        await stage.stop()

    run_leaping(play())


def test_who_cannot_be_reached_gives_and_gets_through_those_who_can() -> None:
    """A seed and a leecher behind NATs never meet; who is reachable stands between them."""

    async def play() -> None:
        stage = scene(over_udp=True)
        seed = await stage.host("seed", LINE, have=None)
        hidden = await stage.host("hidden", LINE)
        stage.net.unreachable = {seed.host.address, hidden.host.address}
        await asyncio.sleep(30)
        assert got(hidden) == 0
        middle = await stage.host("middle", LINE)
        await stage.finished(middle, hidden, timeout=3600)
        traffic = stage.net.traffic
        assert traffic is not None
        assert traffic[seed.host.address, hidden.host.address, "bytes"] == 0
        assert traffic[middle.host.address, hidden.host.address, "bytes"] >= SIZE
        as_before(stage, "nat")
        await stage.stop()

    run_leaping(play())


_AGAIN = """
import os
os.environ.pop("ICW_WRITE_COURSES", None)
from tests.sim import test_swarms as plays
plays.test_a_corrupt_peer_is_banned_and_nobody_else(1)
plays.test_a_tracker_that_is_lost_and_comes_back(True)
plays.test_who_cannot_be_reached_gives_and_gets_through_those_who_can()
plays.test_a_restart_downloads_nothing_again()
"""


@pytest.mark.slow
@pytest.mark.parametrize("salt", ["1", "2"])
def test_the_courses_do_not_hang_on_the_salt_of_hashes(salt: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _AGAIN], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
