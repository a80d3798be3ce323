"""What a plan would cost: from the releases it names to a change set, by what the store has already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from icworkshop_gui.core.catalog import FileEntry, PackageId, PackageRef, version_key
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.engine.api.changes import Change, ChangeKind, ChangeSet
from icworkshop_gui.engine.planning import Plan, Step

QUESTIONS_MAX = 6
"""Releases whose files are asked for at once: what a browser allows itself at one server."""


class Shelves(Protocol):
    """The catalog, as far as a review needs it."""

    async def files(self, source: str, ref: PackageRef) -> Sequence[FileEntry]:
        """Of one release, from this source. NotFound, RegistryError."""
        ...


async def review(
    plan: Plan,
    shelves: Shelves,
    installed: Iterable[PackageRef],
    here: Callable[[Iterable[BlobId]], Awaitable[set[BlobId]]],
) -> ChangeSet:
    """`installed`: what is in the library. `here`: which of these files the store has. NotFound, RegistryError."""
    newest: dict[PackageId, str] = {}
    exact = set(installed)
    for ref in sorted(exact, key=lambda ref: version_key(ref.version)):
        newest[ref.package] = ref.version
    coming = [step for step in plan.steps if step.ref not in exact]
    places = asyncio.Semaphore(QUESTIONS_MAX)

    async def files_of(step: Step) -> Sequence[FileEntry]:
        async with places:
            return await shelves.files(step.source, step.ref)

    lists = dict(zip((step.ref for step in coming), await asyncio.gather(*map(files_of, coming)), strict=True))
    known = await here({BlobId.from_hex(file.sha256) for files in lists.values() for file in files})
    changes = []
    for step in plan.steps:
        reused = 0
        for file in lists.get(step.ref, ()):
            blob = BlobId.from_hex(file.sha256)
            reused += file.size if blob in known else 0
            known.add(blob)
        changes.append(_change(step, plan, newest.get(step.ref.package, ""), reused, is_here=step.ref in exact))
    return ChangeSet(changes=tuple(changes))


def _change(step: Step, plan: Plan, before: str, reused: int, *, is_here: bool) -> Change:
    release = step.release
    if is_here:
        kind = ChangeKind.KEEP
    elif not before:
        kind = ChangeKind.ADD
    elif version_key(before) < version_key(step.ref.version):
        kind = ChangeKind.UPDATE
    else:
        kind = ChangeKind.DOWNGRADE
    return Change(
        kind=kind,
        ref=step.ref,
        before="" if is_here else before,
        title=str(step.ref.package) if release is None else release.title,
        license="" if release is None else release.license,
        size=0 if release is None else release.size,
        reused=reused,
        source="" if is_here else step.source,
        needed_by=_needed_by(step.ref.package, plan.needs),
        newer=plan.held_back.get(step.ref.package, ""),
        withdrawn=release is not None and release.yanked,
    )


def _needed_by(package: PackageId, needs: Mapping[PackageId, Sequence[PackageId]]) -> tuple[PackageId, ...]:
    return tuple(sorted(other for other, found in needs.items() if package in found))
