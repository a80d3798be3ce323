"""Packages in the store: each a set of references to blobs, described by small files on the disk.

`packages/<publisher>--<name>-<version>/`: `package.json` (what changes), `skeleton`, `package.torrent`,
`manifest.yaml`. These folders are the truth; the index only knows them by heart. Thread-safe.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats.icpkg import PackageContents, read_package
from icworkshop_gui.formats.skeleton import Skeleton
from icworkshop_gui.store.blobs import BlobStore
from icworkshop_gui.store.durable import disk_errors, remove_tree, replace_file, sync_folder, write_file
from icworkshop_gui.store.index import Index, PackageFile
from icworkshop_gui.store.layout import Blob, Layout, layout_of_package
from icworkshop_gui.store.layout_file import LayoutFile
from icworkshop_gui.store.layout_storage import LayoutStorage
from icworkshop_gui.store.open_files import OpenFiles
from icworkshop_gui.store.package_record import PackageRecord
from icworkshop_gui.store.transfers import SetAside

log = logging.getLogger("icw.store")

_UNUSABLE = (ValueError, KeyError, TypeError, RecursionError, FormatError, FileNotFoundError, NotADirectoryError)
_RECORD = "package.json"
_SKELETON = "skeleton"
_TORRENT = "package.torrent"
_MANIFEST = "manifest.yaml"


class Packages:
    """All methods raise StorageError, and NotFound for a package that is not here."""

    def __init__(self, root: Path, index: Index, blobs: BlobStore, files: OpenFiles, wall: Callable[[], float]) -> None:
        self._root = root
        self._index = index
        self._blobs = blobs
        self._files = files
        self._wall = wall
        self._lock = threading.RLock()
        self._records: dict[PackageRef, PackageRecord] = {}
        self.changes = 0
        """How often a package came or went."""

    def load(self) -> list[SetAside]:
        """Read what is there and bring the index in line with it. Damaged ones are set aside."""
        aside: list[SetAside] = []
        with self._lock, disk_errors():
            self._records.clear()
            known = self._index.package_folders()
            for entry in sorted(os.scandir(self._root), key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                folder = Path(entry.path)
                try:
                    record = PackageRecord.from_json((folder / _RECORD).read_bytes())
                    if record.ref.folder_name != entry.name:
                        raise ValueError("a record of another package")
                    if entry.name not in known:
                        self._put_in_index(record.ref, Skeleton.decode((folder / _SKELETON).read_bytes()))
                except _UNUSABLE as error:
                    reason = str(error) or type(error).__name__
                    log.warning("event=package-set-aside name=%s reason=%s", entry.name, reason)
                    aside.append(SetAside(self._put_aside(folder), reason))
                else:
                    self._records[record.ref] = record
            for name in known - {ref.folder_name for ref in self._records}:
                self._index.delete_package(name)
        return aside

    def _put_aside(self, folder: Path) -> Path:
        shelf = self._root / ".aside"
        shelf.mkdir(exist_ok=True)
        number = 0
        while (target := shelf / f"{folder.name}.{number}").exists():
            number += 1
        os.replace(folder, target)
        return target

    def _put_in_index(self, ref: PackageRef, skeleton: Skeleton) -> None:
        files = [PackageFile(file.path, file.sha256, file.size) for file in skeleton.files]
        self._index.put_package(ref.folder_name, skeleton.total_length, files)

    # what is here

    def list(self) -> tuple[PackageRecord, ...]:
        """Those in the library, by name."""
        with self._lock:
            return tuple(sorted((r for r in self._records.values() if r.removed_at is None), key=lambda r: r.ref))

    def removed(self) -> tuple[PackageRecord, ...]:
        """Those whose removal can still be undone."""
        with self._lock:
            return tuple(record for record in self._records.values() if record.removed_at is not None)

    def find(self, ref: PackageRef) -> PackageRecord | None:
        """The record, unless it was removed."""
        with self._lock:
            record = self._records.get(ref)
        return None if record is None or record.removed_at is not None else record

    def knows(self, ref: PackageRef) -> bool:
        """Is there a record, removed or not?"""
        with self._lock:
            return ref in self._records

    def get(self, ref: PackageRef) -> PackageRecord:
        """The record, removed or not."""
        with self._lock:
            record = self._records.get(ref)
        if record is None:
            raise NotFound(f"{ref} is not in the store")
        return record

    def in_folder(self, folder: Path) -> tuple[PackageRecord, ...]:
        """Those whose installed files are there."""
        with self._lock:
            return tuple(record for record in self._records.values() if record.folder == str(folder))

    def folder(self, ref: PackageRef) -> Path:
        return self._root / ref.folder_name

    def skeleton(self, ref: PackageRef) -> Skeleton:
        self.get(ref)
        with disk_errors():
            return Skeleton.decode((self.folder(ref) / _SKELETON).read_bytes())

    def torrent(self, ref: PackageRef) -> bytes:
        """The whole .torrent file."""
        self.get(ref)
        with disk_errors():
            return (self.folder(ref) / _TORRENT).read_bytes()

    def manifest(self, ref: PackageRef) -> bytes:
        """The raw `manifest.yaml`."""
        self.get(ref)
        with disk_errors():
            return (self.folder(ref) / _MANIFEST).read_bytes()

    def layout(self, ref: PackageRef) -> Layout:
        """Of blobs only, whether they are there or not: reading tells."""
        skeleton = self.skeleton(ref)
        sizes = {file.sha256: file.size for file in skeleton.files}
        return layout_of_package(skeleton, sizes.get)

    def seed_storage(self, ref: PackageRef) -> LayoutStorage:
        """The bytes of the package, from the blobs. Close it."""
        return LayoutStorage(self.layout(ref), blobs=self._blobs, files=self._files)

    def contents(self, ref: PackageRef) -> PackageContents:
        """Manifest and entries, read from the package itself. FormatError when it is no package."""
        storage = self.seed_storage(ref)
        try:
            return read_package(LayoutFile(storage))  # type: ignore[arg-type]  # a raw file reads like any other
        finally:
            storage.close()

    def unique_bytes(self, *refs: PackageRef) -> int:
        """Bytes that removing all of these would free: of blobs that nothing else needs, and of copies in folders."""
        blobs = self._index.unique_bytes(*(ref.folder_name for ref in refs))
        with self._lock:
            records = [record for ref in set(refs) if (record := self._records.get(ref)) is not None]
        return blobs + sum(record.copied for record in records if record.is_installed)

    def needing(self, blob: BlobId) -> tuple[PackageRef, ...]:
        """Whose file it is."""
        folders = self._index.folders_needing(blob)
        with self._lock:
            return tuple(ref for ref in self._records if ref.folder_name in folders)

    # changes

    def register(
        self,
        ref: PackageRef,
        *,
        sha256: BlobId,
        skeleton: Skeleton,
        torrent: bytes,
        manifest: bytes,
        facts: Mapping[str, str],
    ) -> PackageRecord:
        """Make it one of the packages; its blobs are in the store. Harmless to repeat, and the end of a repair.

        Conflict for other bytes under the same name, and for a name that some systems take for another's.
        """
        with self._lock:
            old = self._records.get(ref)
            if old is not None:
                if old.sha256 != sha256:
                    raise Conflict(f"{ref} is here with other content")
                record = replace(old, removed_at=None, damaged=False, facts={**old.facts, **facts})
                self.save(record)
                return record
            name = ref.folder_name
            if any(other.folder_name.casefold() == name.casefold() for other in self._records):
                raise Conflict(f"{ref} cannot be told from another release on every system")
            record = PackageRecord(
                ref=ref, sha256=sha256, size=skeleton.total_length, added_at=self._wall(), facts=dict(facts)
            )
            fresh = self._root / f".{name}.new"
            with disk_errors():
                remove_tree(fresh)
                fresh.mkdir()
                write_file(fresh / _SKELETON, skeleton.encode())
                write_file(fresh / _TORRENT, torrent)
                write_file(fresh / _MANIFEST, manifest)
                write_file(fresh / _RECORD, record.to_json())
                sync_folder(fresh)
                os.replace(fresh, self._root / name)
                sync_folder(self._root)
            self._put_in_index(ref, skeleton)
            self._records[ref] = record
            self.changes += 1
            return record

    def save(self, record: PackageRecord) -> None:
        """Replace the record of a package that is here."""
        with self._lock:
            self.get(record.ref)
            replace_file(self.folder(record.ref) / _RECORD, record.to_json())
            self._records[record.ref] = record

    def update(self, ref: PackageRef, **changes: object) -> PackageRecord:
        """Change single fields of the record."""
        with self._lock:
            record = replace(self.get(ref), **changes)  # type: ignore[arg-type]  # the caller's types are the fields'
            self.save(record)
            return record

    def mark_damaged(self, blob: BlobId) -> tuple[PackageRef, ...]:
        """A blob was lost: whose package is not whole any more."""
        refs = self.needing(blob)
        with self._lock:
            for ref in refs:
                if ref in self._records and not self._records[ref].damaged:
                    self.update(ref, damaged=True)
        return refs

    def forget(self, ref: PackageRef) -> None:
        """Take it out for good; the sweep frees its blobs. Its installed files are not looked at."""
        with self._lock, disk_errors():
            self._records.pop(ref, None)
            self.changes += 1
            gone = self._root / f".{ref.folder_name}.gone"
            remove_tree(gone)
            try:
                os.replace(self.folder(ref), gone)
            except FileNotFoundError:
                pass
            sync_folder(self._root)
            self._index.delete_package(ref.folder_name)
            remove_tree(gone)

    def blobs_of(self, ref: PackageRef) -> dict[BlobId, int]:
        """Every blob it needs, with its size."""
        return {extent.blob: extent.size for extent in self.layout(ref).extents if isinstance(extent, Blob)}
