"""TCP as a stream of simulated packets: windows, acknowledgements, losses, back-pressure.

Modelled after RFC 5681 and RFC 9438 (CUBIC in its TCP-friendly region, which is where lines of this size stay): slow
start that ends at a loss or when the round trip grows (RFC 9406, HyStart++ without its second phase), one cut to 0.7
per window of losses, resends after a round trip, time-outs that double. The sender's system takes twice the
congestion window, at least 64 KiB, as Linux' automatic send buffers do, and of what it cannot send yet no more than
the backlog (TCP_NOTSENT_LOWAT); what it has not taken is `unsent`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Final

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.net.stream import LOW_SHARE, LOW_WATER, Buffer, StreamHandler
from tests.sim.links import HEADERS, MSS, Host, Wires

BURST: Final = 4 * MSS
"""Bytes that travel as one event: four packets."""
INITIAL_WINDOW: Final = 10 * MSS
"""RFC 6928."""
SEND_BUFFER_MIN: Final = 64 * KIB
RECEIVE_BUFFER: Final = 512 * KIB
"""Bytes that a receiver who does not read lets wait."""
CUT: Final = 0.7
GROWTH: Final = 3 * (1 - CUT) / (1 + CUT)
"""Packets a round trip by which the window grows (RFC 9438, "TCP-friendly region")."""
PROBE: Final = 1.0
"""Seconds after which a sender asks whether the receiver has room again."""
RTO_MIN: Final = 0.2
RTO_MAX: Final = 60.0
MAX_TRIES: Final = 12
"""Sendings of one burst, after which the connection is dead."""


class _Burst:
    __slots__ = ("data", "number", "packets", "sent_at", "size", "tries")

    def __init__(self, number: int, data: bytes) -> None:
        self.number = number
        self.data = data
        self.packets = max(1, -(-len(data) // MSS))
        self.size = len(data) + self.packets * HEADERS
        self.tries = 0
        self.sent_at = 0.0


class SimStream:
    """One end of a connection. See `Stream`."""

    kind = TransportKind.TCP

    def __init__(self, wires: Wires, host: Host, endpoint: Endpoint, *, incoming: bool) -> None:
        self.endpoint = endpoint
        self.incoming = incoming
        self.peer: SimStream = self
        self._wires = wires
        self._host = host
        self._loop = wires.loop
        self._handler: StreamHandler | None = None
        # Sending
        self._queue: deque[Buffer] = deque()
        self._queued = 0
        self._backlog: float = float("inf")
        self._low_water = LOW_WATER
        self._again: deque[_Burst] = deque()
        self._in_flight = 0
        self._window: float = INITIAL_WINDOW
        self._threshold = float("inf")
        self._cut_until = 0
        self._next_number = 0
        self._delivered = 0
        self._round_trip = 0.0
        self._shortest = float("inf")
        self._sent_at = self._loop.now
        self._their_room = RECEIVE_BUFFER
        self._was_high = self._probing = False
        self.resent = 0
        """Bursts sent again."""
        # Receiving
        self._inbox: deque[memoryview] = deque()
        self._waiting = 0
        self._expected = 0
        self._early: dict[int, _Burst] = {}
        # Ending
        self._paused = self._closing = self._finished = self._eof = self._scheduled = self._told_full = False
        self._error: Exception | None = None

    # --- what the engine sees -------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        if self._finished:
            return 0
        taken = min(max(SEND_BUFFER_MIN, 2 * int(self._window)), self._in_flight + self._backlog)
        return max(0, int(self._queued + self._in_flight - taken))

    def start(self, handler: StreamHandler) -> None:
        self._handler = handler
        if self._finished:
            self._loop.call_soon(handler.closed, self._error)
        self._soon()

    def write(self, chunks: Sequence[Buffer]) -> None:
        if self._closing or self._finished:
            return
        for chunk in chunks:
            if len(chunk):
                self._queue.append(chunk)
                self._queued += len(chunk)
        self._was_high = self._was_high or self.unsent > self._low_water
        self._push()

    def set_backlog(self, count: int) -> None:
        self._backlog, self._low_water = count, count // LOW_SHARE

    def expect(self, count: int) -> None:
        """A call too many costs nothing here."""

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._soon()

    def close(self) -> None:
        if not self._closing and not self._finished:
            self._closing = True
            self._inbox.clear()
            self._farewell()

    def abort(self) -> None:
        self._finish(None)

    # --- sending --------------------------------------------------------------------------------

    def _push(self) -> None:
        now = self._loop.now
        if not self._in_flight and now - self._sent_at > max(RTO_MIN, 2 * self._round_trip):
            self._window = min(self._window, INITIAL_WINDOW)
        while self._again or self._queued:
            room = min(self._window, self._their_room) - self._in_flight
            if room < MSS and (self._in_flight or self._their_room < MSS):
                if not self._in_flight and not self._probing:
                    self._probing = True
                    self._loop.at(now + PROBE, self._probe)
                return
            if self._again:
                burst = self._again.popleft()
                self.resent += 1
            else:
                burst = _Burst(self._next_number, self._take(min(BURST, max(MSS, int(room) // MSS * MSS))))
                self._next_number += 1
            self._send(burst)

    def _take(self, count: int) -> bytes:
        parts: list[Buffer] = []
        while count and self._queue:
            chunk = self._queue.popleft()
            if len(chunk) > count:
                view = memoryview(chunk)
                parts.append(view[:count])
                self._queue.appendleft(view[count:])
                self._queued -= count
                break
            parts.append(chunk)
            count -= len(chunk)
            self._queued -= len(chunk)
        return b"".join(parts)

    def _send(self, burst: _Burst) -> None:
        self._in_flight += len(burst.data)
        burst.tries += 1
        burst.sent_at = self._sent_at = self._loop.now
        self._wires.send(
            self._host, self.peer._host, burst.size, burst.packets, self.peer._arrived, self._dropped, burst
        )

    def _dropped(self, burst: _Burst) -> None:
        """The sender notices by what it hears of later packets; when there are none, by its clock."""
        wait = max(self._round_trip, 0.001)
        if burst.tries > 1:
            wait = min(RTO_MAX, max(RTO_MIN, 2 * wait) * 2 ** (burst.tries - 2))
        self._loop.at(self._loop.now + wait, self._lost, burst)

    def _lost(self, burst: _Burst) -> None:
        if self._finished:
            return
        if burst.tries >= MAX_TRIES:
            self._finish(TimeoutError("no answer"))
            return
        self._in_flight -= len(burst.data)
        if burst.number >= self._cut_until:
            self._cut_until = self._next_number
            self._window = self._threshold = max(2 * MSS, self._window * CUT)
        self._again.append(burst)
        self._push()
        self._tell_writable()

    def _acknowledged(self, burst: _Burst, room: int) -> None:
        if self._finished:
            return
        size = len(burst.data)
        self._their_room = room
        if burst.tries == 1:
            sample = self._loop.now - burst.sent_at
            self._shortest = min(self._shortest, sample)
            self._round_trip += (sample - self._round_trip) / (8 if self._round_trip else 1)
            if (
                self._window < self._threshold
                and self._window >= 16 * MSS
                and sample > self._shortest + min(0.016, max(0.004, self._shortest / 8))
            ):
                self._threshold = self._window
        if self._in_flight + MSS >= self._window or self._in_flight + size >= self._window:
            if self._window < self._threshold:
                self._window += size
            else:
                self._window += GROWTH * MSS * size / self._window
        self._in_flight -= size
        self._delivered += size
        self._push()
        self._tell_writable()
        if self._closing:
            self._farewell()

    def _tell_writable(self) -> None:
        if self._was_high and self.unsent <= self._low_water:
            self._was_high = False
            if self._handler is not None and not self._closing and not self._finished:
                self._handler.writable()

    def _farewell(self) -> None:
        """All that was written is there: say that nothing more comes, and wait until they end too."""
        if not self._queued and not self._in_flight and not self._again:
            self._wires.answer(self._host, self.peer._host, self.peer._on_eof)

    # --- receiving ------------------------------------------------------------------------------

    def _arrived(self, burst: _Burst) -> None:
        if self._finished:
            return
        if burst.number == self._expected:
            self._take_in(burst)
            while self._early:
                next_one = self._early.pop(self._expected, None)
                if next_one is None:
                    break
                self._take_in(next_one)
            self._deliver()
        else:
            self._early[burst.number] = burst
        room = max(0, RECEIVE_BUFFER - self._waiting)
        self._told_full = room < BURST
        # Every second packet is acknowledged.
        for _ in range(max(1, burst.packets // 2) - 1):
            self._host.up.push(self._loop.now, HEADERS)
        self._wires.answer(self._host, self.peer._host, self.peer._acknowledged, burst, room)

    def _take_in(self, burst: _Burst) -> None:
        self._expected += 1
        if not self._closing:
            self._inbox.append(memoryview(burst.data))
            self._waiting += len(burst.data)

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._later)

    def _later(self) -> None:
        self._scheduled = False
        self._deliver()

    def _deliver(self) -> None:
        while self._inbox and not self._paused and not self._closing and not self._finished:
            handler = self._handler
            if handler is None:
                return
            data = self._inbox.popleft()
            room = handler.buffer()
            count = min(len(room), len(data))
            room[:count] = data[:count]
            if count < len(data):
                self._inbox.appendleft(data[count:])
            self._waiting -= count
            try:
                handler.received(count)
            except Exception as error:
                logging.getLogger("icw.net.sim").exception("a stream handler failed")
                self._finish(error)
                return
        if self._told_full and self._waiting <= RECEIVE_BUFFER // 2 and not self._finished:
            self._told_full = False
            self._wires.answer(self._host, self.peer._host, self.peer._has_room)
        if self._eof and not self._inbox and self._handler is not None:
            self._finish(None)

    def _probe(self) -> None:
        """The word that there is room again may have been lost: ask."""
        self._probing = False
        if not self._finished and self._their_room < MSS:
            self._wires.answer(self._host, self.peer._host, self.peer._probed)
            self._push()

    def _probed(self) -> None:
        if self._waiting <= RECEIVE_BUFFER // 2 and not self._finished:
            self._wires.answer(self._host, self.peer._host, self.peer._has_room)

    def _has_room(self) -> None:
        if not self._finished:
            self._their_room = RECEIVE_BUFFER
            self._push()

    # --- the end --------------------------------------------------------------------------------

    def _on_eof(self) -> None:
        self._eof = True
        self._soon()

    def _finish(self, error: Exception | None) -> None:
        if self._finished:
            return
        self._finished, self._error = True, error
        self._inbox.clear()
        self._early.clear()
        self._queue.clear()
        self._again.clear()
        self._waiting = self._queued = 0
        if self._handler is not None:
            self._loop.call_soon(self._handler.closed, error)
        self._wires.answer(self._host, self.peer._host, self.peer._on_eof)
