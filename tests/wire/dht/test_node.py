"""Nodes that talk to each other: announcing and finding, both families, read-only, addresses, churn. Virtual time."""

from __future__ import annotations

from random import Random

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash, NodeId
from icworkshop_gui.wire.dht import krpc
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.krpc import Method, Query, Response
from icworkshop_gui.wire.dht.lookup import ALPHA, QUERIES_MAX, Lookup, Purpose
from icworkshop_gui.wire.dht.node import AddressChanged, LookupEnded, PeersFound
from icworkshop_gui.wire.dht.node_id import distance, is_secure, secure_id
from icworkshop_gui.wire.dht.questions import TIMEOUT
from icworkshop_gui.wire.dht.table import QUESTIONABLE_AFTER, K
from icworkshop_gui.wire.dht.votes import VOTES_NEEDED, AddressVotes
from tests.helpers.dht_net import DELAY, DhtNet

TORRENT = InfoHash(b"the torrent we want!")


def found(net: DhtNet, who: Endpoint) -> set[Endpoint]:
    return {peer for event in net.events[who] if isinstance(event, PeersFound) for peer in event.peers}


def ended(net: DhtNet, who: Endpoint) -> LookupEnded:
    """The last search for peers."""
    return [e for e in net.events[who] if isinstance(e, LookupEnded) and e.purpose is Purpose.PEERS][-1]


def search(net: DhtNet, who: Endpoint, *, announce: int | None = None) -> LookupEnded:
    net.events[who].clear()
    net.nodes[who].find_peers(TORRENT, net.now, announce=announce)
    net.run(30.0)
    return ended(net, who)


@pytest.mark.slow
@pytest.mark.parametrize(("ipv6", "loss"), [(False, 0.0), (True, 0.0), (False, 0.05)])
def test_what_one_announces_another_finds(ipv6: bool, loss: float) -> None:
    net = DhtNet(loss=loss)
    made = net.grow(40, ipv6=ipv6)
    told = search(net, made[5], announce=7001)
    assert told.announced >= K - 2
    # It is kept where it belongs: on the nodes nearest to it.
    keepers = [endpoint for endpoint in made if net.nodes[endpoint].responder.peers.torrents]
    ranked = sorted(made, key=lambda e: distance(net.nodes[e].id, TORRENT))
    assert len(set(keepers) & set(ranked[: K + 2])) >= K - 2
    result = search(net, made[30])
    assert found(net, made[30]) == {Endpoint(made[5].host, 7001)}
    assert 0 < result.hops <= 4


def test_port_0_means_the_port_of_the_datagram() -> None:
    net = DhtNet()
    made = net.grow(12)
    search(net, made[3], announce=0)
    search(net, made[9])
    assert found(net, made[9]) == {made[3]}


def test_two_nodes_are_a_dht() -> None:
    net = DhtNet()
    one, two = net.grow(2)
    search(net, one, announce=7001)
    # The only other node keeps it, and finds it at home.
    search(net, two)
    assert found(net, two) == {Endpoint(one.host, 7001)}


def test_nobody_is_known() -> None:
    net = DhtNet()
    alone, _ = net.add()
    result = search(net, alone, announce=7001)
    assert (result.queries, result.peers, result.announced) == (0, 0, 0)


def test_nobody_answers() -> None:
    net = DhtNet()
    made = net.grow(10)
    for endpoint in made[1:]:
        del net.nodes[endpoint]
    result = search(net, made[0], announce=7001)
    assert result.queries == 9
    assert (result.replies, result.announced) == (0, 0)


def test_the_same_search_runs_once_at_a_time() -> None:
    net = DhtNet()
    made = net.grow(12)
    for _ in range(3):
        net.nodes[made[1]].find_peers(TORRENT, net.now)
    net.run(20.0)
    assert len([e for e in net.events[made[1]] if isinstance(e, LookupEnded) and e.purpose is Purpose.PEERS]) == 1


def test_more_searches_than_run_at_once_wait_and_all_end() -> None:
    net = DhtNet()
    made = net.grow(12)
    wanted = [InfoHash(bytes([number]) * 20) for number in range(40)]
    for torrent in wanted:
        net.nodes[made[1]].find_peers(torrent, net.now)
    net.run(60.0)
    over = [e.target for e in net.events[made[1]] if isinstance(e, LookupEnded) and e.purpose is Purpose.PEERS]
    assert sorted(over) == sorted(NodeId(torrent) for torrent in wanted)


# --- who is there -------------------------------------------------------------------------------------


