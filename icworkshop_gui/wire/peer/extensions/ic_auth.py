"""`ic_auth`: proof that a peer waits in the same lobby (DESIGN §4.3). Layouts only; keys are the engine's affair.

    verifier                                         prover
       │  {challenge: nonce 16 ‖ tag 16}                │   tag: BLAKE2b of the nonce, keyed with the room,
       ├───────────────────────────────────────────────►│   so that only members of the room know what it asks for
       │  {proof: signature 64, ticket: 173 bytes}      │
       │◄───────────────────────────────────────────────┤

A ticket, all integers big-endian: version 1 ‖ room 16 ‖ info-hash 20 ‖ holder's Ed25519 key 32 ‖ issuer's key 32 ‖
expiry u64, Unix seconds ‖ issuer's signature 64. The proof is the holder's signature over a domain tag, the nonce, both
peer ids and the ticket: it is good for one connection only.

The dict of the documents (`player_key`, `session_id`, …) proves nothing about a lobby, and anybody who was sent it can
send it on: it is skipped.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation

NAME: Final = "ic_auth"

MESSAGE_MAX: Final = 4 * 1024
"""Bytes of one message; an answer has 260."""

ROOM_SIZE: Final = 16
KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
NONCE_SIZE: Final = 16
TAG_SIZE: Final = 16

_VERSION: Final = 1
_SIGNED: Final = struct.Struct(">B16s20s32s32sQ")
TICKET_SIZE: Final = _SIGNED.size + SIGNATURE_SIZE

_TICKET_DOMAIN: Final = b"Iron Curtain Workshop lobby ticket 1\0"
_PROOF_DOMAIN: Final = b"Iron Curtain Workshop lobby proof 1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class LobbyTicket:
    """Says: whoever holds this key waits in this room for this torrent. Signed or not, as it came."""

    room: bytes
    info_hash: InfoHash
    holder: bytes
    issuer: bytes
    expires: int
    signature: bytes = bytes(SIGNATURE_SIZE)

    @property
    def _body(self) -> bytes:
        return _SIGNED.pack(_VERSION, self.room, self.info_hash, self.holder, self.issuer, self.expires)

    def signed_text(self) -> bytes:
        """What the issuer signs."""
        return _TICKET_DOMAIN + self._body

    def encode(self) -> bytes:
        return self._body + self.signature

    @classmethod
    def decode(cls, data: bytes) -> LobbyTicket:
        """FormatError for another size or version."""
        if len(data) != TICKET_SIZE or data[0] != _VERSION:
            raise FormatError(f"a lobby ticket of version {_VERSION} has {TICKET_SIZE} bytes")
        _version, room, info_hash, holder, issuer, expires = _SIGNED.unpack_from(data)
        return cls(
            room=room,
            info_hash=InfoHash(info_hash),
            holder=holder,
            issuer=issuer,
            expires=expires,
            signature=data[_SIGNED.size :],
        )

    def proof_text(self, nonce: bytes, prover: PeerId, verifier: PeerId) -> bytes:
        """What the holder signs."""
        return b"".join((_PROOF_DOMAIN, nonce, prover, verifier, self.encode()))


@dataclass(frozen=True, slots=True)
class Challenge:
    """Prove it."""

    nonce: bytes
    tag: bytes

    @classmethod
    def for_room(cls, nonce: bytes, room: bytes) -> Challenge:
        return cls(nonce, hashlib.blake2b(nonce, key=room, digest_size=TAG_SIZE).digest())

    def encode(self) -> bytes:
        return bencode.encode({b"challenge": self.nonce + self.tag})


@dataclass(frozen=True, slots=True)
class Answer:
    """The proof."""

    ticket: LobbyTicket
    proof: bytes

    def encode(self) -> bytes:
        return bencode.encode({b"proof": self.proof, b"ticket": self.ticket.encode()})


def parse(payload: bytes) -> Challenge | Answer | None:
    """None for a dict of another kind. PeerProtocolError when it is too large, no dict, or a field has another size."""
    if len(payload) > MESSAGE_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} of {len(payload)} bytes")
    try:
        fields, _end = bencode.decode_prefix(payload)
        if not isinstance(fields, dict):
            raise FormatError("it is not a dictionary")
        if (challenge := fields.get(b"challenge")) is not None:
            data = _bytes(challenge, NONCE_SIZE + TAG_SIZE)
            return Challenge(data[:NONCE_SIZE], data[NONCE_SIZE:])
        if (ticket := fields.get(b"ticket")) is not None:
            return Answer(LobbyTicket.decode(_bytes(ticket, TICKET_SIZE)), _bytes(fields.get(b"proof"), SIGNATURE_SIZE))
    except FormatError as error:
        raise PeerProtocolError(Violation.EXTENSION, f"{NAME} that cannot be read: {error}") from error
    return None


def _bytes(value: object, size: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise FormatError(f"a field that should have {size} bytes")
    return value
