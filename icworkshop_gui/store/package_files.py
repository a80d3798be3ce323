"""The files of a stored package: listed, hashed, made for the game."""

from __future__ import annotations

import hashlib
from typing import BinaryIO, cast

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.formats.archive import ArchiveEntry, iter_content, read_archive
from icworkshop_gui.formats.header import HEADER_SIZE
from icworkshop_gui.formats.namespace import SourceFile
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from icworkshop_gui.store.blobs import BlobStore
from icworkshop_gui.store.clone import FileMaker
from icworkshop_gui.store.durable import disk_errors
from icworkshop_gui.store.hashing import Cancel, Cancelled, never
from icworkshop_gui.store.layout_file import LayoutFile
from icworkshop_gui.store.packages import Packages


class OpenPackage:
    """The package as a file, its skeleton and its checked entries, while a `with` lasts."""

    def __init__(self, packages: Packages, ref: PackageRef) -> None:
        self._skeleton = packages.skeleton(ref)
        self._storage = packages.seed_storage(ref)

    def __enter__(self) -> tuple[BinaryIO, Skeleton, tuple[ArchiveEntry, ...]]:
        file = cast("BinaryIO", LayoutFile(self._storage))
        try:
            # Manifest and header were read when the package came into the store.
            return file, self._skeleton, read_archive(file, HEADER_SIZE)
        except BaseException:
            self._storage.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._storage.close()


def segments_of(skeleton: Skeleton) -> dict[int, FileSegment]:
    """By offset in the package. Their paths are not used: the archive's own, covered by its SHA-256, are the truth."""
    return {offset: segment for offset, segment in skeleton.with_offsets() if isinstance(segment, FileSegment)}


def segment_of(entry: ArchiveEntry, segments: dict[int, FileSegment]) -> FileSegment | None:
    """The segment that is exactly this file's content; None for a file that must be unpacked."""
    segment = segments.get(entry.offset)
    return segment if segment is not None and entry.is_stored and segment.size == entry.size and segment.path else None


def make_file(
    blobs: BlobStore,
    maker: FileMaker,
    package: BinaryIO,
    entry: ArchiveEntry,
    segment: FileSegment | None,
    target: str,
    cancel: Cancel = never,
) -> bool:
    """Make `target`, whose folder is there. True when it was unpacked and is to be flushed. StorageError,
    Cancelled."""
    if segment is not None:
        blob = blobs.path(segment.sha256)
        if not blobs.has(segment.sha256):
            raise StorageError(StorageFault.CHANGED, str(blob))
        with disk_errors():
            maker.make(blob, target)
        return False
    with disk_errors(), open(target, "xb") as out:
        for chunk in iter_content(package, entry):
            if cancel():
                raise Cancelled
            out.write(chunk)
    maker.copied += entry.size
    return True


def list_files(packages: Packages, ref: PackageRef) -> tuple[SourceFile, ...]:
    """Every file with its SHA-256; those of a compressed package are unpacked for that. StorageError,
    FormatError."""
    found = []
    with OpenPackage(packages, ref) as (file, skeleton, entries):
        segments = segments_of(skeleton)
        for entry in entries:
            segment = segment_of(entry, segments)
            if segment is not None:
                sha256: bytes = segment.sha256
            else:
                whole = hashlib.sha256()
                for chunk in iter_content(file, entry):
                    whole.update(chunk)
                sha256 = whole.digest()
            found.append(SourceFile(entry.path, bytes(sha256), entry.size))
    return tuple(found)
