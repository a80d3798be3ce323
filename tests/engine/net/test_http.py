"""Where a URL may lead (engine.md F D-5), on loopback: 127.0.0.2 plays a public address, the others are private."""

from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.engine.net import http
from icworkshop_gui.engine.net.http import REDIRECTS_MAX, ForbiddenAddress
from icworkshop_gui.engine.net.real import RealNetwork

BOMB = gzip.compress(bytes(50_000_000))
"""50 MB in some 50 kB."""
PRIVATE, PUBLIC = "127.0.0.1", "127.0.0.2"


class Site:
    """One server on a public and a private address. Its paths say what it does."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.port = 0

    def url(self, path: str, host: str = PUBLIC, credentials: str = "") -> str:
        return f"http://{credentials}{host}:{self.port}/{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        path = request.path
        if path == "/to":
            raise web.HTTPFound(request.query_string)
        if path.startswith("/hop"):
            left = int(path[4:])
            raise web.HTTPFound(f"/hop{left - 1}" if left else "/end")
        if path == "/gzip":
            return web.Response(body=gzip.compress(b"zipped" * 100), headers={"Content-Encoding": "gzip"})
        if path == "/bomb":
            return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})
        if path == "/not-gzip":
            return web.Response(body=b"plain", headers={"Content-Encoding": "gzip"})
        if path == "/brotli":
            return web.Response(body=b"plain", headers={"Content-Encoding": "br"})
        if path == "/missing":
            return web.Response(status=404, text="nothing here")
        if path == "/silent":
            await asyncio.sleep(60)
        if path in ("/stalls", "/breaks"):
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"some")
            if path == "/stalls":
                await asyncio.sleep(60)
            assert request.transport is not None
            request.transport.abort()
            return response
        if path == "/large":
            return web.Response(body=bytes(300_000))
        return web.Response(body=b"hello", headers={"X-Range": request.headers.get("Range", "none")})


@asynccontextmanager
async def site(hosts: tuple[str, ...] = (PRIVATE, PUBLIC)) -> AsyncIterator[tuple[Site, RealNetwork]]:
    pages = Site()
    runner = web.ServerRunner(web.Server(pages.answer, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    sockets = [socket.create_server((hosts[0], 0))]
    pages.port = sockets[0].getsockname()[1]
    sockets += [socket.create_server((host, pages.port)) for host in hosts[1:]]
    for sock in sockets:
        await web.SockSite(runner, sock).start()
    net = RealNetwork(host=PRIVATE)
    try:
        yield pages, net
    finally:
        await net.aclose()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def playing_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "is_public", lambda host: host == PUBLIC)


Test = Callable[[Site, RealNetwork], Awaitable[None]]


def with_site(test: Test) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), site() as (pages, net):
            await test(pages, net)

    asyncio.run(main())


def names(table: dict[str, list[str]]) -> Callable[..., Awaitable[list[object]]]:
    """A resolver's answers; a name with several lists of them answers differently each time."""
    calls = {name: iter(answers) for name, answers in table.items()}

    async def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        if host not in calls:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(calls[host]).split()]

    return getaddrinfo


def test_a_page_and_its_headers() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        response = await net.http_get(pages.url("page"), headers={"Range": "bytes=0-4"})
        assert (response.status, response.headers["X-Range"]) == (200, "bytes=0-4")
        assert await response.read(5) == b"hello"
        assert pages.seen[0].headers["Accept-Encoding"] == "identity"
        assert pages.seen[0].headers["User-Agent"].startswith("IronCurtainWorkshop/")
        missing = await net.http_get(pages.url("missing"))
        assert missing.status == 404
        await missing.aclose()

    with_site(body)


def test_a_url_is_asked_byte_for_byte_as_it_is_written() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        query = "announce?info_hash=%aB%7e%2F~%20+&x=%00%ff#fragment"
        await (await net.http_get(pages.url(query))).read(100)
        assert pages.seen[0].raw_path == "/announce?info_hash=%aB%7e%2F~%20+&x=%00%ff"

    with_site(body)


