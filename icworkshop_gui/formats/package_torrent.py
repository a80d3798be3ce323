"""The torrent that everybody makes of a package: the same bytes give the same info-hash, whoever hashes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.formats.create import TorrentHasher, TorrentVersion, torrent_file


class HashedPackage(NamedTuple):
    """What one reading of a package's bytes tells."""

    sha256: BlobId
    torrent: bytes
    """A whole `.torrent`, without trackers."""


def hash_package(
    file: BinaryIO, ref: PackageRef, size: int, progress: Callable[[int], None] | None = None
) -> HashedPackage:
    """Reads `size` bytes from where `file` stands; `progress` is told the bytes hashed. FormatError for fewer.

    A v1 torrent: Debian's Transmission 3.00 calls a hybrid one corrupt, and aria2 1.36 gives it another info-hash.
    """
    hasher = TorrentHasher(ref.file_name, [((), size)], version=TorrentVersion.V1)
    digest = hashlib.sha256()
    while hasher.hashed < size:
        chunk = file.read(min(MIB, size - hasher.hashed))
        if not chunk:
            raise FormatError("the package shrank while it was read")
        digest.update(chunk)
        hasher.update(chunk)
        if progress is not None:
            progress(hasher.hashed)
    info, layers = hasher.finish()
    return HashedPackage(BlobId(digest.digest()), torrent_file(info, piece_layers=layers))
