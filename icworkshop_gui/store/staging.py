"""One package download: its files grow as staged blobs, and become blobs of the store when all of them are right.

Nothing here is lost by a crash: every step is repeated harmlessly by the next `finish` on the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import IntegrityError, StorageError, StorageFault
from icworkshop_gui.core.ids import BlobId, TransferId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.formats.icpkg import PackageContents, read_package
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from icworkshop_gui.store.blobs import Staged
from icworkshop_gui.store.disk import require_space
from icworkshop_gui.store.durable import disk_errors, remove_tree, replace_file, sync_folder, write_file
from icworkshop_gui.store.hashing import HASH_CHUNK, Cancel, Cancelled, Progress, Stamp, never, no_progress
from icworkshop_gui.store.layout import Range, StagedBlob, layout_of_package
from icworkshop_gui.store.layout_file import LayoutFile
from icworkshop_gui.store.layout_storage import LayoutContradicted
from icworkshop_gui.store.package_record import PackageRecord
from icworkshop_gui.store.parallel import Sum, in_parallel
from icworkshop_gui.store.resume import ResumeJournal
from icworkshop_gui.store.reuse import Copy, add_copy, encode_copies, known_ranges, read_copies

if TYPE_CHECKING:
    from icworkshop_gui.store.store import Store

NEEDS = "needs"
"""Of a staging folder: the ids of all blobs that the download relies on or makes, for the sweep. 32 bytes each."""
REUSE, REUSED = "reuse", "reused"
"""Of a staging folder: what may be copied from stored blobs (`store.reuse`), and the mark that it was."""
_COPY_STEP = MIB
"""Bytes that are copied at once."""
_WHOLE = "whole"
"""Folder in the staging folder, for a download whose skeleton was wrong: there its package is staged as one blob.
A skeleton that lies may call a file by any SHA-256, the package's own too: so not beside the others."""


