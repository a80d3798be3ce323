"""A folder with `.icpkg` files as a source: a USB stick, a share at a LAN party, what a build left behind.

What a package says of itself is read from the package; its SHA-256 is computed, and remembered as long as the file's
size and time stay. Blocking work runs on threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.catalog import (
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    Release,
    SearchPage,
    SearchQuery,
    version_key,
)
from icworkshop_gui.core.errors import FormatError, IntegrityError, NotFound, RegistryError
from icworkshop_gui.core.units import MIB
from icworkshop_gui.formats.archive import read_content
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.formats.icpkg import PackageContents, read_package
from icworkshop_gui.formats.manifest import Manifest
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.listing import search_listed, summary_of
from icworkshop_gui.registry.picture import PREVIEW_MAX, check_png
from icworkshop_gui.registry.schema import DOCUMENT_MAX, ServerInfo, clean_document
from icworkshop_gui.registry.source import Offer, display_address, folder_of

FILES_MAX = 10_000
"""Files of one folder that are looked at."""
DEPTH_MAX = 4
"""Folders below the source's own."""
SUFFIX = ".icpkg"
README, CHANGELOG, PREVIEW = "README.md", "CHANGELOG.md", "preview.png"


class _Found(NamedTuple):
    path: Path
    size: int
    mtime_ns: int
    manifest: Manifest
    """Slim: of the header block."""


