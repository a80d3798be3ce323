"""What a transfer moves: a package of the Workshop, into the store, or any torrent, into a plain folder.

Both answer the same questions, so that a Transfer does not ask which of them it has. Methods that block say so;
they run on the disk pool.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import FormatError, IntegrityError, RegistryError, WorkshopError
from icworkshop_gui.core.ids import BlobId, InfoHash
from icworkshop_gui.engine.catalog import Catalog
from icworkshop_gui.engine.errands import FILE_MIN, Files
from icworkshop_gui.engine.searches import Searches
from icworkshop_gui.engine.swarm.hints import Hints, bytes_needed, hints_of
from icworkshop_gui.engine.swarm.webseed.places import SeedKind, WebSeedUrl
from icworkshop_gui.formats.chunks import Coarse, Outline, read_fine, spans_of
from icworkshop_gui.formats.icpkg import PackageContents
from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.package_torrent import hash_package
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from icworkshop_gui.formats.slice import FileSlice
from icworkshop_gui.registry.promises import in_words, promise_of
from icworkshop_gui.registry.source import Offer, folder_of, web_base
from icworkshop_gui.store.disk import Disk
from icworkshop_gui.store.durable import disk_errors
from icworkshop_gui.store.hashing import Cancelled, no_progress
from icworkshop_gui.store.layout import layout_of_package, layout_of_torrent, whole_pieces
from icworkshop_gui.store.layout_storage import LayoutContradicted, LayoutStorage
from icworkshop_gui.store.resume import ResumeJournal
from icworkshop_gui.store.reuse import Copy, ReuseSearch, known_ranges
from icworkshop_gui.store.staging import PackageDownload, discard_folder, is_begun, plan_reuse
from icworkshop_gui.store.storage import Storage
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.transfers import TransferRecord
from icworkshop_gui.store.verifier import recheck as read_again

ARRIVED = "arrived.icpkg"
"""In a staging folder: a package that was fetched whole, because nobody named a torrent of it."""

log = logging.getLogger("icw.transfer")

Progress = Callable[[int], None]
"""Told the bytes read so far, from a disk thread."""
Cancel = Callable[[], bool]
Job = Callable[[Cancel], None]


class Fetch(Protocol):
    """Fetches a package whole, over HTTP, into a file. RegistryError, StorageError."""

    async def __call__(self, places: Sequence[WebSeedUrl], path: Path, size: int, /) -> None: ...


class Run(Protocol):
    """Runs a job on the disk pool; cancelled, it tells the job and waits for it."""

    async def __call__(self, job: Job, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Ready to be fetched into or shared from."""

    storage: Storage
    have: Bitfield
    journal: ResumeJournal | None
    reused: int = 0
    """Bytes that were on this disk already, or seem to be."""
    hints: Hints = field(default_factory=dict)
    """What seems to be here of pieces that are not had."""

    @property
    def complete(self) -> bool:
        return self.have.is_full


class FilePlace(NamedTuple):
    path: str
    size: int
    offset: int
    """In the torrent."""


class Content(Protocol):
    """See the module."""

    title: str
    metainfo: Metainfo
    """Only once prepared."""

    @property
    def ref(self) -> PackageRef | None: ...

    @property
    def trackers(self) -> tuple[tuple[str, ...], ...]: ...

    @property
    def web_seeds(self) -> tuple[WebSeedUrl, ...]:
        """Web servers that have it."""
        ...

    def name_web_seeds(self, urls: Sequence[str]) -> None:
        """The user names these, beside what is known; nothing for a package."""
        ...

    @property
    def allow_private(self) -> bool:
        """Its trackers may be on a private network: the user configured them, or is on it."""
        ...

    @property
    def in_dht(self) -> bool:
        """May strangers find it in the DHT? Of a package only once prepared."""
        ...

    @property
    def in_lsd(self) -> bool:
        """May the computers of this network see it? Of a package only once prepared."""
        ...

    @property
    def is_prepared(self) -> bool: ...

    @property
    def size(self) -> int:
        """Bytes; known before it is prepared."""
        ...

    @property
    def swarm_hashes(self) -> tuple[InfoHash, ...]:
        """Under which peers know it, ours first; none while unknown."""
        ...

    async def prepare(self, run: Run, fetch: Fetch | None = None, *, progress: Progress) -> TransferRecord:
        """Learn what there is to fetch; the record that remembers it. RegistryError, FormatError, IntegrityError."""
        ...

    def errand(self) -> tuple[Files, bool]:
        """Blocks: the larger files that an installation would fetch, and whether it has begun to."""
        ...

    async def look(self, run: Run, *, progress: Progress) -> None:
        """Find what is here already of what is to be fetched; a failure costs only bytes, so it is not raised."""
        ...

    def is_in_place(self) -> bool:
        """Blocks for a moment: it is complete and where it belongs, as far as can be told without reading it."""
        ...

    def open(self, *, recheck: bool, progress: Progress, cancelled: Cancel) -> Opened:
        """Blocks: find what is here. StorageError, Cancelled."""
        ...

    def finish(self, *, progress: Progress, cancelled: Cancel) -> Path:
        """Blocks: check by SHA-256, publish; where its files are, or will be. IntegrityError, StorageError."""
        ...

    def mend(self, error: IntegrityError, have: Bitfield, journal: ResumeJournal | None) -> bool:
        """Blocks: after `error` of `finish`, make the next try go better; False when only fetching again can."""
        ...

    def files(self) -> list[FilePlace]: ...

    def discard(self) -> None:
        """Blocks: delete what was fetched and is not complete."""
        ...


