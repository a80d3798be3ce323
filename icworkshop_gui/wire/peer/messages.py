"""What two peers say to each other after the handshake (BEP 3 "peer messages", BEP 6, BEP 10).

A message received is an event of `PeerWire.received`: dispatch by `type(event) is Piece` or `match`. Blocks that follow
one another may come as one event, `Blocks`.

The ones that name a block are NamedTuples: many thousands a second are made, and a `Cancel` or `Reject` equals the
`Request` it is about, so that it can be looked up as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.wire.peer.extensions.handshake import ExtensionHandshake


@dataclass(frozen=True, slots=True)
class Choke:
    """They stop serving us. Without the fast extension every request outstanding is forgotten (BEP 3, BEP 6)."""


@dataclass(frozen=True, slots=True)
class Unchoke:
    """They serve us from now on."""


@dataclass(frozen=True, slots=True)
class Interested:
    """They want something that we have."""


@dataclass(frozen=True, slots=True)
class NotInterested:
    """They want nothing that we have."""


@dataclass(frozen=True, slots=True)
class Have:
    """They have one more piece."""

    index: int


@dataclass(frozen=True, slots=True)
class PeerBitfield:
    """Which pieces they have. May come again later and then replaces the first (aria2). Ours to keep and change."""

    bits: Bitfield


@dataclass(frozen=True, slots=True)
class HaveAll:
    """They have every piece (BEP 6): in place of a bitfield."""


@dataclass(frozen=True, slots=True)
class HaveNone:
    """They have no piece (BEP 6): in place of a bitfield."""


class Request(NamedTuple):
    """They ask for a block. It lies within the torrent and is no longer than `REQUEST_MAX`."""

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    begin: int
    length: int


class Piece(NamedTuple):
    """A block arrived. It lies within the torrent; whether we asked for it is for the receiver to know."""

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    begin: int
    block: memoryview
    """A view into the machine's receive buffer: good until its next `buffer` or `received` call."""


class Blocks(NamedTuple):
    """Several whole blocks of one piece arrived, one after the other: what a peer that answers in order sends. Says the
    same as a `Piece` for each, in the time of one.
    """

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    begin: int
    """Of the first; each of the others follows the one before it."""
    blocks: list[memoryview]
    """Each of `BLOCK_SIZE`, and good for as long as the view of a `Piece`."""

    def pieces(self) -> list[Piece]:
        """The same, each block by itself."""
        return [Piece(self.index, self.begin + number * BLOCK_SIZE, block) for number, block in enumerate(self.blocks)]


class Cancel(NamedTuple):
    """They no longer want a block that they asked for."""

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class Suggest:
    """They would like us to take this piece next (BEP 6)."""

    index: int


class Reject(NamedTuple):
    """They will not answer this request of ours (BEP 6)."""

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class AllowedFast:
    """We may ask for this piece even while choked (BEP 6)."""

    index: int


@dataclass(frozen=True, slots=True)
class Port:
    """They have a node of the DHT on this UDP port, never 0 (BEP 5)."""

    number: int


@dataclass(frozen=True, slots=True)
class Extended:
    """A message of an extension that we announced (BEP 10)."""

    name: str
    payload: bytes


Event = (
    Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | PeerBitfield
    | HaveAll
    | HaveNone
    | Request
    | Piece
    | Blocks
    | Cancel
    | Suggest
    | Reject
    | AllowedFast
    | Port
    | Extended
    | ExtensionHandshake
)
