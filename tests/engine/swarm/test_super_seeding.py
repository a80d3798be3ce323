"""A lone seed shows each peer other pieces, and hides nothing once others have everything."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.piece_mask import full_mask
from icworkshop_gui.engine.swarm.showing import ALONE_TICKS
from icworkshop_gui.engine.swarm.super_seeding import ALONE_MIN, SHOWN_MIN, SuperSeeder
from icworkshop_gui.wire.peer.messages import Have, HaveAll, HaveNone
from tests.helpers.fake_peer import FakePeer, Stage
from tests.sim.loop import run_leaping

PIECE = 1 << 18


class Crowd:
    """Peers with masks, and the counts that follow from them."""

    def __init__(self, length: int, peers: int, seed: int = 1) -> None:
        self.counts = Availability(length)
        self.seeder = SuperSeeder(length, PIECE, self.counts, Random(seed))
        self.has = dict.fromkeys(range(1, peers + 1), 0)
        for key in self.has:
            self.seeder.admit(key)

    def get(self, key: int, index: int) -> None:
        self.has[key] |= 1 << index
        self.counts.add(1 << index)

    def show(self, key: int, rate: float = 0.0, *, alone: bool = False) -> list[int]:
        return self.seeder.show(key, self.has[key], rate, alone=alone)


def test_each_peer_is_shown_other_pieces() -> None:
    crowd = Crowd(16, 4)
    shown = [crowd.show(key) for key in crowd.has]
    assert [len(pieces) for pieces in shown] == [SHOWN_MIN] * 4
    assert len({index for pieces in shown for index in pieces}) == 4 * SHOWN_MIN


def test_a_fast_peer_is_shown_a_second_ahead() -> None:
    assert len(Crowd(64, 2).show(1, rate=8 * PIECE)) == 9


def test_the_next_piece_comes_when_one_has_arrived() -> None:
    crowd = Crowd(16, 2)
    first, _second = crowd.show(1)
    assert crowd.show(1) == []
    crowd.get(1, first)
    assert len(crowd.show(1)) == 1


def test_what_is_on_its_way_is_shown_again_only_to_the_idle() -> None:
    crowd = Crowd(3, 2)
    assert len(crowd.show(1)) == 2
    last = crowd.show(2)
    assert len(last) == 1, "the third piece; the other two are on their way to the first peer"
    crowd.get(2, last[0])
    assert len(crowd.show(2)) == 1, "nothing is left, and it has nothing to do: a second copy beats an idle line"


def test_what_a_leaving_peer_did_not_get_goes_to_another() -> None:
    crowd = Crowd(2, 2)
    lost = crowd.show(1)
    crowd.seeder.forget(1)
    assert sorted(crowd.show(2)) == sorted(lost)


def test_what_a_peer_that_sees_everything_asks_for_is_on_its_way() -> None:
    crowd = Crowd(4, 1)
    crowd.seeder.asked(99, 0b0111)
    assert crowd.show(1) == [3]


@given(st.integers(1, 40), st.integers(1, 6), st.randoms(use_true_random=False))
def test_a_swarm_of_takers_gets_every_piece_about_once(length: int, peers: int, chance: Random) -> None:
    crowd = Crowd(length, peers, chance.randrange(1 << 30))
    shown = {key: crowd.show(key) for key in crowd.has}
    sent = 0
    while crowd.seeder.unique:
        key = chance.choice([key for key, pieces in shown.items() if pieces])
        crowd.get(key, shown[key].pop(0))
        sent += 1
        shown[key] += crowd.show(key)
    # Every piece once, and at the end a second copy of what is on its way to somebody slow, to nobody twice.
    assert sent <= length + peers * (peers - 1) * SHOWN_MIN
    for key, has in crowd.has.items():
        assert crowd.seeder.hidden(key) == full_mask(length) & ~has & ~sum(1 << index for index in shown[key])


def test_the_second_leecher_is_shown_single_pieces_until_the_swarm_has_all() -> None:
    async def scene() -> None:
        stage = Stage(length=64 * 4 * BLOCK_SIZE)
        seed = stage.swarm(have=None)
        first, second = stage.peer(has=()), stage.peer(has=())
        first.dial(seed)
        await asyncio.sleep(1)
        second.dial(seed)
        await asyncio.sleep(1)
        for peer in (first, second):
            assert any(isinstance(event, HaveNone) for event in peer.events)
            # Who only uploads and has nothing is hung up on, by libtorrent for one.
            assert peer.wire is not None
            assert not peer.wire.remote.upload_only
        assert len(haves(first)) == ALONE_MIN
        told = haves(second)
        assert len(told) == SHOWN_MIN
        have(second, told[0])
        await asyncio.sleep(0.5)
        assert len(haves(second)) == SHOWN_MIN + 1
        for index in range(stage.geometry.piece_count):
            have(first, index)
        await asyncio.sleep(1.5)
        assert sorted(haves(second)) == sorted(set(range(stage.geometry.piece_count)))
        await stage.stop()

    run_leaping(scene())


def test_who_is_alone_never_lacks_pieces_and_leaves_most_for_the_next() -> None:
    crowd = Crowd(1000, 1)
    shown = crowd.show(1, alone=True)
    assert len(shown) == ALONE_MIN
    took = 0
    while shown:
        crowd.get(1, shown.pop(0))
        took += 1
        shown += crowd.show(1, alone=True)
        # What it has yet to get is what it got, until there is no more.
        assert len(shown) == min(max(ALONE_MIN, took), 1000 - took)
    assert took == 1000


def test_one_leecher_alone_sees_everything_after_a_while() -> None:
    async def scene() -> None:
        stage = Stage(length=64 * 4 * BLOCK_SIZE)
        seed = stage.swarm(have=None)
        first, second = stage.peer(has=()), stage.peer(has=())
        first.dial(seed)
        await asyncio.sleep(0.5)
        second.dial(seed)
        await asyncio.sleep(0.5)
        first.hang_up()
        await asyncio.sleep(ALONE_TICKS - 1)
        assert len(haves(second)) < stage.geometry.piece_count
        await asyncio.sleep(3)
        assert sorted(haves(second)) == list(range(stage.geometry.piece_count))
        await stage.stop()

    run_leaping(scene())


def test_with_copies_elsewhere_nothing_is_hidden() -> None:
    async def scene() -> None:
        stage = Stage()
        seed = stage.swarm(have=None)
        pieces = range(stage.geometry.piece_count)
        halves = [stage.peer(has=[i for i in pieces if i % 2 == odd]) for odd in (0, 1)]
        for half in halves:
            half.dial(seed)
            await asyncio.sleep(0.5)
        late = stage.peer(has=())
        late.dial(seed)
        await asyncio.sleep(1)
        assert any(isinstance(event, HaveAll) for event in late.events)
        await stage.stop()

    run_leaping(scene())


def haves(peer: FakePeer) -> list[int]:
    return [event.index for event in peer.events if isinstance(event, Have)]


def have(peer: FakePeer, index: int) -> None:
    assert peer.wire is not None
    peer.say(peer.wire.have([index]))
