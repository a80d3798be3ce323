"""The info dict from peer to peer (BEP 9): messages, and the wire before the torrent is known."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import LocalProtocolError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.wire.errors import PeerProtocolError
from icworkshop_gui.wire.peer import codec, messages
from icworkshop_gui.wire.peer.extensions import EXTENSIONS, ut_metadata
from icworkshop_gui.wire.peer.extensions.handshake import ExtensionHandshake, encode
from icworkshop_gui.wire.peer.extensions.ut_metadata import PIECES_MAX, Kind, Message, parse, piece_count, piece_size
from icworkshop_gui.wire.peer.metadata_wire import BITFIELD_MAX, KEPT_MAX, MetadataWire
from icworkshop_gui.wire.peer.peer_wire import KEEP_ALIVE_CHECK, SILENCE_MAX, PeerWire

SIZE = 40_000


def data(piece: int, size: int = SIZE) -> Message:
    return Message(Kind.DATA, piece, size, b"\xee" * piece_size(size, piece))


@given(st.sampled_from((Kind.REQUEST, Kind.REJECT)), st.integers(0, PIECES_MAX - 1))
def test_questions_read_back(kind: Kind, piece: int) -> None:
    assert parse(ut_metadata.encode(Message(kind, piece))) == Message(kind, piece)


@given(st.integers(1, 200_000), st.data())
def test_pieces_read_back(size: int, draw: st.DataObject) -> None:
    message = data(draw.draw(st.integers(0, piece_count(size) - 1)), size)
    assert parse(ut_metadata.encode(message)) == message


def test_the_dict_is_flat_and_ends_in_an_integer() -> None:
    # WebTorrent takes the first "ee" for its end.
    raw = ut_metadata.encode(data(2))
    assert raw.startswith(b"d8:msg_typei1e5:piecei2e10:total_sizei40000ee")
    assert raw.index(b"ee") + 2 == len(raw) - piece_size(SIZE, 2)


def test_a_type_that_nobody_knows_is_ignored() -> None:
    assert parse(b"d8:msg_typei9e5:piecei0ee") is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"le",
        b"de",
        b"d8:msg_typei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei0e5:piecei%dee" % PIECES_MAX,
        b"d8:msg_typei1e5:piecei0ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei0ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei4ee123",
        b"d8:msg_typei1e5:piecei0e10:total_sizei4ee12345",
        b"d8:msg_typei1e5:piecei1e10:total_sizei4ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei%dee" % (4 * MIB + 1) + bytes(16 * KIB),
        ut_metadata.encode(data(0)) + bytes(KIB),
    ],
)
def test_what_is_no_message_ends_the_connection(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError):
        parse(payload)


@given(st.binary(max_size=200) | st.builds(lambda rest: b"d8:msg_typei1e5:piecei0e" + rest, st.binary(max_size=60)))
def test_any_bytes_are_a_message_or_an_error(payload: bytes) -> None:
    with contextlib.suppress(PeerProtocolError):
        parse(payload)


# --- the wire while the torrent is not known --------------------------------------------------------


def extended(name: str, payload: bytes) -> bytes:
    return codec.extended(EXTENSIONS[name], payload)


HELLO = codec.extended(0, encode(EXTENSIONS, metadata_size=SIZE))
ABOUT_ITSELF = [
    codec.bitfield(Bitfield(12, full=True)),
    codec.bare(codec.UNCHOKE),
    codec.bare(codec.INTERESTED),
    codec.with_index(codec.HAVE, [3]),
]
TALK = [
    HELLO,
    *ABOUT_ITSELF,
    codec.KEEP_ALIVE,
    codec.HEADER.pack(5, 99) + b"????",
    codec.with_blocks(codec.REQUEST, [(0, 0, 16384)]),
    extended("ut_metadata", ut_metadata.encode(data(0))),
    extended("ic_priority", b"d8:priorityi1ee"),
]


@given(st.lists(st.integers(1, 20_000), max_size=12))
def test_cut_anywhere_it_hears_the_same(cuts: list[int]) -> None:
    wire = MetadataWire(0.0)
    stream, events = b"".join(TALK), list[messages.Event]()
    for cut in (*cuts, len(stream)):
        events += wire.feed(stream[:cut], 0.0)
        stream = stream[cut:]
    assert [type(event) for event in events] == [ExtensionHandshake, messages.Extended, messages.Extended]
    assert wire.remote.metadata_size == SIZE
    assert wire.take() == b"".join((HELLO, *ABOUT_ITSELF, TALK[-1]))


def test_what_it_kept_is_what_a_peer_wire_needs() -> None:
    wire = MetadataWire(0.0)
    wire.feed(b"".join(TALK) + HELLO[:7], 0.0)
    kept = wire.take()
    assert kept is not None
    after = PeerWire(Geometry(12 * 16384, 16384), fast=True, extended=True, now=0.0)
    kinds = [type(event) for event in after.feed(kept, 0.0)]
    assert kinds[:4] == [ExtensionHandshake, messages.PeerBitfield, messages.Unchoke, messages.Interested]
    assert len(after.feed(HELLO[7:], 0.0)) == 1
    assert after.supports("ut_metadata")


def test_it_asks_only_those_who_can_answer() -> None:
    wire = MetadataWire(0.0)
    with pytest.raises(LocalProtocolError):
        wire.metadata(Message(Kind.REQUEST, 0))
    wire.feed(codec.extended(0, b"d1:md11:ut_metadatai77eee"), 0.0)
    assert wire.metadata(Message(Kind.REQUEST, 1))[4:6] == bytes((codec.EXTENDED, 77))
    wire.feed(codec.extended(0, b"d1:md11:ut_metadatai0eee"), 0.0)
    assert not wire.supports("ut_metadata")


def test_a_bitfield_of_the_largest_torrent_passes_and_is_too_much_to_keep() -> None:
    wire = MetadataWire(0.0)
    wire.feed(codec.HEADER.pack(BITFIELD_MAX, codec.BITFIELD) + bytes(BITFIELD_MAX - 1), 0.0)
    assert wire.take() is None


def test_haves_without_end_cost_no_memory() -> None:
    wire = MetadataWire(0.0)
    for _ in range(100):
        wire.feed(codec.with_index(codec.HAVE, range(1000)), 0.0)
    assert len(wire._kept) <= KEPT_MAX
    assert wire.take() is None


@pytest.mark.parametrize(
    "raw",
    [
        codec.HEADER.pack(BITFIELD_MAX + 1, codec.BITFIELD),
        codec.HEADER.pack(codec.EXTENDED_BODY_MAX + 1, codec.EXTENDED),
        codec.HEADER.pack(codec.UNKNOWN_BODY_MAX + 1, 99),
        codec.HEADER.pack(1, codec.EXTENDED),
        codec.extended(0, b"not bencoded"),
    ],
)
def test_frames_that_cannot_be_end_the_connection(raw: bytes) -> None:
    wire = MetadataWire(0.0)
    with pytest.raises(PeerProtocolError):
        wire.feed(raw, 0.0)
    with pytest.raises(LocalProtocolError):
        wire.feed(b"", 0.0)


@given(st.lists(st.binary(max_size=40) | st.sampled_from(TALK), max_size=12))
def test_any_bytes_are_events_or_an_error(parts: list[bytes]) -> None:
    wire = MetadataWire(0.0)
    with contextlib.suppress(PeerProtocolError):
        for part in parts:
            wire.feed(part, 0.0)


def test_a_silent_peer_is_dead_and_a_silent_wire_keeps_it_alive() -> None:
    wire = MetadataWire(0.0)
    assert wire.handle_timer(KEEP_ALIVE_CHECK) == b""  # it had just been made
    assert wire.handle_timer(2 * KEEP_ALIVE_CHECK) == codec.KEEP_ALIVE
    with pytest.raises(PeerProtocolError):
        wire.handle_timer(SILENCE_MAX)
