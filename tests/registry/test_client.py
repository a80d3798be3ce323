"""The client: against the real server on loopback, and against servers that lie, stall, refuse or vanish."""

from __future__ import annotations

import asyncio
import hashlib
import io
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef, SearchQuery, Sort
from icworkshop_gui.core.errors import IntegrityError, NotFound, RegistryError, RemoteProtocolError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.engine.net.http import ForbiddenAddress
from icworkshop_gui.engine.net.real import RealNetwork
from icworkshop_gui.formats.chunks import Outline, chunk_package
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.registry import schema
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.client import RegistryClient
from icworkshop_gui.registry.offline import search_offline
from icworkshop_gui.registry.picture import PREVIEW_MAX, check_png
from tests.helpers.builders import SAMPLE_FILES, built, content
from tests.registry.test_schema import DETAIL, PAGE, ROW
from tests.server.test_publish import png
from tests.server.workshop import release, run, shelve, workshop

REF = PackageRef("alice", "tank-sounds", "1.2.0")
BASE = "http://127.0.0.1:9"


class Reply:
    def __init__(self, body: bytes = b"{}", status: int = 200, **headers: str) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
        self._body = body
        self.is_closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def read(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise RemoteProtocolError("too long")
        return self._body

    async def aclose(self) -> None:
        self.is_closed = True


class Scripted:
    """Answers in order; an exception is raised, and None waits for ever."""

    def __init__(self, *script: Reply | Exception | None) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> Reply:
        self.asked.append((url, headers or {}))
        next_one = self.script.pop(0)
        if next_one is None:
            await asyncio.sleep(3600)
        if isinstance(next_one, Exception):
            raise next_one
        assert isinstance(next_one, Reply)
        return next_one


def page_reply(**headers: str) -> Reply:
    return Reply(schema.encode(schema.page_to_json(PAGE)), **headers)


def test_client_and_server_agree(tmp_path: Path) -> None:
    files = {**SAMPLE_FILES, "preview.png": png(), "assets/big.bin": content(6_000_000)}
    raw, report = built(files, summary="Bang", tags=("noise",))

    async def work() -> None:
        network = RealNetwork()
        async with workshop(tmp_path) as running:
            assert (await running.publish(raw))[0] == 201
            shelve(running.server.catalog, *(release(f"bob/map-{i}@1.0.0") for i in range(5)))
            client = RegistryClient(network, running.ready.url + "/")
            info = await client.server()
            assert (info.packages, info.name) == (6, "Workshop")
            rows = []
            cursor = ""
            for _ in range(3):
                page = await client.search(SearchQuery(sort=Sort.NAME, limit=2, cursor=cursor))
                rows += [row.package.name for row in page.items]
                cursor = page.next_cursor
            assert rows == ["map-0", "map-1", "map-2", "map-3", "map-4", "tank-sounds"]
            assert not cursor
            detail = await client.package(REF.package)
            assert detail == await client.package(REF.package, "1.2.0")
            assert detail.release.sha256 == report.sha256
            assert detail.release.files == report.manifest.files
            assert str(Metainfo.parse(await client.torrent(REF)).info_hash) == detail.release.info_hash
            assert await client.skeleton(REF) == report.skeleton.encode()
            assert await client.manifest(REF) == report.manifest.dump()
            assert await client.preview(REF, detail.release.preview_sha256) == files["preview.png"]
            small = await client.package(REF.package, files=False)
            assert small == replace(detail, release=replace(detail.release, files=()))
            sha256 = BlobId.from_hex(report.sha256)
            chunks = chunk_package(io.BytesIO(raw), report.skeleton, sha256)
            outline = Outline.decode(await client.chunks(REF), sha256, report.skeleton)
            assert outline == chunks.outline
            spans = [(number, number) for number in range(0, outline.fine_count, 2)]
            assert len(spans) > schema.SPANS_MAX
            every_other = b"".join(chunks.fine[8 * first : 8 * first + 8] for first, _ in spans)
            assert await client.fine_chunks(REF, spans) == every_other
            assert await client.fine_chunks(REF, [(0, outline.fine_count - 1)]) == chunks.fine
            assert client.package_url(REF) == f"{running.api}/packages/alice/tank-sounds/1.2.0.icpkg"
            with pytest.raises(NotFound):
                await client.package(PackageId("no", "body"))
            with pytest.raises(NotFound):
                await client.torrent(PackageRef("bob", "map-1", "9.0.0"))
        # the server is gone: what was seen is still there, marked
        stale = await client.package(REF.package)
        assert stale == replace(detail, stale=True)
        offline = await client.search(SearchQuery(text="tank"))
        assert (offline.stale, [row.package.name for row in offline.items]) == (True, ["tank-sounds"])
        assert await client.preview(REF, detail.release.preview_sha256) == files["preview.png"]
        with pytest.raises(RegistryError) as caught:
            await client.server()
        assert caught.value.code == "unreachable"
        with pytest.raises(RegistryError):
            await client.package(PackageId("never", "seen"))
        await network.aclose()

    run(work)


def test_what_was_seen_is_asked_for_with_its_validator() -> None:
    network = Scripted(page_reply(ETag='"1"'), Reply(b"", 304))

    async def work() -> None:
        client = RegistryClient(network, BASE)
        first = await client.search(SearchQuery())
        assert await client.search(SearchQuery()) == first
        assert [headers.get("If-None-Match") for _, headers in network.asked] == [None, '"1"']

    run(work)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>not JSON"),
        Reply(b"[" * 50_000),
        Reply(b'{"items": 1, "total": 1}'),
        Reply(b" " * (schema.REPLY_MAX + 1)),
        Reply(b"", 304),
        RemoteProtocolError("more than 5 redirects"),
    ],
)
def test_an_unusable_answer_is_a_registry_error(reply: Reply | Exception) -> None:
    async def work() -> None:
        with pytest.raises(RegistryError) as caught:
            await RegistryClient(Scripted(reply), BASE).search(SearchQuery())
        assert caught.value.code in ("bad_reply", "http_304")

    run(work)


