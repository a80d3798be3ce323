"""From an upload to a published release: take the bytes in, check them, put everything in place at once.

A crash at any point leaves either a published version or a leftover that nothing refers to: uploads lie in
`incoming` until they are checked, and move to their place inside the catalog's transaction.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from icworkshop_gui.core.catalog import PackageRef, Release
from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import Conflict, FormatError, RegistryError
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.registry.schema import PublishResult, clean_line
from icworkshop_gui.server.catalog import Asset, Catalog, NewRelease, StoredPackage
from icworkshop_gui.server.checks import Inspected, Progress, check_neighbourhood, inspect
from icworkshop_gui.server.tokens import Grant

RESERVE = 64 * 1024 * 1024
"""Bytes that an upload must leave free on the disk."""
FULL = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger("icw.publish")


@dataclass(frozen=True, slots=True)
class Upload:
    """A complete upload that nobody has looked into yet, apart from its header."""

    path: Path
    size: int


class Publisher:
    """Owns `incoming` and everything under `packages`."""

    def __init__(
        self,
        catalog: Catalog,
        incoming: Path,
        *,
        clock: Clock,
        max_size: int,
        swarm_min_size: int,
        published: Callable[[StoredPackage], None],
    ) -> None:
        self._catalog = catalog
        self._incoming = incoming
        self._clock = clock
        self._max_size = max_size
        self._swarm_min_size = swarm_min_size
        self._published = published
        incoming.mkdir(parents=True, exist_ok=True)
        for leftover in incoming.glob("*.part"):
            leftover.unlink(missing_ok=True)

    async def receive(self, chunks: AsyncIterator[bytes], grant: Grant, declared: int | None) -> Upload:
        """Write a body to disk; the header is looked at as soon as it is here, so that a wrong upload ends early.

        `declared` is the body's stated length, if any. Nothing stays on the disk when this raises.
        """
        if declared is not None and declared > self._max_size + RESERVE:
            raise _too_large(self._max_size)
        if shutil.disk_usage(self._incoming).free < (declared or 0) + RESERVE:
            raise RegistryError("storage_full", "the server has no room for this package")
        path = self._incoming / f"{secrets.token_hex(16)}.part"
        size = 0
        head = b""
        try:
            with path.open("xb") as out:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self._max_size:
                        raise _too_large(self._max_size)
                    if len(head) < HEADER_SIZE:
                        head += chunk[: HEADER_SIZE - len(head)]
                        if len(head) == HEADER_SIZE:
                            self._check_header(head, grant)
                    out.write(chunk)
                _flush(out)
            if len(head) < HEADER_SIZE:
                raise RegistryError("format_error", f"a package is at least {HEADER_SIZE} bytes long, not {size}")
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in FULL:
                raise RegistryError("storage_full", "the server has no room for this package") from error
            raise
        return Upload(path, size)

    def accept(self, upload: Upload, grant: Grant, progress: Progress) -> PublishResult:
        """Check, and publish or raise RegistryError. Blocks; the upload is gone afterwards in any case."""
        try:
            inspected = inspect(upload.path, progress)
            ref = inspected.contents.manifest.ref
            self._check_right(ref, grant)
            progress("dependencies", 0, 1)
            warnings = check_neighbourhood(inspected.contents.manifest, self._catalog)
            new = self._new_release(upload, inspected)
            progress("publish", 0, 1)
            place = self._catalog.package_path(ref)
            try:
                self._catalog.add(new, lambda: _move(upload.path, place))
            except Conflict as error:
                raise _exists(ref) from error
            except OSError as error:
                if error.errno in FULL:
                    raise RegistryError("storage_full", "the server has no room for this package") from error
                raise
        finally:
            upload.path.unlink(missing_ok=True)
        release = new.release
        log.info("published ref=%s size=%d sha256=%s by=%s", ref, release.size, release.sha256, grant.publisher)
        self._published(self._catalog.stored(ref))
        return PublishResult(release=release, warnings=tuple(warnings))

    def _check_header(self, head: bytes, grant: Grant) -> None:
        try:
            ref = parse_header(head).manifest.ref
        except FormatError as error:
            raise RegistryError("format_error", str(error)) from error
        self._check_right(ref, grant)

    def _check_right(self, ref: PackageRef, grant: Grant) -> None:
        if not grant.may_publish_for(ref.publisher):
            raise RegistryError("forbidden_scope", f"this token does not publish for {ref.publisher}")
        if any(version == ref.version for version, _ in self._catalog.versions(ref.package)):
            raise _exists(ref)

    def _new_release(self, upload: Upload, inspected: Inspected) -> NewRelease:
        manifest = inspected.contents.manifest
        swarm = upload.size >= self._swarm_min_size
        info_hash = inspected.metainfo.info_hash
        release = Release(
            ref=manifest.ref,
            title=clean_line(manifest.title) or manifest.ref.name,
            summary=clean_line(manifest.summary_line),
            category=clean_line(manifest.category),
            license=manifest.license,
            size=upload.size,
            sha256=inspected.sha256,
            info_hash=str(info_hash) if swarm and info_hash is not None else "",
            published_at=self._clock.wall(),
            tags=manifest.tags,
            dependencies=manifest.dependencies,
            features=manifest.features,
            files=manifest.files,
            installed_size=manifest.installed_size,
            game_module=clean_line(manifest.game_module),
            platforms=manifest.platforms,
            preview_sha256=hashlib.sha256(inspected.preview).hexdigest() if inspected.preview else "",
        )
        return NewRelease(
            release=release,
            readme=inspected.readme or manifest.description,
            changelog=inspected.changelog,
            mtime_ns=upload.path.stat().st_mtime_ns,
            assets={
                Asset.MANIFEST: inspected.contents.raw_manifest,
                Asset.SKELETON: inspected.skeleton,
                Asset.OUTLINE: inspected.chunks.outline.encode(),
                Asset.FINE: inspected.chunks.fine,
                Asset.PREVIEW: inspected.preview,
                Asset.TORRENT: inspected.torrent,
            },
        )


def _exists(ref: PackageRef) -> RegistryError:
    return RegistryError("version_exists", f"{ref} was published before; a version never changes: take a new number")


def _too_large(limit: int) -> RegistryError:
    return RegistryError("too_large", f"this server takes packages of at most {limit} bytes")


def _move(source: Path, place: Path) -> None:
    """Durable in the end: the file's bytes are flushed already, now its name is."""
    place.parent.mkdir(parents=True, exist_ok=True)
    source.replace(place)
    place.chmod(0o444)
    for folder in (place.parent, place.parent.parent, place.parent.parent.parent):
        _flush_folder(folder)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened, and a rename is journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
