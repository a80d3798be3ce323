"""`.icpkg` packages: written deterministically and as a stream, read with suspicion (ic-workshop.md §1.4, DESIGN §3).

The header block, then at 4,096 a ZIP whose own offsets begin there, so that it still opens when cut out.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.catalog import FileEntry
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats import zipformat as z
from icworkshop_gui.formats.archive import CHUNK, ENTRIES_MAX, ArchiveEntry, read_archive, read_content
from icworkshop_gui.formats.header import HEADER_SIZE, Header, build_header, parse_header
from icworkshop_gui.formats.manifest import MANIFEST_MAX, MANIFEST_PATH, Manifest
from icworkshop_gui.formats.skeleton import LITERALS_MAX, FileSegment, Literal, Segment, Skeleton

_VERSION_PLAIN = 20
_VERSION_ZIP64 = 45
_MADE_BY_UNIX = 3 << 8
_MODE = 0o100644 << 16
_DATE = (1980 - 1980) << 9 | 1 << 5 | 1
"""1 January 1980, midnight: the least a ZIP can say, so that time says nothing."""

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; may raise to stop."""


class PackageFile(NamedTuple):
    """A file to put into a package."""

    path: str
    """Relative, with `/`."""
    size: int
    open: Callable[[], BinaryIO]
    """Called twice: once to hash, once to copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPackage:
    """What was written."""

    size: int
    sha256: str
    """Of the whole package, hex."""
    manifest: Manifest
    """With the files."""
    skeleton: Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContents:
    """A package whose structure, header and manifest were checked; its files' hashes were not yet."""

    header: Header
    manifest: Manifest
    """The canonical one, from inside."""
    raw_manifest: bytes
    """As it lies in the archive: the registry's `manifest_hash` is its SHA-256 (C3)."""
    entries: tuple[ArchiveEntry, ...]
    """Every file in the order of its bytes, the manifest included."""
    size: int
    """Bytes of the whole package."""

    def entry(self, path: str) -> ArchiveEntry | None:
        """The entry of this path, if there is one."""
        return next((entry for entry in self.entries if entry.path == path), None)


def read_package(file: BinaryIO) -> PackageContents:
    """Header, manifest and entries of a seekable package. FormatError says why it is none, or a dangerous one."""
    file.seek(0)
    header = parse_header(file.read(HEADER_SIZE))
    entries = read_archive(file, HEADER_SIZE)
    by_path = {entry.path: entry for entry in entries}
    if MANIFEST_PATH not in by_path:
        raise FormatError(f"a package without {MANIFEST_PATH}")
    raw_manifest = read_content(file, by_path[MANIFEST_PATH], size_max=MANIFEST_MAX)
    manifest = Manifest.parse(raw_manifest)
    if manifest.truncated:
        raise FormatError("a package whose own manifest is cut short")
    if not manifest.agrees_with(header.manifest):
        raise FormatError("a package whose header says something else than its manifest")
    if manifest.files:
        listed = {entry.path: entry.size for entry in manifest.files}
        if listed != {path: entry.size for path, entry in by_path.items() if path != MANIFEST_PATH}:
            raise FormatError("a package that does not hold the files that its manifest lists")
    return PackageContents(
        header=header, manifest=manifest, raw_manifest=raw_manifest, entries=entries, size=file.seek(0, 2)
    )


def write_package(
    out: BinaryIO, manifest: Manifest, files: Iterable[PackageFile], progress: Progress | None = None
) -> BuiltPackage:
    """Write the package that these are, from the current position of `out` on, without seeking.

    The same input is the same bytes, on every system. `manifest.files` is filled in from `files`, which are read twice
    (to hash, to copy) and never held. FormatError when a file changes meanwhile or a rule is broken; what opening,
    reading and writing raise goes through.
    """
    ordered = sorted(files, key=lambda file: file.path.encode(errors="surrogatepass"))
    if len(ordered) >= ENTRIES_MAX:
        raise FormatError(f"a package of more than {ENTRIES_MAX} files")
    # A first check of names and sizes, before long reading; the hashes are not known yet.
    unknown = "0" * 64
    manifest.with_files(FileEntry(path=file.path, size=file.size, sha256=unknown) for file in ordered).check()
    meter = _Meter(progress, 2 * sum(file.size for file in ordered))
    digests = [_digest(file, meter) for file in ordered]
    manifest = manifest.with_files(
        FileEntry(path=file.path, size=file.size, sha256=digest.sha256.hex())
        for file, digest in zip(ordered, digests, strict=True)
    )
    writer = _ArchiveWriter(out)
    writer.literal(build_header(manifest))
    raw_manifest = manifest.dump()
    writer.begin_entry(MANIFEST_PATH, len(raw_manifest), zlib.crc32(raw_manifest))
    writer.literal(raw_manifest)
    for file, digest in zip(ordered, digests, strict=True):
        writer.begin_entry(file.path, file.size, digest.crc)
        writer.content(file, digest.sha256, meter)
    writer.finish()
    sha256 = BlobId(writer.sha256.digest())
    if writer.position - manifest.installed_size > LITERALS_MAX:
        writer.segments = [FileSegment("", sha256, writer.position)]
    skeleton = Skeleton.of(writer.segments)
    return BuiltPackage(size=writer.position, sha256=sha256.hex(), manifest=manifest, skeleton=skeleton)


