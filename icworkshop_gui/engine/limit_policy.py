"""Which limits hold for the whole program now: the ordinary ones, those of slow mode, or the schedule's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from icworkshop_gui.core.schedule import Mode, Rule, local, next_change, rule_at
from icworkshop_gui.core.units import BytesPerSecond
from icworkshop_gui.engine.api.snapshots import LimitCause
from icworkshop_gui.engine.settings_file import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Limits and why. Rates in bytes a second; None: no limit, 0: nothing may pass."""

    down: BytesPerSecond | None
    up: BytesPerSecond | None
    cause: LimitCause
    slow: bool = False
    until: float | None = None
    """Wall clock seconds at which the schedule says otherwise; None: it never does."""


class LimitPolicy:
    """Slow mode by hand goes before the schedule, and that before the ordinary limits."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        """`zone`: whose clock hangs on the wall; None: this computer's."""
        self._zone = zone
        self._rules: Sequence[Rule] = ()
        self._rule: Rule | None = None
        self._seen_at = 0.0
        self._until: float | None = None
        self._ignored: Rule | None = None
        """The user wants none of it for as long as it holds."""

    def look(self, settings: Settings, wall: float) -> InForce:
        """What is in force at this wall clock time."""
        rule = self._look_at_schedule(settings.schedule("workshop.p2p.schedule"), wall)
        if rule != self._ignored:
            self._ignored = None
        if settings.flag("workshop.p2p.slow_mode"):
            return self._slow(settings, LimitCause.SLOW)
        if rule is None or rule == self._ignored:
            down, up = (settings.rate(f"workshop.p2p.max_{word}_speed") for word in ("download", "upload"))
            return InForce(down=down, up=up, cause=LimitCause.SETTINGS, until=self._until)
        match rule.mode:
            case Mode.SLOW:
                return self._slow(settings, LimitCause.SCHEDULE)
            case Mode.PAUSED:
                return InForce(down=0, up=0, cause=LimitCause.SCHEDULE, until=self._until)
            case Mode.RATES:
                return InForce(down=rule.down, up=rule.up, cause=LimitCause.SCHEDULE, until=self._until)

    def ignore_schedule(self) -> None:
        """The rule that holds shall not, this time."""
        self._ignored = self._rule

    def _slow(self, settings: Settings, cause: LimitCause) -> InForce:
        down, up = (settings.rate(f"workshop.p2p.slow_{word}_speed") for word in ("download", "upload"))
        until = self._until if cause is LimitCause.SCHEDULE else None
        return InForce(down=down, up=up, cause=cause, slow=True, until=until)

    def _look_at_schedule(self, rules: Sequence[Rule], wall: float) -> Rule | None:
        # To find the next change is a look at every rule of nine days: not each second.
        fresh = rules == self._rules and self._seen_at <= wall and (self._until is None or wall < self._until)
        self._seen_at = wall
        rule = rule_at(rules, local(wall, self._zone))
        if not fresh or rule != self._rule:
            self._rules, self._rule = rules, rule
            self._until = next_change(rules, wall, self._zone)
        return self._rule
