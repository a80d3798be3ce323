"""Who brings which piece of an info dict, and who is to blame when it does not fit."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icworkshop_gui.engine.metadata.assembly import (
    DRAFTS_MAX,
    HEDGE_SECONDS,
    OUTSTANDING_MAX,
    REST,
    TIMEOUT,
    Assembly,
    Verdict,
)
from icworkshop_gui.wire.peer.extensions.ut_metadata import PIECE_SIZE, piece_count, piece_size
from tests.helpers.builders import content

INFO = content(5 * PIECE_SIZE + 321, "info")
SIZE, COUNT = len(INFO), 6


def part(piece: int, info: bytes = INFO) -> bytes:
    return info[piece * PIECE_SIZE : (piece + 1) * PIECE_SIZE]


def lie(piece: int, size: int = SIZE) -> bytes:
    return bytes(piece_size(size, piece))


def assembly(*keys: int) -> Assembly:
    made = Assembly(lambda info: info == INFO)
    for key in keys:
        made.offers(key, SIZE)
    return made


def test_one_peer_brings_it_in_one_round() -> None:
    one = assembly(1)
    assert one.ask(1, 0.0) == list(range(COUNT))
    assert one.ask(1, 0.0) == []
    verdicts = [one.arrived(1, piece, SIZE, part(piece)) for piece in (5, 0, 3, 1, 4, 2)]
    assert verdicts[:-1] == [Verdict()] * 5
    assert verdicts[-1] == Verdict(INFO, ())


def test_a_large_one_is_asked_for_in_portions() -> None:
    made = Assembly(lambda info: False)
    made.offers(1, 40 * PIECE_SIZE)
    assert made.ask(1, 0.0) == list(range(OUTSTANDING_MAX))
    made.arrived(1, 0, 40 * PIECE_SIZE, bytes(PIECE_SIZE))
    assert made.ask(1, 0.0) == [OUTSTANDING_MAX]
    assert made.progress == (1, 40)


def test_a_second_peer_helps_where_the_first_is_slow() -> None:
    two = assembly(1, 2)
    assert len(two.ask(1, 0.0)) == COUNT
    assert two.ask(2, HEDGE_SECONDS / 2) == []
    assert two.ask(2, HEDGE_SECONDS) == list(range(COUNT))
    for piece in range(COUNT - 1):
        two.arrived(2, piece, SIZE, part(piece))
        assert two.arrived(1, piece, SIZE, lie(piece)) == Verdict()  # too late to matter
    assert two.arrived(1, 5, SIZE, part(5)).info == INFO


def test_who_lies_alone_is_blamed_at_once() -> None:
    two = assembly(1, 2)
    for piece in two.ask(1, 0.0):
        verdict = two.arrived(1, piece, SIZE, lie(piece))
    assert verdict == Verdict(None, (1,))
    two.gone(1)
    for piece in two.ask(2, 1.0):
        verdict = two.arrived(2, piece, SIZE, part(piece))
    assert verdict == Verdict(INFO, ())


def test_who_lied_among_several_is_found_out_by_one_alone() -> None:
    three = assembly(1, 2, 3)
    for key in (1, 2, 3):
        three.ask(key, HEDGE_SECONDS * key)
    for piece in range(COUNT):
        key = 1 + piece % 3
        assert three.arrived(key, piece, SIZE, lie(piece) if key == 2 else part(piece)) == Verdict()
    for key in (1, 2, 3):  # what is still on its way counts for a whole of its own
        for piece in range(COUNT):
            if key != 1 + piece % 3 and key != 3:
                three.arrived(key, piece, SIZE, part(piece))
    three.ask(3, 20.0)
    verdict = Verdict()
    for piece in range(COUNT):
        if verdict.info is None:
            verdict = three.arrived(3, piece, SIZE, part(piece))
    assert verdict == Verdict(INFO, (2,))


def test_sizes_do_not_mix_and_a_liar_about_the_size_ends_by_its_own_hand() -> None:
    two = assembly(1)
    other = 2 * PIECE_SIZE
    two.offers(2, other)
    two.offers(2, SIZE)  # the first word holds
    assert two.ask(2, 0.0) == [0, 1]
    assert two.ask(1, 0.0) == list(range(COUNT))
    two.arrived(2, 0, other, bytes(PIECE_SIZE))
    assert two.arrived(2, 1, other, bytes(PIECE_SIZE)) == Verdict(None, (2,))


@pytest.mark.parametrize(("key", "piece", "size"), [(9, 0, SIZE), (1, 0, SIZE), (2, 0, SIZE - 1)])
def test_what_nobody_asked_for_is_a_fault(key: int, piece: int, size: int) -> None:
    two = assembly(1, 2)
    two.ask(2, 0.0)
    assert two.arrived(key, piece, size, part(piece)) == Verdict(None, (key,))


def test_who_refuses_rests_and_is_asked_again() -> None:
    two = assembly(1, 2)
    two.ask(1, 0.0)
    for piece in range(COUNT):
        two.refused(1, piece, 1.0)
    assert two.ask(1, 1.0) == []
    assert len(two.ask(2, 1.0)) == COUNT
    two.gone(2)
    assert len(two.ask(1, 1.0 + REST)) == COUNT


def test_who_owes_for_too_long_is_named() -> None:
    two = assembly(1, 2)
    two.ask(1, 0.0)
    assert two.overdue(TIMEOUT - 0.1) == []
    assert two.overdue(TIMEOUT) == [1]


def test_many_sizes_cost_no_more_than_a_few() -> None:
    made = Assembly(lambda info: info == INFO)
    for key in range(DRAFTS_MAX + 3):
        made.offers(key, PIECE_SIZE * (key + 1))
        made.ask(key, 0.0)
    assert len(made._drafts) == DRAFTS_MAX
    assert made.ask(DRAFTS_MAX, 1.0) == []
    made.gone(0)  # its size is nobody's any more
    assert made.ask(DRAFTS_MAX, 1.0)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 4))
def test_honest_peers_win_and_no_honest_one_is_blamed(seed: int, honest: int, liars: int) -> None:
    rng = Random(seed)
    made = Assembly(lambda info: info == INFO)
    keys = list(range(honest + liars))
    for key in keys:
        made.offers(key, SIZE)
    now, owed, info = 0.0, list[tuple[int, int]](), None
    for _ in range(4000):
        now += 0.3
        for key in rng.sample(keys, len(keys)):
            owed += [(key, piece) for piece in made.ask(key, now)]
        if not owed:
            continue
        key, piece = owed.pop(rng.randrange(len(owed)))
        if key not in keys:
            continue
        wrong = key >= honest and rng.random() < 0.5
        verdict = made.arrived(key, piece, SIZE, lie(piece) if wrong else part(piece))
        assert all(blamed >= honest for blamed in verdict.blamed)
        for blamed in verdict.blamed:
            if blamed in keys:
                keys.remove(blamed)
                made.gone(blamed)
        if verdict.info is not None:
            info = verdict.info
            break
    assert info == INFO


def test_pieces_are_counted_like_bytes() -> None:
    assert [piece_count(size) for size in (1, PIECE_SIZE, PIECE_SIZE + 1)] == [1, 1, 2]