def test_another_package_than_asked_for_is_refused() -> None:
    body = schema.encode(schema.detail_to_json(DETAIL))

    async def work() -> None:
        with pytest.raises(RegistryError, match="another package"):
            await RegistryClient(Scripted(Reply(body)), BASE).package(PackageId("bob", "other"))

    run(work)


@pytest.mark.parametrize("trouble", [OSError("refused"), TimeoutError(), None])
def test_a_server_that_does_not_answer_is_unreachable(trouble: Exception | None) -> None:
    async def work() -> None:
        client = RegistryClient(Scripted(page_reply(), trouble, trouble), BASE, timeout=0.05)
        await client.search(SearchQuery())
        assert (await client.search(SearchQuery())).stale
        with pytest.raises(RegistryError) as caught:
            await client.package(PackageId("a", "b"))
        assert caught.value.code == "unreachable"

    run(work)


def test_a_busy_server_is_asked_again_or_the_caller_is_told_when() -> None:
    async def work() -> None:
        quick = Scripted(Reply(b"{}", 429, Retry_After="0"), page_reply())
        assert (await RegistryClient(quick, BASE).search(SearchQuery())).total == 71
        for status, code in ((429, "rate_limited"), (503, "draining")):
            slow = Scripted(Reply(b"{}", status, Retry_After="120"))
            with pytest.raises(RegistryError) as caught:
                await RegistryClient(slow, BASE).package(PackageId("a", "b"))
            assert (caught.value.code, caught.value.retry_after) == (code, 120)
        greedy = Scripted(Reply(b"{}", 503, Retry_After="999999999"))
        with pytest.raises(RegistryError) as caught:
            await RegistryClient(greedy, BASE).torrent(REF)
        assert caught.value.retry_after == 3600
        kept = Scripted(page_reply(), Reply(b"{}", 503, Retry_After="60"))
        client = RegistryClient(kept, BASE)
        await client.search(SearchQuery())
        assert (await client.search(SearchQuery())).stale

    run(work)


def test_a_picture_is_the_one_promised() -> None:
    good, wide = png(), png(513, 4)

    def digest(body: bytes) -> str:
        return hashlib.sha256(body).hexdigest()

    async def work() -> None:
        stub = b"\x89PNG\r\n\x1a\n"
        network = Scripted(Reply(good), Reply(wide), Reply(stub), Reply(good), Reply(bytes(PREVIEW_MAX + 1)))
        client = RegistryClient(network, BASE)
        for _ in range(2):  # other bytes than promised, then those promised, but too wide
            with pytest.raises(IntegrityError):
                await client.preview(REF, digest(wide))
        with pytest.raises(IntegrityError):
            await client.preview(REF, digest(stub))
        assert await client.preview(REF, digest(good)) == good
        assert await client.preview(REF, digest(good)) == good  # from the cache
        with pytest.raises(RegistryError):
            await client.preview(REF, digest(bytes(PREVIEW_MAX + 1)))

    run(work)


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (513, 1), (1, 513), (2**32 - 1, 2**32 - 1)])
def test_pictures_of_wrong_size(size: tuple[int, int]) -> None:
    body = png()
    with pytest.raises(IntegrityError):
        check_png(body[:16] + size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + body[24:])


