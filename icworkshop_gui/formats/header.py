"""The first 4,096 bytes of an `.icpkg`: a slim manifest that one range request, or piece 0, brings along.

Offset 0 `ICPK`, 4 version (u16 LE), 6 manifest length (u32 LE), 10 its SHA-256, 42 the manifest, then zeros
(ic-workshop.md §1.4). The archive at 4,096 has the canonical manifest; this one is only quick to read.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.manifest import Manifest

HEADER_SIZE = 4096
MAGIC = b"ICPK"
HEADER_VERSION = 1
_FIELDS = struct.Struct("<4sHI32s")
HEADER_MANIFEST_MAX = HEADER_SIZE - _FIELDS.size
"""4,054 bytes: what fits, and so what is read (C1)."""
HEADER_MANIFEST_WRITE_MAX = 4022
"""What we write at most: the documents' prose gives this figure, and other readers may hold to it (C1)."""


class HeaderError(FormatError):
    """The header block is not what it must be."""


class ShortFile(HeaderError):
    """Fewer than 4,096 bytes."""


class BadMagic(HeaderError):
    """Does not begin with `ICPK`."""


class UnsupportedVersion(HeaderError):
    """A header version that is not known here."""


class ManifestTooLarge(HeaderError):
    """States a manifest that does not fit the block."""


class HashMismatch(HeaderError):
    """The manifest is not the one whose SHA-256 is stated."""


class InvalidUtf8(HeaderError):
    """The manifest is no text."""


class NonZeroPadding(HeaderError):
    """Something hides behind the manifest."""


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header block."""

    manifest: Manifest
    """Slim: without files, maybe `truncated`."""
    raw_manifest: bytes


def parse_header(block: bytes) -> Header:
    """From the first 4,096 bytes of a package (more may follow). HeaderError by what is wrong, FormatError for a
    manifest that breaks a rule."""
    if len(block) < HEADER_SIZE:
        raise ShortFile(f"a package is at least {HEADER_SIZE} bytes long, not {len(block)}")
    magic, version, length, digest = _FIELDS.unpack_from(block)
    if magic != MAGIC:
        raise BadMagic("not a Workshop package: it does not begin with ICPK")
    if version != HEADER_VERSION:
        raise UnsupportedVersion(f"a package of header version {version}; this program reads {HEADER_VERSION}")
    if length > HEADER_MANIFEST_MAX:
        raise ManifestTooLarge(f"a header manifest of {length} bytes where {HEADER_MANIFEST_MAX} fit")
    end = _FIELDS.size + length
    raw = bytes(block[_FIELDS.size : end])
    if any(block[end:HEADER_SIZE]):
        raise NonZeroPadding("the header block has bytes behind its manifest")
    if hashlib.sha256(raw).digest() != digest:
        raise HashMismatch("the header manifest does not have the SHA-256 that is stated")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidUtf8("the header manifest is not UTF-8") from error
    return Header(Manifest.parse(raw), raw)


def build_header(manifest: Manifest) -> bytes:
    """The block for this manifest, slimmed down until it fits."""
    raw = manifest.header_copy(HEADER_MANIFEST_WRITE_MAX)
    fields = _FIELDS.pack(MAGIC, HEADER_VERSION, len(raw), hashlib.sha256(raw).digest())
    return (fields + raw).ljust(HEADER_SIZE, b"\0")
