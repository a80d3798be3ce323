"""A bundle: packages and the lock file that names them, in one file, for where there is no network (LAN parties).

A ZIP of stored entries: `ic.lock` first, then `packages/<publisher>--<name>-<version>.icpkg` in the order of the lock.
The lock says what must be inside, from which source it came and what its SHA-256 is. The same packages are the same
bytes. A bundle comes from a stranger: it must hold exactly what its lock names, and every package is hashed before a
byte of it is used.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, cast

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import GIB, MIB
from icworkshop_gui.formats.archive import read_archive, read_content
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.formats.lockfile import LOCK_MAX, LockedPackage, LockFile
from icworkshop_gui.formats.manifest import Manifest
from icworkshop_gui.formats.slice import FileSlice

SUFFIX = ".icbundle"
LOCK_PATH = "ic.lock"
FOLDER = "packages/"
PACKAGES_MAX = 1_000
"""Packages of one bundle."""
CHUNK = MIB
_ZIP64_FROM = 2 * GIB - 1
_DATE = (1980, 1, 1, 0, 0, 0)

Progress = Callable[[int], None]
"""Told the bytes done so far; may raise to stop."""


class Bundled(NamedTuple):
    """One package of a bundle."""

    locked: LockedPackage
    offset: int
    """Of its first byte in the bundle."""
    size: int
    manifest: Manifest
    """Slim, of its header block."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose structure was checked; the content of its packages was not yet (`check_bundle`)."""

    lock: LockFile
    packages: tuple[Bundled, ...]

    @property
    def size(self) -> int:
        """Bytes of all packages."""
        return sum(item.size for item in self.packages)


class Packed(NamedTuple):
    """A package to be put into a bundle."""

    locked: LockedPackage
    size: int
    open: Callable[[], BinaryIO]
    """Whoever opens it closes it."""


def entry_path(locked: LockedPackage) -> str:
    return f"{FOLDER}{locked.ref.folder_name}.icpkg"


def write_bundle(out: BinaryIO, packages: Iterable[Packed], progress: Progress) -> LockFile:
    """Into an empty seekable file. FormatError when a package is not what its lock says, or there are too many."""
    ordered = sorted(packages, key=lambda item: item.locked.ref)
    if not 0 < len(ordered) <= PACKAGES_MAX:
        raise FormatError(f"a bundle holds 1 to {PACKAGES_MAX} packages, not {len(ordered)}")
    lock = LockFile.of(item.locked for item in ordered)
    done = 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(LOCK_PATH, 0), lock.dump())
        for item in ordered:
            digest = hashlib.sha256()
            entry = _entry(entry_path(item.locked), item.size)
            with item.open() as package, archive.open(entry, "w", force_zip64=item.size >= _ZIP64_FROM) as place:
                while chunk := package.read(CHUNK):
                    digest.update(chunk)
                    place.write(chunk)
                    done += len(chunk)
                    progress(done)
            if digest.hexdigest() != item.locked.sha256:
                raise FormatError(f"{item.locked.ref} is damaged here. Run `icworkshop verify --repair` first.")
    return lock


def _entry(path: str, size: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _DATE)
    entry.create_system = 3
    entry.external_attr = 0o100644 << 16
    entry.file_size = size
    return entry


def read_bundle(file: BinaryIO) -> Bundle:
    """FormatError says why it is none, or one that must not be used."""
    entries = {entry.path: entry for entry in read_archive(file, 0)}
    listed = entries.pop(LOCK_PATH, None)
    if listed is None:
        raise FormatError(f"no bundle: it has no {LOCK_PATH}")
    if listed.size > LOCK_MAX:
        raise FormatError(f"a bundle whose {LOCK_PATH} is longer than {LOCK_MAX} bytes")
    lock = LockFile.parse(read_content(file, listed, size_max=LOCK_MAX))
    if len(lock.packages) > PACKAGES_MAX:
        raise FormatError(f"a bundle of more than {PACKAGES_MAX} packages")
    found = []
    for locked in lock.packages:
        entry = entries.pop(entry_path(locked), None)
        if entry is None:
            raise FormatError(f"a bundle without {locked.ref}, which its {LOCK_PATH} names")
        if not entry.is_stored:
            raise FormatError(f"a bundle in which {locked.ref} is compressed")
        file.seek(entry.offset)
        manifest = parse_header(file.read(min(HEADER_SIZE, entry.size))).manifest
        if manifest.ref != locked.ref:
            raise FormatError(f"a bundle in which {manifest.ref} lies under the name of {locked.ref}")
        found.append(Bundled(locked, entry.offset, entry.size, manifest))
    if entries:
        raise FormatError(f"a bundle that holds {len(entries)} files which its {LOCK_PATH} does not name")
    return Bundle(lock, tuple(found))


def check_bundle(file: BinaryIO, bundle: Bundle, progress: Progress) -> None:
    """Hash every package. FormatError names the first that is not what the lock says."""
    done = 0
    for item in bundle.packages:
        digest = hashlib.sha256()
        package = cast("BinaryIO", FileSlice(file, item.offset, item.size))
        while chunk := package.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done)
        if digest.hexdigest() != item.locked.sha256:
            raise FormatError(f"{item.locked.ref} in the bundle does not have the SHA-256 that its {LOCK_PATH} names")
