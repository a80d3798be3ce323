"""The HTTP face: answers, whom it believes about addresses, and one port for tracker and web server."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable

import pytest

from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.server.tracker import front as front_module
from icworkshop_gui.server.tracker.behind import UvicornBehind
from icworkshop_gui.server.tracker.expiry import Expiry
from icworkshop_gui.server.tracker.front import MAX_HEAD, MAX_WAITING, TrackerFront
from icworkshop_gui.server.tracker.http import HttpAnswers, TrackerApp
from icworkshop_gui.server.tracker.tracker import Tracker, TrackerAccess
from icworkshop_gui.server.tracker.udp import UdpTrackerServer
from icworkshop_gui.wire.tracker import http
from icworkshop_gui.wire.tracker.messages import AnnounceEvent, AnnounceRequest, ScrapeEntry, TrackerRefused
from icworkshop_gui.wire.tracker.url import TrackerUrl

HASH, PEER = InfoHash(b"h" * 20), PeerId(b"-IC0001-aaaaaaaaaaaa")
URL = TrackerUrl.parse("http://t.example/announce")


def target(port: int = 1000, **options) -> str:
    request = AnnounceRequest(info_hash=HASH, peer_id=PEER, port=port, **{"left": 1} | options)
    return http.announce_url(URL, request).removeprefix("http://t.example")


def query(port: int = 1000, **options) -> bytes:
    return target(port, **options).partition("?")[2].encode()


def make(**options) -> Tracker:
    return Tracker(SystemClock(), random.Random(1), **options)


def nobody() -> bytes:
    return b""


def peers_of(body: bytes) -> list[str]:
    return sorted(str(peer) for peer in http.decode_announce(body).peers)


def test_peers_of_both_families_come_in_one_answer():
    answers = HttpAnswers(make())
    answers.announce(query(1), "10.0.0.1", nobody)
    answers.announce(query(2), "2001:db8::2", nobody)
    body = answers.announce(query(3), "::ffff:10.0.0.3", nobody)
    assert peers_of(body) == ["10.0.0.1:1", "[2001:db8::2]:2"]
    assert peers_of(answers.announce(query(4, compact=False), "2001:db8::4", nobody)) == [
        "10.0.0.1:1",
        "10.0.0.3:3",
        "[2001:db8::2]:2",
    ]
    response = http.decode_announce(body)
    assert (response.interval, response.min_interval, response.leechers) == (120, 30, 3)


def test_stopped_gets_nobody():
    answers = HttpAnswers(make())
    answers.announce(query(1), "10.0.0.1", nobody)
    assert peers_of(answers.announce(query(2, event=AnnounceEvent.STOPPED), "2001:db8::2", nobody)) == []
    assert peers_of(answers.announce(query(0), "10.0.0.2", nobody)) == []


def test_nonsense_gets_a_failure_reason():
    answers = HttpAnswers(make())
    for bad in (b"", b"info_hash=x&peer_id=y&port=1", query().replace(b"port=1000", b"port=x")):
        with pytest.raises(TrackerRefused):
            http.decode_announce(answers.announce(bad, "10.0.0.1", nobody))
    with pytest.raises(TrackerRefused):
        http.decode_announce(answers.announce(query(), "testclient", nobody))


def test_scrape_names_nothing_unasked():
    answers = HttpAnswers(make())
    answers.announce(query(1), "10.0.0.1", nobody)
    named = b"info_hash=" + HASH
    assert http.decode_scrape(answers.scrape(named)) == {HASH: ScrapeEntry(0, 0, 1)}
    assert http.decode_scrape(answers.scrape(b"")) == {}
    with pytest.raises(TrackerRefused):
        http.decode_scrape(answers.scrape(b"info_hash=1"))


@pytest.mark.parametrize(
    ("host", "forwarded", "ip", "seen"),
    [
        ("10.0.0.9", b"1.2.3.4", "5.6.7.8", "10.0.0.9"),
        ("127.0.0.1", b"6.6.6.6, 1.2.3.4", "5.6.7.8", "1.2.3.4"),
        ("127.0.0.1", b"", "5.6.7.8", "5.6.7.8"),
        ("::1", b"2001:db8::5", "", "2001:db8::5"),
        ("127.0.0.1", b"::ffff:1.2.3.4", "", "1.2.3.4"),
        ("127.0.0.1", b"unknown", "nonsense", "127.0.0.1"),
    ],
)
def test_only_our_own_proxies_are_believed(host, forwarded, ip, seen):
    answers = HttpAnswers(make(), trusted=["127.0.0.0/8", "::1/128"])
    answers.announce(query(1000) + (f"&ip={ip}".encode() if ip else b""), host, lambda: forwarded)
    (found,) = http.decode_announce(answers.announce(query(2), "10.9.9.9", nobody)).peers
    assert found.host == seen


def test_a_restricted_swarm_answers_like_an_empty_one():
    answers = HttpAnswers(make(access=TrackerAccess.whitelist(lambda info_hash: False)))
    bodies = {answers.announce(query(port), "10.0.0.1", nobody) for port in (1, 2)}
    assert len(bodies) == 1
    assert peers_of(bodies.pop()) == []


# ---- the front


async def app(scope, receive, send):
    """Whatever the server is besides a tracker: says which path was asked, and echoes a body."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = scope["method"].encode() + b" " + scope["path"].encode() + b" " + body
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def serving(test: Callable[[TrackerFront, Tracker], Awaitable[None]], *, web: bool = True, **options) -> None:
    async def main():
        tracker = make()
        behind = UvicornBehind(TrackerApp(HttpAnswers(tracker), app), lifespan="on")
        await behind.start()
        front = TrackerFront(
            tracker,
            "127.0.0.1",
            0,
            then=behind.protocol if web else None,
            **options,
        )
        await front.start()
        try:
            await test(front, tracker)
        finally:
            await front.aclose()
            await front.aclose()
            await behind.aclose()

    asyncio.run(main())


