"""From what is installed to a lock file, and from a lock file to exactly that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef, version_key
from icworkshop_gui.core.errors import IntegrityError, NotFound, UserError
from icworkshop_gui.engine.planning import Installed, Step
from icworkshop_gui.formats.lockfile import LockedPackage, LockFile


class Releases(Protocol):
    """The catalog, as far as a lock file needs it."""

    async def release_at(self, source: str, ref: PackageRef) -> PackageDetail:
        """From this source and no other. NotFound, RegistryError."""
        ...


def lock(
    installed: Iterable[Installed], checksums: Mapping[PackageRef, str], wanted: Iterable[PackageId] = ()
) -> LockFile:
    """Of everything, or of `wanted` and what it needs; where several versions are installed, of the newest.

    `checksums`: SHA-256 of the packages, hex. NotFound for what is not installed; UserError for what came from no
    Workshop server.
    """
    newest: dict[PackageId, Installed] = {}
    for item in sorted(installed, key=lambda item: version_key(item.ref.version)):
        newest[item.ref.package] = item
    chosen: dict[PackageId, Installed] = {}
    todo = list(wanted) or list(newest)
    while todo:
        package = todo.pop()
        if package in chosen:
            continue
        found = newest.get(package)
        if found is None:
            raise NotFound(f"{package} is not installed. Install it first; a lock file names what is here.")
        chosen[package] = found
        todo += [need.package for need in found.dependencies if not need.optional or need.package in newest]
    return LockFile.of(_locked(item, chosen, checksums) for item in chosen.values())


def _locked(
    item: Installed, chosen: Mapping[PackageId, Installed], checksums: Mapping[PackageRef, str]
) -> LockedPackage:
    if not item.source:
        raise UserError(f"{item.ref} came from no Workshop server, so nobody else could get it from the lock file.")
    return LockedPackage(
        ref=item.ref,
        source=item.source,
        sha256=checksums[item.ref],
        dependencies=tuple(sorted(need.package for need in item.dependencies if need.package in chosen)),
    )


async def unlock(lock_file: LockFile, releases: Releases, installed: Mapping[PackageRef, str]) -> list[Step]:
    """What a lock file names, what others need first; `installed`: SHA-256 of what is here, hex.

    Each release is asked of the source that the lock file names. IntegrityError when that one, or this computer, has
    other content under the same name and version; NotFound, RegistryError.
    """
    steps: dict[PackageId, Step] = {}
    for locked in _in_order(lock_file):
        here = installed.get(locked.ref)
        if here is not None and here != locked.sha256:
            raise IntegrityError(
                f"{locked.ref} is installed with other content than the lock file names. Remove it first, or leave it "
                "out of the lock file."
            )
        if here is not None:
            steps[locked.ref.package] = Step(locked.ref, None, locked.source)
            continue
        try:
            detail = await releases.release_at(locked.source, locked.ref)
        except NotFound:
            raise NotFound(
                f"{locked.source} does not have {locked.ref} any more. Ask whoever made the lock file for a new one."
            ) from None
        if detail.release.sha256 != locked.sha256:
            raise IntegrityError(
                f"{locked.source} has other content for {locked.ref} than the lock file names. A published version "
                "never changes, so one of the two is not to be trusted. Nothing was installed."
            )
        steps[locked.ref.package] = Step(locked.ref, detail.release, locked.source)
    return list(steps.values())


def _in_order(lock_file: LockFile) -> list[LockedPackage]:
    """What is needed before what needs it; a circle is cut anywhere."""
    by_package = {locked.ref.package: locked for locked in lock_file.packages}
    order: dict[PackageId, None] = {}
    begun: set[PackageId] = set()
    stack = [(package, False) for package in reversed(by_package)]
    while stack:
        package, is_left = stack.pop()
        if is_left:
            order[package] = None
        elif package not in begun:
            begun.add(package)
            stack.append((package, True))
            stack += [(need, False) for need in reversed(by_package[package].dependencies)]
    return [by_package[package] for package in order]
