"""What a swarm meets in tests: storage and disk in memory, a network of stream pairs, and peers that follow a script.

A `FakePeer` speaks through the real `PeerWire`, so it can say anything legal by name and anything illegal as bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from icworkshop_gui.core.address import Endpoint, PeerSource, TransportKind
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import RemoteProtocolError, StorageError, StorageFault
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.net.network import HttpResponse
from icworkshop_gui.engine.net.stream import LOW_SHARE, LOW_WATER, Buffer, StreamHandler
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.swarm import Swarm
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire.peer.handshake import HANDSHAKE_SIZE, Handshake
from icworkshop_gui.wire.peer.messages import (
    Blocks,
    Cancel,
    Choke,
    Event,
    Interested,
    Piece,
    Reject,
    Request,
    Unchoke,
)
from icworkshop_gui.wire.peer.peer_wire import PeerWire
from tests.helpers.builders import content
from tests.sim.loop import LoopClock

INFO_HASH = InfoHash(b"h" * 20)


class InlineDisk:
    """Runs jobs at once, or keeps them until `release` while `held`."""

    def __init__(self) -> None:
        self.held = False
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: job(*args, **kwargs)))
        if not self.held:
            self.release()
        return future

    def release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future, work in waiting:
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        self.release()


class MemoryStorage:
    """A torrent in memory. `fail_writes`, `fail_reads`: the StorageError to raise."""

    def __init__(self, length: int, data: bytes = b"") -> None:
        self.data = bytearray(data) if data else bytearray(length)
        self.total_length = length
        self.fail_writes: StorageError | None = None
        self.fail_reads: StorageError | None = None
        self.writes = 0

    def read(self, offset: int, length: int) -> bytes:
        if self.fail_reads is not None:
            raise self.fail_reads
        if offset + length > self.total_length:
            raise StorageError(StorageFault.GONE)
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, chunks: Sequence[Buffer]) -> None:
        if self.fail_writes is not None:
            raise self.fail_writes
        self.writes += 1
        for chunk in chunks:
            self.data[offset : offset + len(chunk)] = bytes(chunk)
            offset += len(chunk)

    def sync(self) -> None:
        """Nothing outlives the test."""

    def close(self) -> None:
        """Nothing is open."""


class PairedStream:
    """One end of a connection in memory. Bytes arrive `delay` seconds after they were written, in order."""

    kind = TransportKind.TCP

    def __init__(self, endpoint: Endpoint, *, incoming: bool, delay: float) -> None:
        self.endpoint = endpoint
        self.incoming = incoming
        self.other: PairedStream | None = None
        self.held = False
        """True: nothing that we write leaves (a full socket)."""
        self._delay = delay
        self._handler: StreamHandler | None = None
        self._line: deque[bytes] = deque()
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._paused = False
        self._over = False
        self._ended: tuple[Exception | None] | None = None
        self._told = False
        self._was_high = False
        self._low_water = LOW_WATER

    @property
    def unsent(self) -> int:
        return len(self._outbox)

    def start(self, handler: StreamHandler) -> None:
        self._handler = handler
        self._deliver()

    def write(self, chunks: Sequence[Buffer]) -> None:
        if self._over:
            return
        for chunk in chunks:
            self._outbox += chunk
        self._was_high |= len(self._outbox) > self._low_water
        if not self.held:
            self.flush()

    def expect(self, count: int) -> None:
        """A call too many costs nothing here."""

    def set_backlog(self, count: int) -> None:
        self._low_water = count // LOW_SHARE

    def flush(self) -> None:
        """What was held leaves."""
        self.held = False
        data, self._outbox = bytes(self._outbox), bytearray()
        if data and self.other is not None:
            self.other._line.append(data)
            asyncio.get_running_loop().call_later(self._delay, self.other._arrive)
        if self._was_high and self._handler is not None:
            self._was_high = False
            asyncio.get_running_loop().call_soon(self._handler.writable)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._deliver()

    def close(self) -> None:
        self.flush()
        self.abort()

    def abort(self) -> None:
        if self._over:
            return
        self._over = True
        loop = asyncio.get_running_loop()
        loop.call_soon(self._end, None)
        if self.other is not None:
            loop.call_later(self._delay, self.other._other_side_over)

    def _arrive(self) -> None:
        # Timers of one moment fire in any order; bytes must not.
        self._inbox += self._line.popleft()
        self._deliver()

    def _deliver(self) -> None:
        while self._inbox and self._handler is not None and not self._paused and not self._over:
            room = self._handler.buffer()
            count = min(len(room), len(self._inbox))
            assert count, "an empty buffer was lent"
            room[:count] = self._inbox[:count]
            del self._inbox[:count]
            self._handler.received(count)

    def _other_side_over(self) -> None:
        if not self._over:
            self._over = True
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self._told:
            self._told = True
            if self._handler is not None:
                self._handler.closed(error)


def stream_pair(dialer: Endpoint, listener: Endpoint, delay: float = 0.01) -> tuple[PairedStream, PairedStream]:
    """(the dialer's end, the listener's end)."""
    near = PairedStream(listener, incoming=False, delay=delay)
    far = PairedStream(dialer, incoming=True, delay=delay)
    near.other, far.other = far, near
    return near, far


@dataclass
class FakeAnswer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    breaks_at: int | None = None
    """Bytes after which the connection breaks."""
    closed: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        end = len(self.body) if self.breaks_at is None else self.breaks_at
        for at in range(0, end, 10_000):
            await asyncio.sleep(0.001)
            yield self.body[at : min(end, at + 10_000)]
        if self.breaks_at is not None:
            raise ConnectionError("broke off")

    async def read(self, limit: int) -> bytes:
        if len(self.body) > limit:
            raise RemoteProtocolError("too long")
        return self.body

    async def aclose(self) -> None:
        self.closed = True


class MemoryNetwork:
    """Connects those who listen. `on_http(url, headers)` answers requests."""

    def __init__(self, host: str, hosts: dict[Endpoint, Callable[[PairedStream], None]], delay: float = 0.01) -> None:
        self._host = host
        self._hosts = hosts
        self._delay = delay
        self._ports = iter(range(50_000, 60_000))
        self.dialed: list[Endpoint] = []
        self.pair = stream_pair
        """Makes the two ends of a connection that we dial."""
        self.on_http: Callable[[str, Mapping[str, str]], FakeAnswer] | None = None

    async def dial(self, endpoint: Endpoint, kind: TransportKind, timeout: float) -> PairedStream:
        self.dialed.append(endpoint)
        await asyncio.sleep(self._delay)
        listener = self._hosts.get(endpoint)
        if listener is None:
            raise ConnectionRefusedError("nobody listens there")
        near, far = self.pair(Endpoint(self._host, next(self._ports)), endpoint, self._delay)
        listener(far)
        return near

    async def http_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        allow_private: bool = False,
    ) -> HttpResponse:
        await asyncio.sleep(self._delay)
        if self.on_http is None:
            raise ConnectionRefusedError("no web server there")
        return self.on_http(url, headers or {})


class Recording:
    """A SwarmListener that keeps what it is told."""

    def __init__(self) -> None:
        self.verified: list[int] = []
        self.completed = 0
        self.errors: list[StorageError] = []
        self.banned: list[Endpoint] = []
        self.done = asyncio.Event()

    def on_pieces_verified(self, indices: Sequence[int]) -> None:
        assert not self.completed
        self.verified += indices

    def on_complete(self) -> None:
        self.completed += 1
        self.done.set()

    def on_storage_error(self, error: StorageError) -> None:
        self.errors.append(error)

    def on_peer_banned(self, endpoint: Endpoint, why: str) -> None:
        self.banned.append(endpoint)


@dataclass
class Stage:
    """One torrent and the swarms and fake peers around it. Use inside `run_leaping`."""

    length: int = 8 * 4 * BLOCK_SIZE
    piece_length: int = 4 * BLOCK_SIZE
    seed: int = 1
    hosts: dict[Endpoint, Callable[[PairedStream], None]] = field(default_factory=dict)
    swarms: list[Swarm] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.content = content(self.length)
        self.geometry = Geometry(self.length, self.piece_length)
        self._next = 1

    def piece_hash(self, index: int) -> bytes:
        offset = self.geometry.piece_offset(index)
        return hashlib.sha1(self.content[offset : offset + self.geometry.piece_size(index)]).digest()

    def endpoint(self) -> Endpoint:
        """A fresh public address in a subnet of its own."""
        self._next += 1
        return Endpoint(f"93.{self._next // 250}.{self._next % 250}.7", 6881)

    def swarm(
        self,
        *,
        have: Iterable[int] | None = (),
        wanted: Bitfield | None = None,
        config: SwarmConfig | None = None,
        disk: InlineDisk | None = None,
        peer_id: PeerId | None = None,
        **settings: Any,
    ) -> ActorSwarm:
        """A swarm of ours that listens on an address of its own. `have` None: everything."""
        endpoint = self.endpoint()
        field = Bitfield(self.geometry.piece_count, full=have is None)
        for index in have or ():
            field.add(index)
        data = bytearray(self.length)
        for index in field:
            at = self.geometry.piece_offset(index)
            data[at : at + self.piece_length] = self.content[at : at + self.piece_length]
        storage = MemoryStorage(self.length, bytes(data[: self.length]))
        network = MemoryNetwork(endpoint.host, self.hosts)
        listener = Recording()
        self.seed += 1
        world = World(
            clock=LoopClock(),
            rng=random.Random(self.seed),
            network=network,  # type: ignore[arg-type]  # no listening, datagrams or names in these tests
            disk=disk or InlineDisk(),
        )
        swarm = Swarm(
            world=world,
            info_hash=INFO_HASH,
            peer_id=peer_id or PeerId(f"-IC0001-{self._next:012d}".encode()),
            geometry=self.geometry,
            piece_hash=self.piece_hash,
            storage=storage,
            have=field,
            wanted=wanted,
            listener=listener,
            config=config,
            **settings,
        )
        actor = ActorSwarm(swarm, endpoint, storage, listener, network)
        self.hosts[endpoint] = actor.accept
        self.swarms.append(swarm)
        swarm.start()
        return actor

    def peer(self, **settings: Any) -> FakePeer:
        """A scripted peer that listens on an address of its own."""
        peer = FakePeer(self, self.endpoint(), **settings)
        self.hosts[peer.endpoint] = peer.accept
        return peer

    async def stop(self) -> None:
        for swarm in self.swarms:
            await swarm.stop()
            swarm.tracker.check_invariants()


@dataclass
class ActorSwarm:
    """A swarm with what the test wants to look at."""

    swarm: Swarm
    endpoint: Endpoint
    storage: MemoryStorage
    listener: Recording
    network: MemoryNetwork

    def accept(self, stream: PairedStream) -> None:
        """As the handshake gate does: read the 68 bytes, pause, hand over."""
        stream.start(_Door(self, stream))

    def meet(self, *others: ActorSwarm | FakePeer) -> None:
        self.swarm.add_candidates([other.endpoint for other in others], PeerSource.TRACKER)

    async def finished(self, timeout: float = 600.0) -> None:
        await asyncio.wait_for(self.listener.done.wait(), timeout)


class _Door:
    def __init__(self, actor: ActorSwarm, stream: PairedStream) -> None:
        self._actor = actor
        self._stream = stream
        self._data = bytearray(4096)
        self._end = 0

    def buffer(self) -> memoryview:
        return memoryview(self._data)[self._end :]

    def received(self, count: int) -> None:
        self._end += count
        if self._end >= HANDSHAKE_SIZE:
            self._stream.pause_reading()
            handshake = Handshake.parse(self._data[:HANDSHAKE_SIZE])
            self._actor.swarm.accept(self._stream, handshake, bytes(self._data[HANDSHAKE_SIZE : self._end]))

    def writable(self) -> None:
        """Nothing is written."""

    def closed(self, error: Exception | None) -> None:
        """They hung up."""


class FakePeer:
    """A peer that does as told. By default an honest seed; override with keywords.

    `on_request(peer, request)` answers requests; None: never. `on_event` sees everything else.
    """

    def __init__(
        self,
        stage: Stage,
        endpoint: Endpoint,
        *,
        has: Iterable[int] | None = None,
        unchokes: bool = True,
        fast: bool = True,
        info_hash: InfoHash = INFO_HASH,
        peer_id: PeerId | None = None,
        on_request: Callable[[FakePeer, Request], None] | None = None,
        on_event: Callable[[FakePeer, Event], None] | None = None,
        silent: bool = False,
    ) -> None:
        self.stage = stage
        self.endpoint = endpoint
        self.has = Bitfield(stage.geometry.piece_count, full=has is None)
        for index in has or ():
            self.has.add(index)
        self.unchokes = unchokes
        self.silent = silent
        """Says nothing by itself after its own handshake, which it sends only when it dials."""
        self._on_request = on_request or FakePeer.send_block
        self._on_event = on_event
        reserved = b"\0\0\0\0\0\x10\0\x04" if fast else bytes(8)
        self.ours = Handshake(info_hash, peer_id or PeerId(f"-FK0001-{endpoint.host:>12}".encode()), reserved)
        self.theirs: Handshake | None = None
        self.wire: PeerWire | None = None
        self.stream: PairedStream | None = None
        self.events: list[Event] = []
        """Everything that was heard but blocks."""
        self.blocks: list[tuple[int, int, bytes]] = []
        self.connections = 0
        self.open = False
        self._greeting = bytearray(HANDSHAKE_SIZE)
        self._greeted = 0

    # --- connecting ---------------------------------------------------------------------------

    def accept(self, stream: PairedStream) -> None:
        self._attach(stream)

    def dial(self, actor: ActorSwarm, *, hasty: bytes = b"") -> None:
        """Connect to a swarm of ours; `hasty` goes out in one write with the handshake."""
        near, far = stream_pair(self.endpoint, actor.endpoint)
        actor.accept(far)
        self._attach(near)
        near.write([self.ours.encode() + hasty])

    def _attach(self, stream: PairedStream) -> None:
        self.connections += 1
        self.open = True
        self.stream = stream
        self.wire = None
        self._greeted = 0
        stream.start(self)

    # --- speaking -----------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        assert self.stream is not None
        self.stream.write([data])

    def send_block(self, request: Request) -> None:
        """The right bytes."""
        index, begin, length = request
        at = self.stage.geometry.piece_offset(index) + begin
        self.send(index, begin, self.stage.content[at : at + length])

    def send_bad_block(self, request: Request) -> None:
        """Bytes that break the piece."""
        self.send(request.index, request.begin, b"\xff" * request.length)

    def send(self, index: int, begin: int, data: bytes) -> None:
        assert self.wire is not None
        self.say(self.wire.piece_header(index, begin, len(data)) + data)

    def hang_up(self) -> None:
        assert self.stream is not None
        self.stream.abort()

    @property
    def requests(self) -> list[Request]:
        return [event for event in self.events if isinstance(event, Request)]

    @property
    def rejects(self) -> list[Reject]:
        return [event for event in self.events if isinstance(event, Reject)]

    @property
    def cancels(self) -> list[Cancel]:
        return [event for event in self.events if isinstance(event, Cancel)]

    @property
    def is_unchoked(self) -> bool:
        said = [event for event in self.events if isinstance(event, Choke | Unchoke)]
        return bool(said) and isinstance(said[-1], Unchoke)

    # --- the stream's handler -----------------------------------------------------------------

    def buffer(self) -> memoryview:
        if self.wire is None:
            return memoryview(self._greeting)[self._greeted :]
        return self.wire.buffer()

    def received(self, count: int) -> None:
        if self.wire is None:
            self._greeted += count
            if self._greeted == HANDSHAKE_SIZE:
                self._greet(Handshake.parse(self._greeting))
            return
        for event in self.wire.received(count, asyncio.get_running_loop().time()):
            if isinstance(event, Piece | Blocks):
                pieces = event.pieces() if isinstance(event, Blocks) else [event]
                self.blocks += [(piece.index, piece.begin, bytes(piece.block)) for piece in pieces]
                continue
            self.events.append(event)
            if self._on_event is not None:
                self._on_event(self, event)
            if isinstance(event, Interested) and self.unchokes:
                self.say(self.wire.unchoke())
            elif isinstance(event, Request):
                self._on_request(self, event)

    def _greet(self, theirs: Handshake) -> None:
        assert self.stream is not None
        self.theirs = theirs
        self.wire = PeerWire.between(self.ours, theirs, self.stage.geometry, asyncio.get_running_loop().time())
        if self.silent:
            return
        if self.stream.incoming:
            self.say(self.ours.encode())
        self.say(self.wire.bitfield(self.has))

    def writable(self) -> None:
        """Tests are small."""

    def closed(self, error: Exception | None) -> None:
        self.open = False
