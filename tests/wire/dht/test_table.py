"""The routing table: who gets in, who must go, who is named."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.node_id import distance, is_secure, secure_id, shared_bits
from icworkshop_gui.wire.dht.table import (
    BAD_FAILS,
    BUCKET_SIZES,
    BUCKETS_MAX,
    FAILS_MAX,
    QUESTIONABLE_AFTER,
    REPLACEMENTS,
    RETRY_AFTER,
    K,
    RoutingTable,
    bucket_size,
)

OURS = NodeId(bytes(20))


def table() -> RoutingTable:
    return RoutingTable(OURS, 0.0, Random(1).randbytes)


def at(shared: int, number: int, *, host: str | None = None, port: int = 6881) -> Contact:
    """A node on a local network, where ids are free, with so many leading bits like ours."""
    value = 1 << 159 - shared | number
    return Contact(NodeId(value.to_bytes(20)), Endpoint(host or f"10.{number >> 8 & 255}.{number & 255}.1", port))


def public(number: int, rng: Random) -> Contact:
    host = f"93.{number // 250}.{number % 250}.7"
    return Contact(secure_id(host, rng.randbytes), Endpoint(host, 6881))


def fill(filled: RoutingTable, shared: int, now: float = 0.0) -> list[Contact]:
    """A bucket that is full, and not the last one."""
    beyond = shared + 1
    for number in range(K):
        filled.replied(at(beyond, 5000 + number), now)
    contacts = [at(shared, number) for number in range(bucket_size(shared))]
    for contact in contacts:
        assert filled.replied(contact, now)
    for number in range(bucket_size(beyond) + 1):
        filled.replied(at(beyond, 6000 + number), now)
    assert filled.depth > shared + 1
    return contacts


# --- places ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_only_our_own_bucket_is_split() -> None:
    ours = table()
    for number in range(2 * BUCKET_SIZES[0]):
        ours.replied(at(0, number), 0.0)
    assert (ours.depth, len(ours)) == (2, BUCKET_SIZES[0])
    for shared in range(1, 60):
        for number in range(200):
            ours.replied(at(shared, 1000 * shared + number), 0.0)
    counts = [sum(shared_bits(node.contact.id, OURS) == shared for node in ours) for shared in range(60)]
    assert counts[:6] == [128, 64, 32, 16, 8, 8]
    assert ours.depth == BUCKETS_MAX
    # The last bucket holds whatever is nearer still.
    assert counts[:49] == [bucket_size(index) for index in range(49)]
    assert sum(counts[49:]) == K


def test_we_are_not_in_our_own_table() -> None:
    ours = table()
    assert not ours.replied(Contact(OURS, Endpoint("10.0.0.1", 1)), 0.0)
    assert not ours.wants(Contact(OURS, Endpoint("10.0.0.1", 1)))


def test_a_newcomer_waits_until_somebody_is_bad() -> None:
    ours = table()
    contacts = fill(ours, 0)
    late = at(0, 900)
    assert not ours.wants(late)
    assert not ours.replied(late, 1.0)
    assert ours.find(late) is None
    for _ in range(BAD_FAILS - 1):
        ours.failed(contacts[3])
    assert ours.find(contacts[3]) is not None  # try once more before discarding (BEP 5)
    ours.failed(contacts[3])
    assert ours.find(contacts[3]) is None
    assert ours.find(late) is not None


def test_so_many_wait_and_the_newest_goes_first() -> None:
    ours = table()
    contacts = fill(ours, 0)
    waiting = [at(0, 900 + number) for number in range(REPLACEMENTS + 2)]
    for moment, contact in enumerate(waiting):
        ours.replied(contact, float(moment))
    heirs = []
    for contact in contacts[: REPLACEMENTS + 2]:
        for _ in range(BAD_FAILS):
            ours.failed(contact)
        heirs += [heir for heir in waiting if ours.find(heir) is not None and heir not in heirs]
    assert heirs == list(reversed(waiting[2:]))


def test_without_a_replacement_a_silent_node_is_kept_but_named_to_nobody() -> None:
    ours = table()
    contact = at(0, 1)
    ours.replied(contact, 0.0)
    assert ours.closest(contact.id) == [contact]
    for _ in range(FAILS_MAX - 1):
        ours.failed(contact)
        assert ours.find(contact) is not None
        assert ours.closest(contact.id) == []
        assert ours.to_keep(10) == []
    ours.failed(contact)
    assert len(ours) == 0


def test_a_node_that_answers_again_is_as_good_as_new() -> None:
    ours = table()
    contact = at(0, 1)
    ours.replied(contact, 0.0)
    for _ in range(5):
        ours.failed(contact)
    ours.replied(contact, 10.0)
    assert ours.good(10.0) == 1


def test_a_newcomer_takes_the_place_of_a_bad_node_in_a_full_bucket() -> None:
    ours = table()
    contacts = fill(ours, 0)
    for _ in range(BAD_FAILS):
        ours.failed(contacts[5])
    newcomer = at(0, 900)
    assert ours.wants(newcomer)
    assert ours.replied(newcomer, 1.0)
    assert ours.find(contacts[5]) is None


def test_who_may_have_its_id_takes_the_place_of_who_may_not() -> None:
    rng = Random(3)
    ours = table()
    # All of them share no bit with us, but for one, which makes two buckets of it.
    ours.replied(at(1, 1), 0.0)
    for number in range(2 * BUCKET_SIZES[0]):
        contact = Contact(at(0, number).id, Endpoint(f"94.{number // 250}.{number % 250}.7", 6881))
        assert not is_secure(contact.id, contact.endpoint.host)
        ours.replied(contact, 0.0)
    before = {node.contact for node in ours}
    assert len(before) == BUCKET_SIZES[0] + 1
    honest = next(c for c in (public(n, rng) for n in range(1, 100)) if shared_bits(c.id, OURS) == 0)
    assert ours.replied(honest, 1.0)
    assert len(before - {node.contact for node in ours}) == 1


# --- one address, one node ---------------------------------------------------------------------------


def test_one_node_to_a_public_address_and_one_to_a_subnet_in_each_bucket() -> None:
    ours = table()
    first = Contact(at(0, 1).id, Endpoint("93.1.1.7", 6881))
    assert ours.replied(first, 0.0)
    for other in (
        Contact(at(0, 2).id, Endpoint("93.1.1.7", 6882)),  # the same address, elsewhere in the space
        Contact(at(9, 3).id, Endpoint("93.1.1.7", 6883)),
        Contact(at(0, 4).id, Endpoint("93.1.1.8", 6881)),  # the same subnet, the same bucket
    ):
        assert not ours.replied(other, 0.0)
    assert not ours.wants(Contact(at(0, 2).id, Endpoint("93.1.1.7", 6882)))
    assert len(ours) == 1


def test_at_home_there_may_be_many() -> None:
    ours = table()
    for number in range(20):
        assert ours.replied(at(0, number, host="127.0.0.1", port=7000 + number), 0.0)
    assert len(ours) == 20


def test_a_node_with_a_new_id_is_known_by_that_one() -> None:
    ours = table()
    old, new = (Contact(at(0, number).id, Endpoint("93.1.1.7", 6881)) for number in (1, 2))
    ours.replied(old, 0.0)
    ours.replied(new, 1.0)
    assert ours.find(old) is None
    assert ours.find(new) is not None


def test_nobody_takes_over_an_id_while_its_owner_answers() -> None:
    ours = table()
    owner, thief = at(0, 1), at(0, 1, host="10.9.9.9")
    ours.replied(owner, 0.0)
    assert not ours.replied(thief, 1.0)
    assert not ours.wants(thief)
    ours.failed(owner)
    assert ours.replied(thief, 2.0)
    assert ours.find(owner) is None


# --- good, questionable, bad --------------------------------------------------------------------------

STATES = [
    # replied at, asked us at, fails, now -> good
    (0.0, None, 0, QUESTIONABLE_AFTER - 1, True),
    (0.0, None, 0, QUESTIONABLE_AFTER, False),
    (0.0, QUESTIONABLE_AFTER, 0, 2 * QUESTIONABLE_AFTER - 1, True),
    (0.0, QUESTIONABLE_AFTER, 0, 2 * QUESTIONABLE_AFTER, False),
    (0.0, None, 1, 1.0, False),
]


@pytest.mark.parametrize(("replied", "asked", "fails", "now", "good"), STATES)
def test_who_is_good(replied: float, asked: float | None, fails: int, now: float, good: bool) -> None:
    ours = table()
    contact = at(0, 1)
    ours.replied(contact, replied)
    if asked is not None:
        ours.asked_us(contact, asked)
    for _ in range(fails):
        ours.failed(contact)
    assert ours.good(now) == good


def test_who_only_asks_does_not_get_in() -> None:
    ours = table()
    ours.asked_us(at(0, 1), 0.0)
    assert len(ours) == 0


def test_whom_to_look_after_and_when() -> None:
    ours = table()
    one, two = at(0, 1), at(0, 2)
    ours.replied(one, 0.0)
    ours.replied(two, 100.0)
    assert ours.stale(100.0) == (None, QUESTIONABLE_AFTER)
    due, _ = ours.stale(QUESTIONABLE_AFTER)
    assert due is not None
    assert due.contact == one
    ours.tried(one, QUESTIONABLE_AFTER)
    assert ours.stale(QUESTIONABLE_AFTER)[0] is None  # it is being asked
    ours.failed(one)
    times = []
    now = QUESTIONABLE_AFTER
    for _ in range(4):
        ours.replied(two, now)
        _, at_time = ours.stale(now)
        times.append(at_time - now)
        now = at_time
        ours.tried(one, now)
        ours.failed(one)
    assert times == [RETRY_AFTER, 2 * RETRY_AFTER, 4 * RETRY_AFTER, 8 * RETRY_AFTER]


def test_a_bucket_in_which_nothing_moves_is_refreshed_once() -> None:
    ours = table()
    contacts = fill(ours, 0)
    assert ours.refresh_target(QUESTIONABLE_AFTER - 1) is None
    ours.replied(contacts[0], 10.0)
    target = ours.refresh_target(QUESTIONABLE_AFTER)
    assert target is not None
    assert shared_bits(target, OURS) == 1
    ours.refresh_target(QUESTIONABLE_AFTER)
    assert ours.refresh_target(QUESTIONABLE_AFTER) is None


# --- the nearest ---------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(0, 400), st.integers(1, 20))
def test_the_nearest_are_the_nearest(seed: int, count: int, wanted: int) -> None:
    rng = Random(seed)
    ours = RoutingTable(NodeId(rng.randbytes(20)), 0.0, rng.randbytes)
    for number in range(count):
        ours.replied(public(number, rng), 0.0)
    for node in list(ours):
        if rng.random() < 0.1:
            ours.failed(node.contact)
    target = NodeId(rng.randbytes(20))
    ideal = sorted((n.contact for n in ours if not n.fails), key=lambda c: distance(c.id, target))[:wanted]
    assert ours.closest(target, wanted) == ideal


@pytest.mark.slow
@given(st.integers(0, 2**32))
def test_any_history_keeps_the_rules(seed: int) -> None:
    rng = Random(seed)
    ours = RoutingTable(NodeId(rng.randbytes(20)), 0.0, rng.randbytes)
    known = [public(number, rng) for number in range(300)]
    now = 0.0
    for _ in range(600):
        now += rng.random() * 20
        contact = rng.choice(known)
        match rng.randrange(6):
            case 0:
                ours.failed(contact)
            case 1:
                ours.asked_us(contact, now)
            case 2:
                ours.tried(contact, now)
            case 3:
                ours.replied(Contact(NodeId(rng.randbytes(20)), contact.endpoint), now)
            case _:
                ours.replied(contact, now)
    nodes = list(ours)
    assert len({node.contact.endpoint.host for node in nodes}) == len(nodes)
    assert len({node.contact.id for node in nodes}) == len(nodes)
    for node in nodes:
        assert ours.find(node.contact) is node
        assert node.fails < FAILS_MAX
    for shared in range(ours.depth - 1):
        assert sum(shared_bits(node.contact.id, ours.own_id) == shared for node in nodes) <= bucket_size(shared)


def test_what_is_kept_for_the_next_run_answered_last() -> None:
    ours = table()
    for number in range(50):
        ours.replied(at(0, number), float(number))
    assert ours.to_keep(3) == [at(0, 49), at(0, 48), at(0, 47)]
