"""Peers that lie, flood, stall and break off: only the guilty pay, and the download completes."""

from __future__ import annotations

import asyncio

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.wire.peer import codec
from icworkshop_gui.wire.peer.messages import Event, Interested, Request, Unchoke
from icworkshop_gui.wire.peer.peer_wire import SILENCE_MAX
from tests.helpers.fake_peer import FakePeer, Stage
from tests.sim.loop import run_leaping


def never(peer: FakePeer, request: Request) -> None:
    """No answer."""


def lie(peer: FakePeer, request: Request) -> None:
    peer.send_bad_block(request)


async def bad_block(lies_about: int | None) -> None:
    stage = Stage()
    leech = stage.swarm()
    honest = [stage.peer() for _ in range(3)]

    def answer(peer: FakePeer, request: Request) -> None:
        if lies_about is None or request.begin // BLOCK_SIZE == lies_about:
            peer.send_bad_block(request)
        else:
            peer.send_block(request)

    liar = stage.peer(on_request=answer)
    leech.meet(liar)
    await asyncio.sleep(0.05)
    leech.meet(*honest)
    await leech.finished()
    assert leech.storage.data == stage.content
    assert leech.listener.banned == [liar.endpoint]
    assert not liar.open
    assert all(peer.open or leech.swarm.is_complete for peer in honest)
    stats = leech.swarm.stats()
    assert stats.hash_failures >= 1
    assert stats.wasted >= BLOCK_SIZE
    # It is not spoken to again, from either side.
    dialed = leech.network.dialed.count(liar.endpoint)
    leech.meet(liar)
    liar.dial(leech)
    await asyncio.sleep(300)
    assert leech.network.dialed.count(liar.endpoint) == dialed
    assert not liar.open
    await stage.stop()


@pytest.mark.parametrize("lies_about", [None, 0, 3])
def test_whoever_sends_a_bad_block_is_banned_and_nobody_else(lies_about: int | None) -> None:
    run_leaping(bad_block(lies_about))


async def two_liars() -> None:
    stage = Stage(length=16 * 4 * BLOCK_SIZE)
    leech = stage.swarm()
    liars = [stage.peer(on_request=lie) for _ in range(2)]
    honest = [stage.peer() for _ in range(2)]
    leech.meet(*liars, *honest)
    await leech.finished()
    assert leech.storage.data == stage.content
    assert set(leech.listener.banned) <= {liar.endpoint for liar in liars}
    await stage.stop()


def test_several_liars_at_once() -> None:
    run_leaping(two_liars())


async def only_liar() -> None:
    stage = Stage()
    leech = stage.swarm()
    liar = stage.peer(on_request=lie)
    leech.meet(liar)
    await asyncio.sleep(60)
    assert leech.listener.banned == [liar.endpoint]
    assert leech.swarm.have.is_empty
    assert leech.storage.writes == 0, "nothing wrong reaches the disk"
    honest = stage.peer()
    leech.meet(honest)
    await leech.finished()
    await stage.stop()


def test_nothing_wrong_reaches_the_disk() -> None:
    run_leaping(only_liar())


async def unsolicited(count: int) -> tuple[bool, int, int]:
    stage = Stage()
    leech = stage.swarm()
    peer = stage.peer(on_request=never)
    leech.meet(peer)
    await asyncio.sleep(1)
    wanted = {(request.index, request.begin) for request in peer.requests}
    strangers = [(i, b * BLOCK_SIZE) for i in range(8) for b in range(4) if (i, b * BLOCK_SIZE) not in wanted]
    for number in range(count):
        index, begin = strangers[number % len(strangers)]
        peer.send(index, begin, b"\xff" * BLOCK_SIZE)
    await asyncio.sleep(1)
    state = peer.open, leech.swarm.stats().wasted, leech.swarm.tracker.have.count
    await stage.stop()
    return state


def test_blocks_nobody_asked_for_are_thrown_away_and_too_many_end_the_connection() -> None:
    limit = SwarmConfig().max_unsolicited
    assert run_leaping(unsolicited(limit)) == (True, limit * BLOCK_SIZE, 0)
    still_open, _, had = run_leaping(unsolicited(limit + 1))
    assert (still_open, had) == (False, 0)


