"""What a stranger did wrong on the wire, as data: the words for people are made at the edge."""

from __future__ import annotations

from enum import StrEnum

from icworkshop_gui.core.errors import RemoteProtocolError


class Violation(StrEnum):
    """Which rule of the peer wire was broken."""

    NOT_BITTORRENT = "not BitTorrent"
    """The first bytes are no BEP 3 handshake."""
    FRAME_LENGTH = "frame length"
    """A frame is longer than its limit, or not as long as its kind demands."""
    OUT_OF_BOUNDS = "out of bounds"
    """A piece, block or bit that this torrent does not have."""
    OUT_OF_ORDER = "out of order"
    """A legal message at a moment where it is not."""
    NOT_NEGOTIATED = "not negotiated"
    """A message of an extension that was not agreed on in the handshake."""
    EXTENSION = "extension"
    """The content of an extension message is malformed."""
    SILENT = "silent"
    """Nothing came for too long."""


class PeerProtocolError(RemoteProtocolError):
    """A peer broke the protocol: the connection is over. `violation` says which rule, `reason` how."""

    def __init__(self, violation: Violation, reason: str, *, untrusted_text: str = "") -> None:
        super().__init__(reason, untrusted_text=untrusted_text)
        self.violation = violation
