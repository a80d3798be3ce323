"""HTTP GET for URLs that strangers may have written: where it may lead is checked at every hop (engine.md F D-5).

A name is resolved once, the addresses are checked, and the connection goes to one of those: a second look-up that
answers differently (DNS rebinding) is never made.

Loading this module loads aiohttp, which takes 0.2 CPU seconds: `RealNetwork` does so for the first request.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.net.network import ForbiddenAddress
from icworkshop_gui.engine.net.public_address import is_numeric, is_public

REDIRECTS_MAX: Final = 5
CHUNK: Final = 64 * KIB
"""Bytes of one piece of a body at most."""
CONNECTIONS_PER_HOST: Final = 40
"""Connections to one server at once: more than all downloads together have requests to web seeds, so that announces and
the catalog of the same server never wait behind packages."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must stand (ic-workshop.md §2.9)."""

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class CheckedResolver(AbstractResolver):
    """Looks names up for a connection; with `public_only` any other address makes the name unusable.

    One bad address spoils all: a name of ours has no reason to mix public and private ones.
    """

    def __init__(self, *, public_only: bool) -> None:
        self._public_only = public_only

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for kind, _, proto, _, address in found:
            numeric = str(address[0])
            if self._public_only and not is_public(numeric):
                raise ForbiddenAddress(f"{host} is not a public address")
            results.append(
                ResolveResult(hostname=host, host=numeric, port=port, family=kind, proto=proto, flags=_NUMERIC)
            )
        return results

    async def close(self) -> None:
        """Nothing is kept."""


class HttpBody:
    """See `HttpResponse`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._encoding() != "identity":
            raise RemoteProtocolError("the server compressed a body that was asked for as it is")
        async for chunk in self._raw():
            yield chunk

    async def read(self, limit: int) -> bytes:
        """Like `HttpResponse.read`; takes gzip too, since some trackers send it unasked, within the same limit."""
        encoding = self._encoding()
        if encoding not in ("identity", "gzip"):
            raise RemoteProtocolError("the server compressed a body that was asked for as it is")
        inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
        body = bytearray()
        try:
            async for chunk in self._raw():
                # One byte over the limit is enough to know, so a gzip bomb never unfolds.
                body += chunk if inflate is None else inflate.decompress(chunk, limit + 1 - len(body))
                if len(body) > limit:
                    raise RemoteProtocolError(f"a body of more than {limit} bytes")
        except zlib.error as error:
            raise RemoteProtocolError("a body that is not the gzip it claims to be") from error
        finally:
            await self.aclose()
        return bytes(body)

    async def aclose(self) -> None:
        self._response.close()

    def _encoding(self) -> str:
        return self.headers.get("Content-Encoding", "").strip().lower() or "identity"

    async def _raw(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK):
                yield chunk
        except TimeoutError:
            raise
        except aiohttp.ClientError as error:
            raise ConnectionError(f"the body broke off: {error}") from error


class HttpClient:
    """Two connection pools: one that only ever reaches public addresses, one for servers that the user configured."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None, timeout: float, allow_private: bool
    ) -> HttpBody:
        """See `Network.http_get`. `timeout` is for the answer to begin, and again for each silence in its body."""
        target = _checked(url)
        wanted = {"Accept-Encoding": "identity", **(headers or {})}
        origin: str | None = None
        async with asyncio.timeout(timeout):
            for _ in range(REDIRECTS_MAX + 1):
                public = not allow_private or await self._is_public(target)
                if not public and origin is not None and target.host != origin:
                    # The user trusts that one server, not whatever else on the network it points at.
                    raise ForbiddenAddress("a redirect to another private server")
                # From a public hop on there is no way back inside.
                allow_private = allow_private and not public
                origin = target.host
                response = await self._send(target, wanted, timeout, public_only=public)
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    return HttpBody(response)
                response.close()
                following = _checked(location, base=target)
                if following.origin() != target.origin():
                    wanted = {name: value for name, value in wanted.items() if name.lower() not in _SECRET_HEADERS}
                # The name and password that a redirect brings along are the server's idea, not ours.
                target = following.with_user(None)
        raise RemoteProtocolError(f"more than {REDIRECTS_MAX} redirects")

    async def aclose(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _send(
        self, target: URL, headers: Mapping[str, str], timeout: float, *, public_only: bool
    ) -> aiohttp.ClientResponse:
        assert target.host is not None
        # aiohttp asks no resolver about a numeric host, so that is checked here.
        if public_only and is_numeric(target.host) and not is_public(target.host):
            raise ForbiddenAddress(f"{target.host} is not a public address")
        try:
            return await self._session(public_only).get(
                target,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(timeout, CONNECT_TIMEOUT), sock_read=timeout
                ),
            )
        except TimeoutError:
            raise
        except ValueError as error:
            raise ForbiddenAddress(f"not a usable URL: {error}") from error
        except aiohttp.ClientError as error:
            if isinstance(error, OSError):
                if isinstance(error.__cause__, ForbiddenAddress):
                    raise error.__cause__ from None
                raise
            raise ConnectionError(f"no usable answer: {error}") from error

    async def _is_public(self, target: URL) -> bool:
        assert target.host is not None
        if is_numeric(target.host):
            return is_public(target.host)
        found = await CheckedResolver(public_only=False).resolve(target.host, target.port or 0)
        return all(is_public(result["host"]) for result in found)

    def _session(self, public_only: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(public_only)
        if session is None:
            session = self._sessions[public_only] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=CheckedResolver(public_only=public_only), limit_per_host=CONNECTIONS_PER_HOST
                ),
                headers={"User-Agent": self._user_agent},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return session


def _checked(url: str, *, base: URL | None = None) -> URL:
    """The URL as written (no re-quoting: trackers compare bytes), when it is one that may be asked at all."""
    # No IDNA: a name that only looks like another is not followed (engine.md F D-6).
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ForbiddenAddress("a URL with characters that must be escaped")
    try:
        target = URL(url, encoded=True)
        if base is not None:
            target = base.join(target)
        if target.scheme not in ("http", "https") or not target.host or not target.port:
            raise ForbiddenAddress("not an http or https URL")
    except ValueError as error:
        raise ForbiddenAddress(f"not a URL: {error}") from error
    return target.with_fragment(None)
