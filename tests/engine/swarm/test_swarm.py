"""What a swarm does for its session: transfers, pauses, full disks, limits, numbers."""

from __future__ import annotations

import asyncio

import pytest

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.net.limiter import Limiter, LimiterTicker
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.roster import TURNOVER_SECONDS
from icworkshop_gui.wire.peer import codec
from icworkshop_gui.wire.peer.messages import Choke, Have, Interested, NotInterested, Request
from tests.helpers.fake_peer import ActorSwarm, FakePeer, InlineDisk, Stage
from tests.sim.loop import LoopClock, run_leaping

TURN_MINUTES = 2 * int(TURNOVER_SECONDS) // 60 + 1
"""After so many everybody has been judged once."""


def never(peer: FakePeer, request: Request) -> None:
    """No answer."""


# --- transfers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, BLOCK_SIZE, BLOCK_SIZE + 1, 8 * 4 * BLOCK_SIZE, 8 * 4 * BLOCK_SIZE - 5])
def test_from_one_swarm_to_another(length: int) -> None:
    async def scene() -> None:
        stage = Stage(length=length)
        seed, leech = stage.swarm(have=None), stage.swarm()
        leech.meet(seed)
        await leech.finished()
        assert leech.storage.data == stage.content
        assert sorted(leech.listener.verified) == list(range(stage.geometry.piece_count))
        assert leech.listener.completed == 1
        assert seed.swarm.stats().uploaded == length
        stats = leech.swarm.stats()
        assert (stats.done, stats.wanted, stats.from_peers, stats.wasted) == (length, length, length, 0)
        assert stats.complete
        await stage.stop()

    run_leaping(scene())


def test_a_swarm_of_nine_shares_the_work() -> None:
    async def scene() -> None:
        stage = Stage(length=40 * 4 * BLOCK_SIZE)
        up = [Limiter(100_000) for _ in range(9)]
        tickers = [LimiterTicker(limiter, LoopClock()) for limiter in up]
        seed = stage.swarm(have=None, limit_up=up[0])
        leeches = [stage.swarm(limit_up=limiter) for limiter in up[1:]]
        for leech in leeches:
            leech.meet(seed, *leeches)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(leech.finished() for leech in leeches))
        # Nine times 100 kB/s for eight copies is 23 s; a seed that works alone would need 210 s.
        assert loop.time() - started < 37
        assert all(leech.storage.data == stage.content for leech in leeches)
        # With other chances 1.23 to 1.36 times.
        assert seed.swarm.stats().uploaded <= 1.4 * stage.length
        wasted = sum(leech.swarm.stats().wasted for leech in leeches)
        assert wasted <= 0.03 * 8 * stage.length
        await stage.stop()
        for ticker in tickers:
            ticker.close()

    run_leaping(scene())


def test_the_same_seed_gives_the_same_run() -> None:
    async def scene() -> tuple[list[int], float, int]:
        stage = Stage()
        seed, *leeches = stage.swarm(have=None), stage.swarm(), stage.swarm()
        for leech in leeches:
            leech.meet(seed, *leeches)
        await asyncio.gather(*(leech.finished() for leech in leeches))
        result = leeches[0].listener.verified, asyncio.get_running_loop().time(), seed.swarm.stats().uploaded
        await stage.stop()
        return result

    assert run_leaping(scene()) == run_leaping(scene())


def test_only_what_is_wanted() -> None:
    async def scene() -> None:
        stage = Stage()
        seed, leech = stage.swarm(have=None), stage.swarm(wanted=Bitfield.of(8, [2, 5]))
        leech.meet(seed)
        await leech.finished()
        assert list(leech.swarm.have) == [2, 5]
        leech.listener.completed = 0
        leech.listener.done.clear()
        leech.swarm.set_wanted(None)
        await leech.finished()
        assert leech.swarm.have.is_full
        await stage.stop()

    run_leaping(scene())


