"""Whole swarms in virtual time: production `Swarm`s behind simulated lines, with our tracker between them.

    outcome = swarm(8, links=dsl(20, 20), size=40_000_000)
    outcome.last, outcome.copies, outcome.counters()

or, for a play of its own, a `Scene` inside `run_leaping`.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import StorageError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.discovery.dht import Dht
from icworkshop_gui.engine.discovery.dht_announcer import DhtAnnouncer
from icworkshop_gui.engine.discovery.tracker import AnnounceStats, TrackerAnnouncer
from icworkshop_gui.engine.discovery.udp_tracker import UdpTrackerClient
from icworkshop_gui.engine.net.incoming import HandshakeGate
from icworkshop_gui.engine.net.limiter import Limiter, LimiterTicker
from icworkshop_gui.engine.net.network import Listener
from icworkshop_gui.engine.net.peer_port import UdpPort
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.swarm import Swarm
from icworkshop_gui.engine.world import World
from icworkshop_gui.server.tracker.http import HttpAnswers
from icworkshop_gui.server.tracker.tracker import Tracker
from tests.sim.counters import table
from tests.sim.disk import ContentStorage, SimDisk
from tests.sim.links import HEADERS, MSS, Host, Link, Wires
from tests.sim.loop import LoopClock, run_leaping, sim_loop
from tests.sim.network import SimInternet, SimNetwork
from tests.sim.udp_tracker import serve_udp

INFO_HASH = InfoHash(b"simulated swarm hash")
PORT = 6881
TRACKER = "94.1.1.1"
HOST_COLUMNS = (
    "out", "in", "wasted", "requests", "cancels", "rejects", "chokes", "unchokes", "haves", "bad", "bans", "announces",
    "dials",
)  # fmt: skip
"""Of a report. Bytes are payload; messages are those that the host sent; `bad` are corrupt pieces."""
OVERHEAD = (MSS + HEADERS) / MSS
"""Bytes of packets per byte of payload."""


class Actor:
    """One host with a swarm of ours; is the swarm's listener."""

    def __init__(self, scene: Scene, name: str, host: Host, storage: ContentStorage, have: Bitfield) -> None:
        self.scene = scene
        self.name = name
        self.host = host
        self.storage = storage
        self.network = SimNetwork(scene.net, host)
        self.disk = SimDisk(scene.disk_delay)
        self.endpoint = Endpoint(host.address, PORT)
        self.have = have
        self.started_at = 0.0
        self.done_at: float | None = None
        self.banned: list[Endpoint] = []
        self.errors: list[StorageError] = []
        self.done = asyncio.Event()
        self.announcer: TrackerAnnouncer | None = None
        self.swarm: Swarm
        self.dht: Dht | None = None
        self._listener: Listener | None = None
        self._gate = HandshakeGate(lambda stream, hello, rest: self.swarm.accept(stream, hello, rest))
        self._tickers: list[LimiterTicker] = []

    # --- life -----------------------------------------------------------------------------------

    async def start(self, *, config: SwarmConfig | None, limit_up: int | None = None, **settings: Any) -> None:
        scene = self.scene
        world = World(
            clock=LoopClock(),
            rng=Random(f"{scene.seed} {self.name}"),
            network=self.network,
            disk=self.disk,
        )
        up = Limiter(limit_up)
        self._tickers = [LimiterTicker(up, world.clock)]
        self.peer_id = PeerId(b"-IC0100-" + world.rng.randbytes(12))
        self.swarm = Swarm(
            world=world,
            info_hash=INFO_HASH,
            peer_id=self.peer_id,
            geometry=scene.geometry,
            piece_hash=scene.piece_hash,
            storage=self.storage,
            have=self.have,
            listener=self,
            config=config,
            listen_port=PORT,
            limit_up=up,
            **settings,
        )
        self.started_at = sim_loop().now
        self._listener = await self.network.listen(PORT, self._gate.accept)
        self.swarm.start()
        if scene.tracker is not None:
            self._udp = UdpTrackerClient(world)
            self.announcer = TrackerAnnouncer(
                world,
                INFO_HASH,
                self.peer_id,
                [[f"{'udp' if scene.over_udp else 'http'}://{TRACKER}:6969/announce"]],
                lambda: PORT,
                self._stats,
                lambda peers: self.swarm.add_candidates(peers, PeerSource.TRACKER),
                self._udp,
                False,
            )
            self.announcer.start()
        if scene.with_dht:
            await self._enter_dht(world)

    async def _enter_dht(self, world: World) -> None:
        """Through the hosts that are in it."""
        others = [other for other in self.scene.actors.values() if other.dht is not None]
        self.dht = Dht(world, community=lambda: [(other.host.address, PORT) for other in others])
        self._dht_port = await UdpPort.open(self.network, PORT)
        await self.dht.enable(self._dht_port)
        self._dht_announcer = DhtAnnouncer(
            world,
            self.dht,
            INFO_HASH,
            lambda: PORT,
            lambda peers: self.swarm.add_candidates(peers, PeerSource.DHT),
            allow_private=False,
        )
        self._dht_announcer.start()

    def _stats(self) -> AnnounceStats:
        stats = self.swarm.stats()
        return AnnounceStats(stats.uploaded, stats.from_peers, stats.wanted - stats.done)

    async def stop(self) -> None:
        if self._listener is None:
            return
        if self.announcer is not None:
            await self.announcer.stop()
            await self._udp.aclose()
        if self.dht is not None:
            await self._dht_announcer.stop()
            await self.dht.disable()
            self._dht_port.close()
        await self._listener.aclose()
        self._gate.close()
        await self.swarm.stop()
        for ticker in self._tickers:
            ticker.close()
        self._listener = None
        if not self.swarm.tracker.open:
            self.swarm.tracker.check_invariants()

    def meet(self, *others: Actor) -> None:
        self.swarm.add_candidates([other.endpoint for other in others], PeerSource.MANUAL)

    # --- what the swarm tells -------------------------------------------------------------------

    def on_pieces_verified(self, indices: Sequence[int]) -> None:
        now = sim_loop().now
        for index in indices:
            self.scene.trace.append((round(now, 6), self.name, index))

    def on_complete(self) -> None:
        self.done_at = sim_loop().now
        self.done.set()
        if self.announcer is not None:
            self.announcer.completed()

    def on_storage_error(self, error: StorageError) -> None:
        self.errors.append(error)

    def on_peer_banned(self, endpoint: Endpoint, why: str) -> None:
        self.banned.append(endpoint)


