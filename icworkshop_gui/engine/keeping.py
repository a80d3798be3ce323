"""What stays on the disk, and what may go. Pure: a view of the library in, verdicts out (ic-workshop.md §1.7).

What the player asked for or pinned stays. What came along stays as long as something that stays needs it. What came
for a while (a lobby's packages) stays until nobody has used it for the time that the settings say, or until the room
set aside for such things is full; then what was used longest ago goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from icworkshop_gui.core.catalog import PackageId, PackageRef, version_key
from icworkshop_gui.engine.api.snapshots import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One installed release."""

    ref: PackageRef
    size: int
    """Bytes that removing it frees."""
    asked: bool = True
    """The player asked for this release; False: it came along."""
    pinned: bool = False
    temporary: bool = False
    """It came for a while."""
    used_at: float = 0.0
    """Wall clock: installed, or needed by an installation last."""
    needs: tuple[PackageId, ...] = ()


class Origin(Protocol):
    """Why a package came, as it was written down."""

    @property
    def asked(self) -> bool: ...

    @property
    def temporary(self) -> bool: ...


def wanted(old: Origin, *, asked: bool, temporary: bool) -> dict[str, bool]:
    """What changes when it is wanted once more: asked for once is asked for, and for a while only as long as nobody
    wanted it for good.
    """
    return {"asked": True, "temporary": temporary and (old.temporary or not old.asked)} if asked else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the settings say of temporary packages."""

    ttl: float
    """Seconds."""
    budget: int | None
    """Bytes; None for no limit."""


def holds(library: Sequence[Holding]) -> dict[PackageRef, Hold]:
    """Why each release is here. Of a package in several versions the newest serves those who need it."""
    newest: dict[PackageId, Holding] = {}
    for item in sorted(library, key=lambda item: version_key(item.ref.version)):
        newest[item.ref.package] = item
    kept = [item for item in library if item.pinned or (item.asked and not item.temporary)]
    verdict = dict.fromkeys((item.ref for item in library), Hold.UNUSED)
    _reach([item for item in library if item.temporary], newest, verdict, Hold.TEMPORARY, Hold.TEMPORARY)
    _reach(kept, newest, verdict, Hold.KEPT, Hold.NEEDED)
    return verdict


def _reach(
    roots: Sequence[Holding],
    newest: Mapping[PackageId, Holding],
    verdict: dict[PackageRef, Hold],
    as_root: Hold,
    as_need: Hold,
) -> None:
    """Mark the roots and, transitively, what they need. A root stays one, whoever needs it too."""
    marked = {item.ref for item in roots}
    verdict.update(dict.fromkeys(marked, as_root))
    todo = list(roots)
    while todo:
        for package in todo.pop().needs:
            item = newest.get(package)
            if item is not None and item.ref not in marked:
                marked.add(item.ref)
                verdict[item.ref] = as_need
                todo.append(item)


def expired(library: Sequence[Holding], now: float, terms: Terms) -> tuple[PackageRef, ...]:
    """Temporary releases whose time is over or for which there is no room; the longest unused first, and what needs
    others before those.
    """
    verdict = holds(library)
    used = _used(library)
    left = [item for item in library if verdict[item.ref] is Hold.TEMPORARY]
    left.sort(key=lambda item: (used[item.ref], item.ref))
    over = 0 if terms.budget is None else sum(item.size for item in left) - terms.budget
    gone: list[PackageRef] = []
    while left and (over > 0 or used[left[0].ref] + terms.ttl <= now):
        needed = {package for item in left for package in item.needs if package != item.ref.package}
        item = next((item for item in left if item.ref.package not in needed), left[0])
        left.remove(item)
        gone.append(item.ref)
        over -= item.size
    return tuple(gone)


def _used(library: Sequence[Holding]) -> dict[PackageRef, float]:
    """When each was used last, by itself or by what needs it."""
    by_package: dict[PackageId, list[Holding]] = {}
    for item in library:
        by_package.setdefault(item.ref.package, []).append(item)
    found: dict[PackageRef, float] = {}
    for root in sorted(library, key=lambda item: (-item.used_at, item.ref)):
        todo = [root]
        while todo:
            item = todo.pop()
            if item.ref not in found:
                found[item.ref] = root.used_at
                todo += [other for package in item.needs for other in by_package.get(package, ())]
    return found


def unused(library: Sequence[Holding]) -> tuple[PackageRef, ...]:
    """What came along and nothing needs any more, by name."""
    verdict = holds(library)
    return tuple(sorted(item.ref for item in library if verdict[item.ref] is Hold.UNUSED))
