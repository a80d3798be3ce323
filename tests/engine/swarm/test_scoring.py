"""What a peer has been worth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.engine.swarm.scoring import PeerScore


def score(*seconds: tuple[int, int]) -> PeerScore:
    found = PeerScore()
    for received, sent in seconds:
        found.sample(received, sent, 1.0)
    return found


def test_who_gives_more_is_worth_more() -> None:
    assert score(*[(2_000, 0)] * 20).value > score(*[(1_000, 0)] * 20).value > score(*[(0, 9_000)] * 20).value == 0


def test_who_also_takes_counts_less() -> None:
    assert score(*[(1_000, 0)] * 20).value > score(*[(1_000, 1_000)] * 20).value > 0.75 * 1_000


def test_neither_one_good_second_nor_one_long_ago_decides() -> None:
    steady = score(*[(1_000, 0)] * 60)

    assert score(*[(0, 0)] * 59, (3_000, 0)).value < steady.value
    assert score(*[(20_000, 0)] * 10, *[(0, 0)] * 90).value < steady.value


def test_demand_is_what_it_took() -> None:
    assert score(*[(0, 500)] * 100).demand > score(*[(0, 100)] * 100).demand > 0


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), min_size=1, max_size=30))
def test_a_late_look_sees_what_many_looks_see(seconds: list[tuple[int, int]]) -> None:
    """A clock that ticks every two seconds makes no other order of who gave nothing and who gave."""
    halves = PeerScore()
    for received, sent in seconds:
        halves.sample(received, sent, 2.0)

    assert (halves.value > 0) == (score(*seconds).value > 0)
    assert halves.value >= 0
