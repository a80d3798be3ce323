"""Tiers in the queues that are not the line: threads of the disk, dialling, connections, requests to web servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.net.slots import TierSlots
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.gates import Fitness, SeedView, fitness
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.store.disk import Ranked, ThreadDisk
from icworkshop_gui.wire.peer.handshake import Handshake
from tests.helpers.builders import content, torrent
from tests.helpers.engines import Engine, engine
from tests.helpers.fake_peer import Stage
from tests.sim.loop import run_leaping

L, U, B = Tier.LOBBY_URGENT, Tier.USER_REQUESTED, Tier.BACKGROUND


def test_the_disk_serves_the_highest_tier_first() -> None:
    disk = ThreadDisk(threads=1)
    gate = threading.Event()
    order: list[str] = []

    def note(name: str) -> object:
        order.append(name)
        return None

    jobs: list[Future[object]] = [disk.submit(lambda: gate.wait(10))]
    for name, tier in (("b1", B), ("u1", U), ("L1", L), ("b2", B), ("u2", U), ("L2", L)):
        jobs.append(disk.submit(Ranked(tier, note), name))
    jobs.append(disk.submit(note, "plain"))
    gate.set()
    for job in jobs:
        job.result(10)
    disk.close()
    assert order == ["L1", "L2", "u1", "u2", "plain", "b1", "b2"]


def test_long_background_jobs_leave_a_thread() -> None:
    disk = ThreadDisk(threads=3)
    gate, begun = threading.Event(), threading.Semaphore(0)

    def long(number: int) -> int:
        begun.release()
        gate.wait(10)
        return number

    long_ones = [disk.submit(Ranked(B, long), number) for number in range(6)]
    for _ in range(2):
        assert begun.acquire(timeout=10)
    assert disk.submit(Ranked(L, str), 7).result(10) == "7"
    assert disk.submit(str, 8).result(10) == "8"
    assert not begun.acquire(blocking=False), "the third thread is not theirs"
    gate.set()
    assert [job.result(10) for job in long_ones] == list(range(6)), "and all of them are done"
    disk.close()


def test_a_job_that_fails_or_is_cancelled_harms_no_other() -> None:
    disk = ThreadDisk(threads=1)
    gate = threading.Event()
    disk.submit(gate.wait, 10)
    bad = disk.submit(Ranked(B, int), "no number")
    dropped = disk.submit(Ranked(B, int), "5")
    assert dropped.cancel()
    good = disk.submit(Ranked(B, int), "6")
    gate.set()
    assert good.result(10) == 6
    with pytest.raises(ValueError, match="no number"):
        bad.result(10)
    disk.close()
    with pytest.raises(RuntimeError):
        disk.submit(int, "7")


def test_slots_go_to_the_highest_tier_and_none_gets_lost() -> None:
    async def scene() -> None:
        slots = TierSlots(1)
        order: list[str] = []

        async def user(name: str, tier: Tier) -> None:
            async with slots.taken(tier):
                order.append(name)
                await asyncio.sleep(1)

        names = (("b0", B), ("b1", B), ("u1", U), ("L1", L), ("u2", U))
        tasks = [asyncio.create_task(user(name, tier)) for name, tier in names]
        await asyncio.sleep(0.5)
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == ["b0", "L1", "u2", "b1"]
        # Given and cancelled in one moment: the next one gets it.
        holder = asyncio.create_task(user("x", U))
        await asyncio.sleep(0)
        unlucky, lucky = asyncio.create_task(user("y", L)), asyncio.create_task(user("z", B))
        await asyncio.sleep(0.5)
        holder.cancel()
        await asyncio.sleep(0)
        unlucky.cancel()
        await lucky
        assert order[-1] == "z"

    run_leaping(scene())


@pytest.mark.parametrize(("used", "expected"), [(3, "bbuL"), (12, "-uL"), (16, "--L"), (20, "---")])
def test_requests_to_web_servers_are_left_to_higher_tiers(used: int, expected: str) -> None:
    config = WebSeedConfig(max_requests_global=16)
    fit = [fitness(SeedView(), 0.0, used, tier, config) is Fitness.FIT for tier in Tier]
    assert fit == [letter != "-" for letter in expected[-3:]]


def test_a_swarm_gives_up_those_who_do_least_and_nothing_that_is_on_its_way() -> None:
    async def scene() -> None:
        stage = Stage()
        ours = stage.swarm()
        busy = [stage.peer(on_request=lambda peer, request: None) for _ in range(2)]
        idle = [stage.peer(has=()) for _ in range(5)]
        ours.meet(*busy, *idle)
        await asyncio.sleep(1)
        assert ours.swarm.connections == 7
        assert ours.swarm.give_up_connections(2, keep=2) == 2
        assert ours.swarm.give_up_connections(9, keep=3) == 2
        assert ours.swarm.give_up_connections(9, keep=0) == 1
        assert ours.swarm.connections == 2
        assert all(peer.open for peer in busy)
        await stage.stop()

    run_leaping(scene())


def test_a_lobby_takes_connections_over_when_none_is_left(tmp_path: Path) -> None:
    torrents = {name: torrent({"f": content(70_000, name)}, name=name, piece_length=16_384) for name in ("L", "b")}
    hashes = {name: Metainfo.parse(data).swarm_hash for name, data in torrents.items()}
    number = iter(range(100))

    def knock(host: Engine, name: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", host.view.totals.listen_port), 5)
        sock.settimeout(5)
        sock.sendall(Handshake(hashes[name], PeerId(b"-XX0001-%012d" % next(number))).encode())
        return sock

    with engine(tmp_path / "a", max_connections="4") as a, contextlib.ExitStack() as stack:
        for name, tier in (("b", B), ("L", L)):
            a.ask(wish.AddTorrent(metainfo=torrents[name], folder=tmp_path / "files", tier=tier))
        crowd = [stack.enter_context(knock(a, "b")) for _ in range(4)]
        a.until(lambda view: view.totals.peers == 4)
        with knock(a, "b") as late:
            assert late.recv(1) == b"", "for its own tier there is no room"
        lobby = [stack.enter_context(knock(a, "L")) for _ in range(2)]
        assert all(len(sock.recv(68, socket.MSG_WAITALL)) == 68 for sock in lobby)
        a.until(lambda view: view.totals.peers == 4)
        with knock(a, "L") as late:
            assert late.recv(1) == b"", "two connections are left to the others"
        assert len(crowd) == 4
