"""Whom to serve, in tables."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from icworkshop_gui.engine.swarm.choker import NEWCOMER_SECONDS, NEWCOMER_WEIGHT, Choker, ChokeView
from icworkshop_gui.engine.swarm.seed_choking import RULES, SHARE_BYTES, SHARE_SECONDS, STARTER_BYTES, SeedChoking


def view(key: int, **fields: object) -> ChokeView:
    return ChokeView(**{"key": key, "interested": True, "progress": 0.5, **fields})  # type: ignore[arg-type]


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


def givers() -> list[ChokeView]:
    """Those who earn three of four slots."""
    return [view(key, given=1) for key in range(97, 100)]


def test_the_optimistic_slot_goes_to_whoever_waited_longest() -> None:
    waiting = [view(key, flipped_at=1000.0 - key) for key in range(1, 40)]
    for seed in range(20):
        assert 39 in choker(seed).round([*givers(), *waiting], 1000.0, seeding=False, slots=4)


def test_the_time_of_new_connections_counts_three_times() -> None:
    new = view(1, connected_at=950.0, flipped_at=950.0)
    for waited, first in ((149.0, 1), (151.0, 2)):
        hat = choker()
        old = view(2, flipped_at=1000.0 - waited)
        hat.round([*givers(), new, old], 1000.0, seeding=False, slots=4)
        assert hat.optimistic == (first,)
    # After a minute it is a connection like any other.
    hat = choker()
    hat.round([*givers(), view(1, connected_at=939.0, flipped_at=939.0), old], 1000.0, seeding=False, slots=4)
    assert hat.optimistic == (2,)


def test_who_waited_equally_long_is_taken_by_lot() -> None:
    drawn = Counter[int]()
    for seed in range(500):
        hat = choker(seed)
        hat.round([*givers(), *(view(key) for key in range(5))], 100.0, seeding=False, slots=4)
        drawn[hat.optimistic[0]] += 1
    assert set(drawn) == set(range(5))
    assert min(drawn.values()) > 60


@pytest.mark.parametrize("slots", [4, 10])
@pytest.mark.parametrize("strangers", [False, True], ids=["quiet", "a newcomer every 10 s"])
def test_every_peer_has_its_turn_within_the_bound(slots: int, strangers: bool) -> None:
    """Half an hour, 17 who have nothing to give; those who come new and go again cannot keep them waiting."""
    hat = choker()
    lots = max(1, slots // 5)
    flipped = dict.fromkeys(range(1, 18), 0.0)
    unchoked: set[int] = set()
    turns = {key: [0.0] for key in flipped}
    for step in range(1, 181):
        now = step * 10.0
        stranger = [view(1000 + step, connected_at=now - 9, flipped_at=now - 9)] if strangers else []
        peers = [view(key, unchoked=key in unchoked, flipped_at=at) for key, at in flipped.items()]
        earners = [view(key, given=9, unchoked=True) for key in range(100, 100 + slots - lots)]
        chosen = hat.round([*earners, *peers, *stranger], now, seeding=False, slots=slots)
        assert len(chosen) == slots
        for key in flipped:
            if (key in chosen) != (key in unchoked):
                flipped[key] = now
                if key in chosen:
                    turns[key].append(now)
        unchoked = chosen & set(flipped)
    bound = NEWCOMER_SECONDS * NEWCOMER_WEIGHT * strangers + 30.0 * -(-17 // lots) + 10.0
    waits = [later - before for times in turns.values() for before, later in itertools.pairwise([*times, 1800.0])]
    assert max(waits) <= bound
    counts = sorted(len(times) - 1 for times in turns.values())
    assert counts[-1] - counts[0] <= lots, "all alike"


def test_seeding_a_slot_in_use_is_kept_until_its_share_is_through() -> None:
    in_use = view(1, unchoked=True, taken=100, taken_since_unchoke=SHARE_BYTES - 1, flipped_at=0.0)
    others = [view(key, flipped_at=float(key)) for key in range(2, 9)]
    assert 1 in choker().round([in_use, *others], 900.0, seeding=True, slots=3)


def test_seeding_goes_round() -> None:
    full = view(1, unchoked=True, taken=100, taken_since_unchoke=SHARE_BYTES, flipped_at=0.0)
    waiting = [view(key, flipped_at=float(key)) for key in range(2, 9)]
    now = SHARE_SECONDS
    assert choker().round([full, *waiting], now, seeding=True, slots=3) == {2, 3, 4}, "who has waited longest"
    # Before its minute is over it keeps the slot however much it took.
    assert 1 in choker().round([full, *waiting], SHARE_SECONDS - 1, seeding=True, slots=3)


def test_seeding_an_idle_slot_is_taken_away() -> None:
    idle = view(1, unchoked=True, taken=0, flipped_at=0.0)
    waiting = [view(key, flipped_at=1.0) for key in range(2, 30)]
    assert choker().round([idle, *waiting], 100.0, seeding=True, slots=3) == {2, 3, 4}


def test_seeding_newcomers_with_nothing_go_first_until_they_have_a_start() -> None:
    newcomer = view(9, progress=0.0, flipped_at=500.0)
    waiting = [view(key, flipped_at=1.0) for key in range(1, 9)]
    assert 9 in choker().round([*waiting, newcomer], 510.0, seeding=True, slots=2)
    # One that never says what it has is believed only so long.
    liar = view(9, progress=0.0, flipped_at=500.0, taken_ever=STARTER_BYTES)
    assert choker().round([*waiting, liar], 510.0, seeding=True, slots=2) == {1, 2}


def test_what_other_rules_would_do() -> None:
    begun, half, nearly = view(1, progress=0.1), view(2, progress=0.5), view(3, progress=0.95, taken=5)
    fast = view(4, progress=0.6, taken=900, unchoked=True)
    peers = [begun, half, nearly, fast]
    first = {rule: min(peers, key=lambda peer: RULES[rule].rank(peer, 100.0)).key for rule in SeedChoking}
    assert first == {
        SeedChoking.ROUND_ROBIN: 4,
        SeedChoking.BY_TURNS: 4,
        SeedChoking.ANTI_LEECH: 3,
        SeedChoking.FASTEST: 4,
        SeedChoking.LOWEST: 1,
    }


def test_a_rule_that_looks_at_what_peers_take_has_an_optimistic_slot() -> None:
    peers = [view(key, taken=100 - key, unchoked=True) for key in range(4)] + [view(9)]
    hat = Choker(random.Random(1), seed_choking=SeedChoking.FASTEST)
    assert hat.round(peers, 100.0, seeding=True, slots=4) == {0, 1, 2, 9}
    assert hat.optimistic == (9,)
    by_turns = choker()
    by_turns.round(peers, 100.0, seeding=True, slots=4)
    assert by_turns.optimistic == ()


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
