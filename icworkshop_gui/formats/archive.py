"""The ZIP inside a package, read as a hostile thing: every structure is checked before a byte of content is used.

The standard library's reader believes the central directory and finds out late; here the two accounts of each
entry must agree, entries may not share bytes, and sizes are capped before anything is unpacked (engine.md F D-4).
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import GIB, MIB
from icworkshop_gui.formats import zipformat as z
from icworkshop_gui.formats.manifest import is_package_path
from icworkshop_gui.formats.paths import collision_key

ENTRIES_MAX = 100_000
"""Entries of one archive, folders included."""
DIRECTORY_MAX = 64 * MIB
"""Bytes of the central directory."""
RATIO_MAX = 200
"""How often larger than its compressed bytes a file may become; deflate itself reaches 1,032."""
RATIO_FREE_SIZE = MIB
"""A file up to this size may be compressed as well as it likes."""
UNPACKED_MAX = 64 * GIB
"""Bytes of all files together."""
CHUNK = MIB
"""Bytes handed out at once."""

_COMMENT_MAX = 0xFFFF
_REGULAR = frozenset({0, stat.S_IFREG})


class ArchiveEntry(NamedTuple):
    """One file of an archive."""

    path: str
    """Safe on every system."""
    size: int
    """Unpacked bytes."""
    is_stored: bool
    """Its bytes lie in the package as they are."""
    offset: int
    """Of its first (packed) byte, from the start of the file that was read."""
    packed_size: int
    crc: int


class _Central(NamedTuple):
    """An entry as the central directory tells it; offsets from the start of the archive."""

    raw_name: bytes
    is_utf8: bool
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    mode: int
    offset: int


def read_archive(file: BinaryIO, start: int) -> tuple[ArchiveEntry, ...]:
    """The files of the archive that reaches from `start` to the end of `file`, in the order of their bytes.

    FormatError when anything about it is broken, ambiguous, or dangerous to unpack.
    """
    file_size = file.seek(0, 2)
    if file_size < start + z.END.size:
        raise FormatError("the archive is cut off")
    directory_offset, directory_size, count = _read_end(file, start, file_size)
    file.seek(start + directory_offset)
    directory = _read_exactly(file, directory_size)
    central = sorted(_read_directory(directory, count), key=lambda entry: entry.offset)
    entries = []
    keys: set[str] = set()
    folders: set[str] = set()
    end_of_last = unpacked = 0
    for told in central:
        if told.offset < end_of_last:
            raise FormatError("an archive whose entries overlap")
        path, is_folder = _path(told)
        data_offset = _check_local(file, start, told, directory_offset)
        end_of_last = data_offset + told.packed_size
        if end_of_last > directory_offset:
            raise FormatError("an archive entry that reaches into the directory")
        key = collision_key(path.split("/"))
        if is_folder:
            if told.size:
                raise FormatError("a folder with content in an archive")
            folders.add(key)
            continue
        _check_kind(told)
        unpacked += told.size
        if unpacked > UNPACKED_MAX:
            raise FormatError(f"an archive that unpacks to more than {UNPACKED_MAX} bytes")
        if key in keys:
            raise FormatError("two files in an archive that some systems take for one")
        keys.add(key)
        while key := key.rpartition("/")[0]:
            folders.add(key)
        is_stored = told.method == z.STORED
        entries.append(ArchiveEntry(path, told.size, is_stored, start + data_offset, told.packed_size, told.crc))
    if keys & folders:
        raise FormatError("a path in an archive that is a file and a folder at once")
    return tuple(entries)


def iter_content(file: BinaryIO, entry: ArchiveEntry) -> Iterator[bytes]:
    """The unpacked bytes of one entry, in chunks. FormatError when they are not as long, or not what, was stated."""
    file.seek(entry.offset)
    crc = done = 0
    for chunk in _unpacked(file, entry):
        done += len(chunk)
        if done > entry.size:
            raise FormatError(f"{entry.path} unpacks to more than was stated")
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if done != entry.size:
        raise FormatError(f"{entry.path} unpacks to less than was stated")
    if crc != entry.crc:
        raise FormatError(f"{entry.path} does not have the checksum that was stated")


def _unpacked(file: BinaryIO, entry: ArchiveEntry) -> Iterator[bytes]:
    left = entry.packed_size
    inflater = None if entry.is_stored else zlib.decompressobj(-zlib.MAX_WBITS)
    while left:
        packed = _read_exactly(file, min(left, CHUNK))
        left -= len(packed)
        if inflater is None:
            yield packed
            continue
        while packed and not inflater.eof:
            try:
                chunk = inflater.decompress(packed, CHUNK)
            except zlib.error as error:
                raise FormatError(f"{entry.path} is not what deflate writes") from error
            packed = inflater.unconsumed_tail
            if chunk:
                yield chunk
        if inflater.eof and (inflater.unused_data or left):
            raise FormatError(f"{entry.path} has bytes behind its compressed data")
    if inflater is not None and not inflater.eof:
        # All input is inside; what is still held back comes out here, still no more than a chunk at a time.
        while chunk := inflater.decompress(b"", CHUNK):
            yield chunk
        if not inflater.eof:
            raise FormatError(f"{entry.path} breaks off")


def read_content(file: BinaryIO, entry: ArchiveEntry, *, size_max: int) -> bytes:
    """A small file as one piece of memory. FormatError when it is larger than `size_max`, or damaged."""
    if entry.size > size_max:
        raise FormatError(f"{entry.path} is larger than {size_max} bytes")
    return b"".join(iter_content(file, entry))


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise FormatError("the archive is cut off")
    return data


def _read_end(file: BinaryIO, start: int, file_size: int) -> tuple[int, int, int]:
    """Offset from the archive's start, size and number of entries of the central directory."""
    tail_size = min(file_size - start, z.END.size + _COMMENT_MAX)
    file.seek(file_size - tail_size)
    tail = _read_exactly(file, tail_size)
    at = tail.rfind(z.END_SIGNATURE)
    # Only the end record whose comment reaches exactly to the end of the file is one.
    while at >= 0 and not _is_end(tail, at):
        at = tail.rfind(z.END_SIGNATURE, 0, at)
    if at < 0:
        raise FormatError("no archive where it should be")
    _, disk, directory_disk, here, count, size, offset, _ = z.END.unpack_from(tail, at)
    end = file_size - start - tail_size + at
    if z.FULL16 in (disk, directory_disk, here, count) or z.FULL32 in (size, offset):
        end, disk, directory_disk, here, count, size, offset = _read_end64(file, start, end)
    if disk or directory_disk or here != count:
        raise FormatError("an archive in several parts")
    if count > ENTRIES_MAX:
        raise FormatError(f"an archive of more than {ENTRIES_MAX} entries")
    if size > DIRECTORY_MAX:
        raise FormatError(f"an archive whose directory is larger than {DIRECTORY_MAX} bytes")
    if offset + size != end:
        raise FormatError("an archive whose directory is not where it is said to be")
    return offset, size, count


