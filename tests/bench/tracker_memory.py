"""A million peers in 10,000 swarms: bytes per peer, time to fill, the longest pause while all of them expire.

python tests/bench/tracker_memory.py [--peers 1000000] [--torrents 10000]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from icworkshop_gui.server.tracker.expiry import STEP, slots_per_step
from icworkshop_gui.server.tracker.tracker import Tracker


class HandClock:
    """Stands still until told otherwise."""

    at = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def resident() -> int:
    """Bytes of anonymous memory, as the system sees it; 0 where it does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def fill(tracker: Tracker, peers: int, torrents: int) -> None:
    rng = random.Random(1)
    hashes = [rng.randbytes(20) for _ in range(torrents)]
    announce = tracker.announce
    for number in range(peers):
        peer = number.to_bytes(4, "big") + rng.randrange(1024, 65536).to_bytes(2, "big")
        announce(hashes[number % torrents], peer, number % 5, 2, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=int, default=1_000_000)
    parser.add_argument("--torrents", type=int, default=10_000)
    options = parser.parse_args()
    for traced in (False, True):
        clock = HandClock()
        tracker = Tracker(clock, random.Random(2), max_peers=options.peers)
        before = resident()
        if traced:
            tracemalloc.start()
        begin = time.perf_counter()
        fill(tracker, options.peers, options.torrents)
        seconds = time.perf_counter() - begin
        stats = tracker.stats()
        if traced:
            size = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            print(f"allocated   {size / stats.peers:6.1f} bytes per peer ({size / 2**20:.1f} MiB)")
            break
        size = resident() - before
        print(f"peers       {stats.peers:,} in {stats.torrents:,} swarms")
        print(f"resident    {size / stats.peers:6.1f} bytes per peer ({size / 2**20:.1f} MiB)")
        print(f"filled in   {seconds:6.2f} s ({stats.peers / seconds:,.0f} new peers a second)")
        slots = slots_per_step(stats.peers, tracker.interval)
        for name, later in (("nobody", 0.0), ("everybody", 3600.0)):
            clock.at += later
            pauses = []
            gone = 0
            for _ in range(int(tracker.interval / STEP)):
                begin = time.perf_counter()
                gone += tracker.sweep(slots)
                pauses.append(time.perf_counter() - begin)
            print(
                f"{name:9s} has gone silent: {gone:,} forgotten, {len(pauses)} steps of {slots} places, longest "
                f"{max(pauses) * 1000:.2f} ms, median {sorted(pauses)[len(pauses) // 2] * 1000:.2f} ms"
            )
        print(f"left        {tracker.stats().peers:,} peers, {tracker.stats().torrents:,} swarms")


if __name__ == "__main__":
    main()
