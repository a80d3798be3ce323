"""One change set for everything that changes what is installed: what comes, goes and stays, why, and what it costs.

The review sheet of the desktop program and `--dry-run` of the command line show this same object.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from icworkshop_gui.core.catalog import PackageId, PackageRef


class ChangeKind(StrEnum):
    """What happens to one package."""

    ADD = "add"
    UPDATE = "update"
    DOWNGRADE = "downgrade"
    KEEP = "keep"
    """Here already; needed, or kept although what it needs goes."""
    REMOVE = "remove"


class Why(StrEnum):
    """Why a package is in a change set."""

    ASKED = "asked"
    NEEDED = "needed"
    """Another of the set needs it: `needed_by`."""
    NEEDS = "needs"
    """It cannot do without what goes: `needs`."""
    UNUSED = "unused"
    """It came along with what goes, and nothing else needs it."""


class Worry(StrEnum):
    """What a player should know before agreeing."""

    WITHDRAWN = "withdrawn"
    """The author took this version back."""
    LICENSE_CHANGED = "license_changed"
    """`detail`: the licence of what is installed."""
    LICENSE_LIMITS = "license_limits"
    """`detail`: the licence, which does not allow everything (not for money, or not changed)."""
    BREAKS = "breaks"
    """It stays, and what it needs goes."""
    DISK = "disk"
    """The disk has no room for it. Of no package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """One such thing about one package."""

    worry: Worry
    ref: PackageRef | None = None
    detail: str = ""

    @property
    def stops(self) -> bool:
        """Should nobody agree without having read it?"""
        return self.worry is not Worry.LICENSE_LIMITS


COMING = frozenset({ChangeKind.ADD, ChangeKind.UPDATE, ChangeKind.DOWNGRADE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package of a change set."""

    kind: ChangeKind
    ref: PackageRef
    before: str = ""
    """The newest version that is installed, unless it is this one."""
    title: str = ""
    category: str = ""
    preview_sha256: str = ""
    """Hex; empty when the author gave no picture."""
    license: str = ""
    size: int = 0
    """Bytes of the package."""
    reused: int = 0
    """Bytes of it that are on this computer already, or come with a package before it."""
    source: str = ""
    """Base URL of the Workshop server that it comes from; empty for KEEP."""
    why: Why = Why.ASKED
    needed_by: tuple[PackageId, ...] = ()
    """Packages of this change set that need it."""
    needs: tuple[PackageId, ...] = ()
    """What goes, and it cannot do without."""
    newer: str = ""
    """A newer version, which does not go with the rest."""
    withdrawn: bool = False
    """Its author took it back; it is used because it is installed or was asked for by its number."""
    disk: int = 0
    """Bytes that the disk holds more afterwards; below 0: fewer."""

    @property
    def fetch(self) -> int:
        """Bytes to fetch."""
        return max(0, self.size - self.reused) if self.kind in COMING else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What comes stands after what it needs, what goes before it."""

    changes: tuple[Change, ...]
    cautions: tuple[Caution, ...] = ()
    disk_free: int = 0
    """Bytes that are free where the store is, before anything of this."""

    @property
    def coming(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.kind in COMING)

    @property
    def going(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.kind is ChangeKind.REMOVE)

    @property
    def disk(self) -> int:
        """Bytes that the disk holds more afterwards; below 0: fewer."""
        return sum(change.disk for change in self.changes)

    @property
    def size(self) -> int:
        """Bytes of everything that comes."""
        return sum(change.size for change in self.coming)

    @property
    def reused(self) -> int:
        """Bytes of it that are here already."""
        return sum(change.reused for change in self.coming)

    @property
    def fetch(self) -> int:
        """Bytes to fetch for it."""
        return sum(change.fetch for change in self.coming)
