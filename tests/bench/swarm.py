"""How close a swarm comes to what its lines can carry, in the simulation and, when asked, with real programs.

    python -m tests.bench.swarm                          8 leechers, mixed lines, 32 leechers
    python -m tests.bench.swarm --yardstick DIR          the same 8 with namespaces: DIR/swarm.py, as root, and
                                                         BENCH_ICW names the program

The bar (DESIGN §7): with 8 leechers the last one has everything within 1.15 of the limit. The simulation leaves out
what the programs cost: their start, and the processor's time for each packet.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.sim.links import dsl
from tests.sim.swarm import Outcome, swarm

MIXED = (5, 5, 10, 10, 20, 20, 20, 50, 50, 50, 100, 100)
"""Mbit/s of twelve leechers."""


def report(name: str, play: Callable[[], Outcome]) -> None:
    began = time.perf_counter()
    outcome = play()
    print(
        f"{name:10} last {outcome.last:6.2f} s  median {outcome.median:6.2f} s  limit {outcome.limit:6.2f} s  "
        f"x {outcome.ratio:.3f}  copies {outcome.copies:.3f}  line idle {max(0.0, outcome.idle):.3f}  "
        f"twice {outcome.wasted / 1e6:.1f} MB  ({time.perf_counter() - began:.0f} s)",
        flush=True,
    )


def main() -> int:
    ways = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways.add_argument("--seeds", type=int, default=1, help="runs with other chance")
    ways.add_argument("--only", choices=("eight", "mixed", "many"))
    ways.add_argument("--yardstick", type=Path, help="folder with swarm.py")
    chosen = ways.parse_args()
    if chosen.yardstick is not None:
        command = [sys.executable, "swarm.py", "--peers", "icworkshop", "--reps", str(chosen.seeds)]
        return subprocess.run(command, cwd=chosen.yardstick, check=False).returncode
    for seed in range(1, chosen.seeds + 1):
        if chosen.only in (None, "eight"):
            report("eight", partial(swarm, 8, links=dsl(20, 20), size=40_000_000, seed=seed))
        if chosen.only in (None, "mixed"):
            lines = [dsl(rate, rate) for rate in MIXED]
            report("mixed", partial(swarm, 12, links=lines, seed_link=dsl(10, 10), size=15_000_000, seed=seed))
        if chosen.only in (None, "many"):
            report("many", partial(swarm, 32, links=dsl(20, 20), size=10_000_000, seed=seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
