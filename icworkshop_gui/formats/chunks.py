"""Content-defined chunks: where files are cut, and the list of a package's chunks that an update is planned with.

Two sizes of chunk. The *outline* names every coarse chunk of every larger file; each coarse chunk is cut again into
fine ones, whose hashes lie apart so that only those of coarse chunks that differ need to be fetched (DESIGN §3).
Hashes are short: a chance or forged match costs a re-download, since piece and package hashes have the last word.

Layout of the outline, all unsigned LEB128 unless said otherwise: `ICCL`, one byte version, 32 bytes SHA-256 of the
package; then, for each distinct file of at least `FILE_MIN` bytes in the order of the skeleton, the number of its
coarse chunks and for each of them its hash (8 bytes; left out when the file is one chunk), its length and the number
of its fine chunks (0: it is not cut again). The fine hashes follow one another in the same order in a body of their
own, 8 bytes each: 6 bytes hash, u16 LE length.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from pyfastcdc import FastCDC

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton

COARSE_MIN, COARSE_AVERAGE, COARSE_MAX = 32 * KIB, 128 * KIB, 512 * KIB
FINE_MIN, FINE_AVERAGE, FINE_MAX = 1 * KIB, 4 * KIB, 16 * KIB
"""Bytes of a chunk (FastCDC 2020, normalisation 1). The cut points are part of the format: vectors in the tests."""
FILE_MIN = 8 * KIB
"""Bytes of a file from which its chunks are listed: less is fetched as a whole when it differs."""
COARSE_HASH, FINE_HASH = 8, 6
"""Bytes of SHA-256 that name a chunk."""
FINE_ENTRY = struct.Struct(f"<{FINE_HASH}sH")
OUTLINE_MAX = 16 * MIB
"""Bytes of an outline: that of a package of 100 GiB."""
COARSE_COUNT_MAX = 1_000_000
FINE_COUNT_MAX = COARSE_MAX // FINE_MIN
"""Fine chunks of one coarse chunk."""
_MAGIC = b"ICCL\x01"
_VARINT_MAX = 7
"""Bytes of one number: 49 bits."""


class Cut(NamedTuple):
    """One chunk of some bytes."""

    offset: int
    data: memoryview
    """Good until the next one is asked for."""


class Coarse(NamedTuple):
    """A coarse chunk as an outline lists it."""

    hash: bytes
    """Empty when the file is one chunk: the file's own SHA-256 says more."""
    length: int
    fine: int
    """Number of its first fine chunk in the package."""
    fine_count: int
    """0: it is not cut again."""


class Fine(NamedTuple):
    """What names a fine chunk; two with the same are taken for the same bytes."""

    hash: bytes
    length: int


class FileChunks(NamedTuple):
    """The coarse chunks of one file in the order of its bytes."""

    blob: BlobId
    size: int
    chunks: tuple[Coarse, ...]


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


def cut_coarse(stream: _Reads) -> Iterator[Cut]:
    """The coarse chunks of all that `stream` still gives; each must be used before the next. Raises what it raises."""
    offset = 0
    chunker = FastCDC(COARSE_AVERAGE, min_size=COARSE_MIN, max_size=COARSE_MAX, normalized_chunking=1)
    for chunk in chunker.cut_stream(stream):
        yield Cut(offset, chunk.data)
        offset += chunk.length


def cut_fine(coarse: bytes | memoryview) -> Iterator[Cut]:
    """The fine chunks of one coarse chunk: cut from its beginning, so that equal chunks are cut alike."""
    chunker = FastCDC(FINE_AVERAGE, min_size=FINE_MIN, max_size=FINE_MAX, normalized_chunking=1)
    for chunk in chunker.cut_buf(coarse):
        yield Cut(chunk.offset, chunk.data)


