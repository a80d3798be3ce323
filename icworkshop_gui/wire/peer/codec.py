"""Messages to bytes, and the sizes that both directions must keep (BEP 3 "peer messages", BEP 6, BEP 10).

Knows nothing of state: `peer_wire` says when a message may be sent or received.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.units import BLOCK_SIZE, KIB

CHOKE: Final = 0
UNCHOKE: Final = 1
INTERESTED: Final = 2
NOT_INTERESTED: Final = 3
HAVE: Final = 4
BITFIELD: Final = 5
REQUEST: Final = 6
PIECE: Final = 7
CANCEL: Final = 8
PORT: Final = 9
SUGGEST: Final = 13
HAVE_ALL: Final = 14
HAVE_NONE: Final = 15
REJECT: Final = 16
ALLOWED_FAST: Final = 17
EXTENDED: Final = 20

REQUEST_MAX: Final = 128 * KIB
"""Longest block in bytes that a peer may ask for. Everybody asks for 16 KiB; 128 KiB is what the clients
in use still serve, and more would let one message pull a large read."""

PIECE_BODY_MAX: Final = BLOCK_SIZE + 9
"""Longest `piece` frame after its length prefix: id, index, begin and one block, since we never ask for more."""

EXTENDED_BODY_MAX: Final = 256 * KIB
"""Longest `extended` frame after its length prefix, in bytes: far above any PEX or metadata message, and 200 peers that
announce such a one and trickle cost 50 MB."""

UNKNOWN_BODY_MAX: Final = BLOCK_SIZE + 9
"""Longest frame of an unknown kind that is skipped rather than refused, in bytes."""

PIECE_HEADER_SIZE: Final = 13

PREFIX: Final = Struct("!I")
HEADER: Final = Struct("!IB")
ONE_INDEX: Final = Struct("!IBI")
PIECE_HEADER: Final = Struct("!IBII")
BLOCK: Final = Struct("!IBIII")
BLOCK_BODY: Final = Struct("!III")

FRAME_SIZE: Final = PIECE_HEADER_SIZE + BLOCK_SIZE
"""Bytes of a `piece` message with a whole block."""

RUN_MAX: Final = 16
"""Blocks looked at together: about what the largest receive buffer holds."""

_RUNS: Final = [Struct("!" + f"IBII{BLOCK_SIZE}x" * count) for count in range(RUN_MAX + 1)]

KEEP_ALIVE: Final = b"\0\0\0\0"

BlockTuple = tuple[int, int, int]
"""(index, begin, length): `Request`, or any NamedTuple of that shape."""

_PLACE = Struct("!II")
_PLACES: list[bytes] = []
"""What a request for a whole block says behind the index, by block number: the same words for every piece."""

_PIECE_PREFIX = PIECE_HEADER.pack


def bare(ident: int) -> bytes:
    """A message of nothing but its id."""
    return HEADER.pack(1, ident)


def with_index(ident: int, indices: Iterable[int]) -> bytes:
    """One message for each piece, end to end: have, suggest, allowed fast."""
    pack = ONE_INDEX.pack
    return b"".join([pack(5, ident, index) for index in indices])


def with_blocks(ident: int, blocks: Iterable[BlockTuple]) -> bytes:
    """One message for each block, end to end: request, cancel, reject."""
    pack = BLOCK.pack
    return b"".join([pack(13, ident, index, begin, length) for index, begin, length in blocks])


def request_run(index: int, blocks: range) -> bytes:
    """Requests for whole blocks of one piece, by their numbers within it."""
    while len(_PLACES) < blocks.stop:
        _PLACES.append(_PLACE.pack(len(_PLACES) * BLOCK_SIZE, BLOCK_SIZE))
    head = ONE_INDEX.pack(13, REQUEST, index)
    return head + head.join(_PLACES[blocks.start : blocks.stop])


def piece_header(index: int, begin: int, length: int) -> bytes:
    """The 13 bytes that go before a block of `length` bytes."""
    return _PIECE_PREFIX(length + 9, PIECE, index, begin)


def run_length(data: bytes | bytearray, start: int, end: int) -> int:
    """How many `piece` messages with whole blocks lie between `start` and `end`, each complete and continuing the piece
    of the one before it; the first begins at `start`. At most `RUN_MAX`.
    """
    count = min((end - start) // FRAME_SIZE, RUN_MAX)
    fields = _RUNS[count].unpack_from(data, start)
    length, ident, index, begin = (fields[number::4] for number in range(4))
    following = tuple(range(begin[0], begin[0] + count * BLOCK_SIZE, BLOCK_SIZE))
    if begin == following and length.count(PIECE_BODY_MAX) == ident.count(PIECE) == index.count(index[0]) == count:
        return count
    for number in range(count):
        found = fields[4 * number : 4 * number + 4]
        if found != (PIECE_BODY_MAX, PIECE, index[0], following[number]):
            return number
    return count


def bitfield(bits: Bitfield) -> bytes:
    raw = bits.to_bytes()
    return HEADER.pack(1 + len(raw), BITFIELD) + raw


def port(number: int) -> bytes:
    """Where our node of the DHT is (BEP 5)."""
    return HEADER.pack(3, PORT) + number.to_bytes(2)


def extended(ident: int, payload: bytes) -> bytes:
    """An extension message; `ident` is the number that the receiver chose, 0 for the handshake (BEP 10)."""
    return HEADER.pack(2 + len(payload), EXTENDED) + bytes((ident,)) + payload
