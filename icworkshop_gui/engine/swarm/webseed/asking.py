"""Which web server is asked for what, when: carries out what the gates decide.

Several servers share the work by speed: a fast one is done sooner, is asked for more at once, and near the end takes
over what a slow one would still be busy with for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from icworkshop_gui.engine.net.limiter import Limiter
from icworkshop_gui.engine.net.network import Network
from icworkshop_gui.engine.swarm.webseed import gates
from icworkshop_gui.engine.swarm.webseed.claims import Claims, Place
from icworkshop_gui.engine.swarm.webseed.fetching import Fetcher, Run, WebSide
from icworkshop_gui.engine.swarm.webseed.gates import NO_PEERS, Fitness, PeersView
from icworkshop_gui.engine.swarm.webseed.places import FileMap, SeedKind, WebSeedUrl
from icworkshop_gui.engine.swarm.webseed.seed import WebSeed
from icworkshop_gui.engine.swarm.webseed.share import Share

logger = logging.getLogger("icw.swarm.http")

TAKE_OVER_AFTER = 3.0
"""Seconds that a slow server would still need for a request, from which an idle faster one takes part of it over."""

SLOWEST = 1.0
"""Bytes a second that a server which has sent nothing yet counts with when another looks for work."""


class RequestSlots:
    """How many requests to web servers are under way in the whole program."""

    def __init__(self) -> None:
        self.used = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSource:
    """The servers of one torrent and the files they hold."""

    seeds: tuple[WebSeedUrl, ...]
    files: FileMap
    alone: bool = False
    """No peers take part: the bytes are asked for in their order."""


class WebSeeds:
    """Asks while there is a source. On the engine's loop."""

    def __init__(
        self, side: WebSide, network: Network, limit: Limiter, rng: Random, slots: RequestSlots | None
    ) -> None:
        self._side = side
        self._slots = slots or RequestSlots()
        self.config = side.config.webseed
        """May be changed at any time; in force with the next request."""
        self._claims = Claims(side.tracker, side.counts, rng, side.config.max_buffered)
        self._fetcher = Fetcher(side, network, limit, self._claims, self.config)
        self._seeds: dict[int, WebSeed] = {}
        self._source: WebSource | None = None
        self._runs: dict[Run, None] = {}  # ordered, unlike a set: runs must repeat exactly
        self._tasks: set[asyncio.Task[None]] = set()
        """Those that have not ended, cancelled ones included."""
        self._share = Share(side.clock.now())
        self._peers = NO_PEERS
        self._round_handle: asyncio.Handle | None = None

    # --- what the swarm asks and tells ------------------------------------------------------------

    @property
    def seeds(self) -> Sequence[WebSeed]:
        """Those that are used now."""
        if self._source is None:
            return ()
        places = frozenset(self._source.seeds)
        return [seed for seed in self._seeds.values() if seed.place in places]

    @property
    def received(self) -> int:
        """Payload bytes so far."""
        return self._fetcher.received

    @property
    def active(self) -> bool:
        return any(run.reading for run in self._runs)

    @property
    def message(self) -> str:
        """Why the first server that failed did; empty while one delivers."""
        if self.active:
            return ""
        return next((seed.message for seed in self.seeds if seed.message), "")

    @property
    def given_up(self) -> bool:
        seeds = self.seeds
        return bool(seeds) and all(seed.given_up for seed in seeds)

    def use(self, source: WebSource | None) -> None:
        """Ask these servers from now on; None: stop. The same servers again change nothing.

        What is known of a server stays: one that lied is not asked again because it was taken away and given back.
        """
        if source is None or self._source is None or source.seeds != self._source.seeds:
            self.stop()
        self._source = source
        known = {seed.place: seed for seed in self._seeds.values()}
        for place in dict.fromkeys(source.seeds if source is not None else ()):
            if place not in known:
                seed = WebSeed(place, self._side.new_key(), measured_at=self._side.clock.now())
                self._seeds[seed.key] = seed
        self.wake()

    def stop(self) -> list[asyncio.Task[None]]:
        """Break off; the tasks that end now are returned."""
        self._source = None
        if self._round_handle is not None:
            self._round_handle.cancel()
            self._round_handle = None
        self.pause()
        return list(self._tasks)

    def pause(self) -> None:
        """Break off what is under way; what came is kept."""
        for task in self._tasks:
            task.cancel()

    def wake(self) -> None:
        """There may be something to ask for again, or room for it."""
        self._fetcher.wake()
        if self._source is not None and self._round_handle is None:
            self._round_handle = asyncio.get_running_loop().call_soon(self._round)

    def tick(self, now: float, peers: PeersView, peers_sent: int) -> None:
        """Once a second: the peers as they are, and the bytes they sent since."""
        self._peers = peers
        self._share.peers_sent(peers_sent, now)
        for seed in self._seeds.values():
            seed.tick(now)
        self._fetcher.sweep()
        self.wake()

    def knows(self, key: int) -> bool:
        return key in self._seeds

    def lied(self, key: int) -> None:
        """A bad piece is proven to be this server's."""
        seed = self._seeds[key]
        seed.lied(self.config)
        self._fetcher.forget(key)
        if seed.given_up:
            logger.info("event=web-seed-lied bad_pieces=%d", seed.bad_pieces)
            for run in [run for run in self._runs if run.seed is seed]:
                self._cancel(run)

    def suspect(self, key: int) -> None:
        """It took part in a bad piece."""
        self._seeds[key].on_parole = True

    def cleared(self, key: int) -> None:
        self._seeds[key].cleared()
        self.wake()

    def cancel(self, key: int, index: int, block: int) -> None:
        """Another sent this block."""
        for run in self._runs:
            if run.seed.key == key and (index, block) in run.blocks:
                run.blocks.remove((index, block))
                if not run.blocks:
                    self._cancel(run)
                return

    # --- who is asked -----------------------------------------------------------------------------

    def _round(self) -> None:
        self._round_handle = None
        side = self._side
        if self._source is None or not side.may_ask or side.tracker.is_complete:
            return
        now = side.clock.now()
        for seed in sorted(self.seeds, key=lambda seed: -seed.rate):
            while self._fitness(seed, now) is Fitness.FIT and self._ask(seed, now):
                pass
        if not any(run.seed.ranges is False for run in self._runs):
            self._ask_whole(now)

    def _fitness(self, seed: WebSeed, now: float) -> Fitness:
        return gates.fitness(seed.view(self.config), now, self._slots.used, self._side.tier, self.config)

    def _ask(self, seed: WebSeed, now: float) -> bool:
        tracker = self._side.tracker
        left = gates.bytes_left(self._share, self._peers, now, self.config)
        piece_length = tracker.geometry.piece_length
        if left is not None and left < min(piece_length, tracker.geometry.total_length):
            return False
        pace = self._side.pace
        if pace.is_on and pace.room(now) <= 0:
            return False
        limit = seed.request_bytes(piece_length, self.config)
        if seed.place.kind is SeedKind.SCRIPT:
            limit = piece_length
        pieces = self._claims.work() & ~seed.lacks
        pieces = gates.pieces_left(pieces, self._peers, self._side.tier, self.config)
        blocks = self._claim(seed, limit if left is None else min(limit, left), pieces)
        if pace.is_on:
            # A request is for a piece at least: what is too much now is waited for before the next.
            pace.asked(len(blocks))
        if not blocks and not self._claims.work():
            blocks = self._take_over(seed, now, limit)
        if not blocks:
            return False
        self._start(seed, blocks, now)
        return True

    def _claim(self, seed: WebSeed, limit: int, pieces: int) -> list[Place]:
        assert self._source is not None
        scattered = not self._source.alone
        return self._claims.run(seed.key, limit, pieces, alone=seed.on_parole, scattered=scattered)

    def _take_over(self, seed: WebSeed, now: float, limit: int) -> list[Place]:
        """Nothing is free: the end of what a slower server would be busy with for long becomes this one's.

        The block that is on its way there already is asked for once more, when it is the last of that request.
        """
        if not seed.rate or seed.active or seed.on_parole:
            return []
        run = self._slowest(seed, now)
        if run is None:
            return []
        tracker = self._side.tracker
        if len(run.blocks) == 1:
            index, block = run.blocks[0]
            tracker.ask_again(tracker.open[index], block, seed.key)
            return [(index, block)]
        theirs = self._speed(run)
        wish = int(len(run.blocks) * seed.rate / (seed.rate + theirs))
        for _ in range(min(len(run.blocks) - 1, max(1, wish))):
            index, block = run.blocks.pop()
            tracker.release(index, block, run.seed.key)
        return self._claim(seed, limit, self._claims.work() & ~seed.lacks)

    def _slowest(self, seed: WebSeed, now: float) -> Run | None:
        """The request of another server that will take longest, and much longer than with this one."""
        slowest: Run | None = None
        longest = TAKE_OVER_AFTER
        for run in self._runs:
            if run.seed is seed or run.seed.on_parole or now - run.began_at < TAKE_OVER_AFTER or not run.blocks:
                continue
            speed = self._speed(run)
            time = self._size(run.blocks) / speed
            if (
                time > longest
                and seed.rate > 2 * speed
                and (len(run.blocks) > 1 or self._may_copy(run.blocks[0], seed))
            ):
                slowest, longest = run, time
        return slowest

    @staticmethod
    def _speed(run: Run) -> float:
        return max(run.seed.rate / max(1, run.seed.active), SLOWEST)

    def _may_copy(self, place: Place, seed: WebSeed) -> bool:
        index, block = place
        piece = self._side.tracker.open.get(index)
        return piece is not None and not seed.lacks & piece.bit and not piece.duplicates.get(block)

    def _ask_whole(self, now: float) -> None:
        found = [(seed, self._fitness(seed, now)) for seed in self.seeds]
        others_fit = any(fitness in (Fitness.FIT, Fitness.BUSY, Fitness.FULL) for _, fitness in found)
        if not gates.whole_files_help(self._peers, others_fit, self.config):
            return
        for seed, fitness in found:
            if fitness is Fitness.NO_RANGES and seed.place.kind is SeedKind.FILES and self._claims.work() & ~seed.lacks:
                self._start(seed, [], now)
                return

    def _start(self, seed: WebSeed, blocks: list[Place], now: float) -> None:
        assert self._source is not None
        run = Run(seed, deque(blocks), now, self._size(blocks))
        self._runs[run] = None
        self._slots.used += 1
        seed.active += 1
        self._share.asked(run.asked, now)
        run.task = asyncio.get_running_loop().create_task(self._fetcher.serve(run, self._source.files))
        self._tasks.add(run.task)
        run.task.add_done_callback(self._tasks.discard)
        # Here, not in the task: one that is cancelled before its first step runs none of its code.
        run.task.add_done_callback(lambda _task: self._ended(run))

    def _ended(self, run: Run) -> None:
        now = self._side.clock.now()
        del self._runs[run]
        self._slots.used -= 1
        run.seed.active -= 1
        self._share.asked(-run.asked, now)
        for index, block in run.blocks:
            self._side.tracker.release(index, block, run.seed.key)
        run.blocks.clear()
        self._fetcher.sweep()
        # Half a piece of a server on parole is not left waiting for it.
        self._side.tracker.end_exclusive(run.seed.key)
        self._side.blocks_released()
        self.wake()

    def _cancel(self, run: Run) -> None:
        if run.task is not None:
            run.task.cancel()

    def _size(self, blocks: Sequence[Place] | deque[Place]) -> int:
        tracker = self._side.tracker
        return sum(tracker.span(*place)[1] for place in blocks)
