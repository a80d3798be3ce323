"""A git index as a source, in a folder or over HTTP, in both layouts (ic-workshop.md §3.5).

    index.yaml                                  everything in one file, with its serial and times   (a)
    packages/<publisher>/<name>/<version>.yaml  what it is made of; enough in a folder              (a)
    config.json, <shard>/<publisher>/<name>     a line of JSON for each version                     (b)

An index is only words: it has no bytes. Each of its words is checked against the package, and the index itself against
what it said before (`registry.freshness`).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from icworkshop_gui.core.catalog import (
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    SearchPage,
    SearchQuery,
    version_key,
)
from icworkshop_gui.core.errors import FormatError, NotFound, RegistryError
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.registry import schema
from icworkshop_gui.registry.asker import Asker, HttpGetter
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.freshness import judge
from icworkshop_gui.registry.index_files import FolderReader, Reader, WebReader, gone
from icworkshop_gui.registry.listing import search_listed
from icworkshop_gui.registry.offline import search_offline
from icworkshop_gui.registry.probe import Probe, probe, probe_file
from icworkshop_gui.registry.promises import in_words, promise_of
from icworkshop_gui.registry.seen import Seen
from icworkshop_gui.registry.source import (
    INDEX_FILE,
    SHARDS_FILE,
    VERSIONS_FOLDER,
    Offer,
    display_address,
    folder_of,
    web_base,
)
from icworkshop_gui.registry.versions import (
    INDEX_MAX,
    LINES_MAX,
    RELEASES_MAX,
    Index,
    Listed,
    by_package,
    read_index,
    read_lines,
    read_version_file,
    shard_paths,
    with_size,
)

T = TypeVar("T")

CONFIG_MAX = 64 * KIB
TORRENT_MAX = 10 * MIB
"""Bytes of a .torrent (engine.md F D-2)."""


class GitIndex:
    """See `Source`. Parsing runs on threads."""

    def __init__(
        self,
        address: str,
        network: HttpGetter,
        cache: RegistryCache | None = None,
        seen: Seen | None = None,
        *,
        wall: Callable[[], float],
        allow_private: bool = False,
    ) -> None:
        """`allow_private`: what the index names may be in a private network, since the index itself is."""
        self.address = address
        self._network = network
        self._cache = cache if cache is not None else RegistryCache(None)
        self._seen = seen if seen is not None else Seen(None)
        self._wall = wall
        self._allow_private = allow_private
        self._folder = folder_of(address)
        self._base = web_base(address)
        self._reader: Reader = (
            WebReader(network, self._base, self._cache) if self._folder is None else FolderReader(self._folder)
        )
        self._index = Index()
        self._files: dict[Path, tuple[int, Listed]] = {}
        self._probes: dict[PackageRef, Probe] = {}
        self._name = ""

    @property
    def keeps_all(self) -> bool:
        """An index with serials may take a release down with a new one; without, nothing tells that from a rollback."""
        return self._index.mark.serial is None

    @property
    def _title(self) -> str:
        return self._name or display_address(self.address)

    def package_url(self, ref: PackageRef) -> str:
        return ""

    async def server(self) -> schema.ServerInfo:
        whole, stale = await self._whole()
        if stale:
            raise RegistryError("unreachable", f"{self._title} does not answer")
        releases = sum(map(len, whole.values())) if whole is not None else 0
        return schema.ServerInfo(name=self._title, software="git index", packages=len(whole or ()), releases=releases)

    async def search(self, query: SearchQuery) -> SearchPage:
        whole, stale = await self._whole()
        if whole is not None:
            page = search_listed((_newest(versions).row for versions in whole.values()), query)
            return replace(page, stale=stale)
        # The second layout over HTTP cannot be listed: what was asked for by name before is what is known.
        try:
            await self.package(PackageId.parse(query.text.strip()))
        except (ValueError, NotFound):
            pass
        rows = await asyncio.to_thread(self._cache.rows, self.address)
        known: Iterable[PackageSummary] = [schema.summary_from_json(schema.decode(row)) for row in rows]
        return search_listed(known, query) if not stale else search_offline(known, query)

    async def package(self, package: PackageId, version: str = "", *, files: bool = True) -> PackageDetail:
        versions, stale = await self._versions(package)
        newest = sorted(versions, key=lambda item: version_key(item.release.ref.version), reverse=True)
        if version:
            chosen = next((item for item in newest if item.release.ref.version == version), None)
            if chosen is None:
                raise NotFound(f"{self._title} has no {package}@{version}")
        else:
            chosen = _newest(versions)
        if not chosen.release.size and not stale:
            chosen = with_size(chosen, (await self._probe(chosen)).size)
        return PackageDetail(
            release=chosen.release,
            readme=schema.clean_document(chosen.manifest.description),
            versions=tuple(item.release for item in newest),
            stale=stale,
        )

    async def offer(self, ref: PackageRef) -> Offer:
        """What the index names. RegistryError "lied" when what is there says something else of itself."""
        versions, _stale = await self._versions(ref.package)
        listed = next((item for item in versions if item.release.ref == ref), None)
        if listed is None:
            raise NotFound(f"{self._title} has no {ref}")
        file, size = self._local_file(listed), 0
        if file is None and not listed.urls and not listed.torrent_url:
            raise RegistryError(
                "not_offered",
                f"{self._title} names no web address for {ref}"
                + (", only a torrent by its info-hash, which cannot be fetched yet." if listed.info_hash else "."),
            )
        if file is not None or listed.urls:
            found = await self._probe(listed)
            self._check_probe(listed, found)
            size = found.size
        return Offer(
            size=size,
            torrent=await self._torrent(listed) if file is None and listed.torrent_url else b"",
            file=file,
            urls=tuple(url for url in map(self._resolve, listed.urls) if url.startswith(("http://", "https://"))),
            trackers=listed.trackers,
            info_hash=listed.info_hash,
            manifest_sha256=listed.manifest_sha256,
        )

    async def chunks(self, ref: PackageRef) -> bytes:
        raise NotFound("an index keeps no lists of chunks")

    async def fine_chunks(self, ref: PackageRef, spans: Sequence[tuple[int, int]]) -> bytes:
        raise NotFound("an index keeps no lists of chunks")

    async def preview(self, ref: PackageRef, sha256: str) -> bytes:
        raise NotFound("an index keeps no pictures")

    # --- the two layouts -------------------------------------------------------------------------

    async def _whole(self) -> tuple[dict[PackageId, tuple[Listed, ...]] | None, bool]:
        """Every release, and whether that is from before; None where only single packages can be asked for."""
        try:
            data, stale = await self._reader.read(INDEX_FILE, INDEX_MAX)
        except NotFound:
            return await self._without_summary()
        index = await asyncio.to_thread(self._parsed, data)
        if not stale:
            seen = await asyncio.to_thread(self._seen.mark, self.address)
            judge(index.name or self._title, seen, index.mark, self._wall())
            await asyncio.to_thread(self._seen.remember_mark, self.address, index.mark)
        self._index, self._name = index, index.name
        return index.releases, stale

    def _parsed(self, data: bytes) -> Index:
        digest = hashlib.sha256(data).hexdigest()
        if digest == self._index.mark.digest:
            return self._index
        return self._read(lambda: read_index(data, digest), INDEX_FILE)

    async def _without_summary(self) -> tuple[dict[PackageId, tuple[Listed, ...]] | None, bool]:
        if self._folder is not None:
            return await asyncio.to_thread(self._walk, self._folder), False
        _data, stale = await self._config()
        return None, stale

    async def _versions(self, package: PackageId) -> tuple[tuple[Listed, ...], bool]:
        """Of one package. NotFound."""
        whole, stale = await self._whole()
        if whole is None:
            return await self._lines(package)
        found = whole.get(package)
        if not found:
            raise NotFound(f"{self._title} has no {package}")
        if self._folder is not None and self._index.releases:
            await asyncio.to_thread(self._compare, self._folder, found)
        return found, stale

    async def _config(self) -> tuple[str, bool]:
        """The `dl` of `config.json`. RegistryError when there is neither layout."""
        try:
            data, stale = await self._reader.read(SHARDS_FILE, CONFIG_MAX)
        except NotFound:
            raise RegistryError(
                "bad_reply",
                f"{display_address(self.address)} is no index: it has neither {INDEX_FILE} nor {SHARDS_FILE}",
            ) from None
        return schema.Fields(schema.decode(data)).text("dl", schema.LINE_MAX, ""), stale

    async def _lines(self, package: PackageId) -> tuple[tuple[Listed, ...], bool]:
        download, _ = await self._config()
        for path in shard_paths(package):
            try:
                data, stale = await self._reader.read(path, LINES_MAX)
            except NotFound:
                continue
            found = await asyncio.to_thread(self._read, functools.partial(read_lines, data, download), path)
            if not found or any(item.release.ref.package != package for item in found):
                raise RegistryError("bad_reply", f"{self._title} lists other packages under {package}")
            row = schema.encode(schema.summary_to_json(_newest(found).row))
            await asyncio.to_thread(self._cache.remember_rows, self.address, [(str(package), row)])
            return found, stale
        raise NotFound(f"{self._title} has no {package}")

    def _walk(self, folder: Path) -> dict[PackageId, tuple[Listed, ...]]:
        """Everything in a folder that has no summary."""
        if not folder.is_dir():
            raise gone(folder)
        listed: list[Listed] = []
        if (folder / VERSIONS_FOLDER).is_dir():
            for path in sorted((folder / VERSIONS_FOLDER).glob("*/*/*.yaml"))[:RELEASES_MAX]:
                item = self._version_file(path)
                if path.parts[-3:] != (*item.release.ref[:2], f"{item.release.ref.version}.yaml"):
                    raise RegistryError("bad_reply", f"{path} speaks of {item.release.ref}")
                listed.append(item)
        elif (folder / SHARDS_FILE).is_file():
            raw = schema.decode((folder / SHARDS_FILE).read_bytes()[:CONFIG_MAX])
            download = schema.Fields(raw).text("dl", schema.LINE_MAX, "")
            for path in _shard_files(folder):
                listed += self._read(functools.partial(_lines_of, path, download), str(path))
        return self._read(lambda: by_package(listed), str(folder))

    def _version_file(self, path: Path) -> Listed:
        status = os.stat(path)
        known = self._files.get(path)
        if known is not None and known[0] == status.st_mtime_ns:
            return known[1]
        found = self._read(lambda: read_version_file(path.read_bytes()), str(path))
        self._files[path] = status.st_mtime_ns, found
        return found

    def _compare(self, folder: Path, found: Sequence[Listed]) -> None:
        """The summary must say what the files say that it was made of."""
        for item in found:
            ref = item.release.ref
            path = folder / VERSIONS_FOLDER / ref.publisher / ref.name / f"{ref.version}.yaml"
            if path.is_file() and self._version_file(path).release.sha256 != item.release.sha256:
                raise RegistryError(
                    "contradiction",
                    f"{INDEX_FILE} and {path.name} of {self._title} name different content for {ref}. Build it anew.",
                )

    def _read(self, read: Callable[[], T], what: str) -> T:
        try:
            return read()
        except FormatError as error:
            raise RegistryError("bad_reply", f"{what} of {self._title} is malformed: {error}") from error
        except OSError as error:
            raise RegistryError("unreachable", f"{what} cannot be read: {error.strerror}") from error

    # --- the bytes -------------------------------------------------------------------------------

    def _resolve(self, url: str) -> str:
        if urlsplit(url).scheme or self._folder is not None:
            return url
        return urljoin(f"{self._base}/", url)

    def _local_file(self, listed: Listed) -> Path | None:
        """A package that lies in the index's own folder."""
        if self._folder is None:
            return None
        root = self._folder.resolve()
        for url in listed.urls:
            path = (root / url).resolve()
            if not urlsplit(url).scheme and path.is_relative_to(root) and path.is_file():
                return path
        return None

    async def _probe(self, listed: Listed) -> Probe:
        """Of the first address that answers. NotFound, RegistryError."""
        ref = listed.release.ref
        file = self._local_file(listed)
        if file is not None:
            return await asyncio.to_thread(probe_file, file)
        known = self._probes.get(ref)
        if known is not None:
            return known
        last: RegistryError | NotFound = RegistryError("not_offered", f"{self._title} names no web address for {ref}.")
        for url in map(self._resolve, listed.urls):
            try:
                found = await probe(self._network, url, allow_private=self._allow_private)
            except (RegistryError, NotFound) as error:
                last = error
            else:
                self._probes[ref] = found
                return found
        raise last

    def _check_probe(self, listed: Listed, found: Probe) -> None:
        release = listed.release
        if found.manifest.ref != release.ref:
            raise self._lied(f"{release.ref} lies there, where {found.manifest.ref} does")
        if release.size and found.size != release.size:
            raise self._lied(f"{release.ref} has {release.size} bytes, but it has {found.size}")
        if not found.manifest.truncated and promise_of(found.manifest.dependencies) != promise_of(release.dependencies):
            raise self._lied(
                f"{release.ref} needs {in_words(promise_of(release.dependencies))}, but the package itself names "
                f"{in_words(promise_of(found.manifest.dependencies))}"
            )

    def _lied(self, what: str) -> RegistryError:
        return RegistryError("lied", f"{self._title} says that {what}. Nothing of it was installed.")

    async def _torrent(self, listed: Listed) -> bytes:
        url = self._resolve(listed.torrent_url)
        if not urlsplit(url).scheme:
            assert self._folder is not None
            data, _ = await self._reader.read(url, TORRENT_MAX)
            return data
        asker = Asker(self._network, url, self._cache, allow_private=self._allow_private)
        data, _ = await asker.fetch(url, TORRENT_MAX)
        return data


def _newest(versions: Sequence[Listed]) -> Listed:
    """What is shown of a package: the newest that was not taken back, no pre-release where there is another."""

    def rank(item: Listed) -> tuple[object, ...]:
        version = item.release.ref.version
        return not item.release.yanked, "-" not in version.partition("+")[0], version_key(version)

    return max(versions, key=rank)


def _lines_of(path: Path, download: str) -> tuple[Listed, ...]:
    with path.open("rb") as file:
        return read_lines(file.read(LINES_MAX), download)


def _shard_files(folder: Path) -> list[Path]:
    """`<shard>/<publisher>/<name>` and `<two>/<two>/<publisher>/<name>`."""
    found = [path for pattern in ("?/*/*", "??/??/*/*") for path in folder.glob(pattern) if path.is_file()]
    return sorted(found)[:RELEASES_MAX]