def test_nodes_that_left_are_found_out_and_no_longer_named() -> None:
    net = DhtNet()
    made = net.grow(20)
    gone = made[10:15]
    for endpoint in gone:
        del net.nodes[endpoint]
    net.run(2 * QUESTIONABLE_AFTER)
    for endpoint in net.nodes:
        named = {contact.endpoint for contact in net.nodes[endpoint].table.closest(NodeId(TORRENT), 100)}
        assert not named & set(gone)
        assert named


def test_a_node_that_asks_is_checked_before_it_is_kept() -> None:
    net = DhtNet()
    here, node = net.add()
    there, stranger = net.add()
    silent = net.address(99)
    for source, node_id in ((there, stranger.id), (silent, secure_id(silent.host, Random(1).randbytes))):
        net.send(Query(transaction=b"aa", node_id=node_id, method=Method.PING).encode(), source, here)
    net.run(DELAY * 1.5)
    assert len(node.table) == 0
    net.run(1.0)
    assert [known.contact for known in node.table] == [net.contact(there)]


def test_who_only_asks_is_served_and_neither_checked_nor_kept() -> None:
    net = DhtNet()
    here, node = net.add()
    reader, reading = net.add(read_only=True)
    sent: list[bytes] = []
    net.watch = lambda data, source, target: sent.append(data) if source == here else None
    reading.ping(here, net.now)
    net.run(5.0)
    assert [type(krpc.decode(data)) for data in sent] == [Response]
    assert len(node.table) == 0
    assert len(reading.table) == 1
    # And it answers nobody.
    node.ping(reader, net.now)
    net.run(TIMEOUT + 1)
    assert len(node.table) == 0


@pytest.mark.slow
def test_a_reader_finds_and_announces() -> None:
    net = DhtNet()
    made = net.grow(20)
    reader, node = net.add(read_only=True)
    node.bootstrap(net.now, doors=made[:1])
    net.run(20.0)
    assert search(net, reader, announce=7001).announced == K
    search(net, made[4])
    assert found(net, made[4]) == {Endpoint(reader.host, 7001)}
    assert all(net.contact(reader) not in [n.contact for n in net.nodes[e].table] for e in made)


def test_routers_show_the_way_and_are_not_kept() -> None:
    net = DhtNet()
    made = net.grow(10)
    _, node = net.add()
    node.bootstrap(net.now, doors=made[:1], keep_doors=False)
    net.run(TIMEOUT)
    # Nor when others name them, or when they ask us something.
    assert {known.contact.endpoint for known in node.table} == set(made[1:])


# --- where we are -------------------------------------------------------------------------------------


def test_an_id_that_does_not_fit_the_address_is_changed_once_others_agree() -> None:
    net = DhtNet()
    made = net.grow(12)
    late, node = net.add(node_id=NodeId(bytes(20)))
    assert not is_secure(node.id, late.host)
    node.bootstrap(net.now, doors=made[:1])
    net.run(30.0)
    assert is_secure(node.id, late.host)
    assert node.address == late.host
    assert [event for event in net.events[late] if isinstance(event, AddressChanged)] == [
        AddressChanged(host=late.host)
    ]
    assert len(node.table) >= 8
    search(net, late, announce=7001)
    search(net, made[3])
    assert found(net, made[3]) == {Endpoint(late.host, 7001)}


def test_nobody_is_believed_alone_about_our_address() -> None:
    votes = AddressVotes()
    ours, lie = "94.2.2.2", "94.9.9.9"
    # One network has one vote, however many nodes it has.
    assert all(votes.vote(f"93.1.1.{number}", lie) is None for number in range(1, 200))
    for number in range(VOTES_NEEDED - 1):
        assert votes.vote(f"93.2.{number}.1", ours) is None
    assert votes.vote("93.3.1.1", ours) == ours
    # At home nobody knows how the world sees us.
    fresh = AddressVotes()
    assert all(fresh.vote(f"10.1.{number}.1", ours) is None for number in range(50))
    assert all(fresh.vote(f"93.1.{number}.1", "192.168.1.2") is None for number in range(50))


# --- both families -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_node_of_one_family_learns_of_its_sibling_who_is_in_the_other() -> None:
    """BEP 32, "Bootstrapping": both DHTs are found through one."""
    net = DhtNet()
    four, six = net.grow(10), net.grow(10, ipv6=True)
    # Two programs with a node in each.
    for index in (0, 4):
        net.nodes[four[index]].sibling, net.nodes[six[index]].sibling = net.nodes[six[index]], net.nodes[four[index]]
    (_, ours4), (_, ours6) = net.add(net.address(500)), net.add(net.address(501, ipv6=True))
    ours4.sibling, ours6.sibling = ours6, ours4
    ours4.bootstrap(net.now, doors=four[:1])
    net.run(30.0)
    assert len(ours4.table) >= 8
    assert len(ours6.table) >= 4


