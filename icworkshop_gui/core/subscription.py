"""What a player follows: new releases of it are fetched and wait for the player's click (DESIGN §4.11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from icworkshop_gui.core.catalog import PackageRef


class SubscriptionKind(StrEnum):
    """What is followed."""

    PACKAGE = "package"
    PUBLISHER = "publisher"
    """Everything by one publisher, new packages too."""
    COLLECTION = "collection"
    """A package and everything that it names as its dependencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One thing that is followed. Local: nobody is told."""

    kind: SubscriptionKind
    id: str
    """`publisher/name`, or a publisher's name."""
    title: str = ""
    since: float = 0.0
    """Wall clock."""
    checked_at: float = 0.0
    """Wall clock of the last look that was answered."""
    known: dict[str, str] = field(default_factory=dict)
    """`publisher/name` → the newest version when it was subscribed to: what is not newer than this is no news."""
    staged: tuple[PackageRef, ...] = ()
    """What was fetched, or is being fetched, because of it."""
