"""Whom to serve, in tables."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from icworkshop_gui.engine.swarm.choker import SHARE_BYTES, SHARE_SECONDS, STARTER_BYTES, Choker, ChokeView


def view(key: int, **fields: object) -> ChokeView:
    return ChokeView(**{"key": key, "interested": True, **fields})  # type: ignore[arg-type]


def choker(seed: int = 1) -> Choker:
    return Choker(random.Random(seed))


def test_everybody_who_wants_when_there_is_room() -> None:
    peers = [view(1), view(2, interested=False), view(3, snubbed=True)]
    assert choker().round(peers, 0.0, seeding=False, slots=4) == {1, 3}


def test_no_slots_nobody() -> None:
    assert choker().round([view(1, unchoked=True)], 0.0, seeding=True, slots=0) == set()


@pytest.mark.parametrize(("slots", "lots"), [(1, 0), (2, 1), (4, 1), (5, 1), (10, 2), (15, 3)])
def test_one_slot_in_five_is_given_by_lot(slots: int, lots: int) -> None:
    peers = [view(key, given=1000 - key) for key in range(1, 40)]
    hat = choker()
    chosen = hat.round(peers, 0.0, seeding=False, slots=slots)
    assert len(chosen) == slots
    assert len(hat.optimistic) == lots
    assert chosen - set(hat.optimistic) == set(range(1, slots - lots + 1))


def test_leeching_rewards_who_gave_most() -> None:
    peers = [view(1, given=10), view(2, given=500), view(3, given=90), view(4, given=70), view(5)]
    chosen = choker().round(peers, 0.0, seeding=False, slots=4)
    assert {2, 3, 4} <= chosen


def test_a_snubbing_peer_earns_no_slot() -> None:
    peers = [view(1, given=900, snubbed=True), *(view(key, given=1) for key in range(2, 30))]
    hits = sum(1 in choker(seed).round(peers, 0.0, seeding=False, slots=4) for seed in range(100))
    assert hits < 15, "only by lot"


def test_optimistic_stays_for_its_time_and_then_moves_on() -> None:
    hat = choker()
    peers = [view(key, given=1000 - key) for key in range(1, 20)]
    hat.round(peers, 0.0, seeding=False, slots=4)
    first = hat.optimistic
    hat.round(peers, 10.0, seeding=False, slots=4)
    hat.round(peers, 20.0, seeding=False, slots=4)
    assert hat.optimistic == first
    hat.round(peers, 30.0, seeding=False, slots=4)
    assert hat.optimistic != first


def test_the_lot_is_drawn_again_when_its_holder_leaves() -> None:
    hat = choker()
    peers = [view(key, given=1000 - key) for key in range(1, 20)]
    hat.round(peers, 0.0, seeding=False, slots=4)
    (gone,) = hat.optimistic
    hat.forget(gone)
    hat.round([peer for peer in peers if peer.key != gone], 10.0, seeding=False, slots=4)
    assert hat.optimistic != (gone,)
    assert len(hat.optimistic) == 1


def test_new_connections_are_three_times_as_likely() -> None:
    drawn = Counter[int]()
    for seed in range(2000):
        hat = choker(seed)
        old = [view(key, connected_at=0.0) for key in range(1, 6)]
        new = [view(key, connected_at=990.0) for key in range(6, 11)]
        givers = [view(key, given=1) for key in range(20, 23)]
        hat.round([*givers, *old, *new], 1000.0, seeding=False, slots=4)
        drawn[hat.optimistic[0] >= 6] += 1
    assert 2.5 < drawn[True] / drawn[False] < 3.5


def test_seeding_a_slot_in_use_is_kept_until_its_share_is_through() -> None:
    in_use = view(1, unchoked=True, taken=100, taken_since_unchoke=SHARE_BYTES - 1, flipped_at=0.0)
    others = [view(key, flipped_at=float(key)) for key in range(2, 9)]
    assert 1 in choker().round([in_use, *others], 900.0, seeding=True, slots=3)


def test_seeding_goes_round() -> None:
    full = view(1, unchoked=True, taken=100, taken_since_unchoke=SHARE_BYTES, flipped_at=0.0)
    waiting = [view(key, flipped_at=float(key)) for key in range(2, 9)]
    now = SHARE_SECONDS
    chosen = [choker(seed).round([full, *waiting], now, seeding=True, slots=3) for seed in range(20)]
    assert all({2, 3} <= keys for keys in chosen), "who has waited longest"
    assert sum(1 in keys for keys in chosen) < 10
    # Before its minute is over it keeps the slot however much it took.
    assert 1 in choker().round([full, *waiting], SHARE_SECONDS - 1, seeding=True, slots=3)


def test_seeding_an_idle_slot_is_taken_away() -> None:
    idle = view(1, unchoked=True, taken=0, flipped_at=0.0)
    waiting = [view(key, flipped_at=1.0) for key in range(2, 30)]
    assert sum(1 in choker(seed).round([idle, *waiting], 100.0, seeding=True, slots=3) for seed in range(50)) < 10


def test_seeding_newcomers_with_nothing_go_first_until_they_have_a_start() -> None:
    newcomer = view(9, has_nothing=True, flipped_at=500.0)
    waiting = [view(key, flipped_at=1.0) for key in range(1, 9)]
    assert 9 in choker().round([*waiting, newcomer], 510.0, seeding=True, slots=2)
    # One that never says what it has is believed only so long.
    liar = view(9, has_nothing=True, flipped_at=500.0, taken_ever=STARTER_BYTES)
    hits = sum(9 in choker(seed).round([*waiting, liar], 510.0, seeding=True, slots=2) for seed in range(60))
    assert hits < 30


def test_everybody_gets_a_turn_within_minutes() -> None:
    """Thirty peers, four slots, half an hour of seeding: fair to within a few rounds."""
    hat = choker()
    state = {key: {"unchoked": False, "flipped_at": 0.0, "since": 0} for key in range(1, 31)}
    rounds = Counter[int]()
    for step in range(180):
        now = step * 10.0
        peers = [
            view(
                key,
                unchoked=peer["unchoked"],
                flipped_at=peer["flipped_at"],
                taken=int(peer["unchoked"]) * 4_000_000,
                taken_since_unchoke=peer["since"],
            )
            for key, peer in state.items()
        ]
        chosen = hat.round(peers, now, seeding=True, slots=4)
        assert len(chosen) == 4
        for key, peer in state.items():
            if (key in chosen) != peer["unchoked"]:
                peer.update(unchoked=key in chosen, flipped_at=now, since=0)
            if peer["unchoked"]:
                peer["since"] = int(peer["since"]) + 4_000_000
                rounds[key] += 1
    assert len(rounds) == 30
    assert max(rounds.values()) <= 3 * min(rounds.values())


def test_between_rounds_free_slots_are_filled_and_nobody_is_choked() -> None:
    peers = [view(1, unchoked=True), view(2, flipped_at=5.0), view(3, flipped_at=4.0), view(4, interested=False)]
    assert choker().fill(peers, slots=2) == {3}
    assert choker().fill(peers, slots=1) == set()
    assert choker().fill(peers, slots=0) == set()
    # An unchoked peer that wants nothing holds no slot.
    assert choker().fill([view(1, unchoked=True, interested=False), view(2)], slots=1) == {2}