def test_what_is_here_already_is_not_fetched() -> None:
    async def scene() -> None:
        stage = Stage()
        peer = stage.peer()
        leech = stage.swarm(have=[0, 1, 2, 3, 4, 5, 6])
        leech.meet(peer)
        await leech.finished()
        assert {request.index for request in peer.requests} == {7}
        await stage.stop()

    run_leaping(scene())


def test_bytes_that_came_with_the_handshake_are_not_lost() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        peer = stage.peer(silent=True)
        peer.dial(leech, hasty=codec.bare(codec.HAVE_ALL) + codec.bare(codec.UNCHOKE))
        await leech.finished()
        await stage.stop()

    run_leaping(scene())


# --- what others hear -----------------------------------------------------------------------------


def test_verified_pieces_are_announced_in_batches() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        watcher = stage.peer(has=())
        leech.meet(watcher)
        await asyncio.sleep(1)
        seed = stage.peer()
        leech.meet(seed)
        await leech.finished()
        await asyncio.sleep(1)
        heard = [event.index for event in watcher.events if isinstance(event, Have)]
        assert sorted(heard) == list(range(8))
        assert not any(isinstance(event, Have) for event in seed.events), "a seed needs no haves"
        await stage.stop()

    run_leaping(scene())


def test_interest_is_said_once_and_taken_back() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        partial = stage.peer(has=[0, 1])
        leech.meet(partial)
        await asyncio.sleep(5)
        said = [event for event in partial.events if isinstance(event, Interested | NotInterested)]
        assert [type(event) for event in said] == [Interested, NotInterested]
        await stage.stop()

    run_leaping(scene())


def test_seeds_leave_seeds_and_do_not_come_back_soon() -> None:
    async def scene() -> None:
        stage = Stage()
        one, two = stage.swarm(have=None), stage.swarm(have=None)
        one.meet(two)
        await asyncio.sleep(1000)
        assert (one.swarm.stats().peers, two.swarm.stats().peers) == (0, 0)
        assert len(one.network.dialed) == 1
        await stage.stop()

    run_leaping(scene())


def test_private_torrents_believe_trackers_only() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm(private=True)
        peer = stage.peer()
        for source in (PeerSource.PEX, PeerSource.DHT, PeerSource.LSD):
            leech.swarm.add_candidates([peer.endpoint], source)
        await asyncio.sleep(5)
        assert leech.network.dialed == []
        leech.swarm.add_candidates([peer.endpoint], PeerSource.TRACKER)
        await leech.finished()
        await stage.stop()

    run_leaping(scene())


# --- pause, sharing -------------------------------------------------------------------------------


def test_pause_takes_requests_back_and_keeps_what_came() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        answered = 0

        def six(peer: FakePeer, request: Request) -> None:
            nonlocal answered
            answered += 1
            if answered <= 6:
                peer.send_block(request)

        peer = stage.peer(on_request=six)
        leech.meet(peer)
        await asyncio.sleep(1)
        leech.swarm.downloading = False
        await asyncio.sleep(1)
        assert {tuple(r) for r in peer.requests[6:]} == {tuple(c) for c in peer.cancels}
        asked = len(peer.requests)
        await asyncio.sleep(60)
        assert len(peer.requests) == asked, "nothing is asked for while paused"
        assert leech.swarm.in_flight()
        answered = -999
        leech.swarm.downloading = True
        await leech.finished()
        got = {(request.index, request.begin) for request in peer.requests[:6]}
        assert not got & {(request.index, request.begin) for request in peer.requests[asked:]}
        await stage.stop()

    run_leaping(scene())


