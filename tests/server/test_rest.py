"""REST: ranges, validators, limits, errors, health, documentation, drain."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from icworkshop_gui.core.catalog import SearchQuery
from icworkshop_gui.core.errors import RegistryError, UserError
from icworkshop_gui.registry.schema import SPANS_MAX
from icworkshop_gui.server.app import WorkshopServer
from icworkshop_gui.server.config import CONFIG_FILE, load_config
from icworkshop_gui.server.limits import Once, RateLimit, limit_key
from icworkshop_gui.server.rest.packages import Span, chosen_chunks, parse_range
from tests.helpers.builders import built, content, package
from tests.server.workshop import FakeSeed, config_for, release, run, shelve, workshop

BASE = "/api/v1/packages/alice/tank-sounds/1.2.0"


class HandClock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-4095", Span(0, 4096)),
        ("bytes=4096-", Span(4096, 10_000)),
        ("bytes=9999-9999", Span(9999, 10_000)),
        ("bytes=0-99999999", Span(0, 10_000)),
        ("bytes=-100", Span(9900, 10_000)),
        ("bytes=-99999", Span(0, 10_000)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("pieces=0-1", None),
        ("bytes=١-٢", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_ranges(header: str, span: Span | None) -> None:
    assert parse_range(header, 10_000) == span


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-10001", "bytes=-0"])
def test_ranges_beyond_the_end(header: str) -> None:
    with pytest.raises(RegistryError):
        parse_range(header, 10_000)


def test_package_bytes(tmp_path: Path) -> None:
    raw, report = built()
    etag = f'"{report.sha256}"'

    async def work() -> None:
        async with workshop(tmp_path) as running:
            await running.publish(raw)
            for alias in (".icpkg", "/download"):
                status, body, headers = await running.get(BASE + alias)
                assert (status, body, headers["ETag"]) == (200, raw, etag)
                assert headers["Accept-Ranges"] == "bytes"
            status, body, headers = await running.get(f"{BASE}.icpkg", Range="bytes=100-199")
            assert (status, body) == (206, raw[100:200])
            assert headers["Content-Range"] == f"bytes 100-199/{len(raw)}"
            status, body, headers = await running.get(f"{BASE}.icpkg", Range=f"bytes={len(raw)}-")
            assert (status, body, headers["Content-Range"]) == (416, b"", f"bytes */{len(raw)}")
            assert (await running.get(f"{BASE}.icpkg", Range="bytes=0-0", **{"If-Range": etag}))[0] == 206
            assert (await running.get(f"{BASE}.icpkg", Range="bytes=0-0", **{"If-Range": '"old"'}))[0] == 200
            assert (await running.get(f"{BASE}.icpkg", **{"If-None-Match": f'"x", {etag}'}))[0] == 304
            async with running.http.head(f"{running.ready.url}{BASE}.icpkg") as answer:
                assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(raw)))
            _, _, headers = await running.get(f"{BASE}/manifest")
            assert (await running.get(f"{BASE}/manifest", **{"If-None-Match": headers["ETag"]}))[0] == 304
            # one address counts once a day, and a look at the header does not count
            running.server.catalog.flush_downloads()
            assert running.server.catalog.search(SearchQuery()).items[0].downloads == 1

    run(work)


def test_fine_chunks_are_chosen_by_number() -> None:
    body = bytes(range(80))
    assert chosen_chunks(body, "") == body
    assert chosen_chunks(body, "0-0,8-9") == body[:8] + body[64:]
    for of in ("x", "1", "2-1", "0-10", "0-1,", "-1-2", "0-9,0-0", "\u0661-\u0662"):
        with pytest.raises(RegistryError):
            chosen_chunks(body, of)
    assert chosen_chunks(bytes(8 * SPANS_MAX), ",".join(f"{n}-{n}" for n in range(SPANS_MAX))) == bytes(8 * SPANS_MAX)
    with pytest.raises(RegistryError):
        chosen_chunks(bytes(9 * SPANS_MAX), ",".join(f"{n}-{n}" for n in range(SPANS_MAX + 1)))


def test_texts_are_packed_for_who_takes_that(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            await running.publish(package({f"assets/{n:04}.bin": b"x" * 10 for n in range(200)}))
            _, plain, headers = await running.get(f"{BASE}/skeleton", **{"Accept-Encoding": "identity"})
            assert (headers["Vary"], "Content-Encoding" in headers) == ("Accept-Encoding", False)
            refusing = await running.get(f"{BASE}/skeleton", **{"Accept-Encoding": "br, gzip;q=0"})
            assert refusing[2]["ETag"] == headers["ETag"]
            async with running.http.get(f"{running.ready.url}{BASE}/skeleton") as answer:
                assert await answer.read() == plain
                assert answer.headers["Content-Encoding"] == "gzip"
                assert int(answer.headers["Content-Length"]) < len(plain) // 3
                etag = answer.headers["ETag"]
            assert etag != headers["ETag"]
            assert (await running.get(f"{BASE}/skeleton", **{"If-None-Match": etag}))[0] == 304
            assert "Content-Encoding" not in (await running.get(f"{BASE}/chunks"))[2]

    run(work)


def test_errors_have_one_form(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            shelve(running.server.catalog, release("alice/tank-sounds@1.2.0"))
            for path, status, code in (
                ("/api/v1/packages/alice/none", 404, "not_found"),
                ("/api/v1/packages/ALICE/x", 404, "not_found"),
                ("/api/v1/packages/alice/tank-sounds/9.9.9", 404, "not_found"),
                ("/api/v1/packages/alice/tank-sounds/one", 404, "not_found"),
                ("/api/v1/packages/..%2f..%2f/etc/1.0.0.icpkg", 404, "not_found"),
                (f"{BASE}/preview.png", 404, "not_found"),
                (f"{BASE}.icpkg", 404, "not_found"),  # in the catalog, but its file is gone
                ("/nothing", 404, "not_found"),
                ("/api/v1/search?limit=0", 400, "bad_request"),
                ("/api/v1/search?limit=201", 400, "bad_request"),
                ("/api/v1/search?sort=worst", 400, "bad_request"),
                ("/api/v1/search?cursor=abc", 400, "bad_request"),
                (f"/api/v1/search?q={'a' * 201}", 400, "bad_request"),
                ("/api/v1/search?" + "tag=a&" * 21, 400, "bad_request"),
                ("/api/v1/publish", 405, "method_not_allowed"),
            ):
                got, body, _ = await running.get(path)
                answer = json.loads(body)
                assert (got, answer["code"]) == (status, code), path
                assert set(answer) >= {"code", "message", "detail"}

    run(work)


def test_too_many_questions(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path, api_rate=1, api_burst=3) as running:
            answers = [await running.get("/api/v1/server") for _ in range(5)]
            assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
            assert int(answers[-1][2]["Retry-After"]) >= 1
            assert json.loads(answers[-1][1])["retry_after"] > 0
            assert (await running.get("/health"))[0] == 200

    run(work)


def test_buckets_refill_and_are_bounded() -> None:
    clock = HandClock()
    limit = RateLimit(clock, rate=2, burst=2, keys_max=10)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0.5]
    clock.time += 0.5
    assert limit.take("a") == 0
    assert limit.take("b") == 0
    for i in range(100):
        limit.take(str(i))
    assert len(limit) == 10
    assert limit_key("2001:db8:1:2:3:4:5:6") == limit_key("2001:db8:1:2:ffff::1")
    once = Once(clock, 10, keys_max=2)
    assert [once.is_first("x"), once.is_first("x")] == [True, False]
    clock.time += 11
    assert once.is_first("x")


def test_hosts_and_other_sites(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path, allowed_hosts=("workshop.example",)) as running:
            assert (await running.get("/api/v1/server", Host="evil.example"))[0] == 421
            status, body, headers = await running.get("/api/v1/server", Host="workshop.example:19710")
            assert status == 200
            assert json.loads(body)["trackers"][0] == "http://workshop.example:19710/announce"
            assert headers["Access-Control-Allow-Origin"] == "*"
            url = f"{running.api}/publish"
            sent = {"Origin": "https://evil.example", "Host": "workshop.example"}
            async with running.http.options(url, headers=sent) as answer:
                assert answer.status == 405
                assert "Access-Control-Allow-Origin" not in answer.headers
            async with running.http.post(url, headers=sent, data=b"x") as answer:
                assert answer.status == 401
                assert "Access-Control-Allow-Origin" not in answer.headers

    run(work)


def test_health_metrics_and_documentation(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path, FakeSeed()) as running:
            await running.publish(package())
            for path in ("/health", "/healthz"):
                assert json.loads((await running.get(path))[1])["workshop"]["packages_seeded"] == 0
            for path in ("/ready", "/readyz"):
                assert (await running.get(path))[0] == 200
            text = (await running.get("/metrics"))[1].decode()
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            assert lines["icw_packages"] == "1"
            assert lines['icw_publishes_total{result="accepted"}'] == "1"
            assert float(lines['icw_http_requests_total{method="GET",status="200"}']) >= 4
            paths = json.loads((await running.get("/openapi.json"))[1])["paths"]
            assert {"/api/v1/search", "/api/v1/publish", "/ready"} <= set(paths)
            _, page, headers = await running.get("/docs")
            assert b"/api/v1/packages/{publisher}/{name}/{version}.icpkg" in page
            assert b"<script" not in page
            assert b"http" not in page.replace(b"/health", b"")
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")

    run(work)


def test_one_port_tracks_too(tmp_path: Path) -> None:
    raw, _ = built({"assets/big.bin": content(6_000_000)})

    async def work() -> None:
        async with workshop(tmp_path, FakeSeed(port=45678)) as running:
            _, answer = await running.publish(raw)
            await asyncio.sleep(0.05)
            ours = "".join(f"%{byte:02x}" for byte in bytes.fromhex(answer["release"]["info_hash"]))
            tail = "&peer_id=-XX0001-123456789012&port=5000&uploaded=0&downloaded=0&left=9&compact=1"

            async def announce(info_hash: str) -> bytes:
                url = URL(f"{running.ready.url}/announce?info_hash={info_hash}{tail}", encoded=True)
                async with running.http.get(url) as answer:
                    return await answer.read()

            assert b"\x7f\x00\x00\x01" + struct.pack(">H", 45678) in await announce(ours)
            assert b"peers0:" in await announce("%01" * 20)  # not of the catalog: nobody is told of it
            detail = json.loads((await running.get(BASE))[1])
            assert (detail["seeders"], detail["leechers"]) == (1, 1)

    run(work)


@pytest.mark.logs
def test_drain_lets_running_requests_finish(tmp_path: Path) -> None:
    raw = package()

    async def work() -> None:
        seed = FakeSeed()
        server = WorkshopServer(config_for(tmp_path), engine=lambda _config: seed)
        ready = await server.start()
        token = server.tokens.create("alice")[1]
        go = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield raw[:5000]
            await go.wait()
            yield raw[5000:]

        async with aiohttp.ClientSession() as http:
            sent = {"Authorization": f"Bearer {token}"}
            url = f"{ready.url}/api/v1/publish"
            upload = asyncio.create_task(http.post(url, data=slowly(), headers=sent).__aenter__())
            while not list(server.config.incoming.iterdir()):  # noqa: ASYNC110 (a folder sets no event)
                await asyncio.sleep(0.01)
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0.05)
            async with http.get(f"{ready.url}/ready") as answer:
                assert (answer.status, (await answer.json())["status"]) == (503, "draining")
            async with http.post(f"{ready.url}/api/v1/publish", data=b"x", headers=sent) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
            assert not stopping.done()
            go.set()
            finished = await upload
            assert finished.status == 201
            finished.release()
            await stopping
            with pytest.raises(aiohttp.ClientConnectionError):
                await http.get(f"{ready.url}/health")
        assert seed.closed

    run(work)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            second = WorkshopServer(config_for(tmp_path / "second", port=running.ready.port), engine=None)
            with pytest.raises(UserError, match="--port"):
                await second.start()
            await second.stop()

    run(work)


def test_settings_come_from_flags_then_environment_then_file(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text('config_version = 1\nport = 1\nname = "file"\nmax_package_size = "1 GB"\n')
    config = load_config(tmp_path, {"port": "3", "host": None}, {"ICW_SERVER_PORT": "2", "ICW_SERVER_BT_PORT": "7"})
    assert (config.port, config.bt_port, config.name, config.max_package_size) == (3, 7, "file", 10**9)


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        ("prot = 1", {}, "prot"),
        ("config_version = 2", {}, "config_version"),
        ("not toml", {}, CONFIG_FILE),
        ("", {"port": "70000"}, "--port"),
        ("", {"public_url": "workshop.example"}, "public_url"),
        ("", {"mirrors": "https://cdn.example/,ftp://old.example/"}, "mirrors"),
        ("", {"host": "localhost"}, "host"),
        ("", {"trusted_proxies": ["10.0.0.0/99"]}, "trusted_proxies"),
        ("", {"seed": "maybe"}, "--seed"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, flags: dict[str, object], told: str) -> None:
    (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(UserError, match=told):
        load_config(tmp_path, flags, {})
