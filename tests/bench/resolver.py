"""How long a choice of versions takes: `python -m tests.bench.resolver`.

A Workshop of 100 packages with 20 versions each (ic-workshop.md §3.7 wants less than 100 ms), and one of 400.
"""

from __future__ import annotations

import statistics
import time

from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.registry.resolver import Resolver, Root, Unsolvable
from tests.registry.test_resolver import candidates, package, workshop

RUNS = 12


def seconds(packages: int, versions: int, seed: int) -> tuple[float, int]:
    """Of one question that three wishes put, and the packages in its answer (0: there is none)."""
    graph = workshop(seed, packages, versions)
    known = {package(name): candidates(graph, name) for name in graph}
    wishes = [Root(package(name), Requirement.parse("*")) for name in ("p000", "p001", "p002")]
    started = time.perf_counter()
    run = Resolver(wishes).run()
    try:
        wanted = next(run)
        while True:
            wanted = run.send(known.get(wanted, ()))
    except StopIteration as stop:
        return time.perf_counter() - started, len(stop.value.chosen)
    except Unsolvable:
        return time.perf_counter() - started, 0


def main() -> None:
    for packages, versions in ((100, 20), (400, 20)):
        results = [seconds(packages, versions, seed) for seed in range(RUNS)]
        times = sorted(1000 * taken for taken, _chosen in results)
        chosen = [count for _taken, count in results]
        print(
            f"{packages} packages x {versions} versions: median {statistics.median(times):.1f} ms, "
            f"max {times[-1]:.1f} ms; chosen {min(chosen)} to {max(chosen)}"
        )


if __name__ == "__main__":
    main()
