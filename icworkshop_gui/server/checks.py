"""What a package must be before it is accepted (ic-workshop.md §3.6). Every fact comes out of the archive itself.

Each refusal is a RegistryError whose code is in `registry.schema.STATUS_OF_CODE` and whose message tells the
author what to change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from license_expression import ExpressionError, get_spdx_licensing

from icworkshop_gui.core.catalog import Dependency, PackageId, PackageRef
from icworkshop_gui.core.errors import FormatError, IntegrityError, RegistryError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats.archive import iter_content, read_archive, read_content
from icworkshop_gui.formats.chunks import ChunkList, chunk_package
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.formats.icpkg import PackageContents, read_package
from icworkshop_gui.formats.manifest import MANIFEST_MAX, MANIFEST_PATH, Manifest
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.package_torrent import hash_package
from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.formats.skeleton import Skeleton
from icworkshop_gui.formats.yamltree import parse_yaml
from icworkshop_gui.registry.picture import PREVIEW_MAX, check_png
from icworkshop_gui.registry.schema import clean_line
from icworkshop_gui.server.spelling import distance

README_PATH = "README.md"
CHANGELOG_PATH = "CHANGELOG.md"
PREVIEW_PATH = "preview.png"
DOCUMENT_BYTES_MAX = 256 * 1024
"""Bytes of a README or changelog; registry clients read twice as many characters."""
GRAPH_MAX = 10_000
"""Packages visited while looking for a cycle."""
SIMILAR_EDITS = 2
SIMILAR_DOWNLOADS = 100
"""A name within SIMILAR_EDITS of a package with more downloads than this is remarked on (V19)."""
CHUNK = 1024 * 1024
_SUFFIXES = (".icpkg", ".torrent")
_LICENSE_REF = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")

Progress = Callable[[str, int, int], None]
"""Called with the check under way, bytes done and bytes in all; may raise to stop."""


class KnownPackages(Protocol):
    """What the checks ask the catalog."""

    def versions(self, package: PackageId) -> tuple[tuple[str, bool], ...]: ...

    def newest_dependencies(self, package: PackageId) -> tuple[Dependency, ...]: ...

    def names(self) -> tuple[tuple[PackageId, str, int], ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A package whose bytes are what they claim."""

    contents: PackageContents
    sha256: str
    torrent: bytes
    """Without trackers."""
    metainfo: Metainfo
    skeleton: bytes
    chunks: ChunkList
    readme: str
    changelog: str
    preview: bytes
    """Empty when there is none."""


def inspect(path: Path, progress: Progress) -> Inspected:
    """Every check that the bytes alone can answer. RegistryError when one fails."""
    with path.open("rb") as file:
        progress("structure", 0, 1)
        try:
            contents = read_package(file)
        except FormatError as error:
            raise RegistryError(_blame(file), str(error)) from error
        manifest = contents.manifest
        check_manifest(manifest)
        sha256, torrent, metainfo = _hash_whole(file, manifest.ref, contents.size, progress)
        _check_files(file, contents, progress)
        try:
            skeleton = Skeleton.from_package(file)
            progress("chunks", 0, 1)
            chunks = chunk_package(file, skeleton, BlobId.from_hex(sha256))
        except FormatError as error:
            raise RegistryError("format_error", str(error)) from error
        preview = _small(file, contents, PREVIEW_PATH, PREVIEW_MAX, "preview_invalid")
        if preview:
            try:
                check_png(preview)
            except IntegrityError as error:
                raise RegistryError("preview_invalid", str(error)) from error
        return Inspected(
            contents=contents,
            sha256=sha256,
            torrent=torrent,
            metainfo=metainfo,
            skeleton=skeleton.encode(),
            chunks=chunks,
            readme=_document(file, contents, README_PATH),
            changelog=_document(file, contents, CHANGELOG_PATH),
            preview=preview,
        )


def check_manifest(manifest: Manifest) -> None:
    """What registries ask beyond what a manifest must be."""
    if manifest.ref.version.endswith(_SUFFIXES):
        raise RegistryError("manifest_invalid", "a version cannot end in .icpkg or .torrent: addresses end so")
    if not manifest.files:
        raise RegistryError("manifest_mismatch", "manifest.yaml lists no files with their sizes and SHA-256")
    check_license(manifest.license)
    for text in (manifest.title, manifest.summary, manifest.category, *manifest.tags, *manifest.platforms):
        if clean_line(text) != text.strip():
            raise RegistryError("manifest_invalid", "a text in manifest.yaml has characters that turn or hide others")


def check_license(expression: str) -> None:
    """Every licence must be in the SPDX list, or be a LicenseRef of the author's own."""
    try:
        _spdx_list().parse(_LICENSE_REF.sub("MIT", expression), validate=True, strict=True)
    except (ExpressionError, RecursionError) as error:
        why = clean_line(str(error), 150)
        raise RegistryError("license_invalid", f"package.license is no licence of the SPDX list: {why}") from error


@cache
def _spdx_list() -> Any:
    return get_spdx_licensing()


