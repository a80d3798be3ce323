from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer.handshake import HANDSHAKE_SIZE, OUR_RESERVED, PROTOCOL, Handshake, HandshakeReceiver

OURS = Handshake(InfoHash(bytes(range(20))), PeerId(b"-IC0100-abcdefghijkl"))


def test_the_bytes_are_those_of_bep_3() -> None:
    assert OURS.encode() == (
        b"\x13BitTorrent protocol" + bytes.fromhex("0000000000100004") + bytes(range(20)) + b"-IC0100-abcdefghijkl"
    )
    assert len(OURS.encode()) == HANDSHAKE_SIZE


def test_only_what_we_can_do_is_announced() -> None:
    assert bytes.fromhex("0000000000100004") == OUR_RESERVED


@pytest.mark.parametrize(
    ("reserved", "fast", "extended"),
    [
        ("0000000000000000", False, False),
        ("0000000000000004", True, False),
        ("0000000000100000", False, True),
        ("ffffffffffffffff", True, True),
        ("fffffffffffffffb", False, True),
        ("ffffffffffefffff", True, False),
    ],
)
def test_each_flag_is_one_bit(reserved: str, fast: bool, extended: bool) -> None:
    raw = PROTOCOL + bytes.fromhex(reserved) + bytes(40)
    parsed = Handshake.parse(raw)
    assert (parsed.supports_fast, parsed.supports_extended) == (fast, extended)


@given(first=st.integers(1, HANDSHAKE_SIZE + 30), second=st.integers(1, 100), tail=st.binary(max_size=60))
def test_a_handshake_cut_anywhere_is_the_same_handshake(first: int, second: int, tail: bytes) -> None:
    data = OURS.encode() + tail
    receiver = HandshakeReceiver()
    position = 0
    for size in (first, second, len(data)):
        chunk = data[position : position + size]
        position += len(chunk)
        receiver.buffer()[: len(chunk)] = chunk
        found = receiver.received(len(chunk))
        if found is not None:
            assert found == OURS
            assert receiver.leftover == data[HANDSHAKE_SIZE:position]
            return
        assert position < HANDSHAKE_SIZE
    raise AssertionError("it never came")


@given(st.binary(min_size=1, max_size=200))
def test_any_other_first_bytes_are_refused_at_the_first_wrong_one(data: bytes) -> None:
    receiver = HandshakeReceiver()
    receiver.buffer()[: len(data)] = data
    if PROTOCOL.startswith(data[: len(PROTOCOL)]):
        receiver.received(len(data))
        return
    with pytest.raises(PeerProtocolError) as caught:
        receiver.received(len(data))
    assert caught.value.violation is Violation.NOT_BITTORRENT


@pytest.mark.parametrize("raw", [b"", OURS.encode()[:-1], OURS.encode() + b"x", b"\x12" + OURS.encode()[1:]])
def test_parse_takes_exactly_a_handshake(raw: bytes) -> None:
    with pytest.raises(PeerProtocolError):
        Handshake.parse(raw)
