"""What an update would fetch, after what is here: measured without fetching any of it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef, version_key
from icworkshop_gui.core.errors import NotFound, WorkshopError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import UpdatePlan
from icworkshop_gui.engine.api.snapshots import Network
from icworkshop_gui.engine.content import PackageContent
from icworkshop_gui.engine.disk_task import run_job
from icworkshop_gui.store.transfers import TransferRecord

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session

log = logging.getLogger("icw.updates")


class Updates:
    """Everything runs on the engine's loop; the disk work on the pool."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[PackageRef, tuple[PackageRef, int]] = {}
        """Installed release → the newer one, and the bytes that it would fetch."""

    def bytes_for(self, installed: PackageRef, newer: str) -> int | None:
        """Bytes to fetch for the update of `installed` to this version; None while that was not measured."""
        ref, size = self._known.get(installed, (None, 0))
        return size if ref is not None and ref.version == newer else None

    async def plan(self, package: PackageId, version: str = "") -> UpdatePlan:
        """For the newest release, or the one of this version. NotFound when the package is not installed."""
        installed = self._installed(package)
        detail, source = await self._session.catalog.package(package, version, files=False)
        release = detail.release
        if release.ref == installed or (not version and not _is_newer(release.ref, installed)):
            return UpdatePlan(installed=installed, ref=installed, size=0, to_fetch=0, here=0)
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
        content = await session.in_disk(lambda: PackageContent(session.store, record, session.catalog, disk))
        await content.prepare()
        to_fetch, here = await content.measure(partial(run_job, disk))
        self._known[installed] = release.ref, to_fetch
        session.publisher.touch_entry(installed)
        return UpdatePlan(installed=installed, ref=release.ref, size=release.size, to_fetch=to_fetch, here=here)

    async def measure_all(self) -> None:
        """Each update that is known of and was not measured; not where bytes cost money."""
        library = self._session.library
        for ref in sorted(library.refs()):
            newer = library.update_of(ref)
            if not newer or self.bytes_for(ref, newer) is not None or ref != self._installed(ref.package):
                continue
            if self._session.network is not Network.UNMETERED:
                return
            try:
                await self.plan(ref.package)
            except WorkshopError as error:
                log.info("event=update-not-measured ref=%s: %s", ref, error)

    def _installed(self, package: PackageId) -> PackageRef:
        """The newest that is here."""
        refs = [ref for ref in self._session.library.refs() if ref.package == package]
        if not refs:
            raise NotFound(f"{package} is not installed.")
        return max(refs, key=lambda ref: version_key(ref.version))


def _is_newer(one: PackageRef, other: PackageRef) -> bool:
    return bool(version_key(one.version) > version_key(other.version))
