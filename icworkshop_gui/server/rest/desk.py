"""What the routes share, and how they answer: one place for JSON, validators and errors."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from icworkshop_gui.core.catalog import PackageId, PackageRef, is_segment, is_version
from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound, RegistryError, UserError
from icworkshop_gui.registry import schema
from icworkshop_gui.server.addresses import HOST_HEADER, Addresses
from icworkshop_gui.server.catalog import Catalog
from icworkshop_gui.server.config import ServerConfig
from icworkshop_gui.server.limits import Once, RateLimit
from icworkshop_gui.server.metrics import Metrics
from icworkshop_gui.server.publishing import Publisher
from icworkshop_gui.server.tokens import Tokens

JSON_TYPE = "application/json"
SKELETON_TYPE, MANIFEST_TYPE = "application/octet-stream", "application/yaml"
PACKED_TYPES = frozenset({JSON_TYPE, SKELETON_TYPE, MANIFEST_TYPE})
"""What gets smaller when it is packed: texts, names, numbers."""
PACKED_MIN = 1024
"""Bytes from which packing is worth it."""
COUNTED_ONCE = 86_400.0
"""Seconds in which the same address counts once for the same release."""


@dataclass(slots=True, kw_only=True)
class Desk:
    """The server behind the routes."""

    config: ServerConfig
    clock: Clock
    catalog: Catalog
    tokens: Tokens
    publisher: Publisher
    metrics: Metrics
    udp_port: Callable[[], int]
    """0 while there is no UDP tracker."""
    checks: Callable[[], dict[str, bool]]
    """What must be true before the server is ready."""
    workshop: Callable[[], dict[str, int]]
    """The numbers of `/health`."""
    draining: bool = False
    counted: Once = field(init=False)
    api_limit: RateLimit = field(init=False)
    bytes_limit: RateLimit = field(init=False)
    publish_limit: RateLimit = field(init=False)
    guess_limit: RateLimit = field(init=False)
    """Wrong tokens from one address: a dozen at once, then one in ten seconds."""

    def __post_init__(self) -> None:
        config, clock = self.config, self.clock
        self.counted = Once(clock, COUNTED_ONCE)
        self.api_limit = RateLimit(clock, config.api_rate, config.api_burst)
        self.bytes_limit = RateLimit(clock, config.bytes_rate, config.bytes_burst)
        self.publish_limit = RateLimit(clock, config.publishes_per_hour / 3600, max(1, config.publishes_per_hour))
        self.guess_limit = RateLimit(clock, 0.1, 12)

    def addresses(self, request: Request) -> Addresses:
        """Where we are for this asker: the configured address, else the one that it used."""
        base = self.config.public_url.rstrip("/")
        if not base:
            host = request.headers.get("host", "")
            base = f"{request.url.scheme}://{host}" if HOST_HEADER.fullmatch(host) else "http://127.0.0.1"
        return Addresses(base, self.udp_port(), self.config.mirrors)

    def is_our_host(self, host: str) -> bool:
        """Is this Host header one that we answer?"""
        match = HOST_HEADER.fullmatch(host)
        if match is None:
            return False
        allowed = {name.lower() for name in self.config.allowed_hosts}
        public = urlsplit(self.config.public_url).hostname
        if allowed and public:
            allowed.add(public)
        return not allowed or match[1].lower().strip("[]") in allowed


def readable(router: APIRouter, path: str, endpoint: Callable[..., Any], summary: str) -> None:
    """A route for GET and HEAD. OpenAPI is told of GET alone: an operation has one method there."""
    router.add_api_route(path, endpoint, methods=["GET"], summary=summary)
    router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)


def json_answer(message: schema.Json, request: Request | None = None, status: int = 200) -> Response:
    """JSON; with a request also a validator, and 304 when the asker has this already."""
    body = schema.encode(message)
    if request is None:
        return Response(body, status, media_type=JSON_TYPE, headers={"Cache-Control": "no-store"})
    return validated(body, request, JSON_TYPE, f'"{hashlib.sha256(body).hexdigest()[:32]}"', "no-cache")


def validated(body: bytes, request: Request, media_type: str, etag: str, cache: str) -> Response:
    """A body with its validator, or 304 (RFC 9110 §13.1.2); packed for who takes that. Blocks while it packs."""
    packs = media_type in PACKED_TYPES and len(body) >= PACKED_MIN
    packed = packs and "gzip" in _codings(request)
    if packed:
        # Other bytes, so another validator (RFC 9110 §8.8.3.3).
        etag = f'{etag[:-1]}-gzip"'
    headers = {"ETag": etag, "Cache-Control": cache}
    if packs:
        headers["Vary"] = "Accept-Encoding"
    asked = request.headers.get("if-none-match", "")
    if asked.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in asked.split(",")]:
        return Response(status_code=304, headers=headers)
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body, mtime=0), "gzip"
    return Response(body, media_type=media_type, headers=headers)


def _codings(request: Request) -> set[str]:
    """The content codings that the asker takes (RFC 9110 §12.5.3)."""
    listed = request.headers.get("accept-encoding", "").lower().split(",")
    parts = [entry.replace(" ", "").partition(";") for entry in listed]
    return {name for name, _, weight in parts if not re.fullmatch(r"q=0(\.0*)?", weight)}


def error_answer(error: Exception) -> Response:
    """The error body of whatever a route raised; only what we raise on purpose tells anything."""
    code, retry_after = "internal", None
    message = "the server made a mistake; it is in its log"
    match error:
        case RegistryError():
            code, message, retry_after = error.code, error.message, error.retry_after
        case NotFound():
            code, message = "not_found", str(error)
        case Conflict():
            code, message = "version_exists", str(error)
        case FormatError() | UserError():
            code, message = "bad_request", str(error)
    status = schema.STATUS_OF_CODE.get(code, 400)
    answer = json_answer(schema.error_to_json(code, message, retry_after=retry_after), status=status)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(max(1, int(retry_after + 0.999)))
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def package_of(publisher: str, name: str) -> PackageId:
    """NotFound for what cannot be the name of a package."""
    if not is_segment(publisher) or not is_segment(name):
        raise NotFound("there is no such package: names are a-z, 0-9 and single hyphens inside")
    return PackageId(publisher, name)


def release_of(publisher: str, name: str, version: str) -> PackageRef:
    """NotFound for what cannot be the name of a release."""
    package = package_of(publisher, name)
    if not is_version(version):
        raise NotFound(f"there is no {package} of that version: it is no SemVer version")
    return PackageRef(package.publisher, package.name, version)
