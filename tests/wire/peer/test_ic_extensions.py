from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer.extensions import ic_auth, ic_priority
from icworkshop_gui.wire.peer.extensions.ic_auth import TICKET_SIZE, Answer, Challenge, LobbyTicket

TICKET = LobbyTicket(
    room=b"r" * 16,
    info_hash=InfoHash(b"h" * 20),
    holder=b"p" * 32,
    issuer=b"i" * 32,
    expires=1_800_000_000,
    signature=b"s" * 64,
)
CHALLENGE = Challenge.for_room(b"n" * 16, TICKET.room)
ANSWER = Answer(TICKET, b"q" * 64)


@pytest.mark.parametrize("tier", Tier)
def test_a_priority_reads_back(tier: Tier) -> None:
    assert ic_priority.parse(ic_priority.encode(tier)) is tier


def test_a_priority_is_the_dict_of_the_documents() -> None:
    assert bencode.decode(ic_priority.encode(Tier.LOBBY_URGENT)) == {
        b"pieces": [],
        b"priority": 2,
        b"reason": b"lobby-urgent",
    }
    assert ic_priority.parse(b"d6:piecesli0ei7ee8:priorityi1e6:reason9:whatever!e") is Tier.USER_REQUESTED


@pytest.mark.parametrize(
    "payload",
    [b"", b"x", b"le", b"de", b"d8:priorityi3ee", b"d8:priorityi-1ee", b"d8:priority1:2e", b"d" + b" " * 16_384],
)
def test_what_is_no_priority_ends_the_connection(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError) as caught:
        ic_priority.parse(payload)
    assert caught.value.violation is Violation.EXTENSION


@pytest.mark.parametrize("message", [CHALLENGE, ANSWER])
def test_what_proves_reads_back(message: Challenge | Answer) -> None:
    assert ic_auth.parse(message.encode()) == message


def test_a_ticket_has_one_size_and_one_version() -> None:
    data = TICKET.encode()
    assert len(data) == TICKET_SIZE == 173
    for wrong in (data[:-1], data + b"x", b"\2" + data[1:], b""):
        with pytest.raises(FormatError):
            LobbyTicket.decode(wrong)


@pytest.mark.parametrize("field", ["room", "info_hash", "holder", "issuer", "expires"])
def test_every_field_is_under_the_signature(field: str) -> None:
    value = getattr(TICKET, field)
    other = replace(TICKET, **{field: value + 1 if isinstance(value, int) else bytes(len(value))})
    assert other.signed_text() != TICKET.signed_text()


def test_a_proof_is_bound_to_ticket_nonce_and_both_ends() -> None:
    a, b = PeerId(b"a" * 20), PeerId(b"b" * 20)
    texts = {
        TICKET.proof_text(b"n" * 16, a, b),
        TICKET.proof_text(b"n" * 16, b, a),
        TICKET.proof_text(b"m" * 16, a, b),
        replace(TICKET, expires=1).proof_text(b"n" * 16, a, b),
        TICKET.signed_text(),
    }
    assert len(texts) == 5


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"le",
        b"d9:challenge3:abce",
        b"d9:challengei1ee",
        bencode.encode({b"ticket": TICKET.encode()}),
        bencode.encode({b"proof": b"q" * 63, b"ticket": TICKET.encode()}),
        bencode.encode({b"proof": b"q" * 64, b"ticket": TICKET.encode()[1:]}),
        b"d" + b"1:a0:" * 1000 + b"e",
    ],
)
def test_what_proves_nothing_ends_the_connection(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError) as caught:
        ic_auth.parse(payload)
    assert caught.value.violation is Violation.EXTENSION


def test_the_token_of_the_documents_is_skipped() -> None:
    old = {b"community_id": b"c" * 32, b"issued_at": 1, b"player_key": b"k" * 32, b"signature": b"s" * 64}
    assert ic_auth.parse(bencode.encode(old)) is None


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: b"d9:challenge" + data))
def test_any_bytes_are_a_message_or_a_protocol_error(payload: bytes) -> None:
    for parse in (ic_priority.parse, ic_auth.parse):
        with contextlib.suppress(PeerProtocolError):
            parse(payload)
