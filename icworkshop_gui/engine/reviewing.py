"""What would change, and what it would cost: from a plan, or from what is to go, to a change set."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from icworkshop_gui.core.catalog import FileEntry, PackageId, PackageRef, version_key
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.api.changes import Caution, Change, ChangeKind, ChangeSet, Why, Worry
from icworkshop_gui.engine.keeping import Holding, unused
from icworkshop_gui.engine.planning import Plan, Step
from icworkshop_gui.formats.spdx import has_limits
from icworkshop_gui.registry.source import folder_of

QUESTIONS_MAX = 6
"""Releases that are asked about at once: what a browser allows itself at one server."""
MEASURED_MIN = MIB
"""Bytes that must be missing of a package that is new here, for its chunks to be looked for in others."""


class Shelves(Protocol):
    """The catalog, as far as a review needs it."""

    async def files(self, source: str, ref: PackageRef) -> Sequence[FileEntry]:
        """Of one release, from this source. NotFound, RegistryError."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """What a review tells of an installed release."""

    title: str
    license: str = ""
    size: int = 0
    needs: tuple[PackageId, ...] = ()
    """What it cannot do without."""
    category: str = ""
    preview_sha256: str = ""


async def review(
    plan: Plan,
    shelves: Shelves,
    installed: Mapping[PackageRef, Here],
    known: Callable[[Iterable[BlobId]], Awaitable[set[BlobId]]],
    measure: Callable[[Step], Awaitable[int]],
    disk_free: int = 0,
) -> ChangeSet:
    """`known`: which of these files the store has. `measure`: bytes that must be fetched for a release, after
    what is here in any form. NotFound, RegistryError.
    """
    newest: dict[PackageId, PackageRef] = {}
    for ref in sorted(installed, key=lambda ref: version_key(ref.version)):
        newest[ref.package] = ref
    coming = [step for step in plan.steps if step.ref not in installed]
    places = asyncio.Semaphore(QUESTIONS_MAX)

    async def files_of(step: Step) -> Sequence[FileEntry]:
        async with places:
            return await shelves.files(step.source, step.ref)

    lists = dict(zip((step.ref for step in coming), await asyncio.gather(*map(files_of, coming)), strict=True))
    here = await known({BlobId.from_hex(file.sha256) for files in lists.values() for file in files})
    whole = {step.ref: 0 for step in coming}
    for ref in whole:
        for file in lists[ref]:
            blob = BlobId.from_hex(file.sha256)
            whole[ref] += file.size if blob in here else 0
            here.add(blob)

    async def parts_of(step: Step) -> int:
        """Bytes that are here in any form: inside files of older versions and other packages, too."""
        assert step.release is not None, "what is not installed was found in a source"
        lacking = step.release.size - whole[step.ref]
        is_far = folder_of(step.source) is None
        if is_far and (not installed or (step.ref.package not in newest and lacking < MEASURED_MIN)):
            return 0
        async with places:
            return step.release.size - await measure(step)

    parts = dict(zip(whole, await asyncio.gather(*map(parts_of, coming)), strict=True))
    changes = []
    for step in plan.steps:
        if step.ref in installed:
            changes.append(_kept(step, plan, installed[step.ref]))
        else:
            before = newest.get(step.ref.package)
            version = "" if before is None else before.version
            changes.append(_coming(step, plan, version, whole[step.ref], parts[step.ref]))
    cautions = tuple(_cautions(changes, {package: installed[ref] for package, ref in newest.items()}, disk_free))
    return ChangeSet(changes=tuple(changes), cautions=cautions, disk_free=disk_free)


def _why(step: Step, plan: Plan) -> tuple[Why, tuple[PackageId, ...]]:
    found = tuple(sorted(other for other, needs in plan.needs.items() if step.ref.package in needs))
    return (Why.NEEDED if found else Why.ASKED), found


def _kept(step: Step, plan: Plan, here: Here) -> Change:
    why, needed_by = _why(step, plan)
    release = step.release
    return Change(
        kind=ChangeKind.KEEP,
        ref=step.ref,
        title=here.title if release is None else release.title,
        category=here.category,
        preview_sha256=here.preview_sha256,
        license=here.license if release is None else release.license,
        size=0 if release is None else release.size,
        why=why,
        needed_by=needed_by,
        newer=plan.held_back.get(step.ref.package, ""),
        withdrawn=release is not None and release.yanked,
    )


def _coming(step: Step, plan: Plan, before: str, whole: int, parts: int) -> Change:
    """`whole`: bytes of files that are here; `parts`: bytes that are here in any form."""
    release = step.release
    assert release is not None, "what is not installed was found in a source"
    if not before:
        kind = ChangeKind.ADD
    elif version_key(before) < version_key(step.ref.version):
        kind = ChangeKind.UPDATE
    else:
        kind = ChangeKind.DOWNGRADE
    why, needed_by = _why(step, plan)
    return Change(
        kind=kind,
        ref=step.ref,
        before=before,
        title=release.title,
        category=release.category,
        preview_sha256=release.preview_sha256,
        license=release.license,
        size=release.size,
        reused=max(whole, parts),
        source=step.source,
        why=why,
        needed_by=needed_by,
        newer=plan.held_back.get(step.ref.package, ""),
        withdrawn=release.yanked,
        disk=max(0, release.size - whole),
    )


def _cautions(changes: Sequence[Change], before: Mapping[PackageId, Here], disk_free: int) -> Iterable[Caution]:
    for change in changes:
        if change.withdrawn:
            yield Caution(worry=Worry.WITHDRAWN, ref=change.ref)
        if change.kind is ChangeKind.KEEP:
            continue
        old = before.get(change.ref.package)
        if old is not None and old.license != change.license:
            yield Caution(worry=Worry.LICENSE_CHANGED, ref=change.ref, detail=old.license)
        elif old is None and has_limits(change.license):
            yield Caution(worry=Worry.LICENSE_LIMITS, ref=change.ref, detail=change.license)
    if sum(change.disk for change in changes) > disk_free > 0:
        yield Caution(worry=Worry.DISK)


# --- removing ------------------------------------------------------------------------------------


async def review_removal(
    asked: Sequence[PackageRef],
    keep: Iterable[PackageRef],
    library: Sequence[Holding],
    facts: Mapping[PackageRef, Here],
    frees: Callable[[Sequence[PackageRef]], Awaitable[Sequence[int]]],
    disk_free: int = 0,
) -> ChangeSet:
    """What goes with these: all that needs them, and what came along with them and nothing else needs. `keep`: of
    that, what stays all the same. `frees`: bytes that each frees once those before it are gone.
    """
    kept = set(keep) - set(asked)
    needing = _needing(asked, facts)
    leaving = [*asked, *(ref for ref in needing if ref not in kept)]
    staying = [item for item in library if item.ref not in leaving]
    rest = [ref for ref in unused(staying) if ref not in unused(library)]
    gone = {ref.package for ref in leaving} - {item.ref.package for item in staying}
    going = [*reversed(leaving), *(ref for ref in rest if ref not in kept)]
    sizes = dict(zip(going, await frees(going), strict=True))
    changes = []
    for ref in (*reversed((*asked, *needing)), *rest):
        needs = tuple(package for package in facts[ref].needs if package in gone)
        if ref in asked:
            why = Why.ASKED
        else:
            why = Why.NEEDS if ref in needing else Why.UNUSED
        changes.append(
            Change(
                kind=ChangeKind.REMOVE if ref in sizes else ChangeKind.KEEP,
                ref=ref,
                title=facts[ref].title,
                category=facts[ref].category,
                preview_sha256=facts[ref].preview_sha256,
                license=facts[ref].license,
                size=facts[ref].size,
                why=why,
                needs=needs,
                disk=-sizes.get(ref, 0),
            )
        )
    cautions = tuple(
        Caution(worry=Worry.BREAKS, ref=change.ref)
        for change in changes
        if change.kind is ChangeKind.KEEP and change.needs
    )
    return ChangeSet(changes=tuple(changes), cautions=cautions, disk_free=disk_free)


def _needing(asked: Sequence[PackageRef], facts: Mapping[PackageRef, Here]) -> list[PackageRef]:
    """All that cannot do without these in the end, nearest first; a version that stays serves as well."""
    left = [ref for ref in facts if ref not in asked]
    found: list[PackageRef] = []
    while True:
        there = {ref.package for ref in left}
        lost = [ref for ref in left if any(need not in there for need in facts[ref].needs if _was(need, facts))]
        if not lost:
            return found
        found += lost
        left = [ref for ref in left if ref not in lost]


def _was(package: PackageId, facts: Mapping[PackageRef, Here]) -> bool:
    """Was it there before? What was missing already is not missing because of us."""
    return any(ref.package == package for ref in facts)
