"""`ic.lock`: exactly which releases make up a set, from where, with which content (ic-workshop.md §3.8).

TOML, always written the same way: no time stands in it and everything is sorted, so that the same set is the same
bytes everywhere and a version control system shows what really changed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from icworkshop_gui.core.catalog import PackageId, PackageRef, is_version
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import MIB

LOCK_VERSION = 1
LOCK_MAX = 4 * MIB
"""Bytes of one lock file."""
PACKAGES_MAX = 5_000
SOURCE_MAX = 2_048
"""Characters of one source."""
HEAD = "# Which releases belong together. Written by icworkshop; change it with `icworkshop lock`.\n"

_CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_SOURCE = re.compile(
    r"workshop\+(https?://[\x21-\x7e]+)|((?:git\+https?|git\+file|path\+file)://[\x21-\x7e]+)", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One release."""

    ref: PackageRef
    source: str
    """Where it comes from, and from nowhere else: the URL of a Workshop server; `git+…` an index, `path+…` a folder."""
    sha256: str
    """Of the whole package, hex."""
    dependencies: tuple[PackageId, ...] = ()
    """What it needs of this lock file, sorted."""


@dataclass(frozen=True, slots=True)
class LockFile:
    """A set of releases, one of each package, sorted by package."""

    packages: tuple[LockedPackage, ...]

    @classmethod
    def of(cls, packages: Iterable[LockedPackage]) -> LockFile:
        """FormatError as for `parse`."""
        lock = cls(tuple(sorted(packages, key=lambda package: package.ref)))
        lock.check()
        return lock

    def check(self) -> None:
        """FormatError names what is wrong."""
        if len(self.packages) > PACKAGES_MAX:
            raise FormatError(f"a lock file of more than {PACKAGES_MAX} packages")
        names = {package.ref.package for package in self.packages}
        if len(names) != len(self.packages):
            raise FormatError("a lock file with a package in two versions")
        for package in self.packages:
            if len(package.source) > SOURCE_MAX or not _SOURCE.fullmatch(_written(package.source)):
                raise FormatError(f"the source of {package.ref} is no address of a source")
            if not _CHECKSUM.fullmatch(f"sha256:{package.sha256}"):
                raise FormatError(f"the checksum of {package.ref} is no SHA-256")
            for need in package.dependencies:
                if need not in names:
                    raise FormatError(f"{package.ref} needs {need}, which is not in the lock file")

    def dump(self) -> bytes:
        """The same set is the same bytes."""
        lines = [HEAD, "[metadata]\n", f"ic_lock_version = {LOCK_VERSION}\n"]
        for package in self.packages:
            needs = ", ".join(json.dumps(str(need)) for need in sorted(package.dependencies))
            lines.append(
                "\n[[package]]\n"
                f"name = {json.dumps(str(package.ref.package))}\n"
                f"version = {json.dumps(package.ref.version)}\n"
                f"source = {json.dumps(_written(package.source))}\n"
                f'checksum = "sha256:{package.sha256}"\n'
                f"dependencies = [{needs}]\n"
            )
        return "".join(lines).encode()

    @classmethod
    def parse(cls, data: bytes) -> LockFile:
        """FormatError says what is wrong; what is not known is ignored."""
        if len(data) > LOCK_MAX:
            raise FormatError(f"a lock file of more than {LOCK_MAX} bytes")
        try:
            root = tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise FormatError(f"a lock file that is no TOML: {str(error)[:200]}") from error
        metadata = root.get("metadata")
        version = metadata.get("ic_lock_version") if isinstance(metadata, dict) else None
        if version != LOCK_VERSION:
            raise FormatError(f"a lock file of version {version!r}; this program reads version {LOCK_VERSION}")
        rows = root.get("package", [])
        if not isinstance(rows, list) or len(rows) > PACKAGES_MAX:
            raise FormatError(f"a lock file whose packages are no list of at most {PACKAGES_MAX}")
        return cls.of(_package(row) for row in rows)


def _written(source: str) -> str:
    """As it stands in the file."""
    return source if source.startswith(("git+", "path+")) else f"workshop+{source}"


def _package(row: Any) -> LockedPackage:
    if not isinstance(row, dict):
        raise FormatError("a package in the lock file that is no table")
    version = _text(row, "version")
    if not is_version(version):
        raise FormatError("a package in the lock file without a version like 1.2.3")
    package = _id(_text(row, "name"))
    source = _SOURCE.fullmatch(_text(row, "source"))
    checksum = _CHECKSUM.fullmatch(_text(row, "checksum"))
    if source is None:
        raise FormatError(f"the source of {package} is none: workshop+https://…, git+… or path+…")
    if checksum is None:
        raise FormatError(f"the checksum of {package} is not sha256: and 64 hex digits")
    needs = row.get("dependencies", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        raise FormatError(f"the dependencies of {package} are no list of names")
    return LockedPackage(
        ref=PackageRef(package.publisher, package.name, version),
        source=source[1] or source[2],
        sha256=checksum[1],
        dependencies=tuple(sorted(_id(need) for need in needs)),
    )


def _id(text: str) -> PackageId:
    try:
        return PackageId.parse(text)
    except ValueError as error:
        raise FormatError("a package in the lock file that is not named publisher/name") from error


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise FormatError(f"a package in the lock file without {key}")
    return value
