"""When which limits hold: rules of days and hours, as text and at a moment. Pure.

    mon-fri 18:00-23:00 slow; sat,sun 08:00-24:00 down 2 MB/s up 100 kB/s; daily 23:00-06:00 paused

A rule holds from its first minute up to, not including, its last, by the clock on the wall: on the days when clocks are
changed an hour more or less. One that ends before it begins goes on into the next day; its days are those on which it
begins. Where several hold, the narrowest wins: the one with the fewest minutes a week, among equals the later one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from icworkshop_gui.core.units import BytesPerSecond

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 1440
RULES_MAX: Final = 50
"""More than anybody keeps an overview of."""
TEXT_MAX: Final = 5000
"""Characters of a schedule."""


class Mode(StrEnum):
    """What a rule asks for."""

    SLOW = "slow"
    """The alternative limits."""
    PAUSED = "paused"
    """Nothing is fetched, nothing is given."""
    RATES = "rates"
    """Limits of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of a schedule."""

    days: frozenset[int]
    """0 is Monday."""
    start: int
    """Minute of the day, 0..1439."""
    end: int
    """Minute of the day, 1..1440; at or before `start`: of the next day."""
    mode: Mode
    down: BytesPerSecond | None = None
    """With RATES; None: unlimited."""
    up: BytesPerSecond | None = None

    @property
    def length(self) -> int:
        """Minutes of one stretch."""
        return self.end - self.start if self.end > self.start else self.end - self.start + DAY_MINUTES

    @property
    def width(self) -> int:
        """Minutes a week."""
        return self.length * len(self.days)

    def holds(self, day: int, minute: int) -> bool:
        """At this minute of this day of the week?"""
        if day in self.days and self.start <= minute < self.start + self.length:
            return True
        return (day - 1) % 7 in self.days and minute + DAY_MINUTES < self.start + self.length


def rule_at(rules: Sequence[Rule], moment: datetime) -> Rule | None:
    """The rule that holds at a local time."""
    minute = moment.hour * 60 + moment.minute
    holding = [(rule.width, -number, rule) for number, rule in enumerate(rules) if rule.holds(moment.weekday(), minute)]
    return min(holding, key=lambda item: item[:2])[2] if holding else None


def next_change(rules: Sequence[Rule], wall: float, zone: tzinfo | None = None) -> float | None:
    """Wall clock seconds at which another rule holds, or none, than at `wall`; None when that never happens.

    `zone`: None for this computer's.
    """
    now = rule_at(rules, local(wall, zone))
    here = local(wall, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    found: set[float] = set()
    for offset in range(9):
        for rule in rules:
            for minute in (rule.start, rule.end):
                found.add(_instant(here + timedelta(days=offset, minutes=minute), zone))
    # Where clocks are changed the same minute comes twice, or never: so do not trust the sum, look.
    for moment in sorted(found):
        if moment > wall and rule_at(rules, local(moment, zone)) != now:
            return moment
    return None


def local(wall: float, zone: tzinfo | None = None) -> datetime:
    """Seconds since the epoch as the clock on the wall shows them."""
    return datetime.fromtimestamp(wall, zone) if zone is not None else datetime.fromtimestamp(wall).astimezone()


def _instant(naive: datetime, zone: tzinfo | None) -> float:
    """When the clock on the wall first shows this or later."""
    first, second = (naive.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if first <= second:
        return first
    # A time that is left out: the moment of the change lies between, and is a whole minute.
    low, high = second, first
    while high - low > 60:
        middle = low + (high - low) // 120 * 60
        low, high = (low, middle) if local(middle, zone).replace(tzinfo=None) >= naive else (middle, high)
    return high


_RULE = re.compile(r"(?P<days>[a-z,\- ]+?)\s+(?P<start>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)\s+(?P<what>.+)")
_RATES = re.compile(r"down\s+(?P<down>.+?)\s+up\s+(?P<up>.+)")


def parse_schedule(text: str, parse_rate: Callable[[str], BytesPerSecond | None]) -> tuple[Rule, ...]:
    """The rules of a text; ValueError with a sentence for people."""
    if len(text) > TEXT_MAX:
        raise ValueError(f"A schedule has at most {TEXT_MAX} characters.")
    lines = [line.strip() for line in re.split(r"[;\n]", text.lower()) if line.strip()]
    if len(lines) > RULES_MAX:
        raise ValueError(f"A schedule has at most {RULES_MAX} rules.")
    return tuple(_rule(line, parse_rate) for line in lines)


def _rule(line: str, parse_rate: Callable[[str], BytesPerSecond | None]) -> Rule:
    match = _RULE.fullmatch(line)
    if match is None:
        raise ValueError(f"A rule is like `mon-fri 18:00-23:00 slow`, not {line[:40]!r}.")
    days = _days(match["days"])
    start, end = _minute(match["start"]), _minute(match["end"])
    if start == DAY_MINUTES:
        raise ValueError("A rule begins at 23:59 at the latest.")
    if end == 0:
        end = DAY_MINUTES
    what = match["what"]
    if what in (Mode.SLOW, Mode.PAUSED):
        return Rule(days=days, start=start, end=end, mode=Mode(what))
    rates = _RATES.fullmatch(what)
    if rates is None:
        raise ValueError(f"A rule ends with slow, paused, or down RATE up RATE, not {what[:40]!r}.")
    down, up = parse_rate(rates["down"]), parse_rate(rates["up"])
    return Rule(days=days, start=start, end=end, mode=Mode.RATES, down=down, up=up)


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"Days are mon, tue, wed, thu, fri, sat, sun or daily, not {part[:20]!r}.")
        begin = DAYS.index(first)
        span = (DAYS.index(last) - begin) % 7 if last else 0
        days.update((begin + number) % 7 for number in range(span + 1))
    return frozenset(days)


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > DAY_MINUTES:
        raise ValueError(f"A time is from 0:00 to 24:00, not {text}.")
    return hour * 60 + minute


def format_schedule(rules: Sequence[Rule], format_rate: Callable[[BytesPerSecond | None], str]) -> str:
    """The text that `parse_schedule` reads back."""
    return "; ".join(f"{format_days(rule.days)} {hours(rule)} {_what(rule, format_rate)}" for rule in rules)


def format_days(days: frozenset[int]) -> str:
    """`daily`, `mon-fri`, `sat,sun`."""
    if len(days) == 7:
        return "daily"
    ordered = sorted(days)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{DAYS[ordered[0]]}-{DAYS[ordered[-1]]}"
    return ",".join(DAYS[day] for day in ordered)


def hours(rule: Rule) -> str:
    """`18:00-23:00`."""
    return f"{clock(rule.start)}-{clock(rule.end)}"


def clock(minute: int) -> str:
    """A minute of the day as `18:00`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _what(rule: Rule, format_rate: Callable[[BytesPerSecond | None], str]) -> str:
    if rule.mode is Mode.RATES:
        return f"down {format_rate(rule.down)} up {format_rate(rule.up)}"
    return rule.mode.value