def test_sharing_off_chokes_everybody_and_rejects_what_waits() -> None:
    async def scene() -> None:
        stage = Stage()
        disk = InlineDisk()
        seed = stage.swarm(have=None, disk=disk)
        peer = stage.peer(has=())
        peer.dial(seed)
        await asyncio.sleep(0.5)
        assert peer.wire is not None
        peer.say(peer.wire.interested())
        await asyncio.sleep(0.5)
        disk.held = True
        peer.say(peer.wire.request([(i, 0, BLOCK_SIZE) for i in range(8)]))
        await asyncio.sleep(0.5)
        seed.swarm.sharing = False
        disk.held = False
        disk.release()
        await asyncio.sleep(0.5)
        assert isinstance([e for e in peer.events if not hasattr(e, "index")][-1], Choke)
        assert len(peer.rejects) == 8
        assert peer.blocks == []
        seed.swarm.sharing = True
        await asyncio.sleep(0.5)
        assert peer.is_unchoked
        await stage.stop()

    run_leaping(scene())


def test_a_cancelled_request_is_not_served() -> None:
    async def scene() -> None:
        stage = Stage()
        disk = InlineDisk()
        seed = stage.swarm(have=None, disk=disk)
        peer = stage.peer(has=())
        peer.dial(seed)
        await asyncio.sleep(0.5)
        assert peer.wire is not None
        peer.say(peer.wire.interested())
        await asyncio.sleep(0.5)
        disk.held = True
        peer.say(peer.wire.request([(0, 0, BLOCK_SIZE)]))
        await asyncio.sleep(0.1)
        peer.say(peer.wire.request([(1, 0, BLOCK_SIZE), (2, 0, BLOCK_SIZE)]) + peer.wire.cancel([(1, 0, BLOCK_SIZE)]))
        await asyncio.sleep(0.1)
        disk.held = False
        disk.release()
        await asyncio.sleep(1)
        assert [index for index, _, _ in peer.blocks] == [0, 2]
        assert [tuple(reject) for reject in peer.rejects] == [(1, 0, BLOCK_SIZE)]
        await stage.stop()

    run_leaping(scene())


# --- disks ----------------------------------------------------------------------------------------


def test_a_full_disk_stops_the_asking_and_retry_goes_on_without_fetching_again() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        peer = stage.peer()
        leech.storage.fail_writes = StorageError(StorageFault.FULL)
        leech.meet(peer)
        await asyncio.sleep(5)
        assert [error.fault for error in leech.listener.errors] == [StorageFault.FULL]
        assert leech.swarm.have.is_empty
        asked = len(peer.requests)
        await asyncio.sleep(60)
        assert len(peer.requests) == asked
        # Still full: told again, once.
        leech.swarm.retry_storage()
        await asyncio.sleep(5)
        assert len(leech.listener.errors) == 2
        leech.storage.fail_writes = None
        leech.swarm.retry_storage()
        await leech.finished()
        assert leech.storage.data == stage.content
        assert leech.swarm.stats().wasted == 0
        await stage.stop()

    run_leaping(scene())


def test_a_block_that_cannot_be_read_is_never_served() -> None:
    async def scene() -> None:
        stage = Stage()
        seed, leech = stage.swarm(have=None), stage.swarm()
        seed.storage.fail_reads = StorageError(StorageFault.CHANGED)
        leech.meet(seed)
        await asyncio.sleep(30)
        assert [error.fault for error in seed.listener.errors] == [StorageFault.CHANGED]
        assert seed.swarm.stats().uploaded == 0
        assert leech.swarm.have.is_empty
        seed.storage.fail_reads = None
        seed.swarm.retry_storage()
        await leech.finished()
        await stage.stop()

    run_leaping(scene())


def test_a_slow_disk_holds_the_asking_back() -> None:
    async def scene() -> None:
        stage = Stage(length=32 * 4 * BLOCK_SIZE)
        disk = InlineDisk()
        disk.held = True
        limit = 6 * stage.piece_length
        leech = stage.swarm(disk=disk, config=SwarmConfig(max_buffered=limit))
        peers = [stage.peer() for _ in range(4)]
        leech.meet(*peers)
        most = 0
        for _ in range(100):
            await asyncio.sleep(0.1)
            most = max(most, leech.swarm.stats().buffered)
        assert most == limit
        assert leech.swarm.stats().done == 0
        disk.held = False
        disk.release()
        await leech.finished()
        assert leech.storage.data == stage.content
        await stage.stop()

    run_leaping(scene())