def test_a_body_longer_than_the_limit_is_refused() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        assert len(await (await net.http_get(pages.url("large"))).read(300_000)) == 300_000
        with pytest.raises(RemoteProtocolError, match="299999"):
            await (await net.http_get(pages.url("large"))).read(299_999)
        response = await net.http_get(pages.url("large"))
        assert sum([len(chunk) async for chunk in response.chunks()]) == 300_000

    with_site(body)


def test_gzip_is_read_within_the_limit_and_no_bomb_unfolds() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        assert await (await net.http_get(pages.url("gzip"))).read(600) == b"zipped" * 100
        for path, limit in (("gzip", 599), ("bomb", 1_000_000), ("not-gzip", 100), ("brotli", 100)):
            with pytest.raises(RemoteProtocolError):
                await (await net.http_get(pages.url(path))).read(limit)
        response = await net.http_get(pages.url("gzip"))
        with pytest.raises(RemoteProtocolError):
            await anext(response.chunks())
        await response.aclose()

    with_site(body)


def test_a_bomb_costs_no_more_memory_than_its_limit() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        assert len(BOMB) < 100_000
        tracemalloc.start()
        try:
            with pytest.raises(RemoteProtocolError):
                await (await net.http_get(pages.url("bomb"))).read(1_000_000)
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()

    with_site(body)


@pytest.mark.parametrize("path", ["silent", "stalls"])
def test_silence_is_a_timeout(path: str) -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        with pytest.raises(TimeoutError):
            await (await net.http_get(pages.url(path), timeout=0.1)).read(1000)

    with_site(body)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a full backlog refuses")
