"""Rules of days and hours: which one holds, when that changes, what their text says; also when clocks are changed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.schedule import (
    RULES_MAX,
    TEXT_MAX,
    Mode,
    Rule,
    format_schedule,
    local,
    next_change,
    parse_schedule,
    rule_at,
)
from icworkshop_gui.engine.api.settings import format_rate, parse_rate


class Berlin(tzinfo):
    """Central European time of 2026: one hour ahead, two from 29 March 01:00 UTC to 25 October 01:00 UTC."""

    _SUMMER = datetime.fromisoformat("2026-03-29T01:00"), datetime.fromisoformat("2026-10-25T01:00")

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        naive = moment.replace(tzinfo=None, fold=0)
        begin, end = self._SUMMER[0] + timedelta(hours=1), self._SUMMER[1] + timedelta(hours=2)
        if begin <= naive < begin + timedelta(hours=1):
            return timedelta(hours=2 if moment.fold else 1)  # left out
        if end - timedelta(hours=1) <= naive < end:
            return timedelta(hours=1 if moment.fold else 2)  # comes twice
        return timedelta(hours=2 if begin <= naive < end else 1)

    def dst(self, moment: datetime | None) -> timedelta:
        return self.utcoffset(moment) - timedelta(hours=1)

    def fromutc(self, moment: datetime) -> datetime:
        naive = moment.replace(tzinfo=None)
        summer = self._SUMMER[0] <= naive < self._SUMMER[1]
        again = self._SUMMER[1] <= naive < self._SUMMER[1] + timedelta(hours=1)
        shifted = naive + timedelta(hours=2 if summer else 1)
        return shifted.replace(tzinfo=self, fold=int(again))


BERLIN = Berlin()


def parse(text: str) -> tuple[Rule, ...]:
    return parse_schedule(text, parse_rate)


def utc(*when: int) -> float:
    return datetime(*when, tzinfo=timezone.utc).timestamp()  # type: ignore[misc, arg-type]  # noqa: UP017


def holds(text: str, when: str) -> bool:
    return rule_at(parse(text), datetime.fromisoformat(when)) is not None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (
            "mon-fri 18:00-23:00 slow",
            ["2026-11-27 18:00", "2026-11-27 22:59"],
            ["2026-11-27 23:00", "2026-11-28 19:00"],
        ),
        ("fri 22:00-06:00 slow", ["2026-11-27 23:00", "2026-11-28 05:59"], ["2026-11-27 05:00", "2026-11-28 22:30"]),
        ("sun 22:00-06:00 slow", ["2026-11-30 03:00"], ["2026-11-29 03:00", "2026-12-01 03:00"]),
        ("daily 00:00-24:00 slow", ["2026-11-27 00:00", "2026-11-29 23:59"], []),
        ("sat,sun 8:00-0:00 slow", ["2026-11-28 23:59"], ["2026-11-28 07:59", "2026-11-29 00:00"]),
        (
            "sat-mon 10:00-10:00 slow",
            ["2026-11-28 10:00", "2026-12-01 09:59"],
            ["2026-11-28 09:59", "2026-12-01 10:00"],
        ),
    ],
)
def test_when_a_rule_holds(text: str, inside: list[str], outside: list[str]) -> None:
    assert [when for when in inside if not holds(text, when)] == []
    assert [when for when in outside if holds(text, when)] == []


def test_the_narrowest_wins_and_among_equals_the_later() -> None:
    rules = parse("daily 00:00-24:00 slow; fri 00:00-24:00 down 1 MB/s up unlimited; fri 12:00-13:00 paused")
    for when, mode in (("26 12:30", Mode.SLOW), ("27 11:59", Mode.RATES), ("27 12:00", Mode.PAUSED)):
        found = rule_at(rules, datetime.fromisoformat(f"2026-11-{when}"))
        assert found is not None
        assert found.mode is mode
    equal = parse("mon 10:00-12:00 slow; mon 11:00-13:00 paused")
    found = rule_at(equal, datetime.fromisoformat("2026-11-30 11:30"))
    assert found is equal[1]


def test_when_it_changes() -> None:
    rules = parse("fri 12:00-14:00 slow; fri 13:00-13:30 paused")
    for now, then in (((9, 0), (12, 0)), ((12, 0), (13, 0)), ((13, 29), (13, 30)), ((13, 30), (14, 0))):
        assert next_change(rules, utc(2026, 11, 27, *now), timezone.utc) == utc(2026, 11, 27, *then)  # noqa: UP017
    assert next_change(rules, utc(2026, 11, 27, 14), timezone.utc) == utc(2026, 12, 4, 12)  # noqa: UP017
    assert next_change(parse("daily 0:00-24:00 slow"), utc(2026, 11, 27, 14)) is None
    assert next_change((), utc(2026, 11, 27, 14)) is None


def test_a_night_in_which_clocks_go_forward_is_an_hour_shorter() -> None:
    rules = parse("sat 22:00-06:00 slow")
    begin = next_change(rules, utc(2026, 3, 28, 12), BERLIN)
    assert begin == utc(2026, 3, 28, 21)
    assert next_change(rules, begin, BERLIN) == utc(2026, 3, 29, 4) == begin + 7 * 3600


def test_a_night_in_which_clocks_go_back_is_an_hour_longer() -> None:
    rules = parse("sat 22:00-06:00 slow")
    begin = next_change(rules, utc(2026, 10, 24, 12), BERLIN)
    assert begin == utc(2026, 10, 24, 20)
    assert next_change(rules, begin, BERLIN) == utc(2026, 10, 25, 5) == begin + 9 * 3600


def test_a_rule_within_the_hour_that_is_left_out_begins_with_the_change_or_never() -> None:
    assert next_change(parse("sun 02:30-05:00 slow"), utc(2026, 3, 28, 23), BERLIN) == utc(2026, 3, 29, 1)
    # All of it is left out: it holds a week later.
    assert next_change(parse("sun 02:10-02:50 slow"), utc(2026, 3, 28, 23), BERLIN) == utc(2026, 4, 5, 0, 10)


def test_the_hour_that_comes_twice_is_ruled_twice() -> None:
    rules = parse("sun 02:00-02:30 slow")
    ruled = [minute for minute in range(240) if rule_at(rules, local(utc(2026, 10, 25) + 60 * minute, BERLIN))]
    assert ruled == [*range(30), *range(60, 90)]


@pytest.mark.parametrize(
    "text",
    [
        "someday 10:00-12:00 slow",
        "mon 10-12 slow",
        "mon 25:00-26:00 slow",
        "mon 24:00-25:00 slow",
        "mon 24:00-06:00 slow",
        "mon 10:70-12:00 slow",
        "mon 10:00-12:00 fast",
        "mon 10:00-12:00 down many up 1 kB/s",
        "mon",
        "mon 10:00-12:00 slow;" * (RULES_MAX + 1),
        "mon 10:00-12:00 slow" + " " * TEXT_MAX,
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


rules_strategy = st.lists(
    st.builds(
        Rule,
        days=st.frozensets(st.integers(0, 6), min_size=1),
        start=st.integers(0, 1439),
        end=st.integers(1, 1440),
        mode=st.sampled_from([Mode.SLOW, Mode.PAUSED]),
    ),
    max_size=6,
)


@given(rules_strategy)
def test_the_text_says_the_same(rules: list[Rule]) -> None:
    rules.append(Rule(days=frozenset({0, 2}), start=0, end=1, mode=Mode.RATES, down=None, up=1500))
    assert parse(format_schedule(rules, format_rate)) == tuple(rules)


@given(rules_strategy, st.integers(0, 365 * 24 * 60))
def test_nothing_changes_before_the_next_change(rules: list[Rule], minutes: int) -> None:
    wall = utc(2026, 1, 1) + 60.0 * minutes
    change = next_change(rules, wall, BERLIN)
    now = rule_at(rules, local(wall, BERLIN))
    until = wall + 8 * 86400 if change is None else change
    step = max(60.0, (until - wall) // 60 // 40 * 60)
    look = wall
    while look < until:
        assert rule_at(rules, local(look, BERLIN)) == now
        look += step
    if change is not None:
        assert rule_at(rules, local(change, BERLIN)) != now
