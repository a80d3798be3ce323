"""The Workshop server as the desktop program sees it: ask, check, remember.

Every answer is bounded, timed and read as the words of a stranger. What was seen before is asked for again
with its validator, and served, marked stale, while the server is out of reach.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef, PackageSummary, SearchPage, SearchQuery
from icworkshop_gui.core.errors import IntegrityError, RegistryError
from icworkshop_gui.formats.chunks import FINE_ENTRY, OUTLINE_MAX
from icworkshop_gui.registry import schema
from icworkshop_gui.registry.asker import TIMEOUT, Asker, HttpGetter
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.offline import search_offline
from icworkshop_gui.registry.picture import PREVIEW_MAX, check_png
from icworkshop_gui.registry.source import Offer

T = TypeVar("T")

TORRENT_MAX = 10 * 1024 * 1024
"""Bytes of a .torrent (engine.md F D-2)."""
SKELETON_MAX = 64 * 1024 * 1024
MANIFEST_MAX = 16 * 1024 * 1024


class RegistryClient:
    """One Workshop server by its base URL.

    Raises NotFound for what is not there, IntegrityError for a picture that is not the one promised, and
    RegistryError for everything else: code "unreachable" when the server does not answer, "bad_reply" when
    the answer is not one, "rate_limited"/"draining" with `retry_after`, else as the error body says.
    """

    def __init__(
        self, network: HttpGetter, base_url: str, cache: RegistryCache | None = None, *, timeout: float = TIMEOUT
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("a Workshop server is given as http(s)://host[:port][/path]")
        self._base = base_url.split("#")[0].rstrip("/")
        self._cache = cache if cache is not None else RegistryCache(None)
        self._asker = Asker(network, self._base, self._cache, timeout=timeout)

    @property
    def address(self) -> str:
        return self._base

    @property
    def keeps_all(self) -> bool:
        """A server may have to take a release down."""
        return False

    async def server(self) -> schema.ServerInfo:
        """What the server says about itself; always asked, never from the cache."""
        body, _ = await self._asker.fetch(f"{self._base}{schema.API}/server", schema.REPLY_MAX, offline=False)
        return schema.server_from_json(schema.decode(body))

    async def search(self, query: SearchQuery) -> SearchPage:
        """One page; while the server is out of reach, of what was seen before (`stale`)."""
        url = f"{self._base}{schema.API}/search?{urlencode(schema.search_to_params(query))}"
        try:
            page, stale = await self._ask(url, schema.page_from_json)
        except RegistryError as error:
            if error.code != "unreachable":
                raise
            rows = await asyncio.to_thread(self._seen_rows)
            if not rows:
                raise
            return search_offline(rows, query)
        if not stale:
            rows_json = [(str(row.package), schema.encode(schema.summary_to_json(row))) for row in page.items]
            await asyncio.to_thread(self._cache.remember_rows, self._base, rows_json)
        return replace(page, stale=stale)

    async def package(self, package: PackageId, version: str = "", *, files: bool = True) -> PackageDetail:
        """The page of one package; `version` empty means the newest. Without `files` it is a small answer."""
        url = f"{self._base}{schema.API}/packages/{_path(*package, *([version] if version else []))}"
        url += "" if files else "?files=no"
        detail, stale = await self._ask(url, schema.detail_from_json)
        if detail.release.ref.package != package or (version and detail.release.ref.version != version):
            raise RegistryError("bad_reply", "the server answered with another package")
        return replace(detail, stale=stale)

    async def offer(self, ref: PackageRef) -> Offer:
        """Its torrent and its skeleton."""
        return Offer(torrent=await self.torrent(ref), skeleton=await self.skeleton(ref))

    async def torrent(self, ref: PackageRef) -> bytes:
        """The .torrent file, unparsed."""
        body, _ = await self._asker.fetch(self._release_url(ref) + ".torrent", TORRENT_MAX)
        return body

    async def skeleton(self, ref: PackageRef) -> bytes:
        """The package's bytes that lie outside its files, unparsed."""
        body, _ = await self._asker.fetch(self._release_url(ref) + "/skeleton", SKELETON_MAX)
        return body

    async def chunks(self, ref: PackageRef) -> bytes:
        """The chunks of its files (`formats.chunks.Outline`), unparsed."""
        body, _ = await self._asker.fetch(self._release_url(ref) + "/chunks", OUTLINE_MAX)
        return body

    async def fine_chunks(self, ref: PackageRef, spans: Sequence[tuple[int, int]]) -> bytes:
        """The fine chunks with the numbers of these spans (first, last), unparsed, one behind the other."""
        url = self._release_url(ref) + "/chunks/fine?of="
        parts = [spans[at : at + schema.SPANS_MAX] for at in range(0, len(spans), schema.SPANS_MAX)]
        found = b""
        for part in parts:
            size = FINE_ENTRY.size * sum(last - first + 1 for first, last in part)
            body, _ = await self._asker.fetch(url + ",".join(f"{first}-{last}" for first, last in part), size)
            found += body
        return found

    async def manifest(self, ref: PackageRef) -> bytes:
        """The inner `manifest.yaml`, unparsed."""
        body, _ = await self._asker.fetch(self._release_url(ref) + "/manifest", MANIFEST_MAX)
        return body

    async def preview(self, ref: PackageRef, sha256: str) -> bytes:
        """The encoded picture: its SHA-256 is `sha256` (hex) and its PNG header says at most 512×512."""
        key = f"sha256:{sha256}"
        kept = await asyncio.to_thread(self._cache.get, key)
        if kept is not None and hashlib.sha256(kept.body).hexdigest() == sha256:
            return kept.body
        body, _ = await self._asker.fetch(self._release_url(ref) + "/preview.png", PREVIEW_MAX, keep=False)
        if hashlib.sha256(body).hexdigest() != sha256:
            raise IntegrityError(f"the picture of {ref} is not the one that the registry promised")
        check_png(body)
        await asyncio.to_thread(self._cache.put, key, body)
        return body

    def package_url(self, ref: PackageRef) -> str:
        """Where the package's bytes are, with ranges."""
        return self._release_url(ref) + ".icpkg"

    def _release_url(self, ref: PackageRef) -> str:
        return f"{self._base}{schema.API}/packages/{_path(*ref)}"

    def _seen_rows(self) -> list[PackageSummary]:
        return [schema.summary_from_json(schema.decode(body)) for body in self._cache.rows(self._base)]

    async def _ask(self, url: str, read: Callable[[object], T]) -> tuple[T, bool]:
        """A JSON answer as a value, and whether it is stale."""
        body, stale = await self._asker.fetch(url, schema.REPLY_MAX)
        return read(schema.decode(body)), stale


def _path(*segments: str) -> str:
    return "/".join(quote(segment, safe="") for segment in segments)
