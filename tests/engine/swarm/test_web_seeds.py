"""Web servers as a source: ranges, refusals, liars, breaks, beside peers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import pytest

from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.net.limiter import Limiter, LimiterTicker
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.webseed.asking import RequestSlots, WebSource
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.places import FileMap, WebFile, WebSeedUrl
from tests.helpers.fake_peer import INFO_HASH, ActorSwarm, FakeAnswer, FakePeer, Stage
from tests.sim.loop import LoopClock, run_leaping

URL = "http://files.example/pkg"
OTHER = "http://mirror.example/pkg"
Answer = Callable[[str, Mapping[str, str]], FakeAnswer]


def source(stage: Stage, *urls: str, alone: bool = True) -> WebSource:
    """The torrent as one file on each of these servers."""
    files = FileMap([WebFile("pkg", stage.length, 0)], INFO_HASH, is_single=True)
    return WebSource(seeds=tuple(WebSeedUrl(url) for url in urls or (URL,)), files=files, alone=alone)


def requests_of(size: int, **more: int | float) -> SwarmConfig:
    """A limit on what one request asks for."""
    return SwarmConfig(webseed=WebSeedConfig(request_bytes=size, **more))  # type: ignore[arg-type]


class Server:
    """Serves one file, by ranges unless told otherwise; keeps what it was asked."""

    def __init__(self, content: bytes, *, ranges: bool = True) -> None:
        self.content = content
        self.ranges = ranges
        self.asked: list[tuple[int, int]] = []
        self.answers: list[FakeAnswer] = []
        self.before: Answer | None = None
        """Answers in its place when it returns something."""

    def __call__(self, url: str, headers: Mapping[str, str]) -> FakeAnswer:
        answer = self._answer(headers)
        self.answers.append(answer)
        return answer

    def _answer(self, headers: Mapping[str, str]) -> FakeAnswer:
        if "Range" not in headers or not self.ranges:
            self.asked.append((0, len(self.content) - 1))
            return FakeAnswer(200, {"Content-Length": str(len(self.content))}, self.content)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", headers["Range"])
        assert match is not None
        first, last = map(int, match.groups())
        self.asked.append((first, last))
        span = f"bytes {first}-{last}/{len(self.content)}"
        return FakeAnswer(206, {"Content-Range": span}, self.content[first : last + 1])


def scene(
    play: Callable[[Stage, ActorSwarm, Server], object],
    *,
    ranges: bool = True,
    config: SwarmConfig | None = None,
    **settings: object,
) -> None:
    async def run() -> None:
        stage = Stage(**settings)  # type: ignore[arg-type]
        server = Server(stage.content, ranges=ranges)
        leech = stage.swarm(config=config)
        leech.network.on_http = server
        await play(stage, leech, server)  # type: ignore[misc]
        await stage.stop()
        assert all(answer.closed for answer in server.answers), "every answer is closed"

    run_leaping(run())


def test_everything_over_http() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        assert leech.storage.data == stage.content
        stats = leech.swarm.stats()
        assert (stats.from_http, stats.from_peers, stats.wasted) == (stage.length, 0, 0)
        assert not stats.http_active
        assert stats.http_message == ""

    scene(play)


def test_requests_are_runs_of_pieces_up_to_the_limit() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        sizes = [last + 1 - first for first, last in server.asked]
        assert sizes[0] == stage.piece_length, "a stranger proves itself with one piece"
        assert max(sizes) == 3 * stage.piece_length
        assert sum(sizes) == stage.length

    scene(play, length=400 * 4 * BLOCK_SIZE, config=requests_of(3 * 4 * BLOCK_SIZE))


def test_so_many_requests_at_one_server_and_in_all() -> None:
    async def run() -> None:
        stage = Stage(length=200 * 4 * BLOCK_SIZE)
        slots = RequestSlots()
        leech = stage.swarm(config=requests_of(1, max_requests_per_seed=4, max_requests_global=6), web_slots=slots)
        busy: dict[str, int] = {}
        most: dict[str, int] = {}
        leech.network.on_http = Counting(stage.content, busy, most)
        urls = [f"http://mirror{number}.example/pkg" for number in range(3)]
        leech.swarm.set_web_source(source(stage, *urls))
        await leech.finished()
        assert max(most[url] for url in urls) == 4
        assert most["all"] == 6
        assert (slots.used, sum(busy.values())) == (0, 0)
        await stage.stop()

    run_leaping(run())


@pytest.mark.parametrize("length", [1, BLOCK_SIZE + 7, 8 * 4 * BLOCK_SIZE])
def test_a_server_without_ranges(length: int) -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        assert leech.storage.data == stage.content
        assert len(server.asked) <= 2

    scene(play, ranges=False, length=length, config=requests_of(2 * 4 * BLOCK_SIZE))


def test_a_server_without_ranges_when_the_beginning_is_here() -> None:
    async def run() -> None:
        stage = Stage()
        server = Server(stage.content, ranges=False)
        leech = stage.swarm(have=[0, 1, 4])
        leech.network.on_http = server
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        assert leech.storage.data == stage.content
        stats = leech.swarm.stats()
        # What is here already comes all the same, and is counted as what it is.
        assert (stats.from_http, stats.wasted) == (8 * stage.piece_length, 3 * stage.piece_length)
        await stage.stop()

    run_leaping(run())


def test_it_helps_beside_peers_and_nothing_comes_twice() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        leech.meet(stage.peer(has=[0, 1, 2]))
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        stats = leech.swarm.stats()
        assert stats.from_http + stats.from_peers == stage.length
        assert stats.wasted == 0

    scene(play)


def test_it_finishes_what_a_peer_left() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        given = 0

        def two(peer: FakePeer, request: object) -> None:
            nonlocal given
            given += 1
            if given <= 2:
                peer.send_block(request)  # type: ignore[arg-type]
            else:
                peer.hang_up()

        leech.meet(stage.peer(on_request=two))
        await asyncio.sleep(3)
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        assert leech.swarm.stats().from_http == stage.length - 2 * BLOCK_SIZE

    scene(play)


def test_a_break_loses_nothing_that_came() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        answers = 0

        def breaking(url: str, headers: Mapping[str, str]) -> FakeAnswer:
            nonlocal answers
            answers += 1
            answer = server(url, headers)
            if answers == 1:
                answer.breaks_at = 3 * BLOCK_SIZE + 100
            return answer

        leech.network.on_http = breaking
        leech.swarm.set_web_source(source(stage))
        await asyncio.sleep(0.5)
        assert leech.swarm.stats().http_message == "broke off"
        await leech.finished()
        stats = leech.swarm.stats()
        assert (stats.from_http, stats.wasted) == (stage.length + 100, 100)
        assert stats.http_message == ""
        assert server.asked[1][0] == 3 * BLOCK_SIZE

    scene(play)


def test_a_liar_is_given_up_after_three_bad_pieces_and_a_mirror_goes_on() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        liar = Server(bytes(stage.length))
        leech.network.on_http = lambda url, headers: (liar if url == URL else server)(url, headers)
        leech.swarm.set_web_source(source(stage))
        await asyncio.sleep(300)
        stats = leech.swarm.stats()
        assert stats.http_given_up
        assert "not the one that was published" in stats.http_message
        assert leech.storage.writes == 0
        assert leech.listener.banned == []
        asked = len(liar.asked)
        leech.swarm.set_web_source(source(stage, OTHER))
        await leech.finished()
        assert leech.storage.data == stage.content
        assert len(liar.asked) == asked

    scene(play, config=requests_of(1))


def test_a_server_that_is_down_is_asked_less_and_less_often() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        times: list[float] = []

        def down(url: str, headers: Mapping[str, str]) -> FakeAnswer:
            times.append(asyncio.get_running_loop().time())
            raise ConnectionRefusedError("connection refused")

        leech.network.on_http = down
        leech.swarm.set_web_source(source(stage))
        await asyncio.sleep(700)
        gaps = [round(after - before) for before, after in pairwise(times)]
        assert gaps == [2, 3, 5, 9, 301, 301]
        assert leech.swarm.stats().http_message == "connection refused"
        assert not leech.swarm.stats().http_given_up
        # Meanwhile its blocks are free for peers.
        leech.meet(stage.peer())
        await leech.finished()

    scene(play)


def test_a_server_that_does_not_have_it_is_asked_seldom() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        answers: list[FakeAnswer] = []

        def missing(url: str, headers: Mapping[str, str]) -> FakeAnswer:
            answers.append(FakeAnswer(404, {}, b"nothing here"))
            return answers[-1]

        leech.network.on_http = missing
        leech.swarm.set_web_source(source(stage))
        await asyncio.sleep(1000)
        assert len(answers) == 8
        assert leech.swarm.stats().http_message == "the server answered 404"
        assert all(answer.closed for answer in answers)

    scene(play)


def test_retry_after_is_heeded() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        times: list[float] = []

        def busy(url: str, headers: Mapping[str, str]) -> FakeAnswer:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 1:
                return FakeAnswer(503, {"Retry-After": "77"}, b"")
            return server(url, headers)

        leech.network.on_http = busy
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        assert 77 <= times[1] - times[0] <= 78.1

    scene(play)


def test_taken_away_it_stops() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        leech.swarm.set_web_source(source(stage))
        await asyncio.sleep(0.014)
        assert leech.swarm.stats().http_active
        leech.swarm.set_web_source(None)
        await asyncio.sleep(1)
        asked = len(server.asked)
        await asyncio.sleep(100)
        assert len(server.asked) == asked
        assert not leech.swarm.is_complete
        leech.meet(stage.peer())
        await leech.finished()

    scene(play)


def test_paused_it_stops_and_goes_on() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        leech.swarm.set_web_source(source(stage))
        await asyncio.sleep(0.02)
        leech.swarm.downloading = False
        await asyncio.sleep(1)
        got = leech.swarm.stats().from_http
        assert got < stage.length
        await asyncio.sleep(100)
        assert leech.swarm.stats().from_http == got
        leech.swarm.downloading = True
        await leech.finished()
        assert leech.swarm.stats().from_http == stage.length

    scene(play)


def test_the_limit_holds_for_http_too() -> None:
    async def run() -> None:
        stage = Stage()
        down = Limiter(50_000)
        ticker = LimiterTicker(down, LoopClock())
        leech = stage.swarm(limit_down=down)
        leech.network.on_http = Server(stage.content)
        loop = asyncio.get_running_loop()
        started = loop.time()
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        took = loop.time() - started
        assert stage.length / 50_000 * 0.9 <= took <= stage.length / 50_000 * 1.3
        await stage.stop()
        ticker.close()

    run_leaping(run())


class Counting:
    """Ranges of one file; keeps how many answers are read at the same time, for each URL and in all."""

    def __init__(self, content: bytes, busy: dict[str, int], most: dict[str, int]) -> None:
        self._server = Server(content)
        self._busy = busy
        self._most = most

    def __call__(self, url: str, headers: Mapping[str, str]) -> FakeAnswer:
        self._count(url, 1)
        answer = self._server(url, headers)
        return Counted(answer.status, answer.headers, answer.body, on_close=lambda: self._count(url, -1))

    def _count(self, url: str, change: int) -> None:
        for name in (url, "all"):
            self._busy[name] = self._busy.get(name, 0) + change
            self._most[name] = max(self._most.get(name, 0), self._busy[name])


@dataclass
class Counted(FakeAnswer):
    on_close: Callable[[], None] = lambda: None

    async def aclose(self) -> None:
        if not self.closed:
            self.on_close()
        await super().aclose()


@dataclass
class Dripping(FakeAnswer):
    """A byte every 20 s: never silent for long enough to be a time-out of the connection."""

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(len(self.body)):
            await asyncio.sleep(20)
            yield self.body[at : at + 1]


def test_a_server_that_drips_is_given_up_and_a_mirror_goes_on() -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        def dripping(url: str, headers: Mapping[str, str]) -> FakeAnswer:
            answer = server(url, headers)
            return Dripping(answer.status, answer.headers, answer.body) if url == URL else answer

        leech.network.on_http = dripping
        leech.swarm.set_web_source(source(stage, URL, OTHER))
        await leech.finished(leech.swarm.config.request_timeout + 30)
        # Alone it is asked again, later and later.
        alone = stage.swarm()
        alone.network.on_http = dripping
        alone.swarm.set_web_source(source(stage))
        await asyncio.sleep(alone.swarm.config.request_timeout + 2)
        assert alone.swarm.stats().http_message == "the server sends too slowly"
        server.answers.clear()  # the drips were other answers

    scene(play)


@dataclass
class Endless(FakeAnswer):
    """What was asked for, and then more without end."""

    sent: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        body = self.body
        while True:
            await asyncio.sleep(0.001)
            yield body[:10_000] or bytes(10_000)
            self.sent += 10_000
            body = body[10_000:]


@pytest.mark.parametrize("ranges", [True, False])
def test_who_sends_more_than_was_asked_for_is_not_listened_to(ranges: bool) -> None:
    async def play(stage: Stage, leech: ActorSwarm, server: Server) -> None:
        sent: list[Endless] = []

        def endless(url: str, headers: Mapping[str, str]) -> FakeAnswer:
            answer = server(url, headers)
            sent.append(Endless(answer.status, answer.headers, answer.body))
            answer.closed = True
            return sent[-1]

        leech.network.on_http = endless
        leech.swarm.set_web_source(source(stage))
        await leech.finished()
        await asyncio.sleep(1)
        assert all(answer.closed for answer in sent)
        assert sum(answer.sent for answer in sent) <= 2 * stage.length
        assert leech.swarm.stats().from_http == stage.length

    scene(play, ranges=ranges, config=requests_of(1))
