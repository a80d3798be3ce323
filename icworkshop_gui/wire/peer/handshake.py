"""The 68 bytes with which both sides begin (BEP 3 "peer protocol").

An incoming connection says only here which torrent it is about, so this is a machine of its own, before `PeerWire`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.wire.errors import PeerProtocolError, Violation

HANDSHAKE_SIZE: Final = 68
PROTOCOL: Final = b"\x13BitTorrent protocol"

EXTENDED_BYTE, EXTENDED_BIT = 5, 0x10
"""BEP 10."""
FAST_BYTE, FAST_BIT = 7, 0x04
"""BEP 6."""
DHT_BYTE, DHT_BIT = 7, 0x01
"""BEP 5, "BitTorrent Protocol Extension"."""

_LENT: Final = 4096
"""Bytes lent to a connection whose first bytes are awaited: room for the handshake and what usually follows."""


def our_reserved(*, dht: bool = False) -> bytes:
    """What we can do; `dht`: we have a node, and say where."""
    reserved = bytearray(8)
    reserved[EXTENDED_BYTE] |= EXTENDED_BIT
    reserved[FAST_BYTE] |= FAST_BIT
    if dht:
        reserved[DHT_BYTE] |= DHT_BIT
    return bytes(reserved)


OUR_RESERVED: Final = our_reserved()


@dataclass(frozen=True, slots=True)
class Handshake:
    """Who speaks, about which torrent, and what they can do."""

    info_hash: InfoHash
    peer_id: PeerId
    reserved: bytes = OUR_RESERVED
    """8 bytes of flags."""

    @property
    def supports_fast(self) -> bool:
        return bool(self.reserved[FAST_BYTE] & FAST_BIT)

    @property
    def supports_extended(self) -> bool:
        return bool(self.reserved[EXTENDED_BYTE] & EXTENDED_BIT)

    @property
    def supports_dht(self) -> bool:
        return bool(self.reserved[DHT_BYTE] & DHT_BIT)

    def encode(self) -> bytes:
        return PROTOCOL + self.reserved + self.info_hash + self.peer_id

    @classmethod
    def parse(cls, raw: bytes | bytearray | memoryview) -> Handshake:
        """From exactly 68 bytes. PeerProtocolError when they are something else."""
        raw = bytes(raw)
        if len(raw) != HANDSHAKE_SIZE or not raw.startswith(PROTOCOL):
            raise PeerProtocolError(Violation.NOT_BITTORRENT, "the first bytes are not a BitTorrent handshake")
        return cls(InfoHash(raw[28:48]), PeerId(raw[48:68]), raw[20:28])


class HandshakeReceiver:
    """Collects the other side's handshake: bytes in, a `Handshake` out, once.

    Lend `buffer()` to the stream, call `received(count)`; as soon as it returns a handshake, hand `leftover`
    (what came behind it) to `PeerWire.feed`.
    """

    __slots__ = ("_data", "_end", "_view")

    def __init__(self) -> None:
        self._data = bytearray(_LENT)
        self._view = memoryview(self._data)
        self._end = 0

    def buffer(self) -> memoryview:
        """Room for the next bytes."""
        return self._view[self._end :]

    def received(self, count: int) -> Handshake | None:
        """The handshake once all of it is here. PeerProtocolError at the first byte that cannot belong to one."""
        self._end += count
        seen = min(self._end, len(PROTOCOL))
        if self._data[:seen] != PROTOCOL[:seen]:
            raise PeerProtocolError(Violation.NOT_BITTORRENT, "the first bytes are not a BitTorrent handshake")
        if self._end < HANDSHAKE_SIZE:
            return None
        return Handshake.parse(self._view[:HANDSHAKE_SIZE])

    @property
    def leftover(self) -> bytes:
        """Bytes that came behind the handshake; at most a few KiB."""
        return bytes(self._view[HANDSHAKE_SIZE : self._end])
