"""Whom a seed should serve first, measured in the simulation: the table of engine/swarm/DECISIONS.md.

    python -m tests.bench.choking [--chances N] [--only equal|mixed|late|leaving] [--jobs N]

One seed with 8 upload slots, 24 leechers, 20 MB, a tracker. `equal`: 20 Mbit/s down and 4 up each, the seed 4 up.
`mixed`: up 1 to 20 Mbit/s, the seed 8. `late`: as equal, one every 5 s. `leaving`: as late, and each is gone the moment
it has everything. Columns: seconds of the last and of the mean finisher from their own start, copies of the content
that left the seed, the longest that a leecher wanted something of the seed and was choked; each the mean over the
chances (the starvation: the worst of all).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.seed_choking import SeedChoking
from tests.sim.links import dsl
from tests.sim.swarm import Outcome, swarm

LEECHERS = 24
SIZE = 20_000_000
EQUAL = dsl(20, 4)
MIXED = [dsl(50, up) for up in (1, 2, 4, 8, 12, 20)] * 4

SCENARIOS: dict[str, Callable[..., Outcome]] = {
    "equal": partial(swarm, LEECHERS, links=EQUAL, size=SIZE),
    "mixed": partial(swarm, LEECHERS, links=MIXED, seed_link=dsl(50, 8), size=SIZE),
    "late": partial(swarm, LEECHERS, links=EQUAL, size=SIZE, stagger=5.0),
    "leaving": partial(swarm, LEECHERS, links=EQUAL, size=SIZE, stagger=5.0, leave=True),
}


def play(scenario: str, rule: SeedChoking, chance: int) -> tuple[float, float, float, float]:
    outcome = SCENARIOS[scenario](seed=chance, config=SwarmConfig(seed_choking=rule))
    return outcome.last, outcome.mean, outcome.copies, outcome.starved


def main() -> int:
    ways = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways.add_argument("--chances", type=int, default=3)
    ways.add_argument("--only", choices=SCENARIOS)
    ways.add_argument("--jobs", type=int, default=1, help="processes")
    chosen = ways.parse_args()
    print("| swarm | rule | last s | mean s | copies | starved s |")
    print("|---|---|---|---|---|---|")
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for scenario in [chosen.only] if chosen.only else SCENARIOS:
            rows = {
                rule: [pool.submit(play, scenario, rule, chance) for chance in range(1, chosen.chances + 1)]
                for rule in SeedChoking
            }
            for rule, runs in rows.items():
                last, mean, copies, starved = zip(*(run.result() for run in runs), strict=True)
                print(
                    f"| {scenario} | {rule} | {statistics.fmean(last):.1f} | {statistics.fmean(mean):.1f} | "
                    f"{statistics.fmean(copies):.2f} | {max(starved):.0f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
