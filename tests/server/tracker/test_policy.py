"""Which peers an asker gets: never itself, no seeds for seeds, everybody's turn comes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.server.tracker.policy import CHUNKS, FLOOR, LONG, choose, pick, seeds_share


def packed(count: int, size: int = 6, first: int = 0) -> bytes:
    return b"".join((first + number).to_bytes(size, "big") for number in range(count))


def numbers(found: bytes, size: int = 6) -> list[int]:
    assert len(found) % size == 0
    return [int.from_bytes(found[at : at + size], "big") for at in range(0, len(found), size)]


spins = st.floats(0, 1, exclude_max=True)
SEEDS_FROM = 1_000_000


@given(
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(0, 60),
    st.booleans(),
    st.integers(-1, 399),
    spins,
    st.sampled_from([6, 18]),
)
def test_a_handout_is_full_fresh_and_without_the_asker(seeds, leechers, want, seeding, asker, spin, size):
    asker = min(asker, (seeds if seeding else leechers) - 1)
    found = numbers(
        choose(packed(seeds, size, SEEDS_FROM), packed(leechers, size), size, want, seeding, asker, spin), size
    )
    assert len(set(found)) == len(found)
    if seeding:
        assert all(number < SEEDS_FROM for number in found)
        assert len(found) == min(want, leechers)
    else:
        assert asker not in found
        assert len(found) == min(want, seeds + leechers - (asker >= 0))


@given(st.integers(1, 1000), st.integers(1, 60), st.integers(-1, 999), spins)
def test_a_pick_is_full_fresh_and_without_the_asker(count, want, asker, spin):
    asker = min(asker, count - 1)
    found = numbers(pick(packed(count), 6, want, asker, spin))
    assert len(set(found)) == len(found) == min(want, count - (asker >= 0))
    assert asker not in found
    assert all(number < count for number in found)


@pytest.mark.parametrize(("count", "want"), [(60, 50), (99, 50), (99, 3), (203, 50), (203, 30), (603, 50)])
def test_everybodys_turn_comes(count, want):
    rng = random.Random(7)
    times = Counter[int]()
    rounds = 100 * count // want
    for _ in range(rounds):
        times.update(numbers(pick(packed(count), 6, want, rng.randrange(count), rng.random())))
    assert min(times[number] for number in range(count)) > 45
    assert max(times.values()) < 180


def test_a_burst_of_neighbours_is_never_a_whole_handout():
    # 50 announces in a row by one who wants to be an asker's whole world (LONG lists only: short ones hand out a lot).
    count = 50 * LONG + 1
    mine = range(70, 120)
    worst = max(len(set(mine) & set(numbers(pick(packed(count), 6, 50, -1, spin / 1000)))) for spin in range(1000))
    assert worst <= 50 // CHUNKS * 2


@pytest.mark.parametrize(
    ("want", "seeders", "leechers", "share"),
    [
        (50, 1000, 1000, 25),
        (50, 1, 1000, 1),
        (50, 10_000, 1000, 40),
        (50, 1000, 20_000, 10),
        (50, 1000, 5, 45),
        (50, 3, 48, 3),
        (1, 5, 5, 0),
    ],
)
def test_seeds_get_their_share_above_a_floor(want, seeders, leechers, share):
    assert seeds_share(want, seeders, leechers) == share
    assert 50 // FLOOR == 10
