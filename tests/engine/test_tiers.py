"""A lobby's download beside others on one line, to the byte and to the second, in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE, MIB
from icworkshop_gui.engine.precedence import Fetching, Precedence, Shares
from icworkshop_gui.wire.peer.messages import Cancel, Event, Request
from tests.helpers.fake_peer import ActorSwarm, FakePeer, Stage
from tests.helpers.shared_line import SharedLine
from tests.sim.loop import run_leaping

RATE = 2_500_000.0
L, U, B = Tier.LOBBY_URGENT, Tier.USER_REQUESTED, Tier.BACKGROUND


@dataclass
class Download:
    """One torrent, its seeds and our swarm."""

    name: str
    tier: Tier
    stage: Stage
    ours: ActorSwarm
    seeds: list[ActorSwarm]
    seconds: float = 0.0
    """From its beginning to its end."""

    @property
    def received(self) -> int:
        stats = self.ours.swarm.stats()
        return stats.from_peers + stats.from_http


@dataclass
class House:
    """Downloads on one line, and what a session does about their tiers once a second."""

    line: SharedLine = field(default_factory=lambda: SharedLine(RATE))
    downloads: list[Download] = field(default_factory=list)
    shares: Shares = field(default_factory=Shares)
    limit: int | None = None

    def begin(self, name: str, tier: Tier, size: int, *, seeds: int = 4) -> Download:
        stage = Stage(length=size, piece_length=MIB // 2, seed=100 * len(self.downloads) + 7)
        ours = stage.swarm(tier=tier)
        ours.network.pair = self.line.pair
        download = Download(name, tier, stage, ours, [stage.swarm(have=None) for _ in range(seeds)])
        ours.meet(*download.seeds)
        self.downloads.append(download)
        asyncio.get_running_loop().create_task(self._time(download))
        return download

    async def _time(self, download: Download) -> None:
        began = asyncio.get_running_loop().time()
        await download.ours.finished(3600)
        download.seconds = asyncio.get_running_loop().time() - began

    async def run(self, until: float | None = None, *, done: Download | None = None) -> None:
        """Seconds pass, `until` of them or until `done` is complete, or everything is."""
        precedence = self.__dict__.setdefault("_precedence", Precedence())
        loop = asyncio.get_running_loop()
        end = loop.time() + (until or 3600.0)
        while loop.time() < end:
            waiting = [download for download in self.downloads if not download.ours.listener.completed]
            if (done is not None and done.ours.listener.completed) or not waiting:
                return
            fetching = [Fetching(TransferId(item.name), item.tier, item.received) for item in waiting]
            self.shares = precedence.look(loop.time(), fetching, self.limit)
            for item in waiting:
                item.ours.swarm.set_pace(self.shares.of(item.tier))
                item.ours.swarm.downloading = not (item.tier is B and self.shares.hold_background)
            await asyncio.sleep(1.0)

    async def close(self) -> None:
        for download in self.downloads:
            await download.stage.stop()


def test_a_lobby_beside_three_background_and_one_user_download() -> None:
    size = 100_000_000

    async def alone() -> float:
        house = House()
        lobby = house.begin("L", L, size)
        await house.run(done=lobby)
        await house.close()
        return lobby.seconds

    async def beside() -> tuple[float, list[Download]]:
        house = House()
        others = [house.begin(f"b{number}", B, 16_000_000) for number in range(3)]
        others.append(house.begin("u", U, 60_000_000))
        await house.run(15.0)
        assert all(download.received and not download.seconds for download in others), "busy"
        lobby = house.begin("L", L, size)
        await house.run(done=lobby)
        await house.run()
        await house.close()
        return lobby.seconds, house.downloads

    first = run_leaping(alone())
    second, downloads = run_leaping(beside())
    assert second <= 1.1 * first
    for download in downloads:
        stats = download.ours.swarm.stats()
        assert bytes(download.ours.storage.data) == download.stage.content
        if download.tier is L:
            assert stats.wasted <= 0.01 * size, "a lobby pays for speed with some duplicates at its end"
        else:
            assert stats.wasted == 0
            assert stats.from_peers == len(download.stage.content), "not a byte was fetched twice"


def test_without_a_sign_of_the_cancel_nothing_is_fetched_twice_either() -> None:
    """Peers without BEP 6 do not say what became of a cancel."""

    async def scene() -> None:
        stage = Stage(length=64 * BLOCK_SIZE, piece_length=4 * BLOCK_SIZE)
        leech = stage.swarm(tier=B)
        loop = asyncio.get_running_loop()
        sent: list[tuple[int, int]] = []

        def slowly(peer: FakePeer, request: Request) -> None:
            # What is in its socket cannot be taken back.
            sent.append((request.index, request.begin))
            loop.call_later(1.5, peer.send_block, request)

        peers = [stage.peer(fast=False, on_request=slowly) for _ in range(2)]
        leech.meet(*peers)
        await asyncio.sleep(2.0)
        leech.swarm.downloading = False
        await asyncio.sleep(0.2)
        leech.swarm.downloading = True
        await leech.finished()
        assert leech.swarm.stats().wasted == 0
        assert len(sent) == len(set(sent)) == 64
        await stage.stop()

    run_leaping(scene())


@pytest.mark.parametrize("pace", [0.0, 50_000.0, 400_000.0])
def test_a_pace_is_kept_and_what_was_asked_for_beyond_it_is_taken_back(pace: float) -> None:
    async def scene() -> None:
        house = House()
        download = house.begin("u", U, 14_000_000)
        await asyncio.sleep(2.0)
        download.ours.swarm.set_pace(pace)
        await asyncio.sleep(2.0)
        before = download.received
        await asyncio.sleep(10.0)
        assert download.received - before <= 10.0 * pace + BLOCK_SIZE
        assert download.received - before >= 0.8 * 10.0 * pace
        download.ours.swarm.set_pace(None)
        await download.ours.finished()
        stats = download.ours.swarm.stats()
        assert (stats.from_peers, stats.wasted) == (14_000_000, 0)
        await asyncio.sleep(0.1)
        await house.close()

    run_leaping(scene())


@pytest.mark.parametrize(
    ("speeds", "limit"),
    [((40.0, 40.0, 2.0), 7.8), ((50.0, 1.0), 12.55), ((40.0, 40.0, -40.0), 5.95), ((40.0, -40.0), 11.62)],
)
def test_a_lobby_does_not_wait_for_the_slowest(speeds: tuple[float, ...], limit: float) -> None:
    """`speeds`: blocks a second of each peer; one that is negative falls to a twentieth after four seconds. `limit`:
    seconds when all are busy to the end."""

    async def scene(tier: Tier) -> tuple[float, int]:
        stage = Stage(length=640 * BLOCK_SIZE, piece_length=16 * BLOCK_SIZE)
        loop = asyncio.get_running_loop()
        began = loop.time()

        def paced(number: int) -> Callable[[FakePeer, Request], None]:
            def speed() -> float:
                is_slow = speeds[number] < 0 and loop.time() > began + 4.0
                return abs(speeds[number]) / (20 if is_slow else 1)

            async def serve(peer: FakePeer) -> None:
                while queues[number]:
                    await asyncio.sleep(1 / speed())
                    if queues[number]:
                        peer.send_block(queues[number].popleft())

            def send(peer: FakePeer, request: Request) -> None:
                queues[number].append(request)
                if len(queues[number]) == 1:
                    tasks.append(loop.create_task(serve(peer)))

            return send

        def listen(number: int) -> Callable[[FakePeer, Event], None]:
            def on_event(peer: FakePeer, event: Event) -> None:
                if isinstance(event, Cancel):
                    wanted = Request(event.index, event.begin, event.length)
                    if wanted in queues[number]:
                        queues[number].remove(wanted)

            return on_event

        queues: list[deque[Request]] = [deque() for _ in speeds]
        tasks: list[asyncio.Task[None]] = []
        leech = stage.swarm(tier=tier)
        peers = [stage.peer(on_request=paced(number), on_event=listen(number)) for number in range(len(speeds))]
        leech.meet(*peers)
        await leech.finished()
        seconds, stats = loop.time() - began, leech.swarm.stats()
        assert leech.storage.data == stage.content
        await stage.stop()
        for queue in queues:
            queue.clear()
        await asyncio.gather(*tasks)
        return seconds, stats.wasted

    lobby, wasted = run_leaping(scene(L))
    user, _none = run_leaping(scene(U))
    assert lobby <= 1.08 * limit
    assert lobby <= user
    assert wasted <= 0.01 * 640 * BLOCK_SIZE
