"""Two peer wires joined by nothing but bytes, and ways to cut those bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.wire.peer.extensions import EXTENSIONS
from icworkshop_gui.wire.peer.messages import Blocks, Event, Piece
from icworkshop_gui.wire.peer.peer_wire import PeerWire

SMALL = Geometry(3 * 4 * BLOCK_SIZE + 20_000, 4 * BLOCK_SIZE)
"""Four pieces of 64 KiB; the last has 20,000 bytes: one full block and a short one."""


def wire(
    geometry: Geometry = SMALL,
    *,
    fast: bool = True,
    extended: bool = True,
    now: float = 0.0,
    extensions: Mapping[str, int] = EXTENSIONS,
) -> PeerWire:
    return PeerWire(geometry, fast=fast, extended=extended, now=now, extensions=extensions)


def pair(geometry: Geometry = SMALL, *, fast: bool = True, extended: bool = True) -> tuple[PeerWire, PeerWire]:
    """Two ends of one connection."""
    return wire(geometry, fast=fast, extended=extended), wire(geometry, fast=fast, extended=extended)


def kept(event: Event) -> list[Event]:
    """The same event, its block copied: good for ever; blocks that came together as one `Piece` each."""
    if type(event) is Blocks:
        return [copy for piece in event.pieces() for copy in kept(piece)]
    return [Piece(event.index, event.begin, memoryview(bytes(event.block))) if type(event) is Piece else event]


def deliver(target: PeerWire, data: bytes | memoryview, now: float = 0.0) -> list[Event]:
    """Everything `target` makes of `data`, as large bites as it lends room for."""
    events: list[Event] = []
    rest = memoryview(data)
    while rest:
        room = target.buffer()
        count = min(len(room), len(rest))
        room[:count] = rest[:count]
        rest = rest[count:]
        events += [copy for event in target.received(count, now) for copy in kept(event)]
    return events


def deliver_cut(target: PeerWire, data: bytes, cuts: Iterable[int]) -> list[Event]:
    """The same, cut at these offsets."""
    events: list[Event] = []
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        events += deliver(target, data[start:cut])
        start = cut
    return events
