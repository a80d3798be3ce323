"""Which bytes of a new package are here already, inside files that are not the same (DESIGN §3, "Reuse").

First the coarse chunks of what older versions had and the new one has not, then what other packages have as far as
reading it is worth it; then, where a coarse chunk is not here, fine chunks inside those that it may have become of.
A match is a guess: nothing of it counts before a piece hash says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from icworkshop_gui.core.catalog import PackageRef, version_key
from icworkshop_gui.core.errors import StorageError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import KIB
from icworkshop_gui.formats.chunks import (
    COARSE_HASH,
    COARSE_MIN,
    FINE_MIN,
    Coarse,
    Fine,
    Outline,
    coarse_hash,
    cut_coarse,
    cut_fine,
    fine_name,
)
from icworkshop_gui.formats.skeleton import Skeleton
from icworkshop_gui.store.durable import disk_errors
from icworkshop_gui.store.hashing import Cancel, Cancelled, Progress
from icworkshop_gui.store.layout import Layout, Range, StagedBlob, merged
from icworkshop_gui.store.parallel import Sum, in_parallel

if TYPE_CHECKING:
    from icworkshop_gui.store.store import Store

WORTH_LOOKING = 64 * KIB
"""Bytes that must be missing: to ask for the list of chunks and to read costs something too."""
READ_FOR_ONE = 16
"""Bytes of other packages that are read, at most, for each byte that is missing."""
_LOCAL = struct.Struct(f"<{COARSE_HASH}sI")
_COPY = struct.Struct("<32s32sQQQ")


class Copy(NamedTuple):
    """Bytes of a file of the new package that a stored blob seems to have."""

    blob: BlobId
    """The new file."""
    offset: int
    """In it."""
    source: BlobId
    source_offset: int
    length: int


def encode_copies(copies: Iterable[Copy]) -> bytes:
    return b"".join(_COPY.pack(copy.blob, copy.source, copy.offset, copy.source_offset, copy.length) for copy in copies)


def decode_copies(raw: bytes) -> list[Copy]:
    """What `encode_copies` wrote; a part of an entry at the end is not there."""
    whole = len(raw) - len(raw) % _COPY.size
    return [
        Copy(BlobId(blob), offset, BlobId(source), source_offset, length)
        for blob, source, offset, source_offset, length in _COPY.iter_unpack(raw[:whole])
    ]


class _Here(NamedTuple):
    """A coarse chunk of a stored blob."""

    blob: BlobId
    offset: int
    length: int


class ReuseSearch:
    """One search for one package. Its methods block; nothing is written but the index of chunks."""

    def __init__(self, store: Store, ref: PackageRef, skeleton: Skeleton) -> None:
        """StorageError."""
        self._store = store
        self._ref = ref
        self._new = {file.sha256: file.size for file in skeleton.files}
        store.blobs.recall(self._new)
        self._lacking = {blob: size for blob, size in self._new.items() if store.blobs.size(blob) is None}
        self._names: dict[bytes, int] = {}
        """Coarse chunks of files that are lacking, by hash, with their lengths."""
        self._outline = Outline(BlobId(bytes(BlobId.SIZE)), ())
        self._coarse: dict[bytes, _Here] = {}
        self._loose: dict[bytes, _Here] = {}
        """Coarse chunks that the new package has not: what those that it has may have become of."""
        self._fine: dict[Coarse, tuple[Fine, ...]] = {}
        self._parts: dict[Fine, tuple[BlobId, int]] = {}

    @property
    def lacking(self) -> int:
        """Bytes of the files that are not here."""
        return sum(self._lacking.values())

    def is_worth_it(self) -> bool:
        """May there be anything to find?"""
        if self.lacking < WORTH_LOOKING:
            return False
        return bool(self._old_versions() or self._others())

    def find_coarse(self, outline: Outline, progress: Progress, cancel: Cancel) -> list[Coarse]:
        """Look for coarse chunks; those that are still lacking and are cut again. StorageError, Cancelled."""
        self._outline = outline
        self._names = {
            chunk.hash: chunk.length
            for file in outline.files
            if file.blob in self._lacking
            for chunk in file.chunks
            if chunk.hash
        }
        total = Sum(progress)
        old = self._old_versions()
        self._take(self._scan(old, total, cancel), loose=True)
        left = sum(chunk.length for chunk in self._unmatched())
        if left >= WORTH_LOOKING and self._names:
            self._take(self._scan(self._affordable(left, set(old)), total, cancel), loose=False)
        return [chunk for chunk in self._unmatched() if chunk.fine_count]

    def find_fine(self, lists: Iterable[tuple[Coarse, tuple[Fine, ...]]], progress: Progress, cancel: Cancel) -> None:
        """Look for the fine chunks of coarse ones, in what is here and left over. StorageError, Cancelled."""
        self._fine = dict(lists)
        wanted = {part for parts in self._fine.values() for part in parts}
        budget = READ_FOR_ONE * sum(chunk.length for chunk in self._fine)
        chosen: list[_Here] = []
        for here in self._loose.values():
            if budget < here.length:
                break
            budget -= here.length
            chosen.append(here)
        total = Sum(progress)

        def look(here: _Here) -> list[tuple[Fine, int]]:
            if cancel():
                raise Cancelled
            found: list[tuple[Fine, int]] = []
            try:
                data = self._store.blobs.read(here.blob, here.offset, here.length)
            except StorageError:
                return found
            for cut in cut_fine(data):
                name = fine_name(cut.data)
                if name in wanted:
                    found.append((name, here.offset + cut.offset))
            total.add(here.length)
            return found

        for here, found in zip(chosen, in_parallel(look, chosen), strict=True):
            for name, offset in found:
                self._parts.setdefault(name, (here.blob, offset))

    def copies(self) -> list[Copy]:
        """What was found, in the order of the package; neighbours that lie side by side are one."""
        found: list[Copy] = []
        for file in self._outline.files:
            if file.blob not in self._lacking:
                continue
            offset = 0
            for chunk in file.chunks:
                here = self._match(chunk)
                if here is not None:
                    add_copy(found, Copy(file.blob, offset, here.blob, here.offset, chunk.length))
                else:
                    at = offset
                    for part in self._fine.get(chunk, ()):
                        place = self._parts.get(part)
                        if place is not None:
                            add_copy(found, Copy(file.blob, at, *place, part.length))
                        at += part.length
                offset += chunk.length
        return found

    # --- inside ------------------------------------------------------------------------------------

    def _match(self, chunk: Coarse) -> _Here | None:
        here = self._coarse.get(chunk.hash)
        return here if here is not None and here.length == chunk.length else None

    def _unmatched(self) -> list[Coarse]:
        return [
            chunk
            for file in self._outline.files
            if file.blob in self._lacking
            for chunk in file.chunks
            if self._match(chunk) is None
        ]

    def _old_versions(self) -> dict[BlobId, int]:
        """Files that other versions have and this one has not, the newest version's first, with their sizes."""
        packages = self._store.packages
        records = [
            record
            for record in (*packages.list(), *packages.removed())
            if record.ref.package == self._ref.package and record.ref != self._ref
        ]
        records.sort(key=lambda record: version_key(record.ref.version), reverse=True)
        return {
            file.blob: file.size
            for record in records
            for file in self._store.index.package_files(record.ref.folder_name)
            if file.size >= FINE_MIN and file.blob not in self._new
        }

    def _others(self) -> dict[BlobId, int]:
        return {blob: size for blob, size in self._store.index.large_files(COARSE_MIN) if blob not in self._lacking}

    def _affordable(self, left: int, seen: set[BlobId]) -> dict[BlobId, int]:
        """Files of other packages: those that were cut before, and as many more as it is worth to read."""
        known = self._store.index.chunked_blobs()
        budget = READ_FOR_ONE * left
        chosen: dict[BlobId, int] = {}
        for blob, size in self._others().items():
            if blob in seen:
                continue
            if blob not in known:
                if budget < size:
                    continue
                budget -= size
            chosen[blob] = size
        return chosen

    def _scan(self, blobs: dict[BlobId, int], total: Sum, cancel: Cancel) -> list[tuple[BlobId, bytes]]:
        """The coarse chunks of these blobs, packed; from the index where it has them."""
        index = self._store.index

        def look(blob: BlobId) -> bytes:
            if cancel():
                raise Cancelled
            known = index.chunks(blob)
            if known is not None:
                return known
            packed = bytearray()
            try:
                with self._store.blobs.open(blob) as file, disk_errors():
                    for cut in cut_coarse(file):
                        if cancel():
                            raise Cancelled
                        packed += _LOCAL.pack(coarse_hash(cut.data), len(cut.data))
                        total.add(len(cut.data))
            except StorageError:
                return b""  # lost or damaged since: another may have it
            index.put_chunks(blob, bytes(packed))
            return bytes(packed)

        return list(zip(blobs, in_parallel(look, list(blobs)), strict=True))

    def _take(self, scanned: Sequence[tuple[BlobId, bytes]], *, loose: bool) -> None:
        """Note what is of use in these. `loose`: also the chunks of files that have nothing in common with ours."""
        for blob, packed in scanned:
            offset = 0
            strange: dict[bytes, _Here] = {}
            related = loose
            for name, length in _LOCAL.iter_unpack(packed):
                here = _Here(blob, offset, length)
                offset += length
                if self._names.get(name) == length:
                    self._coarse.setdefault(name, here)
                    related = True
                else:
                    strange[name] = here
            if related:
                for name, here in strange.items():
                    self._loose.setdefault(name, here)


def add_copy(found: list[Copy], more: Copy) -> None:
    """At the end of the list; one that goes on where the last one ends becomes part of it."""
    if found:
        last = found[-1]
        if (
            (last.blob, last.source) == (more.blob, more.source)
            and last.offset + last.length == more.offset
            and last.source_offset + last.length == more.source_offset
        ):
            found[-1] = last._replace(length=last.length + more.length)
            return
    found.append(more)


def known_ranges(layout: Layout, copies: Iterable[Copy]) -> list[Range]:
    """(offset, length) in the package of what is here, and of what these copies would bring here."""
    by_blob: dict[BlobId, list[Copy]] = {}
    for copy in copies:
        by_blob.setdefault(copy.blob, []).append(copy)
    ranges = layout.known_ranges()
    offset = 0
    for extent in layout.extents:
        if isinstance(extent, StagedBlob):
            ranges += [(offset + copy.offset, copy.length) for copy in by_blob.get(extent.blob, ())]
        offset += extent.size
    return merged(ranges)


def read_copies(path: Path) -> list[Copy]:
    """From a file; none when it is not there. StorageError."""
    with disk_errors():
        try:
            return decode_copies(path.read_bytes())
        except FileNotFoundError:
            return []
