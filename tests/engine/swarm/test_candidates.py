"""Whom to dial, and whom not for now."""

from __future__ import annotations

import random

import pytest

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.engine.swarm.candidates import (
    LOCAL_RETRY_SECONDS,
    MAX_FAILURES,
    MAX_LOCAL_FAILURES,
    RETRY_SECONDS,
    CandidatePool,
)
from icworkshop_gui.engine.swarm.config import SwarmConfig


def pool(**limits: int) -> CandidatePool:
    return CandidatePool(random.Random(1), SwarmConfig(**limits))  # type: ignore[arg-type]


def public(number: int, host: int = 5, port: int = 6881) -> Endpoint:
    return Endpoint(f"93.184.{number}.{host}", port)


def test_each_is_dialled_once_at_a_time() -> None:
    p = pool()
    assert p.add([public(1), public(2), public(1)], PeerSource.TRACKER) == 2
    assert set(p.next(9, 0.0)) == {public(1), public(2)}
    assert p.next(9, 0.0) == []


def test_back_off_grows_and_three_failures_are_the_end() -> None:
    p = pool()
    p.add([public(1)], PeerSource.TRACKER)
    now = 0.0
    for failure in range(1, MAX_FAILURES + 1):
        assert p.next(1, now) == [public(1)]
        p.failed(public(1), now)
        wait = RETRY_SECONDS * (failure + 1)
        assert p.next(1, now + wait - 1) == []
        now += wait
    assert p.next(1, now + 1e6) == []
    assert p.next_at() is None


def test_naming_it_again_does_not_shorten_the_wait() -> None:
    p = pool()
    p.add([public(1)], PeerSource.TRACKER)
    p.next(1, 0.0)
    p.failed(public(1), 0.0)
    assert p.add([public(1)], PeerSource.TRACKER) == 0
    assert p.next(1, 1.0) == []
    assert p.next_at() == 2 * RETRY_SECONDS


def test_a_good_connection_clears_the_record() -> None:
    p = pool()
    p.add([public(1)], PeerSource.TRACKER)
    for now in (0.0, 1000.0):
        p.next(1, now)
        p.failed(public(1), now)
    p.next(1, 2000.0)
    p.left(public(1), 2000.0)
    assert p.next(1, 2000.0 + RETRY_SECONDS - 1) == []
    assert p.next(1, 2000.0 + RETRY_SECONDS) == [public(1)]
    p.left(public(1), 3000.0, rest=1800.0)
    assert p.next(1, 4799.0) == []


def test_what_the_user_named_is_never_written_off() -> None:
    p = pool()
    p.add([public(1)], PeerSource.MANUAL)
    for attempt in range(20):
        now = attempt * 10_000.0
        assert p.next(1, now) == [public(1)]
        p.failed(public(1), now)


@pytest.mark.parametrize(
    ("named", "others", "expected"),
    [
        (public(1), RETRY_SECONDS, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
        (Endpoint("127.0.0.1", 4000), LOCAL_RETRY_SECONDS, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 40.0, 45.0]),
    ],
)
def test_what_the_user_named_is_tried_again_soon(named: Endpoint, others: float, expected: list[float]) -> None:
    p = pool()
    p.add([named], PeerSource.MANUAL)
    waits = []
    now = 0.0
    for _ in expected:
        assert p.next(1, now) == [named]
        p.failed(named, now)
        at = p.next_at()
        assert at is not None
        waits.append(at - now)
        now = at
    assert waits == expected
    for _ in range(20):
        p.next(1, now)
        p.failed(named, now)
        now = p.next_at() or now
    p.next(1, now)
    p.failed(named, now)
    assert p.next_at() == now + others * (MAX_LOCAL_FAILURES + 1), "no more often than anybody else"


def test_who_was_named_is_awaited_until_it_was_here() -> None:
    p = pool()
    p.add([public(2)], PeerSource.TRACKER)
    assert not p.awaits_named
    p.add([public(1)], PeerSource.MANUAL)
    assert p.awaits_named
    p.next(2, 0.0)
    assert not p.awaits_named, "it is being dialled"
    p.failed(public(1), 0.0)
    assert p.awaits_named
    p.next(1, 1.0)
    p.left(public(1), 2.0)
    assert not p.awaits_named
    p.next(1, 1000.0)
    p.failed(public(1), 1000.0)
    assert p.awaits_named
    p.ban(public(1))
    assert not p.awaits_named


def test_our_own_network_is_tried_again_soon() -> None:
    p = pool()
    near = Endpoint("127.0.0.1", 4000)
    p.add([near], PeerSource.TRACKER)
    p.next(1, 0.0)
    p.failed(near, 0.0)
    assert p.next(1, 2 * LOCAL_RETRY_SECONDS) == [near]


