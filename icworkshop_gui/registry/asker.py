"""Questions to one web server: bounded, timed, kept for validators and for while it is out of reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from icworkshop_gui.core.errors import NotFound, RegistryError, RemoteProtocolError
from icworkshop_gui.registry import schema
from icworkshop_gui.registry.cache import RegistryCache

TIMEOUT = 15.0
"""Seconds for one question and its whole answer."""
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


class Asker:
    """One server by its base URL, which only serves to name it in errors.

    Raises NotFound for what is not there, and RegistryError for everything else: code "unreachable" when the server
    does not answer, "bad_reply" when the answer is not one, "rate_limited"/"draining" with `retry_after`,
    else as the error body says.
    """

    def __init__(
        self,
        network: HttpGetter,
        base: str,
        cache: RegistryCache,
        *,
        timeout: float = TIMEOUT,
        allow_private: bool = True,
    ) -> None:
        """`allow_private`: the user configured it, so it may be in the same house."""
        self._network = network
        self._base = base
        self._cache = cache
        self._timeout = timeout
        self._allow_private = allow_private

    async def fetch(self, url: str, limit: int, *, offline: bool = True, keep: bool = True) -> tuple[bytes, bool]:
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
            await asyncio.to_thread(self._cache.put, url, body, header(reply_headers, "etag")[:200])
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
                reply = await self._network.http_get(
                    url, headers=headers, timeout=self._timeout, allow_private=self._allow_private
                )
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


def header(headers: Mapping[str, str], name: str) -> str:
    """Whatever the case of its letters."""
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header; None without one, or with a date (RFC 9110 §10.2.3)."""
    text = header(headers, "retry-after").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), RETRY_AFTER_MAX)
    return None