class PackageContent:
    """A release: its bytes become blobs, its files are linked to where the game looks."""

    def __init__(self, store: Store, record: TransferRecord, catalog: Catalog, searches: Searches, disk: Disk) -> None:
        """Blocks when the record holds a torrent: it is read. FormatError when that is none."""
        assert record.ref is not None
        self.ref: PackageRef = record.ref
        self.title = record.title or str(record.ref)
        self.trackers: tuple[tuple[str, ...], ...] = ()
        self.web_seeds: tuple[WebSeedUrl, ...] = ()
        self.allow_private = folder_of(record.source) is None and is_local_url(web_base(record.source))
        self._store = store
        self._record = record
        self._catalog = catalog
        self._searches = searches
        self._disk = disk
        self._download: PackageDownload | None = None
        self._places: list[FilePlace] | None = None
        if record.metainfo:
            self._learn(record.metainfo)

    def _learn(self, torrent: bytes) -> None:
        self.metainfo = Metainfo.parse(torrent)
        self.trackers = self.metainfo.trackers
        # First the server that named the package, which the user configured; then what its torrent lists, which must
        # be on the open Internet: on this network a torrent has no say.
        self.trackers += tuple((url,) for url in self._record.extra_trackers)
        url = self._catalog.source(self._record.source).package_url(self.ref)
        ours = [url] if url else [*self._record.web_seeds]
        mirrors = [url for url in self.metainfo.web_seeds if url not in ours and not is_local_url(url)]
        self.web_seeds = (
            *(WebSeedUrl(url, allow_private=self.allow_private) for url in ours),
            *(WebSeedUrl(url) for url in mirrors),
        )

    @property
    def in_dht(self) -> bool:
        # What a server of this house has is no business of strangers, and they could not fetch the rest.
        is_near = folder_of(self._record.source) is not None or self.allow_private
        return not self.metainfo.private and not is_near

    @property
    def in_lsd(self) -> bool:
        return not self.metainfo.private

    def name_web_seeds(self, urls: Sequence[str]) -> None:
        """Its servers are configured."""

    @property
    def is_prepared(self) -> bool:
        return bool(self._record.metainfo)

    @property
    def size(self) -> int:
        return self._record.size

    @property
    def swarm_hashes(self) -> tuple[InfoHash, ...]:
        return self.metainfo.swarm_hashes if self.is_prepared else ()

    async def prepare(
        self, run: Run, fetch: Fetch | None = None, *, progress: Progress = no_progress
    ) -> TransferRecord:
        """Torrent and skeleton, checked against what the catalog said: as the source names them, or made of the
        package's own bytes, which are here or fetched to be.
        """
        if self.is_prepared:
            return self._record
        offer = await self._offer()
        self._record = replace(
            self._record,
            size=self._record.size or offer.size,
            web_seeds=offer.urls,
            extra_trackers=offer.trackers,
            manifest_sha256=offer.manifest_sha256,
        )
        if offer.torrent:
            await run(lambda _cancelled: self._accept(offer.torrent, offer.skeleton))
            return self._record
        file, offset = offer.file, self._record.local_offset
        if file is None:
            if fetch is None:
                raise RegistryError("not_offered", f"{self.ref} must be fetched whole.")
            file = self._store.staging_folder(self._record.id) / ARRIVED
            await fetch([WebSeedUrl(url, allow_private=self.allow_private) for url in offer.urls], file, self.size)
        try:
            await run(lambda cancelled: self._accept_file(file, offset, offer.info_hash, progress, cancelled))
        except IntegrityError:
            if offer.file is None:
                await run(lambda _cancelled: discard_folder(self._store.staging_folder(self._record.id)))
            raise
        return self._record

    async def _offer(self) -> Offer:
        if self._record.local:
            return Offer(file=Path(self._record.local))
        return await self._catalog.source(self._record.source).offer(self.ref)

    async def cost(self, run: Run) -> tuple[int, int]:
        """Bytes that an installation would fetch now, and those that are here. NotFound, RegistryError."""
        if not self.is_prepared:
            offer = await self._offer()
            if offer.file is not None:
                return 0, self.size
            if not offer.torrent:
                return self.size or offer.size, 0
            await self.prepare(run)
        return await self.measure(run)

    def _accept_file(self, path: Path, offset: int, info_hash: str, progress: Progress, cancelled: Cancel) -> None:
        """Blocks: the package lies in this file. IntegrityError when it is another one."""

        def note(done: int) -> None:
            if cancelled():
                raise Cancelled
            progress(done)

        size = self._record.size
        with disk_errors(), open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size < offset + size or (
                not offset and os.fstat(file.fileno()).st_size != size
            ):
                raise IntegrityError(
                    f"{path.name} is not as long as the {size} bytes that {self.ref} has by its source."
                )
            package = cast("BinaryIO", FileSlice(file, offset, size))
            try:
                hashed = hash_package(package, self.ref, size, note)
                if hashed.sha256.hex() != self._record.sha256:
                    raise IntegrityError(
                        f"What was found for {self.ref} is not what its source promises: its SHA-256 is "
                        f"{hashed.sha256.hex()[:12]}… and not {self._record.sha256[:12]}…. Nothing of it was installed."
                    )
                skeleton = Skeleton.from_package(package)
            except FormatError as error:
                raise IntegrityError(f"What was found for {self.ref} is no package: {error}") from error
        self._learn(hashed.torrent)
        if info_hash and self.metainfo.swarm_hash.hex() != info_hash:
            raise IntegrityError(
                f"The source of {self.ref} names the torrent of something else ({info_hash[:12]}…)."
                " Nothing was installed."
            )
        self._record = replace(
            self._record, metainfo=hashed.torrent, skeleton=skeleton.encode(), local=str(path), local_offset=offset
        )

    def _accept(self, torrent: bytes, skeleton: bytes) -> None:
        """Blocks: the largest torrents take seconds to read."""
        meta = Metainfo.parse(torrent)
        if meta.info_hash is None or not meta.is_single_file or meta.geometry.total_length != self._record.size:
            raise IntegrityError(f"The torrent of {self.ref} does not describe the package that the catalog names.")
        if not skeleton:
            # Without one the package is fetched as one file, and kept so.
            whole = FileSegment("", BlobId.from_hex(self._record.sha256), self._record.size)
            skeleton = Skeleton.of([whole]).encode()
        if Skeleton.decode(skeleton).total_length != self._record.size:
            raise IntegrityError(f"The file list of {self.ref} does not fit the package that the catalog names.")
        self._learn(torrent)
        self._record = replace(self._record, metainfo=torrent, skeleton=skeleton)

    def errand(self) -> tuple[Files, bool]:
        if self._is_whole():
            return {}, True
        blobs = self._store.blobs
        listed = {
            file.sha256: file.size for file in Skeleton.decode(self._record.skeleton).files if file.size >= FILE_MIN
        }
        blobs.recall(listed)
        files = {blob: size for blob, size in listed.items() if blobs.size(blob) is None}
        return files, is_begun(self._store.staging_folder(self._record.id))

    async def look(self, run: Run, *, progress: Progress) -> None:
        try:
            copies = await self._search(run, progress)
            await run(lambda cancelled: plan_reuse(self._store.staging_folder(self._record.id), copies))
        except (WorkshopError, OSError) as error:
            log.info("event=nothing-reused ref=%s: %s", self.ref, error)

    async def _search(self, run: Run, progress: Progress) -> Sequence[Copy]:
        """RegistryError, NotFound, FormatError, StorageError."""
        package, state = BlobId.from_hex(self._record.sha256), self._store.packages.changes
        return await self._searches.find(package, state, lambda: self._search_anew(run, progress))

    async def _search_anew(self, run: Run, progress: Progress) -> tuple[Copy, ...]:
        skeleton = Skeleton.decode(self._record.skeleton)
        search: ReuseSearch | None = None

        def begin(cancelled: Cancel) -> None:
            nonlocal search
            found = ReuseSearch(self._store, self.ref, skeleton)
            search = found if found.is_worth_it() else None

        await run(begin)
        if search is None:
            return ()
        source = self._catalog.source(self._record.source)
        raw = await source.chunks(self.ref)
        missing: list[Coarse] = []

        def coarse(cancelled: Cancel) -> None:
            outline = Outline.decode(raw, BlobId.from_hex(self._record.sha256), skeleton)
            missing.extend(search.find_coarse(outline, progress, cancelled))

        await run(coarse)
        if missing:
            fine_raw = await source.fine_chunks(self.ref, spans_of(missing))

            def fine(cancelled: Cancel) -> None:
                search.find_fine(zip(missing, read_fine(fine_raw, missing), strict=True), progress, cancelled)

            await run(fine)
        return tuple(search.copies())

    async def measure(self, run: Run) -> tuple[int, int]:
        """Once prepared: bytes of the package that an installation would fetch now, and those that are here."""
        copies: Sequence[Copy] = ()
        try:
            copies = await self._search(run, lambda done: None)
        except (WorkshopError, OSError) as error:
            log.info("event=only-whole-files ref=%s: %s", self.ref, error)
        result = (0, 0)

        def add_up(cancelled: Cancel) -> None:
            nonlocal result
            layout = layout_of_package(Skeleton.decode(self._record.skeleton), self._store.blobs.size)
            known = known_ranges(layout, copies)
            geometry = self.metainfo.geometry
            result = bytes_needed(geometry, known), sum(length for _, length in known)

        await run(add_up)
        return result

    def is_in_place(self) -> bool:
        known = self._store.packages.find(self.ref)
        if known is None or known.damaged or not self.is_prepared:
            return False
        if self._record.staged:
            return True
        if not known.is_installed:
            return False
        return Path(known.folder).is_dir()

    def open(self, *, recheck: bool, progress: Progress, cancelled: Cancel) -> Opened:
        if self._is_whole():
            return self._open_installed(recheck=recheck, progress=progress, cancelled=cancelled)
        record = self._record
        download = PackageDownload(
            self._store,
            record.id,
            self.ref,
            sha256=BlobId.from_hex(record.sha256),
            skeleton=Skeleton.decode(record.skeleton),
            metainfo=self.metainfo,
            torrent=record.metainfo,
        )
        self._download = download
        download.require_space()
        journal, have, suspect = download.open_journal()
        geometry = self.metainfo.geometry
        known = download.reuse(have, progress=progress, cancel=cancelled)
        filled = self._bytes_are_here() and (recheck or not have.is_full)
        if filled:
            download.fill(Path(record.local), record.local_offset, progress=progress, cancel=cancelled)
            known = [(0, geometry.total_length)]
        here = set(whole_pieces(known, geometry))
        # What the store has already, and what a power cut left in doubt, is read and hashed before it counts.
        doubtful = sorted({*suspect, *here} - set(have))
        if recheck:
            doubtful, have = list(range(geometry.piece_count)), Bitfield(geometry.piece_count)
        found = read_again(
            download.storage,
            geometry,
            self.metainfo.piece_matches,
            doubtful,
            cancel=cancelled,
            progress=lambda pieces: progress(pieces * geometry.piece_length),
        )
        if recheck:
            journal.forget([index for index in doubtful if index not in found])
        journal.record(found)
        for index in found:
            have.add(index)
        if filled and not have.is_full and not self.web_seeds:
            raise IntegrityError(f"{record.local} has changed since it was looked at. Nothing of it was installed.")
        hints = hints_of(geometry, known)
        hints = {index: hint for index, hint in hints.items() if index not in have}
        here_already = geometry.total_length if filled and not record.web_seeds else download.reused
        return Opened(storage=download.storage, have=have, journal=journal, reused=here_already, hints=hints)

    def _bytes_are_here(self) -> bool:
        """Blocks for a moment. A file that was fetched for this goes when it has served; the player's own may only be
        out of reach, and without it there is nothing: so it is waited for.
        """
        return bool(self._record.local) and (not self.web_seeds or Path(self._record.local).is_file())

    def _open_installed(self, *, recheck: bool, progress: Progress, cancelled: Cancel) -> Opened:
        """From the blobs. They are verified again by themselves where a file changed behind our back."""
        storage = self._store.packages.seed_storage(self.ref)
        geometry = self.metainfo.geometry
        have = Bitfield(geometry.piece_count, full=True)
        if recheck:
            have = read_again(
                storage,
                geometry,
                self.metainfo.piece_matches,
                cancel=cancelled,
                progress=lambda pieces: progress(pieces * geometry.piece_length),
            )
        return Opened(storage=storage, have=have, journal=None)

    def finish(self, *, progress: Progress, cancelled: Cancel) -> Path:
        if not self._is_whole():
            assert self._download is not None
            facts = {
                "title": self.title,
                "category": self._record.category,
                "preview": self._record.preview_sha256,
                "source": self._record.source,
            }
            self._download.finish(facts=facts, expect=self._hold_to_promise, progress=progress, cancel=cancelled)
        if self._record.staged:
            return self._store.packages.folder(self.ref)
        return self._store.paths.install / self.ref.folder_name

    def _hold_to_promise(self, contents: PackageContents) -> None:
        """What the source said of it, and what was planned by that, must be what it says itself."""
        promised, own = self._record.promised, promise_of(contents.manifest.dependencies)
        if promised is not None and promised != own:
            raise RegistryError(
                "lied",
                f"The source says that {self.ref} needs {in_words(promised)}, but the package itself names "
                f"{in_words(own)}. Nothing of it was installed.",
            )
        stated = self._record.manifest_sha256
        if stated and hashlib.sha256(contents.raw_manifest).hexdigest() != stated:
            raise RegistryError("lied", f"The manifest inside {self.ref} is not the one that its source names.")

    def _is_whole(self) -> bool:
        """In the store, with every blob, as far as is known."""
        known = self._store.packages.find(self.ref)
        return known is not None and not known.damaged

    def mend(self, error: IntegrityError, have: Bitfield, journal: ResumeJournal | None) -> bool:
        """A skeleton that lied: keep the package whole. False when only fetching again can help."""
        if self._download is None or journal is None or not isinstance(error, LayoutContradicted):
            return False
        self._download.keep_whole(journal, have)
        return True

    def files(self) -> list[FilePlace]:
        # Asked four times a second while somebody looks at the files.
        if self._places is None:
            self._places = [
                FilePlace(segment.path or self.ref.file_name, segment.size, offset)
                for offset, segment in Skeleton.decode(self._record.skeleton).with_offsets()
                if isinstance(segment, FileSegment)
            ]
        return self._places

    def discard(self) -> None:
        if self._download is not None:
            self._download.discard()


