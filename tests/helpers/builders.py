"""One line to make a legal torrent, manifest or package; keywords to make it illegal."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import bencode2

from icworkshop_gui.core.catalog import Dependency, FileEntry, PackageId, PackageRef
from icworkshop_gui.formats import zipformat as z
from icworkshop_gui.formats.create import SourceFile, TorrentVersion, create_torrent
from icworkshop_gui.formats.header import HEADER_SIZE, HEADER_VERSION, MAGIC
from icworkshop_gui.formats.icpkg import BuiltPackage, PackageFile, write_package
from icworkshop_gui.formats.manifest import MANIFEST_PATH, Manifest


def content(size: int, seed: object = 0) -> bytes:
    """Bytes that do not compress and are the same in every run."""
    return hashlib.shake_128(repr(seed).encode()).digest(size)


def _source(path: tuple[str, ...], data: bytes) -> SourceFile:
    return SourceFile(path, len(data), partial(io.BytesIO, data))


def torrent(
    files: bytes | Mapping[str, bytes] = b"one small file",
    *,
    name: str = "thing",
    version: TorrentVersion = TorrentVersion.V1,
    piece_length: int = 16384,
    info: Mapping[bytes, Any] | None = None,
    root: Mapping[bytes, Any] | None = None,
    without: Iterable[bytes] = (),
    edit: Callable[[dict[bytes, Any]], None] | None = None,
    **settings: Any,
) -> bytes:
    """A `.torrent` of one file (bytes) or several (by path with `/`).

    `info` and `root` put keys into these dicts, `without` takes keys out of both, `edit` changes the info dict.
    Further keywords go to `create_torrent`.
    """
    if isinstance(files, bytes):
        source = [_source((), files)]
    else:
        source = [_source(tuple(path.split("/")), data) for path, data in files.items()]
    made = create_torrent(name, source, version=version, piece_length=piece_length, **settings)
    if info is None and root is None and not without and edit is None:
        return made
    fields: dict[bytes, Any] = dict(bencode2.bdecode(made))
    fields.update(root or {})
    inner = {**fields[b"info"], **(info or {})}
    for key in without:
        fields.pop(key, None)
        inner.pop(key, None)
    if edit is not None:
        edit(inner)
    if b"info" not in without:
        fields[b"info"] = inner
    return bencode2.bencode(fields)


def v1_torrent(paths: Iterable[Iterable[bytes]], *, size: int = 10, name: bytes = b"folder") -> bytes:
    """A v1 torrent of several files, with names as raw as one likes; its hashes are zeros."""
    entries = [{b"length": size, b"path": list(path)} for path in paths]
    pieces = bytes(20 * -(-size * len(entries) // 16384))
    info = {b"files": entries, b"name": name, b"piece length": 16384, b"pieces": pieces}
    return bencode2.bencode({b"info": info})


def manifest(ref: str = "alice/tank-sounds@1.2.0", **fields: Any) -> Manifest:
    """A legal manifest without files; keywords replace its fields."""
    made = Manifest(ref=PackageRef.parse(ref), license="CC-BY-4.0", title="Tank sounds", category="Sound Effects")
    return replace(made, **fields)


def needs(package: str, requirement: str = "^1.0", *, optional: bool = False) -> Dependency:
    return Dependency(package=PackageId.parse(package), requirement=requirement, optional=optional)


SAMPLE_FILES = {
    "README.md": b"# Tank sounds\n",
    "assets/fire.ogg": content(70_000, "fire"),
    "assets/idle.ogg": content(20_000, "idle"),
    "assets/empty.txt": b"",
    "assets/名前/ёж.txt": "привет".encode(),
}


def built(
    files: Mapping[str, bytes] | None = None, ref: str = "alice/tank-sounds@1.2.0", **fields: Any
) -> tuple[bytes, BuiltPackage]:
    """A package from our own writer: its bytes, and what the writer says about it."""
    out = io.BytesIO()
    files = SAMPLE_FILES if files is None else files
    report = write_package(
        out,
        manifest(ref, **fields),
        [PackageFile(path, len(data), partial(io.BytesIO, data)) for path, data in files.items()],
    )
    return out.getvalue(), report


def package(files: Mapping[str, bytes] | None = None, ref: str = "alice/tank-sounds@1.2.0", **fields: Any) -> bytes:
    """Just the bytes of `built()`."""
    return built(files, ref, **fields)[0]


def header_block(
    raw: bytes | None = None,
    *,
    magic: bytes = MAGIC,
    version: int = HEADER_VERSION,
    length: int | None = None,
    digest: bytes | None = None,
    padding: bytes = b"",
) -> bytes:
    """A header block, legal unless a keyword says otherwise."""
    raw = manifest().dump() if raw is None else raw
    size = len(raw) if length is None else length
    digest = hashlib.sha256(raw).digest() if digest is None else digest
    block = struct.pack("<4sHI32s", magic, version, size, digest) + raw + padding
    return block.ljust(HEADER_SIZE, b"\0")


def files_of(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    return tuple(
        FileEntry(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in sorted(files.items())
    )


def foreign_package(
    files: Mapping[str, bytes] | None = None, *, compressed: Iterable[str] | None = None, **fields: Any
) -> bytes:
    """A package as another program would write it; `compressed` names the deflated files (all by default)."""
    files = SAMPLE_FILES if files is None else files
    told = manifest(**fields).with_files(files_of(files))
    packed = set(files) | {MANIFEST_PATH} if compressed is None else set(compressed)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in {MANIFEST_PATH: told.dump(), **files}.items():
            method = zipfile.ZIP_DEFLATED if path in packed else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(path, (2024, 5, 6, 7, 8, 10)), data, method)
    return header_block(told.header_copy(4022)) + out.getvalue()


@dataclass(frozen=True, kw_only=True)
class Raw:
    """One ZIP entry whose two accounts of itself can be made to lie. None: the truth."""

    name: bytes = b"file.bin"
    data: bytes = b"content"
    method: int = z.STORED
    flags: int = 0
    mode: int = 0o100644
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    local_method: int | None = None
    local_signature: bytes = z.LOCAL_SIGNATURE
    offset: int | None = None


def raw_zip(entries: Iterable[Raw], *, count: int | None = None, directory_offset: int | None = None) -> bytes:
    """A ZIP written by hand; keywords falsify its end record."""
    body = b""
    directory = b""
    number = 0
    for entry in entries:
        packed = entry.data if entry.packed is None else entry.packed
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        offset = len(body) if entry.offset is None else entry.offset
        local_name = entry.name if entry.local_name is None else entry.local_name
        local_size = size if entry.local_size is None else entry.local_size
        local_method = entry.method if entry.local_method is None else entry.local_method
        local = (20, entry.flags, local_method, 0, 33, crc, len(packed), local_size, len(local_name), 0)
        body += z.LOCAL.pack(entry.local_signature, *local) + local_name + packed
        head = (0x314, 20, entry.flags, entry.method, 0, 33, crc, len(packed), size)
        tail = (len(entry.name), 0, 0, 0, 0, entry.mode << 16, offset)
        directory += z.CENTRAL.pack(z.CENTRAL_SIGNATURE, *head, *tail) + entry.name
        number += 1
    number = number if count is None else count
    start = len(body) if directory_offset is None else directory_offset
    end = z.END.pack(z.END_SIGNATURE, 0, 0, number, number, len(directory), start, 0)
    return body + directory + end


def deflate(data: bytes) -> bytes:
    """Raw deflate, as a ZIP holds it."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()