async def misshapen(begin: int, size: int) -> bool:
    stage = Stage()
    leech = stage.swarm()
    peer = stage.peer(on_request=never)
    leech.meet(peer)
    await asyncio.sleep(1)
    peer.send(0, begin, b"x" * size)
    await asyncio.sleep(1)
    still_open = peer.open
    await stage.stop()
    return still_open


@pytest.mark.parametrize(("begin", "size"), [(0, 100), (1, BLOCK_SIZE), (BLOCK_SIZE, BLOCK_SIZE - 1)])
def test_blocks_of_another_shape_end_the_connection(begin: int, size: int) -> None:
    assert not run_leaping(misshapen(begin, size))


@pytest.mark.parametrize(
    "raw",
    [
        codec.with_blocks(codec.REQUEST, [(8, 0, BLOCK_SIZE)]),
        codec.with_blocks(codec.REQUEST, [(7, 4 * BLOCK_SIZE, BLOCK_SIZE)]),
        codec.with_blocks(codec.REQUEST, [(0, 0, codec.REQUEST_MAX + 1)]),
        codec.with_blocks(codec.REQUEST, [(0, 0, 0)]),
        codec.with_index(codec.HAVE, [8]),
        b"\xff\xff\xff\xff\x07",
    ],
)
def test_what_lies_outside_the_torrent_ends_the_connection(raw: bytes) -> None:
    async def scene() -> bool:
        stage = Stage()
        seed = stage.swarm(have=None)
        peer = stage.peer(has=())
        peer.dial(seed)
        await asyncio.sleep(1)
        assert peer.open
        peer.say(raw)
        await asyncio.sleep(1)
        still_open = peer.open
        await stage.stop()
        return still_open

    assert not run_leaping(scene())


async def request_flood() -> None:
    stage = Stage()
    config = SwarmConfig(max_upload_queue=10)
    seed = stage.swarm(have=None, config=config)
    peer = stage.peer(has=())
    peer.dial(seed)
    await asyncio.sleep(0.5)
    assert peer.wire is not None
    peer.say(peer.wire.interested())
    await asyncio.sleep(0.5)
    assert peer.is_unchoked
    everything = [(i, b * BLOCK_SIZE, BLOCK_SIZE) for i in range(8) for b in range(4)]
    # Twice the queue is answered, half of it with rejects...
    peer.say(peer.wire.request(everything[:20]))
    await asyncio.sleep(1)
    assert len(peer.blocks) + len(peer.rejects) == 20
    assert len(peer.blocks) == 10
    assert peer.open
    # ...but who never learns is shown the door.
    peer.say(peer.wire.request(everything))
    await asyncio.sleep(1)
    assert not peer.open
    await stage.stop()


def test_a_flood_of_requests_is_refused_then_ends() -> None:
    run_leaping(request_flood())


async def reads_nothing() -> None:
    stage = Stage(length=64 * 16 * BLOCK_SIZE, piece_length=16 * BLOCK_SIZE)
    seed = stage.swarm(have=None, config=SwarmConfig(upload_batch=4 * BLOCK_SIZE))
    peer = stage.peer(has=())
    peer.dial(seed)
    await asyncio.sleep(0.5)
    assert peer.wire is not None
    peer.say(peer.wire.interested())
    await asyncio.sleep(0.5)
    (ours,) = seed.swarm._peers.values()
    ours._stream._inner.held = True  # type: ignore[attr-defined]  # the socket is full
    peer.say(peer.wire.request([(i, b * BLOCK_SIZE, BLOCK_SIZE) for i in range(64) for b in range(16)]))
    await asyncio.sleep(5)
    assert ours.unsent <= 128 * 1024 + 4 * BLOCK_SIZE + 13 * 4 + 1000, "what is sent ahead is bounded"
    await stage.stop()


def test_who_reads_nothing_costs_bounded_memory() -> None:
    run_leaping(reads_nothing())