def test_stop_waits_for_the_disk() -> None:
    async def scene() -> None:
        stage = Stage()
        disk = InlineDisk()
        leech = stage.swarm(disk=disk)
        disk.held = True
        leech.meet(stage.peer())
        await asyncio.sleep(3)
        assert disk.waiting
        stopping = asyncio.ensure_future(leech.swarm.stop())
        await asyncio.sleep(1)
        assert not stopping.done()
        disk.held = False
        disk.release()
        await stopping
        assert leech.listener.verified, "what was on its way to the disk is kept and told"
        assert leech.swarm.stats().peers == 0
        await stage.stop()

    run_leaping(scene())


# --- limits and numbers ---------------------------------------------------------------------------


def test_limits_hold_in_both_directions() -> None:
    async def scene() -> None:
        stage = Stage(length=64 * 4 * BLOCK_SIZE)
        down = Limiter(200_000)
        ticker = LimiterTicker(down, LoopClock())
        seed, leech = stage.swarm(have=None), stage.swarm(limit_down=down)
        leech.meet(seed)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await leech.finished()
        took = loop.time() - started
        assert stage.length / 200_000 * 0.95 <= took <= stage.length / 200_000 * 1.25
        await stage.stop()
        ticker.close()

    run_leaping(scene())


def test_what_the_session_sees() -> None:
    async def scene() -> None:
        stage = Stage(length=64 * 4 * BLOCK_SIZE)
        up = Limiter(100_000)
        ticker = LimiterTicker(up, LoopClock())
        seed, leech = stage.swarm(have=None, limit_up=up), stage.swarm(have=[0], tier=Tier.BACKGROUND)
        leech.meet(seed)
        await asyncio.sleep(10)
        stats = leech.swarm.stats()
        assert 80_000 < stats.rate_down < 120_000
        assert (stats.peers, stats.seeds, stats.serving, stats.known) == (1, 1, 1, 1)
        assert stats.progressing_at is not None
        (row,) = leech.swarm.peers()
        assert row.address == str(seed.endpoint)
        assert row.client.startswith("Iron Curtain Workshop")
        assert (row.progress, row.flags, row.source) == (1.0, "D", PeerSource.TRACKER)
        (theirs,) = seed.swarm.peers()
        assert theirs.flags == "UI"
        assert 0 < theirs.progress < 1
        assert seed.swarm.stats().uploading_to == 1
        assert leech.swarm.availability() == b"\x01" * 64
        assert len(leech.swarm.in_flight()) > 0
        await stage.stop()
        ticker.close()

    run_leaping(scene())


def test_three_to_a_subnet() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        crowd = [FakePeer(stage, Endpoint(f"93.9.9.{host}", 6881), has=()) for host in range(1, 9)]
        for peer in crowd:
            stage.hosts[peer.endpoint] = peer.accept
        leech.meet(*crowd)
        await asyncio.sleep(30)
        assert leech.swarm.stats().peers == 3
        for peer in crowd:
            if not peer.connections:
                peer.dial(leech)
        await asyncio.sleep(1)
        assert leech.swarm.stats().peers == 3
        await stage.stop()

    run_leaping(scene())


def test_swarms_share_what_the_program_may_open() -> None:
    async def scene() -> None:
        stage = Stage()
        leeches: list[ActorSwarm] = []

        def spare() -> int:
            return 5 - sum(leech.swarm.connections for leech in leeches)

        leeches += [stage.swarm(spare=spare) for _ in range(3)]
        for leech in leeches:
            leech.meet(*(stage.peer(has=()) for _ in range(6)))
        for _ in range(50):
            await asyncio.sleep(0.1)
            assert sum(leech.swarm.connections for leech in leeches) <= 5
        assert sum(leech.swarm.stats().peers for leech in leeches) == 5
        await stage.stop()

    run_leaping(scene())


