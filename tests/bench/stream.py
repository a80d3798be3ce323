"""Loopback: one process serves blocks, another asks for them, over two streams and two peer wires. No disk, no hashing,
no swarm: what the wire and the socket cost, and so the floor under every other figure.

    python tests/bench/stream.py [--mib 2048] [--kind tcp|transport|throttled] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import resource
import socket
import time
from multiprocessing.connection import Connection

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE, MIB
from icworkshop_gui.engine.net.limiter import Limiter
from icworkshop_gui.engine.net.stream import Buffer, Stream
from icworkshop_gui.engine.net.tcp import TcpStream
from icworkshop_gui.engine.net.throttled import ThrottledStream
from icworkshop_gui.engine.net.transport_stream import TransportStream
from icworkshop_gui.wire.peer.messages import Blocks, Piece, Request
from icworkshop_gui.wire.peer.peer_wire import PeerWire

PIECE = MIB
PIPELINE = 500
UNSENT_MAX = 4 * MIB


class Seeder:
    def __init__(self, stream: Stream, geometry: Geometry, content: memoryview) -> None:
        self.wire = PeerWire(geometry, fast=True, extended=True, now=0.0)
        self.buffer = self.wire.buffer
        self.stream, self.content = stream, content
        self.wanted: list[Request] = []
        self.done = asyncio.Event()
        stream.write([self.wire.bitfield(Bitfield(geometry.piece_count, full=True)), self.wire.unchoke()])
        stream.start(self)

    def received(self, count: int) -> None:
        self.wanted += [event for event in self.wire.received(count, 0.0) if type(event) is Request]
        self.serve()

    def serve(self) -> None:
        if self.stream.unsent > UNSENT_MAX or not self.wanted:
            return
        chunks: list[Buffer] = []
        header, content = self.wire.piece_header, self.content
        for index, begin, length in self.wanted:
            chunks.append(header(index, begin, length))
            chunks.append(content[begin : begin + length])
        self.wanted.clear()
        self.stream.write(chunks)

    def writable(self) -> None:
        self.serve()

    def closed(self, error: Exception | None) -> None:
        self.done.set()


class Leecher:
    def __init__(self, stream: Stream, geometry: Geometry) -> None:
        self.wire = PeerWire(geometry, fast=True, extended=True, now=0.0)
        self.buffer = self.wire.buffer
        self.stream = stream
        self.target = memoryview(bytearray(PIECE * 64))
        self.left = geometry.piece_count * PIECE // BLOCK_SIZE
        self.blocks = iter(
            [
                (index, begin, BLOCK_SIZE)
                for index in range(geometry.piece_count)
                for begin in range(0, PIECE, BLOCK_SIZE)
            ]
        )
        self.done = asyncio.Event()
        stream.start(self)
        self.ask(PIPELINE)

    def ask(self, count: int) -> None:
        wanted = list(itertools.islice(self.blocks, count))
        if wanted:
            self.stream.write([self.wire.request(wanted)])

    def received(self, count: int) -> None:
        target, got = self.target, 0
        for event in self.wire.received(count, 0.0):
            if type(event) is Blocks:
                start = (event.index & 63) * PIECE + event.begin
                for block in event.blocks:
                    target[start : start + BLOCK_SIZE] = block
                    start += BLOCK_SIZE
                got += len(event.blocks)
            elif type(event) is Piece:
                index, begin, block = event
                start = (index & 63) * PIECE + begin
                target[start : start + len(block)] = block
                got += 1
        self.left -= got
        if self.left <= 0:
            self.done.set()
        elif got:
            self.ask(got)

    def writable(self) -> None:
        """Requests are small."""

    def closed(self, error: Exception | None) -> None:
        self.done.set()


async def make_stream(sock: socket.socket, kind: str, *, incoming: bool) -> Stream:
    if kind == "transport":
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: TransportStream(incoming=incoming), sock=sock)
        return stream
    tcp = TcpStream(sock, Endpoint("127.0.0.1", 1), incoming=incoming)
    if kind == "tcp":
        return tcp
    return ThrottledStream(tcp, up=Limiter(None), down=Limiter(None), clock=SystemClock())


def seed(server: socket.socket, kind: str, pieces: int, report: Connection) -> None:
    async def main() -> None:
        sock, _ = server.accept()
        stream = await make_stream(sock, kind, incoming=True)
        await Seeder(
            stream, Geometry(pieces * PIECE, PIECE), memoryview(bytes(range(256)) * (PIECE // 256))
        ).done.wait()

    begin = time.process_time()
    asyncio.run(main())
    report.send(time.process_time() - begin)


def leech(port: int, kind: str, pieces: int) -> tuple[float, float]:
    async def main() -> None:
        stream = await make_stream(socket.create_connection(("127.0.0.1", port)), kind, incoming=False)
        leecher = Leecher(stream, Geometry(pieces * PIECE, PIECE))
        await leecher.done.wait()
        if leecher.left > 0:
            raise RuntimeError("the connection broke")
        stream.abort()
        await asyncio.sleep(0)

    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(main())
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--kind", choices=["tcp", "transport", "throttled"], default="tcp")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    results = []
    for _ in range(options.runs):
        with socket.create_server(("127.0.0.1", 0)) as server:
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=seed, args=(server, options.kind, options.mib, there))
            child.start()
            down, wall = leech(server.getsockname()[1], options.kind, options.mib)
            up = here.recv()
            child.join(10)
        gib = options.mib / 1024
        results.append((options.mib * MIB / 1e6 / wall, down / gib, up / gib))
    rate, down, up = sorted(results)[len(results) // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.json:
        fields = {"mb_per_s": rate, "down_cpu_s_per_gib": down, "up_cpu_s_per_gib": up, "peak_mib": peak}
        print(
            json.dumps({"bench": f"stream {options.kind}", **{key: round(value, 3) for key, value in fields.items()}})
        )
    else:
        print(f"{options.kind}: {rate:,.0f} MB/s; leecher's peak {peak:.0f} MiB")
        print(f"CPU s/GiB: leecher {down:.2f}, seeder {up:.2f}")


if __name__ == "__main__":
    main()