def _is_end(tail: bytes, at: int) -> bool:
    return at + z.END.size <= len(tail) and at + z.END.size + z.END.unpack_from(tail, at)[-1] == len(tail)


def _read_end64(file: BinaryIO, start: int, end: int) -> tuple[int, int, int, int, int, int, int]:
    if end < z.LOCATOR64.size:
        raise FormatError("a ZIP64 archive without its locator")
    file.seek(start + end - z.LOCATOR64.size)
    signature, disk, offset64, disks = z.LOCATOR64.unpack(_read_exactly(file, z.LOCATOR64.size))
    if signature != z.LOCATOR64_SIGNATURE or disk or disks != 1:
        raise FormatError("a ZIP64 archive without its locator")
    if offset64 + z.END64.size > end - z.LOCATOR64.size:
        raise FormatError("a ZIP64 archive without its end record")
    file.seek(start + offset64)
    signature, rest, _, _, disk, directory_disk, here, count, size, offset = z.END64.unpack(
        _read_exactly(file, z.END64.size)
    )
    if signature != z.END64_SIGNATURE or offset64 + 12 + rest != end - z.LOCATOR64.size:
        raise FormatError("a ZIP64 archive without its end record")
    return offset64, disk, directory_disk, here, count, size, offset


def _read_directory(directory: bytes, count: int) -> Iterator[_Central]:
    at = 0
    for _ in range(count):
        if at + z.CENTRAL.size > len(directory):
            raise FormatError("an archive directory that breaks off")
        fields = z.CENTRAL.unpack_from(directory, at)
        signature, _, _, flags, method, _, _, crc, packed, size, name_len, extra_len, comment_len = fields[:13]
        disk, _, attributes, offset = fields[13:]
        at += z.CENTRAL.size
        end = at + name_len + extra_len + comment_len
        if signature != z.CENTRAL_SIGNATURE or end > len(directory):
            raise FormatError("a damaged archive directory")
        name = directory[at : at + name_len]
        extra = directory[at + name_len : at + name_len + extra_len]
        size, packed, offset = _widened(extra, [size, packed, offset])
        if disk:
            raise FormatError("an archive in several parts")
        is_utf8 = bool(flags & z.FLAG_UTF8)
        yield _Central(name, is_utf8, flags, method, crc, packed, size, attributes >> 16, offset)
        at = end
    if at != len(directory):
        raise FormatError("an archive directory with more in it than its entries")