def test_who_does_not_accept_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.2)

    async def body(pages: Site, net: RealNetwork) -> None:
        with socket.socket() as full:
            full.bind((PUBLIC, 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            # The answer may take 1,000 s here; the connection must stand after 0.2.
            with pytest.raises(OSError, match=r"."):
                await net.http_get(f"http://{PUBLIC}:{full.getsockname()[1]}/", timeout=1000)
            for sock in waiting:
                sock.close()

    with_site(body)


def test_a_body_that_breaks_off_is_an_os_error() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        with pytest.raises(OSError, match="broke off"):
            await (await net.http_get(pages.url("breaks"))).read(1000)

    with_site(body)


def test_nobody_there_is_an_os_error() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        with socket.create_server((PUBLIC, 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(OSError, match=r"."):
            await net.http_get(f"http://{PUBLIC}:{port}/")
        with pytest.raises(OSError, match=r"."):
            await net.http_get("http://[::ffff:127.0.0.2]:1/", allow_private=True)

    with_site(body)


def test_five_redirects_and_no_more() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        assert await (await net.http_get(pages.url(f"hop{REDIRECTS_MAX - 1}"))).read(10) == b"hello"
        with pytest.raises(RemoteProtocolError, match="redirects"):
            await net.http_get(pages.url(f"hop{REDIRECTS_MAX}"))

    with_site(body)


@pytest.mark.parametrize("host", [PRIVATE, "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]"])
def test_private_addresses_are_refused_unless_configured(host: str) -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        with pytest.raises(ForbiddenAddress):
            await net.http_get(pages.url("page", host))
        assert not pages.seen

    with_site(body)


def test_a_configured_server_may_be_private_and_redirect_to_itself_or_outside() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        for path in ("page", "hop2", "to?" + pages.url("page", PRIVATE), "to?" + pages.url("page", PUBLIC)):
            response = await net.http_get(pages.url(path, PRIVATE), allow_private=True)
            assert await response.read(10) == b"hello"

    with_site(body)


def test_a_configured_server_does_not_lead_to_its_neighbours() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        for neighbour in ("127.0.0.3", "localhost"):
            with pytest.raises(ForbiddenAddress, match="another private server"):
                await net.http_get(pages.url("to?" + pages.url("secret", neighbour), PRIVATE), allow_private=True)
        for host in ("169.254.169.254", "[fd00:ec2::254]"):
            with pytest.raises(ForbiddenAddress):
                await net.http_get(pages.url(f"to?http://{host}/latest/meta-data", PRIVATE), allow_private=True)
        assert all(request.path == "/to" for request in pages.seen)

    with_site(body)


@pytest.mark.parametrize("allow_private", [True, False])
def test_a_public_page_never_leads_inside(allow_private: bool) -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        inside = pages.url("secret", PRIVATE)
        twice = pages.url("to?" + pages.url("to?" + inside))
        for url in (pages.url("to?" + inside), twice):
            with pytest.raises(ForbiddenAddress):
                await net.http_get(url, allow_private=allow_private)
        assert all(request.path != "/secret" for request in pages.seen)

    with_site(body)


@pytest.mark.parametrize("location", ["ftp://127.0.0.2/", "file:///etc/passwd", "javascript:1", "http://a b/"])
def test_a_redirect_to_something_else_is_refused(location: str) -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        with pytest.raises(OSError, match=r"."):
            await net.http_get(pages.url("to?" + location))

    with_site(body)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "page",
        "ftp://127.0.0.2/x",
        "http://",
        "http://127.0.0.2:0/",
        "http://127.0.0.2:99999/",
        "http://127.0.0.2/\r\nHost: x",
        "http://127.0.0.2/a b",
        "http://ex\u00e4mple.org/",
        "http://[::1/",
        "udp://127.0.0.2:80/",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        with pytest.raises(OSError, match=r"."):
            await net.http_get(url)

    with_site(body)


def test_secrets_stay_with_the_server_they_were_meant_for() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        secrets = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Other": "kept"}
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = names({"elsewhere.test": [PUBLIC] * 9})  # type: ignore[method-assign, assignment]
        await (await net.http_get(pages.url("hop0"), headers=secrets)).read(10)
        assert all(request.headers["Authorization"] == "Bearer x" for request in pages.seen)
        pages.seen.clear()
        there = pages.url("page", "elsewhere.test", "user:password@")
        await (await net.http_get(pages.url("to?" + there), headers=secrets)).read(10)
        assert "Authorization" in pages.seen[0].headers
        assert not {"Authorization", "Cookie"} & set(pages.seen[1].headers)
        assert pages.seen[1].headers["X-Other"] == "kept"

    with_site(body)


def test_no_cookie_is_kept() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        for _ in range(2):
            await (await net.http_get(pages.url("page"))).read(10)
        assert all("Cookie" not in request.headers for request in pages.seen)

    with_site(body)


@pytest.mark.parametrize("answers", [[PRIVATE], [f"{PUBLIC} {PRIVATE}"]])
def test_a_name_with_any_private_address_is_refused(answers: list[str]) -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = names({"trap.test": answers})  # type: ignore[method-assign, assignment]
        with pytest.raises(ForbiddenAddress):
            await net.http_get(pages.url("secret", "trap.test"))
        assert not pages.seen

    with_site(body)


def test_a_name_that_changes_its_mind_is_not_asked_twice() -> None:
    """DNS rebinding: public when checked, private when connected to."""

    async def body(pages: Site, net: RealNetwork) -> None:
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = names({"rebind.test": [PUBLIC, PRIVATE]})  # type: ignore[method-assign, assignment]
        response = await net.http_get(pages.url("page", "rebind.test"))
        assert await response.read(10) == b"hello"
        assert pages.seen[0].transport is not None
        assert pages.seen[0].headers["Host"] == f"rebind.test:{pages.port}"

    with_site(body)


def test_a_configured_name_that_turns_private_after_it_was_public_is_refused() -> None:
    async def body(pages: Site, net: RealNetwork) -> None:
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = names({"rebind.test": [PUBLIC, PRIVATE]})  # type: ignore[method-assign, assignment]
        with pytest.raises(ForbiddenAddress):
            await net.http_get(pages.url("secret", "rebind.test"), allow_private=True)
        assert not pages.seen

    with_site(body)
