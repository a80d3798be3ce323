"""Swarms with web seeds in virtual time: alone, beside peers, that lie, that are slow, that lead elsewhere; folders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

import pytest

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.net.limiter import Limiter, LimiterTicker
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.webseed.asking import RequestSlots, WebSource
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.places import FileMap, SeedKind, WebFile, WebSeedUrl
from icworkshop_gui.wire.peer.messages import Request
from tests.helpers.fake_peer import INFO_HASH, ActorSwarm, FakeAnswer, FakePeer, Stage
from tests.helpers.web_servers import Flow, Line, ScriptServer, Web, WebServer
from tests.sim.loop import LoopClock, run_leaping

PIECE = 4 * BLOCK_SIZE
MIRROR = "http://mirror.example/"
Play = Callable[[Stage], Awaitable[None]]


def perform(play: Play, pieces: int = 8, **settings: Any) -> None:
    async def run() -> None:
        stage = Stage(length=pieces * PIECE, piece_length=PIECE, **settings)
        await play(stage)
        await stage.stop()

    run_leaping(run())


def one_file(stage: Stage, *urls: str, alone: bool = False) -> WebSource:
    files = FileMap([WebFile("pkg", stage.length, 0)], INFO_HASH, is_single=True)
    return WebSource(seeds=tuple(WebSeedUrl(url) for url in urls or (MIRROR,)), files=files, alone=alone)


def paced(rate: float) -> Callable[[FakePeer, Request], None]:
    """A seed whose line carries so many bytes a second."""
    free_at = 0.0

    def answer(peer: FakePeer, request: Request) -> None:
        nonlocal free_at
        loop = asyncio.get_running_loop()
        free_at = max(free_at, loop.time()) + request.length / rate
        loop.call_at(free_at, lambda: peer.open and peer.send_block(request))

    return answer


async def took(leech: ActorSwarm, timeout: float = 3600.0) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await leech.finished(timeout)
    return loop.time() - began


# --- who there is ---------------------------------------------------------------------------------


def test_web_seed_only() -> None:
    async def play(stage: Stage) -> None:
        server = WebServer({"pkg": stage.content}, rate=1_000_000)
        leech = stage.swarm()
        leech.network.on_http = server
        leech.swarm.set_web_source(one_file(stage))
        time = await took(leech)
        stats = leech.swarm.stats()
        assert leech.storage.data == stage.content
        assert (stats.from_http, stats.from_peers, stats.wasted, server.sent) == (stage.length, 0, 0, stage.length)
        assert time <= 1.05 * stage.length / 1_000_000, "the line is full from the second piece on"

    perform(play, pieces=200)


def test_peers_only() -> None:
    async def play(stage: Stage) -> None:
        leech = stage.swarm()
        leech.meet(*(stage.peer(on_request=paced(500_000)) for _ in range(2)))
        await leech.finished()
        stats = leech.swarm.stats()
        assert stats.from_http == 0
        assert stats.from_peers == stage.length + stats.wasted

    perform(play, pieces=50)


def shares(leech: ActorSwarm, begin: float = 3.0) -> Callable[[], float]:
    """Call it at the end: HTTP's share of what came since `begin` seconds, when the peers' speed was known."""
    start = [0, 0]

    def note() -> None:
        stats = leech.swarm.stats()
        start[:] = [stats.from_http, stats.from_peers]

    asyncio.get_running_loop().call_later(begin, note)

    def share() -> float:
        stats = leech.swarm.stats()
        http, peers = stats.from_http - start[0], stats.from_peers - start[1]
        return http / (http + peers)

    return share


@pytest.mark.parametrize(("prefer", "tier", "least"), [
    (True, Tier.USER_REQUESTED, 0.0), (False, Tier.USER_REQUESTED, 0.6), (True, Tier.LOBBY_URGENT, 0.6)
])  # fmt: skip
def test_both_while_peers_are_healthy(prefer: bool, tier: Tier, least: float) -> None:
    """A server ten times as fast as both peers: its share stays within 0.8 (gate 2), or it stands back (gate 3)."""

    async def play(stage: Stage) -> None:
        leech = stage.swarm(config=SwarmConfig(webseed=WebSeedConfig(prefer_bt_peers=prefer)), tier=tier)
        leech.network.on_http = WebServer({"pkg": stage.content}, rate=3_000_000)
        leech.meet(*(stage.peer(on_request=paced(150_000)) for _ in range(2)))
        # The gate looks back: what peers gave before the server was asked counts for them.
        share = shares(leech, 0.0)
        await asyncio.sleep(3)
        leech.swarm.set_web_source(one_file(stage))
        await leech.finished()
        stats = leech.swarm.stats()
        assert least <= share() <= 0.8
        assert stats.wasted <= 4 * BLOCK_SIZE, "nothing comes twice but blocks of the end"

    perform(play, pieces=300)


def test_only_what_no_healthy_peer_has() -> None:
    async def play(stage: Stage) -> None:
        leech = stage.swarm()
        server = WebServer({"pkg": stage.content}, rate=3_000_000)
        leech.network.on_http = server
        leech.meet(*(stage.peer(has=range(100), on_request=paced(150_000)) for _ in range(2)))
        await asyncio.sleep(3)
        leech.swarm.set_web_source(one_file(stage))
        await asyncio.sleep(5)
        assert server.asked
        assert min(first for _, first, _ in server.asked) >= 100 * PIECE
        await leech.finished()

    perform(play, pieces=120)


def test_peers_that_become_slow_are_helped() -> None:
    async def play(stage: Stage) -> None:
        leech = stage.swarm()
        leech.network.on_http = WebServer({"pkg": stage.content}, rate=2_000_000)
        leech.meet(*(stage.peer(on_request=paced(20_000)) for _ in range(2)))
        await asyncio.sleep(3)
        leech.swarm.set_web_source(one_file(stage))
        assert await took(leech) < 1.2 * stage.length / 2_000_000 + 2

    perform(play, pieces=200)


def test_web_seeds_count_for_nobodys_rarity() -> None:
    async def play(stage: Stage) -> None:
        leech = stage.swarm()
        leech.network.on_http = WebServer({"pkg": stage.content}, rate=100_000)
        leech.swarm.set_web_source(one_file(stage))
        await asyncio.sleep(2)
        assert leech.swarm.availability() == bytes(stage.geometry.piece_count)
        assert leech.swarm.stats().peers == 0

    perform(play, pieces=50)


# --- mirrors --------------------------------------------------------------------------------------


def test_mirrors_share_the_work_by_speed() -> None:
    async def play(stage: Stage) -> None:
        fast = WebServer({"pkg": stage.content}, rate=3_000_000)
        slow = WebServer({"pkg": stage.content}, rate=1_000_000)
        leech = stage.swarm()
        leech.network.on_http = Web({"fast.example": fast, "slow.example": slow})
        leech.swarm.set_web_source(one_file(stage, "http://slow.example/pkg", "http://fast.example/pkg"))
        time = await took(leech)
        received = {seed.place.url: seed.received for seed in leech.swarm.web_seeds()}
        assert received["http://fast.example/pkg"] == pytest.approx(0.75 * stage.length, rel=0.1)
        assert time <= 1.15 * stage.length / 4_000_000
        assert leech.swarm.stats().wasted == 0

    perform(play, pieces=400)


def test_a_slow_server_does_not_hold_up_the_end() -> None:
    """It crawls in the middle of a run; a faster one takes the rest of it over, and nothing comes twice."""

    async def play(stage: Stage) -> None:
        fast = WebServer({"pkg": stage.content}, rate=1_000_000)
        slow = WebServer({"pkg": stage.content}, rate=300_000)
        leech = stage.swarm()
        leech.network.on_http = Web({"fast.example": fast, "slow.example": slow})
        leech.swarm.set_web_source(one_file(stage, "http://slow.example/pkg", "http://fast.example/pkg"))
        asyncio.get_running_loop().call_later(3, lambda: setattr(slow.line, "_rate", 3_000))
        time = await took(leech)
        assert time <= 1.3 * stage.length / 1_000_000 + 6
        assert leech.swarm.stats().wasted <= 4 * BLOCK_SIZE, "the block on its way in each of its requests"

    perform(play, pieces=200)


def test_a_slow_server_beside_peers() -> None:
    async def play(stage: Stage) -> None:
        leech = stage.swarm()
        leech.network.on_http = WebServer({"pkg": stage.content}, rate=2_000)
        leech.meet(*(stage.peer(on_request=paced(500_000)) for _ in range(2)))
        leech.swarm.set_web_source(one_file(stage))
        assert await took(leech) <= 1.25 * stage.length / 1_000_000 + 2
        assert leech.swarm.stats().wasted <= 2 * PIECE, "its one piece, at the end, of both peers"

    perform(play, pieces=100)


# --- lies -----------------------------------------------------------------------------------------


def spoiled(whole: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in whole)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_web_seed_that_lies_beside_honest_ones(ranges: bool) -> None:
    async def play(stage: Stage) -> None:
        liar = WebServer({"pkg": spoiled(stage.content)}, rate=3_000_000, ranges=ranges)
        honest = WebServer({"pkg": stage.content}, rate=1_000_000)
        leech = stage.swarm()
        leech.network.on_http = Web({"liar.example": liar, "honest.example": honest})
        leech.meet(stage.peer(on_request=paced(40_000)), stage.peer(on_request=paced(40_000)))
        leech.swarm.set_web_source(one_file(stage, "http://liar.example/pkg", "http://honest.example/pkg"))
        await leech.finished()
        stats = leech.swarm.stats()
        assert leech.storage.data == stage.content
        assert leech.listener.banned == []
        bad = {seed.place.url: (seed.bad_pieces, seed.given_up) for seed in leech.swarm.web_seeds()}
        assert bad["http://honest.example/pkg"] == (0, False)
        if ranges:
            assert bad["http://liar.example/pkg"] == (3, True)
            assert stats.hash_failures == 3
        # What came and is not in the file was wasted, to the byte, and is counted.
        assert stats.wasted == stats.from_http + stats.from_peers - stage.length
        assert stats.wasted <= (5 * PIECE if ranges else stage.length)

    perform(play, pieces=100)


def test_a_lie_in_a_piece_that_peers_took_part_in() -> None:
    """The server spoils one block of each piece; the rest of the piece came from honest peers: they are not blamed."""

    async def play(stage: Stage) -> None:
        wrong = bytearray(stage.content)
        for index in range(stage.geometry.piece_count):
            wrong[(index + 1) * PIECE - 1] ^= 1
        leech = stage.swarm()
        leech.network.on_http = WebServer({"pkg": bytes(wrong)}, rate=1_000_000)
        given = [0]

        def some(peer: FakePeer, request: Request) -> None:
            # Three blocks of a piece, and then it hangs up: web seeds finish what peers left lying.
            given[0] += 1
            if request.begin // BLOCK_SIZE < 3:
                peer.send_block(request)
            else:
                peer.hang_up()

        leech.meet(stage.peer(on_request=some))
        await asyncio.sleep(2)
        assert leech.swarm.tracker.partial
        leech.swarm.set_web_source(one_file(stage))
        await asyncio.sleep(60)
        assert leech.swarm.stats().hash_failures >= 3
        assert leech.swarm.stats().http_given_up
        leech.meet(stage.peer(), stage.peer())
        await leech.finished()
        assert leech.storage.data == stage.content
        assert leech.listener.banned == []

    perform(play, pieces=12)


# --- where it leads -------------------------------------------------------------------------------


def test_a_redirect_to_a_private_address_ends_it_at_once() -> None:
    async def play(stage: Stage) -> None:
        inside = WebServer({"pkg": stage.content})
        trap = "http://trap.example/pkg"
        leech = stage.swarm()
        web = Web({"router.lan": inside}, {trap: "http://router.lan/pkg"}, forbidden=frozenset({"router.lan"}))
        leech.network.on_http = web
        leech.swarm.set_web_source(one_file(stage, trap))
        await asyncio.sleep(1000)
        stats = leech.swarm.stats()
        assert (web.reached, inside.asked) == ([trap], [])
        assert stats.http_given_up
        assert stats.http_message == "router.lan is not a public address"
        leech.meet(stage.peer())
        await leech.finished()

    perform(play)


def test_a_redirect_to_another_mirror_is_followed() -> None:
    async def play(stage: Stage) -> None:
        there = WebServer({"v2/pkg": stage.content})
        here = "http://old.example/pkg"
        leech = stage.swarm()
        leech.network.on_http = Web({"new.example": there}, {here: "http://new.example/v2/pkg"})
        leech.swarm.set_web_source(one_file(stage, here))
        await leech.finished()
        assert leech.swarm.stats().from_http == stage.length

    perform(play)


# --- folders --------------------------------------------------------------------------------------

SIZES = (
    ("a.txt", 100),
    ("b/odd.bin", 3 * PIECE + 77),
    ("", 777),
    ("none", 0),
    ("b/tiny", 1),
    ("z.dat", 2 * PIECE + 5000),
)


def folder(stage_content: bytes) -> tuple[list[WebFile], dict[str, bytes], bytes]:
    """The map of a folder with padding, its files on a server, and the torrent's bytes."""
    offset, files, held, whole = 0, [], {}, bytearray(stage_content)
    for name, size in SIZES:
        files.append(WebFile(f"top/{name}" if name else "", size, offset))
        if not name:
            whole[offset : offset + size] = bytes(size)
        offset += size
    for file in files:
        if file.path:
            held[f"pub/{file.path}"] = bytes(whole[file.offset : file.offset + file.size])
    return files, held, bytes(whole[:offset])


