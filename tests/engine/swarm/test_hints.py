"""What is known of pieces beforehand: which bytes are asked for, and what happens when the guess was wrong."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future
from itertools import chain
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.checking import Checked, PieceChecker
from icworkshop_gui.engine.swarm.hints import bytes_needed, hints_of
from icworkshop_gui.engine.swarm.piece_tracker import ASKED, FREE, HERE, OURSELVES, Arrival, PieceTracker
from icworkshop_gui.engine.swarm.webseed.claims import Claims
from icworkshop_gui.store.layout import merged
from tests.helpers.builders import content

GEOMETRY = Geometry(7 * BLOCK_SIZE - 100, 4 * BLOCK_SIZE)
WHOLE = content(GEOMETRY.total_length)
KNOWN = [(0, 1000), (2 * BLOCK_SIZE - 500, BLOCK_SIZE + 500), (3 * BLOCK_SIZE + 100, BLOCK_SIZE + 50)]
"""The front of block 0, the end of 1, all of 2, all but 100 bytes of 3, and 150 bytes of piece 1."""


def tracker_of(known: list[tuple[int, int]] = KNOWN) -> PieceTracker:
    return PieceTracker(GEOMETRY, Bitfield(2), hints=hints_of(GEOMETRY, known))


def test_what_must_come_of_a_partly_known_piece():
    hints = hints_of(GEOMETRY, KNOWN)
    assert dict(hints[0].needed) == {
        0: (1000, BLOCK_SIZE - 1000),
        1: (BLOCK_SIZE, BLOCK_SIZE - 500),
        3: (3 * BLOCK_SIZE, 100),
    }
    assert hints[0].known == (
        (0, 1000),
        (2 * BLOCK_SIZE - 500, BLOCK_SIZE + 500),
        (3 * BLOCK_SIZE + 100, BLOCK_SIZE - 100),
    )
    assert hints[1].needed[0] == (150, BLOCK_SIZE - 150)
    assert hints_of(GEOMETRY, []) == {}
    assert hints_of(GEOMETRY, [(0, 4 * BLOCK_SIZE)]) == {}, "one piece is known, of the other nothing"
    assert bytes_needed(GEOMETRY, []) == GEOMETRY.total_length
    assert bytes_needed(GEOMETRY, [(0, GEOMETRY.total_length)]) == 0


@given(st.lists(st.tuples(st.integers(0, GEOMETRY.total_length - 1), st.integers(1, 3 * BLOCK_SIZE)), max_size=8))
def test_known_and_needed_are_every_byte_once(ranges: list[tuple[int, int]]):
    known = merged((at, min(length, GEOMETRY.total_length - at)) for at, length in ranges)
    hints = hints_of(GEOMETRY, known)
    covered = bytearray(GEOMETRY.total_length)
    for at, length in known:
        covered[at : at + length] = b"\1" * length
    for index, hint in hints.items():
        parts = sorted([*hint.needed.values(), *hint.known])
        assert [begin for begin, _ in parts] == [0, *(sum(part) for part in parts[:-1])]
        assert sum(parts[-1]) == GEOMETRY.piece_size(index)
        for begin, length in hint.known:
            at = GEOMETRY.piece_offset(index) + begin
            assert covered[at : at + length] == b"\1" * length, "never more than was said"
        for block, (begin, length) in hint.needed.items():
            assert block * BLOCK_SIZE <= begin < begin + length <= (block + 1) * BLOCK_SIZE
    assert bytes_needed(GEOMETRY, known) >= covered.count(0)


def test_known_blocks_are_here_from_the_beginning_and_parts_complete_the_piece():
    tracker = tracker_of()
    piece = tracker.open_piece(0)
    assert list(piece.blocks) == [FREE, FREE, HERE, FREE]
    assert piece.contributors() == set()
    tracker.check_invariants()
    assert tracker.ask(piece, 9, 7) == [range(0, 2), range(3, 4)]
    assert [tracker.span(0, block) for block in (0, 1, 3)] == [(1000, 15384), (16384, 15884), (49152, 100)]
    assert tracker.is_part(0, 1000, 15384)
    assert not tracker.is_part(0, 1000, 15383)
    for block in (0, 1):
        begin, length = tracker.span(0, block)
        assert tracker.arrived(0, block, WHOLE[begin : begin + length], 7) is Arrival.STORED
        tracker.check_invariants()
    # A whole block will do as well, for instance of a peer that was asked before the hint was there.
    assert tracker.arrived(0, 3, WHOLE[3 * BLOCK_SIZE : 4 * BLOCK_SIZE], 7) is Arrival.COMPLETED
    assert piece.view[1000 : 2 * BLOCK_SIZE - 500] == WHOLE[1000 : 2 * BLOCK_SIZE - 500]
    assert piece.contributors() == {7}


def test_a_piece_of_which_only_the_hint_is_left_is_missing_again():
    tracker = tracker_of()
    piece = tracker.open_piece(0)
    for block in chain.from_iterable(tracker.ask(piece, 9, 7)):
        tracker.release(0, block, 7)
    tracker.check_invariants()
    assert not tracker.open
    piece = tracker.open_piece(0)
    tracker.ask(piece, 1, 7)
    tracker.arrived(0, 0, WHOLE[1000:BLOCK_SIZE], 7)
    assert tracker.distrust(7) == BLOCK_SIZE
    assert not tracker.open
    piece = tracker.open_piece(0)
    tracker.ask(piece, 1, 7)
    tracker.arrived(0, 0, WHOLE[1000:BLOCK_SIZE], 7)
    assert tracker.close_piece(0) == BLOCK_SIZE - 1000, "what was known is not counted as thrown away"


class Inline:
    """Jobs that are done at once."""

    def run(self, then, job, /, *args):
        future: Future = Future()
        future.set_result(job(*args))
        then(future)


class Memory:
    """A storage of what was copied from elsewhere, right or wrong."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, chunks) -> None:
        for chunk in chunks:
            self.data[offset : offset + len(chunk)] = chunk
            offset += len(chunk)


