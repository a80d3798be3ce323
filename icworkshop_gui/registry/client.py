"""The Workshop server as the desktop program sees it: ask, check, remember.

Every answer is bounded, timed and read as the words of a stranger. What was seen before is asked for again
with its validator, and served, marked stale, while the server is out of reach.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef, PackageSummary, SearchPage, SearchQuery
from icworkshop_gui.core.errors import IntegrityError, NotFound, RegistryError, RemoteProtocolError
from icworkshop_gui.formats.chunks import FINE_ENTRY, OUTLINE_MAX
from icworkshop_gui.registry import schema
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.offline import search_offline
from icworkshop_gui.registry.picture import PREVIEW_MAX, check_png

T = TypeVar("T")

TIMEOUT = 15.0
"""Seconds for one question and its whole answer."""
TORRENT_MAX = 10 * 1024 * 1024
"""Bytes of a .torrent (engine.md F D-2)."""
SKELETON_MAX = 64 * 1024 * 1024
MANIFEST_MAX = 16 * 1024 * 1024
RETRY_AFTER_MAX = 3600.0
"""Seconds: a server that asks for a longer rest is asked again after this."""
RETRY_WAIT_MAX = 3.0
"""Seconds that a question waits by itself when it is asked to; beyond, the caller decides."""


class HttpReply(Protocol):
    """An answer whose body still flows."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def read(self, limit: int) -> bytes: ...

    async def aclose(self) -> None: ...


class HttpGetter(Protocol):
    """The part of the network that the registry needs; `engine.net.network.Network` is one."""

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> HttpReply: ...


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
        self._network = network
        self._base = base_url.split("#")[0].rstrip("/")
        self._cache = cache if cache is not None else RegistryCache(None)
        self._timeout = timeout

    @property
    def base_url(self) -> str:
        return self._base

    async def server(self) -> schema.ServerInfo:
        """What the server says about itself; always asked, never from the cache."""
        body, _ = await self._fetch(f"{self._base}{schema.API}/server", schema.REPLY_MAX, offline=False)
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

    async def torrent(self, ref: PackageRef) -> bytes:
        """The .torrent file, unparsed."""
        body, _ = await self._fetch(self._release_url(ref) + ".torrent", TORRENT_MAX)
        return body

    async def skeleton(self, ref: PackageRef) -> bytes:
        """The package's bytes that lie outside its files, unparsed."""
        body, _ = await self._fetch(self._release_url(ref) + "/skeleton", SKELETON_MAX)
        return body

    async def chunks(self, ref: PackageRef) -> bytes:
        """The chunks of its files (`formats.chunks.Outline`), unparsed."""
        body, _ = await self._fetch(self._release_url(ref) + "/chunks", OUTLINE_MAX)
        return body

    async def fine_chunks(self, ref: PackageRef, spans: Sequence[tuple[int, int]]) -> bytes:
        """The fine chunks with the numbers of these spans (first, last), unparsed, one behind the other."""
        url = self._release_url(ref) + "/chunks/fine?of="
        parts = [spans[at : at + schema.SPANS_MAX] for at in range(0, len(spans), schema.SPANS_MAX)]
        found = b""
        for part in parts:
            size = FINE_ENTRY.size * sum(last - first + 1 for first, last in part)
            body, _ = await self._fetch(url + ",".join(f"{first}-{last}" for first, last in part), size)
            found += body
        return found

    async def manifest(self, ref: PackageRef) -> bytes:
        """The inner `manifest.yaml`, unparsed."""
        body, _ = await self._fetch(self._release_url(ref) + "/manifest", MANIFEST_MAX)
        return body

    async def preview(self, ref: PackageRef, sha256: str) -> bytes:
        """The encoded picture: its SHA-256 is `sha256` (hex) and its PNG header says at most 512×512."""
        key = f"sha256:{sha256}"
        kept = await asyncio.to_thread(self._cache.get, key)
        if kept is not None and hashlib.sha256(kept.body).hexdigest() == sha256:
            return kept.body
        body, _ = await self._fetch(self._release_url(ref) + "/preview.png", PREVIEW_MAX, keep=False)
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
        body, stale = await self._fetch(url, schema.REPLY_MAX)
        return read(schema.decode(body)), stale

    async def _fetch(self, url: str, limit: int, *, offline: bool = True, keep: bool = True) -> tuple[bytes, bool]:
        """The body of `url`, at most `limit` bytes, and whether the server could not be asked for it."""
        kept = await asyncio.to_thread(self._cache.get, url) if offline and keep else None
        headers = {"Accept-Encoding": "gzip"}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        try:
            status, reply_headers, body = await self._get_with_patience(url, headers, limit)
        except (RegistryError, OSError, TimeoutError) as error:
            busy = isinstance(error, RegistryError) and error.code in ("rate_limited", "draining")
            if isinstance(error, RegistryError) and not busy:
                raise
            if kept is not None:
                return kept.body, True
            if busy:
                raise
            raise RegistryError("unreachable", f"{self._base} does not answer") from error
        if status == 304 and kept is not None:
            return kept.body, False
        if keep and offline:
            await asyncio.to_thread(self._cache.put, url, body, _header(reply_headers, "etag")[:200])
        return body, False

    async def _get_with_patience(
        self, url: str, headers: Mapping[str, str], limit: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One more try when the server asks for a short rest."""
        try:
            return await self._get(url, headers, limit)
        except RegistryError as error:
            if error.code not in ("rate_limited", "draining") or (error.retry_after or 0) > RETRY_WAIT_MAX:
                raise
            await asyncio.sleep(error.retry_after or 0.5)
            return await self._get(url, headers, limit)

    async def _get(self, url: str, headers: Mapping[str, str], limit: int) -> tuple[int, Mapping[str, str], bytes]:
        async with asyncio.timeout(self._timeout):
            try:
                reply = await self._network.http_get(url, headers=headers, timeout=self._timeout, allow_private=True)
            except RemoteProtocolError as error:
                raise RegistryError("bad_reply", f"{self._base} sends us in circles") from error
            try:
                status = reply.status
                if status == 304 and "If-None-Match" in headers:
                    return status, reply.headers, b""
                try:
                    body = await reply.read(limit if status == 200 else schema.REPLY_MAX)
                except RemoteProtocolError as error:
                    raise RegistryError("bad_reply", f"an unusable answer: {error.reason}") from error
                if status == 200:
                    return status, reply.headers, body
                refused = schema.error_from_json(status, body, _retry_after(reply.headers))
            finally:
                await reply.aclose()
        if refused.code == "not_found":
            raise NotFound(f"the Workshop server has no {urlsplit(url).path.removeprefix(schema.API)}")
        if status in (429, 503):
            code = "rate_limited" if status == 429 else "draining"
            raise RegistryError(
                code, refused.message, retry_after=refused.retry_after, untrusted_text=refused.untrusted_text
            )
        raise refused


def _path(*segments: str) -> str:
    return "/".join(quote(segment, safe="") for segment in segments)


def _header(headers: Mapping[str, str], name: str) -> str:
    """Whatever the case of its letters."""
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header; None without one, or with a date (RFC 9110 §10.2.3)."""
    text = _header(headers, "retry-after").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), RETRY_AFTER_MAX)
    return None
