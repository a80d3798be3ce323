"""One peer connection after the handshakes, as a machine without a socket, a clock or a task (BEP 3, 6, 10).

Receiving. The machine lends one large buffer, so that the system writes into it and a block is copied once, by
whoever keeps it:

    view = wire.buffer()                     # the stream receives into it
    for event in wire.received(count, now):  # raises PeerProtocolError: close the connection
        if type(event) is Piece:
            target[event.begin : ...] = event.block   # a view, good until the next buffer() or received()
        elif type(event) is Blocks:                   # several that follow one another
            ...

Sending. Every method returns the bytes to write, empty when there is nothing to say. Blocks go out without a copy:

    stream.write([wire.piece_header(index, begin, len(a)), a, wire.piece_header(...), b])

Time. `handle_timer(now)` whenever `get_timer()` is due: returns a keep-alive to send, or raises for a dead peer.

The machine knows what was said, not what is wanted: whether a block was asked for, and which requests to answer,
is the swarm's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import LocalProtocolError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE, KIB
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer import codec, messages
from icworkshop_gui.wire.peer.codec import BlockTuple
from icworkshop_gui.wire.peer.extensions import EXTENSIONS
from icworkshop_gui.wire.peer.extensions import handshake as extension_handshake
from icworkshop_gui.wire.peer.handshake import Handshake
from icworkshop_gui.wire.peer.messages import Blocks, Event, Piece

BUFFER_MIN: Final = 32 * KIB
"""Bytes of the receive buffer at first: holds any piece frame, and 200 quiet peers cost 6 MiB."""

BUFFER_MAX: Final = 256 * KIB
"""Bytes to which the buffer doubles while a peer fills it: larger gains nothing more (stack.md §6.1)."""

KEEP_ALIVE_CHECK: Final = 55.0
"""Seconds between looks whether anything was sent. A silence therefore lasts at most twice that, under the
two minutes of BEP 3 "keepalives"."""

SILENCE_MAX: Final = 180.0
"""Seconds without a byte from the peer until it counts as dead: one and a half keep-alive intervals, since
some clients send theirs every 120 s exactly."""


class _Rule(NamedTuple):
    """When a message may come, and how long it is."""

    length: int | None
    """Of the payload in bytes; None when it varies."""
    needs: str = ""
    """The feature of the handshake that it belongs to."""
    opening: bool = False
    """Only legal before any message that is neither opening nor neutral (BEP 3 "bitfield", BEP 6 "have all")."""
    neutral: bool = False
    """Does not end the opening: some clients send the extension handshake before the bitfield."""


RULES: Final[Mapping[int, _Rule]] = {
    codec.CHOKE: _Rule(0),
    codec.UNCHOKE: _Rule(0),
    codec.INTERESTED: _Rule(0),
    codec.NOT_INTERESTED: _Rule(0),
    codec.HAVE: _Rule(4),
    # BEP 3 wants it first, but aria2 sends another one in the place of many haves.
    codec.BITFIELD: _Rule(None),
    codec.REQUEST: _Rule(12),
    codec.PIECE: _Rule(None),
    codec.CANCEL: _Rule(12),
    # Without the bit that announces it, too: it does no harm, and some clients send it so.
    codec.PORT: _Rule(2, neutral=True),
    codec.SUGGEST: _Rule(4, needs="fast"),
    codec.HAVE_ALL: _Rule(0, needs="fast", opening=True),
    codec.HAVE_NONE: _Rule(0, needs="fast", opening=True),
    codec.REJECT: _Rule(12, needs="fast"),
    codec.ALLOWED_FAST: _Rule(4, needs="fast"),
    codec.EXTENDED: _Rule(None, needs="extended", neutral=True),
}
"""What is not in the table is skipped: BEP 3 lets clients try things out."""


class PeerWire:
    """The wire between us and one peer, from the end of the handshakes on."""

    def __init__(
        self,
        geometry: Geometry,
        *,
        fast: bool,
        extended: bool,
        now: float,
        extensions: Mapping[str, int] = EXTENSIONS,
    ) -> None:
        """`fast` and `extended` are True when both sides announced them in their handshakes."""
        self.fast = fast
        self.extended = extended
        self.am_choking = True
        self.am_interested = False
        self.peer_choking = True
        self.peer_interested = False
        self.remote = extension_handshake.ExtensionHandshake()
        """What the peer said in its extension handshake; the defaults until it does."""

        self._piece_count = geometry.piece_count
        self._piece_length = geometry.piece_length
        self._last_index = geometry.piece_count - 1
        self._last_size = geometry.piece_size(self._last_index)

        self._local_extensions = dict(extensions)
        self._extension_names = {number: name for name, number in extensions.items()}
        self._remote_extensions: dict[str, int] = {}

        self._opening = True
        self._opened = False
        self._failed = False

        self._data = bytearray(BUFFER_MIN)
        self._view = memoryview(self._data)
        self._start = 0
        self._end = 0
        self._wanted_size = BUFFER_MIN

        self._heard_at = now
        self._sent_something = True
        self._check_at = now + KEEP_ALIVE_CHECK

        self._parsers: dict[int, Callable[[int, int], Event | None]] = {
            codec.CHOKE: self._on_choke,
            codec.UNCHOKE: self._on_unchoke,
            codec.INTERESTED: self._on_interested,
            codec.NOT_INTERESTED: self._on_not_interested,
            codec.HAVE: self._on_have,
            codec.BITFIELD: self._on_bitfield,
            codec.REQUEST: self._on_request,
            codec.CANCEL: self._on_cancel,
            codec.PORT: self._on_port,
            codec.SUGGEST: self._on_suggest,
            codec.HAVE_ALL: self._on_have_all,
            codec.HAVE_NONE: self._on_have_none,
            codec.REJECT: self._on_reject,
            codec.ALLOWED_FAST: self._on_allowed_fast,
            codec.EXTENDED: self._on_extended,
        }

    @classmethod
    def between(
        cls,
        ours: Handshake,
        theirs: Handshake,
        geometry: Geometry,
        now: float,
        extensions: Mapping[str, int] = EXTENSIONS,
    ) -> PeerWire:
        """With the features that both handshakes announce."""
        return cls(
            geometry,
            fast=ours.supports_fast and theirs.supports_fast,
            extended=ours.supports_extended and theirs.supports_extended,
            now=now,
            extensions=extensions,
        )

    # Receiving

    def buffer(self) -> memoryview:
        """Room for the next bytes, never empty. Ends the validity of every view handed out before."""
        start, end = self._start, self._end
        size = len(self._data)
        if self._wanted_size != size:
            self._move_to(bytearray(self._wanted_size))
        elif start == end:
            self._start = self._end = 0
        elif end > size >> 1 and start:
            # Only the unfinished frame is left, so this moves less than 16 KiB for every half buffer received.
            self._view[: end - start] = self._view[start:end]
            self._start, self._end = 0, end - start
        return self._view[self._end :]

    def received(self, count: int, now: float) -> list[Event]:
        """What the `count` bytes that now lie in the lent buffer complete.

        PeerProtocolError for anything illegal: the connection is over, and what came with it is dropped.
        """
        if self._failed:
            raise LocalProtocolError("the connection is over")
        self._heard_at = now
        if count == len(self._data) - self._end and self._wanted_size < BUFFER_MAX:
            self._wanted_size *= 2
        end = self._end = self._end + count
        try:
            return self._parse(end)
        except PeerProtocolError:
            self._failed = True
            raise

    @property
    def missing(self) -> int:
        """Bytes without which nothing more can come of what is here: the rest of the frame that has begun, else 1."""
        available = self._end - self._start
        if available < 4:
            return 1
        length: int
        (length,) = codec.PREFIX.unpack_from(self._data, self._start)
        return max(1, 4 + length - available)

    def feed(self, data: bytes, now: float) -> list[Event]:
        """Like `received`, for bytes from elsewhere: what came behind the handshake. At most `BUFFER_MIN` of them."""
        room = self.buffer()
        room[: len(data)] = data
        return self.received(len(data), now)

    def _parse(self, end: int) -> list[Event]:
        events: list[Event] = []
        append = events.append
        data, view, start = self._data, self._view, self._start
        unpack = codec.PIECE_HEADER.unpack_from
        last_index, piece_length = self._last_index, self._piece_length
        while end - start >= codec.PIECE_HEADER_SIZE:
            # Almost every frame of a busy connection is a piece, so all four fields are taken at once; for a shorter
            # frame the last two mean nothing and are not looked at.
            length, ident, index, begin = unpack(data, start)
            if ident == codec.PIECE and 9 < length <= codec.PIECE_BODY_MAX:
                if begin + length - 9 > piece_length or index >= last_index:
                    self._check_block(index, begin, length - 9)
                stop = start + 4 + length
                if stop > end:
                    self._start = start
                    return events
                self._opening = False
                count = codec.run_length(data, start, end) if end - stop >= codec.FRAME_SIZE else 1
                if count > 1:
                    stop = start + count * codec.FRAME_SIZE
                    self._check_block(index, begin, count * BLOCK_SIZE)
                    places = range(start + codec.PIECE_HEADER_SIZE, stop, codec.FRAME_SIZE)
                    append(Blocks(index, begin, [view[at : at + BLOCK_SIZE] for at in places]))
                else:
                    append(Piece(index, begin, view[start + codec.PIECE_HEADER_SIZE : stop]))
                start = stop
                continue
            stop = self._parse_other(start, end, append)
            if stop < 0:
                self._start = start
                return events
            start = stop
        while start < end:
            stop = self._parse_other(start, end, append)
            if stop < 0:
                break
            start = stop
        self._start = start
        return events

    def _parse_other(self, start: int, end: int, append: Callable[[Event], None]) -> int:
        """Take one frame of any kind. Where the next one begins, or -1 when this one is not complete."""
        available = end - start
        length: int
        if available < 4:
            return -1
        (length,) = codec.PREFIX.unpack_from(self._data, start)
        if length == 0:
            return start + 4
        if available < 5:
            if length > max(codec.EXTENDED_BODY_MAX, 1 + self._bitfield_size):
                raise PeerProtocolError(Violation.FRAME_LENGTH, f"a frame of {length} bytes")
            return -1
        ident = self._data[start + 4]
        rule = RULES.get(ident)
        self._check_length(ident, length, rule)
        if rule is not None:
            self._check_legal(ident, rule)
        stop = start + 4 + length
        if stop > end:
            if 4 + length > len(self._data):
                self._wanted_size = 4 + length
            return -1
        if self._wanted_size > BUFFER_MAX:
            self._wanted_size = BUFFER_MIN
        if rule is None:
            return stop
        if not rule.neutral:
            self._opening = False
        event = self._parsers[ident](start + 5, stop)
        if event is not None:
            append(event)
        return stop

    def _check_length(self, ident: int, length: int, rule: _Rule | None) -> None:
        payload = length - 1
        if rule is None:
            legal = length <= codec.UNKNOWN_BODY_MAX
        elif rule.length is not None:
            legal = payload == rule.length
        elif ident == codec.BITFIELD:
            legal = payload == self._bitfield_size
        elif ident == codec.EXTENDED:
            legal = 1 <= payload <= codec.EXTENDED_BODY_MAX - 1
        else:
            legal = 9 < length <= codec.PIECE_BODY_MAX
        if not legal:
            raise PeerProtocolError(Violation.FRAME_LENGTH, f"message {ident} with {payload} bytes of payload")

    def _check_legal(self, ident: int, rule: _Rule) -> None:
        if (rule.needs == "fast" and not self.fast) or (rule.needs == "extended" and not self.extended):
            raise PeerProtocolError(
                Violation.NOT_NEGOTIATED, f"message {ident} without the {rule.needs} extension agreed on"
            )
        if rule.opening and not self._opening:
            raise PeerProtocolError(Violation.OUT_OF_ORDER, f"message {ident} after other messages")

    def _check_block(self, index: int, begin: int, length: int) -> None:
        if index > self._last_index:
            raise PeerProtocolError(Violation.OUT_OF_BOUNDS, f"piece {index} of {self._piece_count}")
        size = self._last_size if index == self._last_index else self._piece_length
        if begin + length > size:
            raise PeerProtocolError(
                Violation.OUT_OF_BOUNDS, f"bytes {begin} to {begin + length} of a piece of {size} bytes"
            )

    @property
    def _bitfield_size(self) -> int:
        return -(-self._piece_count // 8)

    def _move_to(self, data: bytearray) -> None:
        kept = self._end - self._start
        view = memoryview(data)
        view[:kept] = self._view[self._start : self._end]
        self._data, self._view = data, view
        self._start, self._end = 0, kept

    # One method for each message; start and stop span the payload

    def _on_choke(self, start: int, stop: int) -> Event:
        self.peer_choking = True
        return messages.Choke()

    def _on_unchoke(self, start: int, stop: int) -> Event:
        self.peer_choking = False
        return messages.Unchoke()

    def _on_interested(self, start: int, stop: int) -> Event:
        self.peer_interested = True
        return messages.Interested()

    def _on_not_interested(self, start: int, stop: int) -> Event:
        self.peer_interested = False
        return messages.NotInterested()

    def _index(self, start: int) -> int:
        index: int
        (index,) = codec.PREFIX.unpack_from(self._data, start)
        if index >= self._piece_count:
            raise PeerProtocolError(Violation.OUT_OF_BOUNDS, f"piece {index} of {self._piece_count}")
        return index

    def _block(self, start: int) -> tuple[int, int, int]:
        index, begin, length = codec.BLOCK_BODY.unpack_from(self._data, start)
        if not 0 < length <= codec.REQUEST_MAX:
            raise PeerProtocolError(Violation.OUT_OF_BOUNDS, f"a block of {length} bytes")
        self._check_block(index, begin, length)
        return index, begin, length

    def _on_have(self, start: int, stop: int) -> Event:
        return messages.Have(self._index(start))

    def _on_port(self, start: int, stop: int) -> Event | None:
        number = int.from_bytes(self._view[start:stop])
        return messages.Port(number) if number else None

    def _on_suggest(self, start: int, stop: int) -> Event:
        return messages.Suggest(self._index(start))

    def _on_allowed_fast(self, start: int, stop: int) -> Event:
        return messages.AllowedFast(self._index(start))

    def _on_request(self, start: int, stop: int) -> Event:
        return messages.Request(*self._block(start))

    def _on_cancel(self, start: int, stop: int) -> Event:
        return messages.Cancel(*self._block(start))

    def _on_reject(self, start: int, stop: int) -> Event:
        return messages.Reject(*self._block(start))

    def _on_bitfield(self, start: int, stop: int) -> Event:
        try:
            bits = Bitfield.from_bytes(self._view[start:stop], self._piece_count)
        except ValueError as error:
            raise PeerProtocolError(Violation.OUT_OF_BOUNDS, str(error)) from error
        return messages.PeerBitfield(bits)

    def _on_have_all(self, start: int, stop: int) -> Event:
        return messages.HaveAll()

    def _on_have_none(self, start: int, stop: int) -> Event:
        return messages.HaveNone()

    def _on_extended(self, start: int, stop: int) -> Event | None:
        ident = self._data[start]
        payload = bytes(self._view[start + 1 : stop])
        if ident == 0:
            self.remote = extension_handshake.parse(payload)
            for name, number in self.remote.extensions.items():
                if number:
                    self._remote_extensions[name] = number
                else:
                    self._remote_extensions.pop(name, None)
            return self.remote
        known = self._extension_names.get(ident)
        return None if known is None else messages.Extended(known, payload)

    # Sending

    def choke(self) -> bytes:
        """Stop serving the peer. Nothing when it is choked already."""
        if self.am_choking:
            return b""
        self.am_choking = True
        return self._bare(codec.CHOKE)

    def unchoke(self) -> bytes:
        """Serve the peer from now on. Nothing when it is unchoked already."""
        if not self.am_choking:
            return b""
        self.am_choking = False
        return self._bare(codec.UNCHOKE)

    def interested(self) -> bytes:
        """Say that the peer has something we want. Nothing when it knows."""
        if self.am_interested:
            return b""
        self.am_interested = True
        return self._bare(codec.INTERESTED)

    def not_interested(self) -> bytes:
        """Say that the peer has nothing we want. Nothing when it knows."""
        if not self.am_interested:
            return b""
        self.am_interested = False
        return self._bare(codec.NOT_INTERESTED)

    def bitfield(self, mine: Bitfield) -> bytes:
        """What we have, in the shortest legal form. Must come before every other message but `extension_handshake`."""
        if self._opened:
            raise LocalProtocolError("a bitfield after other messages")
        if self.fast and (mine.is_full or mine.is_empty):
            return self._bare(codec.HAVE_ALL if mine.is_full else codec.HAVE_NONE)
        self._opened = True
        if mine.is_empty:
            return b""
        self._sent_something = True
        return codec.bitfield(mine)

    def have(self, indices: Iterable[int]) -> bytes:
        """Announce pieces that we have now."""
        return self._sent(codec.with_index(codec.HAVE, indices))

    def request(self, blocks: Iterable[BlockTuple]) -> bytes:
        """Ask for blocks, each (index, begin, length)."""
        return self._sent(codec.with_blocks(codec.REQUEST, blocks))

    def request_run(self, index: int, blocks: range) -> bytes:
        """Ask for whole blocks of one piece, by their numbers within it."""
        return self._sent(codec.request_run(index, blocks))

    def cancel(self, blocks: Iterable[BlockTuple]) -> bytes:
        """Take requests back. With the fast extension each is still answered, by a piece or a reject (BEP 6)."""
        return self._sent(codec.with_blocks(codec.CANCEL, blocks))

    def piece_header(self, index: int, begin: int, length: int) -> bytes:
        """The bytes that go right before a block of `length` bytes, in the same write."""
        self._opened = self._sent_something = True
        return codec.piece_header(index, begin, length)

    def reject(self, blocks: Iterable[BlockTuple]) -> bytes:
        """Refuse requests. Nothing without the fast extension: there a choke is the refusal (BEP 6)."""
        if not self.fast:
            return b""
        return self._sent(codec.with_blocks(codec.REJECT, blocks))

    def allowed_fast(self, indices: Iterable[int]) -> bytes:
        """Let the peer ask for these pieces while it is choked. Nothing without the fast extension."""
        if not self.fast:
            return b""
        return self._sent(codec.with_index(codec.ALLOWED_FAST, indices))

    def suggest(self, indices: Iterable[int]) -> bytes:
        """Recommend pieces. Nothing without the fast extension."""
        if not self.fast:
            return b""
        return self._sent(codec.with_index(codec.SUGGEST, indices))

    def port(self, number: int) -> bytes:
        """Say where our node of the DHT is. To be sent to peers whose handshake says that they have one, too."""
        return self._sent(codec.port(number))

    def extension_handshake(
        self,
        *,
        listen_port: int | None = None,
        your_ip: str = "",
        upload_only: bool = False,
        metadata_size: int | None = None,
    ) -> bytes:
        """Say what we can do (BEP 10). Nothing when the peer does not know the extension protocol."""
        if not self.extended:
            return b""
        payload = extension_handshake.encode(
            self._local_extensions,
            listen_port=listen_port,
            your_ip=your_ip,
            upload_only=upload_only,
            metadata_size=metadata_size,
        )
        self._sent_something = True
        return codec.extended(0, payload)

    def supports(self, name: str) -> bool:
        """Has the peer announced the extension `name`?"""
        return name in self._remote_extensions

    def extension(self, name: str, payload: bytes) -> bytes:
        """A message of an extension. LocalProtocolError when the peer has not announced it."""
        number = self._remote_extensions.get(name)
        if number is None:
            raise LocalProtocolError(f"the peer does not know {name}")
        self._sent_something = True
        return codec.extended(number, payload)

    def _bare(self, ident: int) -> bytes:
        return self._sent(codec.bare(ident))

    def _sent(self, data: bytes) -> bytes:
        if data:
            self._opened = self._sent_something = True
        return data

    # Time

    def get_timer(self) -> float:
        """When `handle_timer` is due."""
        return min(self._check_at, self._heard_at + SILENCE_MAX)

    def handle_timer(self, now: float) -> bytes:
        """A keep-alive when we have been silent for long; PeerProtocolError when the peer has."""
        if now >= self._heard_at + SILENCE_MAX:
            self._failed = True
            raise PeerProtocolError(Violation.SILENT, f"silent for {SILENCE_MAX:.0f} s")
        if now < self._check_at:
            return b""
        self._check_at = now + KEEP_ALIVE_CHECK
        silent, self._sent_something = not self._sent_something, False
        return codec.KEEP_ALIVE if silent else b""
