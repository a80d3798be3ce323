"""Is this index the newest there is, as far as can be told? Pure: what was seen before and the time in, a verdict out.

An index that was set back hides releases (and the ones that mend a fault); one that is frozen does the same by standing
still. Both look well formed, and both may be signed: only memory and the clock tell (The Update Framework, "rollback
attack", "indefinite freeze attack").
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from icworkshop_gui.core.errors import RegistryError

CLOCK_SLACK = 86_400.0
"""Seconds that an index may come from the future: clocks of computers are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How an index tells its age."""

    serial: int | None = None
    """Grows with every build; None where the index has none."""
    generated_at: float = 0.0
    """Wall clock; 0 where it says nothing."""
    valid_until: float = 0.0
    """Wall clock; 0 where it promises nothing. It promises to be built anew before."""
    digest: str = ""
    """SHA-256 of the whole, hex."""


def judge(name: str, old: Mark | None, new: Mark, now: float) -> None:
    """RegistryError with a code of `core.errors.DISTRUST` when `new` cannot be what the source has now."""
    if new.generated_at > now + CLOCK_SLACK:
        raise RegistryError(
            "from_the_future",
            f"{name} says that its index was made on {_day(new.generated_at)}, which is still to come. Either its "
            "clock or this computer's is wrong. Check the date of this computer.",
        )
    if new.valid_until and now > new.valid_until:
        raise RegistryError(
            "frozen",
            f"The index of {name} was promised to be renewed before {_day(new.valid_until)}, and was not. Somebody may "
            "be keeping newer ones from you, so nothing is installed from it. Try again later, or ask whoever runs it.",
        )
    if old is None or new.digest == old.digest:
        return
    if old.serial is not None and (new.serial is None or new.serial < old.serial):
        shown = "none" if new.serial is None else str(new.serial)
        raise _rolled_back(name, f"index number {old.serial} before, and shows {shown} now")
    if new.serial is not None and new.serial == old.serial:
        raise RegistryError(
            "contradiction",
            f"{name} shows two different indexes under the same number {new.serial}. One of the two is forged, so "
            f"nothing is installed from it. {WAY_OUT}",
        )
    if new.generated_at < old.generated_at:
        before, shown = _day(old.generated_at), _day(new.generated_at)
        raise _rolled_back(name, f"an index of {before} before, and shows one of {shown} now")


WAY_OUT = (
    "If you know that its owner began anew, remove the source and add it again (`icworkshop source remove`): that "
    "forgets what was seen."
)


def judge_releases(
    name: str, package: str, seen: Mapping[str, str], now: Iterable[tuple[str, str]], *, keeps_all: bool
) -> None:
    """`seen` and `now`: version and SHA-256. RegistryError when one has other content than before, or has vanished from
    a source where none can.
    """
    shown = dict(now)
    for version, sha256 in shown.items():
        before = seen.get(version, sha256)
        if before != sha256:
            raise RegistryError(
                "contradiction",
                f"{name} had other content for {package}@{version} before ({before[:12]}… then, {sha256[:12]}… now). A "
                f"published version never changes, so one of the two is not to be trusted. {WAY_OUT}",
            )
    gone = [version for version in seen if version not in shown]
    if keeps_all and gone:
        raise _rolled_back(name, f"{package}@{gone[-1]} before, and does not any more")


def _rolled_back(name: str, what: str) -> RegistryError:
    return RegistryError(
        "rolled_back",
        f"{name} was set back: it showed {what}. Newer releases may be hidden from you, so nothing is installed from "
        f"it. {WAY_OUT}",
    )


def _day(moment: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
    except (OverflowError, OSError, ValueError):
        return "a day that no calendar has"