def test_the_number_of_connections_may_change() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        leech.swarm.max_connections = 2
        leech.meet(*(stage.peer(has=()) for _ in range(6)))
        await asyncio.sleep(5)
        assert leech.swarm.stats().peers == 2
        leech.swarm.max_connections = 5
        await asyncio.sleep(5)
        assert leech.swarm.stats().peers == 5
        await stage.stop()

    run_leaping(scene())


def test_a_peer_that_comes_later_is_found_again() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        peer = stage.peer()
        accept = stage.hosts.pop(peer.endpoint)
        leech.meet(peer)
        await asyncio.sleep(30)
        stage.hosts[peer.endpoint] = accept
        await leech.finished()
        await stage.stop()

    run_leaping(scene())


def test_stop_twice_and_start_late() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        peer = stage.peer()
        await leech.swarm.stop()
        await leech.swarm.stop()
        leech.meet(peer)
        peer.dial(leech)
        await asyncio.sleep(5)
        assert not peer.open
        assert leech.network.dialed == []
        leech.swarm.start()
        await leech.finished()
        await stage.stop()

    run_leaping(scene())


def test_idle_peers_make_room_when_places_are_short() -> None:
    async def scene() -> None:
        stage = Stage()
        config = SwarmConfig(max_connections=2, useless_timeout=100.0)
        leech = stage.swarm(have=range(8), config=config)
        talkers = [stage.peer(has=[0]) for _ in range(2)]

        async def keep_alive() -> None:
            for _ in range(3):
                await asyncio.sleep(60)
                for peer in talkers:
                    if peer.open:
                        peer.say(codec.KEEP_ALIVE)

        for peer in talkers:
            peer.dial(leech)
        await asyncio.sleep(1)
        late = stage.peer(has=())
        late.dial(leech)
        await asyncio.sleep(1)
        assert not late.open
        await keep_alive()
        assert leech.swarm.stats().peers == 0
        late.dial(leech)
        await asyncio.sleep(1)
        assert late.open
        await stage.stop()

    run_leaping(scene())


def test_sharing_paused_does_not_stop_downloads() -> None:
    """Requests leave through a limit of 0, blocks do not."""

    async def scene() -> None:
        stage = Stage(length=40 * 4 * BLOCK_SIZE)
        nothing = Limiter(0)
        ticker = LimiterTicker(nothing, LoopClock())
        seed, leech = stage.swarm(have=None), stage.swarm(limit_up=nothing)
        other = stage.swarm()
        leech.meet(seed)
        other.meet(leech)
        await leech.finished(30)
        await asyncio.sleep(30)
        assert leech.swarm.stats().uploaded == 0
        assert other.swarm.stats().done == 0
        nothing.set_rate(None, LoopClock().now())
        await other.finished(30)
        await stage.stop()
        ticker.close()

    run_leaping(scene())


def test_downloading_paused_by_a_limit_does_not_stop_sharing() -> None:
    async def scene() -> None:
        stage = Stage(length=40 * 4 * BLOCK_SIZE)
        nothing = Limiter(None)
        ticker = LimiterTicker(nothing, LoopClock())
        seed, half = stage.swarm(have=None), stage.swarm(have=range(20), limit_down=nothing)
        nothing.set_rate(0, LoopClock().now())
        half.meet(seed)
        await asyncio.sleep(2)
        other = stage.swarm(wanted=Bitfield.of(40, range(20)))
        other.meet(half)
        await other.finished(60)
        await asyncio.sleep(30)
        stats = half.swarm.stats()
        assert (stats.from_peers, stats.uploaded, stats.peers > 0) == (0, 20 * 4 * BLOCK_SIZE, True)
        nothing.set_rate(None, LoopClock().now())
        await half.finished(60)
        await stage.stop()
        ticker.close()

    run_leaping(scene())