async def asks_for_what_we_lack() -> None:
    stage = Stage()
    config = SwarmConfig(max_bad_requests=5)
    partial = stage.swarm(have=[0], config=config)
    peer = stage.peer(has=())
    peer.dial(partial)
    await asyncio.sleep(0.5)
    assert peer.wire is not None
    peer.say(peer.wire.interested())
    await asyncio.sleep(0.5)
    peer.say(peer.wire.request([(1, b * BLOCK_SIZE, BLOCK_SIZE) for b in range(4)] + [(0, 0, BLOCK_SIZE)]))
    await asyncio.sleep(0.5)
    assert len(peer.rejects) == 4
    assert [(index, begin) for index, begin, _ in peer.blocks] == [(0, 0)]
    peer.say(peer.wire.request([(1, 0, BLOCK_SIZE)] * 2))
    await asyncio.sleep(0.5)
    assert not peer.open
    await stage.stop()


def test_pieces_that_we_lack_are_never_served() -> None:
    run_leaping(asks_for_what_we_lack())


async def asks_while_choked() -> None:
    stage = Stage()
    seed = stage.swarm(have=None, config=SwarmConfig(upload_slots=0))
    peer = stage.peer(has=())
    peer.dial(seed)
    await asyncio.sleep(0.5)
    assert peer.wire is not None
    peer.say(peer.wire.interested() + peer.wire.request([(0, 0, BLOCK_SIZE)]))
    await asyncio.sleep(30)
    assert peer.blocks == []
    assert len(peer.rejects) == 1
    await stage.stop()


def test_who_is_choked_gets_nothing() -> None:
    run_leaping(asks_while_choked())


async def flapping() -> None:
    stage = Stage()
    leech = stage.swarm()

    def flap(peer: FakePeer, request: Request) -> None:
        assert peer.wire is not None
        peer.say(peer.wire.choke() + peer.wire.unchoke())

    flapper = stage.peer(on_request=flap, fast=False)
    leech.meet(flapper)
    await asyncio.sleep(10)
    assert not flapper.open
    asked = len(flapper.requests)
    assert asked <= 4 * (SwarmConfig().max_chokes_per_minute + 2), "a flapping peer cannot make us ask without end"
    leech.meet(stage.peer())
    await leech.finished()
    await stage.stop()


def test_choking_and_unchoking_without_end() -> None:
    run_leaping(flapping())


async def rejects_everything() -> None:
    stage = Stage()
    leech = stage.swarm()

    def refuse(peer: FakePeer, request: Request) -> None:
        assert peer.wire is not None
        peer.say(peer.wire.reject([request]))

    refuser = stage.peer(on_request=refuse)
    leech.meet(refuser)
    await asyncio.sleep(60)
    assert len(refuser.requests) < 400, "the same question is not put in a loop"
    leech.meet(stage.peer())
    await leech.finished()
    await stage.stop()


def test_a_peer_that_rejects_everything() -> None:
    run_leaping(rejects_everything())


async def silent_after_unchoke() -> None:
    stage = Stage()
    leech = stage.swarm()
    stalls = [stage.peer(on_request=never) for _ in range(3)]
    leech.meet(*stalls)
    await asyncio.sleep(5)
    leech.meet(stage.peer())
    loop = asyncio.get_running_loop()
    started = loop.time()
    await leech.finished()
    assert loop.time() - started < SwarmConfig().snub_timeout + 10, "blocks of a snubbing peer come back"
    assert leech.storage.data == stage.content
    await stage.stop()


def test_peers_that_accept_requests_and_send_nothing() -> None:
    run_leaping(silent_after_unchoke())


async def never_unchokes() -> None:
    stage = Stage()
    leech = stage.swarm()
    miser = stage.peer(unchokes=False)
    leech.meet(miser)
    await asyncio.sleep(100)
    assert miser.open
    assert any(isinstance(event, Interested) for event in miser.events)
    assert miser.requests == []
    leech.meet(stage.peer())
    await leech.finished()
    await stage.stop()


def test_a_peer_that_never_unchokes() -> None:
    run_leaping(never_unchokes())


