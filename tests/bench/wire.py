"""How much payload the peer wire takes in a CPU second: blocks of 16 KiB, each copied once into its piece.

    python tests/bench/wire.py [--mib 4096] [--json]

The stream is put into the machine's buffer by a plain copy that stands for the system's `recv_into`; its time is
measured apart and taken off. The bar is 2,500 MB/CPU-s (DESIGN §7 "Hot path rules").
"""

from __future__ import annotations

import argparse
import json
import time

from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE, KIB, MIB
from icworkshop_gui.wire.peer import codec
from icworkshop_gui.wire.peer.messages import Blocks, Piece
from icworkshop_gui.wire.peer.peer_wire import PeerWire

PIECE = MIB
PIECES = 64  # more than the processor's caches hold
STREAM_BLOCKS = PIECES * PIECE // BLOCK_SIZE


def stream_of_pieces() -> memoryview:
    """Pieces of one MiB as they come over the wire."""
    block = bytes(BLOCK_SIZE)
    frames = [
        codec.piece_header(number * BLOCK_SIZE // PIECE, number * BLOCK_SIZE % PIECE, BLOCK_SIZE) + block
        for number in range(STREAM_BLOCKS)
    ]
    return memoryview(b"".join(frames))


def copy_only(data: memoryview, rounds: int, size: int) -> float:
    """CPU seconds for putting the stream into a buffer of `size` bytes."""
    target = memoryview(bytearray(size))
    begin = time.process_time()
    for _ in range(rounds):
        for position in range(0, len(data), size):
            chunk = data[position : position + size]
            target[: len(chunk)] = chunk
    return time.process_time() - begin


def receive(data: memoryview, rounds: int) -> float:
    """CPU seconds for the same, and for parsing it and assembling the pieces."""
    wire = PeerWire(Geometry(PIECES * PIECE, PIECE), fast=True, extended=True, now=0.0)
    pieces = [memoryview(bytearray(PIECE)) for _ in range(PIECES)]
    begin = time.process_time()
    for _ in range(rounds):
        position, end = 0, len(data)
        while position < end:
            room = wire.buffer()
            count = min(len(room), end - position)
            room[:count] = data[position : position + count]
            position += count
            for event in wire.received(count, 0.0):
                if type(event) is Blocks:
                    index, start, blocks = event
                    piece = pieces[index]
                    for block in blocks:
                        piece[start : start + BLOCK_SIZE] = block
                        start += BLOCK_SIZE
                elif type(event) is Piece:
                    _, start, block = event
                    pieces[event.index][start : start + len(block)] = block
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=4096, help="payload of each of the five runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = stream_of_pieces()
    rounds = max(1, options.mib // PIECES)
    payload = rounds * STREAM_BLOCKS * BLOCK_SIZE / 1e6
    rates = []
    for _ in range(5):
        copying, receiving = copy_only(data, rounds, 256 * KIB), receive(data, rounds)
        rates.append((payload / (receiving - copying), payload / receiving))
    rates.sort()
    net, gross = rates[2]
    if options.json:
        print(json.dumps({"bench": "wire", "mb_per_cpu_s": round(net), "mb_per_cpu_s_with_fill": round(gross)}))
    else:
        print(f"parse and assemble: {net:,.0f} MB per CPU second (median of 5); with the fill: {gross:,.0f}")


if __name__ == "__main__":
    main()
