"""Asks peers for the info dict of a magnet link, and keeps the connections for the swarm that follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.engine.metadata.assembly import Assembly
from icworkshop_gui.engine.net.limiter import Limiter
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.net.throttled import ThrottledStream
from icworkshop_gui.engine.swarm.candidates import CandidatePool
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.connector import Connector
from icworkshop_gui.engine.world import World
from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.wire.peer.extensions import ut_metadata
from icworkshop_gui.wire.peer.extensions.handshake import ExtensionHandshake
from icworkshop_gui.wire.peer.handshake import Handshake
from icworkshop_gui.wire.peer.messages import Event, Extended
from icworkshop_gui.wire.peer.metadata_wire import MetadataWire

log = logging.getLogger("icw.metadata")

TICK: Final = 0.5
"""Seconds between looks at time-outs and candidates."""
CONNECTIONS_MAX: Final = 20
"""Peers at once: one that is honest is enough."""
USELESS_SECONDS: Final = 20.0
"""After which a peer without metadata makes room for another candidate when all places are taken."""


@dataclass(slots=True)
class Guest:
    """A connection whose peer knows us, for the swarm. Reading is paused; until then it is the stream's handler."""

    stream: Stream
    handshake: Handshake
    leftover: bytes
    """What a `PeerWire` must hear first."""
    source: PeerSource
    gone: bool = False

    def buffer(self) -> memoryview:
        return memoryview(bytearray(1))

    def received(self, count: int) -> None:
        """Cannot be kept, and reading is paused: it is over."""
        self.turn_away()

    def writable(self) -> None:
        """Nothing is written meanwhile."""

    def closed(self, error: Exception | None) -> None:
        self.gone = True

    def turn_away(self) -> None:
        if not self.gone:
            self.gone = True
            self.stream.abort()


@dataclass(frozen=True, slots=True)
class Found:
    """The result."""

    info: bytes
    guests: list[Guest]
    candidates: dict[PeerSource, list[Endpoint]]
    """Peers that were heard of."""


