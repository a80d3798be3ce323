"""`ut_metadata`: the info dict, piece by piece, from peer to peer (BEP 9, "extension message").

A message is a flat bencoded dict; behind a `data` message's dict follow the bytes of the piece. Pieces have 16 KiB, the
last one what is left.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import BLOCK_SIZE, KIB
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer.extensions.handshake import METADATA_MAX as SIZE_MAX

NAME: Final = "ut_metadata"

PIECE_SIZE: Final = BLOCK_SIZE
"""Bytes of every piece but the last."""

PIECES_MAX: Final = SIZE_MAX // PIECE_SIZE
"""Pieces of the largest info dict that is believed."""

MESSAGE_MAX: Final = 17 * KIB
"""Bytes of one message: a piece and its dict (engine.md E.10)."""


class Kind(IntEnum):
    """`msg_type`."""

    REQUEST = 0
    DATA = 1
    REJECT = 2


class Message(NamedTuple):
    """One message; `total_size` and `data` mean something in a DATA message only."""

    kind: Kind
    piece: int
    total_size: int = 0
    data: bytes = b""


def piece_count(size: int) -> int:
    """Pieces of an info dict of `size` bytes."""
    return -(-size // PIECE_SIZE)


def piece_size(size: int, piece: int) -> int:
    """Bytes of one piece of an info dict of `size` bytes."""
    return min(PIECE_SIZE, size - piece * PIECE_SIZE)


def encode(message: Message) -> bytes:
    """The payload of the extension message.

    WebTorrent looks for the first `ee` to find where the dict ends: so it is flat, and an integer comes last.
    """
    fields: dict[bytes, object] = {b"msg_type": int(message.kind), b"piece": message.piece}
    if message.kind is Kind.DATA:
        fields[b"total_size"] = message.total_size
    return bencode.encode(fields) + message.data


def parse(payload: bytes) -> Message | None:
    """None for a type that we do not know (BEP 9: to be ignored). PeerProtocolError for what is no message, or when
    the bytes of a piece are not as many as they must be.
    """
    if len(payload) > MESSAGE_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} of {len(payload)} bytes")
    try:
        fields, end = bencode.decode_prefix(payload)
    except FormatError as error:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} that is not bencoded: {error}") from error
    kind = fields.get(b"msg_type") if isinstance(fields, dict) else None
    piece = fields.get(b"piece") if isinstance(fields, dict) else None
    if not isinstance(kind, int) or not isinstance(piece, int):
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} without a type and a piece")
    if not Kind.REQUEST <= kind <= Kind.REJECT:
        return None
    if not 0 <= piece < PIECES_MAX:
        raise PeerProtocolError(Violation.OUT_OF_BOUNDS, f"{NAME} for piece {piece}")
    if kind != Kind.DATA:
        return Message(Kind(kind), piece)
    assert isinstance(fields, dict)
    size = fields.get(b"total_size")
    if not isinstance(size, int) or not 0 < size <= SIZE_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} without a size from 1 to {SIZE_MAX}")
    data = payload[end:]
    if piece >= piece_count(size) or len(data) != piece_size(size, piece):
        raise PeerProtocolError(Violation.OUT_OF_BOUNDS, f"{NAME} with {len(data)} bytes for piece {piece} of {size}")
    return Message(Kind.DATA, piece, size, data)