def check_neighbourhood(manifest: Manifest, known: KnownPackages) -> list[str]:
    """Everything that depends on other packages; the warnings. RegistryError when one forbids it."""
    package = manifest.ref.package
    for need in manifest.dependencies:
        if need.package == package:
            raise RegistryError("cycle", f"{package} depends on itself")
        requirement = Requirement.parse(need.requirement)
        versions = [version for version, yanked in known.versions(need.package) if not yanked]
        if not versions:
            raise RegistryError("dependency_missing", f"there is no package {need.package} here; publish it first")
        if not any(requirement.matches(version) for version in versions):
            raise RegistryError(
                "dependency_missing",
                f"no version of {need.package} fits {need.requirement}; the newest is {versions[-1]}",
            )
    _check_cycle(package, manifest.dependencies, known)
    if known.versions(package):
        return []
    return _similar_names(package, manifest.category, known)


def _check_cycle(package: PackageId, needs: tuple[Dependency, ...], known: KnownPackages) -> None:
    """Does a chain of newest releases lead back here?"""
    paths: list[tuple[PackageId, ...]] = [(need.package,) for need in needs]
    seen: set[PackageId] = set()
    while paths:
        path = paths.pop()
        here = path[-1]
        if here == package:
            raise RegistryError("cycle", " -> ".join(map(str, (package, *path))))
        if here in seen:
            continue
        seen.add(here)
        if len(seen) > GRAPH_MAX:
            raise RegistryError("dependency_invalid", f"more than {GRAPH_MAX} packages behind the dependencies")
        paths += [(*path, need.package) for need in known.newest_dependencies(here)]


def _similar_names(package: PackageId, category: str, known: KnownPackages) -> list[str]:
    """Warnings for a new package; RegistryError for a name that only looks like another's (V19)."""
    warnings = []
    name_shape, publisher_shape = _shape(package.name), _shape(package.publisher)
    for other, other_category, downloads in known.names():
        if other.publisher == package.publisher:
            continue
        if _shape(other.publisher) == publisher_shape:
            raise RegistryError("name_too_similar", f"the publisher name looks like {other.publisher}")
        if other.name == package.name:
            warnings.append(f"{other} has the same name")
        elif _shape(other.name) == name_shape:
            raise RegistryError("name_too_similar", f"the name looks like {other}")
        elif downloads > SIMILAR_DOWNLOADS and other_category == category and _is_close(other.name, package.name):
            warnings.append(f"the name is close to {other}, which many people have")
    return warnings[:20]


def _is_close(a: str, b: str) -> bool:
    return distance(a, b, SIMILAR_EDITS) <= SIMILAR_EDITS


def _shape(name: str) -> str:
    """What is left of a name when letters that look alike are one, and hyphens none."""
    table = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "2": "z", "8": "b", "-": ""})
    return name.translate(table).replace("rn", "m").replace("vv", "w")


def _hash_whole(file: BinaryIO, ref: PackageRef, size: int, progress: Progress) -> tuple[str, bytes, Metainfo]:
    """SHA-256 and torrent in one reading; the torrent's one file is the package."""
    file.seek(0)
    try:
        hashed = hash_package(file, ref, size, lambda done: progress("hash", done, size))
    except FormatError as error:
        raise RegistryError("hash_mismatch", "the upload changed while it was read") from error
    return hashed.sha256.hex(), hashed.torrent, Metainfo.parse(hashed.torrent)


def _check_files(file: BinaryIO, contents: PackageContents, progress: Progress) -> None:
    """Each file unpacks to the size and SHA-256 that the manifest states."""
    stated = {entry.path: entry for entry in contents.manifest.files}
    total = contents.manifest.installed_size
    done = 0
    for entry in contents.entries:
        if entry.path == MANIFEST_PATH:
            continue
        digest = hashlib.sha256()
        try:
            for chunk in iter_content(file, entry):
                digest.update(chunk)
                done += len(chunk)
                progress("files", done, total)
        except FormatError as error:
            raise RegistryError("hash_mismatch", str(error)) from error
        if digest.hexdigest() != stated[entry.path].sha256:
            raise RegistryError("hash_mismatch", f"{entry.path} does not have the SHA-256 that manifest.yaml states")


def _document(file: BinaryIO, contents: PackageContents, path: str) -> str:
    return _small(file, contents, path, DOCUMENT_BYTES_MAX, "too_large").decode("utf-8", "replace")


def _small(file: BinaryIO, contents: PackageContents, path: str, size_max: int, code: str) -> bytes:
    """The content of a file that may be absent."""
    entry = contents.entry(path)
    if entry is None:
        return b""
    if entry.size > size_max:
        raise RegistryError(code, f"{path} is larger than {size_max} bytes")
    return read_content(file, entry, size_max=size_max)


def _blame(file: BinaryIO) -> str:
    """Which part of a package that cannot be read is the broken one, as an error code."""
    try:
        file.seek(0)
        parse_header(file.read(HEADER_SIZE))
    except FormatError:
        return "format_error"
    try:
        entries = read_archive(file, HEADER_SIZE)
    except FormatError:
        return "archive_invalid"
    try:
        inner = next(entry for entry in entries if entry.path == MANIFEST_PATH)
        raw = read_content(file, inner, size_max=MANIFEST_MAX)
        tree = parse_yaml(raw, size_max=MANIFEST_MAX)
        package = tree.get("package") if isinstance(tree, dict) else None
        if isinstance(package, dict) and not package.get("license"):
            return "license_missing"
        Manifest.parse(raw)
    except (FormatError, StopIteration):
        return "manifest_invalid"
    return "manifest_mismatch"
