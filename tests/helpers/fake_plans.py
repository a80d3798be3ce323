"""What would change, in the canned world: the engine's own judgement of removals, plain sums for installations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from icworkshop_gui.core.catalog import PackageId, PackageRef, PackageSummary
from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.engine.api.changes import Change, ChangeKind, ChangeSet, Why
from icworkshop_gui.engine.api.snapshots import Hold, LibraryEntry
from icworkshop_gui.engine.keeping import Holding
from icworkshop_gui.engine.reviewing import Here, review_removal
from tests.helpers import sample_content as sample

Library = Mapping[PackageRef, LibraryEntry]


def plan_install(
    catalog: Sequence[PackageSummary],
    library: Library,
    wishes: Sequence[tuple[PackageId, str]],
    free: int,
) -> ChangeSet:
    """Each wish with what its page says that it needs; a third of another version's bytes must be fetched."""
    rows = {row.package: row for row in catalog}
    found: dict[PackageId, Change] = {}
    for package, version in wishes:
        if package not in rows:
            raise NotFound(f"There is no package {package}.")
        for need in sample.detail_of(rows[package], version).release.dependencies:
            if not need.optional and need.package in rows:
                found[need.package] = _change(rows[need.package], "", library, (package,))
        found[package] = _change(rows[package], version, library, ())
    return ChangeSet(changes=tuple(found.values()), disk_free=free)


def _change(row: PackageSummary, version: str, library: Library, needed_by: tuple[PackageId, ...]) -> Change:
    ref = PackageRef(*row.package, version or row.version)
    before = next((other.version for other in library if other.package == row.package), "")
    kind = ChangeKind.KEEP if ref in library else ChangeKind.UPDATE if before else ChangeKind.ADD
    coming = kind is not ChangeKind.KEEP
    return Change(
        kind=kind,
        ref=ref,
        before=before if coming else "",
        title=row.title,
        category=row.category,
        license=row.license,
        size=row.size,
        reused=row.size - row.size // 3 if kind is ChangeKind.UPDATE else 0,
        why=Why.NEEDED if needed_by else Why.ASKED,
        needed_by=needed_by,
        disk=row.size if coming else 0,
    )


def plan_removal(library: Library, asked: Sequence[PackageRef], keep: Sequence[PackageRef], free: int) -> ChangeSet:
    """By the engine's own rules."""
    for ref in asked:
        if ref not in library:
            raise NotFound(f"{ref} is not installed.")
    needs = {
        ref: tuple(other.package for other in library if str(ref.package) in library[other].needed_by)
        for ref in library
    }
    holdings = [
        Holding(ref=ref, size=entry.unique, asked=entry.hold is Hold.KEPT, pinned=entry.pinned, needs=needs[ref])
        for ref, entry in library.items()
    ]
    facts = {
        ref: Here(entry.title, entry.license, entry.size, needs[ref], entry.category) for ref, entry in library.items()
    }

    async def frees(refs: Sequence[PackageRef]) -> Sequence[int]:
        return [library[ref].unique for ref in refs]

    judging = review_removal(asked, keep, holdings, facts, frees, free)
    try:
        judging.send(None)
    except StopIteration as end:
        result: ChangeSet = end.value
        return result
    raise AssertionError("nothing in it waits")
