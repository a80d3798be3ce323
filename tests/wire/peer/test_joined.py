"""Two machines joined: whatever one says, the other hears."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.wire.peer.messages import (
    AllowedFast,
    Cancel,
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
from tests.helpers.wires import SMALL, deliver, pair

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