def _widened(extra: bytes, values: list[int]) -> list[int]:
    """The values, those that do not fit 32 bits taken from the ZIP64 field (§4.5.3)."""
    if z.FULL32 not in values:
        return values
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind != z.EXTRA_ZIP64:
            at += length
            continue
        field = extra[at : at + length]
        widened = []
        for value in values:
            if value == z.FULL32:
                if len(field) < 8:
                    raise FormatError("a ZIP64 entry without its sizes")
                value = int.from_bytes(field[:8], "little")
                field = field[8:]
            widened.append(value)
        return widened
    raise FormatError("a ZIP64 entry without its sizes")


def _path(told: _Central) -> tuple[str, bool]:
    """The entry's path, and whether it is a folder."""
    try:
        text = told.raw_name.decode()
    except UnicodeDecodeError as error:
        if told.is_utf8:
            raise FormatError("an archive entry whose name is not UTF-8") from error
        # APPNOTE says so of names without the flag; in practice Unix writes UTF-8 there, too, so that went first.
        text = told.raw_name.decode("cp437")
    path = text.removesuffix("/")
    if not is_package_path(path):
        raise FormatError("an archive entry whose path is not safe on every system")
    return path, path != text


def _check_kind(told: _Central) -> None:
    if told.flags & (z.FLAG_ENCRYPTED | z.FLAG_STRONG_ENCRYPTION | z.FLAG_MASKED):
        raise FormatError("an encrypted archive")
    if told.flags & z.FLAG_PATCHED or told.method not in (z.STORED, z.DEFLATED):
        raise FormatError("an archive packed in a way that is not known here")
    if stat.S_IFMT(told.mode) not in _REGULAR:
        raise FormatError("an archive with a symlink or device in it")
    if told.method == z.STORED and told.size != told.packed_size:
        raise FormatError("a stored archive entry with two sizes")
    if told.size > RATIO_FREE_SIZE and told.size > RATIO_MAX * told.packed_size:
        raise FormatError(f"an archive entry that unpacks to more than {RATIO_MAX} times its size")


def _check_local(file: BinaryIO, start: int, told: _Central, directory_offset: int) -> int:
    """Offset of the entry's data from the archive's start, once both accounts of the entry agree."""
    if told.offset + z.LOCAL.size > directory_offset:
        raise FormatError("an archive entry that is not where it is said to be")
    file.seek(start + told.offset)
    fields = z.LOCAL.unpack(_read_exactly(file, z.LOCAL.size))
    signature, _, flags, method, _, _, crc, packed, size, name_len, extra_len = fields
    if signature != z.LOCAL_SIGNATURE:
        raise FormatError("an archive entry that is not where it is said to be")
    name = _read_exactly(file, name_len)
    extra = _read_exactly(file, extra_len)
    if name != told.raw_name:
        raise FormatError("an archive entry with two names")
    if (flags, method) != (told.flags, told.method):
        raise FormatError("an archive entry that is packed in two ways")
    if not flags & z.FLAG_DESCRIPTOR:
        size, packed = _widened(extra, [size, packed])
        if (crc, packed, size) != (told.crc, told.packed_size, told.size):
            raise FormatError("an archive entry with two sizes")
    return told.offset + z.LOCAL.size + len(name) + len(extra)