async def slow() -> None:
    stage = Stage()
    leech = stage.swarm()

    def later(peer: FakePeer, request: Request) -> None:
        def answer() -> None:
            if peer.open:
                peer.send_block(request)

        asyncio.get_running_loop().call_later(15.0, answer)

    tortoise = stage.peer(on_request=later)
    leech.meet(tortoise)
    await asyncio.sleep(1)
    leech.meet(stage.peer())
    loop = asyncio.get_running_loop()
    started = loop.time()
    await leech.finished()
    assert loop.time() - started < 5, "endgame does not wait for the slow one"
    assert leech.swarm.stats().wasted == 0
    await stage.stop()


def test_a_slow_peer_does_not_hold_up_the_end() -> None:
    run_leaping(slow())


async def leaves_in_the_middle() -> None:
    stage = Stage()
    leech = stage.swarm()
    given = 0

    def one_block_then_gone(peer: FakePeer, request: Request) -> None:
        nonlocal given
        given += 1
        peer.send_block(request)
        if given == 6:
            asyncio.get_running_loop().call_later(0.1, peer.hang_up)
        if given >= 6:
            peer._on_request = never

    quitter = stage.peer(on_request=one_block_then_gone)
    leech.meet(quitter)
    await asyncio.sleep(3)
    assert not quitter.open
    steady = stage.peer()
    leech.meet(steady)
    await leech.finished()
    # Nothing that had come was fetched again.
    assert len(steady.requests) == 32 - 6
    assert leech.swarm.stats().wasted == 0
    await stage.stop()


def test_what_a_peer_gave_before_it_left_is_kept() -> None:
    run_leaping(leaves_in_the_middle())


async def wrong_torrent() -> None:
    stage = Stage()
    leech = stage.swarm()
    stranger = stage.peer(info_hash=InfoHash(b"?" * 20))
    leech.meet(stranger)
    await asyncio.sleep(5)
    assert not stranger.open
    assert leech.swarm.stats().peers == 0
    await asyncio.sleep(10_000)
    assert stranger.connections == 3, "three failures and it is written off"
    await stage.stop()


def test_a_peer_of_another_torrent() -> None:
    run_leaping(wrong_torrent())


async def no_handshake() -> None:
    stage = Stage()
    leech = stage.swarm()
    mute = stage.peer(silent=True)
    leech.meet(mute)
    await asyncio.sleep(SwarmConfig().handshake_timeout - 1)
    assert mute.open
    assert leech.swarm.stats().dialing == 1
    await asyncio.sleep(2)
    assert not mute.open
    assert leech.swarm.stats().dialing == 0
    await stage.stop()


def test_a_peer_that_never_introduces_itself() -> None:
    run_leaping(no_handshake())


async def goes_silent() -> None:
    stage = Stage()
    leech = stage.swarm()
    mute = stage.peer(has=(), unchokes=False)
    leech.meet(mute)
    await asyncio.sleep(SILENCE_MAX - 1)
    assert mute.open
    await asyncio.sleep(3)
    assert not mute.open
    assert leech.swarm.stats().peers == 0
    await stage.stop()


def test_a_peer_that_says_nothing_any_more_is_dropped() -> None:
    run_leaping(goes_silent())


async def ourselves() -> None:
    stage = Stage()
    leech = stage.swarm()
    leech.meet(leech)
    await asyncio.sleep(5)
    assert leech.swarm.stats().peers == 0
    leech.meet(leech)
    await asyncio.sleep(1000)
    assert leech.network.dialed == [leech.endpoint], "found out once, never dialled again"
    await stage.stop()


def test_a_connection_to_ourselves_is_found_out() -> None:
    run_leaping(ourselves())


async def crossing() -> None:
    stage = Stage()
    one, two = stage.swarm(have=[0]), stage.swarm(have=[1])
    one.meet(two)
    two.meet(one)
    await asyncio.sleep(3)
    assert (one.swarm.stats().peers, two.swarm.stats().peers) == (1, 1)
    await asyncio.sleep(300)
    assert (one.swarm.stats().peers, two.swarm.stats().peers) == (1, 1)
    await stage.stop()


