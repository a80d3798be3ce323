"""Profiles as screens and verbs see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.catalog import PackageId, PackageRef

EVERYTHING: Final = "Default"
"""Name of the profile that is always there: the newest release of everything that is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSnapshot:
    """One profile."""

    name: str
    sources: tuple[PackageRef, ...]
    """In load order: later ones win."""
    choices: tuple[tuple[str, PackageId], ...] = ()
    game_module: str = ""
    missing: tuple[PackageRef, ...] = ()
    """Of `sources`, what is not installed."""
    gameplay: str = ""
    """Fingerprint, hex; empty while something is missing. Two who play together need the same."""
    presentation: str = ""
    """The same of what is only seen and heard."""
    active: bool = False
    """The game sees this one."""
    stale: bool = False
    """It does, but as it was: it has been changed since. Activate it again."""
    problem: str = ""
    """Why its fingerprints are not known, for people."""

    @property
    def built_in(self) -> bool:
        """Cannot be changed or deleted."""
        return self.name == EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A path that several packages of a profile bring."""

    path: str
    winner: PackageRef
    losers: tuple[PackageRef, ...]
    chosen: bool
    """By the player; else the last one won."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileReport:
    """What the game would see of a profile."""

    profile: ProfileSnapshot
    files: int = 0
    size: int = 0
    """Bytes of them; hardly any of it is a second time on the disk."""
    contested: tuple[Contested, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileComparison:
    """What differs between two."""

    only_one: tuple[PackageRef, ...]
    only_other: tuple[PackageRef, ...]
    versions: tuple[tuple[PackageRef, PackageRef], ...]
    """The same package in two versions."""
    choices: tuple[str, ...]
    """Paths for which they choose differently."""
    reordered: bool
    """What both have stands in another order."""
    same_gameplay: bool | None
    """None: not known, since something is missing."""
    same_presentation: bool | None
