"""Who runs, who is shared, why the others wait."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.engine.api.snapshots import Network, Reason
from icworkshop_gui.engine.discovery.pace import HOSTS_MAX, AnnouncePace
from icworkshop_gui.engine.queueing import Conditions, Limits, Sharing, View, Waiting, decide

TIERS = {"L": Tier.LOBBY_URGENT, "u": Tier.USER_REQUESTED, "b": Tier.BACKGROUND}


def waiting(word: str) -> Waiting:
    """`u2pf`: tier letter, position, then p for paused, f for forced, i for idle."""
    return Waiting(
        id=TransferId(word),
        tier=TIERS[word[0]],
        position=int(word[1]),
        paused="p" in word,
        forced="f" in word,
        idle="i" in word,
    )


def queue(picture: str, slots: int = 5, in_all: int = 100, **conditions: object) -> str:
    """One reason for each word."""
    view = [waiting(word) for word in picture.split()]
    limits = Limits(downloads=slots, seeds=5, in_all=in_all)
    around = Conditions(**conditions)  # type: ignore[arg-type]
    verdict = decide(View(downloads=tuple(view), limits=limits, conditions=around))
    assert verdict == decide(View(downloads=tuple(reversed(view)), limits=limits, conditions=around))
    return " ".join(verdict[TransferId(word)].value or "run" for word in picture.split())


@pytest.mark.parametrize(
    ("picture", "slots", "expected"),
    [
        ("u0 u1 u2", 2, "run run slot"),
        ("u2 u1 u0", 2, "slot run run"),
        ("b0 u0 u1", 2, "tier run run"),
        ("b0 b1 u0", 2, "run slot run"),
        ("b0 u0", 2, "run run"),
        ("L0 u0 b0", 5, "run run lobby_first"),
        ("L0p u0 b0", 5, "user run run"),
        ("L0 L1 L2 u0", 1, "run run run tier"),
        ("u0p u1 u2", 1, "user run slot"),
        ("u0 u1f", 1, "run run"),
        ("u0f u1 u2", 2, "run run slot"),
        ("L0 b0f", 5, "run run"),
        ("b0 b1", 1, "run slot"),
        ("u0i u1", 1, "run run"),
        ("u0 u1i u2", 1, "run run slot"),
        ("L0i u0", 1, "run run"),
    ],
)
def test_the_queue(picture: str, slots: int, expected: str) -> None:
    assert queue(picture, slots) == expected


def test_idle_ones_count_in_all() -> None:
    assert queue("u0i u1i u2 u3", slots=5, in_all=3) == "run run run slot"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"network": Network.OFFLINE}, "offline offline offline offline user"),
        ({"network": Network.METERED}, "run metered metered run user"),
        ({"network": Network.METERED, "download_on_metered": True}, "run run lobby_first run user"),
        ({"network": Network.NO_SHARING}, "run run lobby_first run user"),
        ({"game_running": True, "pause_in_game": True}, "run game game run user"),
        ({"game_running": True}, "run run lobby_first run user"),
    ],
)
def test_what_is_around_us(conditions: dict[str, object], expected: str) -> None:
    assert queue("L0 u0 b0 u1f u2p", **conditions) == expected  # type: ignore[arg-type]


flags = st.booleans()
downloads = st.lists(
    st.builds(
        Waiting,
        id=st.integers(0, 10**6).map(lambda number: TransferId(str(number))),
        tier=st.sampled_from(Tier),
        position=st.integers(0, 5),
        paused=flags,
        forced=flags,
        idle=flags,
    ),
    max_size=12,
    unique_by=lambda item: item.id,
)
shared = st.lists(
    st.builds(
        Sharing,
        id=st.integers(10**6 + 1, 10**7).map(lambda number: TransferId(str(number))),
        paused=flags,
        forced=flags,
        done=flags,
        seeds=st.none() | st.integers(0, 5),
        leechers=st.integers(0, 3),
        idle=flags,
        turn_over=flags,
        shared_at=st.floats(0, 100),
        running=flags,
    ),
    max_size=12,
    unique_by=lambda item: item.id,
)
limits = st.builds(Limits, downloads=st.integers(1, 5), seeds=st.integers(1, 5), in_all=st.integers(1, 15))
around = st.builds(
    Conditions,
    network=st.sampled_from(Network),
    sharing=flags,
    share_on_metered=flags,
    download_on_metered=flags,
    game_running=flags,
    pause_in_game=flags,
)
views = st.builds(View, downloads=downloads.map(tuple), seeds=shared.map(tuple), limits=limits, conditions=around)


@given(views)
def test_whatever_there_is(view: View) -> None:
    verdict = decide(view)
    assert verdict.keys() == {item.id for item in (*view.downloads, *view.seeds)}
    mirrored = View(view.downloads[::-1], view.seeds[::-1], view.limits, view.conditions)
    assert decide(mirrored) == verdict, "the order of the view does not matter"
    runs = {key for key, reason in verdict.items() if reason is Reason.NONE}
    held = [item for item in view.downloads if not item.forced and item.tier is not Tier.LOBBY_URGENT]
    assert sum(item.id in runs and not item.idle for item in held) <= view.limits.downloads
    assert sum(item.id in runs for item in held) <= view.limits.in_all
    plain = [item for item in view.seeds if not item.forced]
    assert sum(item.id in runs and item.running and not item.idle for item in plain) <= view.limits.seeds
    assert sum(item.id in runs for item in plain) <= view.limits.in_all
    for item in (*view.downloads, *view.seeds):
        if item.paused:
            assert verdict[item.id] is Reason.USER
    lobby = any(verdict[item.id] is Reason.NONE for item in view.downloads if item.tier is Tier.LOBBY_URGENT)
    for item in held:
        if lobby and item.tier is Tier.BACKGROUND:
            assert item.id not in runs, "the background pauses under a lobby"
    if view.conditions.network is Network.OFFLINE:
        assert not runs


@given(views)
def test_nobody_waits_for_a_slot_that_is_free(view: View) -> None:
    verdict = decide(view)
    waits = [item for item in view.downloads if verdict[item.id] in (Reason.SLOT, Reason.TIER)]
    busy = [item for item in view.downloads if verdict[item.id] is Reason.NONE and not item.idle]
    run = [item for item in view.downloads if verdict[item.id] is Reason.NONE]
    assert not waits or len(busy) >= view.limits.downloads or len(run) >= view.limits.in_all
    for item in waits:
        if verdict[item.id] is Reason.TIER:
            assert all(other.tier > item.tier for other in busy if not other.forced), (
                "the tier is blamed only when it is to blame"
            )


@given(views)
def test_order_is_tier_then_position(view: View) -> None:
    verdict = decide(view)
    free = {Reason.NONE, Reason.SLOT, Reason.TIER}
    plain = [item for item in view.downloads if verdict[item.id] in free and not item.forced and not item.idle]
    plain.sort(key=lambda item: (-item.tier, item.position, item.id))
    answers = [verdict[item.id] is Reason.NONE for item in plain]
    assert answers == sorted(answers, reverse=True)


# sharing


def share(*seeds: Sharing, slots: int = 1, in_all: int = 100, **conditions: object) -> str:
    around = Conditions(**conditions)  # type: ignore[arg-type]
    view = View(seeds=seeds, limits=Limits(downloads=1, seeds=slots, in_all=in_all), conditions=around)
    verdict = decide(view)
    return " ".join(verdict[item.id].value or "run" for item in seeds)


def busy(name: str, **facts: object) -> Sharing:
    return Sharing(id=TransferId(name), running=True, **facts)  # type: ignore[arg-type]


def rests(name: str, **facts: object) -> Sharing:
    return Sharing(id=TransferId(name), **facts)  # type: ignore[arg-type]


def test_those_that_nobody_fetches_take_no_slot() -> None:
    assert share(busy("a"), busy("b", idle=True), busy("c", idle=True)) == "run run run"
    assert share(busy("a", idle=True), rests("b"), rests("c")) == "run run run", "as long as there is room at all"
    assert share(busy("a", idle=True), rests("b"), rests("c"), in_all=2).split().count("turn") == 1


def test_over_the_limit_the_scarce_go_first() -> None:
    assert share(rests("many", seeds=9, leechers=1), rests("few", seeds=1, leechers=1)) == "turn run"
    assert share(rests("unwanted", seeds=0, leechers=0), rests("wanted", seeds=3, leechers=1)) == "turn run"
    assert share(rests("unknown"), rests("many", seeds=5), in_all=1) == "run turn"


def test_a_turn_is_kept_until_it_is_over() -> None:
    scarce = rests("scarce", seeds=0, leechers=5)
    assert share(busy("plenty", seeds=9, leechers=1), scarce) == "run turn"
    assert share(busy("plenty", seeds=9, leechers=1, turn_over=True), scarce) == "turn run"
    assert share(busy("plenty", seeds=9, leechers=1, turn_over=True)) == "run", "when nobody waits it goes on"


def test_whoever_has_rested_longest_comes_next() -> None:
    long, short = rests("z", leechers=1, shared_at=5.0), rests("a", leechers=1, shared_at=50.0)
    assert share(long, short) == "run turn"


def test_a_round_gives_everybody_a_turn() -> None:
    """Six packages of equal need, two places: in three turns each has had one."""
    at = dict.fromkeys("abcdef", -math.inf)
    running: set[str] = set()
    seen: list[set[str]] = []
    for turn in range(6):
        seeds = [
            Sharing(
                id=TransferId(name), leechers=1, running=name in running, turn_over=name in running, shared_at=at[name]
            )
            for name in at
        ]
        verdict = decide(View(seeds=tuple(seeds), limits=Limits(seeds=2)))
        running = {name for name in at if verdict[TransferId(name)] is Reason.NONE}
        at.update(dict.fromkeys(running, float(turn)))
        seen.append(running)
    assert set().union(*seen[:3]) == set(at) == set().union(*seen[3:])
    assert all(len(turn) == 2 for turn in seen)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "run goal run user"),
        ({"sharing": False}, "sharing_off sharing_off sharing_off user"),
        ({"network": Network.NO_SHARING}, "sharing_off sharing_off sharing_off user"),
        ({"network": Network.METERED}, "metered metered metered user"),
        ({"network": Network.METERED, "share_on_metered": True}, "run goal run user"),
        ({"network": Network.OFFLINE}, "offline offline offline user"),
        ({"game_running": True, "pause_in_game": True}, "game game game user"),
    ],
)
def test_when_nothing_is_shared(conditions: dict[str, object], expected: str) -> None:
    seeds = (rests("a"), rests("b", done=True), rests("c", done=True, forced=True), rests("d", paused=True))
    assert share(*seeds, slots=5, **conditions) == expected  # type: ignore[arg-type]


def test_downloads_come_before_sharing() -> None:
    view = View(
        downloads=(waiting("u0"), waiting("u1")), seeds=(rests("a"), rests("b")), limits=Limits(downloads=5, in_all=3)
    )
    assert list(decide(view).values()).count(Reason.NONE) == 3
    assert decide(view)[TransferId("u1")] is Reason.NONE


# goals


@pytest.mark.parametrize(
    ("goal", "uploaded", "shared", "seeds", "expected"),
    [
        (SeedGoal(), 10**12, 10.0**9, 10**6, False),
        (SeedGoal(ratio=150), 1499, 0, None, False),
        (SeedGoal(ratio=150), 1500, 0, None, True),
        (SeedGoal(ratio=0), 0, 0, None, True),
        (SeedGoal(seconds=60), 0, 59.9, None, False),
        (SeedGoal(seconds=60), 0, 60.0, None, True),
        (SeedGoal(seeds=3), 0, 0, None, False),
        (SeedGoal(seeds=3), 0, 0, 2, False),
        (SeedGoal(seeds=3), 0, 0, 3, True),
        (SeedGoal(ratio=150, seconds=60), 0, 61, None, True),
    ],
)
def test_goals(goal: SeedGoal, uploaded: int, shared: float, seeds: int | None, expected: bool) -> None:
    assert goal.is_reached(uploaded=uploaded, size=1000, shared=shared, seeds=seeds) is expected


# the pace of announces


def test_a_tracker_hears_so_many_a_second_and_others_do_not_wait() -> None:
    pace = AnnouncePace(10)
    turns = [pace.turn("a", 0.0) for _ in range(100)]
    assert turns == pytest.approx([number / 10 for number in range(100)])
    assert pace.turn("b", 0.0) == 0.0
    assert pace.turn("a", 100.0) == 100.0, "what was not used is not saved up"
    assert pace.turn("a", 100.0) == pytest.approx(100.1)


def test_trackers_remembered_are_bounded() -> None:
    pace = AnnouncePace()
    for number in range(HOSTS_MAX + 5):
        pace.turn(number, 0.0)
        pace.turn(number, 0.0)
    assert pace.turn(HOSTS_MAX + 4, 0.0) > 0
    assert pace.turn(0, 0.0) == 0.0, "the oldest is forgotten"