def test_nodes_of_the_family_that_was_asked_for() -> None:
    net = DhtNet()
    four, six = net.grow(9), net.grow(9, ipv6=True)
    node = net.nodes[four[0]]
    node.sibling = net.nodes[six[0]]
    asked = {(False, False): (True, False), (True, False): (True, False), (False, True): (False, True),
             (True, True): (True, True)}  # fmt: skip
    for want, expected in asked.items():
        query = Query(transaction=b"aa", node_id=NodeId(bytes(20)), method=Method.FIND_NODE,
                      target=NodeId(TORRENT), want=want)  # fmt: skip
        reply = node.responder.answer(query, node.id, four[3], 200, net.now)
        assert reply is not None
        message = krpc.decode(reply)
        assert isinstance(message, Response)
        assert (len(message.nodes) == 8, len(message.nodes6) == 8) == expected
        assert message.ip == four[3]


# --- lookups, by hand -----------------------------------------------------------------------------------

OURS = NodeId(b"\xff" * 20)
TARGET = NodeId(bytes(20))


def near(far: int, host: int) -> Contact:
    """So far from the target, at home, where ids are free."""
    return Contact(NodeId(far.to_bytes(20)), Endpoint(f"10.0.{host >> 8}.{host & 255}", 6881))


def test_so_many_are_asked_at_once_the_nearest_first() -> None:
    lookup = Lookup(TARGET, OURS, [near(number, number) for number in range(20, 0, -1)])
    first = [endpoint for endpoint, _ in lookup.next()]
    assert first == [near(number, number).endpoint for number in range(1, ALPHA + 1)]
    assert lookup.next() == []
    lookup.late(first[0])  # holds nobody up any more
    assert len(lookup.next()) == 1
    lookup.failed(first[1])
    assert len(lookup.next()) == 1


def test_it_is_over_when_the_nearest_have_answered() -> None:
    contacts = [near(number, number) for number in range(1, 30)]
    lookup = Lookup(TARGET, OURS, contacts)
    while asked := lookup.next():
        for endpoint, node_id in asked:
            assert node_id is not None
            lookup.replied(endpoint, node_id, (), b"token")
    assert lookup.is_done
    assert lookup.queries == 10  # two rounds of five: eight are enough, and were asked for in time
    assert [contact for contact, _ in lookup.nearest()] == contacts[:K]


def test_one_that_is_late_may_still_answer_and_is_waited_for() -> None:
    lookup = Lookup(TARGET, OURS, [near(1, 1)])
    ((endpoint, node_id),) = lookup.next()
    lookup.late(endpoint)
    assert not lookup.is_done
    assert node_id is not None
    lookup.replied(endpoint, node_id, [near(2, 2)], b"t")
    assert len(lookup.next()) == 1


def test_hops_are_the_longest_chain() -> None:
    lookup = Lookup(TARGET, OURS, [near(1000, 1)])
    for step in range(5):
        ((endpoint, node_id),) = lookup.next()
        assert node_id is not None
        lookup.replied(endpoint, node_id, [near(500 - step, step + 2)] if step < 4 else [])
    assert lookup.is_done
    assert lookup.hops == 5


def test_who_is_not_who_it_was_said_to_be_does_not_count() -> None:
    lookup = Lookup(TARGET, OURS, [near(1, 1)])
    ((endpoint, _),) = lookup.next()
    lookup.replied(endpoint, NodeId(b"x" * 20), [near(2, 2)], b"t")
    assert lookup.is_done
    assert lookup.nearest() == []


def test_whoever_invents_nearer_nodes_without_end_is_left() -> None:
    far = 1 << 100
    lookup = Lookup(TARGET, OURS, [near(far, 1)])
    count = 1
    while asked := lookup.next():
        for endpoint, node_id in asked:
            assert node_id is not None
            news = []
            for _ in range(8):
                count += 1
                far -= 1
                news.append(near(far, count))
            lookup.failed(endpoint) if count % 3 else lookup.replied(endpoint, node_id, news)
            lookup.replied(endpoint, node_id, news)
    assert lookup.queries <= QUERIES_MAX
    assert lookup.is_done
