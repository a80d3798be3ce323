"""One peer connection while the torrent is not known yet: no geometry, so only extension messages are understood.

A machine like `PeerWire`, and what comes before it. What the peer says about itself meanwhile (its bitfield, haves,
chokes) is kept as it came, so that a `PeerWire` can be fed with it once the metadata is here:

    view = wire.buffer()
    for event in wire.received(count, now):   # ExtensionHandshake or Extended; PeerProtocolError: close
        ...
    leftover = wire.take()                    # for Swarm.adopt; None when it is too much to keep
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from icworkshop_gui.core.errors import LocalProtocolError
from icworkshop_gui.core.units import KIB
from icworkshop_gui.formats.metainfo import PIECES_MAX
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer import codec, messages
from icworkshop_gui.wire.peer.extensions import EXTENSIONS, ut_metadata
from icworkshop_gui.wire.peer.extensions import handshake as extension_handshake
from icworkshop_gui.wire.peer.peer_wire import BUFFER_MIN, KEEP_ALIVE_CHECK, SILENCE_MAX

LENT: Final = 32 * KIB
"""Bytes lent for each receive."""

BITFIELD_MAX: Final = 1 + PIECES_MAX // 8
"""Bytes of the longest `bitfield` frame after its length prefix."""

KEPT_MAX: Final = BUFFER_MIN
"""Bytes kept for `PeerWire.feed`. A peer that says more (250,000 pieces) is dialled again instead."""

_KEPT: Final = frozenset(
    {
        codec.CHOKE,
        codec.UNCHOKE,
        codec.INTERESTED,
        codec.NOT_INTERESTED,
        codec.HAVE,
        codec.BITFIELD,
        codec.HAVE_ALL,
        codec.HAVE_NONE,
        codec.ALLOWED_FAST,
    }
)
"""Messages that say what a peer is like. Requests are not kept: it is choked and gets nothing."""


class MetadataWire:
    """See the module. Both sides have said in their handshakes that they know the extension protocol."""

    def __init__(self, now: float, extensions: Mapping[str, int] = EXTENSIONS) -> None:
        self.remote = extension_handshake.ExtensionHandshake()
        """What the peer said in its extension handshake; the defaults until it does."""
        self._names = {number: name for name, number in extensions.items()}
        self._extensions = dict(extensions)
        self._numbers: dict[str, int] = {}
        self._lent = memoryview(bytearray(LENT))
        self._data = bytearray()
        self._kept = bytearray()
        self._is_overfull = False
        self._failed = False
        self._heard_at = now
        self._check_at = now + KEEP_ALIVE_CHECK
        self._sent_something = True

    # Receiving

    def buffer(self) -> memoryview:
        """Room for the next bytes."""
        return self._lent

    def received(self, count: int, now: float) -> list[messages.Event]:
        """What the `count` bytes in the lent buffer complete."""
        return self.feed(self._lent[:count], now)

    def feed(self, data: bytes | memoryview, now: float) -> list[messages.Event]:
        """Like `received`, for bytes from elsewhere."""
        if self._failed:
            raise LocalProtocolError("the connection is over")
        self._heard_at = now
        self._data += data
        try:
            return self._parse()
        except PeerProtocolError:
            self._failed = True
            raise

    def _parse(self) -> list[messages.Event]:
        events: list[messages.Event] = []
        start, end = 0, len(self._data)
        while end - start >= 5:
            length: int
            length, ident = codec.HEADER.unpack_from(self._data, start)
            if length == 0:
                start += 4
                continue
            if length > _length_max(ident):
                raise PeerProtocolError(Violation.FRAME_LENGTH, f"message {ident} of {length} bytes")
            stop = start + 4 + length
            if stop > end:
                break
            if ident == codec.EXTENDED:
                if length < 2:
                    raise PeerProtocolError(Violation.FRAME_LENGTH, "an extension message of no bytes")
                event = self._on_extended(start, stop)
                if event is not None:
                    events.append(event)
            elif ident in _KEPT:
                self._keep(start, stop)
            start = stop
        while self._data[start : start + 4] == codec.KEEP_ALIVE:
            start += 4
        del self._data[:start]
        return events

    def _on_extended(self, start: int, stop: int) -> messages.Event | None:
        ident = self._data[start + 5]
        payload = bytes(self._data[start + 6 : stop])
        if ident == 0:
            self.remote = extension_handshake.parse(payload)
            for name, number in self.remote.extensions.items():
                if number:
                    self._numbers[name] = number
                else:
                    self._numbers.pop(name, None)
            self._keep(start, stop)
            return self.remote
        name_of_ours = self._names.get(ident)
        if name_of_ours is None:
            return None
        if name_of_ours != ut_metadata.NAME:
            self._keep(start, stop)
        return messages.Extended(name_of_ours, payload)

    def _keep(self, start: int, stop: int) -> None:
        if self._is_overfull or len(self._kept) + stop - start > KEPT_MAX:
            self._is_overfull = True
            self._kept.clear()
        else:
            self._kept += self._data[start:stop]

    def take(self) -> bytes | None:
        """All that a `PeerWire` must hear; None when it is too much. This machine is over."""
        self._failed = True
        if self._is_overfull or len(self._kept) + len(self._data) > KEPT_MAX:
            return None
        return bytes(self._kept + self._data)

    # Sending

    def extension_handshake(self, *, listen_port: int | None = None, your_ip: str = "") -> bytes:
        """Say what we can do (BEP 10)."""
        self._sent_something = True
        payload = extension_handshake.encode(self._extensions, listen_port=listen_port, your_ip=your_ip)
        return codec.extended(0, payload)

    def supports(self, name: str) -> bool:
        """Has the peer announced the extension `name`?"""
        return name in self._numbers

    def metadata(self, message: ut_metadata.Message) -> bytes:
        """A message to a peer that has announced `ut_metadata`; LocalProtocolError to another."""
        number = self._numbers.get(ut_metadata.NAME)
        if number is None:
            raise LocalProtocolError(f"the peer does not know {ut_metadata.NAME}")
        self._sent_something = True
        return codec.extended(number, ut_metadata.encode(message))

    # Time

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


def _length_max(ident: int) -> int:
    """Bytes of a frame after its length prefix."""
    if ident == codec.EXTENDED:
        return codec.EXTENDED_BODY_MAX
    return BITFIELD_MAX if ident == codec.BITFIELD else codec.UNKNOWN_BODY_MAX
