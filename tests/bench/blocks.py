"""What a block costs the engine's thread: asked for, received, put into its piece. No socket, disk or hash.

    python -m tests.bench.blocks [--mib 1024] [--piece KIB] [--profile]

One seed answers in order and at once; what it sends is put into the lent buffer by a plain copy that stands for the
system's `recv_into`, measured apart and taken off. Microseconds of CPU per block of 16 KiB, and the GiB's worth.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import time
from collections.abc import Sequence

from icworkshop_gui.core.address import Endpoint, PeerSource, TransportKind
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.core.units import BLOCK_SIZE, GIB, KIB, MIB
from icworkshop_gui.engine.net.stream import Buffer, StreamHandler
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.pace import RequestPace
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.picker import PiecePicker
from icworkshop_gui.engine.swarm.piece_tracker import PieceTracker
from icworkshop_gui.wire.peer import codec
from icworkshop_gui.wire.peer.extensions import handshake
from icworkshop_gui.wire.peer.messages import Extended
from icworkshop_gui.wire.peer.peer_wire import PeerWire

REQUEST_SIZE = codec.BLOCK.size


class Still:
    """Time stands, so that no rate is taken and the pipeline grows with each block."""

    def now(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0


class Seed:
    """The other end of the stream: keeps the requests, answers them on `answer`."""

    kind = TransportKind.TCP
    incoming = False
    endpoint = Endpoint("127.0.0.1", 1)
    unsent = 0

    def __init__(self) -> None:
        self.asked = bytearray()
        self.handler: StreamHandler | None = None

    def start(self, handler: StreamHandler) -> None:
        self.handler = handler

    def write(self, chunks: Sequence[Buffer]) -> None:
        for chunk in chunks:
            if chunk[4] == codec.REQUEST:
                self.asked += chunk

    def set_backlog(self, count: int) -> None: ...
    def expect(self, count: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None:
        raise SystemExit("the peer was dropped")


class Side:
    """A swarm without disk: a complete piece is had at once."""

    may_ask = True
    may_serve = False

    def __init__(self, geometry: Geometry) -> None:
        self.config = SwarmConfig()
        self.clock = Still()
        self.tracker = PieceTracker(geometry, Bitfield(geometry.piece_count))
        self.counts = Availability(geometry.piece_count)
        self.picker = PiecePicker(self.tracker, self.counts, random.Random(1), self.config)
        self.pace = RequestPace()

    def block_useful(self, now: float) -> None: ...
    def block_wasted(self, size: int) -> None:
        raise SystemExit("a block was not wanted")

    def piece_completed(self, index: int) -> None:
        self.tracker.verified(index)

    def events_handled(self) -> None: ...
    def cancel_at(self, keys: list[int], index: int, block: int) -> None: ...
    def blocks_released(self) -> None: ...
    def has_requests(self, peer: Peer) -> None: ...
    def interest_changed(self) -> None: ...
    def has_more(self, peer: Peer) -> None: ...
    def learned_port(self, peer: Peer) -> None: ...
    def fair_room(self, peer: Peer) -> int | None:
        return None

    def greeted(self, peer: Peer) -> None: ...
    def heard(self, peer: Peer, event: Extended) -> None: ...
    def peer_gone(self, peer: Peer, reason: str, *, fault: bool) -> None: ...


def run(geometry: Geometry) -> tuple[float, float]:
    """CPU seconds of one download, and of putting its bytes into the buffer."""
    side, seed = Side(geometry), Seed()
    wire = PeerWire(geometry, fast=True, extended=True, now=0.0)
    peer = Peer(side, 2, seed, wire, PeerId(bytes(20)), PeerSource.TRACKER)
    peer.begin(b"")
    frame = memoryview(bytearray(13 + BLOCK_SIZE))
    queue = bytearray(2 * MIB)  # what the system's socket buffer would hold
    filling = 0.0

    def feed(data: memoryview) -> None:
        nonlocal filling
        while data:
            room = peer.buffer()
            count = min(len(room), len(data))
            began = time.process_time()
            room[:count] = data[:count]
            filling += time.process_time() - began
            peer.received(count)
            data = data[count:]

    began, making = time.process_time(), 0.0
    hello = codec.extended(0, handshake.encode({}))
    feed(memoryview(hello + codec.bare(codec.HAVE_ALL) + codec.bare(codec.UNCHOKE)))
    while not side.tracker.is_complete:
        asked, seed.asked = seed.asked, bytearray()
        start, end = time.process_time(), 0
        frames = memoryview(queue)
        for index, begin, length in (fields[2:] for fields in codec.BLOCK.iter_unpack(asked)):
            codec.PIECE_HEADER.pack_into(frame, 0, length + 9, codec.PIECE, index, begin)
            frames[end : end + 13 + length] = frame[: 13 + length]
            end += 13 + length
            if end + len(frame) > len(queue):
                making += time.process_time() - start
                feed(frames[:end])
                start, end = time.process_time(), 0
        making += time.process_time() - start
        feed(frames[:end])
    return time.process_time() - began - making - filling, filling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--piece", type=int, default=4096, metavar="KIB")
    parser.add_argument("--profile", action="store_true", help="which functions take it")
    options = parser.parse_args()
    geometry = Geometry(options.mib * MIB, options.piece * KIB)
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(run, geometry)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    runs = [run(geometry)[0] for _ in range(5)]
    blocks = options.mib * MIB // BLOCK_SIZE
    best = min(runs)
    print(f"{1e6 * best / blocks:.2f} us a block (best of 5; worst {1e6 * max(runs) / blocks:.2f});", end=" ")
    print(f"{best * GIB / (options.mib * MIB):.2f} CPU s/GiB")


if __name__ == "__main__":
    main()