async def ask(front: TrackerFront, *parts: bytes, half_close: bool = False) -> bytes:
    """Send the parts with pauses, read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: t.example", *headers, "", ""]).encode()


def body_of(reply: bytes) -> bytes:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert f"content-length: {len(body)}".encode() in head.lower()
    return body


def test_one_port_serves_the_tracker_and_the_rest():
    async def body(front, tracker):
        assert peers_of(body_of(await ask(front, get(target(1))))) == []
        assert peers_of(body_of(await ask(front, get(target(2), "Connection: keep-alive")))) == ["127.0.0.1:1"]
        scrape = get("/scrape?info_hash=" + "h" * 20)
        assert http.decode_scrape(body_of(await ask(front, scrape))) == {HASH: ScrapeEntry(0, 0, 2)}
        assert body_of(await ask(front, get("/api/v1/x", "Connection: close"))) == b"GET /api/v1/x "
        assert body_of(await ask(front, get("/announcements", "Connection: close"))) == b"GET /announcements "
        post = b"POST /announce?x HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nConnection: close\r\n\r\nab"
        assert body_of(await ask(front, post, b"cd")) == b"POST /announce abcd"

    serving(body)


def test_requests_in_pieces_are_put_together():
    async def body(front, tracker):
        whole = get(target(1))
        for cut in (1, 5, len(b"GET /announce?"), 40, len(whole) - 1):
            assert peers_of(body_of(await ask(front, whole[:cut], whole[cut:]))) == []
        assert tracker.stats().announces == 5
        rest = get("/api/v1/x", "Connection: close")
        assert body_of(await ask(front, rest[:5], rest[5:9], rest[9:])) == b"GET /api/v1/x "

    serving(body)


def test_keep_alive_goes_on_with_the_web_server():
    async def body(front, tracker):
        second = get("/b", "Connection: close")
        assert (await ask(front, get("/a"), second)).count(b"HTTP/1.1 200") == 2
        assert (await ask(front, get("/a") + get(target(1), "Connection: close"))).endswith(b"e")

    serving(body)


def test_without_a_web_server_the_rest_is_not_found():
    async def body(front, tracker):
        assert (await ask(front, get("/x"))).startswith(b"HTTP/1.1 404 ")
        assert await ask(front, half_close=True) == b""
        assert (await ask(front, b"\x16\x03\x01 not HTTP at all\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        too_long = await ask(front, b"GET /announce?" + b"a" * MAX_HEAD)
        assert too_long[:12] in (b"HTTP/1.1 404", b"")  # b"": the reset for what was not read overtook the answer
        assert tracker.stats().announces == 0

    serving(body, web=False)


def test_a_slow_loris_is_dropped(monkeypatch):
    monkeypatch.setattr(front_module, "PATIENCE", 0.2)

    async def body(front, tracker):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        try:
            slowly = b"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaaaaaaa"
            for sent, byte in enumerate(slowly):  # noqa: B007 - told below how far it got
                writer.write(bytes([byte]))
                await asyncio.sleep(0.03)
                if reader.at_eof() or reader.exception() is not None:
                    break
            assert sent < len(slowly) - 10, "more bytes do not buy more time"
        except ConnectionError:
            pass
        finally:
            writer.close()
        assert front._waiting == {}

    serving(body)


@pytest.mark.parametrize("start", [b"GET /api/v1/search HT", b"POST /api/v1/publish HTTP/1.1\r\nHost: t", b"x"])
def test_a_slow_loris_does_not_reach_the_web_server(start, monkeypatch):
    monkeypatch.setattr(front_module, "PATIENCE", 0.2)

    async def body(front, tracker):
        assert await ask(front, start) == b""

    serving(body)


def test_a_head_over_the_limit_is_refused():
    async def body(front, tracker):
        reply = await ask(front, b"GET /api/v1/x HTTP/1.1\r\nCookie: " + b"a" * MAX_HEAD)
        assert reply[:12] in (b"HTTP/1.1 431", b"")  # b"": the reset for what was not read overtook the answer

    serving(body)


def test_no_more_connections_wait_than_the_limit(monkeypatch):
    monkeypatch.setattr(front_module, "MAX_WAITING", 3)
    assert MAX_WAITING > 3

    async def body(front, tracker):
        writers = []
        for _ in range(6):
            _, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(b"GET /ann")
            writers.append(writer)
        await asyncio.sleep(0.1)
        assert len(front._waiting) == 3
        assert peers_of(body_of(await ask(front, get(target(1))))) == []
        for writer in writers:
            writer.close()

    serving(body)


def test_a_taken_port_says_so():
    async def body(front, tracker):
        second = TrackerFront(tracker, "127.0.0.1", front.port)
        with pytest.raises(OSError):
            await second.start()

    serving(body, web=False)


def test_an_app_that_does_not_start_says_so():
    async def broken(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    async def main():
        with pytest.raises(RuntimeError):
            await UvicornBehind(broken, lifespan="on").start()

    asyncio.run(main())


@pytest.mark.logs
def test_no_more_file_descriptors_is_a_pause_not_a_storm(monkeypatch):
    monkeypatch.setattr(front_module, "PAUSE", 0.05)
    tries = []

    class Starved(socket.socket):
        def accept(self):
            tries.append(1)
            raise OSError(24, "too many open files")

    async def body(front, tracker):
        listener = Starved()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        front._listen(listener)
        with socket.create_connection(listener.getsockname()):
            await asyncio.sleep(0.2)
            assert 2 <= len(tries) <= 5
        asyncio.get_running_loop().remove_reader(listener)
        listener.close()
        await asyncio.sleep(0.1)

    serving(body)


def test_every_address_of_the_machine():
    async def main():
        front, udp = TrackerFront(make(), "", 0), UdpTrackerServer(make(), "", 0)
        for server in (front, udp):
            await server.start()
            assert server.port
        assert http.decode_scrape(body_of(await ask(front, get("/scrape?info_hash=" + "h" * 20))))
        for server in (front, udp):
            await server.aclose()

    asyncio.run(main())


def test_the_app_alone_serves_the_same():
    async def call(path: str, query_string: bytes) -> tuple[int, bytes]:
        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": query_string,
            "client": ("10.0.0.1", 5), "headers": [(b"host", b"x")],
        }  # fmt: skip
        await TrackerApp(HttpAnswers(tracker))(scope, None, send)
        return sent[0]["status"], sent[1]["body"]

    tracker = make()
    status, body = asyncio.run(call("/announce", query(1)))
    assert (status, peers_of(body)) == (200, [])
    status, body = asyncio.run(call("/scrape", b"info_hash=" + HASH))
    assert (status, http.decode_scrape(body)) == (200, {HASH: ScrapeEntry(0, 0, 1)})
    assert asyncio.run(call("/", b""))[0] == 404


def test_expiry_forgets_the_silent_while_it_runs(monkeypatch):
    class FastClock:
        at = 0.0

        def now(self) -> float:
            return self.at

        def wall(self) -> float:
            return self.at

    async def main():
        clock = FastClock()
        tracker = Tracker(clock, random.Random(1))
        tracker.announce(HASH, socket.inet_aton("10.0.0.1") + b"\0\1", 1, 2, 0)
        expiry = Expiry(tracker)
        expiry.start()
        clock.at = 1000.0
        async with asyncio.timeout(5):
            while tracker.stats().peers:  # noqa: ASYNC110 - the sweep tells nobody
                await asyncio.sleep(0.02)
        expiry.stop()
        expiry.stop()

    asyncio.run(main())