class MetadataFetch:
    """Runs from `start` until `result` is there, or `stop`. On the engine's loop."""

    def __init__(
        self,
        world: World,
        magnet: Magnet,
        peer_id: PeerId,
        *,
        dial: Callable[[Endpoint], Awaitable[Stream]],
        port: Callable[[], int],
        limits: tuple[Limiter, Limiter],
        config: SwarmConfig | None = None,
    ) -> None:
        """`port`: where we listen, 0 for nowhere. `limits`: down, up."""
        self._world = world
        self._port = port
        self._limits = limits
        self._dial = dial
        self._config = config or SwarmConfig()
        self._hashes = magnet.swarm_hashes
        self._ours = Handshake(self._hashes[0], peer_id)
        self._pool = CandidatePool(world.rng, self._config)
        self._assembly = Assembly(magnet.names)
        self._connector = Connector(
            dial=self._dial_throttled,
            ours=self._ours,
            timeout=self._config.handshake_timeout,
            on_greeted=self._greeted,
            on_failed=lambda endpoint, reason: self._pool.failed(endpoint, world.clock.now()),
        )
        self._peers: dict[int, _Peer] = {}
        self._next_key = 1
        self._timer: asyncio.TimerHandle | None = None
        self.result: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        self._tick()

    async def stop(self) -> None:
        """Everybody out who was not handed over. Safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.result.done():
            self.result.cancel()
        for peer in list(self._peers.values()):
            self.drop(peer, "we are leaving")
        await self._connector.close()

    @property
    def peers(self) -> int:
        """Connected."""
        return len(self._peers)

    @property
    def connections(self) -> int:
        """Peers here and those being dialled."""
        return len(self._peers) + self._connector.dialing

    def add(self, endpoints: Iterable[Endpoint], source: PeerSource) -> None:
        """Peers to dial."""
        if self._pool.add(endpoints, source) and self._timer is not None:
            self._connect_more()

    def accept(self, stream: Stream, theirs: Handshake, leftover: bytes) -> None:
        """Somebody dialled us for this torrent; reading is paused."""
        if not self._may_enter(stream, theirs) or not self._pool.may_accept(stream.endpoint, self._endpoints()):
            stream.abort()
            return
        stream = self._throttled(stream)
        stream.write([Handshake(theirs.info_hash, self._ours.peer_id).encode()])
        self._enter(stream, theirs, leftover, PeerSource.INCOMING)

    # --- peers come and go ------------------------------------------------------------------------

    async def _dial_throttled(self, endpoint: Endpoint) -> Stream:
        return self._throttled(await self._dial(endpoint))

    def _throttled(self, stream: Stream) -> Stream:
        down, up = self._limits
        return ThrottledStream(stream, up=up, down=down, clock=self._world.clock)

    def _endpoints(self) -> list[Endpoint]:
        return [peer.stream.endpoint for peer in self._peers.values()]

    def _connect_more(self) -> None:
        now = self._world.clock.now()
        room = min(CONNECTIONS_MAX - len(self._peers), self._config.max_dialing) - self._connector.dialing
        if room <= 0 and not self._connector.dialing and self._pool.has_ready(now):
            for peer in list(self._peers.values()):
                if peer.wire.remote.metadata_size is None and now - peer.since >= USELESS_SECONDS:
                    self.drop(peer, "it has no metadata")
                    room = 1
                    break
        for endpoint in self._pool.next(room, now, self._endpoints()):
            self._connector.connect(endpoint)

    def _greeted(self, endpoint: Endpoint, stream: Stream, theirs: Handshake, leftover: bytes) -> None:
        if theirs.peer_id == self._ours.peer_id:
            stream.abort()
            self._pool.exclude(endpoint)
        elif self._may_enter(stream, theirs):
            self._enter(stream, theirs, leftover, self._pool.source_of(endpoint))
        else:
            stream.abort()
            self._pool.failed(endpoint, self._world.clock.now())

    def _may_enter(self, stream: Stream, theirs: Handshake) -> bool:
        return (
            theirs.supports_extended
            and theirs.info_hash in self._hashes
            and theirs.peer_id != self._ours.peer_id
            and not self.result.done()
            and len(self._peers) < CONNECTIONS_MAX
            and not any(
                twin.theirs.peer_id == theirs.peer_id and twin.stream.endpoint.host == stream.endpoint.host
                for twin in self._peers.values()
            )
        )

    def _enter(self, stream: Stream, theirs: Handshake, leftover: bytes, source: PeerSource) -> None:
        peer = _Peer(self, self._next_key, stream, theirs, source, self._world.clock.now())
        self._next_key += 1
        self._peers[peer.key] = peer
        stream.start(peer)
        stream.write([peer.wire.extension_handshake(listen_port=self._port() or None, your_ip=stream.endpoint.host)])
        peer.feed(leftover)
        if not peer.over:
            stream.resume_reading()

    def drop(self, peer: _Peer, reason: str, *, ban: bool = False) -> None:
        """End the connection."""
        if peer.over:
            return
        peer.over = True
        peer.stream.abort()
        self._left(peer, reason, ban=ban)

    def _left(self, peer: _Peer, reason: str, *, ban: bool = False) -> None:
        log.debug("event=peer-left peer=%s reason=%s", peer.stream.endpoint, reason)
        del self._peers[peer.key]
        self._assembly.gone(peer.key)
        if ban:
            log.info("event=metadata-liar peer=%s reason=%s", peer.stream.endpoint, reason)
            self._pool.ban(peer.stream.endpoint)
        elif not peer.stream.incoming:
            self._pool.failed(peer.stream.endpoint, self._world.clock.now())

    def closed(self, peer: _Peer, error: Exception | None) -> None:
        """The stream ended by itself."""
        if not peer.over:
            peer.over = True
            self._left(peer, str(error) if error else "closed by the peer")

    # --- asking -----------------------------------------------------------------------------------

    def heard(self, peer: _Peer, events: Sequence[Event]) -> None:
        """What a peer said."""
        for event in events:
            if isinstance(event, ExtensionHandshake):
                if event.metadata_size is not None and peer.wire.supports(ut_metadata.NAME):
                    self._assembly.offers(peer.key, event.metadata_size)
            elif isinstance(event, Extended) and event.name == ut_metadata.NAME:
                try:
                    message = ut_metadata.parse(event.payload)
                except RemoteProtocolError as error:
                    self.drop(peer, error.reason, ban=True)
                    return
                if message is not None:
                    self._heard_metadata(peer, message)
            if peer.over or self.result.done():
                return
        self._ask(peer)

    def _heard_metadata(self, peer: _Peer, message: ut_metadata.Message) -> None:
        match message.kind:
            case ut_metadata.Kind.REQUEST:
                if peer.wire.supports(ut_metadata.NAME) and peer.refusals < REFUSALS_MAX:
                    peer.refusals += 1
                    refusal = ut_metadata.Message(ut_metadata.Kind.REJECT, message.piece)
                    peer.stream.write([peer.wire.metadata(refusal)])
            case ut_metadata.Kind.REJECT:
                self._assembly.refused(peer.key, message.piece, self._world.clock.now())
            case ut_metadata.Kind.DATA:
                verdict = self._assembly.arrived(peer.key, message.piece, message.total_size, message.data)
                for key in verdict.blamed:
                    liar = self._peers.get(key)
                    if liar is not None:
                        self.drop(liar, "it sent wrong metadata", ban=True)
                if verdict.info is not None:
                    self._finish(verdict.info)

    def _ask(self, peer: _Peer) -> None:
        pieces = self._assembly.ask(peer.key, self._world.clock.now())
        if pieces:
            kind = ut_metadata.Kind.REQUEST
            peer.stream.write([peer.wire.metadata(ut_metadata.Message(kind, piece)) for piece in pieces])

    def _finish(self, info: bytes) -> None:
        guests = []
        for peer in list(self._peers.values()):
            leftover = peer.wire.take()
            if leftover is None:
                self.drop(peer, "it said too much to be kept")
                continue
            peer.over = True
            del self._peers[peer.key]
            guest = Guest(peer.stream, peer.theirs, leftover, peer.source)
            peer.stream.pause_reading()
            peer.stream.start(guest)
            guests.append(guest)
        self.result.set_result(Found(info, guests, self._pool.by_source()))

    def _tick(self) -> None:
        now = self._world.clock.now()
        for key in self._assembly.overdue(now):
            self.drop(self._peers[key], "it owes metadata for too long")
        for peer in list(self._peers.values()):
            try:
                keep_alive = peer.wire.handle_timer(now)
            except RemoteProtocolError as error:
                self.drop(peer, error.reason)
                continue
            if keep_alive:
                peer.stream.write([keep_alive])
            self._ask(peer)
        self._timer = None if self.result.done() else asyncio.get_running_loop().call_later(TICK, self._tick)
        if self._timer is not None:
            self._connect_more()


REFUSALS_MAX: Final = 64
"""Requests of one peer that are answered with a refusal: we have nothing yet."""


class _Peer:
    """A connection; is its stream's handler."""

    def __init__(
        self, side: MetadataFetch, key: int, stream: Stream, theirs: Handshake, source: PeerSource, now: float
    ) -> None:
        self._side = side
        self._clock = side._world.clock
        self.key = key
        self.stream = stream
        self.theirs = theirs
        self.source = source
        self.since = now
        self.wire = MetadataWire(now)
        self.over = False
        self.refusals = 0

    def feed(self, data: bytes) -> None:
        """What came behind the handshake."""
        self._hear(lambda now: self.wire.feed(data, now))

    def buffer(self) -> memoryview:
        return self.wire.buffer()

    def received(self, count: int) -> None:
        if not self.over:
            self._hear(lambda now: self.wire.received(count, now))

    def _hear(self, parse: Callable[[float], Sequence[Event]]) -> None:
        try:
            events = parse(self._clock.now())
        except RemoteProtocolError as error:
            self._side.drop(self, error.reason)
            return
        if events:
            self._side.heard(self, events)

    def writable(self) -> None:
        """What we write is small."""

    def closed(self, error: Exception | None) -> None:
        self._side.closed(self, error)
