"""The table against a dictionary as the model; expiry, limits and who may be in it."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.server.tracker.expiry import slots_per_step
from icworkshop_gui.server.tracker.policy import MAX_PEERS
from icworkshop_gui.server.tracker.swarms import INDEX_ABOVE, TICK, PeerList
from icworkshop_gui.server.tracker.tracker import INTERVAL, MISSED_ANNOUNCES, Tracker, TrackerAccess
from icworkshop_gui.wire.tracker.messages import ScrapeEntry

HASH, OTHER = b"h" * 20, b"o" * 20
STARTED, COMPLETED, STOPPED = 2, 1, 3


class HandClock:
    def __init__(self) -> None:
        self.at = 5000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def peer(number: int, *, ipv6: bool = False) -> bytes:
    """Small ports and addresses of few different bytes: entries that look alike across their borders."""
    return bytes([number % 3] * (16 if ipv6 else 4)) + (number // 3 + 1).to_bytes(2, "big")


class Table(RuleBasedStateMachine):
    """Announces, stops and time in any order; the model is `{(hash, peer): (is seed, last heard of)}`."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.tracker = Tracker(self.clock, random.Random(1))
        self.model: dict[tuple[bytes, bytes], tuple[bool, float]] = {}

    @rule(
        info_hash=st.sampled_from([HASH, OTHER]),
        number=st.integers(0, 400),
        ipv6=st.booleans(),
        left=st.integers(0, 1),
        want=st.integers(-1, 60),
    )
    def announce(self, info_hash, number, ipv6, left, want):
        me = peer(number, ipv6=ipv6)
        self.tracker.turn()
        seeders, leechers, found = self.tracker.announce(info_hash, me, left, 0, want)
        self.model[info_hash, me] = (left == 0, self.clock.at)
        assert (seeders, leechers) == self.counts(info_hash)
        size = 18 if ipv6 else 6
        handed = {found[at : at + size] for at in range(0, len(found), size)}
        assert len(handed) * size == len(found)
        assert me not in handed
        known = {p: seed for (h, p), (seed, _) in self.model.items() if h == info_hash and len(p) == size and p != me}
        useful = [p for p, seed in known.items() if left or not seed]
        assert handed <= set(useful)
        assert len(handed) == min(len(useful), MAX_PEERS if want < 0 else min(want, MAX_PEERS))

    @rule(info_hash=st.sampled_from([HASH, OTHER]), first=st.integers(0, 400), count=st.integers(100, 300))
    def crowd(self, info_hash, first, count):
        for number in range(first, first + count):
            self.tracker.announce(info_hash, peer(number), 1, STARTED, 0)
            self.model[info_hash, peer(number)] = (False, self.clock.at)

    @rule(info_hash=st.sampled_from([HASH, OTHER]), number=st.integers(0, 400), ipv6=st.booleans())
    def stop(self, info_hash, number, ipv6):
        me = peer(number, ipv6=ipv6)
        assert self.tracker.announce(info_hash, me, 0, STOPPED, 50)[2] == b""
        self.model.pop((info_hash, me), None)

    @rule(seconds=st.integers(0, INTERVAL))
    def time_goes_by(self, seconds):
        self.clock.at += seconds
        self.tracker.turn()

    @rule(slots=st.integers(1, 50))
    def sweep_everything(self, slots):
        for _ in range(2 * (len(self.model) + 4) // slots + 4):
            self.tracker.sweep(slots)
        for key, (_, heard) in list(self.model.items()):
            age = self.clock.at - heard
            listed = self.listed(*key)
            if age > INTERVAL * MISSED_ANNOUNCES + 3 * TICK:
                assert not listed
            if age <= INTERVAL * MISSED_ANNOUNCES:
                assert listed
            if not listed:
                del self.model[key]

    def listed(self, info_hash: bytes, me: bytes) -> bool:
        swarm = self.tracker._swarms.get(info_hash)
        return swarm is not None and any(swarm.role(len(me) == 18, seed).find(me) >= 0 for seed in (True, False))

    def counts(self, info_hash: bytes) -> tuple[int, int]:
        roles = [seed for (h, _), (seed, _) in self.model.items() if h == info_hash]
        return roles.count(True), roles.count(False)

    @invariant()
    def the_table_is_what_the_model_is(self):
        for info_hash in (HASH, OTHER):
            assert self.tracker.counts(info_hash) == self.counts(info_hash)
        for swarm in self.tracker._swarms.values():
            for ipv6 in (True, False):
                for seed in (True, False):
                    swarm.role(ipv6, seed).check_invariants()
        stats = self.tracker.stats()
        assert stats.peers == len(self.model)
        assert stats.torrents == len({info_hash for info_hash, _ in self.model})


Table.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestTable = Table.TestCase


def test_a_peer_across_a_border_is_not_found():
    peers = PeerList(6)
    peers.add(b"\1\2\3\4\5\6", 0)
    peers.add(b"\1\2\3\4\5\6"[::-1], 0)
    assert peers.find(b"\4\5\6\6\5\4") == -1
    assert peers.find(b"\6\5\4\3\2\1") == 1


def test_the_index_comes_and_goes_with_the_size():
    peers = PeerList(6)
    for number in range(INDEX_ABOVE):
        peers.add(peer(number), 0)
    assert peers.index is None
    peers.add(peer(INDEX_ABOVE), 0)
    assert peers.index is not None
    while len(peers) >= INDEX_ABOVE // 2:
        assert peers.index is not None
        peers.remove(0)
        peers.check_invariants()
    assert peers.index is None


def make(**options) -> tuple[Tracker, HandClock]:
    clock = HandClock()
    return Tracker(clock, random.Random(1), **options), clock


def test_a_leecher_that_completes_is_counted_once():
    tracker, _ = make()
    tracker.announce(HASH, peer(1), 5, STARTED, -1)
    assert tracker.announce(HASH, peer(1), 0, COMPLETED, -1)[:2] == (1, 0)
    tracker.announce(HASH, peer(1), 0, COMPLETED, -1)
    tracker.announce(HASH, peer(2), 0, STARTED, -1)
    assert tracker.scrape([HASH, OTHER]) == {
        InfoHash(HASH): ScrapeEntry(2, 1, 0),
        InfoHash(OTHER): ScrapeEntry(0, 0, 0),
    }


def test_port_0_is_not_kept_and_gets_nobody():
    tracker, _ = make()
    tracker.announce(HASH, peer(1), 1, STARTED, -1)
    assert tracker.announce(HASH, peer(2)[:4] + b"\0\0", 1, STARTED, -1) == (0, 1, b"")
    assert tracker.stats().peers == 1


def test_a_whitelist_tells_nothing_about_what_is_not_on_it():
    known = {HASH}
    tracker, _ = make(access=TrackerAccess.whitelist(known.__contains__))
    for info_hash in (HASH, OTHER):
        first = tracker.announce(info_hash, peer(1), 1, STARTED, -1)
        assert (first[0], first[2]) == (0, b"")
    assert tracker.announce(OTHER, peer(2), 1, STARTED, -1) == (0, 0, b"")
    assert tracker.announce(HASH, peer(2), 1, STARTED, -1) == (0, 2, peer(1))
    assert tracker.stats().torrents == 1
    known.clear()
    tracker.sweep()
    assert tracker.stats()[:2] == (0, 0)
    assert tracker.announce(HASH, peer(2), 1, STARTED, -1) == (0, 0, b"")


def test_forget_drops_a_swarm_at_once():
    tracker, _ = make()
    tracker.announce(HASH, peer(1), 1, STARTED, -1)
    tracker.forget(HASH)
    tracker.forget(OTHER)
    assert tracker.stats()[:2] == (0, 0)
    tracker.sweep()


def test_the_limits_hold():
    tracker, _ = make(max_torrents=3, max_peers=5)
    for number in range(10):
        tracker.announce(number.to_bytes(20, "big"), peer(number), 1, STARTED, -1)
    assert tracker.stats()[:2] == (3, 3)
    for number in range(20, 30):
        answer = tracker.announce(bytes(20), peer(number), 1, STARTED, -1)
        assert answer[2], "who finds no room still gets peers"
    assert tracker.stats()[:2] == (3, 5)


def test_no_more_peers_than_the_limit():
    tracker, _ = make()
    for number in range(500):
        answer = tracker.announce(HASH, peer(number), 1, STARTED, 2**31 - 1)
    assert len(answer[2]) == 6 * MAX_PEERS


def test_the_other_family_comes_on_request():
    tracker, _ = make()
    tracker.announce(HASH, peer(1), 1, STARTED, -1)
    tracker.announce(HASH, peer(2, ipv6=True), 0, STARTED, -1)
    assert tracker.announce(HASH, peer(3), 1, STARTED, -1)[2] == peer(1)
    assert tracker.other_family(HASH, True, 1, -1) == peer(2, ipv6=True)
    assert tracker.other_family(HASH, True, 0, -1) == b"", "no seeds for seeds"
    assert tracker.other_family(OTHER, True, 1, -1) == b""


def test_one_round_forgets_all_that_are_silent_and_nobody_else():
    tracker, clock = make()
    for number in range(0, 600, 2):
        tracker.announce(HASH, peer(number), 1, STARTED, 0)
    clock.at += INTERVAL * MISSED_ANNOUNCES + 3 * TICK
    tracker.turn()
    for number in range(1, 200, 2):
        tracker.announce(HASH, peer(number), 1, STARTED, 0)
    steps = -(-400 // 7)
    assert sum(tracker.sweep(7) for _ in range(steps)) == 300
    assert tracker.counts(HASH) == (0, 100)


def test_a_step_of_the_sweep_is_small():
    tracker, clock = make()
    for number in range(3000):
        tracker.announce(HASH, peer(number), 1, STARTED, 0)
    clock.at += 10 * INTERVAL
    steps = [tracker.sweep(100) for _ in range(70)]
    assert max(steps) <= 100
    assert sum(steps) == 3000
    assert tracker.stats()[:2] == (0, 0)


@pytest.mark.parametrize(("peers", "interval", "slots"), [(0, 120, 1000), (1_000_000, 120, 1667), (10, 0, 1000)])
def test_a_round_takes_half_an_interval(peers, interval, slots):
    assert slots_per_step(peers, interval) == slots
