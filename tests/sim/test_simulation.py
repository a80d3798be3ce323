"""The simulation itself: lines as fast as they say, losses, partitions, and the same course every time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from random import Random

import pytest

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.stream import Stream
from tests.helpers.streams import Recorder, until
from tests.sim.links import HEADERS, MSS, Link, Wires, dsl
from tests.sim.loop import run_leaping, sim_loop
from tests.sim.network import SimInternet, SimNetwork

MEGABYTE = 1_000_000


class Two:
    """Two hosts and a connection between them."""

    def __init__(self, near: Link, far: Link) -> None:
        self.wires = Wires(sim_loop(), Random(1))
        net = SimInternet(self.wires)
        self.near, self.far = self.wires.host("93.0.0.1", near), self.wires.host("93.0.1.1", far)
        self.near_network, self.far_network = SimNetwork(net, self.near), SimNetwork(net, self.far)

    async def connect(self) -> tuple[Stream, Recorder, Recorder]:
        """Our stream, what we hear, what they hear."""
        accepted: asyncio.Future[Stream] = sim_loop().create_future()
        await self.far_network.listen(80, accepted.set_result)
        stream = await self.near_network.dial(Endpoint("93.0.1.1", 80), TransportKind.TCP, 10.0)
        return stream, Recorder(stream), Recorder(await accepted)


async def carry(two: Two, data: bytes) -> float:
    """Seconds until the far host has it."""
    stream, _, there = await two.connect()
    began = sim_loop().now
    stream.write([data])
    await until(lambda: len(there.got) == len(data), 3600.0)
    assert there.got == data
    stream.close()
    await there.done.wait()
    return sim_loop().now - began


@pytest.mark.parametrize(("near", "far", "rate"), [(dsl(100, 8), dsl(100, 100), 8), (dsl(9, 90), dsl(16, 1), 16)])
def test_the_narrowest_line_decides(near: Link, far: Link, rate: float) -> None:
    async def play() -> float:
        return await carry(Two(near, far), Random(1).randbytes(4 * MEGABYTE))

    ideal = 4 * MEGABYTE * 8 / (rate * MEGABYTE) * (MSS + HEADERS) / MSS
    assert ideal <= run_leaping(play()) <= 1.06 * ideal + 0.2


def test_losses_slow_down_and_spoil_nothing() -> None:
    async def play(loss: float) -> float:
        return await carry(Two(dsl(100, 50, loss=loss, delay=0.03), dsl(100, 100, delay=0.03)), bytes(4 * MEGABYTE))

    clean, lossy = run_leaping(play(0.0)), run_leaping(play(0.01))
    assert lossy > 3 * clean
    assert lossy < 120


def test_both_at_once_share_a_line() -> None:
    async def play() -> list[float]:
        two = Two(dsl(100, 16), dsl(100, 100))
        third = SimNetwork(two.near_network._net, two.wires.host("93.0.2.1", dsl(100, 100)))
        other = Two.__new__(Two)
        other.__dict__.update(two.__dict__)
        other.far_network = third

        async def to_third() -> float:
            accepted: asyncio.Future[Stream] = sim_loop().create_future()
            await third.listen(80, accepted.set_result)
            stream = await two.near_network.dial(Endpoint("93.0.2.1", 80), TransportKind.TCP, 10.0)
            Recorder(stream)
            there = Recorder(await accepted)
            stream.write([bytes(2 * MEGABYTE)])
            await until(lambda: len(there.got) == 2 * MEGABYTE)
            stream.abort()
            await there.done.wait()
            return sim_loop().now

        began = sim_loop().now
        times = await asyncio.gather(carry(two, bytes(2 * MEGABYTE)), to_third())
        return [times[0], times[1] - began]

    first, second = run_leaping(play())
    assert min(first, second) >= 1.6
    assert max(first, second) <= 2.4


def test_a_reader_who_stops_stops_the_sender() -> None:
    async def play() -> None:
        two = Two(dsl(100, 100), dsl(100, 100))
        stream, here, there = await two.connect()
        far = stream.peer
        far.pause_reading()
        stream.write([bytes(8 * MEGABYTE)])
        await asyncio.sleep(60)
        assert not there.got
        assert stream.unsent > 6 * MEGABYTE
        assert here.writable_calls == 0
        far.resume_reading()
        await asyncio.sleep(2)
        assert len(there.got) == 8 * MEGABYTE
        assert here.writable_calls == 1
        stream.abort()
        await there.done.wait()

    run_leaping(play())


def test_a_partition_heals_and_nothing_is_lost() -> None:
    async def play() -> None:
        two = Two(dsl(20, 20), dsl(20, 20))
        stream, _, there = await two.connect()
        data = Random(2).randbytes(2 * MEGABYTE)
        stream.write([data])
        await asyncio.sleep(0.3)
        with two.wires.partition(two.far):
            await asyncio.sleep(0.2)
            got = len(there.got)
            with pytest.raises(TimeoutError):
                await two.near_network.dial(Endpoint("93.0.1.1", 80), TransportKind.TCP, 5.0)
            assert len(there.got) == got
        await asyncio.sleep(20)
        assert there.got == data
        stream.abort()
        await there.done.wait()

    run_leaping(play())


def test_datagrams_queue_and_drop() -> None:
    async def play() -> None:
        two = Two(dsl(100, 8, queue=0.1), dsl(100, 100))
        got: list[tuple[float, bytes]] = []
        await two.far_network.datagrams(7, lambda data, sender: got.append((sim_loop().now, data)))
        socket = await two.near_network.datagrams(0, lambda data, sender: None)
        began = sim_loop().now
        for number in range(1000):
            socket.send(number.to_bytes(2, "big") * 486, Endpoint("93.0.1.1", 7))
        await asyncio.sleep(10)
        # 1,000 bytes a millisecond: the queue holds 100 of them beside the one on its way.
        assert [int.from_bytes(data[:2], "big") for _, data in got] == list(range(len(got)))
        assert len(got) == pytest.approx(101, abs=1)
        assert two.near.up.dropped == 1000 - len(got)
        assert got[-1][0] - began == pytest.approx(0.101 + 0.01, abs=0.002)

    run_leaping(play())


def test_an_idle_hour_costs_nothing() -> None:
    async def play() -> None:
        two = Two(dsl(20, 20), dsl(20, 20))
        stream, _, there = await two.connect()
        for _ in range(3600):
            await asyncio.sleep(1)
        stream.abort()
        await there.done.wait()

    began = time.perf_counter()
    run_leaping(play())
    assert time.perf_counter() - began < 3.6, "a thousand simulated seconds in a real one"


_COURSE = """
from tests.sim.links import dsl
from tests.sim.swarm import swarm
print(swarm(4, links=dsl(20, 10, loss=0.001), size=2_000_000, piece_length=65536, seed=5).digest())
"""


def test_the_same_seed_gives_the_same_course_whatever_the_hash_salt() -> None:
    """Hashes of bytes are salted per process: no decision may hang on the order of a set."""
    courses = []
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        run = subprocess.run(
            [sys.executable, "-c", _COURSE], env=environment, capture_output=True, text=True, check=True
        )
        courses.append(run.stdout)
    assert len(courses[0]) > 60
    assert courses[0] == courses[1]