class PackageDownload:
    """Constructing it decides which files come from the store; `layout`, `storage` and `reused` follow from that.

    Raises IntegrityError for a skeleton that contradicts itself or the metainfo, and StorageError.
    """

    def __init__(
        self,
        store: Store,
        transfer: TransferId,
        ref: PackageRef,
        *,
        sha256: BlobId,
        skeleton: Skeleton,
        metainfo: Metainfo,
        torrent: bytes,
    ) -> None:
        """`sha256` is the registry's word on the whole package; `torrent` is the file that `metainfo` was read from."""
        self.ref = ref
        self.sha256 = sha256
        self.metainfo = metainfo
        self.folder = store.staging_folder(transfer)
        self._store = store
        self._transfer = transfer
        self._torrent = torrent
        with disk_errors():
            self.is_whole = (self.folder / _WHOLE).is_dir()
        self._open(self._whole_skeleton() if self.is_whole else skeleton)

    def _whole_skeleton(self) -> Skeleton:
        return Skeleton.of([FileSegment("", self.sha256, self.metainfo.geometry.total_length)])

    def _open(self, skeleton: Skeleton) -> None:
        self._copies = [] if self.is_whole else read_copies(self.folder / REUSE)
        named = (*(file.sha256 for file in skeleton.files), *(copy.source for copy in self._copies))
        blobs = list(dict.fromkeys(named))
        self._store.blobs.recall(blobs)
        # What must be hashed for this is hashed before anybody has to wait at the gate.
        for blob in blobs:
            self._store.blobs.has(blob)
        with self._store.gate:
            with disk_errors():
                self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / NEEDS, b"".join(blobs))
            self.layout = layout_of_package(
                skeleton, self._store.blobs.size, total_length=self.metainfo.geometry.total_length
            )
        self.skeleton = skeleton
        self._staged = self.folder / _WHOLE if self.is_whole else self.folder
        self.reused = self.layout.reused_size()
        """Bytes of the package that the store had already."""
        self.storage = self._store.storage(self.layout, staging=self._staged)

    def require_space(self) -> None:
        """StorageError(FULL) when what is still to be written does not fit on the disk."""
        staged = {extent.blob: extent.size for extent in self.layout.extents if isinstance(extent, StagedBlob)}
        needed = 0
        for blob, size in staged.items():
            try:
                stat = os.stat(self._staged / blob.hex(), follow_symlinks=False)
            except OSError:
                needed += size
            else:
                # Staged files are sparse: their length says nothing of what they take.
                needed += max(0, size - getattr(stat, "st_blocks", stat.st_size // 512) * 512)
        require_space(self.folder, needed)

    def open_journal(self) -> tuple[ResumeJournal, Bitfield, list[int]]:
        """As `ResumeJournal.open`, without the pieces whose files are gone (a reused blob that was damaged since)."""
        self._store.transfers.make_folder(self._transfer)
        journal, have, suspect = ResumeJournal.open(
            self._store.transfers.journal_path(self._transfer), self.metainfo.piece_count
        )
        try:
            lost = self.storage.absent_pieces(self.metainfo.geometry)
            journal.forget(lost)
        except BaseException:
            journal.close()
            raise
        for index in lost:
            have.discard(index)
        return journal, have, [index for index in suspect if index not in lost]

    def reuse(self, have: Bitfield, *, progress: Progress = no_progress, cancel: Cancel = never) -> list[Range]:
        """Copy what `plan_reuse` found into the staged files, once; (offset, length) of all that is here by now.

        None of it is proven: piece hashes have the last word. `have` is what the journal knows. `progress` is told
        the bytes copied. StorageError, Cancelled; a blob that was lost meanwhile is only missing.
        """
        mark = self.folder / REUSED
        places: dict[BlobId, int] = {}
        offset = 0
        for extent in self.layout.extents:
            if isinstance(extent, StagedBlob):
                places.setdefault(extent.blob, offset)
            offset += extent.size
        copies = [copy for copy in self._copies if copy.blob in places]
        with disk_errors():
            is_done = mark.exists()
        if copies and not is_done:
            if have.count:
                copies = []  # never over what was verified
            copies = self._copy(copies, places, progress, cancel)
            replace_file(self.folder / REUSE, encode_copies(copies))
            replace_file(mark, b"")
        self._copies = copies
        self.reused = self.layout.reused_size() + sum(copy.length for copy in copies)
        return known_ranges(self.layout, copies)

    def _copy(self, copies: list[Copy], places: dict[BlobId, int], progress: Progress, cancel: Cancel) -> list[Copy]:
        by_file: dict[BlobId, list[Copy]] = {}
        for copy in copies:
            by_file.setdefault(copy.blob, []).append(copy)
        total = Sum(progress)

        def fill(parts: list[Copy]) -> list[Copy]:
            """One thread to a file: two that write into the same one wait for each other."""
            moved: list[Copy] = []
            for part in parts:
                for at in range(0, part.length, _COPY_STEP):
                    if cancel():
                        raise Cancelled
                    step = Copy(
                        part.blob,
                        part.offset + at,
                        part.source,
                        part.source_offset + at,
                        min(_COPY_STEP, part.length - at),
                    )
                    try:
                        data = self._store.blobs.read(step.source, step.source_offset, step.length)
                    except StorageError as error:
                        if error.fault not in (StorageFault.GONE, StorageFault.CHANGED):
                            raise
                        continue
                    self.storage.write(places[step.blob] + step.offset, [data])
                    add_copy(moved, step)
                    total.add(step.length)
            return moved

        return [step for moved in in_parallel(fill, list(by_file.values())) for step in moved]

    def fill(self, path: Path, start: int, *, progress: Progress = no_progress, cancel: Cancel = never) -> None:
        """Copy the package from this file, from `start` on, into what is staged. None of it is proven: piece hashes
        have the last word. `progress` is told the bytes copied. StorageError, Cancelled.
        """
        done: set[BlobId] = set()
        offset = copied = 0
        with disk_errors(), open(path, "rb") as file:
            for extent in self.layout.extents:
                if isinstance(extent, StagedBlob) and extent.blob not in done:
                    done.add(extent.blob)
                    file.seek(start + offset)
                    for at in range(0, extent.size, _COPY_STEP):
                        if cancel():
                            raise Cancelled
                        data = file.read(min(_COPY_STEP, extent.size - at))
                        if not data:
                            break
                        self.storage.write(offset + at, [data])
                        copied += len(data)
                        progress(copied)
                offset += extent.size

    def finish(
        self,
        *,
        facts: Mapping[str, str] | None = None,
        expect: Callable[[PackageContents], None] | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> PackageRecord:
        """Call it when every piece is verified: checks all by SHA-256, publishes the blobs, registers the package.

        `progress` is told the bytes of the package hashed; `expect` may refuse what is inside. LayoutContradicted when
        a file is not what the skeleton says (go on by `keep_whole`); IntegrityError when the package is not the
        registry's, and FormatError when it is no package at all, which no download of this torrent mends; StorageError;
        Cancelled. Until the package is registered everything stays as it was.
        """
        staged = self._hash_all(progress, cancel)
        contents = read_package(cast("BinaryIO", LayoutFile(self.storage)))
        if contents.manifest.ref != self.ref:
            raise IntegrityError(f"{self.ref} calls itself {contents.manifest.ref}")
        if expect is not None:
            expect(contents)
        self.storage.sync()
        # Published files must have no writable descriptor of ours left.
        self.storage.close()
        self._store.blobs.publish_all(staged, synced=True)
        record = self._store.packages.register(
            self.ref,
            sha256=self.sha256,
            skeleton=self.skeleton,
            torrent=self._torrent,
            manifest=contents.raw_manifest,
            facts=facts or {},
        )
        self.discard()
        return record

    def _hash_all(self, progress: Progress, cancel: Cancel) -> list[Staged]:
        """One pass over the bytes for both hashes: of each staged file, and of the package."""
        package = hashlib.sha256()
        staged: dict[BlobId, Staged] = {}
        offset = 0
        for extent in self.layout.extents:
            is_new = isinstance(extent, StagedBlob) and extent.blob not in staged
            # A package kept whole is its only file: hashed once.
            file = hashlib.sha256() if is_new and not self.is_whole else None
            before = self._stamp(extent) if isinstance(extent, StagedBlob) else None
            end = offset + extent.size
            while offset < end:
                if cancel():
                    raise Cancelled
                data = self.storage.read(offset, min(HASH_CHUNK, end - offset))
                package.update(data)
                if file is not None:
                    file.update(data)
                offset += len(data)
                progress(offset)
            if isinstance(extent, StagedBlob) and is_new:
                if file is not None and file.digest() != extent.blob:
                    raise LayoutContradicted(f"file {extent.blob} is not what the skeleton says")
                if before is not None:
                    staged[extent.blob] = Staged(self._staged / extent.blob.hex(), extent.blob, before)
        if package.digest() != self.sha256:
            raise IntegrityError(f"{self.ref} is not the package that the registry knows")
        return list(staged.values())

    def _stamp(self, extent: StagedBlob) -> Stamp | None:
        """None for a file that an interrupted `finish` has published. A file of no bytes is made here."""
        path = self._staged / extent.blob.hex()
        if not extent.size and not self._store.blobs.has(extent.blob):
            with disk_errors():
                write_file(path, b"")
        try:
            return Stamp.of(os.stat(path, follow_symlinks=False))
        except OSError:
            return None

    def keep_whole(
        self,
        journal: ResumeJournal,
        have: Bitfield,
        *,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Bitfield:
        """After LayoutContradicted: from now on the package is one staged file. The pieces that are still had.

        What was verified is copied over and checked again; `progress` is told the pieces done. A crash or Cancelled
        leaves the old layout, which will be contradicted again. Nobody may use `storage` meanwhile.
        """
        geometry = self.metainfo.geometry
        layout = layout_of_package(self._whole_skeleton(), self._store.blobs.size)
        fresh = self.folder / f"{_WHOLE}.new"
        with disk_errors():
            remove_tree(fresh)
            fresh.mkdir()
        storage = self._store.storage(layout, staging=fresh)
        kept = Bitfield(geometry.piece_count)
        try:
            require_space(self.folder, sum(geometry.piece_size(index) for index in have))
            for done, index in enumerate(have, 1):
                if cancel():
                    raise Cancelled
                with contextlib.suppress(StorageError):
                    data = self.storage.read(geometry.piece_offset(index), geometry.piece_size(index))
                    if self.metainfo.piece_matches(index, data):
                        storage.write(geometry.piece_offset(index), [data])
                        kept.add(index)
                progress(done)
            storage.sync()
        finally:
            storage.close()
        journal.forget([index for index in have if index not in kept])
        self.storage.close()
        with disk_errors():
            os.replace(fresh, self.folder / _WHOLE)
            sync_folder(self.folder)
        self.is_whole = True
        self._open(self._whole_skeleton())
        with disk_errors():
            for entry in list(os.scandir(self.folder)):
                if entry.name not in (NEEDS, _WHOLE):
                    remove_tree(Path(entry.path))
        return kept

    def discard(self) -> None:
        """Delete what is staged. Harmless to repeat."""
        self.storage.close()
        discard_folder(self.folder)


def plan_reuse(folder: Path, copies: Iterable[Copy]) -> None:
    """Before the download of this staging folder is opened: what it shall take from stored blobs. StorageError."""
    raw = encode_copies(copies)
    if raw:
        with disk_errors():
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / REUSE, raw)


def is_begun(folder: Path) -> bool:
    """Was this staging folder ever opened for a download?"""
    return (folder / NEEDS).exists()


def discard_folder(folder: Path) -> None:
    """Delete a staging folder with all in it. Harmless to repeat. StorageError."""
    with disk_errors():
        if folder.is_dir():
            remove_tree(folder)
            sync_folder(folder.parent)


def needs_of(folder: Path) -> set[BlobId]:
    """The blobs that the download in this staging folder relies on. StorageError."""
    with disk_errors():
        try:
            raw = (folder / NEEDS).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return set()
    return {BlobId(raw[at : at + BlobId.SIZE]) for at in range(0, len(raw) - BlobId.SIZE + 1, BlobId.SIZE)}
