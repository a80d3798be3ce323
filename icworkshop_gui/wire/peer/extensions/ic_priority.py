"""`ic_priority`: how urgent a torrent is to whoever sends it (ic-workshop.md §2.2). Advice; it proves nothing.

A bencoded dict: `priority` 0, 1 or 2, `reason` the word for it, `pieces` a list, empty for the whole torrent. The list
of others is not looked at: what one peer needs first is its own affair.
"""

from __future__ import annotations

from typing import Final

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation

NAME: Final = "ic_priority"

MESSAGE_MAX: Final = 16 * 1024
"""Bytes of one message; ours has about sixty."""

_REASONS: Final = {
    Tier.BACKGROUND: b"background",
    Tier.USER_REQUESTED: b"user-requested",
    Tier.LOBBY_URGENT: b"lobby-urgent",
}


def encode(tier: Tier) -> bytes:
    """For the whole torrent."""
    return bencode.encode({b"pieces": [], b"priority": int(tier), b"reason": _REASONS[tier]})


def parse(payload: bytes) -> Tier:
    """PeerProtocolError when it is no dict, too large, or names no priority that there is."""
    if len(payload) > MESSAGE_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} of {len(payload)} bytes")
    try:
        fields, _end = bencode.decode_prefix(payload)
    except FormatError as error:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} that is not bencoded: {error}") from error
    value = fields.get(b"priority") if isinstance(fields, dict) else None
    if not isinstance(value, int) or not 0 <= value <= 2:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} without a priority from 0 to 2")
    return Tier(value)
