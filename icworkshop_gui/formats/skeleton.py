"""A package's bytes taken apart: which stretches are the content of a file, and the little that is not.

Whoever has a skeleton and the files by SHA-256 has the package, byte for byte: so a download is written straight
into files, and files are seeded as the package, without an archive beside them (DESIGN §3).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.formats.archive import CHUNK, read_archive
from icworkshop_gui.formats.bencode import BencodeLimits, Value, decode, encode
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.formats.manifest import MANIFEST_PATH, is_package_path

LITERALS_MAX = 8 * MIB
"""Bytes of all literals together; a package with more is kept whole."""
SKELETON_LIMITS = BencodeLimits(size=64 * MIB, depth=4, tokens=1_000_000)
"""For skeletons from a registry."""
SEGMENTS_MAX = 200_001
REMEMBERED = 2
"""Skeletons that are kept decoded."""
TOTAL_MAX = 2**63 - 1
"""Bytes of one package."""
_FORMAT = 1


class Literal(NamedTuple):
    """Bytes that belong to no file: headers, the manifest, the archive's directory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


class FileSegment(NamedTuple):
    """The whole content of one file, as it is."""

    path: str
    """Empty: the package itself, kept whole because its files do not lie open in it."""
    sha256: BlobId
    size: int
    """Bytes; may be 0."""


Segment = Literal | FileSegment


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The segments of a package in the order of their bytes. Two literals never touch, and none is empty."""

    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> Skeleton:
        """From segments in order; literals that touch become one. FormatError when a rule is broken."""
        joined: list[Segment] = []
        pending = bytearray()
        for segment in segments:
            if isinstance(segment, Literal):
                pending += segment.data
                continue
            if pending:
                joined.append(Literal(bytes(pending)))
                pending.clear()
            joined.append(segment)
        if pending:
            joined.append(Literal(bytes(pending)))
        skeleton = cls(tuple(joined))
        skeleton._check()
        return skeleton

    @classmethod
    def from_package(cls, file: BinaryIO) -> Skeleton:
        """Reads a whole package once. Files that are stored become segments, all else literals.

        The manifest is a literal, so that a skeleton says what the package holds. FormatError for no package.
        """
        file.seek(0)
        parse_header(file.read(HEADER_SIZE))
        entries = read_archive(file, HEADER_SIZE)
        total = file.seek(0, 2)
        stored = [entry for entry in entries if entry.is_stored and entry.path != MANIFEST_PATH]
        if total - sum(entry.size for entry in stored) > LITERALS_MAX:
            return cls.of([FileSegment("", _hash_span(file, 0, total), total)])
        segments: list[Segment] = []
        position = 0
        for entry in stored:
            segments.append(Literal(_read_span(file, position, entry.offset - position)))
            segments.append(FileSegment(entry.path, _hash_span(file, entry.offset, entry.size), entry.size))
            position = entry.offset + entry.size
        segments.append(Literal(_read_span(file, position, total - position)))
        return cls.of(segments)

    @property
    def total_length(self) -> int:
        """Bytes of the package."""
        return sum(segment.size for segment in self.segments)

    @property
    def files(self) -> tuple[FileSegment, ...]:
        return tuple(segment for segment in self.segments if isinstance(segment, FileSegment))

    @property
    def is_whole(self) -> bool:
        """The package is one blob and its files must be unpacked."""
        return len(self.segments) == 1 and isinstance(self.segments[0], FileSegment) and not self.segments[0].path

    def with_offsets(self) -> Iterator[tuple[int, Segment]]:
        """Each segment with the offset of its first byte in the package."""
        offset = 0
        for segment in self.segments:
            yield offset, segment
            offset += segment.size

    def encode(self) -> bytes:
        """Bencoded; the same skeleton is the same bytes."""
        segments: list[list[object]] = [
            [segment.data] if isinstance(segment, Literal) else [segment.path, bytes(segment.sha256), segment.size]
            for segment in self.segments
        ]
        return encode({"segments": segments, "version": _FORMAT})

    @classmethod
    def decode(cls, data: bytes) -> Skeleton:
        """From a stranger's bytes. FormatError says what is wrong.

        The last ones are remembered: an installation asks for the same a dozen times.
        """
        return _decoded(data)

    def _check(self) -> None:
        if len(self.segments) > SEGMENTS_MAX:
            raise FormatError(f"a skeleton of more than {SEGMENTS_MAX} segments")
        if sum(segment.size for segment in self.segments if isinstance(segment, Literal)) > LITERALS_MAX:
            raise FormatError(f"a skeleton with more than {LITERALS_MAX} literal bytes")
        if not 0 < self.total_length <= TOTAL_MAX:
            raise FormatError("a skeleton of nothing, or of more than there is")
        if self.is_whole:
            return
        paths = set()
        for segment in self.files:
            if segment.size < 0 or not is_package_path(segment.path):
                raise FormatError("a skeleton with a file that could not be made on every system")
            if segment.path in paths:
                raise FormatError("a skeleton with the same file twice")
            paths.add(segment.path)


@functools.lru_cache(maxsize=REMEMBERED)
def _decoded(data: bytes) -> Skeleton:
    root = decode(data, limits=SKELETON_LIMITS)
    if not isinstance(root, dict) or root.get(b"version") != _FORMAT:
        raise FormatError("not a skeleton that is known here")
    listed = root.get(b"segments")
    if not isinstance(listed, list):
        raise FormatError("a skeleton without segments")
    return Skeleton.of(_segment(item) for item in listed)


def _segment(item: Value) -> Segment:
    match item:
        case [bytes(data)]:
            return Literal(data)
        case [bytes(path), bytes(sha256), int(size)] if len(sha256) == BlobId.SIZE and size >= 0:
            try:
                return FileSegment(path.decode(), BlobId(sha256), size)
            except UnicodeDecodeError as error:
                raise FormatError("a skeleton with a path that is not UTF-8") from error
        case _:
            raise FormatError("a skeleton with a malformed segment")


def _read_span(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise FormatError("the package is cut off")
    return data


def _hash_span(file: BinaryIO, offset: int, size: int) -> BlobId:
    file.seek(offset)
    digest = hashlib.sha256()
    while size:
        chunk = file.read(min(size, CHUNK))
        if not chunk:
            raise FormatError("the package is cut off")
        digest.update(chunk)
        size -= len(chunk)
    return BlobId(digest.digest())
