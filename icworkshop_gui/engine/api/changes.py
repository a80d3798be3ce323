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
    """Needed, and here already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package of a change set."""

    kind: ChangeKind
    ref: PackageRef
    before: str = ""
    """The newest version that is installed, unless it is this one."""
    title: str = ""
    license: str = ""
    size: int = 0
    """Bytes of the package."""
    reused: int = 0
    """Bytes of its files that are in the store already, or come with a package before it."""
    source: str = ""
    """Base URL of the Workshop server that it comes from; empty for KEEP."""
    needed_by: tuple[PackageId, ...] = ()
    """Packages of this change set that need it; empty: the player asked for it."""
    newer: str = ""
    """A newer version, which does not go with the rest."""
    withdrawn: bool = False
    """Its author took it back; it is used because it is installed or was asked for by its number."""

    @property
    def fetch(self) -> int:
        """Bytes to fetch."""
        return 0 if self.kind is ChangeKind.KEEP else max(0, self.size - self.reused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What is needed before what needs it."""

    changes: tuple[Change, ...]

    @property
    def coming(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.kind is not ChangeKind.KEEP)

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
