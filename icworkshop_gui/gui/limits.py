"""The limits in force in words, and which settings the sliders change meanwhile. Pure."""

from __future__ import annotations

from datetime import datetime

from icworkshop_gui.engine.api.snapshots import EngineTotals, LimitCause

ORDINARY = ("workshop.p2p.max_download_speed", "workshop.p2p.max_upload_speed")
SLOW = ("workshop.p2p.slow_download_speed", "workshop.p2p.slow_upload_speed")


def keys(totals: EngineTotals) -> tuple[str, str] | None:
    """Settings behind the two limits that hold; None while they are a rule's of the schedule."""
    if totals.limit_slow:
        return SLOW
    return ORDINARY if totals.limit_cause is LimitCause.SETTINGS else None


def why(totals: EngineTotals) -> str:
    """The reason for the limits in force; empty for the ordinary ones."""
    match totals.limit_cause:
        case LimitCause.SETTINGS:
            return ""
        case LimitCause.SLOW:
            return "Switched on by hand"
        case LimitCause.SCHEDULE:
            return f"By schedule{until(totals.limit_until)}"


def until(wall: float | None) -> str:
    """` until 23:00`, with the day when it is not within the next 24 hours; empty when it never ends."""
    if wall is None:
        return ""
    moment = datetime.fromtimestamp(wall).astimezone()
    near = (moment - datetime.now().astimezone()).total_seconds() < 86400
    return moment.strftime(" until %H:%M" if near else " until %a %H:%M")


def short(totals: EngineTotals) -> str:
    """Two words at most, for the bar at the bottom."""
    if totals.limit_slow:
        return "slow mode"
    return "by schedule" if totals.limit_cause is LimitCause.SCHEDULE else ""
