"""What an update would fetch, after what is here: measured without fetching any of it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef, Release, version_key
from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import UpdatePlan
from icworkshop_gui.engine.content import PackageContent
from icworkshop_gui.engine.disk_task import run_job
from icworkshop_gui.store.transfers import TransferRecord

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session


class Updates:
    """Everything runs on the engine's loop; the disk work on the pool."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[PackageRef, tuple[PackageRef, int]] = {}
        """Installed release → the newer one, and the bytes that it would fetch."""
        self._running: dict[tuple[PackageId, str], asyncio.Task[UpdatePlan]] = {}

    async def stop(self) -> None:
        """Nobody waits any more."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def bytes_for(self, installed: PackageRef, newer: str) -> int | None:
        """Bytes to fetch for the update of `installed` to this version; None while that was not measured."""
        ref, size = self._known.get(installed, (None, 0))
        return size if ref is not None and ref.version == newer else None

    async def plan(self, package: PackageId, version: str = "") -> UpdatePlan:
        """For the newest release, or the one of this version. NotFound when the package is not installed.

        Who asks for the same while it is being measured gets the same answer.
        """
        key = package, version
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._plan(package, version))
            running.add_done_callback(lambda _done: self._running.pop(key, None))
        return await asyncio.shield(running)

    async def _plan(self, package: PackageId, version: str) -> UpdatePlan:
        installed = self._installed(package)
        detail, source = await self._session.catalog.package(package, version)
        release = detail.release
        if release.ref == installed or (not version and not _is_newer(release.ref, installed)):
            return UpdatePlan(installed=installed, ref=installed, size=0, to_fetch=0, here=0)
        to_fetch, here = await self.measure(release, source)
        self._known[installed] = release.ref, to_fetch
        self._session.publisher.touch_entry(installed)
        return UpdatePlan(installed=installed, ref=release.ref, size=release.size, to_fetch=to_fetch, here=here)

    async def measure(self, release: Release, source: str) -> tuple[int, int]:
        """Bytes of it that an installation would fetch now, and those that are here. NotFound, RegistryError."""
        session = self._session
        record = TransferRecord(
            id=TransferId("measured"),
            metainfo=b"",
            sha256=release.sha256,
            ref=release.ref,
            size=release.size,
            source=source,
        )
        disk = session.world.disk
        content = await session.in_disk(
            lambda: PackageContent(session.store, record, session.catalog, session.searches, disk)
        )
        return await content.cost(partial(run_job, disk))

    def _installed(self, package: PackageId) -> PackageRef:
        """The newest that is here."""
        refs = [ref for ref in self._session.library.refs() if ref.package == package]
        if not refs:
            raise NotFound(f"{package} is not installed.")
        return max(refs, key=lambda ref: version_key(ref.version))


def _is_newer(one: PackageRef, other: PackageRef) -> bool:
    return bool(version_key(one.version) > version_key(other.version))
