"""The machine alone: what each message means, when it is legal, and that no bytes can break it."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import LocalProtocolError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.units import BLOCK_SIZE, MIB
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer import codec
from icworkshop_gui.wire.peer.extensions.handshake import ExtensionHandshake
from icworkshop_gui.wire.peer.handshake import OUR_RESERVED, Handshake
from icworkshop_gui.wire.peer.messages import (
    AllowedFast,
    Cancel,
    Choke,
    Event,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    NotInterested,
    PeerBitfield,
    Piece,
    Port,
    Reject,
    Request,
    Suggest,
    Unchoke,
)
from icworkshop_gui.wire.peer.peer_wire import (
    BUFFER_MAX,
    BUFFER_MIN,
    KEEP_ALIVE_CHECK,
    RULES,
    SILENCE_MAX,
    PeerWire,
)
from tests.helpers.wires import SMALL, deliver, deliver_cut, wire


def frame(ident: int, payload: bytes = b"") -> bytes:
    return struct.pack("!IB", 1 + len(payload), ident) + payload


def u32(*numbers: int) -> bytes:
    return struct.pack(f"!{len(numbers)}I", *numbers)


LEGAL: dict[int, tuple[bytes, Event]] = {
    0: (frame(0), Choke()),
    1: (frame(1), Unchoke()),
    2: (frame(2), Interested()),
    3: (frame(3), NotInterested()),
    4: (frame(4, u32(3)), Have(3)),
    5: (frame(5, b"\xb0"), PeerBitfield(Bitfield.of(4, [0, 2, 3]))),
    6: (frame(6, u32(1, 16384, 16384)), Request(1, 16384, 16384)),
    7: (frame(7, u32(1, 5) + b"abc"), Piece(1, 5, memoryview(b"abc"))),
    8: (frame(8, u32(1, 0, 16384)), Cancel(1, 0, 16384)),
    9: (frame(9, b"\x1a\xe1"), Port(6881)),
    13: (frame(13, u32(2)), Suggest(2)),
    14: (frame(14), HaveAll()),
    15: (frame(15), HaveNone()),
    16: (frame(16, u32(3, 16384, 3616)), Reject(3, 16384, 3616)),
    17: (frame(17, u32(0)), AllowedFast(0)),
    20: (frame(20, b"\0d1:pi80ee"), ExtensionHandshake(listen_port=80)),
}
FAST = {13, 14, 15, 16, 17}
OPENING = {14, 15}


def test_every_message_of_the_table_is_tested() -> None:
    assert set(LEGAL) == set(RULES)


@pytest.mark.parametrize("ident", LEGAL)
def test_each_message_has_these_bytes_and_this_meaning(ident: int) -> None:
    data, expected = LEGAL[ident]
    (event,) = deliver(wire(), data)
    assert type(event) is type(expected)
    assert event == expected


# State x message: which message may come in which state

STATES: dict[str, Callable[[], PeerWire]] = {
    "new": lambda: wire(),
    "new, no fast": lambda: wire(fast=False),
    "new, no extended": lambda: wire(extended=False),
    "after the extension handshake": lambda: _after(wire(), 20),
    "after a bitfield": lambda: _after(wire(), 5),
    "after have all": lambda: _after(wire(), 14),
    "after have none": lambda: _after(wire(), 15),
    "after a have": lambda: _after(wire(), 4),
    "after a piece": lambda: _after(wire(), 7),
    "unchoked": lambda: _after(wire(), 14, 1),
    "unchoked, no fast": lambda: _after(wire(fast=False), 5, 1),
}


def _after(machine: PeerWire, *idents: int) -> PeerWire:
    for ident in idents:
        deliver(machine, LEGAL[ident][0])
    return machine


@pytest.mark.parametrize("ident", LEGAL)
@pytest.mark.parametrize("state", STATES)
def test_state_by_message(state: str, ident: int) -> None:
    machine = STATES[state]()
    opening = state.startswith("new") or state == "after the extension handshake"
    if (ident in FAST and "no fast" in state) or (ident == 20 and "no extended" in state):
        expected = Violation.NOT_NEGOTIATED
    elif ident in OPENING and not opening:
        expected = Violation.OUT_OF_ORDER
    else:
        assert len(deliver(machine, LEGAL[ident][0])) == 1
        return
    with pytest.raises(PeerProtocolError) as caught:
        deliver(machine, LEGAL[ident][0])
    assert caught.value.violation is expected
    with pytest.raises(LocalProtocolError):
        machine.received(0, 0.0)


def test_what_the_peer_says_is_remembered() -> None:
    machine = wire()
    assert (machine.peer_choking, machine.peer_interested) == (True, False)
    deliver(machine, frame(1) + frame(2))
    assert (machine.peer_choking, machine.peer_interested) == (False, True)
    deliver(machine, frame(0) + frame(3))
    assert (machine.peer_choking, machine.peer_interested) == (True, False)


# Limits, each crossed by one

BAD_LENGTH = {
    "choke with payload": frame(0, b"x"),
    "have too short": frame(4, b"\0\0\0"),
    "have too long": frame(4, bytes(5)),
    "bitfield too short": frame(5),
    "bitfield too long": frame(5, bytes(2)),
    "request too short": frame(6, bytes(11)),
    "request too long": frame(6, bytes(13)),
    "piece without header": frame(7, bytes(7)),
    "piece without block": frame(7, bytes(8)),
    "piece of more than a block": frame(7, bytes(8 + BLOCK_SIZE + 1)),
    "cancel too short": frame(8, bytes(11)),
    "suggest too long": frame(13, bytes(5)),
    "have all with payload": frame(14, b"x"),
    "have none with payload": frame(15, b"x"),
    "reject too short": frame(16, bytes(11)),
    "allowed fast too short": frame(17, bytes(3)),
    "extended without id": frame(20),
    "extended too long": struct.pack("!IB", codec.EXTENDED_BODY_MAX + 1, 20),
    "unknown too long": struct.pack("!IB", codec.UNKNOWN_BODY_MAX + 1, 99),
    "four bytes that announce 4 GiB": b"\xff\xff\xff\xff",
}
OUT_OF_BOUNDS = {
    "have": frame(4, u32(4)),
    "suggest": frame(13, u32(4)),
    "allowed fast": frame(17, u32(0xFFFFFFFF)),
    "request piece": frame(6, u32(4, 0, 1)),
    "request of nothing": frame(6, u32(0, 0, 0)),
    "request past the piece": frame(6, u32(0, 65535, 2)),
    "request past the last piece": frame(6, u32(3, 16384, 3617)),
    "request whose sum wraps": frame(6, u32(0, 0xFFFFFFFF, 16384)),
    "request too long": frame(6, u32(0, 0, codec.REQUEST_MAX + 1)),
    "cancel": frame(8, u32(4, 0, 1)),
    "reject": frame(16, u32(0, 65536, 1)),
    "piece index": frame(7, u32(4, 0) + b"x"),
    "piece past its end": frame(7, u32(0, 65535) + b"xx"),
    "piece past the last piece": frame(7, u32(3, 19999) + b"xx"),
    "piece far past its end": frame(7, u32(0, 0xFFFFFFFF) + b"x"),
    "spare bit in the bitfield": frame(5, b"\xf8"),
}


@pytest.mark.parametrize("name", BAD_LENGTH)
def test_a_frame_of_the_wrong_length_is_refused(name: str) -> None:
    with pytest.raises(PeerProtocolError) as caught:
        deliver(wire(), BAD_LENGTH[name])
    assert caught.value.violation is Violation.FRAME_LENGTH


@pytest.mark.parametrize("name", BAD_LENGTH)
def test_it_is_refused_before_its_payload_is_awaited(name: str) -> None:
    with pytest.raises(PeerProtocolError):
        deliver(wire(), BAD_LENGTH[name][:5])


@pytest.mark.parametrize("name", OUT_OF_BOUNDS)
def test_what_the_torrent_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(PeerProtocolError) as caught:
        deliver(wire(), OUT_OF_BOUNDS[name])
    assert caught.value.violation is Violation.OUT_OF_BOUNDS


@pytest.mark.parametrize(
    "data",
    [
        frame(6, u32(0, 65535, 1)),
        frame(6, u32(3, 0, 20000)),
        frame(7, u32(0, 65536 - BLOCK_SIZE) + bytes(BLOCK_SIZE)),
        frame(7, u32(3, 19999) + b"x"),
        frame(5, b"\xf0"),
        frame(4, u32(3)),
    ],
)
def test_the_very_edge_is_legal(data: bytes) -> None:
    assert len(deliver(wire(), data)) == 1


def test_requests_up_to_128_kib_are_taken() -> None:
    large = wire(Geometry(MIB, MIB))
    assert deliver(large, frame(6, u32(0, 0, codec.REQUEST_MAX))) == [Request(0, 0, codec.REQUEST_MAX)]


def test_keep_alives_and_unknown_messages_say_nothing() -> None:
    data = b"\0\0\0\0" + frame(99, b"hello") + frame(10, b"\x1a\xe1") + frame(99, bytes(codec.UNKNOWN_BODY_MAX - 1))
    assert deliver(wire(), data + frame(5, b"\x80") + b"\0\0\0\0") == [PeerBitfield(Bitfield.of(4, [0]))]


def test_an_extension_message_reaches_its_name_and_an_unannounced_one_nobody() -> None:
    machine = wire(extensions={"ic_test": 3})
    assert deliver(machine, frame(20, b"\x03hello") + frame(20, b"\x04hello")) == [Extended("ic_test", b"hello")]


def test_the_longest_extension_message_passes_and_the_buffer_shrinks_again() -> None:
    machine = wire(extensions={"ic_test": 3})
    payload = bytes(codec.EXTENDED_BODY_MAX - 2)
    assert deliver(machine, frame(20, b"\x03" + payload) + frame(1)) == [Extended("ic_test", payload), Unchoke()]
    machine.buffer()
    assert len(machine._data) <= BUFFER_MAX


def test_who_announces_a_huge_message_and_trickles_costs_bounded_memory() -> None:
    tracemalloc.start()
    machines = [wire(extensions={"ic_test": 3}) for _ in range(50)]
    for machine in machines:
        deliver(machine, struct.pack("!IBB", codec.EXTENDED_BODY_MAX, 20, 3))
        for _ in range(20):
            deliver(machine, b"x")
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < len(machines) * (codec.EXTENDED_BODY_MAX + BUFFER_MIN + 65536)


def test_a_bitfield_larger_than_the_buffer_passes() -> None:
    many = Geometry(2**21 * 16384, 16384)
    (event,) = deliver(wire(many), frame(5, b"\xff" * 2**18))
    assert isinstance(event, PeerBitfield)
    assert event.bits.is_full


# Splitting and totality

TALK = b"".join(
    [
        LEGAL[20][0],
        frame(5, b"\x90"),
        frame(1),
        b"\0\0\0\0",
        frame(4, u32(1)),
        frame(7, u32(0, 0) + bytes(range(256)) * 64),
        frame(7, u32(3, 16384) + b"tail" * 904),
        frame(6, u32(0, 0, 16384)) * 3,
        frame(99, b"what is this"),
        frame(7, u32(1, 16384) + b"\x07\0\0\x40" * 4096),
        frame(0),
        frame(16, u32(0, 0, 16384)),
        frame(7, u32(2, 0) + b"z"),
        frame(2),
        frame(20, b"\x05" + bytes(40_000)),
        frame(3),
    ]
)


def _talk_machine() -> PeerWire:
    return wire(extensions={"ic_test": 5})


@given(st.lists(st.integers(0, len(TALK)), max_size=12))
def test_the_same_bytes_cut_anywhere_give_the_same_events(cuts: list[int]) -> None:
    assert deliver_cut(_talk_machine(), TALK, cuts) == deliver(_talk_machine(), TALK)


@given(st.integers(0, len(TALK)))
def test_with_fewer_bytes_than_are_missing_nothing_happens(cut: int) -> None:
    machine = _talk_machine()
    deliver(machine, TALK[:cut])
    missing = machine.missing
    assert missing >= 1
    assert deliver(machine, TALK[cut : cut + missing - 1]) == []
    assert missing == 1 or machine.missing == 1


def test_byte_by_byte_too() -> None:
    short = TALK[:16_600]
    assert deliver_cut(_talk_machine(), short, range(len(short))) == deliver(_talk_machine(), short)


messages = st.one_of(
    st.sampled_from([data for data, _ in LEGAL.values()]),
    st.sampled_from([*BAD_LENGTH.values(), *OUT_OF_BOUNDS.values()]),
    st.builds(frame, st.integers(0, 255), st.binary(max_size=40)),
    st.binary(max_size=40),
)


@given(st.lists(messages, max_size=30).map(b"".join), st.lists(st.integers(0, 2000), max_size=5), st.booleans())
def test_any_bytes_give_events_or_a_protocol_error_however_cut(data: bytes, cuts: list[int], fast: bool) -> None:
    """The error is the same whatever the cuts; what came before it in the same bite is dropped, never changed."""

    def run(offsets: list[int]) -> tuple[list[Event], Violation | None]:
        machine = wire(fast=fast)
        events: list[Event] = []
        start = 0
        try:
            for cut in [*sorted(offsets), len(data)]:
                events += deliver(machine, data[start:cut])
                start = max(start, cut)
        except PeerProtocolError as error:
            return events, error.violation
        finally:
            assert len(machine._data) <= 4 + codec.EXTENDED_BODY_MAX
        return events, None

    whole, error = run([])
    pieces, same = run(cuts)
    singles, also_same = run(list(range(len(data))))
    assert error is same is also_same
    if error is None:
        assert whole == pieces == singles
    else:
        assert singles[: len(pieces)] == pieces
        assert singles[: len(whole)] == whole


def test_a_long_stream_leaves_every_block_intact_and_the_buffer_bounded() -> None:
    machine = wire()
    blocks = [bytes([number % 251]) * BLOCK_SIZE for number in range(400)]
    data = b"".join(
        frame(7, u32(number % 3, number % 4 * BLOCK_SIZE) + block) + (b"\0\0\0\0" if number % 7 == 0 else b"")
        for number, block in enumerate(blocks)
    )
    found = [bytes(event.block) for event in deliver(machine, data) if type(event) is Piece]
    assert found == blocks
    assert BUFFER_MIN < len(machine._data) <= BUFFER_MAX


def test_a_quiet_connection_keeps_the_small_buffer() -> None:
    machine = wire()
    for _ in range(5000):
        deliver(machine, frame(4, u32(1)))
    assert len(machine._data) == BUFFER_MIN
    assert len(machine.buffer()) >= BUFFER_MIN // 2


def test_the_room_lent_never_shrinks_to_a_trickle() -> None:
    machine = wire()
    data = memoryview(frame(7, u32(0, 0) + bytes(BLOCK_SIZE)) * 50)
    for start in range(0, len(data), 1000):
        bite = data[start : start + 1000]
        room = machine.buffer()
        assert len(room) >= BUFFER_MIN - 4 - codec.PIECE_BODY_MAX
        room[: len(bite)] = bite
        machine.received(len(bite), 0.0)


def test_feed_takes_what_came_behind_the_handshake() -> None:
    machine = wire()
    assert machine.feed(frame(5, b"\x80") + frame(1)[:3], 0.0) == [PeerBitfield(Bitfield.of(4, [0]))]
    assert deliver(machine, frame(1)[3:]) == [Unchoke()]


# Sending


def test_what_we_send_are_these_bytes() -> None:
    machine = wire()
    assert machine.extension_handshake()[:6] == struct.pack("!I", len(machine.extension_handshake()) - 4) + b"\x14\0"
    assert machine.bitfield(Bitfield.of(4, [0, 3])) == frame(5, b"\x90")
    assert machine.have([0, 3]) == frame(4, u32(0)) + frame(4, u32(3))
    assert machine.request([(1, 2, 3), (4, 5, 6)]) == frame(6, u32(1, 2, 3)) + frame(6, u32(4, 5, 6))
    assert machine.cancel([Request(1, 2, 3)]) == frame(8, u32(1, 2, 3))
    assert machine.reject([Request(1, 2, 3)]) == frame(16, u32(1, 2, 3))
    assert machine.suggest([7]) == frame(13, u32(7))
    assert machine.allowed_fast([7, 8]) == frame(17, u32(7)) + frame(17, u32(8))
    assert machine.piece_header(1, 16384, 4) + b"abcd" == frame(7, u32(1, 16384) + b"abcd")


def test_choke_and_interest_are_only_said_when_they_change() -> None:
    machine = wire()
    assert machine.choke() == b""
    assert machine.unchoke() == frame(1)
    assert machine.unchoke() == b""
    assert machine.choke() == frame(0)
    assert machine.not_interested() == b""
    assert machine.interested() == frame(2)
    assert machine.interested() == b""
    assert machine.not_interested() == frame(3)


@pytest.mark.parametrize(
    ("fast", "indices", "expected"),
    [
        (True, [0, 1, 2, 3], frame(14)),
        (True, [], frame(15)),
        (True, [1], frame(5, b"\x40")),
        (False, [0, 1, 2, 3], frame(5, b"\xf0")),
        (False, [], b""),
    ],
)
def test_what_we_have_is_said_in_the_shortest_way(fast: bool, indices: list[int], expected: bytes) -> None:
    assert wire(fast=fast).bitfield(Bitfield.of(4, indices)) == expected


@pytest.mark.parametrize("indices", [[], [1], [0, 1, 2, 3]])
@pytest.mark.parametrize("fast", [True, False])
def test_a_bitfield_may_not_follow_other_messages(fast: bool, indices: list[int]) -> None:
    mine = Bitfield.of(4, indices)
    machine = wire(fast=fast)
    machine.bitfield(mine)
    with pytest.raises(LocalProtocolError):
        machine.bitfield(mine)
    late = wire(fast=fast)
    late.interested()
    with pytest.raises(LocalProtocolError):
        late.bitfield(mine)


def test_without_the_extensions_nothing_of_them_is_sent() -> None:
    plain = wire(fast=False, extended=False)
    assert plain.extension_handshake() == b""
    assert plain.reject([(0, 0, 1)]) == plain.allowed_fast([1]) == plain.suggest([1]) == b""


def test_an_extension_is_spoken_only_to_who_announced_it() -> None:
    machine = wire()
    assert not machine.supports("ic_test")
    with pytest.raises(LocalProtocolError):
        machine.extension("ic_test", b"x")
    deliver(machine, frame(20, b"\0d1:md7:ic_testi9eee"))
    assert machine.supports("ic_test")
    assert machine.extension("ic_test", b"x") == frame(20, b"\x09x")
    deliver(machine, frame(20, b"\0d1:md7:ic_testi0eee"))
    assert not machine.supports("ic_test")


@pytest.mark.parametrize("theirs", [OUR_RESERVED, bytes(8), bytes.fromhex("0000000000000004")])
def test_only_what_both_announce_is_spoken(theirs: bytes) -> None:
    ours = Handshake(InfoHash(bytes(20)), PeerId(bytes(20)))
    other = Handshake(InfoHash(bytes(20)), PeerId(bytes(20)), theirs)
    machine = PeerWire.between(ours, other, SMALL, now=0.0)
    assert (machine.fast, machine.extended) == (other.supports_fast, other.supports_extended)


# Time


def test_a_keep_alive_goes_out_before_two_silent_minutes() -> None:
    machine = wire(now=0.0)
    deliver(machine, b"\0\0\0\0", now=0.0)
    silent_since, now = 0.0, 0.0
    while now < 600:
        now = machine.get_timer()
        deliver(machine, b"\0\0\0\0", now=now)
        if machine.handle_timer(now):
            assert now - silent_since < 120
            silent_since = now
    assert silent_since > 480


def test_no_keep_alive_while_we_talk() -> None:
    machine = wire(now=0.0)
    now = 0.0
    for _ in range(20):
        machine.have([1])
        now = machine.get_timer()
        deliver(machine, b"\0\0\0\0", now=now)
        assert machine.handle_timer(now) == b""


def test_a_timer_that_fires_early_does_nothing() -> None:
    machine = wire(now=0.0)
    assert machine.handle_timer(KEEP_ALIVE_CHECK - 1) == b""
    assert machine.get_timer() == KEEP_ALIVE_CHECK


def test_a_peer_that_says_nothing_is_given_up() -> None:
    machine = wire(now=0.0)
    deliver(machine, b"\0", now=100.0)
    machine.handle_timer(100.0 + SILENCE_MAX - 1)
    with pytest.raises(PeerProtocolError) as caught:
        machine.handle_timer(100.0 + SILENCE_MAX)
    assert caught.value.violation is Violation.SILENT


def test_the_port_of_a_node_of_the_dht() -> None:
    ours, theirs = wire(), wire()
    data = ours.bitfield(Bitfield(SMALL.piece_count)) + ours.port(6881)
    assert data.endswith(b"\0\0\0\x03\x09\x1a\xe1")
    assert Port(6881) in deliver(theirs, data)
    # It means nothing else, and so may come before the bitfield; port 0 is nowhere.
    late = wire()
    assert deliver(late, b"\0\0\0\x03\x09\0\0") == []
    assert deliver(late, b"\0\0\0\x01\x0e") == [HaveAll()]
    with pytest.raises(PeerProtocolError):
        deliver(late, b"\0\0\0\x04\x09\x1a\xe1\0")
