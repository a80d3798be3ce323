"""One connected peer: its stream, its wire, what is outstanding in both directions.

Carries out what the deciders say; what concerns more than this peer goes to its `Swarmside`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE, KIB
from icworkshop_gui.engine.net.stream import Buffer, Stream
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.backlog import Backlog
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.pace import RequestPace
from icworkshop_gui.engine.swarm.picker import PickView, PiecePicker
from icworkshop_gui.engine.swarm.piece_mask import full_mask, mask_of
from icworkshop_gui.engine.swarm.piece_tracker import Arrival, PieceTracker
from icworkshop_gui.engine.swarm.rates import RateMeter
from icworkshop_gui.engine.swarm.requests import Pipeline
from icworkshop_gui.engine.swarm.scoring import PeerScore
from icworkshop_gui.engine.swarm.uploads import UploadQueue
from icworkshop_gui.wire.peer.extensions import lt_donthave
from icworkshop_gui.wire.peer.extensions.handshake import ExtensionHandshake
from icworkshop_gui.wire.peer.messages import (
    AllowedFast,
    Blocks,
    Cancel,
    Choke,
    Event,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    NotInterested,
    PeerBitfield,
    Piece,
    Port,
    Reject,
    Request,
    Suggest,
    Unchoke,
)
from icworkshop_gui.wire.peer.peer_wire import PeerWire

_BLOCK_MASK = BLOCK_SIZE - 1
_BLOCK_SHIFT = BLOCK_SIZE.bit_length() - 1

REFUSAL_SECONDS = 10.0
"""For how long a piece that a peer refused (BEP 6) is not asked of it again."""

FLAPPING_SECONDS = 60.0
"""The window of `SwarmConfig.max_chokes_per_minute`."""

CANCEL_SECONDS = 10.0
"""How long a block that was taken back is waited for where the peer does not tell (no BEP 6): what it has handed to
its socket before it heard of the cancel is here by then."""

EXPECT_MAX = 32 * KIB
"""Bytes received at once above which the line is so fast that there is nothing to wait for."""

EXPECT_SECONDS = 0.25
"""For how long we sleep through the packets of a block at most."""

MAX_CONTROL_BACKLOG = 4 << 20
"""Unsent bytes at which a peer that reads nothing and keeps asking is dropped."""


class Swarmside(Protocol):
    """What a peer needs of its swarm."""

    tracker: PieceTracker
    picker: PiecePicker
    counts: Availability
    config: SwarmConfig
    clock: Clock
    pace: RequestPace

    @property
    def may_ask(self) -> bool: ...

    @property
    def may_serve(self) -> bool: ...

    def block_useful(self, now: float) -> None: ...

    def block_wasted(self, size: int) -> None: ...

    def piece_completed(self, index: int) -> None: ...

    def events_handled(self) -> None: ...

    def cancel_at(self, keys: list[int], index: int, block: int) -> None: ...

    def blocks_released(self) -> None: ...

    def has_requests(self, peer: Peer) -> None: ...

    def interest_changed(self) -> None: ...

    def has_more(self, peer: Peer) -> None: ...

    def learned_port(self, peer: Peer) -> None: ...

    def fair_room(self, peer: Peer) -> int | None: ...

    def greeted(self, peer: Peer) -> None: ...

    def heard(self, peer: Peer, event: Extended) -> None: ...

    def named_node(self, endpoint: Endpoint) -> None: ...

    def peer_gone(self, peer: Peer, reason: str, *, fault: bool) -> None: ...


class Peer:
    """Is its stream's handler."""

    def __init__(
        self, side: Swarmside, key: int, stream: Stream, wire: PeerWire, peer_id: PeerId, source: PeerSource
    ) -> None:
        now = side.clock.now()
        self._side = side
        self._stream = stream
        self._tracker = side.tracker
        self._blocks_per_piece = side.tracker.blocks_per_piece
        self.key = key
        self.wire = wire
        self.peer_id = peer_id
        self.endpoint: Endpoint = stream.endpoint
        self.dial_endpoint: Endpoint | None = None if stream.incoming else stream.endpoint
        """Where it listens, as far as we know."""
        self.source = source
        self.connected_at = now
        self.pipeline = Pipeline(now, side.config)
        self.view = PickView(key=key, allowed=0)
        self.uploads = UploadQueue(side.tracker.geometry.piece_length, side.config.max_upload_queue)
        self.backlog = Backlog(now)
        self.gone = False
        self.hungry = False
        """It could take more requests than the picker had for it."""
        self.uploaded = 0
        """Payload bytes handed to the stream."""
        self.down_meter = RateMeter(now)
        self.up_meter = RateMeter(now)
        self.have_cursor = 0
        """How much of the swarm's log of verified pieces this peer has been told."""
        self.useful_at = now
        """When somebody last wanted something."""
        # For the choker
        self.flipped_at = now
        self.given_at_round = 0
        self.taken_at_round = 0
        self.taken_at_unchoke = 0
        self.score = PeerScore()
        self._ticked_at = now
        # For those who wait in a lobby
        self.claims: Tier | None = None
        """How urgent it says this torrent is to it; proves nothing."""
        self.nonce: bytes | None = None
        """Of the challenge that it has not answered."""
        self.challenges = 0
        self.answers = 0
        self.holder: bytes | None = None
        """The key of the lobby ticket that it proved to hold."""
        self.holds_until = 0.0
        """Wall clock seconds."""
        self.settled = 0
        """`uploaded` up to which its holder's budget is charged."""
        self._fast_mask = 0
        """Pieces that may be asked for while choked (BEP 6)."""
        self._refused_mask = 0
        """Pieces that it has lately refused."""
        self._refused_at = 0.0
        self._named_node = False
        self._out: list[Buffer] = []
        self._handling = False
        self._asks = False
        self._has_requests = False
        self._unsolicited = 0
        self._bad_requests = 0
        self._chokes: deque[float] = deque()

    # --- what it has --------------------------------------------------------------------------

    @property
    def has(self) -> int:
        return self.view.has

    @property
    def is_seed(self) -> bool:
        return self.view.has == full_mask(self._tracker.length)

    @property
    def progress(self) -> float:
        return self.view.has.bit_count() / self._tracker.length

    @property
    def is_interesting(self) -> bool:
        return bool(self.view.has & self._tracker.interesting_mask)

    @property
    def worth(self) -> float:
        """Bytes a second that it is to us, give and take weighed; while we only give: that we are to it."""
        return self.score.demand if self._tracker.is_complete else self.score.value

    @property
    def unsent(self) -> int:
        return self._stream.unsent

    @property
    def kind(self) -> str:
        return self._stream.kind

    @property
    def incoming(self) -> bool:
        return self._stream.incoming

    # --- the stream's handler -----------------------------------------------------------------

    def begin(self, leftover: bytes) -> None:
        """Take over the stream; `leftover` came behind the handshake."""
        self.set_backlog()
        self._stream.start(self)
        if leftover:
            now = self._side.clock.now()
            try:
                events = self.wire.feed(leftover, now)
            except RemoteProtocolError as error:
                self.drop(error.reason, fault=True)
                return
            self._handle(events, now)
        if not self.gone:
            self._stream.resume_reading()

    def buffer(self) -> memoryview:
        return self.wire.buffer()

    def received(self, count: int) -> None:
        if self.gone:
            return
        now = self._side.clock.now()
        try:
            events = self.wire.received(count, now)
        except RemoteProtocolError as error:
            self.drop(error.reason, fault=True)
            return
        if events:
            self._handle(events, now)
        if count <= EXPECT_MAX and not self.gone:
            self._expect()

    def _expect(self) -> None:
        """Sleep through the packets of a block, where it is here soon."""
        missing = self.wire.missing
        soon = missing <= EXPECT_MAX and missing <= self.down_meter.rate * EXPECT_SECONDS
        self._stream.expect(missing if soon else 1)

    def writable(self) -> None:
        if not self.gone:
            self._side.has_requests(self)

    def closed(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self._side.peer_gone(self, str(error) if error else "closed by the peer", fault=False)

    # --- sending ------------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        """Send a message; during the handling of events it waits for the end, so that one write takes all."""
        if not data or self.gone:
            return
        self._queue(data)
        if not self._handling:
            self._flush()

    def _queue(self, data: bytes) -> None:
        self._out.append(data)

    def say_at_once(self, data: bytes) -> None:
        """Send a message that is large, so that `unsent` tells about it."""
        if not self.gone:
            self._stream.write([data])

    def send_blocks(self, chunks: list[Buffer], size: int) -> None:
        """Headers and blocks, `size` bytes of payload."""
        self.uploaded += size
        self.useful_at = self._side.clock.now()
        self._stream.write(chunks)

    def set_backlog(self) -> None:
        """Tell the stream how much of what we write it may keep waiting."""
        self._stream.set_backlog(self.backlog.size)

    def _flush(self) -> None:
        if self._out and not self.gone:
            out, self._out = self._out, []
            self._stream.write(out)
            if self._stream.unsent > MAX_CONTROL_BACKLOG + self._side.config.upload_batch:
                self.drop("it asks without end and reads nothing", fault=True)

    def drop(self, reason: str, *, fault: bool = False) -> None:
        """End the connection. `fault`: it broke the rules, so it is not dialled soon."""
        if self.gone:
            return
        self.gone = True
        self._stream.abort()
        self._side.peer_gone(self, reason, fault=fault)

    # --- asking -------------------------------------------------------------------------------

    def ask(self, now: float) -> None:
        """Fill the pipeline."""
        room = self.pipeline.room()
        view = self.view
        if self.gone or not room or view.allowed == 0 or not self._side.may_ask:
            return
        pace = self._side.pace
        if pace.is_on and (room := min(room, pace.room(now))) <= 0:
            self.hungry = True
            return
        fair = self._side.fair_room(self)
        if fair is not None and (room := min(room, fair)) <= 0:
            self.hungry = True
            return
        view.outstanding = len(self.pipeline)
        view.snubbed = self.pipeline.snubbed
        pick = self._side.picker.pick(view, room)
        count = pick.size
        self.hungry = pick.starved or count < room
        if not count:
            return
        if pace.is_on:
            pace.asked(count)
        tracker, per_piece = self._tracker, self._blocks_per_piece
        last = tracker.length - 1
        whole = tracker.geometry.piece_length % BLOCK_SIZE == 0 and not tracker.hints
        self.useful_at = now
        for index, run in pick.runs:
            self.pipeline.asked(range(index * per_piece + run.start, index * per_piece + run.stop), now)
            if whole and index != last:
                self._queue(self.wire.request_run(index, run))
            else:
                self._queue(self.wire.request([(index, *tracker.span(index, block)) for block in run]))
        if not self._handling:
            self._flush()

    def stop_asking(self, keep: int = 0) -> None:
        """Take back all requests but the `keep` oldest. Their blocks are free again once it is clear that they do not
        come: most peers answer a cancel, the others are given time."""
        patience = self._side.config.request_timeout if self.wire.fast else CANCEL_SECONDS
        keys = self.pipeline.withdraw(self._side.clock.now() + patience, keep)
        if keys:
            self.say(self.wire.cancel(self._requests(keys)))

    def cancel(self, index: int, block: int) -> None:
        """Somebody else sent this block."""
        key = index * self._blocks_per_piece + block
        if self.pipeline.cancelled(key):
            self.say(self.wire.cancel(self._requests([key])))
            if self.pipeline.room():
                self.hungry = True

    def tick(self, now: float) -> None:
        """Once a second."""
        try:
            if now >= self.wire.get_timer():
                self.say(self.wire.handle_timer(now))
        except RemoteProtocolError as error:
            self.drop(error.reason)
            return
        given_up = self.pipeline.tick(now)
        if given_up:
            self.say(self.wire.cancel(self._requests(given_up)))
            self._release(given_up)
        if self._refused_mask and now - self._refused_at >= REFUSAL_SECONDS:
            self._refused_mask = 0
            self._update_allowed()
        self.down_meter.sample(self.pipeline.received, now)
        self.up_meter.sample(self.uploaded, now)
        self.score.sample(self.down_meter.last, self.up_meter.last, now - self._ticked_at)
        self._ticked_at = now
        self._expect()

    def update_interest(self, wants: bool) -> None:
        """Say whether we want something, when that has changed."""
        if wants:
            self.say(self.wire.interested())
        else:
            self.say(self.wire.not_interested())

    def _requests(self, keys: list[int]) -> list[tuple[int, int, int]]:
        pairs = [divmod(key, self._blocks_per_piece) for key in keys]
        return [(index, *self._tracker.span(index, block)) for index, block in pairs]

    def _release(self, keys: list[int]) -> None:
        for key in keys:
            index, block = divmod(key, self._blocks_per_piece)
            self._tracker.release(index, block, self.key)
        if keys:
            self._side.blocks_released()

    # --- events -------------------------------------------------------------------------------

    def _handle(self, events: list[Event], now: float) -> None:
        self._handling = True
        on_blocks, on_request = self._on_blocks, self._on_request
        for event in events:
            kind = type(event)
            if kind is Blocks:
                on_blocks(event, now)  # type: ignore[arg-type]  # `type is` does not narrow a union for mypy
            elif kind is Request:
                on_request(event, now)  # type: ignore[arg-type]
            else:
                _HANDLERS[kind](self, event, now)
            if self.gone:
                break
        self._handling = False
        if not self.gone:
            if self._asks:
                self._asks = False
                self.ask(now)
            if self._has_requests:
                self._has_requests = False
                self._side.has_requests(self)
            self._flush()
        self._side.events_handled()

    def _on_blocks(self, event: Blocks, now: float) -> None:
        """Most peers answer in order, and then many blocks cost hardly more than one."""
        index, begin, blocks = event
        tracker = self._tracker
        piece = tracker.open.get(index)
        count = 0
        if piece is not None and piece.hint is None and not tracker.contested and not begin & _BLOCK_MASK:
            block = begin >> _BLOCK_SHIFT
            count = self.pipeline.fulfilled_in_order(index * self._blocks_per_piece + block, len(blocks), now)
        if piece is not None and count:
            # What is outstanding here and contested by nobody is asked of this peer alone (STATE.md).
            arrival = tracker.arrived_in_order(piece, block, blocks[:count])
            self._asks = True
            self._side.block_useful(now)
            if arrival is Arrival.COMPLETED:
                self._side.piece_completed(index)
        if count < len(blocks):
            for one in event.pieces()[count:]:
                if not self.gone:
                    self._on_piece(one, now)

    def _on_piece(self, event: Piece, now: float) -> None:
        index, begin, data = event
        size = len(data)
        block = begin >> _BLOCK_SHIFT
        tracker = self._tracker
        if (
            begin & _BLOCK_MASK or (size != BLOCK_SIZE and size != tracker.geometry.block_size(index, block))
        ) and not tracker.is_part(index, begin, size):
            self.drop("a block of another shape than was asked for", fault=True)
            return
        key = index * self._blocks_per_piece + block
        late = False
        if not self.pipeline.fulfilled(key, size, now):
            late = self.pipeline.take_late(key, size)
            if not late:
                self._unsolicited += 1
                self._side.block_wasted(size)
                if self._unsolicited > self._side.config.max_unsolicited:
                    self.drop("blocks that nobody asked for", fault=True)
                return
        if tracker.contested or late:
            others = tracker.others_asked(index, block, self.key)
            if others:
                self._side.cancel_at(others, index, block)
        arrival = tracker.arrived(index, block, data, self.key)
        self._asks = True
        if arrival is Arrival.UNWANTED:
            self._side.block_wasted(size)
            return
        self._side.block_useful(now)
        if arrival is Arrival.COMPLETED:
            self._side.piece_completed(index)

    def _on_request(self, event: Request, now: float) -> None:
        side = self._side
        if self.wire.am_choking or not side.may_serve:
            # It may have asked before it heard of the choke.
            self.say(self.wire.reject([event]))
            return
        if self._tracker.lacking_mask and event.index not in self._tracker.have:
            self._bad_requests += 1
            self.say(self.wire.reject([event]))
            if self._bad_requests > side.config.max_bad_requests:
                self.drop("it asks for pieces that we do not have", fault=True)
            return
        if not self.uploads.add(event):
            self.say(self.wire.reject([event]))
            if self.uploads.refused > side.config.max_upload_queue:
                self.drop("a flood of requests", fault=True)
            return
        self._has_requests = True

    def _on_cancel(self, event: Cancel, now: float) -> None:
        if self.uploads.cancel(event):
            self.say(self.wire.reject([event]))

    def _on_choke(self, event: Choke, now: float) -> None:
        self._chokes.append(now)
        while self._chokes[0] < now - FLAPPING_SECONDS:
            self._chokes.popleft()
        if len(self._chokes) > self._side.config.max_chokes_per_minute:
            self.drop("it chokes and unchokes without end", fault=True)
            return
        self._update_allowed()
        if not self.wire.fast:
            # BEP 3: a choke forgets what was asked. With BEP 6 each request is still answered, by a block or a reject.
            self._release(self.pipeline.drop_all())

    def _on_unchoke(self, event: Unchoke, now: float) -> None:
        self._update_allowed()
        self._asks = True

    def _on_interested(self, event: Interested, now: float) -> None:
        self.useful_at = now
        self._side.interest_changed()

    def _on_not_interested(self, event: NotInterested, now: float) -> None:
        self._side.interest_changed()

    def _on_have(self, event: Have, now: float) -> None:
        bit = 1 << event.index
        if self.view.has & bit:
            return
        self._learn(bit)

    def _on_bitfield(self, event: PeerBitfield, now: float) -> None:
        self._learn(mask_of(event.bits) & ~self.view.has)

    def _on_have_all(self, event: HaveAll, now: float) -> None:
        self._learn(full_mask(self._tracker.length) & ~self.view.has)

    def _on_extended(self, event: Extended, now: float) -> None:
        self._side.heard(self, event)

    def _on_port(self, event: Port, now: float) -> None:
        # Once: a peer has one node, and each of these has us send something there.
        if not self._named_node:
            self._named_node = True
            self._side.named_node(Endpoint(self.endpoint.host, event.number))

    def heard_donthave(self, payload: bytes) -> None:
        """A piece that it told of is gone (BEP 54). What is asked of that is refused, or given up in time."""
        try:
            bit = 1 << lt_donthave.parse(payload, self._tracker.length)
        except RemoteProtocolError as error:
            self.drop(error.reason, fault=True)
            return
        if self.view.has & bit:
            self.view.has &= ~bit
            self._side.counts.remove(bit)
            self.update_interest(self._side.may_ask and self.is_interesting)

    def _on_nothing(self, event: HaveNone | Suggest, now: float) -> None:
        """Says nothing that we act on."""

    def _learn(self, mask: int) -> None:
        self.view.has |= mask
        self._side.counts.add(mask)
        self._side.has_more(self)
        if self._side.may_ask and mask & self._tracker.interesting_mask:
            self.update_interest(True)
            if self.hungry or not len(self.pipeline):
                self._asks = True
        if self._tracker.is_complete and self.is_seed:
            self.drop("we both have everything")

    def _on_reject(self, event: Reject, now: float) -> None:
        index, begin, length = event
        block = begin >> _BLOCK_SHIFT
        key = index * self._blocks_per_piece + block
        if begin & _BLOCK_MASK and not self._tracker.is_part(index, begin, length):
            return
        if self.pipeline.confirmed(key):
            self._release([key])
            return
        if not self.pipeline.refused(key):
            return
        self._tracker.release(index, block, self.key)
        if not self.wire.peer_choking:
            # Not asked for here again for a while, or the same question would be put for ever. A choke rejects too
            # (BEP 6), but refuses no piece.
            self._refused_mask |= 1 << index
            self._refused_at = now
        self._update_allowed()
        self._asks = True
        self._side.blocks_released()

    def _on_allowed_fast(self, event: AllowedFast, now: float) -> None:
        self._fast_mask |= 1 << event.index
        if self.wire.peer_choking:
            self._update_allowed()
            self._asks = True

    def _update_allowed(self) -> None:
        if self.wire.peer_choking:
            self.view.allowed = self._fast_mask & ~self._refused_mask
        elif self._refused_mask:
            self.view.allowed = full_mask(self._tracker.length) & ~self._refused_mask
        else:
            self.view.allowed = None

    def _on_extension_handshake(self, event: ExtensionHandshake, now: float) -> None:
        self.pipeline.peer_reqq = event.request_queue
        if event.listen_port is not None and self.dial_endpoint is None:
            self.dial_endpoint = Endpoint(self.endpoint.host, event.listen_port)
            self._side.learned_port(self)
        if event.upload_only and self._tracker.is_complete:
            self.drop("neither of us downloads")  # BEP 21
            return
        self._side.greeted(self)


_HANDLERS: dict[type, Callable[[Peer, Any, float], None]] = {
    Choke: Peer._on_choke,
    Unchoke: Peer._on_unchoke,
    Interested: Peer._on_interested,
    NotInterested: Peer._on_not_interested,
    Have: Peer._on_have,
    PeerBitfield: Peer._on_bitfield,
    HaveAll: Peer._on_have_all,
    HaveNone: Peer._on_nothing,
    Piece: Peer._on_piece,
    Cancel: Peer._on_cancel,
    Suggest: Peer._on_nothing,
    Reject: Peer._on_reject,
    AllowedFast: Peer._on_allowed_fast,
    Port: Peer._on_port,
    Extended: Peer._on_extended,
    ExtensionHandshake: Peer._on_extension_handshake,
}
