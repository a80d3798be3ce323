"""Who is held back for whom, on a line of which nobody is told how wide it is."""

from __future__ import annotations

import pytest

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.precedence import BACKGROUND_MIN, LOBBY_LEAVES, Fetching, Precedence

LINE = 2_500_000.0
L, U, B = Tier.LOBBY_URGENT, Tier.USER_REQUESTED, Tier.BACKGROUND


class Line:
    """Downloads on one line. Those that want more than there is get equal parts, as connections do."""

    def __init__(self, width: float = LINE, limit: int | None = None) -> None:
        self.width = width if limit is None else min(width, limit)
        self.limit = limit
        self.now = 100.0
        self.wish: dict[str, float] = {}
        """What its peers send at most. The first letter is the tier."""
        self.got: dict[str, float] = {}
        self.rate: dict[str, float] = {}
        self.precedence = Precedence()
        self.shares = self.precedence.look(self.now, [], limit)

    def seconds(self, count: int) -> None:
        for _ in range(count):
            fetching = [Fetching(TransferId(name), tier(name), int(self.got.get(name, 0))) for name in self.wish]
            self.shares = self.precedence.look(self.now, fetching, self.limit)
            self.rate = self._flow()
            for name, rate in self.rate.items():
                self.got[name] = self.got.get(name, 0.0) + rate
            self.now += 1.0

    def _flow(self) -> dict[str, float]:
        want: dict[str, float] = {}
        for name, wish in self.wish.items():
            share = self.shares.of(tier(name))
            held = tier(name) is B and self.shares.hold_background
            want[name] = 0.0 if held else min(wish, wish if share is None else share)
        flow: dict[str, float] = {}
        left = self.width
        for at, name in enumerate(sorted(want, key=lambda name: want[name])):
            flow[name] = min(want[name], left / (len(want) - at))
            left -= flow[name]
        return flow

    def time_of(self, name: str, size: float, patience: int = 600) -> int:
        """Seconds until it has fetched so much more."""
        target = self.got.get(name, 0.0) + size
        for count in range(patience):
            if self.got.get(name, 0.0) >= target:
                return count
            self.seconds(1)
        raise AssertionError("never done")


def tier(name: str) -> Tier:
    return {"L": L, "u": U, "b": B}[name[0]]


BUSY = {"b1": 9e9, "b2": 9e9, "b3": 9e9, "u1": 9e9}


def test_a_lobby_beside_busy_ones_has_its_time_alone() -> None:
    alone = Line()
    alone.wish = {"L": 9e9}
    beside = Line()
    beside.wish = dict(BUSY)
    beside.seconds(30)
    beside.wish["L"] = 9e9
    first = alone.time_of("L", 100e6)
    assert beside.time_of("L", 100e6) <= 1.06 * first
    assert beside.shares.hold_background
    assert 0 < beside.rate["u1"] <= 0.1 * LINE
    del beside.wish["L"]
    beside.seconds(1)
    assert not beside.shares.hold_background
    assert beside.shares.user is None


def test_a_lobby_that_was_there_first_loses_little_to_the_trials() -> None:
    line = Line()
    line.wish = {"L": 9e9}
    line.seconds(20)
    line.wish |= BUSY
    assert line.time_of("L", 400e6) <= 1.1 * 160
    assert line.shares.hold_background


@pytest.mark.parametrize("speed", [0.0, 0.05, 0.4, 0.7])
def test_a_lobby_that_its_peers_limit_holds_nobody_for_long(speed: float) -> None:
    line = Line()
    line.wish = dict(BUSY)
    line.seconds(30)
    line.wish["L"] = speed * LINE
    line.seconds(20)
    assert not line.shares.hold_background
    got = dict(line.got)
    line.seconds(40)
    lobby = line.got["L"] - got["L"]
    assert lobby >= 0.97 * 40 * speed * LINE, "and takes next to nothing from it"
    others = sum(line.got.values()) - sum(got.values()) - lobby
    assert others >= 40 * 0.5 * (1 - speed) * LINE


def test_others_find_their_room_on_a_line_of_unknown_width() -> None:
    line = Line(width=100 * LINE)
    line.wish = {"L": LINE, "b1": LINE, "b2": 3 * LINE}
    line.seconds(45)
    assert line.rate["L"] == LINE
    assert line.rate["b1"] + line.rate["b2"] >= 2 * LINE


def test_a_lobby_whose_peers_slow_down_lets_others_on() -> None:
    line = Line()
    line.wish = dict(BUSY)
    line.seconds(30)
    line.wish["L"] = 0.9 * LINE
    line.seconds(20)
    assert line.shares.hold_background
    line.wish["L"] = 0.2 * LINE
    line.seconds(10)
    assert not line.shares.hold_background
    line.wish["L"] = 9e9
    line.seconds(30)
    assert line.rate["L"] >= 0.95 * LINE * (1 - LOBBY_LEAVES), "and takes the line back when they are faster again"


def test_a_line_that_got_narrower() -> None:
    line = Line(width=4 * LINE)
    line.wish = dict(BUSY)
    line.seconds(30)
    line.width = LINE
    line.wish["L"] = 9e9
    line.seconds(60)
    before = line.got["L"]
    line.seconds(60)
    assert line.got["L"] - before >= 60 * 0.85 * LINE


@pytest.mark.parametrize("speed", [0.3, 9e9])
def test_under_a_limit_the_lobby_comes_first_and_the_rest_is_used(speed: float) -> None:
    line = Line(width=100 * LINE, limit=int(LINE))
    line.wish = {**BUSY, "L": speed * LINE}
    line.seconds(90)
    got = dict(line.got)
    line.seconds(120)
    lobby = (line.got["L"] - got["L"]) / 120
    everybody = (sum(line.got.values()) - sum(got.values())) / 120
    assert lobby >= min(speed, 0.94) * LINE
    assert everybody >= 0.85 * LINE


def test_background_keeps_a_fifth_beside_the_players_own() -> None:
    line = Line()
    line.wish = {"b1": 9e9, "b2": 9e9}
    line.seconds(20)
    assert sum(line.rate.values()) == pytest.approx(LINE), "alone it has everything"
    line.wish |= {"u1": 9e9}
    line.seconds(60)
    got = dict(line.got)
    line.seconds(60)
    user = line.got["u1"] - got["u1"]
    background = line.got["b1"] + line.got["b2"] - got["b1"] - got["b2"]
    assert 0.17 <= background / (user + background) <= 0.25
    assert not line.shares.hold_background
    line.wish["u1"] = 0.1 * LINE
    line.seconds(20)
    assert line.rate["b1"] + line.rate["b2"] >= 0.7 * LINE, "what they do not use is used"


def test_a_share_too_small_to_be_of_use_is_none() -> None:
    line = Line(width=2 * BACKGROUND_MIN)
    line.wish = {f"b{number}": 9e9 for number in range(9)}
    line.seconds(20)
    line.wish["L"] = BACKGROUND_MIN
    line.seconds(20)
    assert line.shares.hold_background