LENGTH = sum(size for _, size in SIZES)


def perform_folder(play: Callable[[Stage, WebSource, dict[str, bytes]], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = Stage(length=LENGTH, piece_length=PIECE)
        files, held, stage.content = folder(stage.content)
        source = WebSource(
            seeds=(WebSeedUrl("http://mirror.example/pub/"),), files=FileMap(files, INFO_HASH, is_single=False)
        )
        await play(stage, source, held)
        await stage.stop()

    run_leaping(run())


@pytest.mark.parametrize("ranges", [True, False])
def test_a_folder(ranges: bool) -> None:
    """BEP 19: a piece over several files is a range of each; padding is asked of nobody."""

    async def play(stage: Stage, source: WebSource, held: dict[str, bytes]) -> None:
        server = WebServer(held, ranges=ranges)
        leech = stage.swarm()
        leech.network.on_http = server
        leech.swarm.set_web_source(source)
        await leech.finished()
        stats = leech.swarm.stats()
        assert bytes(leech.storage.data) == stage.content
        assert all(path in held for path, _, _ in server.asked)
        # Without ranges the first file, shorter than a block, comes again with the others.
        twice = 0 if ranges else 100
        assert (stats.from_http, stats.wasted) == (LENGTH - 777 + twice, twice)

    perform_folder(play)


def test_a_folder_of_which_the_beginning_of_a_file_is_here_without_ranges() -> None:
    async def play(stage: Stage, source: WebSource, held: dict[str, bytes]) -> None:
        server = WebServer(held, ranges=False)
        leech = stage.swarm(have=[0, 1, 3])
        leech.network.on_http = server
        leech.swarm.set_web_source(source)
        await leech.finished()
        assert bytes(leech.storage.data) == stage.content
        assert not any(path == "pub/top/a.txt" for path, _, _ in server.asked[1:]), (
            "what is not needed is not asked for"
        )

    perform_folder(play)


def test_a_mirror_that_lacks_one_file_gives_the_others() -> None:
    async def play(stage: Stage, source: WebSource, held: dict[str, bytes]) -> None:
        lacking = WebServer({path: data for path, data in held.items() if not path.endswith("z.dat")})
        leech = stage.swarm()
        leech.network.on_http = lacking
        leech.swarm.set_web_source(source)
        await asyncio.sleep(600)
        assert list(leech.swarm.have) == [0, 1, 2]
        asked = len(lacking.flows)
        await asyncio.sleep(600)
        assert len(lacking.flows) == asked, "what it lacks is not asked for again"
        leech.meet(stage.peer())
        await leech.finished()

    perform_folder(play)


def test_a_file_of_another_length_is_lacking() -> None:
    async def play(stage: Stage, source: WebSource, held: dict[str, bytes]) -> None:
        held["pub/top/z.dat"] += b"!"
        leech = stage.swarm()
        leech.network.on_http = WebServer(held)
        leech.swarm.set_web_source(source)
        await asyncio.sleep(100)
        assert list(leech.swarm.have) == [0, 1, 2]
        assert "bytes instead of" in leech.swarm.stats().http_message

    perform_folder(play)


# --- scripts (BEP 17) -----------------------------------------------------------------------------


def test_a_script_and_its_busy_answers() -> None:
    async def play(stage: Stage) -> None:
        script = ScriptServer(stage.content, PIECE, busy=(30, 7))
        leech = stage.swarm(have=[2])
        leech.network.on_http = script
        files = FileMap([WebFile("pkg", stage.length, 0)], INFO_HASH, is_single=True)
        seed = WebSeedUrl("http://mirror.example/seed.php", SeedKind.SCRIPT)
        leech.swarm.set_web_source(WebSource(seeds=(seed,), files=files))
        time = await took(leech)
        assert 37 <= time <= 41
        assert script.queries[0]["info_hash"] == [bytes(INFO_HASH).decode("latin-1")]
        assert sorted({int(query["piece"][0]) for query in script.queries}) == [0, 1, 3, 4, 5, 6, 7]
        assert leech.swarm.stats().from_http == stage.length - PIECE
        assert leech.swarm.web_seeds()[0].failures == 0, "busy is no failure"

    perform(play)


# --- pause, limits, resume ------------------------------------------------------------------------


def test_pause_breaks_off_and_resume_asks_only_for_what_is_missing() -> None:
    async def play(stage: Stage) -> None:
        server = WebServer({"pkg": stage.content}, rate=1_000_000)
        leech = stage.swarm()
        leech.network.on_http = server
        leech.swarm.set_web_source(one_file(stage))
        await asyncio.sleep(2)
        leech.swarm.downloading = False
        await asyncio.sleep(0.1)
        assert all(flow.closed for flow in server.flows), "at once, not after the next chunk"
        leech.swarm.tracker.check_invariants()
        before = leech.swarm.stats().from_http
        await asyncio.sleep(100)
        assert leech.swarm.stats().from_http == before
        leech.swarm.downloading = True
        await leech.finished()
        # Half blocks come again, one for each of four requests.
        stats = leech.swarm.stats()
        assert stats.from_http - stats.wasted == stage.length
        assert stats.wasted <= 4 * BLOCK_SIZE

    perform(play, pieces=100)


def test_under_a_limit_of_nothing_nothing_is_asked_for() -> None:
    async def play(stage: Stage) -> None:
        server = WebServer({"pkg": stage.content})
        down = Limiter(0)
        ticker = LimiterTicker(down, LoopClock())
        leech = stage.swarm(limit_down=down)
        leech.network.on_http = server
        leech.swarm.set_web_source(one_file(stage))
        await asyncio.sleep(60)
        assert server.asked == []
        down.set_rate(100_000, asyncio.get_running_loop().time())
        assert await took(leech) == pytest.approx(stage.length / 100_000, rel=0.25)
        ticker.close()

    perform(play)


def test_what_a_disk_has_is_not_asked_for() -> None:
    async def play(stage: Stage) -> None:
        server = WebServer({"pkg": stage.content})
        wanted = Bitfield(stage.geometry.piece_count)
        for index in (3, 4, 9):
            wanted.add(index)
        leech = stage.swarm(have=[4], wanted=wanted)
        leech.network.on_http = server
        leech.swarm.set_web_source(one_file(stage))
        await leech.finished()
        assert sorted((first // PIECE, last // PIECE) for _, first, last in server.asked) == [(3, 3), (9, 9)]

    perform(play, pieces=20)


def test_bodies_that_are_too_short_too_long_or_of_another_kind() -> None:
    """Each is a failure, costs no more than was asked for, and is asked less and less often."""

    async def play(stage: Stage) -> None:
        for spoil in (lambda body: body[:-1], lambda body: b"", lambda body: body + bytes(10_000_000)):
            server = WebServer({"pkg": stage.content})

            def answer(
                url: str, headers: Mapping[str, str], server: WebServer = server, spoil: Any = spoil
            ) -> FakeAnswer:
                flow = server.answer(url, headers)
                return Flow(flow.status, flow.headers, spoil(flow.body), line=Line(None))

            leech = stage.swarm()
            leech.network.on_http = answer
            leech.swarm.set_web_source(one_file(stage))
            await asyncio.sleep(3600)
            stats = leech.swarm.stats()
            assert stats.from_http <= stage.length + 20 * PIECE
            assert len(server.asked) <= 25
            leech.swarm.tracker.check_invariants()

    perform(play)


# --- everything at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("chance", range(40))
def test_any_mixture_ends_with_the_right_bytes_and_balanced_books(chance: int) -> None:
    """One honest server among others that break off, are busy, lack files, lie or crawl; peers come, lie and go."""
    rng = Random(chance)

    async def play(stage: Stage) -> None:
        hosts: dict[str, WebServer] = {}
        for number in range(rng.randint(1, 5)):
            vice = rng.choice(["breaks", "busy", "lacks", "lies", "crawls", "whole", "none"])
            whole = spoiled(stage.content) if vice == "lies" else stage.content
            rate = 1_500.0 if vice == "crawls" else rng.choice([50_000.0, 400_000.0, 2_000_000.0])
            files = {} if vice == "lacks" else {"pkg": whole}
            server = WebServer(files, rate=rate, ranges=vice != "whole")
            if vice in ("breaks", "busy"):
                server.before = unreliable(server, rng, vice)
            hosts[f"host{number}.example"] = server
        hosts["honest.example"] = WebServer({"pkg": stage.content}, rate=rng.choice([30_000.0, 500_000.0]))
        slots = RequestSlots()
        held = rng.randint(0, 5)
        leech = stage.swarm(have=rng.sample(range(40), held), web_slots=slots)
        leech.network.on_http = Web(hosts)
        urls = [f"http://{host}/pkg" for host in hosts]
        rng.shuffle(urls)
        source = one_file(stage, *urls, alone=rng.random() < 0.3)
        leech.swarm.set_web_source(source)
        liars = []
        for _ in range(rng.randint(0, 4)):
            bad = rng.random() < 0.25
            peer = stage.peer(
                has=None if rng.random() < 0.5 else rng.sample(range(40), 20),
                on_request=FakePeer.send_bad_block if bad else paced(rng.choice([5_000.0, 60_000.0, 300_000.0])),
            )
            liars += [peer.endpoint] if bad else []
            leech.meet(peer)
        for _ in range(rng.randint(0, 4)):
            await asyncio.sleep(rng.uniform(0.1, 4))
            leech.swarm.downloading = False
            leech.swarm.tracker.check_invariants()
            await asyncio.sleep(rng.uniform(0.0, 2))
            leech.swarm.downloading = True
            if rng.random() < 0.3:
                leech.swarm.set_web_source(None)
                await asyncio.sleep(1)
                leech.swarm.set_web_source(source)
        await leech.finished(4000)
        await asyncio.sleep(1)
        assert leech.storage.data == stage.content
        stats = leech.swarm.stats()
        if not stats.from_peers:
            assert stats.from_http - stats.wasted == stage.length - held * PIECE, "of use, or counted as waste"
        assert set(leech.listener.banned) <= set(liars), "nobody innocent"
        honest = next(seed for seed in leech.swarm.web_seeds() if "honest" in seed.place.url)
        assert not honest.given_up
        assert honest.bad_pieces == 0
        assert slots.used == 0
        assert all(flow.closed for server in hosts.values() for flow in server.flows)

    perform(play, pieces=40)


def test_a_preempted_request_goes_on_from_the_next_byte() -> None:
    """Stopped eight times in the middle of blocks: every byte that was read counts."""

    async def play(stage: Stage) -> None:
        server = WebServer({"pkg": stage.content}, rate=100_000)
        leech = stage.swarm()
        leech.network.on_http = server
        leech.swarm.set_web_source(one_file(stage))
        for _ in range(8):
            await asyncio.sleep(0.55)
            leech.swarm.downloading = False
            await asyncio.sleep(0.2)
            leech.swarm.downloading = True
        await leech.finished(60)
        stats = leech.swarm.stats()
        assert leech.storage.data == stage.content
        assert (stats.from_http, stats.wasted) == (stage.length, 0)
        assert any(first % BLOCK_SIZE for _, first, _ in server.asked), "a block was gone on with"

    perform(play)


def test_a_kept_part_of_a_block_that_a_peer_sent_is_counted_as_waste() -> None:
    async def play(stage: Stage) -> None:
        server = WebServer({"pkg": stage.content}, rate=100_000)
        leech = stage.swarm()
        leech.network.on_http = server
        leech.swarm.set_web_source(one_file(stage))
        await asyncio.sleep(0.55)
        leech.swarm.downloading = False
        await asyncio.sleep(0.2)
        leech.swarm.set_web_source(None)
        leech.swarm.downloading = True
        leech.meet(stage.peer())
        await leech.finished(60)
        await asyncio.sleep(1.1)
        stats = leech.swarm.stats()
        assert 0 < stats.wasted < BLOCK_SIZE
        assert stats.from_http + stats.from_peers - stats.wasted == stage.length

    perform(play)


def unreliable(server: WebServer, rng: Random, vice: str) -> Callable[[str, Mapping[str, str]], FakeAnswer | None]:
    def answer(url: str, headers: Mapping[str, str]) -> FakeAnswer | None:
        if rng.random() < 0.5:
            return None
        if vice == "busy":
            return FakeAnswer(503, {"Retry-After": str(rng.randint(0, 20))}, b"")
        flow = server.answer(url, headers)
        flow.breaks_at = rng.randrange(len(flow.body))
        return flow

    return answer
