"""`ut_pex`: peers tell each other whom they are connected to (BEP 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import KIB
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.tracker.compact import V4_SIZE, V6_SIZE, pack_v4, pack_v6, unpack_v4, unpack_v6

NAME: Final = "ut_pex"

MESSAGE_MAX: Final = 16 * KIB
"""Bytes of one message; one of 50 peers that came and 50 that left has about two thousand."""
PEERS_MAX: Final = 50
"""Peers that came, and peers that left, in one message (BEP 11): ours keep to it, and of others' no more is read."""


class PexFlag(IntFlag):
    """What is said about a peer that came. Hints; they prove nothing."""

    ENCRYPTION = 0x01
    SEED = 0x02
    UTP = 0x04
    HOLEPUNCH = 0x08
    REACHABLE = 0x10
    """The sender has dialled it with success."""


@dataclass(frozen=True, slots=True)
class PexMessage:
    """Who came and who left since the last message."""

    added: Mapping[Endpoint, PexFlag]
    dropped: Sequence[Endpoint] = ()


def encode(message: PexMessage) -> bytes:
    """The payload of the extension message."""
    fields: dict[bytes, object] = {}
    for suffix, is_v6, pack in ((b"", False, pack_v4), (b"6", True, pack_v6)):
        added = [peer for peer in message.added if peer.is_ipv6 is is_v6]
        fields[b"added" + suffix] = pack(added)
        fields[b"added" + suffix + b".f"] = bytes(message.added[peer] for peer in added)
        fields[b"dropped" + suffix] = pack(message.dropped)
    return bencode.encode(fields)


def parse(payload: bytes) -> PexMessage:
    """PeerProtocolError for what is too large, or no dict. What is beyond `PEERS_MAX`, ports of 0 and ragged tails are
    left out."""
    if len(payload) > MESSAGE_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} of {len(payload)} bytes")
    try:
        fields, _end = bencode.decode_prefix(payload)
    except FormatError as error:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} that is not bencoded: {error}") from error
    if not isinstance(fields, dict):
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} that is no dictionary")
    added: dict[Endpoint, PexFlag] = {}
    dropped: list[Endpoint] = []
    for suffix, size, unpack in ((b"", V4_SIZE, unpack_v4), (b"6", V6_SIZE, unpack_v6)):
        raw, flags = _bytes(fields.get(b"added" + suffix)), _bytes(fields.get(b"added" + suffix + b".f"))
        for number in range(min(len(raw) // size, PEERS_MAX - len(added))):
            for peer in unpack(raw[number * size : (number + 1) * size], 1):
                added[peer] = PexFlag(flags[number] & _KNOWN if number < len(flags) else 0)
        dropped += unpack(_bytes(fields.get(b"dropped" + suffix)), PEERS_MAX - len(dropped))
    return PexMessage(added, dropped)


_KNOWN: Final = 0x1F


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