def checker_of(tracker: PieceTracker, storage: Memory) -> tuple[PieceChecker, list[Checked]]:
    told: list[Checked] = []
    size = GEOMETRY.piece_length
    digests = [hashlib.sha1(WHOLE[at : at + size]).digest() for at in range(0, len(WHOLE), size)]
    return PieceChecker(tracker, storage, digests.__getitem__, Inline(), told.append), told  # type: ignore[arg-type]


def fetch(tracker: PieceTracker, index: int, key: int) -> int:
    """Everything that is asked for comes; its bytes."""
    piece = tracker.open_piece(index)
    count = 0
    for block in chain.from_iterable(tracker.ask(piece, 99, key)):
        begin, length = tracker.span(index, block)
        at = GEOMETRY.piece_offset(index) + begin
        tracker.arrived(index, block, WHOLE[at : at + length], key)
        count += length
    return count


def test_a_right_guess_is_proven_with_what_came():
    tracker = tracker_of()
    storage = Memory(bytes(len(WHOLE)))
    for at, length in KNOWN:
        storage.data[at : at + length] = WHOLE[at : at + length]
    checker, told = checker_of(tracker, storage)
    assert fetch(tracker, 0, 7) == (BLOCK_SIZE - 1000) + (BLOCK_SIZE - 500) + 100
    checker.add(0)
    checker.flush()
    assert told[0].verified == [0]
    assert storage.data[: GEOMETRY.piece_length] == WHOLE[: GEOMETRY.piece_length]


def test_a_wrong_guess_costs_a_second_fetch_and_nobody_is_blamed():
    tracker = tracker_of()
    storage = Memory(bytes(len(WHOLE)))  # zeros lie where the right bytes were thought to be
    checker, told = checker_of(tracker, storage)
    first = fetch(tracker, 0, 7)
    checker.add(0)
    checker.flush()
    assert (told[0].verified, told[0].failed, told[0].wasted, told[0].verdicts) == ([], [0], first, [])
    assert tracker.missing_mask & 1
    assert 0 not in tracker.hints
    assert fetch(tracker, 0, 8) == GEOMETRY.piece_length, "now all of it is asked for"
    assert tracker.arrived(0, 0, WHOLE[1000:BLOCK_SIZE], 7) is Arrival.UNWANTED
    checker.add(0)
    checker.flush()
    assert told[1].verified == [0]
    assert storage.data[: GEOMETRY.piece_length] == WHOLE[: GEOMETRY.piece_length]


def test_a_late_part_is_not_taken_for_a_block():
    tracker = tracker_of()
    fetch(tracker, 0, 7)
    tracker.failed(0)
    piece = tracker.open_piece(0)
    tracker.ask(piece, 1, 8)
    assert tracker.is_part(0, 1000, BLOCK_SIZE - 1000), "it was asked for once, so whoever sends it late is no liar"
    assert tracker.arrived(0, 0, WHOLE[1000:BLOCK_SIZE], 7) is Arrival.UNWANTED
    assert piece.blocks[0] == ASKED
    tracker.check_invariants()


def test_web_servers_are_asked_for_the_holes():
    tracker = tracker_of([(0, 1000), (BLOCK_SIZE + 15_000, 2000), (3 * BLOCK_SIZE - 5000, 5000)])
    claims = Claims(tracker, Availability(2), Random(1), 1 << 30)
    runs = [claims.run(7, 1 << 20, 1, alone=False, scattered=False) for _ in range(3)]
    # The 2,000 known bytes in between are worth a request of their own; nothing is left for a third.
    assert runs == [[(0, 0), (0, 1)], [(0, 2)], [(0, 3)]]
    assert tracker.span(0, 0) == (1000, BLOCK_SIZE - 1000)
    assert tracker.span(0, 2) == (2 * BLOCK_SIZE + 616, BLOCK_SIZE - 5616)
    tracker.check_invariants()
    assert OURSELVES not in tracker.open[0].givers