def coarse_hash(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()[:COARSE_HASH]


def fine_name(data: bytes | memoryview) -> Fine:
    return Fine(hashlib.sha256(data).digest()[:FINE_HASH], len(data))


@dataclass(frozen=True, slots=True)
class Outline:
    """The coarse chunks of a package."""

    package: BlobId
    """SHA-256 of the whole package."""
    files: tuple[FileChunks, ...]

    @property
    def fine_count(self) -> int:
        return sum(chunk.fine_count for file in self.files for chunk in file.chunks)

    def encode(self) -> bytes:
        out = bytearray(_MAGIC + self.package)
        for file in self.files:
            out += _varint(len(file.chunks))
            for chunk in file.chunks:
                out += chunk.hash + _varint(chunk.length) + _varint(chunk.fine_count)
        return bytes(out)

    @classmethod
    def decode(cls, raw: bytes, package: BlobId, skeleton: Skeleton) -> Outline:
        """From a stranger's bytes, for the package that these are of. FormatError says what is wrong."""
        if len(raw) > OUTLINE_MAX:
            raise FormatError(f"a chunk list of more than {OUTLINE_MAX} bytes")
        head = _MAGIC + package
        if raw[: len(head)] != head:
            raise FormatError("not a chunk list of this package that is known here")
        reader = _Reader(raw, len(head))
        files: list[FileChunks] = []
        fine = total = 0
        for segment in listed_files(skeleton):
            count = reader.number()
            total += count
            if not count or total > COARSE_COUNT_MAX:
                raise FormatError("a chunk list with too many chunks or too few")
            chunks: list[Coarse] = []
            size = 0
            for _ in range(count):
                name = reader.take(COARSE_HASH) if count > 1 else b""
                length, fine_count = reader.number(), reader.number()
                if not 0 < length <= COARSE_MAX or fine_count > FINE_COUNT_MAX or fine_count > length:
                    raise FormatError("a chunk list with an impossible chunk")
                chunks.append(Coarse(name, length, fine, fine_count))
                fine += fine_count
                size += length
            if size != segment.size:
                raise FormatError("a chunk list that is not of the files of this package")
            files.append(FileChunks(segment.sha256, segment.size, tuple(chunks)))
        if not reader.is_at_end:
            raise FormatError("a chunk list with more in it than the package has")
        return cls(package, tuple(files))


@dataclass(frozen=True, slots=True)
class ChunkList:
    """Everything about a package's chunks, as it is built when the package is published."""

    outline: Outline
    fine: bytes
    """The fine hashes, encoded."""


def listed_files(skeleton: Skeleton) -> list[FileSegment]:
    """The files whose chunks are listed: each content once, in order."""
    distinct = {file.sha256: file for file in reversed(skeleton.files) if file.size >= FILE_MIN}
    return list(reversed(distinct.values()))


def chunk_package(package: BinaryIO, skeleton: Skeleton, sha256: BlobId) -> ChunkList:
    """Cut the files of a whole package. Reads it once, blocks meanwhile. FormatError when it is cut off."""
    offsets: dict[BlobId, int] = {}
    for offset, segment in skeleton.with_offsets():
        if isinstance(segment, FileSegment):
            offsets.setdefault(segment.sha256, offset)
    files: list[FileChunks] = []
    fine = bytearray()
    for file in listed_files(skeleton):
        package.seek(offsets[file.sha256])
        chunks: list[Coarse] = []
        for cut in cut_coarse(_Span(package, file.size)):
            first = len(fine) // FINE_ENTRY.size
            parts = [FINE_ENTRY.pack(*fine_name(part.data)) for part in cut_fine(cut.data)]
            if len(parts) > 1:
                fine += b"".join(parts)
            chunks.append(Coarse(coarse_hash(cut.data), len(cut.data), first, len(parts) if len(parts) > 1 else 0))
        if sum(chunk.length for chunk in chunks) != file.size:
            raise FormatError("the package is cut off")
        if len(chunks) == 1:
            chunks = [chunks[0]._replace(hash=b"")]
        files.append(FileChunks(file.sha256, file.size, tuple(chunks)))
    return ChunkList(Outline(sha256, tuple(files)), bytes(fine))


def read_fine(raw: bytes, chunks: list[Coarse]) -> list[tuple[Fine, ...]]:
    """The fine chunks of these coarse ones, from a stranger's bytes that hold nothing else. FormatError."""
    if len(raw) != FINE_ENTRY.size * sum(chunk.fine_count for chunk in chunks):
        raise FormatError("a list of fine chunks of the wrong length")
    entries = [Fine(*entry) for entry in FINE_ENTRY.iter_unpack(raw)]
    found: list[tuple[Fine, ...]] = []
    at = 0
    for chunk in chunks:
        part = tuple(entries[at : at + chunk.fine_count])
        at += chunk.fine_count
        if part and sum(entry.length for entry in part) != chunk.length:
            raise FormatError("fine chunks that do not add up to their coarse one")
        found.append(part)
    return found


def spans_of(chunks: Iterable[Coarse]) -> list[tuple[int, int]]:
    """The numbers (first, last) of the fine chunks of these coarse ones, in order; neighbours as one span."""
    spans: list[tuple[int, int]] = []
    for chunk in chunks:
        if not chunk.fine_count:
            continue
        last = chunk.fine + chunk.fine_count - 1
        if spans and spans[-1][1] + 1 == chunk.fine:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((chunk.fine, last))
    return spans


class _Span:
    """The next `size` bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class _Reader:
    """Takes an outline apart. FormatError where it breaks off."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw = raw
        self._at = at

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._raw)

    def take(self, size: int) -> bytes:
        data = self._raw[self._at : self._at + size]
        if len(data) != size:
            raise FormatError("a chunk list that breaks off")
        self._at += size
        return data

    def number(self) -> int:
        value = shift = 0
        for at in range(self._at, min(self._at + _VARINT_MAX, len(self._raw))):
            byte = self._raw[at]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                self._at = at + 1
                return value
        raise FormatError("a chunk list that breaks off, or with a number that is too long")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
