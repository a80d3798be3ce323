"""Our part in the DHT: gives its nodes a socket, a clock and a memory, and finds the way in.

The way in goes from near to far: nodes that answered in the last run, servers of the communities that the user chose,
and only then, and only once somebody looks for peers, the public routers. Where one step is enough the next is not
taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import StorageError
from icworkshop_gui.core.ids import InfoHash, NodeId
from icworkshop_gui.engine.discovery.dht_file import NODES_MAX, DhtState, load_state, save_state
from icworkshop_gui.engine.net.charged import UDP_IPV4, UDP_IPV6
from icworkshop_gui.engine.net.limiter import Budget
from icworkshop_gui.engine.net.peer_port import UdpPort
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire.dht.lookup import Purpose
from icworkshop_gui.wire.dht.node import PRIVILEGED, DhtNode, LookupEnded, PeersFound
from icworkshop_gui.wire.dht.table import K

FIRST_BYTE: Final = b"d"
"""Of every message (BEP 5: a dictionary)."""
STEP_SECONDS: Final = 10.0
"""Seconds that one step of the way in may take."""
CHECK_SECONDS: Final = 60.0
"""Between two looks whether enough still answer."""
AGAIN_FIRST, AGAIN_MAX = 20.0, 900.0
"""Seconds until the way in is tried again while too few answer: doubling from the first to the second."""
SAVE_SECONDS: Final = 600.0
"""Between two times that the nodes are written down."""
DOORS_MAX: Final = 50
"""Servers and routers asked in one step."""

Door = tuple[str, int]
"""Host name or address, and port, of a node."""
OnPeers = Callable[[Sequence[Endpoint]], None]

_LOG = logging.getLogger("icw.dht")


@dataclass(slots=True)
class _Wanted:
    """Somebody looks for peers."""

    on_peers: OnPeers
    done: asyncio.Future[None]
    running: int
    """Nodes of ours that still look."""


@dataclass(slots=True)
class _Ways:
    """A step of the way in that is under way."""

    left: int
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Dht:
    """Off until `enable`. Everything runs on the engine's loop."""

    def __init__(
        self,
        world: World,
        *,
        folder: Path | None = None,
        community: Callable[[], Iterable[Door]] = tuple,
        routers: Callable[[], Iterable[Door]] = tuple,
        charge: tuple[Budget, Budget] | None = None,
    ) -> None:
        """`folder`: where nodes are remembered; None: nowhere. `community`, `routers`: the doors as they are when the
        way in is tried. `charge`: limits that pay for it, down and up."""
        self._world = world
        self._folder = folder
        self._community = community
        self._routers = routers
        self._charge = charge
        self._switch = asyncio.Lock()
        self._udp: UdpPort | None = None
        self._nodes: dict[bool, DhtNode] = {}
        self._state = DhtState()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted: dict[InfoHash, list[_Wanted]] = {}
        self._step: _Ways | None = None
        self._is_wanted = False
        self._hurry = asyncio.Event()
        self.ready = asyncio.Event()
        """Somebody is known, so that a search makes sense."""
        self.read_only = False

    # --- life ------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        return self._udp is not None

    @property
    def count(self) -> int | None:
        """Nodes that are known, both families together; None while it is off."""
        return sum(len(node.table) for node in self._nodes.values()) if self.is_on else None

    @property
    def own_hosts(self) -> frozenset[str]:
        """Where others see us."""
        return frozenset(node.address for node in self._nodes.values() if node.address)

    async def enable(self, udp: UdpPort) -> None:
        """Take part, from this port. A second call does nothing."""
        async with self._switch:
            if not self.is_on:
                await self._enter(udp)

    async def disable(self) -> None:
        """Leave, and write down whom we knew. Whoever looks for peers is told that it is over."""
        async with self._switch:
            if self.is_on:
                await self._leave()

    async def _enter(self, udp: UdpPort) -> None:
        if self._folder is not None:
            folder = self._folder
            self._state = await asyncio.wrap_future(self._world.disk.submit(lambda: load_state(folder)))
        now, randbytes = self._world.clock.now(), self._world.rng.randbytes
        for ipv6 in (False, True):
            if udp.speaks(ipv6=ipv6):
                node_id = self._state.ids.get(ipv6) or NodeId(randbytes(NodeId.SIZE))
                self._nodes[ipv6] = DhtNode(node_id, now, randbytes, ipv6=ipv6, read_only=self.read_only)
        if len(self._nodes) == 2:
            self._nodes[False].sibling, self._nodes[True].sibling = self._nodes[True], self._nodes[False]
        self._udp = udp
        udp.handle(FIRST_BYTE, self._received)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._find_in()), loop.create_task(self._save_now_and_then())]
        self._flush()

    async def _leave(self) -> None:
        udp, self._udp = self._udp, None
        assert udp is not None
        udp.handle(FIRST_BYTE, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        nodes, self._nodes = self._nodes, {}
        self.ready.clear()
        for wanted in [item for items in self._wanted.values() for item in items]:
            if not wanted.done.done():
                wanted.done.set_result(None)
        self._wanted = {}
        await self._save(nodes)

    def set_read_only(self, read_only: bool) -> None:
        """Whether others are told not to ask us: what they ask costs bytes (BEP 43)."""
        self.read_only = read_only
        for node in self._nodes.values():
            node.read_only = read_only

    # --- what transfers want ---------------------------------------------------------------------

    async def search(self, info_hash: InfoHash, on_peers: OnPeers, *, announce: int | None) -> None:
        """Look for peers once, and announce ours on TCP port `announce`. Returns when all that could be asked were.

        `on_peers` is called as they are found, and must not raise.
        """
        self.want()
        now = self._world.clock.now()
        running = sum(node.find_peers(info_hash, now, announce=announce) for node in self._nodes.values())
        if not running:
            return
        wanted = _Wanted(on_peers, asyncio.get_running_loop().create_future(), running)
        self._wanted.setdefault(info_hash, []).append(wanted)
        self._flush()
        try:
            await wanted.done
        finally:
            self._forget(info_hash, wanted)

    def want(self) -> None:
        """Somebody will look for peers: from now on public routers may be asked for the way in."""
        if not self._is_wanted:
            self._is_wanted = True
            self._hurry.set()

    def meet(self, endpoint: Endpoint) -> None:
        """A peer says that it has a node there (BEP 5, the `port` message)."""
        node = self._nodes.get(endpoint.is_ipv6)
        if node is not None and endpoint.port >= PRIVILEGED:
            node.ping(endpoint, self._world.clock.now())
            self._flush()

    def _forget(self, info_hash: InfoHash, wanted: _Wanted) -> None:
        rest = [item for item in self._wanted.get(info_hash, ()) if item is not wanted]
        if rest:
            self._wanted[info_hash] = rest
        else:
            self._wanted.pop(info_hash, None)

    # --- datagrams and time ----------------------------------------------------------------------

    def _received(self, data: bytes, source: Endpoint) -> None:
        node = self._nodes.get(source.is_ipv6)
        if node is None:
            return
        if self._charge is not None:
            self._charge[0].charge(len(data) + _header(source))
        node.receive(data, source, self._world.clock.now())
        self._flush()

    def _flush(self) -> None:
        """Send what is to be sent, tell what was found, and wake up in time."""
        assert self._udp is not None
        for node in self._nodes.values():
            for data, endpoint in node.take_datagrams():
                if self._charge is not None:
                    self._charge[1].charge(len(data) + _header(endpoint))
                self._udp.send(data, endpoint)
        for node in self._nodes.values():
            for event in node.take_events():
                self._tell(event)
        if not self.ready.is_set() and any(len(node.table) for node in self._nodes.values()):
            self.ready.set()
        self._arm()

    def _arm(self) -> None:
        at = min((node.next_timer() for node in self._nodes.values()), default=None)
        if at is None or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        delay = max(0.0, at - self._world.clock.now())
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._world.clock.now()
        for node in self._nodes.values():
            if node.next_timer() <= now:
                node.handle_timer(now)
        self._flush()

    def _tell(self, event: object) -> None:
        match event:
            case PeersFound(info_hash=info_hash, peers=peers):
                for wanted in self._wanted.get(info_hash, ()):
                    wanted.on_peers(peers)
            case LookupEnded(purpose=Purpose.PEERS):
                _LOG.debug(
                    "lookup target=%s peers=%d announced=%d queries=%d hops=%d",
                    event.target, event.peers, event.announced, event.queries, event.hops,
                )  # fmt: skip
                for wanted in self._wanted.get(InfoHash(event.target), ()):
                    wanted.running -= 1
                    if wanted.running <= 0 and not wanted.done.done():
                        wanted.done.set_result(None)
            case LookupEnded(purpose=Purpose.BOOTSTRAP):
                if self._step is not None:
                    self._step.left -= 1
                    if self._step.left <= 0:
                        self._step.done.set()

    # --- the way in ------------------------------------------------------------------------------

    async def _find_in(self) -> None:
        again = AGAIN_FIRST
        while True:
            self._hurry.clear()
            if not self._is_in and await self._walk():
                again = AGAIN_FIRST
            try:
                async with asyncio.timeout(CHECK_SECONDS if self._is_in else again):
                    await self._hurry.wait()
            except TimeoutError:
                again = min(2 * again, AGAIN_MAX)

    @property
    def _is_in(self) -> bool:
        """Enough answer, in each family in which anybody does."""
        counts = [node.table.good(self._world.clock.now()) for node in self._nodes.values()]
        return max(counts, default=0) >= K

    async def _walk(self) -> bool:
        """The steps, until one is enough."""
        steps: list[tuple[str, Callable[[], Iterable[Door]]]] = [
            ("known", tuple), ("community", self._community), ("routers", self._routers),
        ]  # fmt: skip
        for name, doors in steps:
            if name == "routers" and not self._is_wanted:
                return False
            if name == "known" and not any(self._state.nodes.values()):
                continue
            endpoints = await self._resolve(doors())
            if name != "known" and not endpoints:
                continue
            self._step = _Ways(len(self._nodes))
            now = self._world.clock.now()
            for ipv6, node in self._nodes.items():
                contacts = self._state.nodes.get(ipv6, ()) if name == "known" else ()
                node.bootstrap(now, contacts, doors=endpoints, keep_doors=name != "routers")
            self._flush()
            try:
                async with asyncio.timeout(STEP_SECONDS):
                    await self._step.done.wait()
            except TimeoutError:
                pass
            _LOG.info("event=bootstrap step=%s nodes=%d", name, self.count or 0)
            if self._is_in:
                return True
        return False

    async def _resolve(self, doors: Iterable[Door]) -> list[Endpoint]:
        found: dict[Endpoint, None] = {}
        chosen = list(dict.fromkeys(doors))[:DOORS_MAX]
        answers = await asyncio.gather(
            *(self._world.network.resolve(host, port) for host, port in chosen), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, tuple):
                found.update(dict.fromkeys(answer))
        return list(found)

    # --- memory ----------------------------------------------------------------------------------

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self._save(self._nodes)

    async def _save(self, nodes: Mapping[bool, DhtNode]) -> None:
        folder = self._folder
        if folder is None or not any(len(node.table) for node in nodes.values()):
            return  # a run that met nobody does not make us forget whom the last one knew
        state = DhtState(
            {ipv6: node.id for ipv6, node in nodes.items()},
            {ipv6: node.table.to_keep(NODES_MAX) for ipv6, node in nodes.items()},
        )
        try:
            await asyncio.wrap_future(self._world.disk.submit(lambda: save_state(folder, state)))
        except StorageError as error:
            _LOG.info("event=dht-not-saved: %s", error)


def _header(endpoint: Endpoint) -> int:
    return UDP_IPV6 if endpoint.is_ipv6 else UDP_IPV4
