"""The installed packages: what they are, verified, removed with undo, looked after for updates."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef, version_key
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound, StorageError, WorkshopError
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.commands import CleanUpReport, VerifyReport
from icworkshop_gui.engine.api.events import PackageRemoved
from icworkshop_gui.engine.api.snapshots import Hold, LibraryEntry
from icworkshop_gui.engine.keeping import Holding, Terms, expired, holds, unused, wanted
from icworkshop_gui.engine.planning import Installed
from icworkshop_gui.engine.reviewing import Here
from icworkshop_gui.formats.manifest import Manifest
from icworkshop_gui.store.package_record import PackageRecord
from icworkshop_gui.store.sweep import free, leftovers, sweep
from icworkshop_gui.store.transfers import TransferRecord

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session

log = logging.getLogger("icw.library")

DAY_SECONDS = 86_400.0
UNDO_SECONDS = 60.0
"""How long a removed package keeps its bytes."""


class Library:
    """The packages of the store as the player sees them. Everything runs on the engine's loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._records: dict[PackageRef, PackageRecord] = {}
        self._manifests: dict[PackageRef, Manifest] = {}
        self._needed: dict[PackageId, list[PackageRef]] = {}
        self._unique: dict[PackageRef, int] = {}
        self._hold: dict[PackageRef, Hold] = {}
        self._updates: dict[PackageId, str] = {}
        self._removed: dict[PackageRef, TransferRecord | None] = {}

    async def load(self) -> None:
        """Read what is there; what was removed and not undone before the program ended goes now."""
        store = self._session.store
        for record in await self._session.in_disk(store.packages.removed):
            await self.purge(record.ref)
        await self.reload()

    async def reload(self) -> None:
        """After an installation, removal or repair."""
        store = self._session.store

        def read() -> tuple[dict[PackageRef, PackageRecord], dict[PackageRef, int]]:
            records = {record.ref: record for record in store.packages.list()}
            for ref in records:
                if ref not in self._manifests:
                    try:
                        self._manifests[ref] = Manifest.parse(store.packages.manifest(ref))
                    except (FormatError, StorageError) as error:
                        log.error("event=manifest-unreadable ref=%s: %s", ref, error)
            return records, {ref: store.packages.unique_bytes(ref) for ref in records}

        self._records, self._unique = await self._session.in_disk(read)
        self._manifests = {ref: manifest for ref, manifest in self._manifests.items() if ref in self._records}
        self._needed = self._needs()
        self._hold = holds(self.holdings())
        self._session.publisher.touch_library()

    async def stop(self) -> None:
        """What was removed cannot be undone once the program has ended."""
        for ref in tuple(self._removed):
            await self.purge(ref)

    # --- looking ---------------------------------------------------------------------------------

    def refs(self) -> Iterator[PackageRef]:
        return (ref for ref in self._records if ref in self)

    def __contains__(self, ref: PackageRef) -> bool:
        record = self._records.get(ref)
        return record is not None and record.is_installed and ref not in self._removed

    def installed(self) -> Iterator[Installed]:
        """What a plan may build on."""
        for ref in self.refs():
            manifest = self._manifests.get(ref)
            transfer = self._session.transfers.by_ref(ref)
            yield Installed(
                ref=ref,
                source="" if transfer is None else transfer.record.source,
                dependencies=() if manifest is None else manifest.dependencies,
                features=() if manifest is None else manifest.features,
            )

    def facts(self) -> dict[PackageRef, Here]:
        """What a review tells of each."""
        found = {}
        for ref in self.refs():
            facts, manifest = self._records[ref].facts, self._manifests.get(ref)
            needs = () if manifest is None else manifest.dependencies
            found[ref] = Here(
                facts.get("title") or str(ref),
                license="" if manifest is None else manifest.license,
                size=self._size(ref),
                needs=tuple(need.package for need in needs if not need.optional),
                category=facts.get("category", ""),
                preview_sha256=facts.get("preview", ""),
            )
        return found

    def _size(self, ref: PackageRef) -> int:
        """Bytes of its files."""
        manifest = self._manifests.get(ref)
        return self._records[ref].size if manifest is None else sum(file.size for file in manifest.files)

    def checksums(self) -> dict[PackageRef, str]:
        """SHA-256 of every installed package, hex."""
        return {ref: self._records[ref].sha256.hex() for ref in self.refs()}

    def _require(self, ref: PackageRef) -> PackageRecord:
        record = self._records.get(ref)
        if record is None or ref in self._removed:
            raise NotFound(f"{ref} is not installed.")
        return record

    def entry(self, ref: PackageRef) -> LibraryEntry | None:
        """None when it is not in the library."""
        record = self._records.get(ref)
        if record is None or ref not in self:
            return None
        manifest = self._manifests.get(ref)
        transfer = self._session.transfers.by_ref(ref)
        stats = None if transfer is None else transfer.stats()
        newer = self.update_of(ref)
        return LibraryEntry(
            ref=ref,
            title=record.facts.get("title") or str(ref),
            category=record.facts.get("category", ""),
            summary="" if manifest is None else manifest.summary,
            license="" if manifest is None else manifest.license,
            preview_sha256=record.facts.get("preview", ""),
            size=self._size(ref),
            unique=self._unique.get(ref, 0),
            files=0 if manifest is None else len(manifest.files),
            folder=record.folder,
            how=record.how,
            why_copied=record.why_copied,
            installed_at=record.installed_at or record.added_at,
            sharing=True if transfer is None else transfer.record.sharing,
            rate_up=0 if stats is None else stats.rate_up,
            uploaded=0 if transfer is None else transfer.totals(stats).uploaded,
            update_to=newer,
            update_bytes=self._session.updates.bytes_for(ref, newer) if newer else None,
            damaged=record.damaged,
            needed_by=self._needed_by(ref.package),
            hold=self._hold.get(ref, Hold.KEPT),
            pinned=record.pinned,
            staged=self._staged_beside(ref),
        )

    def _staged_beside(self, ref: PackageRef) -> str:
        """The newer version that waits; empty for none."""
        waits = self._session.subscriptions.waiting_for(ref.package)
        return waits if waits and version_key(waits) > version_key(ref.version) else ""

    def update_of(self, ref: PackageRef) -> str:
        """The version of a newer release; empty when none is known of."""
        newest = self._updates.get(ref.package, "")
        here = [other.version for other in self.refs() if other.package == ref.package] if newest else []
        return newest if newest and all(version_key(newest) > version_key(version) for version in here) else ""

    def _needs(self) -> dict[PackageId, list[PackageRef]]:
        """Who needs what, among everything in the store."""
        found: dict[PackageId, list[PackageRef]] = {}
        for ref, manifest in self._manifests.items():
            for need in manifest.dependencies:
                if not need.optional:
                    found.setdefault(need.package, []).append(ref)
        return found

    def _needed_by(self, package: PackageId) -> tuple[str, ...]:
        here = (ref for ref in self._needed.get(package, ()) if self._records[ref].is_installed)
        return tuple(sorted(str(ref.package) for ref in here if ref not in self._removed))

    # --- keeping ---------------------------------------------------------------------------------

    def holdings(self) -> list[Holding]:
        """As the rules of what stays see them."""
        return [
            Holding(
                ref=ref,
                size=self._unique.get(ref, 0),
                asked=record.asked,
                pinned=record.pinned or ref in self._session.profiles.kept,
                temporary=record.temporary,
                used_at=record.used_at or record.added_at,
                needs=self._needs_of(ref),
            )
            for ref, record in self._records.items()
            if ref in self
        ]

    def _needs_of(self, ref: PackageRef) -> tuple[PackageId, ...]:
        """What it cannot do without, and what it can do with of all that is here."""
        manifest = self._manifests.get(ref)
        return () if manifest is None else tuple(need.package for need in manifest.dependencies)

    async def arrived(self, ref: PackageRef, *, asked: bool, temporary: bool) -> None:
        """Its files are in their place: remember why. What the player once asked for stays asked for."""
        packages, now = self._session.store.packages, self._session.world.clock.wall()

        def note() -> None:
            old = packages.get(ref)
            if old.used_at:
                packages.update(ref, **wanted(old, asked=asked, temporary=temporary), used_at=now)
            else:
                packages.update(ref, asked=asked, temporary=temporary, used_at=now)

        await self._session.in_disk(note)

    async def want(self, ref: PackageRef, *, asked: bool, temporary: bool) -> None:
        """An installation that goes on now needs it, or asked for it."""
        await self.arrived(ref, asked=asked, temporary=temporary)
        await self.reload()

    async def pin(self, ref: PackageRef, pinned: bool) -> None:
        self._require(ref)
        await self._session.in_disk(lambda: self._session.store.packages.update(ref, pinned=pinned))
        await self.reload()

    async def clean_up(self, *, dry_run: bool) -> CleanUpReport:
        """Remove for good what came along and nothing needs, what came for a while that is over, and left-overs."""
        store, now = self._session.store, self._session.world.clock.wall()
        library = self.holdings()
        refs = self._idle((*unused(library), *self._expired(library, now)))

        def cost() -> tuple[list[int], int]:
            sums = [store.packages.unique_bytes(*refs[:count]) for count in range(len(refs) + 1)]
            return [after - before for before, after in itertools.pairwise(sums)], leftovers(store, now)

        sizes, rest = await self._session.in_disk(cost)
        if not dry_run:
            for ref in refs:
                await self._remove_for_good(ref)
            await self._session.in_disk(lambda: sweep(store, now))
            self._session.library_changed()
        return CleanUpReport(packages=tuple(zip(refs, sizes, strict=True)), freed=sum(sizes) + rest)

    async def expire(self) -> None:
        """Remove what came for a while that is over, or for which there is no room any more."""
        library = self.holdings()
        for ref in self._idle(self._expired(library, self._session.world.clock.wall())):
            log.info("event=expired ref=%s", ref)
            await self._remove_for_good(ref)

    def _expired(self, library: list[Holding], now: float) -> tuple[PackageRef, ...]:
        settings = self._session.settings
        budget = settings.number("workshop.storage.budget_gb")
        terms = Terms(
            ttl=settings.number("workshop.storage.transient_ttl_days") * DAY_SECONDS,
            budget=budget * 1000**3 if budget else None,
        )
        return expired(library, now, terms)

    def _idle(self, refs: Iterable[PackageRef]) -> list[PackageRef]:
        """Those that are not being mended just now."""
        found = {ref: self._session.transfers.by_ref(ref) for ref in refs}
        return [ref for ref, transfer in found.items() if transfer is None or transfer.is_complete]

    async def _remove_for_good(self, ref: PackageRef) -> None:
        await self.remove(ref, force=True)
        await self.purge(ref)

    # --- verifying -------------------------------------------------------------------------------

    async def verify(self, ref: PackageRef, *, repair: bool) -> VerifyReport:
        """Hash every file. What is bad is fetched again when `repair`."""
        self._require(ref)
        check = await self._session.in_disk(lambda: self._session.store.installs.verify(ref))
        if not check.bad:
            return VerifyReport(files=check.files)
        await self.reload()
        repaired = False
        if repair:
            transfer = self._session.transfers.by_ref(ref)
            if transfer is None:
                await self._session.transfers.install(((ref.package, ref.version),), Tier.USER_REQUESTED)
            else:
                await transfer.recheck()
            repaired = True
        return VerifyReport(files=check.files, bad=check.bad, repaired=repaired)

    # --- removing --------------------------------------------------------------------------------

    async def remove(self, ref: PackageRef, *, force: bool) -> None:
        """Out of the library at once; its bytes go after the undo window."""
        record = self._require(ref)
        needed_by = self._needed_by(ref.package)
        others = [other for other in self.refs() if other.package == ref.package and other != ref]
        if needed_by and not others and not force:
            raise Conflict(f"{', '.join(needed_by)} needs this. Remove that first, or both.")
        transfer = self._session.transfers.by_ref(ref)
        remembered: TransferRecord | None = None
        if transfer is not None:
            self._session.transfers.drop(transfer)
            await transfer.stop()
            remembered = transfer.record
        freed = self._unique.get(ref, 0)
        store = self._session.store

        def take_out() -> None:
            store.installs.remove(ref)
            if remembered is not None:
                # A transfer without its package would fetch it again.
                store.transfers.delete(remembered.id)

        await self._session.in_disk(take_out)
        self._removed[ref] = remembered
        await self.reload()
        self._session.library_changed()
        self._session.tell(PackageRemoved(ref=ref, title=record.facts.get("title") or str(ref), freed=freed))
        self._session.spawn(self._purge_later(ref))

    async def undo_remove(self, ref: PackageRef) -> None:
        if ref not in self._removed:
            raise NotFound("It is too late to undo this. Install it again.")
        remembered = self._removed.pop(ref)
        await self._session.in_disk(lambda: self._session.store.installs.undo_remove(ref))
        if remembered is not None:
            await self._session.transfers.revive(remembered)
        await self.reload()

    async def _purge_later(self, ref: PackageRef) -> None:
        await asyncio.sleep(UNDO_SECONDS)
        if ref in self._removed:
            await self.purge(ref)

    async def purge(self, ref: PackageRef) -> None:
        """Its bytes go, its transfer is forgotten."""
        self._removed.pop(ref, None)
        store = self._session.store

        def purge() -> None:
            blobs = store.packages.blobs_of(ref)
            store.installs.purge(ref)
            free(store, blobs)

        try:
            await self._session.in_disk(purge)
        except StorageError as error:
            log.warning("event=purge-failed ref=%s: %s", ref, error)
        self._session.library_changed()

    def set_sharing(self, ref: PackageRef, sharing: bool) -> None:
        self._require(ref)
        transfer = self._session.transfers.by_ref(ref)
        if transfer is not None:
            transfer.update(sharing=sharing)
            transfer.adjust_soon()

    # --- updates ---------------------------------------------------------------------------------

    async def look_for_updates(self) -> None:
        """Ask the catalog for the newest version of everything installed."""
        for package in {ref.package for ref in self.refs()}:
            try:
                detail, _source = await self._session.catalog.package(package)
            except WorkshopError as error:
                log.debug("event=no-update-answer package=%s: %s", package, error)
            else:
                self._updates[package] = detail.release.ref.version
        self._session.publisher.touch_library()