@dataclass
class Scene:
    """A content, the hosts around it, and a tracker. Use inside `run_leaping`; end with `stop`."""

    size: int = 40_000_000
    piece_length: int = 256 * KIB
    seed: int = 1
    with_tracker: bool = True
    over_udp: bool = False
    """The tracker is asked by BEP 15, on the same port."""
    with_dht: bool = False
    """Each host has a node and enters through those that are there."""
    counted: bool = False
    """Messages are counted, for `report`."""
    disk_delay: float = 0.001
    actors: dict[str, Actor] = field(default_factory=dict)
    trace: list[tuple[float, str, int]] = field(default_factory=list)
    """(time, host, piece), in order of verification."""

    def __post_init__(self) -> None:
        self.content = Random(self.size).randbytes(self.size)
        self.geometry = Geometry(self.size, self.piece_length)
        self.wires = Wires(sim_loop(), Random(f"{self.seed} wires"))
        self.net = SimInternet(self.wires, traffic=Counter() if self.counted else None)
        self.announces: list[tuple[float, str]] = []
        self._hashes = [
            hashlib.sha1(self.content[at : at + self.piece_length]).digest()
            for at in range(0, self.size, self.piece_length)
        ]
        self.tracker: Tracker | None = None
        if self.with_tracker:
            self.tracker_host = self.wires.host(TRACKER, Link())
            self.tracker = Tracker(LoopClock(), Random(f"{self.seed} tracker"))
            answers = HttpAnswers(self.tracker)

            def ask(url: str, headers: object, asker: str) -> tuple[int, bytes]:
                self.announces.append((sim_loop().now, asker))
                return 200, answers.announce(url.partition("?")[2].encode(), asker, lambda: b"")

            self.net.web[TRACKER, 6969] = ask

    def piece_hash(self, index: int) -> bytes:
        return self._hashes[index]

    def address(self) -> str:
        """A fresh public address in a subnet of its own."""
        number = len(self.actors) + 1
        return f"93.{number // 250}.{number % 250}.7"

    async def host(
        self,
        name: str,
        link: Link,
        *,
        have: Iterable[int] | None = (),
        address: str | None = None,
        config: SwarmConfig | None = None,
        **settings: Any,
    ) -> Actor:
        """A host that runs a swarm. `have` None: everything."""
        full = have is None
        held = Bitfield(self.geometry.piece_count, full=full)
        storage = ContentStorage(self.content, self.geometry, full=full)
        for index in have or ():
            held.add(index)
            storage.written.add(index)
        if self.over_udp and self.tracker is not None and (TRACKER, 6969) not in self.net.sockets:
            network = SimNetwork(self.net, self.tracker_host)
            await serve_udp(self.tracker, network, 6969, lambda asker: self.announces.append((sim_loop().now, asker)))
        actor = Actor(self, name, self.wires.host(address or self.address(), link), storage, held)
        self.actors[name] = actor
        await actor.start(config=config, **settings)
        return actor

    async def finished(self, *actors: Actor, timeout: float = 3600.0) -> None:
        """Until all of these have everything."""
        async with asyncio.timeout(timeout):
            for actor in actors:
                await actor.done.wait()

    def report(self) -> str:
        """Exact counters of the whole course: a line for each host, and payload bytes from each host to each."""
        traffic = self.net.traffic
        assert traffic is not None, "counted=True"
        announces = Counter(asker for _, asker in self.announces)
        names = list(self.actors)
        address = {name: actor.host.address for name, actor in self.actors.items()}

        def sent(name: str, kind: str) -> int:
            return sum(traffic[address[name], address[other], kind] for other in names)

        hosts: list[list[object]] = [["host", *HOST_COLUMNS]]
        for name, actor in self.actors.items():
            stats = actor.swarm.stats()
            hosts.append(
                [name, sent(name, "bytes"), stats.from_peers, stats.wasted]
                + [sent(name, kind) for kind in ("request", "cancel", "reject", "choke", "unchoke", "have")]
                + [stats.hash_failures, len(actor.banned), announces[address[name]], self.net.dials[address[name]]]
            )
        pairs: list[list[object]] = [["sent by / to", *names]]
        pairs += [[name, *(traffic[address[name], address[to], "bytes"] or "." for to in names)] for name in names]
        digest = hashlib.sha256(repr(self.trace).encode()).hexdigest()
        return f"{table(hosts)}\n{table(pairs)}\ntrace {digest}\n"

    async def stop(self) -> None:
        for actor in self.actors.values():
            await actor.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a swarm. Times in seconds since the leechers started."""

    times: tuple[float, ...]
    """Of each leecher, from start to complete, in the order of their numbers."""
    limit: float
    """What no protocol over TCP can beat on these lines."""
    copies: float
    """Of the content that the seeds sent, in packets and all."""
    uploaded: dict[str, int]
    """Payload that each host sent."""
    wasted: int
    resent: int
    dropped: int
    idle: float
    """Part of the seeds' line that was not used until the last piece had left them for the first time."""
    starved: float
    """The longest that a leecher who wanted something of a seed was choked by it, seconds."""
    trace: tuple[tuple[float, str, int], ...]

    @property
    def last(self) -> float:
        return max(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.times)

    @property
    def ratio(self) -> float:
        return self.last / self.limit

    def digest(self) -> str:
        """Of the whole course."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()


def limit(size: int, seeds: Sequence[Link], leechers: Sequence[Link]) -> float:
    """The lower bound of the last finisher: every bit leaves the seeds once, enters each leecher once, and all lines
    up together carry it as often as there are leechers."""
    packets = size * OVERHEAD
    up = sum(link.up for link in seeds)
    return max(
        packets / up,
        max(packets / link.down for link in leechers),
        len(leechers) * packets / (up + sum(link.up for link in leechers)),
    )


def swarm(
    n: int,
    seeds: int = 1,
    *,
    links: Link | Sequence[Link],
    seed_link: Link | None = None,
    size: int = 40_000_000,
    piece_length: int = 256 * KIB,
    seed: int = 1,
    config: SwarmConfig | None = None,
    stagger: float = 0.0,
    leave: bool = False,
    timeout: float = 3600.0,
    prepare: Callable[[Scene], None] | None = None,
) -> Outcome:
    """`n` leechers start at once (`stagger` seconds apart), all with tracker, and run until the last one has all.
    `leave`: each goes as soon as it has."""
    lines = [links] * n if isinstance(links, Link) else list(links)
    assert len(lines) == n
    source = seed_link or lines[0]

    async def play() -> Outcome:
        loop = sim_loop()
        scene = Scene(size=size, piece_length=piece_length, seed=seed)
        if prepare is not None:
            prepare(scene)
        givers = [await scene.host(f"seed{i}", source, have=None, config=config) for i in range(seeds)]
        await asyncio.sleep(2.0)
        began = loop.now
        takers: list[Actor] = []
        watch = _Waits(givers)
        tasks = [loop.create_task(watch.run())]
        for i in range(n):
            takers.append(await scene.host(f"leech{i}", lines[i], config=config))
            if leave:
                tasks.append(loop.create_task(_leaves(takers[-1])))
            await asyncio.sleep(stagger)
        await scene.finished(*takers, timeout=timeout)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        copies = sum(giver.host.up.carried for giver in givers) / (size * OVERHEAD)
        uploaded = {actor.name: actor.swarm.stats().uploaded for actor in scene.actors.values()}
        wasted = sum(taker.swarm.stats().wasted for taker in takers)
        idle = _idle(givers, scene, began)
        await scene.stop()
        return Outcome(
            times=tuple(taker.done_at - taker.started_at for taker in takers if taker.done_at is not None),
            limit=limit(size, [source] * seeds, lines),
            copies=copies,
            uploaded=uploaded,
            wasted=wasted,
            resent=sum(
                stream.resent + stream.peer.resent for a in scene.actors.values() for stream in a.network.streams
            ),
            dropped=sum(host.up.dropped + host.down.dropped for host in scene.wires.hosts.values()),
            idle=idle,
            starved=watch.worst,
            trace=tuple(scene.trace),
        )

    return run_leaping(play())


async def _leaves(actor: Actor) -> None:
    await actor.done.wait()
    await actor.stop()


class _Waits:
    """Looks each second at whom the seeds let wait."""

    def __init__(self, givers: Sequence[Actor]) -> None:
        self._givers = givers
        self._since: dict[tuple[str, str], float] = {}
        self.worst = 0.0

    async def run(self) -> None:
        while True:
            now = sim_loop().now
            waiting = {
                (giver.name, peer.address)
                for giver in self._givers
                for peer in giver.swarm.peers()
                if "u" in peer.flags  # it wants something and is choked
            }
            self._since = {pair: self._since.get(pair, now) for pair in sorted(waiting)}
            self.worst = max([self.worst, *(now - since for since in self._since.values())])
            await asyncio.sleep(1.0)


def _idle(givers: Sequence[Actor], scene: Scene, began: float) -> float:
    """Part of their lines up unused between the start and the moment at which every piece had arrived somewhere."""
    first: dict[int, float] = {}
    for when, _, index in scene.trace:
        first.setdefault(index, when)
    end = int(max(first.values()))
    begin = int(began) + 1
    could = sum(giver.host.up.rate for giver in givers) * (end - begin)
    did = sum(giver.host.up.history[second] for giver in givers for second in range(begin, end))
    return 1 - did / could if could else 0.0
