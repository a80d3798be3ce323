"""Where each byte of a torrent lives (DESIGN §3): an ordered list of extents, and nothing about files or threads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from icworkshop_gui.core.errors import IntegrityError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats.metainfo import TorrentFile
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that the skeleton carries: ZIP headers, the package header."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Pad:
    """Zeros that nobody stores (BEP 47)."""

    size: int


@dataclass(frozen=True, slots=True)
class StagedBlob:
    """A file of the package that is being downloaded; its name in the staging folder is its SHA-256."""

    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of the package that the store has."""

    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A file below the storage's folder; `path` holds safe elements only (`formats.paths`)."""

    path: tuple[str, ...]
    size: int


Extent = Literal | Pad | StagedBlob | Blob | PlainFile


class Span(NamedTuple):
    """Part of a byte range that lies in one extent."""

    extent: Extent
    begin: int
    """First byte within the extent."""
    length: int


Range = tuple[int, int]
"""(offset, length)."""


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The bytes of these in order: ranges that touch or overlap become one, empty ones none."""
    found: list[Range] = []
    for offset, length in sorted(ranges):
        if not length:
            continue
        if found and offset <= sum(found[-1]):
            found[-1] = (found[-1][0], max(sum(found[-1]), offset + length) - found[-1][0])
        else:
            found.append((offset, length))
    return found


def whole_pieces(ranges: Iterable[Range], geometry: Geometry) -> list[int]:
    """Pieces that lie in one of these ranges entirely. Their hashes still have the last word."""
    pieces: list[int] = []
    for offset, length in ranges:
        first = -(-offset // geometry.piece_length)
        end = offset + length
        last = geometry.piece_count if end == geometry.total_length else end // geometry.piece_length
        pieces.extend(range(first, last))
    return pieces


class Layout:
    """Extents that follow one another without gaps. Immutable."""

    __slots__ = ("_ends", "extents", "total_length")

    def __init__(self, extents: Iterable[Extent]) -> None:
        self.extents = tuple(extents)
        self._ends = list(accumulate(extent.size for extent in self.extents))
        self.total_length = self._ends[-1] if self._ends else 0

    def locate(self, offset: int, length: int) -> Iterator[Span]:
        """Where `length` bytes from `offset` on live, in order. IndexError for bytes outside the torrent."""
        if offset < 0 or length < 0 or offset + length > self.total_length:
            raise IndexError(f"{length} bytes at {offset} of {self.total_length}")
        # bisect_right steps over extents of no bytes.
        index = bisect_right(self._ends, offset)
        while length:
            extent = self.extents[index]
            begin = offset - (self._ends[index] - extent.size)
            part = min(length, extent.size - begin)
            if part:
                yield Span(extent, begin, part)
            offset += part
            length -= part
            index += 1

    def known_ranges(self) -> list[Range]:
        """What is here without any download: literals, padding and stored blobs, merged."""
        ranges: list[Range] = []
        offset = 0
        for extent in self.extents:
            if isinstance(extent, Literal | Pad | Blob):
                ranges.append((offset, extent.size))
            offset += extent.size
        return merged(ranges)

    def staged_size(self) -> int:
        """Bytes that a download of everything missing puts on the disk."""
        return sum({extent.blob: extent.size for extent in self.extents if isinstance(extent, StagedBlob)}.values())

    def reused_size(self) -> int:
        """Bytes of the torrent that stored blobs give."""
        return sum(extent.size for extent in self.extents if isinstance(extent, Blob))


def layout_of_package(
    skeleton: Skeleton, stored: Callable[[BlobId], int | None], *, total_length: int | None = None
) -> Layout:
    """Every file of a package in the store or in staging; `stored` gives a blob's size where the store has it.

    IntegrityError when the skeleton contradicts itself, the store, or `total_length` (of the metainfo).
    """
    sizes: dict[BlobId, int] = {}
    known: dict[BlobId, int | None] = {}
    extents: list[Extent] = []
    for segment in skeleton.segments:
        if not isinstance(segment, FileSegment):
            extents.append(Literal(segment.data))
            continue
        blob, size = segment.sha256, segment.size
        if size < 0 or sizes.setdefault(blob, size) != size:
            raise IntegrityError(f"the skeleton gives file {blob} two sizes")
        if blob not in known:
            known[blob] = stored(blob)
        here = known[blob]
        if here is not None and here != size:
            raise IntegrityError(f"the skeleton gives file {blob} a wrong size")
        extents.append(StagedBlob(blob, size) if here is None else Blob(blob, size))
    layout = Layout(extents)
    if total_length is not None and layout.total_length != total_length:
        raise IntegrityError(f"the skeleton describes {layout.total_length} bytes of {total_length}")
    return layout


def layout_of_torrent(files: Iterable[TorrentFile], renamed: Mapping[int, tuple[str, ...]] | None = None) -> Layout:
    """Plain files below the storage's folder, in the order of the torrent; `renamed` by index among the files."""
    paths = renamed or {}
    return Layout(
        Pad(file.size) if file.is_pad else PlainFile(paths.get(index, file.path), file.size)
        for index, file in enumerate(files)
    )
