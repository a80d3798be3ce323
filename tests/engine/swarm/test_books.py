"""Tracker, picker and pipelines together under any sequence of events: the books always balance."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.picker import PickView, PiecePicker
from icworkshop_gui.engine.swarm.piece_mask import bits_of, full_mask
from icworkshop_gui.engine.swarm.piece_tracker import ASKED, HERE, NOBODY, Arrival, PieceTracker
from icworkshop_gui.engine.swarm.requests import Pipeline

PIECES = 7
GEOMETRY = Geometry(PIECES * 3 * BLOCK_SIZE - BLOCK_SIZE - 100, 3 * BLOCK_SIZE)
"""Three blocks to a piece; the last piece has two, the second of them short."""
ALL = full_mask(PIECES)


class Books(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.config = SwarmConfig(max_buffered=4 * GEOMETRY.piece_length, random_first_pieces=2)
        self.tracker = PieceTracker(GEOMETRY, Bitfield(PIECES))
        self.availability = Availability(PIECES)
        self.picker = PiecePicker(self.tracker, self.availability, random.Random(3), self.config)
        self.views: dict[int, PickView] = {}
        self.pipelines: dict[int, Pipeline] = {}
        self.next_key = 1
        self.endgame = False

    def one(self, draw: int) -> int:
        keys = sorted(self.views)
        return keys[draw % len(keys)]

    def split(self, block_key: int) -> tuple[int, int]:
        return divmod(block_key, GEOMETRY.blocks_per_piece)

    def release(self, key: int, block_keys: list[int]) -> None:
        for block_key in block_keys:
            self.tracker.release(*self.split(block_key), key)

    # --- events -------------------------------------------------------------------------------

    @rule(has=st.integers(0, ALL), choked=st.booleans())
    def peer_joins(self, has: int, choked: bool) -> None:
        self.next_key += 1
        self.views[self.next_key] = PickView(key=self.next_key, has=has, allowed=0 if choked else None)
        self.pipelines[self.next_key] = Pipeline(self.now, self.config)
        self.availability.add(has)
        self.picker.peers = len(self.views)

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50))
    def peer_leaves(self, who: int) -> None:
        key = self.one(who)
        self.release(key, self.pipelines[key].drop_all())
        self.tracker.end_exclusive(key)
        self.availability.remove(self.views[key].has)
        del self.views[key], self.pipelines[key]
        for piece in self.tracker.open.values():
            for block, giver in enumerate(piece.givers):
                assert giver != key or piece.blocks[block] == HERE, "a dead peer holds a block"
                assert key not in piece.duplicates.get(block, ())

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50), index=st.integers(0, PIECES - 1))
    def peer_gets_a_piece(self, who: int, index: int) -> None:
        view = self.views[self.one(who)]
        if not view.has >> index & 1:
            view.has |= 1 << index
            self.availability.add(1 << index)

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50))
    def peer_chokes(self, who: int) -> None:
        key = self.one(who)
        self.views[key].allowed = 0
        self.release(key, self.pipelines[key].drop_all())

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50))
    def peer_unchokes(self, who: int) -> None:
        self.views[self.one(who)].allowed = None

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50), on=st.booleans())
    def parole(self, who: int, on: bool) -> None:
        key = self.one(who)
        self.views[key].on_parole = on
        if not on:
            self.tracker.end_exclusive(key)

    @rule(tier=st.sampled_from(Tier))
    def tier_changes(self, tier: Tier) -> None:
        self.picker.tier = tier

    @rule(mask=st.integers(0, ALL))
    def wishes_change(self, mask: int) -> None:
        self.tracker.want(Bitfield.of(PIECES, bits_of(mask)))

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50), count=st.integers(1, 12))
    def ask(self, who: int, count: int) -> None:
        key = self.one(who)
        view, pipeline = self.views[key], self.pipelines[key]
        view.outstanding = len(pipeline)
        view.snubbed = pipeline.snubbed
        partials, pickable = set(self.tracker.partial), self.tracker.pickable_mask
        held = {
            (index, block)
            for index, piece in self.tracker.open.items()
            for block, state in enumerate(piece.blocks)
            if state != 0
        }
        blocks = self.picker.pick(view, count).blocks
        again = [block for block in blocks if block in held]
        if again:
            assert len(again) == len(blocks) <= 4
            assert (partials, pickable) == (set(), 0), "a busy block while a free one was left"
            assert not view.outstanding
        for index, _block in blocks:
            assert view.has >> index & 1, "asked for what the peer does not have"
            assert view.allowed is None, "asked while choked"
        pipeline.asked([i * GEOMETRY.blocks_per_piece + b for i, b in blocks], self.now)

    @precondition(lambda self: any(len(p) for p in self.pipelines.values()))
    @rule(who=st.integers(0, 50), which=st.integers(0, 50), good=st.booleans())
    def block_arrives(self, who: int, which: int, good: bool) -> None:
        busy = sorted(key for key, pipeline in self.pipelines.items() if len(pipeline))
        key = busy[who % len(busy)]
        outstanding = list(self.pipelines[key])
        block_key = outstanding[which % len(outstanding)]
        index, block = self.split(block_key)
        size = GEOMETRY.block_size(index, block)
        assert self.pipelines[key].fulfilled(block_key, size, self.now)
        for other in self.tracker.others_asked(index, block, key):
            assert self.pipelines[other].cancelled(block_key)
        if self.tracker.arrived(index, block, bytes([good]) * size, key) is Arrival.COMPLETED:
            assert index in self.tracker.checking

    @precondition(lambda self: not self.tracker.contested and any(len(p) for p in self.pipelines.values()))
    @rule(who=st.integers(0, 50), count=st.integers(1, 4))
    def blocks_arrive_in_order(self, who: int, count: int) -> None:
        busy = sorted(key for key, pipeline in self.pipelines.items() if len(pipeline))
        key = busy[who % len(busy)]
        pipeline = self.pipelines[key]
        first_key = next(iter(pipeline))
        index, first = self.split(first_key)
        piece = self.tracker.open[index]
        count = min(count, len(piece.blocks) - first)
        if GEOMETRY.block_size(index, first + count - 1) < BLOCK_SIZE:
            count -= 1
        outstanding, received = len(pipeline), pipeline.received
        expected = 0
        while expected < count and first_key + expected in pipeline:
            expected += 1
        done = pipeline.fulfilled_in_order(first_key, count, self.now)
        assert done == expected
        assert (len(pipeline), pipeline.received) == (outstanding - done, received + done * BLOCK_SIZE)
        blocks = [memoryview(bytes([first + number]) * BLOCK_SIZE) for number in range(done)]
        if done:
            arrival = self.tracker.arrived_in_order(piece, first, blocks)
            assert (arrival is Arrival.COMPLETED) == (index in self.tracker.checking)
            assert piece.view[first * BLOCK_SIZE : (first + done) * BLOCK_SIZE] == b"".join(blocks)

    @precondition(lambda self: any(len(p) for p in self.pipelines.values()))
    @rule(who=st.integers(0, 50), keep=st.integers(0, 2))
    def preempted(self, who: int, keep: int) -> None:
        busy = sorted(key for key, pipeline in self.pipelines.items() if len(pipeline))
        pipeline = self.pipelines[busy[who % len(busy)]]
        pipeline.withdraw(self.now + 60.0, keep)
        assert len(pipeline) <= keep

    @precondition(lambda self: any(p.withdrawn for p in self.pipelines.values()))
    @rule(who=st.integers(0, 50), comes=st.booleans())
    def a_cancel_is_answered(self, who: int, comes: bool) -> None:
        doubtful = sorted(key for key, pipeline in self.pipelines.items() if pipeline.withdrawn)
        key = doubtful[who % len(doubtful)]
        pipeline = self.pipelines[key]
        block_key = next(iter(pipeline.withdrawn))
        index, block = self.split(block_key)
        size = GEOMETRY.block_size(index, block)
        if not comes:
            assert pipeline.confirmed(block_key)
            self.release(key, [block_key])
            return
        assert not pipeline.fulfilled(block_key, size, self.now)
        assert pipeline.take_late(block_key, size)
        for other in self.tracker.others_asked(index, block, key):
            assert self.pipelines[other].cancelled(block_key)
        assert self.tracker.arrived(index, block, bytes(size), key) is not Arrival.UNWANTED

    @precondition(lambda self: self.tracker.checking)
    @rule(which=st.integers(0, 50), passes=st.booleans())
    def piece_is_checked(self, which: int, passes: bool) -> None:
        checking = sorted(self.tracker.checking)
        index = checking[which % len(checking)]
        if passes:
            self.tracker.verified(index)
        else:
            self.tracker.failed(index)

    @precondition(lambda self: self.views)
    @rule(who=st.integers(0, 50))
    def liar(self, who: int) -> None:
        self.tracker.distrust(self.one(who))

    @rule(seconds=st.sampled_from([0.1, 1.0, 21.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for key, pipeline in self.pipelines.items():
            self.release(key, pipeline.tick(self.now))

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def books_balance(self) -> None:
        self.tracker.check_invariants()

    @invariant()
    def whoever_is_asked_has_it_outstanding_and_the_other_way_round(self) -> None:
        asked: set[tuple[int, int]] = set()
        for index, piece in self.tracker.open.items():
            for block, state in enumerate(piece.blocks):
                if state == ASKED:
                    block_key = index * GEOMETRY.blocks_per_piece + block
                    asked |= {(piece.givers[block], block_key)}
                    asked |= {(other, block_key) for other in piece.duplicates.get(block, ())}
        assert NOBODY not in {key for key, _ in asked}
        assert asked == {
            (key, block) for key, pipeline in self.pipelines.items() for block in (*pipeline, *pipeline.withdrawn)
        }

    @invariant()
    def no_piece_is_open_for_nothing(self) -> None:
        assert all(piece.free < len(piece.blocks) for piece in self.tracker.open.values())

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.tracker.buffered <= max(self.config.max_buffered, GEOMETRY.piece_length)

    @invariant()
    def pieces_on_parole_have_one_owner(self) -> None:
        for piece in self.tracker.open.values():
            assert piece.exclusive == NOBODY or piece.exclusive in self.views


Books.TestCase.settings = settings(max_examples=50, stateful_step_count=60)
TestBooks = Books.TestCase


# --- single transitions ---------------------------------------------------------------------------


def fresh() -> PieceTracker:
    return PieceTracker(GEOMETRY, Bitfield(PIECES))


def test_bytes_are_where_they_belong() -> None:
    tracker = fresh()
    index = PIECES - 1
    piece = tracker.open_piece(index)
    data = hashlib.shake_128(b"x").digest(GEOMETRY.piece_size(index))
    tracker.ask(piece, 9, 1)
    assert tracker.arrived(index, 1, data[BLOCK_SIZE:], 1) is Arrival.STORED
    assert tracker.arrived(index, 1, data[BLOCK_SIZE:], 1) is Arrival.UNWANTED
    assert tracker.arrived(index, 0, data[:BLOCK_SIZE], 2) is Arrival.COMPLETED
    assert bytes(tracker.checking[index].view) == data
    assert tracker.checking[index].givers == [2, 1]
    tracker.verified(index)
    assert index in tracker.have
    assert tracker.bytes_had() == len(data)


def test_illegal_transitions_are_errors() -> None:
    tracker = fresh()
    piece = tracker.open_piece(0)
    with pytest.raises(ValueError, match="not missing"):
        tracker.open_piece(0)
    with pytest.raises(KeyError):
        tracker.verified(0)
    tracker.ask(piece, 1, 5)
    with pytest.raises(ValueError, match="asked for"):
        tracker.close_piece(0)
    with pytest.raises(ValueError, match="cannot be asked"):
        tracker.ask_again(piece, 0, 5)
    with pytest.raises(ValueError, match="cannot be asked"):
        tracker.ask_again(piece, 1, 6)


def test_a_liar_takes_its_blocks_along() -> None:
    tracker = fresh()
    piece = tracker.open_piece(0)
    tracker.ask(piece, 3, 5)
    tracker.arrived(0, 0, bytes(BLOCK_SIZE), 5)
    tracker.arrived(0, 1, bytes(BLOCK_SIZE), 6)
    assert tracker.distrust(5) == BLOCK_SIZE
    assert (piece.free, piece.missing) == (1, 2)
    tracker.check_invariants()


def test_buffers_are_used_again_but_not_hoarded() -> None:
    tracker = PieceTracker(Geometry(64 << 20, 4 << 20), Bitfield(16))
    for index in range(16):
        tracker.open_piece(index)
    assert tracker.buffered == 64 << 20
    for index in range(16):
        tracker.close_piece(index)
    assert tracker.buffered == 0
    assert len(tracker._spare) * (4 << 20) <= 8 << 20