def test_three_to_a_subnet_private_ones_exempt() -> None:
    p = pool(max_per_subnet=3)
    p.add([public(1, host=host) for host in range(1, 9)], PeerSource.TRACKER)
    assert len(p.next(99, 0.0)) == 3
    p = pool(max_per_subnet=3)
    p.add([public(1, host=host) for host in range(1, 9)], PeerSource.TRACKER)
    assert len(p.next(99, 0.0, connected=[public(1, host=200), public(1, host=201), public(2)])) == 1
    p = pool(max_per_subnet=3)
    p.add([Endpoint("192.168.1.5", port) for port in range(1, 9)], PeerSource.TRACKER)
    p.add([Endpoint("127.0.0.1", port) for port in range(1, 9)], PeerSource.TRACKER)
    assert len(p.next(99, 0.0)) == 16
    p = pool(max_per_subnet=3)
    p.add([Endpoint(f"2a00:1450::{host:x}", 1) for host in range(1, 9)], PeerSource.TRACKER)
    assert len(p.next(99, 0.0)) == 3


def test_incoming_ones_count_too() -> None:
    p = pool(max_per_subnet=2)
    here = [public(1, host=1), public(1, host=2)]
    assert not p.may_accept(public(1, host=3), here)
    assert p.may_accept(public(2, host=3), here)
    assert p.may_accept(Endpoint("10.0.0.9", 5), [Endpoint("10.0.0.8", 5)] * 9)


def test_the_better_source_goes_first() -> None:
    p = pool()
    p.add([public(1)], PeerSource.PEX)
    p.add([public(2)], PeerSource.TRACKER)
    p.add([public(3)], PeerSource.MANUAL)
    p.add([public(1)], PeerSource.LOBBY)
    assert [e.host for e in p.next(3, 0.0)][-1] == public(2).host
    assert p.source_of(public(1)) is PeerSource.LOBBY


def test_a_ban_is_for_good() -> None:
    p = pool()
    p.add([public(1), public(1, port=7000)], PeerSource.TRACKER)
    p.ban(public(1))
    assert len(p) == 0
    assert p.add([public(1), public(1, port=7001)], PeerSource.MANUAL) == 0
    assert not p.may_accept(public(1, port=9), [])
    assert p.may_accept(public(1, host=6), [])


def test_a_ban_behind_a_private_address_hits_one_port() -> None:
    p = pool()
    p.ban(Endpoint("127.0.0.1", 4000))
    assert p.add([Endpoint("127.0.0.1", 4000), Endpoint("127.0.0.1", 4001)], PeerSource.TRACKER) == 1


def test_what_is_remembered_is_bounded_and_a_flood_does_not_wash_out_better_ones() -> None:
    p = pool(max_candidates=10)
    good = [public(number) for number in range(5)]
    p.add(good, PeerSource.TRACKER)
    flood = [Endpoint(f"8.{a}.{b}.1", 1) for a in range(20) for b in range(50)]
    p.add(flood, PeerSource.PEX)
    assert len(p) == 10
    assert all(p.is_known(endpoint) for endpoint in good)
    p.add([public(number) for number in range(5, 10)], PeerSource.TRACKER)
    assert all(p.is_known(public(number)) for number in range(10))


def test_nonsense_addresses_are_not_dialled() -> None:
    p = pool()
    nonsense = [
        Endpoint("224.0.0.1", 1),
        Endpoint("0.0.0.0", 1),
        Endpoint("255.255.255.255", 1),
        Endpoint("ff02::1", 1),
    ]
    assert p.add(nonsense, PeerSource.TRACKER) == 0


def test_ourselves_once_found_out_are_never_dialled_again() -> None:
    p = pool()
    p.add([public(1)], PeerSource.TRACKER)
    p.next(1, 0.0)
    p.exclude(public(1))
    assert p.add([public(1)], PeerSource.TRACKER) == 0
    assert p.next(1, 1e9) == []


def test_who_is_here_already_is_not_dialled() -> None:
    p = pool()
    p.add([public(1)], PeerSource.TRACKER)
    p.present(public(1))
    assert p.next(1, 0.0) == []
    p.left(public(1), 0.0)
    assert p.next(1, RETRY_SECONDS) == [public(1)]


def test_of_two_of_a_kind_the_one_that_gave_more_is_dialled_first() -> None:
    p = pool()
    p.add([public(number) for number in range(1, 9)], PeerSource.TRACKER)
    for endpoint in p.next(8, 0.0):
        p.left(endpoint, 0.0, worth=float(endpoint == public(5)))

    assert p.next(1, 1e6) == [public(5)]