def test_who_was_worth_least_gives_its_place_to_somebody_new() -> None:
    """Both places are taken by peers that stay; the one that never gives a byte goes, and what it held up gets done."""

    def now_and_then(peer: FakePeer, request: Request) -> None:
        asyncio.get_running_loop().call_later(10.0, peer.send_block, request)

    async def scene() -> None:
        stage = Stage(length=64 * 4 * BLOCK_SIZE)
        leech = stage.swarm(config=SwarmConfig(max_connections=2))
        stingy = stage.peer(unchokes=False)
        slow = stage.peer(on_request=now_and_then, has=range(40))
        leech.meet(stingy, slow)
        await asyncio.sleep(1)
        generous = stage.peer()
        leech.meet(generous)
        for _ in range(TURN_MINUTES):
            await asyncio.sleep(60)
            for peer in (stingy, slow):
                if peer.open:
                    peer.say(codec.KEEP_ALIVE)
        assert (stingy.open, slow.connections) == (False, 1)
        assert generous.connections == 1
        await leech.finished()
        await stage.stop()

    run_leaping(scene())


def test_nobody_goes_where_nobody_waits() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm(config=SwarmConfig(max_connections=1, useless_timeout=1e9))
        stingy = stage.peer(unchokes=False)
        leech.meet(stingy)
        for _ in range(TURN_MINUTES):
            await asyncio.sleep(60)
            stingy.say(codec.KEEP_ALIVE)
        assert (stingy.open, stingy.connections) == (True, 1)
        await stage.stop()

    run_leaping(scene())


def test_a_pool_that_is_closed_is_a_storage_error_not_a_crash() -> None:
    class BrokenDisk(InlineDisk):
        def release(self) -> None:
            for future, _work in self._waiting:
                future.set_exception(RuntimeError("cannot schedule new futures after shutdown"))
            self._waiting.clear()

    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm(disk=BrokenDisk())
        leech.meet(stage.peer())
        await asyncio.sleep(5)
        assert [error.fault for error in leech.listener.errors] == [StorageFault.IO]
        assert leech.swarm.have.is_empty
        await stage.stop()

    run_leaping(scene())


def test_choked_in_the_middle_it_asks_elsewhere() -> None:
    async def scene() -> None:
        for fast in (True, False):
            stage = Stage()
            leech = stage.swarm()
            given = 0

            def fickle(peer: FakePeer, request: Request, fast: bool = fast) -> None:
                nonlocal given
                given += 1
                assert peer.wire is not None
                if given <= 5:
                    peer.send_block(request)
                    return
                if given == 6:
                    peer.say(peer.wire.choke())
                if fast:
                    peer.say(peer.wire.reject([request]))

            leech.meet(stage.peer(on_request=fickle, fast=fast))
            await asyncio.sleep(3)
            assert leech.swarm.stats().from_peers == 5 * BLOCK_SIZE
            leech.meet(stage.peer())
            await leech.finished(10)
            assert leech.swarm.stats().from_peers == stage.length
            await stage.stop()

    run_leaping(scene())


def test_pieces_of_the_fast_set_are_asked_for_while_choked() -> None:
    async def scene() -> None:
        stage = Stage()
        leech = stage.swarm()
        generous = stage.peer(unchokes=False)
        leech.meet(generous)
        await asyncio.sleep(1)
        assert generous.wire is not None
        generous.say(generous.wire.allowed_fast([2, 6]))
        await asyncio.sleep(5)
        assert list(leech.swarm.have) == [2, 6]
        assert {request.index for request in generous.requests} == {2, 6}
        await stage.stop()

    run_leaping(scene())
