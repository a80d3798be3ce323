"""What strangers must not be able to do (engine.md F D-11): reflect, flood, poison, eclipse, fill our memory."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash, NodeId
from icworkshop_gui.wire.dht import krpc, limits, peer_store
from icworkshop_gui.wire.dht.compact import Contact, pack_nodes
from icworkshop_gui.wire.dht.krpc import Error, Method, Query, Response, decode
from icworkshop_gui.wire.dht.limits import Bucket, QueryGate
from icworkshop_gui.wire.dht.lookup import Lookup
from icworkshop_gui.wire.dht.node import DhtNode, PeersFound
from icworkshop_gui.wire.dht.node_id import is_secure, secure_id
from icworkshop_gui.wire.dht.peer_store import PeerStore
from icworkshop_gui.wire.dht.questions import PENDING_MAX, PENDING_PER_HOST, TIMEOUT, Questions
from icworkshop_gui.wire.dht.responder import AMPLIFY, REPLY_BURST, REPLY_RATE
from icworkshop_gui.wire.dht.table import K
from icworkshop_gui.wire.dht.tokens import LIFE, Tokens
from tests.helpers.dht_net import DhtNet

TORRENT = NodeId(b"the torrent we want!")
THEIRS = NodeId(b"abcdefghij0123456789")
STRANGER = Endpoint("94.1.1.1", 6881)


def node() -> DhtNode:
    rng = Random(1)
    return DhtNode(secure_id("93.9.9.9", rng.randbytes), 0.0, rng.randbytes)


def ask(ours: DhtNode, query: Query, source: Endpoint = STRANGER, now: float = 0.0) -> list[tuple[bytes, Endpoint]]:
    """The datagrams that a question brings about."""
    ours.receive(query.encode(), source, now)
    return ours.take_datagrams()


def get_peers(transaction: bytes = b"aa") -> Query:
    return Query(transaction=transaction, node_id=THEIRS, method=Method.GET_PEERS, target=TORRENT, read_only=True)


def announce(token: bytes, port: int = 7001) -> Query:
    return Query(
        transaction=b"aa",
        node_id=THEIRS,
        method=Method.ANNOUNCE_PEER,
        target=TORRENT,
        token=token,
        port=port,
        read_only=True,
    )


def token_for(ours: DhtNode, source: Endpoint = STRANGER, now: float = 0.0) -> bytes:
    ((data, _),) = ask(ours, get_peers(), source, now)
    reply = decode(data)
    assert isinstance(reply, Response)
    return reply.token


# --- any bytes --------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 65535)), max_size=20))
def test_any_datagrams_leave_a_node_that_works(datagrams: list[tuple[bytes, int]]) -> None:
    ours = node()
    for data, port in datagrams:
        ours.receive(data, Endpoint("94.1.1.1", port), 0.0)
        ours.receive(b"d" + data, Endpoint("94.1.1.1", port), 0.0)
    ours.take_datagrams()
    assert len(ask(ours, get_peers(), Endpoint("94.2.2.2", 6881))) == 1


def test_port_0_is_not_answered() -> None:
    assert ask(node(), get_peers(), Endpoint("94.1.1.1", 0)) == []


def test_what_is_too_long_is_not_read() -> None:
    ours = node()
    ours.receive(get_peers().encode() + bytes(krpc.DATAGRAM_MAX), STRANGER, 0.0)
    assert ours.take_datagrams() == []


# --- reflection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Method.PING, Method.FIND_NODE, Method.GET_PEERS])
@pytest.mark.parametrize("want", [(False, False), (True, True)])
def test_an_answer_is_a_few_times_the_question_and_never_oversize(method: Method, want: tuple[bool, bool]) -> None:
    net = DhtNet()
    made = net.grow(12)
    six = net.grow(12, ipv6=True)
    ours = net.nodes[made[0]]
    ours.sibling = net.nodes[six[0]]
    for number in range(peer_store.PEERS_MAX):
        ours.responder.peers.add(TORRENT, Endpoint(f"95.{number // 250}.{number % 250}.1", 7001), net.now)
    target = None if method is Method.PING else TORRENT
    query = Query(transaction=b"aa", node_id=THEIRS, method=method, target=target, want=want, read_only=True)
    ((data, to),) = ask(ours, query, now=net.now)
    assert to == STRANGER
    assert len(data) <= min(krpc.REPLY_MAX, AMPLIFY * len(query.encode()))
    if method is Method.GET_PEERS:
        reply = decode(data)
        assert isinstance(reply, Response)
        assert len(reply.values) > 10


@pytest.mark.slow
def test_answers_in_all_have_a_budget() -> None:
    ours = node()
    sent = 0
    seconds = 20
    for second in range(seconds):
        for number in range(400):
            # Each from another address: the limit of one address does not help.
            source = Endpoint(f"94.{second}.{number // 250}.{number % 250 + 1}", 6881)
            sent += sum(len(data) for data, _ in ask(ours, get_peers(), source, float(second)))
    assert REPLY_RATE * seconds / 2 < sent <= REPLY_BURST + REPLY_RATE * seconds


def test_a_stranger_is_checked_seldom_however_many_there_are() -> None:
    """Each who asks would else bring about a question of ours to wherever it says it is."""
    ours = node()
    pings = 0
    for number in range(1000):
        source = Endpoint(f"94.{number // 250}.{number % 250}.1", 6881)
        query = Query(transaction=b"aa", node_id=NodeId(Random(number).randbytes(20)), method=Method.PING)
        pings += sum(isinstance(decode(data), Query) for data, _ in ask(ours, query, source, 1.0))
    assert 0 < pings <= 25


# --- floods -----------------------------------------------------------------------------------------------


def test_one_address_that_asks_too_much_is_not_heard_for_five_minutes() -> None:
    ours = node()
    answers = sum(len(ask(ours, get_peers(), STRANGER, 0.01 * number)) for number in range(500))
    assert limits.QUERIES_BURST <= answers <= limits.QUERIES_BURST + 6
    assert ask(ours, get_peers(), STRANGER, 5.0 + limits.BLOCK_SECONDS / 2) == []
    assert ask(ours, get_peers(), Endpoint("94.1.1.2", 1), 6.0) != [], "its neighbour is"
    assert ask(ours, get_peers(), STRANGER, 6.0 + limits.BLOCK_SECONDS) != []


def test_nonsense_counts_as_questions() -> None:
    ours = node()
    data = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe"
    answers = 0
    for _ in range(200):
        ours.receive(data, STRANGER, 0.0)
        answers += len(ours.take_datagrams())
    assert answers == limits.QUERIES_BURST


def test_an_answer_that_we_wait_for_is_heard_from_a_blocked_address_all_the_same() -> None:
    """Anybody can ask in the name of a node, and would silence it for us."""
    ours = node()
    for _ in range(100):
        ask(ours, get_peers())
    ours.ping(STRANGER, 1.0)
    ((data, _),) = ours.take_datagrams()
    reply = Response(transaction=decode(data).transaction, node_id=secure_id(STRANGER.host, Random(2).randbytes))
    ours.receive(reply.encode(), STRANGER, 1.1)
    assert len(ours.table) == 1


def test_what_is_remembered_of_askers_is_bounded() -> None:
    gate = QueryGate()
    for number in range(2 * limits.HOSTS_MAX):
        gate.admit(f"94.{number >> 8}.{number & 255}.1", 0.0)
    assert len(gate._hosts) == limits.HOSTS_MAX
    for number in range(2 * limits.BLOCKED_MAX):
        while gate.admit(f"95.{number >> 8}.{number & 255}.1", 0.0):
            pass
    assert len(gate._blocked) == limits.BLOCKED_MAX


def test_a_bucket_refills_and_does_not_overflow() -> None:
    bucket = Bucket(10.0, 20.0, 0.0)
    assert bucket.take(20.0, 0.0)
    assert not bucket.take(1.0, 0.05)
    assert bucket.take(10.0, 1.0)
    assert not bucket.take(21.0, 1000.0)


# --- we are no weapon -----------------------------------------------------------------------------------------


def test_so_many_questions_to_one_address_and_in_all() -> None:
    questions = Questions(Random(1).randbytes)
    asked = [questions.ask(Endpoint("94.1.1.1", port), None, None, 0.0) for port in range(1, 100)]
    assert sum(transaction is not None for transaction in asked) == PENDING_PER_HOST
    for number in range(2 * PENDING_MAX):
        questions.ask(Endpoint(f"95.{number >> 8}.{number & 255}.1", 6881), None, None, 0.0)
    assert len(questions) == PENDING_MAX
    assert len(questions.over(TIMEOUT)) == PENDING_MAX
    assert questions.ask(Endpoint("94.1.1.1", 1), None, None, TIMEOUT) is not None


def test_a_node_of_the_internet_leads_us_into_no_house_and_to_no_service() -> None:
    ours = node()
    ours.bootstrap(0.0, doors=[STRANGER])
    ((data, _),) = ours.take_datagrams()
    traps = [
        Endpoint("192.168.1.1", 6881),
        Endpoint("127.0.0.1", 6881),
        Endpoint("169.254.169.254", 6881),
        Endpoint("239.1.1.1", 6881),
        Endpoint("94.5.5.5", 53),
        Endpoint("94.5.6.5", 443),
    ]
    honest = Endpoint("94.7.7.7", 6881)
    nodes = tuple(Contact(NodeId(Random(i).randbytes(20)), e) for i, e in enumerate([*traps, honest]))
    reply = Response(transaction=decode(data).transaction, node_id=THEIRS, nodes=nodes)
    ours.receive(reply.encode(), STRANGER, 0.1)
    assert {to for _, to in ours.take_datagrams()} == {honest}


def test_nor_do_the_peers_that_it_names() -> None:
    ours = node()
    ours.bootstrap(0.0, [Contact(secure_id(STRANGER.host, Random(2).randbytes), STRANGER)])
    ours.handle_timer(TIMEOUT)
    ours.table.replied(Contact(secure_id(STRANGER.host, Random(2).randbytes), STRANGER), TIMEOUT)
    ours.take_datagrams()
    ours.find_peers(InfoHash(TORRENT), TIMEOUT)
    (data,) = [data for data, to in ours.take_datagrams() if to == STRANGER]
    good = Endpoint("94.7.7.7", 7001)
    values = (Endpoint("192.168.1.1", 7001), Endpoint("127.0.0.1", 7001), Endpoint("94.5.5.5", 22), good)
    reply = Response(
        transaction=decode(data).transaction, node_id=secure_id(STRANGER.host, Random(2).randbytes), values=values
    )
    ours.receive(reply.encode(), STRANGER, TIMEOUT + 0.1)
    found = [event for event in ours.take_events() if isinstance(event, PeersFound)]
    assert [event.peers for event in found] == [(good,)]


# --- forgery ----------------------------------------------------------------------------------------------


def test_only_whom_we_asked_may_answer() -> None:
    ours = node()
    ours.ping(STRANGER, 0.0)
    ((data, _),) = ours.take_datagrams()
    transaction = decode(data).transaction
    forged = Response(transaction=transaction, node_id=THEIRS).encode()
    ours.receive(forged, Endpoint("94.1.1.1", 6882), 0.1)
    ours.receive(forged, Endpoint("94.1.1.2", 6881), 0.1)
    ours.receive(Response(transaction=b"guess", node_id=THEIRS).encode(), STRANGER, 0.1)
    assert len(ours.table) == 0
    # And the real answer still counts, once.
    ours.receive(forged, STRANGER, 0.2)
    ours.receive(forged, STRANGER, 0.2)
    assert len(ours.table) == 1


def test_transactions_cannot_be_foreseen() -> None:
    questions = Questions(Random(1).randbytes)
    asked = {questions.ask(Endpoint(f"94.1.{n}.1", 1), None, None, 0.0) for n in range(200)}
    assert len(asked) == 200
    assert all(transaction is not None and len(transaction) == 4 for transaction in asked)


# --- tokens and the peers of others --------------------------------------------------------------------------


def test_who_announces_must_have_asked_from_there_a_short_while_ago() -> None:
    ours = node()
    token = token_for(ours)
    other = Endpoint("94.1.1.2", 6881)
    for query, source, now in (
        (announce(b""), STRANGER, 0.0),
        (announce(b"12345678"), STRANGER, 0.0),
        (announce(token), other, 0.0),  # somebody else's
        (announce(token), STRANGER, 2 * LIFE + 1),  # too old
    ):
        ((data, _),) = ask(ours, query, source, now)
        reply = decode(data)
        assert isinstance(reply, Error)
        assert reply.code == 203
    assert len(ours.responder.peers) == 0
    token = token_for(ours, now=2 * LIFE + 2)
    ((data, _),) = ask(ours, announce(token), STRANGER, 2 * LIFE + 3)
    assert isinstance(decode(data), Response)
    assert len(ours.responder.peers) == 1


TIMES = [  # given at, used at -> valid
    (0.0, 0.0, True),
    (0.0, LIFE - 1, True),
    (LIFE - 1, LIFE + 1, True),
    (LIFE - 1, 2 * LIFE - 1, True),
    (0.0, 2 * LIFE, False),
    (LIFE - 1, 3 * LIFE, False),
    (0.0, 100 * LIFE, False),
]


@pytest.mark.parametrize(("given", "used", "valid"), TIMES)
def test_a_token_holds_for_five_to_ten_minutes(given: float, used: float, valid: bool) -> None:
    tokens = Tokens(0.0, Random(1).randbytes)
    token = tokens.give("94.1.1.1", TORRENT, given)
    assert tokens.is_valid(token, "94.1.1.1", TORRENT, used) == valid
    assert not tokens.is_valid(token, "94.1.1.2", TORRENT, used)
    assert not tokens.is_valid(token, "94.1.1.1", THEIRS, used)


def test_the_address_of_a_peer_is_that_of_the_datagram() -> None:
    ours = node()
    ask(ours, announce(token_for(ours), port=7001))
    ask(ours, announce(token_for(ours), port=0))
    assert ours.responder.known_peers(TORRENT, 0.0) == [Endpoint("94.1.1.1", 7001), STRANGER]


def test_the_store_has_limits_and_forgets_the_oldest() -> None:
    store = PeerStore()
    for number in range(peer_store.PEERS_MAX + 10):
        assert store.add(TORRENT, Endpoint(f"94.{number // 250}.{number % 250}.1", 7001), 0.0)
    assert len(store) == peer_store.PEERS_MAX
    assert Endpoint("94.0.0.1", 7001) not in store.peers(TORRENT, 1000, 1.0, lambda n: 0)
    for number in range(peer_store.TORRENTS_MAX + 10):
        store.add(NodeId(number.to_bytes(20)), Endpoint(f"95.{number // 250}.{number % 250}.1", 7001), 0.0)
    assert store.torrents == peer_store.TORRENTS_MAX
    assert store.peers(TORRENT, 10, 1.0, lambda n: 0) == []
    assert len(store) == peer_store.TORRENTS_MAX


def test_one_address_fills_neither_a_torrent_nor_the_store() -> None:
    store = PeerStore()
    kept = [store.add(TORRENT, Endpoint("94.1.1.1", port), 0.0) for port in range(1, 100)]
    assert sum(kept) == peer_store.PER_HOST_MAX
    for number in range(2 * peer_store.TORRENTS_PER_HOST_MAX):
        store.add(NodeId(number.to_bytes(20)), Endpoint("94.1.1.1", 7001), 0.0)
    assert len(store) == peer_store.TORRENTS_PER_HOST_MAX
    assert store.add(TORRENT, Endpoint("94.1.1.1", 1), 1.0), "what is kept is renewed"
    store.expire(peer_store.LIFE + 2)
    assert (len(store), store.torrents) == (0, 0)
    assert store.add(TORRENT, Endpoint("94.1.1.1", 500), peer_store.LIFE + 2)


def test_peers_in_all_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_store, "ALL_PEERS_MAX", 300)
    store = PeerStore()
    for torrent in range(10):
        for number in range(50):
            store.add(NodeId(torrent.to_bytes(20)), Endpoint(f"94.{torrent}.{number}.1", 7001), 0.0)
    assert len(store) <= 300
    assert len(store.peers(NodeId((9).to_bytes(20)), 100, 1.0, lambda n: 0)) == 50


def test_a_peer_is_named_until_its_time_is_over() -> None:
    store = PeerStore()
    store.add(TORRENT, STRANGER, 0.0)
    assert store.peers(TORRENT, 10, peer_store.LIFE - 1, lambda n: 0) == [STRANGER]
    assert store.peers(TORRENT, 10, peer_store.LIFE, lambda n: 0) == []


# --- eclipse ------------------------------------------------------------------------------------------------


def test_many_nodes_of_one_network_are_one_in_a_search() -> None:
    crowd = [Contact(NodeId(number.to_bytes(20)), Endpoint(f"94.1.1.{number}", 6881)) for number in range(1, 200)]
    lookup = Lookup(NodeId(bytes(20)), THEIRS, crowd)
    assert len(lookup.next()) == 1


@pytest.mark.slow
def test_ids_that_an_address_may_not_have_get_no_announce() -> None:
    """An attacker with many networks and ids of its choice around a torrent: it is asked, but told nothing, and the
    honest nodes are still found and told."""
    net = DhtNet()
    made = net.grow(30)
    lairs = set()
    for number in range(20):
        lair = Endpoint(f"94.{number}.1.1", 6881)
        lairs.add(lair)
        net.add(lair, node_id=NodeId(TORRENT[:18] + bytes([number, number])), stubborn=True)
        assert not is_secure(net.nodes[lair].id, lair.host)
        net.nodes[lair].bootstrap(net.now, doors=made[:1])
        net.run(1.0)
    announced: list[Endpoint] = []
    asked: set[Endpoint] = set()

    def watch(data: bytes, source: Endpoint, target: Endpoint) -> None:
        message = decode(data)
        if source == made[7] and isinstance(message, Query):
            asked.add(target)
            if message.method is Method.ANNOUNCE_PEER:
                announced.append(target)

    net.watch = watch
    net.nodes[made[7]].find_peers(InfoHash(TORRENT), net.now, announce=7001)
    net.run(60.0)
    assert asked & lairs
    assert not set(announced) & lairs
    assert len(announced) == K
    net.nodes[made[20]].find_peers(InfoHash(TORRENT), net.now)
    net.run(60.0)
    found = [e for e in net.events[made[20]] if isinstance(e, PeersFound)]
    assert Endpoint(made[7].host, 7001) in [peer for event in found for peer in event.peers]


def test_packed_nodes_beyond_the_limit_are_not_read() -> None:
    many = [Contact(NodeId(bytes([n]) * 20), Endpoint(f"94.1.{n}.1", 6881)) for n in range(60)]
    data = b"d1:rd2:id20:abcdefghij01234567895:nodes%d:%se1:t2:aa1:y1:re" % (60 * 26, pack_nodes(many))
    reply = decode(data)
    assert isinstance(reply, Response)
    assert len(reply.nodes) == krpc.NODES_MAX
