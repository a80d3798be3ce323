"""A change set in the player's words: rows, counts, cautions, what it costs. Without Qt (gui.md B2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.engine.api.changes import Caution, Change, ChangeKind, ChangeSet, Why, Worry
from icworkshop_gui.gui.format import clipped, count, size
from icworkshop_gui.gui.licenses import license_words

ONE_CLICK_MAX = 100 * 1000**2
"""Bytes to fetch that need no review, if nothing else does (gui.md B2.2)."""
DEPTH_MAX = 3
NAMES_MAX = 3
CAUTIONS_MAX = 4

_COUNTS = {
    ChangeKind.ADD: "added",
    ChangeKind.UPDATE: "updated",
    ChangeKind.DOWNGRADE: "back to an older version",
    ChangeKind.REMOVE: "removed",
}
_SPOKEN = {**_COUNTS, ChangeKind.KEEP: "stays"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One package of the sheet."""

    ref: PackageRef
    kind: ChangeKind
    title: str
    version: str
    """`1.4.2`, or `1.1 → 1.3`."""
    why: str
    cost: str
    here: str = ""
    """What of it need not be fetched."""
    depth: int = 0
    ticked: bool | None = None
    """None: there is no choice."""
    caution: bool = False
    category: str = ""
    preview_sha256: str = ""

    @property
    def spoken(self) -> str:
        """For a screen reader."""
        tick = {True: "ticked", False: "not ticked", None: ""}[self.ticked]
        parts = (self.title, self.version, _SPOKEN[self.kind], self.why, self.cost, self.here, tick)
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All that the sheet shows."""

    title: str
    counts: tuple[tuple[ChangeKind, str], ...] = ()
    rows: tuple[ReviewRow, ...] = ()
    cautions: tuple[str, ...] = ()
    cost: str = ""
    disk: str = ""
    agree: str = ""
    """What the button says; empty when nothing is left to do."""
    danger: bool = False
    stops: bool = False
    """Agreeing must not be the answer that a stray Enter gives."""


def needs_review(changes: ChangeSet) -> bool:
    """False for what one click may do: one package, nothing along with it, small, no warning."""
    if any(caution.stops for caution in changes.cautions):
        return True
    if changes.going:
        return any(change.why is not Why.ASKED for change in changes.changes)
    along = any(change.why is not Why.ASKED for change in changes.coming)
    return along or len(changes.coming) > 1 or changes.fetch >= ONE_CLICK_MAX


def review(changes: ChangeSet, dropped: Sequence[Change] = (), order: Sequence[PackageId] = ()) -> Review:
    """`dropped`: what was asked for and is not ticked any more; it is no part of the set. `order`: of what was asked
    for, so that a row stays where it is when its tick goes.
    """
    wary = {caution.ref for caution in changes.cautions}
    asked = [change for change in changes.changes if change.why is Why.ASKED]
    may_drop = len(asked) + len(dropped) > 1 and not changes.going
    titles = {change.ref.package: clipped(change.title) for change in (*changes.changes, *dropped)}
    place = {package: at for at, package in enumerate(order)}
    roots = sorted([*asked, *dropped], key=lambda change: place.get(change.ref.package, len(place)))
    rows = [
        _dropped(change) if change in dropped else _row(change, depth, titles, may_drop, change.ref in wary)
        for change, depth in _ordered(changes, roots)
    ]
    found = Counter(change.kind for change in (*changes.coming, *changes.going))
    moved = sum(found.values())
    return Review(
        title=_title(changes, [*asked, *dropped]),
        counts=tuple((kind, f"{found[kind]} {_COUNTS[kind]}") for kind in _COUNTS if found[kind]) if moved > 1 else (),
        rows=tuple(rows),
        cautions=tuple(_cautions(changes, titles)),
        cost=_cost(changes),
        disk=_disk(changes),
        agree=_agree(changes),
        danger=bool(changes.going) and not changes.coming,
        stops=any(caution.stops for caution in changes.cautions),
    )


# --- rows ------------------------------------------------------------------------------------------


def _ordered(changes: ChangeSet, roots: Sequence[Change]) -> list[tuple[Change, int]]:
    """What was asked for, each with what comes along below it; in a removal: what was asked for, then the rest."""
    if changes.going:
        return [(change, 0 if change.why is Why.ASKED else 1) for change in (*roots, *_rest(changes))]
    below: dict[PackageId, list[Change]] = {}
    for change in changes.changes:
        for other in change.needed_by:
            below.setdefault(other, []).append(change)
    found: dict[PackageRef, tuple[Change, int]] = {}
    # A stack of our own: a chain of packages may be longer than Python's.
    stack = [(change, 0) for change in reversed(roots)]
    while stack:
        change, depth = stack.pop()
        if change.ref not in found:
            found[change.ref] = change, min(depth, DEPTH_MAX)
            stack += [(child, depth + 1) for child in reversed(below.get(change.ref.package, []))]
    return [(change, depth) for change, depth in found.values() if change.kind is not ChangeKind.KEEP]


def _rest(changes: ChangeSet) -> list[Change]:
    return [change for why in (Why.NEEDS, Why.UNUSED) for change in changes.changes if change.why is why]


def _row(change: Change, depth: int, titles: Mapping[PackageId, str], may_drop: bool, caution: bool) -> ReviewRow:
    is_choice = change.why in (Why.NEEDS, Why.UNUSED) or (may_drop and change.why is Why.ASKED)
    return ReviewRow(
        ref=change.ref,
        kind=change.kind,
        title=clipped(change.title),
        version=f"{change.before} → {change.ref.version}" if change.before else change.ref.version,
        why=_why(change, titles),
        cost=_row_cost(change),
        here=f"{size(change.reused)} already here" if change.reused and change.fetch else "",
        depth=depth,
        ticked=change.kind is not ChangeKind.KEEP if is_choice else None,
        caution=caution,
        category=change.category,
        preview_sha256=change.preview_sha256,
    )


def _dropped(change: Change) -> ReviewRow:
    return ReviewRow(
        ref=change.ref,
        kind=ChangeKind.KEEP,
        title=clipped(change.title),
        version=f"{change.before} → {change.ref.version}" if change.before else change.ref.version,
        why="not now",
        cost="",
        ticked=False,
        category=change.category,
        preview_sha256=change.preview_sha256,
    )


def _row_cost(change: Change) -> str:
    match change.kind:
        case ChangeKind.REMOVE:
            return f"frees {size(-change.disk)}"
        case ChangeKind.KEEP:
            return "stays"
        case _:
            return size(change.fetch) if change.fetch else "all of it is here"


def _why(change: Change, titles: Mapping[PackageId, str]) -> str:
    match change.why:
        case Why.ASKED:
            parts = ["asked for by you"]
        case Why.NEEDED:
            parts = [f"needed by {_names([titles[package] for package in change.needed_by])}"]
        case Why.NEEDS:
            lost = _names([titles[package] for package in change.needs])
            parts = [f"needs {lost}" if change.kind is ChangeKind.REMOVE else f"will not work without {lost}"]
        case Why.UNUSED:
            parts = ["came along, nothing else needs it"]
    if change.kind not in (ChangeKind.REMOVE, ChangeKind.KEEP):
        parts.insert(0, clipped(license_words(change.license).name) if change.license else "no licence stated")
    return " · ".join(parts)


def _names(names: Collection[str]) -> str:
    shown = list(names)[:NAMES_MAX]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


# --- words for the whole ------------------------------------------------------------------------------


def _title(changes: ChangeSet, asked: Sequence[Change]) -> str:
    if len(asked) != 1:
        moved = len(changes.coming) + len(changes.going)
        return f"Review {count(moved, 'change', 'changes')}"
    change = asked[0]
    name = clipped(change.title)
    match change.kind:
        case ChangeKind.REMOVE:
            return f"Remove {name}?"
        case ChangeKind.UPDATE:
            return f"Update {name}"
        case ChangeKind.DOWNGRADE:
            return f"Go back to {name} {change.ref.version}"
        case _:
            return f"Install {name}"


def _cost(changes: ChangeSet) -> str:
    if changes.going and not changes.coming:
        return f"Frees {size(-changes.disk)}"
    if not changes.coming:
        return "Nothing to do: all of it is here"
    if not changes.fetch:
        return "Nothing to fetch: all of it is on this computer"
    here = f" · {size(changes.reused)} already here" if changes.reused else ""
    return f"{size(changes.fetch)} to fetch{here}"


def _disk(changes: ChangeSet) -> str:
    parts = []
    kept = sum(change.kind is ChangeKind.KEEP and change.why is Why.NEEDED for change in changes.changes)
    if kept:
        parts.append(f"{count(kept, 'package', 'packages')} that it needs {'is' if kept == 1 else 'are'} here already")
    if changes.disk > 0:
        parts.append(f"{size(changes.disk)} more on the disk")
    left = changes.disk_free - changes.disk
    if changes.disk_free and left > 0:
        parts.append(f"{size(left)} free afterwards")
    return " · ".join(parts)


def _agree(changes: ChangeSet) -> str:
    if changes.going and not changes.coming:
        what = "Remove" if len(changes.going) == 1 else f"Remove all {len(changes.going)}"
        return f"{what} · frees {size(-changes.disk)}"
    if not changes.coming:
        return ""
    kinds = {change.kind for change in changes.coming if change.why is Why.ASKED}
    word = "Update" if kinds == {ChangeKind.UPDATE} else "Switch" if kinds == {ChangeKind.DOWNGRADE} else "Install"
    return f"{word} {size(changes.fetch)}" if changes.fetch else word


def _cautions(changes: ChangeSet, titles: Mapping[PackageId, str]) -> list[str]:
    """One sentence each; equal limits are told together."""
    limited: dict[str, list[str]] = {}
    found = []
    for caution in changes.cautions:
        if caution.worry is Worry.LICENSE_LIMITS and caution.ref is not None:
            limited.setdefault(caution.detail, []).append(titles[caution.ref.package])
        else:
            found.append(_caution(caution, changes, titles))
    for license, names in limited.items():
        words = license_words(license)
        meaning = words.meaning[:1].lower() + words.meaning[1:]
        found.append(f"Licence of {_names(names)}: {clipped(words.name)} – {meaning}")
    found += [
        f"{titles[change.ref.package]} {change.newer} is there too, but does not go with the rest"
        for change in changes.coming
        if change.newer
    ]
    more = len(found) - CAUTIONS_MAX
    return [*found[:CAUTIONS_MAX], f"and {count(more, 'more note', 'more notes')}"] if more > 0 else found


def _caution(caution: Caution, changes: ChangeSet, titles: Mapping[PackageId, str]) -> str:
    change = next((change for change in changes.changes if change.ref == caution.ref), None)
    if change is None:
        return f"The disk has no room: {size(changes.disk)} needed, {size(changes.disk_free)} free"
    title = titles[change.ref.package]
    match caution.worry:
        case Worry.WITHDRAWN:
            return f"{title} {change.ref.version}: its author has taken this version back"
        case Worry.LICENSE_CHANGED:
            before, now = license_words(caution.detail).name, license_words(change.license)
            meaning = now.meaning[:1].lower() + now.meaning[1:]
            return f"{title} has another licence: {clipped(before)} became {clipped(now.name)} – {meaning}"
        case _:
            lost = _names([titles[package] for package in change.needs])
            return f"{title} stays, but will not work without {lost}"
