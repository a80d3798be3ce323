"""Rates hold in every second, nobody starves, nothing is saved up. The time is a number that the test moves on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.engine.net.limiter import (
    BURST,
    CHATTER,
    QUANTUM,
    STALL_MAX,
    TICK,
    Budget,
    Limiter,
    LimiterTicker,
)
from tests.sim.loop import LoopClock, run_leaping


class Line:
    """A root limiter, connections that always want more, and the time."""

    def __init__(self, root: Limiter) -> None:
        self.root = root
        self.now = 0.0
        self.log: list[tuple[float, str, int]] = []
        self.greedy: list[Callable[[], None]] = []

    def add(
        self, name: str, limiter: Limiter, *, bite: int = 256 * 1024, appetite: Callable[[], bool] = lambda: True
    ) -> Budget:
        """A connection that takes `bite` bytes at a time for as long as it gets them."""

        def eat() -> None:
            while appetite() and not budget.waiting:
                got = budget.take(bite, self.now)
                if not got:
                    return
                self.log.append((self.now, name, got))
                if limiter.unlimited:
                    return

        budget = limiter.budget(eat)
        self.greedy.append(eat)
        return budget

    def run(self, seconds: float, *, tick: float = TICK) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            for eat in self.greedy:
                eat()
            self.now += tick
            self.root.tick(self.now)

    def total(self, name: str = "", since: float = 0.0, until: float = float("inf")) -> int:
        return sum(got for at, who, got in self.log if since <= at < until and name in ("", who))

    def windows(self, since: float, until: float, width: float = 1.0, step: float = 0.05) -> Sequence[int]:
        """What passed in every window of `width` seconds."""
        starts = [since + step * number for number in range(int((until - since - width) / step))]
        return [self.total(since=start, until=start + width) for start in starts]


@pytest.mark.parametrize("connections", [1, 7, 50])
@pytest.mark.parametrize("rate", [100_000, 1_000_000, 50_000_000])
def test_within_five_percent_in_any_second(rate: int, connections: int) -> None:
    line = Line(Limiter(rate))
    for number in range(connections):
        line.add(str(number), line.root.child())
    line.run(5)
    for passed in line.windows(0.0, 5.0):
        assert 0.95 * rate <= passed <= 1.05 * rate


@pytest.mark.parametrize("where", ["root", "child"])
def test_a_transfer_and_the_program_limit_alike(where: str) -> None:
    root = Limiter(1_000_000 if where == "root" else None)
    line = Line(root)
    line.add("a", root.child(None if where == "root" else 1_000_000))
    line.run(3)
    assert line.total() == pytest.approx(3_000_000, rel=0.05)


@pytest.mark.parametrize("rate", [100_000, 1_000_000, 50_000_000])
def test_fifty_connections_get_equal_shares(rate: int) -> None:
    root = Limiter(rate)
    transfer = root.child()
    line = Line(root)
    for number in range(50):
        line.add(str(number), transfer)
    line.run(20)
    shares = [line.total(str(number)) for number in range(50)]
    assert min(shares) >= 0.8 * rate * 20 / 50
    assert max(shares) <= 1.25 * rate * 20 / 50


def test_nobody_waits_longer_than_his_turn() -> None:
    root = Limiter(100_000)
    line = Line(root)
    for number in range(40):
        line.add(str(number), root)
    line.run(10)
    for number in range(40):
        times = [at for at, who, _ in line.log if who == str(number)]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        # 40 waiters at one segment each are served in 40 x 1,448 / 100,000 = 0.58 s.
        assert max(gaps) < 1.0


def test_weights_share_what_is_scarce() -> None:
    root = Limiter(1_000_000)
    line = Line(root)
    lobby, user, background = (root.child(weight=weight) for weight in (16, 4, 1))
    for _ in range(3):
        line.add("lobby", lobby)
        line.add("user", user)
        line.add("background", background)
    line.run(20)
    assert line.total("lobby") == pytest.approx(20e6 * 16 / 21, rel=0.1)
    assert line.total("user") == pytest.approx(20e6 * 4 / 21, rel=0.1)
    assert line.total("background") == pytest.approx(20e6 / 21, rel=0.1)


def test_what_one_does_not_want_the_others_get() -> None:
    root = Limiter(1_000_000)
    line = Line(root)
    line.add("heavy", root.child(weight=16), appetite=lambda: False)
    line.add("light", root.child(weight=1))
    line.run(5)
    assert line.total("light") == pytest.approx(5e6, rel=0.05)


def test_a_limited_transfer_leaves_the_rest_to_the_others() -> None:
    root = Limiter(1_000_000)
    line = Line(root)
    line.add("slow", root.child(100_000))
    line.add("fast", root.child())
    line.run(10)
    assert line.total("slow") == pytest.approx(1e6, rel=0.06)
    assert line.total("fast") == pytest.approx(9e6, rel=0.06)


def test_who_comes_back_after_a_pause_gets_his_share_and_no_more() -> None:
    awake = False
    root = Limiter(1_000_000)
    line = Line(root)
    line.add("steady", root.child())
    line.add("sleeper", root.child(), appetite=lambda: awake)
    line.run(10)
    awake = True
    line.run(4)
    assert line.total("sleeper", since=10) == pytest.approx(2e6, rel=0.1)


def test_an_idle_line_saves_nothing_up() -> None:
    awake = False
    root = Limiter(1_000_000)
    line = Line(root)
    line.add("a", root.child(), appetite=lambda: awake)
    line.run(60)
    awake = True
    line.run(1)
    assert line.total() <= 1_000_000 * (1 + BURST) + QUANTUM


def test_after_a_stall_of_the_loop_only_so_much_is_made_up() -> None:
    root = Limiter(1_000_000)
    line = Line(root)
    line.add("a", root)
    line.run(1)
    before = line.total()
    line.run(30.0, tick=30.0)
    line.greedy[0]()
    assert line.total() - before <= 1_000_000 * STALL_MAX + QUANTUM


@pytest.mark.parametrize("where", ["root", "child"])
def test_zero_leaves_room_for_what_is_said_and_none_means_all(where: str) -> None:
    root = Limiter(None)
    child = root.child()
    limited = root if where == "root" else child
    line = Line(root)
    line.add("a", child)
    limited.set_rate(0, line.now)
    line.run(5)
    assert child.shut
    assert limited.rate == 0
    assert line.total() == pytest.approx(5 * CHATTER, rel=0.05)
    limited.set_rate(None, line.now)
    line.run(0.04)
    assert line.total() >= 256 * 1024


@pytest.mark.parametrize(("before", "after"), [(None, 200_000), (5_000_000, 200_000), (0, 200_000), (10_000, 200_000)])
def test_a_new_rate_is_in_force_within_200_ms(before: int | None, after: int) -> None:
    root = Limiter(before)
    line = Line(root)
    line.add("a", root.child())
    line.run(2)
    changed = line.now
    root.set_rate(after, line.now)
    line.run(3)
    for passed in line.windows(changed + 0.2, changed + 3):
        assert passed == pytest.approx(after, rel=0.05)


def test_a_slow_line_still_moves() -> None:
    root = Limiter(1000)
    line = Line(root)
    line.add("a", root)
    line.run(60)
    assert line.total() == pytest.approx(60_000, rel=0.05)


def test_what_was_granted_and_not_used_comes_back() -> None:
    root = Limiter(1_000_000)
    line = Line(root)
    idle = [root.budget(lambda: None) for _ in range(20)]
    line.add("busy", root)
    for _ in range(250):
        for budget in idle:
            budget.wait(16_384)
        line.run(TICK)
    assert line.total() > 0.04 * 5_000_000
    for budget in idle:
        budget.close()
    start = line.now
    line.run(2)
    assert line.total(since=start) == pytest.approx(2_000_000, abs=1_000_000 * STALL_MAX)


def test_a_grant_that_is_never_used_is_lent_for_one_tick_only() -> None:
    root = Limiter(1_000_000)
    line = Line(root)
    sleeper = root.budget(lambda: None)
    assert root.budget(lambda: None).take(10**6, 0.0)
    sleeper.wait(10**6)
    root.tick(TICK)
    assert sleeper.available(TICK) == pytest.approx(20_000, abs=1)
    root.tick(2 * TICK)
    # All of it is back, as far as a bucket that nobody waits for holds it.
    assert root.budget(lambda: None).take(10**6, 2 * TICK) == pytest.approx(1_000_000 * BURST, abs=2)
    assert line.total() == 0


def test_nobody_overtakes_who_waits() -> None:
    root = Limiter(100_000)
    first, second = root.budget(lambda: None), root.budget(lambda: None)
    assert first.take(4000 - 1000, 0.0) == 3000
    assert first.take(5000, 0.0) == 0
    assert second.take(500, 0.0) == 0
    root.tick(TICK)
    assert first.available(TICK) >= second.available(TICK) >= 500


def test_a_debt_is_paid_before_anything_else_passes() -> None:
    root = Limiter(100_000)
    line = Line(root)
    budget = root.budget(lambda: None)
    assert budget.available(0.0) > 0
    budget.charge(100_000)
    assert budget.take(1000, 0.0) == 0
    budget.close()
    line.add("a", root)
    line.run(2)
    # The burst was there at first.
    assert line.total() == pytest.approx(200_000 + 100_000 * BURST - 100_000, rel=0.02)


def test_closing_in_every_state_keeps_the_count_right() -> None:
    root = Limiter(100_000)
    waiting, granted, fresh = (root.budget(lambda: None) for _ in range(3))
    root.budget(lambda: None).take(10**6, 0.0)
    waiting.wait(5000)
    granted.wait(5000)
    root.tick(0.1)
    for budget in (waiting, granted, fresh, fresh):
        budget.close()
    assert not root._waiting or all(left is not waiting for left in root._waiting)


def test_a_limiter_has_children_or_connections() -> None:
    root = Limiter(None)
    child = root.child()
    with pytest.raises(ValueError, match="without children"):
        root.budget(lambda: None)
    kept = child.budget(lambda: None)
    with pytest.raises(ValueError, match="connections of its own"):
        child.child()
    with pytest.raises(ValueError, match="only the root"):
        child.tick(0.0)
    with pytest.raises(ValueError, match="within its tree"):
        child.move(Limiter(None))
    assert not kept.waiting


@given(
    rate=st.integers(2_000, 10**8),
    steps=st.lists(
        st.tuples(
            st.integers(0, 4), st.sampled_from(["take", "charge", "wait", "close", "tick"]), st.integers(1, 10**6)
        ),
        max_size=80,
    ),
)
def test_whatever_happens_no_more_passes_than_came_in(rate: int, steps: list[tuple[int, str, int]]) -> None:
    root = Limiter(rate)
    children = [root.child(rate // 2), root.child()]
    budgets = [children[number % 2].budget(lambda: None) for number in range(5)]
    now, passed, debt = 0.0, 0, 0
    for who, what, amount in steps:
        budget = budgets[who]
        if what == "take":
            passed += budget.take(amount, now)
        elif what == "charge":
            budget.charge(amount)
            debt += amount
        elif what == "wait":
            budget.wait(amount)
        elif what == "close":
            budget.close()
        else:
            now += TICK
            root.tick(now)
    assert passed <= rate * (now + BURST) + QUANTUM + debt
    for budget in budgets:
        budget.close()
    assert not root._active
    assert not root._waiters


def test_the_ticker_runs_only_while_somebody_waits() -> None:
    async def main() -> None:
        clock = LoopClock()
        root = Limiter(100_000)
        ticker = LimiterTicker(root, clock)
        woken = asyncio.Event()
        budget = root.budget(woken.set)
        assert budget.take(10_000, clock.now()) == 100_000 * BURST
        assert budget.take(10_000, clock.now()) == 0
        start = clock.now()
        await woken.wait()
        assert clock.now() - start == pytest.approx(TICK)
        assert budget.take(10_000, clock.now()) in (1999, 2000)
        await asyncio.sleep(1)
        # Nobody waits, so no timer is left that would wake the loop.
        assert ticker._timer is None
        woken.clear()
        budget.wait(1000)
        await woken.wait()
        ticker.close()
        budget.wait(1)
        assert ticker._timer is None

    run_leaping(main())
