"""Peer exchange (BEP 11) and lost pieces (BEP 54): bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError
from icworkshop_gui.wire.peer.extensions import lt_donthave, ut_pex
from icworkshop_gui.wire.peer.extensions.ut_pex import MESSAGE_MAX, PEERS_MAX, PexFlag, PexMessage

PORTS = st.integers(1, 65535)
V4 = st.builds(lambda host, port: Endpoint.of(str(host), port), st.ip_addresses(v=4), PORTS)
V6 = st.builds(
    lambda host, port: Endpoint.of(str(host), port),
    st.ip_addresses(v=6).filter(lambda host: host.ipv4_mapped is None),
    PORTS,
)
FLAGS = st.builds(PexFlag, st.integers(0, 31))


@given(
    st.dictionaries(V4 | V6, FLAGS, max_size=PEERS_MAX),
    st.lists(V4 | V6, max_size=PEERS_MAX, unique=True),
)
def test_what_we_say_reads_back(added: dict[Endpoint, PexFlag], dropped: list[Endpoint]) -> None:
    found = ut_pex.parse(ut_pex.encode(PexMessage(added, dropped)))
    assert dict(found.added) == added
    assert set(found.dropped) == set(dropped)


def test_no_more_than_fifty_are_read() -> None:
    many = {Endpoint("1.2.3.4", port): PexFlag(0) for port in range(2000, 2300)}
    found = ut_pex.parse(ut_pex.encode(PexMessage(many, list(many))))
    assert (len(found.added), len(found.dropped)) == (PEERS_MAX, PEERS_MAX)


def test_port_0_is_left_out_and_takes_no_other_peers_flag() -> None:
    raw = bencode.encode({b"added": b"\1\2\3\4\0\0\5\6\7\x08\1\1ragged"[:14], b"added.f": b"\x02\x10"})
    assert ut_pex.parse(raw).added == {Endpoint("5.6.7.8", 257): PexFlag.REACHABLE}


def test_flags_may_be_missing_or_unknown() -> None:
    assert ut_pex.parse(bencode.encode({b"added": b"\1\2\3\4\1\1"})).added == {Endpoint("1.2.3.4", 257): PexFlag(0)}
    raw = bencode.encode({b"added": b"\1\2\3\4\1\1", b"added.f": b"\x82"})
    assert ut_pex.parse(raw).added == {Endpoint("1.2.3.4", 257): PexFlag.SEED}


@pytest.mark.parametrize("payload", [b"", b"le", b"i1e", b"d5:added", b"d5:added1:xe" + bytes(MESSAGE_MAX)])
def test_what_is_no_list_ends_the_connection(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError):
        ut_pex.parse(payload)


@given(st.binary(max_size=120) | st.dictionaries(st.binary(max_size=8), st.binary(max_size=40)).map(bencode.encode))
def test_any_bytes_are_a_list_or_an_error(payload: bytes) -> None:
    with contextlib.suppress(PeerProtocolError):
        ut_pex.parse(payload)


def test_a_lost_piece() -> None:
    assert lt_donthave.parse(b"\0\0\0\x07", 8) == 7


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\x08", b"\0\0\0\0\0"])
def test_what_is_no_lost_piece_ends_the_connection(payload: bytes) -> None:
    with pytest.raises(PeerProtocolError):
        lt_donthave.parse(payload, 8)
