"""Two machines joined: whatever one says, the other hears."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.wire.peer.messages import (
    AllowedFast,
    Blocks,
    Cancel,
    Event,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    PeerBitfield,
    Piece,
    Reject,
    Request,
    Unchoke,
)
from tests.helpers.wires import SMALL, deliver, pair, wire

indices = st.integers(0, SMALL.piece_count - 1)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[int, int, int]:
    index = draw(indices)
    block = draw(st.integers(0, SMALL.block_count(index) - 1))
    return index, block * BLOCK_SIZE, SMALL.block_size(index, block)


@given(st.lists(blocks(), max_size=50))
def test_blocks_come_out_as_they_went_in(wanted: list[tuple[int, int, int]]) -> None:
    ours, theirs = pair()
    assert deliver(theirs, ours.request(wanted)) == [Request(*block) for block in wanted]
    assert deliver(theirs, ours.cancel(wanted)) == [Cancel(*block) for block in wanted]
    assert deliver(ours, theirs.reject(wanted)) == [Reject(*block) for block in wanted]
    sent = b"".join(
        theirs.piece_header(index, begin, length) + bytes([index]) * length for index, begin, length in wanted
    )
    got = deliver(ours, sent)
    assert got == [Piece(index, begin, memoryview(bytes([index]) * length)) for index, begin, length in wanted]


ORDERLY = Geometry(20 * 4 * BLOCK_SIZE + 5, 4 * BLOCK_SIZE)
SWERVE = st.sampled_from(["on", "on", "on", "on", "back", "other", "short", "have"])


@given(st.lists(SWERVE, min_size=1, max_size=60), st.integers(0, 30))
def test_blocks_in_order_come_together_and_say_the_same(turns: list[str], first: int) -> None:
    ours, theirs = wire(ORDERLY), wire(ORDERLY)
    number, sent = first, b""
    expected: list[Event] = []
    for turn in turns:
        number = {"back": max(0, number - 2), "other": number + 3}.get(turn, number + 1) % 80
        index, begin = divmod(number * BLOCK_SIZE, ORDERLY.piece_length)
        length = 7 if turn == "short" else BLOCK_SIZE
        sent += theirs.piece_header(index, begin, length) + bytes([number]) * length
        expected.append(Piece(index, begin, memoryview(bytes([number]) * length)))
        if turn == "have":
            sent += theirs.have([3])
            expected.append(Have(3))
    assert deliver(ours, sent) == expected


def test_four_blocks_of_a_piece_are_one_event() -> None:
    ours, theirs = wire(ORDERLY), wire(ORDERLY)
    places = [(0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]
    data = b"".join(
        theirs.piece_header(index, block * BLOCK_SIZE, BLOCK_SIZE) + bytes(BLOCK_SIZE) for index, block in places
    )
    for size in (2 * BLOCK_SIZE, 4 * BLOCK_SIZE):  # until it lends room for all of them
        deliver(ours, theirs.piece_header(0, 0, BLOCK_SIZE) + bytes(BLOCK_SIZE))
        deliver(ours, (b"\0\0\0\0" * size)[:size])
    room = ours.buffer()
    room[: len(data)] = data
    events = ours.received(len(data), 0.0)
    assert [type(event) for event in events] == [Piece, Blocks, Piece]
    assert isinstance(events[1], Blocks)
    assert (events[1].index, events[1].begin, len(events[1].blocks)) == (1, 0, 4)


@given(st.sets(indices), st.booleans())
def test_what_one_has_the_other_knows(mine: set[int], fast: bool) -> None:
    ours, theirs = pair(fast=fast)
    events = deliver(theirs, ours.bitfield(Bitfield.of(SMALL.piece_count, mine)))
    known = Bitfield(SMALL.piece_count)
    for event in events:
        match event:
            case PeerBitfield(bits):
                known = bits
            case HaveAll():
                known.fill()
            case HaveNone():
                known.clear()
    assert set(known) == mine


def test_a_whole_conversation() -> None:
    leech, seed = pair()
    hello = seed.extension_handshake(listen_port=19711, your_ip="127.0.0.1", upload_only=True)
    assert deliver(leech, hello + seed.bitfield(Bitfield(4, full=True)) + seed.allowed_fast([2]))[1:] == [
        HaveAll(),
        AllowedFast(2),
    ]
    assert leech.remote.listen_port == 19711
    assert leech.remote.upload_only
    assert leech.remote.untrusted_client.startswith("Iron Curtain Workshop")
    assert deliver(seed, leech.bitfield(Bitfield(4)) + leech.interested()) == [HaveNone(), Interested()]
    assert deliver(leech, seed.unchoke()) == [Unchoke()]
    assert not leech.peer_choking
    assert deliver(seed, leech.have([2])) == [Have(2)]


@given(indices, st.integers(0, 40), st.integers(1, 20))
def test_a_run_of_requests_is_the_same_requests(index: int, first: int, count: int) -> None:
    ours, _ = pair()
    run = range(first, first + count)
    assert ours.request_run(index, run) == ours.request((index, block * BLOCK_SIZE, BLOCK_SIZE) for block in run)
