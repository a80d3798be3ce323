"""A DHT of a thousand nodes in virtual time, a fifth of which is replaced: are announced peers found, and at what cost?

    python -m tests.bench.dht [--nodes 1000] [--churn 0.2] [--torrents 100] [--seed 1]

Production code from the datagram up (`engine/discovery/dht.py`, `wire/dht`) over simulated lines of 10 to 200 ms; one
packet in a hundred is lost. Nodes join one after the other through two that are there. Each torrent is announced once,
by one of them. Then, over ten minutes, a fifth of the nodes vanish without a word and as many new ones come; nobody
announces again. Then lookups by nodes that announced nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.wire.dht.lookup import Purpose
from icworkshop_gui.wire.dht.node import LookupEnded
from tests.sim.dht import Crowd, Resident
from tests.sim.loop import run_leaping, sim_loop

LOSS = 0.01
JOIN_SECONDS = 0.25
"""Between two that join."""
SETTLE_SECONDS = 60.0
CHURN_SECONDS = 600.0
AT_ONCE = 20
"""Lookups at the end."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the lookups after the churn found."""

    lookups: int
    found: int
    """In which the announced peer was named."""
    hops: Sequence[int]
    queries: Sequence[int]
    replies: Sequence[int]
    seconds: Sequence[float]
    """Until the announced peer was named for the first time."""
    datagrams: int
    table: Sequence[int]
    """Nodes known to each node at the end."""
    simulated: float

    @property
    def share(self) -> float:
        return self.found / self.lookups


async def play(nodes: int, churn: float, torrents: int, lookups: int, seed: int) -> Result:
    rng = Random(f"{seed} play")
    start = sim_loop().now
    crowd = Crowd(seed=seed, loss=LOSS)
    residents: list[Resident] = []
    for _ in range(nodes):
        residents.append(await crowd.join(rng.sample(residents, min(2, len(residents)))))
        await asyncio.sleep(JOIN_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)

    announced: list[tuple[InfoHash, Endpoint]] = []
    announcers = rng.sample(residents, torrents)
    for resident in announcers:
        info_hash = InfoHash(rng.randbytes(20))
        announced.append((info_hash, Endpoint(resident.host.address, 7001)))
        await resident.dht.search(info_hash, lambda peers: None, announce=7001)

    leaving = rng.sample([r for r in residents if r not in announcers], round(nodes * churn))
    for resident in leaving:
        await resident.vanish()
        residents.remove(resident)
        residents.append(await crowd.join(rng.sample(residents, 2)))
        await asyncio.sleep(CHURN_SECONDS / len(leaving))

    results: list[LookupEnded] = []
    seconds: list[float] = []
    found = 0
    askers = [r for r in residents if r not in announcers]

    async def look(number: int) -> None:
        nonlocal found
        info_hash, peer = announced[number % len(announced)]
        asker = rng.choice(askers)
        began, heard = sim_loop().now, []

        def on_peers(peers: Sequence[Endpoint]) -> None:
            if peer in peers:
                heard.append(sim_loop().now)

        await asker.dht.search(info_hash, on_peers, announce=None)
        results.append(next(e for e in reversed(asker.ended) if e.purpose is Purpose.PEERS and e.target == info_hash))
        found += bool(heard)
        seconds.extend(when - began for when in heard[:1])

    for first in range(0, lookups, AT_ONCE):
        await asyncio.gather(*(look(number) for number in range(first, min(first + AT_ONCE, lookups))))
    outcome = Result(
        lookups=lookups,
        found=found,
        hops=[event.hops for event in results],
        queries=[event.queries for event in results],
        replies=[event.replies for event in results],
        seconds=seconds,
        datagrams=crowd.datagrams,
        table=[resident.dht.count or 0 for resident in residents],
        simulated=sim_loop().now - start,
    )
    await crowd.close()
    return outcome


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, and what 95 of 100 stay below."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):.{digits}f} (p95 {ordered[int(len(ordered) * 0.95)]:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--churn", type=float, default=0.2)
    parser.add_argument("--torrents", type=int, default=100)
    parser.add_argument("--lookups", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = time.perf_counter()
    result = run_leaping(play(chosen.nodes, chosen.churn, chosen.torrents, chosen.lookups, chosen.seed))
    took = time.perf_counter() - began
    print(f"{chosen.nodes} nodes, {chosen.churn:.0%} replaced, {chosen.torrents} torrents, seed {chosen.seed}")
    print(f"found         {result.found} of {result.lookups} lookups ({result.share:.2%})")
    print(f"hops          {spread(result.hops)}, at most {max(result.hops)}")
    print(f"questions     {spread(result.queries)} a lookup; answered {spread(result.replies)}")
    print(f"first peer    {spread(result.seconds, 2)} s")
    print(f"table         {spread(result.table)} nodes")
    rate = result.datagrams / result.simulated / chosen.nodes
    print(f"datagrams     {result.datagrams} in {result.simulated:.0f} simulated s: {rate:.2f} a second and node")
    print(f"took          {took:.0f} s")


if __name__ == "__main__":
    main()
