"""The bytes of releases: the package with ranges, its torrent, skeleton, manifest and picture. All immutable."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import NotFound, RegistryError
from icworkshop_gui.formats.chunks import FINE_ENTRY
from icworkshop_gui.formats.header import HEADER_SIZE
from icworkshop_gui.registry.schema import SPANS_MAX
from icworkshop_gui.server.catalog import Asset, StoredPackage
from icworkshop_gui.server.limits import limit_key
from icworkshop_gui.server.rest.desk import MANIFEST_TYPE, SKELETON_TYPE, Desk, readable, release_of, validated

CHUNK = 256 * 1024
"""Bytes read from disk and sent at once."""
FOREVER = "public, max-age=31536000, immutable"
PACKAGE_TYPE = "application/vnd.ironcurtain.icpkg"
OUTLINE_TYPE = "application/vnd.ironcurtain.chunks"
_CHUNK_SPAN = re.compile(r"(\d{1,9})-(\d{1,9})", re.ASCII)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Span(NamedTuple):
    """Bytes `start` to `end`, the end not included."""

    start: int
    end: int


def parse_range(header: str, size: int) -> Span | None:
    """The one range that a Range header asks for; None where the whole is the right answer.

    RegistryError "bad_range" when nothing of it is there. Several ranges, and units and forms that we do not
    know, are ignored, as RFC 9110 §14.2 allows.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        if not length:
            raise RegistryError("bad_range", f"the package has {size} bytes")
        return Span(size - length, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RegistryError("bad_range", f"the package has {size} bytes")
    return Span(start, min(int(last) + 1, size) if last else size)


def chosen_chunks(body: bytes, of: str) -> bytes:
    """The entries of a list of fine chunks with these numbers; all when `of` is empty. RegistryError."""
    if not of:
        return body
    size, chosen = FINE_ENTRY.size, bytearray()
    spans = of.split(",", SPANS_MAX)
    if len(spans) > SPANS_MAX:
        raise RegistryError("bad_request", f"more than {SPANS_MAX} spans of chunks at once")
    for span in spans:
        match = _CHUNK_SPAN.fullmatch(span)
        if match is None or not int(match[1]) <= int(match[2]) < len(body) // size:
            raise RegistryError("bad_range", "spans of chunks are written 0-7,40-44, and end where the list ends")
        chosen += body[int(match[1]) * size : (int(match[2]) + 1) * size]
        if len(chosen) > len(body):
            raise RegistryError("bad_range", "the same chunks more than once")
    return bytes(chosen)


def package_routes(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["packages"])
    desk.metrics.describe("icw_package_bytes_sent_total", "Bytes of packages sent over HTTP.")
    desk.metrics.describe("icw_downloads_total", "Downloads, each address and release once a day.")
    path = "/packages/{publisher}/{name}/{version}"

    def count(request: Request, ref: PackageRef) -> None:
        if request.method == "GET" and desk.counted.is_first((limit_key(_host(request)), ref)):
            desk.catalog.count_download(ref)
            desk.metrics.add("icw_downloads_total")

    async def kept(request: Request, ref: PackageRef, kind: Asset, media_type: str) -> Response:
        def answer() -> Response:
            body = desk.catalog.asset(ref, kind)
            return validated(body, request, media_type, f'"{hashlib.sha256(body).hexdigest()}"', FOREVER)

        return await asyncio.to_thread(answer)

    async def package(request: Request, publisher: str, name: str, version: str) -> Response:
        """Ranges, validators (the ETag is the SHA-256) and HEAD work as RFC 9110 wants them."""
        ref = release_of(publisher, name, version)
        stored = await asyncio.to_thread(desk.catalog.stored, ref)
        if not await asyncio.to_thread(_is_there, stored):
            raise NotFound(f"the file of {ref} is missing or damaged on this server")
        etag = f'"{stored.sha256}"'
        headers = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": FOREVER,
            "Content-Disposition": f'attachment; filename="{ref.file_name}"',
            "X-Content-Type-Options": "nosniff",
        }
        asked = request.headers.get("if-none-match", "")
        if asked.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in asked.split(",")]:
            return Response(status_code=304, headers=headers)
        span = None
        if "range" in request.headers and request.headers.get("if-range", etag) == etag:
            try:
                span = parse_range(request.headers["range"], stored.size)
            except RegistryError:
                return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{stored.size}"})
        sent = span or Span(0, stored.size)
        if sent.start == 0 and sent.end > HEADER_SIZE:  # not a mere look at the header
            count(request, ref)
        headers["Content-Length"] = str(sent.end - sent.start)
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{stored.size}"
        status = 200 if span is None else 206
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=PACKAGE_TYPE)
        return StreamingResponse(_read(desk, stored.path, sent), status, headers, PACKAGE_TYPE)

    for alias in (".icpkg", "/download"):
        readable(router, path + alias, package, "The package's bytes, with ranges")

    async def torrent(request: Request, publisher: str, name: str, version: str) -> Response:
        ref = release_of(publisher, name, version)
        stored = await asyncio.to_thread(desk.catalog.stored, ref)
        bare = await asyncio.to_thread(desk.catalog.asset, ref, Asset.TORRENT)
        # Without a swarm it still holds the hash of every piece, and whoever fetches over HTTP checks by those.
        body = desk.addresses(request).torrent(bare, ref, stored.published_at, has_swarm=bool(stored.info_hash))
        count(request, ref)
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        return validated(body, request, "application/x-bittorrent", etag, "no-cache")

    async def skeleton(request: Request, publisher: str, name: str, version: str) -> Response:
        ref = release_of(publisher, name, version)
        return await kept(request, ref, Asset.SKELETON, SKELETON_TYPE)

    async def chunks(request: Request, publisher: str, name: str, version: str) -> Response:
        ref = release_of(publisher, name, version)
        return await kept(request, ref, Asset.OUTLINE, OUTLINE_TYPE)

    async def fine_chunks(request: Request, publisher: str, name: str, version: str, of: str = "") -> Response:
        """All fine chunks, or those with the numbers `of` (`0-7,40-44`)."""
        ref = release_of(publisher, name, version)
        body = await asyncio.to_thread(desk.catalog.asset, ref, Asset.FINE)
        etag = f'"{hashlib.sha256(body + of.encode()).hexdigest()}"'
        return validated(chosen_chunks(body, of), request, OUTLINE_TYPE, etag, FOREVER)

    async def manifest(request: Request, publisher: str, name: str, version: str) -> Response:
        return await kept(request, release_of(publisher, name, version), Asset.MANIFEST, MANIFEST_TYPE)

    async def preview(request: Request, publisher: str, name: str, version: str) -> Response:
        answer = await kept(request, release_of(publisher, name, version), Asset.PREVIEW, "image/png")
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    readable(router, path + ".torrent", torrent, "Its torrent")
    readable(router, path + "/skeleton", skeleton, "Its bytes outside its files")
    readable(router, path + "/chunks", chunks, "The chunks of its files, for updates that fetch only what is new")
    readable(router, path + "/chunks/fine", fine_chunks, "The fine chunks of those chunks that differ")
    readable(router, path + "/manifest", manifest, "Its manifest.yaml")
    readable(router, path + "/preview.png", preview, "Its picture")
    return router


def _is_there(stored: StoredPackage) -> bool:
    try:
        return stored.path.stat().st_size == stored.size
    except OSError:
        return False


async def _read(desk: Desk, path: Path, span: Span) -> AsyncIterator[bytes]:
    """The bytes of a span, read on threads."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, span.start)
        left = span.end - span.start
        while left:
            chunk = await asyncio.to_thread(file.read, min(left, CHUNK))
            if not chunk:
                raise OSError(f"{path} is shorter than it was")
            left -= len(chunk)
            desk.metrics.add("icw_package_bytes_sent_total", len(chunk))
            yield chunk
    finally:
        file.close()


def _host(request: Request) -> str:
    return request.client.host if request.client is not None else ""
