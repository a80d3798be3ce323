"""The DHT's messages: the packets of BEP 5 byte for byte, any bytes from strangers, and the limits."""

from __future__ import annotations

import bencodepy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht import krpc
from icworkshop_gui.wire.dht.compact import Contact, unpack_nodes
from icworkshop_gui.wire.dht.krpc import Error, KrpcError, Method, Query, Response, decode

OURS, THEIRS = NodeId(b"abcdefghij0123456789"), NodeId(b"mnopqrstuvwxyz123456")

# BEP 5, "DHT Queries"; what is sent in its place has our `v`.
PACKETS = {
    "ping": (
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        Query(transaction=b"aa", node_id=OURS, method=Method.PING),
    ),
    "pong": (
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        Response(transaction=b"aa", node_id=THEIRS),
    ),
    "find_node": (
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        Query(transaction=b"aa", node_id=OURS, method=Method.FIND_NODE, target=THEIRS),
    ),
    "get_peers": (
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        Query(transaction=b"aa", node_id=OURS, method=Method.GET_PEERS, target=THEIRS),
    ),
    "peers": (
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        Response(
            transaction=b"aa",
            node_id=OURS,
            token=b"aoeusnth",
            values=(Endpoint("97.120.106.101", 11893), Endpoint("105.100.104.116", 28269)),
        ),
    ),
    "announce_peer": (
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e"
        b"5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        Query(transaction=b"aa", node_id=OURS, method=Method.ANNOUNCE_PEER, target=THEIRS, token=b"aoeusnth"),
    ),
    "error": (
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        Error(transaction=b"aa", code=201, untrusted_text="A Generic Error Ocurred"),
    ),
    "read-only": (
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe",
        Query(transaction=b"aa", node_id=OURS, method=Method.PING, read_only=True),
    ),
}


@pytest.mark.parametrize("name", PACKETS)
def test_the_packets_of_the_specification(name: str) -> None:
    packet, message = PACKETS[name]
    assert decode(packet) == message


@pytest.mark.parametrize("name", [name for name in PACKETS if name != "announce_peer"])
def test_we_send_what_it_says_and_our_version(name: str) -> None:
    packet, message = PACKETS[name]
    sent = bencodepy.decode(message.encode())
    assert sent.pop(b"v") == krpc.VERSION
    assert sent == bencodepy.decode(packet)


ids = st.binary(min_size=20, max_size=20).map(NodeId)
ports = st.integers(1, 65535)
v4 = st.builds(Endpoint, st.ip_addresses(v=4).map(str), ports)
v6 = st.builds(Endpoint, st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map(str), ports)
transactions = st.binary(min_size=1, max_size=krpc.TRANSACTION_MAX)
queries = st.one_of(
    st.builds(Query, transaction=transactions, node_id=ids, method=st.just(Method.PING), read_only=st.booleans()),
    st.builds(
        Query,
        transaction=transactions,
        node_id=ids,
        method=st.sampled_from([Method.FIND_NODE, Method.GET_PEERS]),
        target=ids,
        want=st.tuples(st.booleans(), st.booleans()),
        read_only=st.booleans(),
    ),
    st.builds(
        Query,
        transaction=transactions,
        node_id=ids,
        method=st.just(Method.ANNOUNCE_PEER),
        target=ids,
        token=st.binary(max_size=krpc.TOKEN_MAX),
        port=st.integers(0, 65535),
    ),
)
responses = st.builds(
    Response,
    transaction=transactions,
    node_id=ids,
    nodes=st.lists(st.builds(Contact, ids, v4), max_size=8).map(tuple),
    nodes6=st.lists(st.builds(Contact, ids, v6), max_size=8).map(tuple),
    values=st.lists(st.one_of(v4, v6), max_size=20, unique=True).map(tuple),
    token=st.binary(max_size=krpc.TOKEN_MAX),
    ip=st.none() | v4 | v6,
)
errors = st.builds(
    Error, transaction=transactions, code=st.integers(0, 999), untrusted_text=st.text(max_size=20), ip=st.none() | v4
)


@pytest.mark.slow
@given(st.one_of(queries, responses, errors))
def test_what_is_sent_is_read_back(message: krpc.Message) -> None:
    data = message.encode()
    assert decode(data) == message
    assert decode(data + b"trailing") == message


def check(data: bytes) -> None:
    try:
        message = decode(data)
    except KrpcError:
        return
    assert 0 < len(message.transaction) <= krpc.TRANSACTION_MAX
    if isinstance(message, Response):
        assert len(message.nodes) <= krpc.NODES_MAX
        assert len(message.values) <= krpc.VALUES_MAX
        assert all(peer.port for peer in message.values)
    elif isinstance(message, Query):
        assert message.method is Method.PING or message.target is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    check(data)
    check(b"d" + data)


def _values(depth: int = 2) -> st.SearchStrategy[object]:
    leaves = st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=6), inner, max_size=4)
    )


FIELDS = [b"a", b"r", b"e", b"q", b"t", b"y", b"ip", b"ro", b"v"]
INNER = [b"id", b"target", b"info_hash", b"token", b"port", b"implied_port", b"want", b"nodes", b"nodes6", b"values"]