class LocalFolder:
    """See `Source`. A file that is no package is passed over."""

    keeps_all = False

    def __init__(self, address: str, cache: RegistryCache | None = None) -> None:
        folder = folder_of(address)
        if folder is None:
            raise ValueError("a local source is a folder")
        self.address = address
        self._folder = folder
        self._cache = cache if cache is not None else RegistryCache(None)
        self._known: dict[Path, _Found] = {}

    def package_url(self, ref: PackageRef) -> str:
        return ""

    async def server(self) -> ServerInfo:
        found = await self._scan()
        packages = {item.manifest.ref.package for item in found}
        return ServerInfo(
            name=self._folder.name or display_address(self.address),
            software="folder",
            packages=len(packages),
            releases=len(found),
        )

    async def search(self, query: SearchQuery) -> SearchPage:
        rows: dict[PackageId, tuple[Manifest, PackageSummary]] = {}
        for item in await self._scan():
            old = rows.get(item.manifest.ref.package)
            if old is None or version_key(old[0].ref.version) < version_key(item.manifest.ref.version):
                when = item.mtime_ns / 1e9
                row = summary_of(item.manifest, size=item.size, published_at=when, updated_at=when)
                rows[item.manifest.ref.package] = (item.manifest, row)
        return search_listed((row for _manifest, row in rows.values()), query)

    async def package(self, package: PackageId, version: str = "", *, files: bool = True) -> PackageDetail:
        found = [item for item in await self._scan() if item.manifest.ref.package == package]
        if not found:
            raise NotFound(f"{self._folder} has no {package}")
        return await asyncio.to_thread(self._detail, found, version)

    async def offer(self, ref: PackageRef) -> Offer:
        """The file itself."""
        for item in await self._scan():
            if item.manifest.ref == ref:
                return Offer(file=item.path)
        raise NotFound(f"{self._folder} has no {ref}")

    async def chunks(self, ref: PackageRef) -> bytes:
        raise NotFound("a folder keeps no lists of chunks")

    async def fine_chunks(self, ref: PackageRef, spans: Sequence[tuple[int, int]]) -> bytes:
        raise NotFound("a folder keeps no lists of chunks")

    async def preview(self, ref: PackageRef, sha256: str) -> bytes:
        offer = await self.offer(ref)
        assert offer.file is not None
        data = await asyncio.to_thread(_preview, offer.file)
        if not data or hashlib.sha256(data).hexdigest() != sha256:
            raise NotFound(f"{ref} has no such picture")
        return data

    # --- on threads ------------------------------------------------------------------------------

    async def _scan(self) -> list[_Found]:
        return await asyncio.to_thread(self._look)

    def _look(self) -> list[_Found]:
        """Every package below the folder. RegistryError when the folder is gone."""
        if not self._folder.is_dir():
            raise RegistryError("unreachable", f"The folder {self._folder} is not there. Is its disk connected?")
        known: dict[Path, _Found] = {}
        for path, status in _files(self._folder, SUFFIX):
            old = self._known.get(path)
            if old is not None and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
                known[path] = old
                continue
            try:
                with path.open("rb") as file:
                    manifest = parse_header(file.read(HEADER_SIZE)).manifest
            except (FormatError, OSError):
                continue
            known[path] = _Found(path, status.st_size, status.st_mtime_ns, manifest)
        self._known = known
        return list(known.values())

    def _detail(self, found: list[_Found], version: str) -> PackageDetail:
        releases: dict[str, tuple[Release, _Found]] = {}
        for item in found:
            release = self._release(item)
            other = releases.get(release.ref.version)
            if other is not None and other[0].sha256 != release.sha256:
                raise RegistryError(
                    "contradiction",
                    f"{self._folder} has {release.ref} twice with different content: {other[1].path.name} and "
                    f"{item.path.name}. Delete the one that is not to be trusted.",
                )
            releases[release.ref.version] = (release, item)
        newest = sorted(releases, key=version_key, reverse=True)
        stable = [text for text in newest if "-" not in text.partition("+")[0]]
        chosen = version or (stable or newest)[0]
        if chosen not in releases:
            raise NotFound(f"{self._folder} has no version {chosen} of this package")
        release, item = releases[chosen]
        versions = tuple(replace(releases[text][0], files=()) for text in newest)
        try:
            with item.path.open("rb") as file:
                contents = read_package(file)
                readme = _text(file, contents, README) or contents.manifest.description
                changelog = _text(file, contents, CHANGELOG)
        except (FormatError, OSError) as error:
            raise RegistryError("lied", f"{item.path.name} is no package: {error}") from error
        return PackageDetail(release=release, readme=readme, changelog=changelog, versions=versions)

    def _release(self, item: _Found) -> Release:
        try:
            with item.path.open("rb") as file:
                contents = read_package(file)
                preview = _small(file, contents, PREVIEW, PREVIEW_MAX)
        except (FormatError, OSError) as error:
            raise RegistryError("lied", f"{item.path.name} is no package: {error}") from error
        manifest = contents.manifest
        row = summary_of(manifest, size=item.size, published_at=item.mtime_ns / 1e9)
        return Release(
            ref=manifest.ref,
            title=row.title,
            summary=row.summary,
            category=row.category,
            license=manifest.license,
            size=item.size,
            sha256=self._sha256(item),
            published_at=row.published_at,
            tags=manifest.tags,
            dependencies=manifest.dependencies,
            features=manifest.features,
            files=manifest.files,
            installed_size=manifest.installed_size,
            game_module=row.game_module,
            platforms=manifest.platforms,
            preview_sha256=hashlib.sha256(preview).hexdigest() if preview else "",
        )

    def _sha256(self, item: _Found) -> str:
        """Of the whole file; a guess as good as its size and time, which the bytes must answer for in the end."""
        key = f"sha256-of:{item.path}:{item.size}:{item.mtime_ns}"
        kept = self._cache.get(key)
        if kept is not None:
            return kept.body.decode()
        digest = hashlib.sha256()
        try:
            with item.path.open("rb") as file:
                while chunk := file.read(MIB):
                    digest.update(chunk)
        except OSError as error:
            raise RegistryError("unreachable", f"{item.path} cannot be read: {error.strerror}") from error
        self._cache.put(key, digest.hexdigest().encode())
        return digest.hexdigest()


def _files(folder: Path, suffix: str) -> list[tuple[Path, os.stat_result]]:
    """Plain files with this suffix, by name; never through a link, which could lead anywhere."""
    found: list[tuple[Path, os.stat_result]] = []
    todo = [(folder, 0)]
    while todo and len(found) < FILES_MAX:
        here, depth = todo.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < DEPTH_MAX:
                    todo.append((Path(entry.path), depth + 1))
            elif entry.name.endswith(suffix):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found.append((Path(entry.path), status))
    return sorted(found)[:FILES_MAX]


def _preview(path: Path) -> bytes:
    """Empty when there is none that may be shown."""
    try:
        with path.open("rb") as file:
            return _small(file, read_package(file), PREVIEW, PREVIEW_MAX)
    except (FormatError, OSError):
        return b""


def _small(file: BinaryIO, contents: PackageContents, path: str, size_max: int) -> bytes:
    entry = contents.entry(path)
    if entry is None or entry.size > size_max:
        return b""
    data = read_content(file, entry, size_max=size_max)
    if path == PREVIEW:
        try:
            check_png(data)
        except IntegrityError:
            return b""
    return data


def _text(file: BinaryIO, contents: PackageContents, path: str) -> str:
    return clean_document(_small(file, contents, path, DOCUMENT_MAX).decode("utf-8", "replace"))
