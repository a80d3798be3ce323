"""The pieces that a choked peer may ask for all the same, so that it has something to trade (BEP 6 "allowed fast")."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Final

from icworkshop_gui.core.ids import InfoHash

ALLOWED_FAST_COUNT: Final = 10
"""Pieces granted to each peer (BEP 6 suggests 10)."""


def allowed_fast_set(info_hash: InfoHash, host: str, piece_count: int, size: int = ALLOWED_FAST_COUNT) -> list[int]:
    """Piece indices for the peer at numeric IPv4 address `host`, always the same ones, in canonical order.

    Empty for IPv6, for which BEP 6 defines no set. Every piece when the torrent has no more than `size`.
    """
    address = ipaddress.ip_address(host)
    if address.version != 4:
        return []
    if piece_count <= size:
        return list(range(piece_count))
    # Only the /24 counts, so that a peer gains nothing by hopping between neighbouring addresses.
    seed = (int(address) & 0xFFFFFF00).to_bytes(4, "big") + info_hash
    chosen: dict[int, None] = {}
    while True:
        seed = hashlib.sha1(seed, usedforsecurity=False).digest()
        for offset in range(0, 20, 4):
            chosen.setdefault(int.from_bytes(seed[offset : offset + 4], "big") % piece_count)
            if len(chosen) == size:
                return list(chosen)