@pytest.mark.slow
@given(
    st.fixed_dictionaries(
        {b"t": _values() | st.just(b"aa"), b"y": _values() | st.sampled_from([b"q", b"r", b"e"])},
        optional={
            b"q": _values() | st.sampled_from([method.value for method in Method]),
            **{
                key: st.dictionaries(st.sampled_from(INNER), _values() | ids.map(bytes), max_size=8) | _values()
                for key in (b"a", b"r")
            },
            b"e": _values(),
            b"ip": _values(),
            b"ro": _values(),
        },
    )
)
def test_any_dictionary_is_a_message_or_a_protocol_error(message: dict[bytes, object]) -> None:
    check(bencodepy.encode(message))


@given(st.sampled_from([packet for packet, _ in PACKETS.values()]), st.integers(0, 200), st.binary(max_size=3))
def test_a_message_with_a_hole_is_a_message_or_a_protocol_error(packet: bytes, at: int, patch: bytes) -> None:
    check(packet[:at] + patch + packet[at + len(patch) :])
    check(packet[:at])


BAD = {
    "empty": b"",
    "no dictionary": b"le",
    "no transaction": b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe",
    "an empty transaction": b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t0:1:y1:qe",
    "a long transaction": b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t33:" + 33 * b"a" + b"1:y1:qe",
    "no kind": b"d1:t2:aae",
    "a response without id": b"d1:rde1:t2:aa1:y1:re",
    "a response with a short id": b"d1:rd2:id19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re",
    "a number with a million digits": b"d1:ti" + 1_000_000 * b"9" + b"ee",
    "deeper than the limit": b"d1:a" + 11 * b"l" + 11 * b"e" + b"1:t2:aa1:y1:qe",
    "more values than the limit": b"d1:al" + 501 * b"0:" + b"e1:t2:aa1:y1:qe",
    "longer than the limit": b"d1:a2000:" + 2000 * b"a" + b"1:t2:aa1:v20:" + 20 * b"a" + b"1:y1:qe",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_answered(name: str) -> None:
    with pytest.raises(KrpcError) as raised:
        decode(BAD[name])
    assert raised.value.transaction == b""


REFUSED = {
    "no arguments": (b"d1:q4:ping1:t2:aa1:y1:qe", 203),
    "no id": (b"d1:ade1:q4:ping1:t2:aa1:y1:qe", 203),
    "a short id": (b"d1:ad2:id2:abe1:q4:ping1:t2:aa1:y1:qe", 203),
    "an unknown method": (b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe", 204),
    "a method that is no name": (b"d1:ad2:id20:abcdefghij0123456789e1:qle1:t2:aa1:y1:qe", 204),
    "nothing is looked for": (b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe", 203),
    "port 0": (PACKETS["announce_peer"][0].replace(b"i6881e", b"i0e").replace(b"porti1e", b"porti0e"), 203),
    "port 65536": (PACKETS["announce_peer"][0].replace(b"i6881e", b"i65536e").replace(b"porti1e", b"porti0e"), 203),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_with_a_reason(name: str) -> None:
    packet, code = REFUSED[name]
    with pytest.raises(KrpcError) as raised:
        decode(packet)
    assert (raised.value.transaction, raised.value.code) == (b"aa", code)


def test_a_field_that_makes_no_sense_is_as_if_it_were_not_there() -> None:
    packet = bencodepy.encode(
        {
            b"t": b"aa",
            b"y": b"r",
            b"ip": b"12345",
            b"r": {
                b"id": bytes(THEIRS),
                b"token": 65 * b"t",
                b"nodes": [1],
                b"nodes6": 37 * b"n",
                b"values": [b"axje.u", b"axje.u", b"axje\0\0", b"short", 7, [b"idhtnm"]],
            },
        }
    )
    assert decode(packet) == Response(transaction=b"aa", node_id=THEIRS, values=(Endpoint("97.120.106.101", 11893),))


def test_the_limits_are_where_they_are_said_to_be() -> None:
    nodes = b"".join(bytes([index]) * 20 + bytes([93, 1, index, 7, 1, 1]) for index in range(krpc.NODES_MAX + 5))
    values = [bytes([93, 1 + index // 250, index % 250, 7, 1, 1]) for index in range(krpc.VALUES_MAX + 5)]
    many_nodes = decode(bencodepy.encode({b"t": b"a", b"y": b"r", b"r": {b"id": bytes(THEIRS), b"nodes": nodes}}))
    many_peers = decode(bencodepy.encode({b"t": b"a", b"y": b"r", b"r": {b"id": bytes(THEIRS), b"values": values}}))
    assert isinstance(many_nodes, Response)
    assert isinstance(many_peers, Response)
    assert len(many_nodes.nodes) == krpc.NODES_MAX
    assert len(many_peers.values) == krpc.VALUES_MAX


def test_packed_nodes_that_are_none() -> None:
    good, no_port = 20 * b"i" + b"\x5d\x01\x02\x03\x1a\xe1", 20 * b"j" + b"\x5d\x01\x02\x04\0\0"
    assert unpack_nodes(no_port + good + b"ragged", 8, ipv6=False) == (
        Contact(NodeId(20 * b"i"), Endpoint("93.1.2.3", 6881)),
    )
    mapped = 20 * b"k" + 10 * b"\0" + b"\xff\xff\x5d\x01\x02\x03\x1a\xe1"
    assert unpack_nodes(mapped, 8, ipv6=True) == ()