@pytest.mark.parametrize("url", ["ftp://x", "x.example", "http://", "http://user@host", "http://h/?a=1"])
def test_only_plain_server_addresses(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        RegistryClient(Scripted(), url)


def test_the_cache_is_bounded_and_forgets_what_was_not_used(tmp_path: Path) -> None:
    cache = RegistryCache(tmp_path / "c", max_bytes=1000, max_rows=3)
    cache.put("a", bytes(400))
    cache.put("b", bytes(400))
    assert cache.get("a") is not None
    cache.put("c", bytes(400))
    assert [cache.get(url) is not None for url in "abc"] == [True, False, True]
    cache.put("d", bytes(1001))
    assert cache.get("d") is None
    for i in range(6):
        cache.remember_rows("s", [(f"p/{i}", b"%d" % i)])
    assert sorted(cache.rows("s")) == [b"3", b"4", b"5"]
    assert cache.rows("other") == []
    cache.close()
    again = RegistryCache(tmp_path / "c", max_bytes=1000, max_rows=3)
    assert again.get("c") is not None
    again.put("e", bytes(900))
    assert again.get("c") is None
    again.close()


def test_a_damaged_or_newer_cache_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"no database at all" * 1000)
    cache = RegistryCache(path)
    cache.put("a", b"1")
    cache.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    cache = RegistryCache(path)
    assert cache.get("a") is None
    cache.close()


def test_searching_offline_filters_sorts_and_pages() -> None:
    rows = [
        replace(
            ROW, package=PackageId("p", f"n{i}"), title=f"T{9 - i}", downloads=i, tags=("even",) if i % 2 == 0 else ()
        )
        for i in range(10)
    ]
    page = search_offline(rows, SearchQuery(tags=("even",), sort=Sort.NAME, limit=3))
    assert [row.package.name for row in page.items] == ["n8", "n6", "n4"]
    assert (page.total, page.stale, dict(page.tags)) == (5, True, {"even": 5})
    rest = search_offline(rows, SearchQuery(tags=("even",), sort=Sort.NAME, limit=3, cursor=page.next_cursor))
    assert [row.package.name for row in rest.items] == ["n2", "n0"]
    assert search_offline(rows, SearchQuery(text="t9")).total == 1
    assert search_offline(rows, SearchQuery(platform="linux")).total == 10
    assert search_offline(rows, SearchQuery(category="none", cursor="x")).total == 0


ENDLESS = {
    "json": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b'[{"a": "' + b"x" * 65536),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"1" * 65536 + b"\r\n"),
    "tiny chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n" * 10_000),
    "error": (b"HTTP/1.1 500 Oh\r\n\r\n", b"e" * 65536),
    "header": (b"HTTP/1.1 200 OK\r\nX: ", b"h" * 65536),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 10_000),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_an_endless_answer_costs_bounded_memory_and_time(case: str) -> None:
    head, more = ENDLESS[case]
    ended = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            while True:
                writer.write(more)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            ended.set()

    async def work() -> None:
        site = await asyncio.start_server(endless, "127.0.0.1", 0)
        net = RealNetwork(host="127.0.0.1")
        client = RegistryClient(net, f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}", timeout=5.0)
        try:
            with pytest.raises(RegistryError) as caught:
                await client.search(SearchQuery())
            assert caught.value.code in ("bad_reply", "unreachable")
        finally:
            await net.aclose()
            await ended.wait()
            site.close()

    tracemalloc.start()
    run(work)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * schema.REPLY_MAX


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/passwd",
        "http://127.0.0.2/",
    ],
)
def test_a_server_leads_nowhere_else_on_this_network(location: str) -> None:
    async def astray(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async def work() -> None:
        site = await asyncio.start_server(astray, "127.0.0.1", 0)
        net = RealNetwork(host="127.0.0.1")
        client = RegistryClient(net, f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}", timeout=5.0)
        try:
            with pytest.raises(RegistryError) as caught:
                await client.torrent(REF)
            assert isinstance(caught.value.__cause__, ForbiddenAddress)
        finally:
            await net.aclose()
            site.close()

    run(work)
