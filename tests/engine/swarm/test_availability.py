"""The bit-sliced counts against plain counting."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.piece_mask import any_bit, bits_of, full_mask, mask_of, nth_bit


@given(st.lists(st.tuples(st.booleans(), st.integers(0, (1 << 37) - 1)), max_size=60), st.integers(0, (1 << 37) - 1))
def test_counts_like_a_list(steps: list[tuple[bool, int]], candidates: int) -> None:
    availability = Availability(37)
    counts = [0] * 37
    present: list[int] = []
    for leaves, mask in steps:
        if leaves and present:
            gone = present.pop(mask % len(present))
            availability.remove(gone)
            for index in bits_of(gone):
                counts[index] -= 1
        else:
            present.append(mask)
            availability.add(mask)
            for index in bits_of(mask):
                counts[index] += 1
    assert list(availability.to_bytes()) == counts
    assert [availability.count(index) for index in range(37)] == counts
    assert list(bits_of(availability.anywhere())) == [index for index, count in enumerate(counts) if count]
    if candidates:
        among = list(bits_of(candidates))
        least, most = min(counts[i] for i in among), max(counts[i] for i in among)
        assert list(bits_of(availability.rarest(candidates))) == [i for i in among if counts[i] == least]
        assert list(bits_of(availability.commonest(candidates))) == [i for i in among if counts[i] == most]


def test_more_than_255_show_as_255() -> None:
    availability = Availability(2)
    for _ in range(300):
        availability.add(0b10)
    assert availability.to_bytes() == b"\x00\xff"
    assert availability.count(1) == 300


def test_taking_away_what_nobody_had_is_an_error() -> None:
    availability = Availability(3)
    availability.add(0b011)
    with pytest.raises(ValueError, match="nobody had"):
        availability.remove(0b100)


@given(st.sets(st.integers(0, 300)), st.integers(1, 400))
def test_masks_hold_what_bitfields_hold(indices: set[int], extra: int) -> None:
    length = 300 + extra
    field = Bitfield.of(length, sorted(indices))
    mask = mask_of(field)
    assert list(bits_of(mask)) == sorted(indices)
    assert [nth_bit(mask, n) for n in range(len(indices))] == sorted(indices)
    with pytest.raises(IndexError):
        nth_bit(mask, len(indices))


def test_every_bit_is_drawn_alike() -> None:
    rng = random.Random(5)
    mask = (1 << 3) | (1 << 64) | (1 << 1000)
    drawn = [any_bit(mask, rng) for _ in range(3000)]
    assert all(900 < drawn.count(index) < 1100 for index in (3, 64, 1000))


def test_full_mask_is_a_full_bitfield() -> None:
    assert mask_of(Bitfield(13, full=True)) == full_mask(13)
