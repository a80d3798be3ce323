"""`lt_donthave`: a piece that was told of is there no more (BEP 54). We only listen: what we lose we do not serve, and
after a check a new swarm says what is left.
"""

from __future__ import annotations

import struct
from typing import Final

from icworkshop_gui.wire.errors import PeerProtocolError, Violation

NAME: Final = "lt_donthave"

_INDEX: Final = struct.Struct("!I")


def parse(payload: bytes, piece_count: int) -> int:
    """The number of the piece. PeerProtocolError for anything but one that the torrent has."""
    if len(payload) != _INDEX.size:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} of {len(payload)} bytes")
    index: int
    (index,) = _INDEX.unpack(payload)
    if index >= piece_count:
        raise PeerProtocolError(Violation.OUT_OF_BOUNDS, f"{NAME} for piece {index} of {piece_count}")
    return index
