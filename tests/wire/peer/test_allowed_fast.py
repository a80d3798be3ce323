from __future__ import annotations

import pytest

from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.wire.peer.allowed_fast import ALLOWED_FAST_COUNT, allowed_fast_set

HASH = InfoHash(b"\xaa" * 20)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (7, [1059, 431, 808, 1217, 287, 376, 1188]),
        (9, [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]),
    ],
)
def test_the_vectors_of_bep_6(size: int, expected: list[int]) -> None:
    assert allowed_fast_set(HASH, "80.4.4.200", 1313, size) == expected


def test_neighbours_in_a_24_get_the_same_set() -> None:
    assert allowed_fast_set(HASH, "80.4.4.1", 1313) == allowed_fast_set(HASH, "80.4.4.200", 1313)
    assert allowed_fast_set(HASH, "80.4.5.200", 1313) != allowed_fast_set(HASH, "80.4.4.200", 1313)


@pytest.mark.parametrize("pieces", [1, 9, 10, 11, 12])
def test_it_ends_and_has_no_doubles_when_there_are_few_pieces(pieces: int) -> None:
    found = allowed_fast_set(HASH, "80.4.4.200", pieces)
    assert len(found) == len(set(found)) == min(pieces, ALLOWED_FAST_COUNT)
    assert all(0 <= index < pieces for index in found)


def test_no_set_for_ipv6() -> None:
    assert allowed_fast_set(HASH, "2001:db8::1", 1313) == []
