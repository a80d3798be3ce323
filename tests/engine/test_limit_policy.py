"""Which limits hold, and why: by hand before the schedule, that before the ordinary ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from icworkshop_gui.engine.api.snapshots import LimitCause
from icworkshop_gui.engine.limit_policy import InForce, LimitPolicy
from icworkshop_gui.engine.settings_file import Settings

KEY = "workshop.p2p.schedule"


class Desk:
    """Settings, a policy on UTC, and the clock on the wall."""

    def __init__(self, folder: Path, schedule: str) -> None:
        self.settings = Settings(folder / "settings.toml", {"workshop.p2p.max_download_speed": "5 MB/s", KEY: schedule})
        self.policy = LimitPolicy(UTC)

    def at(self, when: str) -> InForce:
        return self.policy.look(self.settings, wall(when))

    def slow(self, on: bool) -> None:
        self.settings.set("workshop.p2p.slow_mode", str(on).lower())


def wall(when: str) -> float:
    """Of a Friday and what follows: `27 18:00`."""
    return datetime.fromisoformat(f"2026-11-{when}").replace(tzinfo=UTC).timestamp()


def test_ordinary_limits_until_the_schedule_says_otherwise(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "daily 18:00-23:00 slow; fri 20:00-21:00 paused; fri 20:30-20:40 down unlimited up 7 kB/s")
    ordinary = desk.at("27 17:59")
    assert (ordinary.down, ordinary.up, ordinary.cause) == (5_000_000, 1_000_000, LimitCause.SETTINGS)
    assert ordinary.until == wall("27 18:00")
    slow = desk.at("27 18:00")
    assert (slow.down, slow.up, slow.cause, slow.slow) == (200_000, 50_000, LimitCause.SCHEDULE, True)
    paused = desk.at("27 20:00")
    assert (paused.down, paused.up, paused.slow, paused.until) == (0, 0, False, wall("27 20:30"))
    assert (desk.at("27 20:30").down, desk.at("27 20:30").up) == (None, 7000)
    assert desk.at("27 22:59").slow
    assert desk.at("27 23:00") == InForce(
        down=5_000_000, up=1_000_000, cause=LimitCause.SETTINGS, until=wall("28 18:00")
    )


def test_slow_mode_by_hand_outlasts_the_schedule(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "fri 20:00-21:00 paused")
    desk.slow(True)
    for when in ("27 19:00", "27 20:30", "28 12:00"):
        found = desk.at(when)
        assert (found.down, found.cause, found.slow, found.until) == (200_000, LimitCause.SLOW, True, None)
    desk.slow(False)
    assert desk.at("28 12:01").cause is LimitCause.SETTINGS


def test_not_this_time_means_until_the_rule_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "daily 18:00-23:00 slow; fri 20:00-21:00 paused")
    assert desk.at("27 18:30").slow
    desk.policy.ignore_schedule()
    assert desk.at("27 18:31").cause is LimitCause.SETTINGS
    assert desk.at("27 19:59").cause is LimitCause.SETTINGS
    assert desk.at("27 20:00").down == 0
    assert desk.at("27 21:00").slow
    desk.policy.ignore_schedule()
    assert desk.at("27 22:00").cause is LimitCause.SETTINGS
    assert desk.at("27 23:30").cause is LimitCause.SETTINGS
    assert desk.at("28 18:00").slow


def test_a_changed_schedule_and_a_clock_that_is_set_back_count_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "fri 20:00-21:00 paused")
    assert desk.at("27 20:30").down == 0
    assert desk.at("27 19:30").cause is LimitCause.SETTINGS
    assert desk.at("27 19:30").until == wall("27 20:00")
    desk.settings.set(KEY, "fri 19:00-20:00 slow")
    assert desk.at("27 19:31").slow
    desk.settings.set(KEY, "")
    assert desk.at("27 19:32") == InForce(down=5_000_000, up=1_000_000, cause=LimitCause.SETTINGS)


@pytest.mark.parametrize("text", ["fri 20:00-21:00", "fri 20:00-21:00 down 1 MB/s"])
def test_a_schedule_in_the_file_that_cannot_be_read_is_told_and_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(f'[workshop.p2p]\nschedule = "{text}"\n')
    settings = Settings(tmp_path / "settings.toml")
    assert "Schedule" in settings.notice
    assert settings.schedule(KEY) == ()
