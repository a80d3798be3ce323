"""What the player follows, in words. Without Qt."""

from __future__ import annotations

from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api.snapshots import SubscriptionSnapshot
from icworkshop_gui.gui.format import ago, clipped, count

ICONS = {
    SubscriptionKind.PACKAGE: "package",
    SubscriptionKind.PUBLISHER: "user",
    SubscriptionKind.COLLECTION: "library",
}
_WHAT = {
    SubscriptionKind.PACKAGE: "package",
    SubscriptionKind.PUBLISHER: "everything of this author",
    SubscriptionKind.COLLECTION: "collection, and all that it names",
}
NAMES_MAX = 3


def key_of(row: SubscriptionSnapshot) -> str:
    """One text for kind and id."""
    return f"{row.kind.value}:{row.id}"


def title_of(row: SubscriptionSnapshot) -> str:
    return clipped(row.title) or row.id


def state_of(row: SubscriptionSnapshot, now: float) -> str:
    """What waits, what comes, or when it was looked at last. `now`: wall clock."""
    parts = [_WHAT[row.kind]]
    if row.waiting:
        names = [f"{ref.name} {ref.version}" for ref in row.waiting[:NAMES_MAX]]
        more = len(row.waiting) - len(names)
        parts.append(f"{', '.join(names)}{f' and {more} more' if more else ''} waiting")
    if row.coming:
        parts.append(f"{count(len(row.coming), 'package', 'packages')} on the way")
    if row.message:
        parts.append(clipped(row.message))
    elif not row.waiting and not row.coming:
        parts.append(f"nothing new, looked {ago(row.checked_at, now)}" if row.checked_at else "not looked at yet")
    return " · ".join(parts)