class _Meter:
    """Adds up what is done and tells."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)


class _Digest(NamedTuple):
    sha256: BlobId
    crc: int


def _chunks(file: PackageFile, meter: _Meter) -> Iterable[bytes]:
    """The content of a file that is exactly as long as it was said to be."""
    left = file.size
    with file.open() as stream:
        while left:
            chunk = stream.read(min(left, CHUNK))
            if not chunk:
                raise FormatError(f"{file.path} shrank while it was packed")
            left -= len(chunk)
            yield chunk
            meter.add(len(chunk))
        if stream.read(1):
            raise FormatError(f"{file.path} grew while it was packed")


def _digest(file: PackageFile, meter: _Meter) -> _Digest:
    sha256 = hashlib.sha256()
    crc = 0
    for chunk in _chunks(file, meter):
        sha256.update(chunk)
        crc = zlib.crc32(chunk, crc)
    return _Digest(BlobId(sha256.digest()), crc)


class _Written(NamedTuple):
    """An entry as the central directory must tell it."""

    name: bytes
    size: int
    crc: int
    offset: int


class _ArchiveWriter:
    """A ZIP of stored entries behind a header block, and the skeleton of what it wrote."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._entries: list[_Written] = []
        self.position = 0
        self.sha256 = hashlib.sha256()
        self.segments: list[Segment] = []

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.sha256.update(data)
        self.position += len(data)

    def literal(self, data: bytes) -> None:
        self._write(data)
        self.segments.append(Literal(data))

    def begin_entry(self, path: str, size: int, crc: int) -> None:
        name = path.encode()
        self._entries.append(_Written(name, size, crc, self.position - HEADER_SIZE))
        extra, (small_size,) = _zip64(size)
        if extra:
            # In a local header both sizes stand in the field (§4.5.3).
            extra = _zip64_field(size, size)
        version = _VERSION_ZIP64 if extra else _VERSION_PLAIN
        fields = (version, z.FLAG_UTF8, z.STORED, 0, _DATE, crc, small_size, small_size, len(name), len(extra))
        self.literal(z.LOCAL.pack(z.LOCAL_SIGNATURE, *fields) + name + extra)

    def content(self, file: PackageFile, sha256: BlobId, meter: _Meter) -> None:
        again = hashlib.sha256()
        for chunk in _chunks(file, meter):
            again.update(chunk)
            self._write(chunk)
        if again.digest() != sha256:
            raise FormatError(f"{file.path} changed while it was packed")
        self.segments.append(FileSegment(file.path, sha256, file.size))

    def finish(self) -> None:
        """Write the central directory and the end of the archive."""
        directory_offset = self.position - HEADER_SIZE
        directory = b"".join(map(_central, self._entries))
        end64 = b""
        count = len(self._entries)
        if count >= z.FULL16 or max(len(directory), directory_offset) >= z.FULL32:
            end64_offset = directory_offset + len(directory)
            version = _MADE_BY_UNIX | _VERSION_ZIP64
            rest = z.END64.size - 12
            fields = (rest, version, _VERSION_ZIP64, 0, 0, count, count, len(directory), directory_offset)
            end64 = z.END64.pack(z.END64_SIGNATURE, *fields)
            end64 += z.LOCATOR64.pack(z.LOCATOR64_SIGNATURE, 0, end64_offset, 1)
        small_count = min(count, z.FULL16)
        small = (min(len(directory), z.FULL32), min(directory_offset, z.FULL32))
        end = z.END.pack(z.END_SIGNATURE, 0, 0, small_count, small_count, *small, 0)
        self.literal(directory + end64 + end)


def _central(entry: _Written) -> bytes:
    extra, (size, offset) = _zip64(entry.size, entry.offset)
    if size == z.FULL32:
        # Size and packed size, one after the other; stored, they are the same.
        extra = _zip64_field(entry.size, entry.size, *([entry.offset] if offset == z.FULL32 else []))
    version = _VERSION_ZIP64 if extra else _VERSION_PLAIN
    head = (_MADE_BY_UNIX | version, version, z.FLAG_UTF8, z.STORED, 0, _DATE, entry.crc, size, size)
    tail = (len(entry.name), len(extra), 0, 0, 0, _MODE, offset)
    return z.CENTRAL.pack(z.CENTRAL_SIGNATURE, *head, *tail) + entry.name + extra


def _zip64(*values: int) -> tuple[bytes, Sequence[int]]:
    """The ZIP64 field for those values that need it (empty when none does), and what stands in their 32 bits."""
    large = [value for value in values if value >= z.FULL32]
    return _zip64_field(*large) if large else b"", [min(value, z.FULL32) for value in values]


def _zip64_field(*values: int) -> bytes:
    body = b"".join(value.to_bytes(8, "little") for value in values)
    return z.EXTRA_ZIP64.to_bytes(2, "little") + len(body).to_bytes(2, "little") + body
