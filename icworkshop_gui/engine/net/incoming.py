"""The door for strangers: who connects must say within seconds which torrent it is about (engine.md F D-8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.wire.peer.handshake import Handshake, HandshakeReceiver

PENDING_MAX: Final = 256
"""Connections that have not sent their handshake yet; further ones are closed at once."""

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for the 68 bytes, however slowly they trickle in."""

PER_ADDRESS_MAX: Final = 8
"""Connections of one public IP address: room for a household behind one router, not for a flood."""

OnHandshake = Callable[[Stream, Handshake, bytes], None]


class AddressCap:
    """Counts connections by IP address. Private and loopback addresses are not counted: behind them are many
    people of one network, and lobby peers."""

    def __init__(self, limit: int = PER_ADDRESS_MAX) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()

    def admit(self, endpoint: Endpoint) -> bool:
        """Count one more; False when the address has its share already."""
        if not endpoint.is_global:
            return True
        if self._counts[endpoint.host] >= self._limit:
            return False
        self._counts[endpoint.host] += 1
        return True

    def release(self, endpoint: Endpoint) -> None:
        """One that was admitted is gone."""
        if self._counts[endpoint.host] <= 1:
            del self._counts[endpoint.host]
        else:
            self._counts[endpoint.host] -= 1


class HandshakeGate:
    """Takes streams from a listener and hands on those that introduce themselves.

    `on_handshake(stream, handshake, leftover)` gets the stream with reading paused: start it with a handler, feed the
    leftover to its `PeerWire`, then `resume_reading`, or abort it.
    """

    def __init__(
        self, on_handshake: OnHandshake, *, pending_max: int = PENDING_MAX, timeout: float = HANDSHAKE_TIMEOUT
    ) -> None:
        self._on_handshake = on_handshake
        self._pending_max = pending_max
        self._timeout = timeout
        self._visitors: set[_Visitor] = set()
        self._cap = AddressCap()

    @property
    def pending(self) -> int:
        """Connections whose handshake is awaited."""
        return len(self._visitors)

    def accept(self, stream: Stream) -> None:
        """To be passed to `Network.listen`."""
        if len(self._visitors) >= self._pending_max or not self._cap.admit(stream.endpoint):
            stream.abort()
            return
        visitor = _Visitor(self, stream, self._timeout)
        self._visitors.add(visitor)
        stream.start(visitor)

    def close(self) -> None:
        """Turn away everybody who has not introduced itself yet."""
        for visitor in list(self._visitors):
            visitor.turn_away()

    def _leave(self, visitor: _Visitor) -> None:
        if visitor in self._visitors:
            self._visitors.discard(visitor)
            self._cap.release(visitor.stream.endpoint)

    def _introduce(self, visitor: _Visitor, handshake: Handshake, leftover: bytes) -> None:
        self._leave(visitor)
        self._on_handshake(visitor.stream, handshake, leftover)


class _Visitor:
    """A connection that has not introduced itself."""

    def __init__(self, gate: HandshakeGate, stream: Stream, timeout: float) -> None:
        self.stream = stream
        self._gate = gate
        self._receiver = HandshakeReceiver()
        self._timer = asyncio.get_running_loop().call_later(timeout, self.turn_away)

    def buffer(self) -> memoryview:
        return self._receiver.buffer()

    def received(self, count: int) -> None:
        try:
            handshake = self._receiver.received(count)
        except RemoteProtocolError:
            self.turn_away()
            return
        if handshake is not None:
            self._timer.cancel()
            self.stream.pause_reading()
            self._gate._introduce(self, handshake, self._receiver.leftover)

    def writable(self) -> None:
        """Nothing is written before the handshake is known."""

    def closed(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._gate._leave(self)

    def turn_away(self) -> None:
        self._timer.cancel()
        self._gate._leave(self)
        self.stream.abort()