class TorrentContent:
    """Any torrent, in a plain folder that belongs to the user."""

    ref: PackageRef | None = None

    def __init__(self, store: Store, record: TransferRecord) -> None:
        """Blocks: the torrent is read. FormatError when it is none."""
        self.title = record.title
        self.trackers: tuple[tuple[str, ...], ...] = ()
        self.web_seeds: tuple[WebSeedUrl, ...] = ()
        # The user opened this torrent by hand, so its trackers may be in the same house.
        self.allow_private = True
        self._store = store
        self._record = record
        if record.metainfo:
            self._learn(Metainfo.parse(record.metainfo))
        else:
            self.magnet = Magnet.parse(record.magnet)
            self._name_trackers(tuple((url,) for url in self.magnet.trackers))

    def _learn(self, metainfo: Metainfo) -> None:
        self.metainfo = metainfo
        self.title = metainfo.name
        self._name_trackers(metainfo.trackers)
        self.name_web_seeds(self._record.web_seeds)

    def learn(self, torrent: bytes, metainfo: Metainfo) -> TransferRecord:
        """What the magnet link means, as peers said and as its hash proves; the record that remembers it."""
        self._record = replace(self._record, metainfo=torrent)
        self._learn(metainfo)
        return self._record

    def _name_trackers(self, tiers: tuple[tuple[str, ...], ...]) -> None:
        listed = tiers if self._record.use_trackers else ()
        self.trackers = (*listed, *((url,) for url in self._record.extra_trackers))

    @property
    def in_dht(self) -> bool:
        return not (self.is_prepared and self.metainfo.private)

    @property
    def in_lsd(self) -> bool:
        return self.in_dht

    def name_web_seeds(self, urls: Sequence[str]) -> None:
        self._record = replace(self._record, web_seeds=tuple(urls))
        if not self.is_prepared:
            return
        files, scripts = self.metainfo.web_seeds, self.metainfo.http_seeds
        self.web_seeds = (
            *(WebSeedUrl(url, SeedKind.SCRIPT if url in scripts else SeedKind.FILES, True) for url in urls),
            # A stranger wrote these: they lead to the open Internet or nowhere.
            *(WebSeedUrl(url) for url in files if url not in urls),
            *(WebSeedUrl(url, SeedKind.SCRIPT) for url in scripts if url not in urls),
        )

    @property
    def is_prepared(self) -> bool:
        return hasattr(self, "metainfo")

    @property
    def size(self) -> int:
        return self.metainfo.geometry.total_length if self.is_prepared else 0

    @property
    def swarm_hashes(self) -> tuple[InfoHash, ...]:
        return self.metainfo.swarm_hashes if self.is_prepared else self.magnet.swarm_hashes

    async def prepare(self, run: Run, fetch: Fetch | None = None, *, progress: Progress) -> TransferRecord:
        return self._record

    def errand(self) -> tuple[Files, bool]:
        return {}, True

    async def look(self, run: Run, *, progress: Progress) -> None:
        """Its folder is looked at when it is opened."""

    def is_in_place(self) -> bool:
        # A folder that is the user's may have changed: only what somebody vouched for is taken on trust.
        return self._record.seed_only and self._record.verified

    def open(self, *, recheck: bool, progress: Progress, cancelled: Cancel) -> Opened:
        geometry = self.metainfo.geometry
        journal: ResumeJournal | None = None
        have, doubtful = Bitfield(geometry.piece_count), list[int]()
        known = False
        if not self._record.seed_only:
            self._store.transfers.make_folder(self._record.id)
            path = self._store.transfers.journal_path(self._record.id)
            known = path.exists()
            journal, have, doubtful = ResumeJournal.open(path, geometry.piece_count)
        storage = LayoutStorage(
            layout_of_torrent(self.metainfo.files), root=Path(self._record.folder), root_exists=bool(have.count)
        )
        if journal is not None and known and not recheck:
            # What a user deleted or cut short meanwhile is not there, whatever the journal says.
            absent = storage.absent_pieces(geometry)
            journal.forget(absent)
            for index in absent:
                have.discard(index)
            doubtful = [index for index in doubtful if index not in absent]
        if self._record.verified and not recheck and journal is None:
            return Opened(storage=storage, have=Bitfield(geometry.piece_count, full=True), journal=None)
        if recheck or not known:
            # The folder may hold the files already: nobody wants to fetch what is there.
            doubtful, have = list(range(geometry.piece_count)), Bitfield(geometry.piece_count)
        found = read_again(
            storage,
            geometry,
            self.metainfo.piece_matches,
            doubtful,
            cancel=cancelled,
            progress=lambda pieces: progress(pieces * geometry.piece_length),
        )
        if journal is not None:
            journal.forget([index for index in doubtful if index not in found])
            journal.record(found)
        for index in found:
            have.add(index)
        return Opened(storage=storage, have=have, journal=journal)

    def finish(self, *, progress: Progress, cancelled: Cancel) -> Path:
        """Every piece was hashed before it was written; what remains is the files that no piece touches."""
        folder = Path(self._record.folder)
        if not self._record.seed_only:
            storage = LayoutStorage(layout_of_torrent(self.metainfo.files), root=folder, root_exists=True)
            try:
                storage.create_empty_files()
            finally:
                storage.close()
        return folder

    def mend(self, error: IntegrityError, have: Bitfield, journal: ResumeJournal | None) -> bool:
        return False

    def files(self) -> list[FilePlace]:
        return [FilePlace("/".join(f.path), f.size, f.offset) for f in self.metainfo.files if not f.is_pad]

    def discard(self) -> None:
        """The folder is the user's: what lies there stays."""


def is_local_url(url: str) -> bool:
    """Does this address name a machine of the same house? Then its trackers and peers may be there too."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".home.arpa", ".internal"))
