"""A stream is an ordered byte pipe to a peer over any transport. It pushes; nobody awaits on the hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.core.units import KIB

Buffer = bytes | bytearray | memoryview

LOW_WATER: Final = 128 * KIB
"""Bytes unsent at which `writable` is called, once they have been more, unless `set_backlog` says otherwise."""

LOW_SHARE: Final = 4
"""`writable` is called at this part of the backlog."""


class StreamHandler(Protocol):
    """Who is at our end of a stream. Called on the engine's loop; must not raise."""

    def buffer(self) -> memoryview:
        """Room for the next bytes, never empty; valid until `received`."""
        ...

    def received(self, count: int) -> None:
        """`count` bytes lie in the buffer that was lent."""
        ...

    def writable(self) -> None:
        """What waits to be sent fell to the low water mark. Not called while it never rose above."""
        ...

    def closed(self, error: Exception | None) -> None:
        """The last call. `error` is None when the other side ended cleanly or we closed."""
        ...


class Stream(Protocol):
    """One connection."""

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def kind(self) -> TransportKind: ...

    @property
    def incoming(self) -> bool: ...

    @property
    def unsent(self) -> int:
        """Bytes handed to `write` that the system has not taken."""
        ...

    def start(self, handler: StreamHandler) -> None:
        """Deliver to `handler` from now on; calling again changes the handler."""
        ...

    def write(self, chunks: Sequence[Buffer]) -> None:
        """Send all chunks in order, in as few system calls as possible. Never blocks; watch `unsent`.

        The chunks must not change afterwards: they may be sent later.
        """
        ...

    def set_backlog(self, count: int) -> None:
        """Let about `count` bytes wait for the line in the system's own buffer, where it can be told (it takes
        megabytes otherwise), and call `writable` once `unsent` is down to a quarter of that."""
        ...

    def expect(self, count: int) -> None:
        """A hint: with fewer than `count` bytes the handler can do nothing, so it need not be called before so many
        are there. Holds until the next call; 1 takes it back. The end of the stream is told all the same."""
        ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        """Send what waits, then close; `closed(None)` follows. Safe to call twice."""
        ...

    def abort(self) -> None:
        """Close at once; `closed` follows."""
        ...
