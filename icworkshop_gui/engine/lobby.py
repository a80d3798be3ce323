"""Who waits in the same lobby: tickets are issued, answered with, and believed or not (DESIGN §4.3, engine.md F D-21).

A ticket is signed by the room's host or its server. It is believed when the room is the one we are in, the issuer one
that we trust for it, the torrent the one of this connection, the time not over, both signatures right, and the proof
was made for the nonce that we sent on this connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from icworkshop_gui.core.errors import FormatError, UserError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.wire.peer.extensions.ic_auth import (
    KEY_SIZE,
    NONCE_SIZE,
    ROOM_SIZE,
    Answer,
    Challenge,
    LobbyTicket,
)

LIFE_MAX = 24 * 3600.0
"""Seconds from now to the expiry beyond which a ticket is not believed: nobody waits in a lobby for longer."""
PENALTY_SECONDS = 60.0
"""For how long an address whose proof was wrong is not heard again: each costs two signatures to see."""
PENALTIES_MAX = 1000
"""Addresses remembered for that."""
ISSUERS_MAX = 8
"""Keys trusted for one room: its host, its server, and those it moved from."""
TICKETS_MAX = 500
"""Tickets that we hold: one for each package that the room needs."""


def public_key(secret: bytes) -> bytes:
    """Of a 32-byte Ed25519 seed."""
    return bytes(SigningKey(secret).verify_key)


def issue(secret: bytes, *, room: bytes, info_hash: InfoHash, holder: bytes, expires: int) -> LobbyTicket:
    """A ticket signed with the seed of the room's host or server. `expires` in Unix seconds."""
    key = SigningKey(secret)
    ticket = LobbyTicket(room=room, info_hash=info_hash, holder=holder, issuer=bytes(key.verify_key), expires=expires)
    return replace(ticket, signature=key.sign(ticket.signed_text()).signature)


def answer(secret: bytes, ticket: LobbyTicket, nonce: bytes, prover: PeerId, verifier: PeerId) -> Answer:
    """The holder's proof for one connection."""
    return Answer(ticket, SigningKey(secret).sign(ticket.proof_text(nonce, prover, verifier)).signature)


def _is_signed(key: bytes, text: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(key).verify(text, signature)
    except BadSignatureError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lobby:
    """The room we are in."""

    room: bytes
    issuers: frozenset[bytes]
    secret: bytes = field(repr=False)
    """Our seed for this room."""
    tickets: dict[InfoHash, LobbyTicket] = field(default_factory=dict)

    @classmethod
    def of(cls, room: bytes, issuers: tuple[bytes, ...], tickets: tuple[bytes, ...], secret: bytes) -> Lobby:
        """UserError for what cannot be."""
        sizes = len(room) == ROOM_SIZE and all(len(key) == KEY_SIZE for key in (*issuers, secret))
        if not sizes or len(issuers) > ISSUERS_MAX or len(tickets) > TICKETS_MAX:
            raise UserError("This is no invitation to a lobby. Ask the host for a new one.")
        try:
            held = [LobbyTicket.decode(data) for data in tickets]
        except FormatError as error:
            raise UserError(f"A ticket of this lobby cannot be read ({error}). Ask the host for a new one.") from None
        mine = public_key(secret)
        if any(ticket.room != room or ticket.holder != mine for ticket in held):
            raise UserError("A ticket is for another room or another player. Ask the host for a new one.")
        by_hash = {ticket.info_hash: ticket for ticket in held}
        return cls(room=room, issuers=frozenset(issuers), secret=secret, tickets=by_hash)


class LobbyHall:
    """The lobby of this moment, for all swarms."""

    def __init__(self, rng: Random, wall: Callable[[], float]) -> None:
        self._rng = rng
        self._wall = wall
        self._penalties: dict[str, float] = {}
        self.lobby: Lobby | None = None
        self.verified = 0
        """Signatures that were looked at."""

    def challenge(self) -> Challenge | None:
        """For a new connection; None outside a lobby."""
        if self.lobby is None:
            return None
        return Challenge.for_room(self._rng.randbytes(NONCE_SIZE), self.lobby.room)

    def answer(self, challenge: Challenge, info_hash: InfoHash, ours: PeerId, theirs: PeerId) -> Answer | None:
        """None when we hold no ticket for this, or whoever asks is not in our room."""
        lobby = self.lobby
        ticket = None if lobby is None else lobby.tickets.get(info_hash)
        if lobby is None or ticket is None or challenge != Challenge.for_room(challenge.nonce, lobby.room):
            return None
        return answer(lobby.secret, ticket, challenge.nonce, ours, theirs)

    def why_not(
        self, given: Answer, nonce: bytes, info_hash: InfoHash, *, prover: PeerId, verifier: PeerId, host: str
    ) -> str:
        """Why the ticket is not believed; empty when it is. What costs a signature comes last, and once a minute for
        an address that was wrong."""
        lobby, ticket, now = self.lobby, given.ticket, self._wall()
        if lobby is None or ticket.room != lobby.room:
            return "another room"
        if ticket.issuer not in lobby.issuers:
            return "an issuer that is not trusted here"
        if ticket.info_hash != info_hash:
            return "another torrent"
        if ticket.expires <= now:
            return "expired"
        if ticket.expires > now + LIFE_MAX:
            return "it lasts too long"
        if self._penalties.get(host, now) > now:
            return "a wrong proof came from there lately"
        self.verified += 1
        if _is_signed(ticket.issuer, ticket.signed_text(), ticket.signature):
            self.verified += 1
            if _is_signed(ticket.holder, ticket.proof_text(nonce, prover, verifier), given.proof):
                return ""
        self._penalties.pop(host, None)
        self._penalties[host] = now + PENALTY_SECONDS
        if len(self._penalties) > PENALTIES_MAX:
            del self._penalties[next(iter(self._penalties))]
        return "a wrong signature"

    def holds(self, until: float) -> bool:
        """Is a ticket that was believed still good?"""
        return self.lobby is not None and self._wall() < until