def test_two_who_dial_each_other_keep_one_connection() -> None:
    run_leaping(crossing())


async def same_id_again() -> None:
    stage = Stage()
    seed = stage.swarm(have=None)
    first = stage.peer(has=(), peer_id=PeerId(b"-FK0001-same--------"))
    first.dial(seed)
    await asyncio.sleep(1)
    second = FakePeer(stage, first.endpoint._replace(port=7), has=(), peer_id=first.ours.peer_id)
    second.dial(seed)
    await asyncio.sleep(1)
    assert (first.open, second.open) == (True, False)
    await stage.stop()


def test_one_connection_per_peer_id_and_address() -> None:
    run_leaping(same_id_again())


async def full_house() -> None:
    stage = Stage()
    seed = stage.swarm(have=None, config=SwarmConfig(max_connections=3))
    guests = [stage.peer(has=()) for _ in range(5)]
    for guest in guests:
        guest.dial(seed)
    await asyncio.sleep(1)
    assert sum(guest.open for guest in guests) == 3
    await stage.stop()


def test_no_more_connections_than_the_limit() -> None:
    run_leaping(full_house())


async def have_flood() -> None:
    stage = Stage()
    leech = stage.swarm()
    peer = stage.peer(has=(), on_request=never)
    leech.meet(peer)
    await asyncio.sleep(1)
    assert peer.wire is not None
    peer.say(peer.wire.have(list(range(8)) * 2000))
    await asyncio.sleep(1)
    assert leech.swarm.availability() == b"\x01" * 8, "the same piece counts once"
    await stage.stop()


def test_the_same_have_again_and_again() -> None:
    run_leaping(have_flood())


async def interest_flood() -> None:
    stage = Stage()
    seed = stage.swarm(have=None)
    peer = stage.peer(has=())
    peer.dial(seed)
    await asyncio.sleep(1)
    assert peer.wire is not None
    peer.say((codec.bare(codec.INTERESTED) + codec.bare(codec.NOT_INTERESTED)) * 5000)
    await asyncio.sleep(1)
    unchokes: list[Event] = [event for event in peer.events if isinstance(event, Unchoke)]
    assert len(unchokes) <= 1
    await stage.stop()


def test_flapping_interest_costs_us_nothing() -> None:
    run_leaping(interest_flood())


async def comes_back() -> None:
    stage = Stage()
    leech = stage.swarm()
    liar = stage.peer(on_request=lie)
    liar.dial(leech)
    await asyncio.sleep(5)
    assert leech.listener.banned == [liar.endpoint]
    again = FakePeer(stage, liar.endpoint._replace(port=999), peer_id=PeerId(b"-FK0001-someone-else"))
    again.dial(leech)
    await asyncio.sleep(1)
    assert again.theirs is None, "not even greeted"
    await stage.stop()


def test_a_banned_address_under_another_name() -> None:
    run_leaping(comes_back())


def test_a_peer_names_one_node_of_the_dht_however_often_it_says_so() -> None:
    async def scene() -> None:
        stage = Stage()
        named: list[Endpoint] = []
        open_one = stage.swarm(have=None, on_node=named.append, listen_port=6881)
        peer = stage.peer(has=())
        peer.dial(open_one)
        await asyncio.sleep(0.5)
        for port in range(7000, 7050):
            peer.say(codec.port(port))
        await asyncio.sleep(0.5)
        assert named == [Endpoint(peer.endpoint.host, 7000)]
        assert open_one.swarm.peers(), "it harms nobody"
        # In a private torrent, and without a node of ours, nobody is asked for anything.
        for settings in ({"on_node": named.append, "private": True}, {}):
            closed = stage.swarm(have=None, listen_port=6881, **settings)
            other = stage.peer(has=())
            other.dial(closed)
            await asyncio.sleep(0.5)
            other.say(codec.port(7000))
            await asyncio.sleep(0.5)
            assert len(named) == 1
        await stage.stop()

    run_leaping(scene())
