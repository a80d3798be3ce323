"""Tiers, classes, moves and headers: every limited bucket on a connection's way takes part."""

from __future__ import annotations

import gc

import pytest

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.classes import classes_of, header_of
from icworkshop_gui.engine.net.limiter import SEGMENT, ConnectionClass, Limiter
from tests.engine.net.test_limiter import Line

TCP, UTP, LAN = ConnectionClass.TCP, ConnectionClass.UTP, ConnectionClass.LAN


def greedy(
    line: Line, name: str, limiter: Limiter, *classes: ConnectionClass, header: int = 0, bite: int = 64 * 1024
) -> None:
    """A connection that always wants more."""

    def eat() -> None:
        while not budget.waiting:
            got = budget.take(bite, line.now)
            if not got:
                return
            line.log.append((line.now, name, got))
            if budget.unlimited:
                return

    budget = limiter.budget(eat, classes=classes, header=header)
    line.greedy.append(eat)


def test_every_limit_on_the_way_holds() -> None:
    root = Limiter(1_000_000)
    tier = root.child(500_000)
    slow, free, other = tier.child(100_000), tier.child(), root.child().child()
    line = Line(root)
    for name, limiter in (("slow", slow), ("free", free), ("other", other)):
        greedy(line, name, limiter)
    line.run(10)
    assert line.total("slow") == pytest.approx(1e6, rel=0.05)
    assert line.total("slow") + line.total("free") == pytest.approx(5e6, rel=0.05)
    assert line.total() == pytest.approx(1e7, rel=0.05)


def test_tiers_share_by_weight_however_many_transfers_they_hold() -> None:
    root = Limiter(1_000_000)
    tiers = {"lobby": root.child(weight=16), "user": root.child(weight=4), "background": root.child(weight=1)}
    line = Line(root)
    for name, tier in tiers.items():
        for _ in range(1 if name == "lobby" else 6):
            greedy(line, name, tier.child())
    line.run(20)
    for name, weight in (("lobby", 16), ("user", 4), ("background", 1)):
        assert line.total(name) == pytest.approx(20e6 * weight / 21, rel=0.1)


def test_transfers_of_a_tier_share_alike_however_many_connections_they_have() -> None:
    root = Limiter(1_000_000)
    tier = root.child()
    one, many = tier.child(), tier.child()
    line = Line(root)
    greedy(line, "one", one)
    for _ in range(40):
        greedy(line, "many", many)
    line.run(10)
    assert line.total("one") == pytest.approx(5e6, rel=0.1)
    assert line.total("many") == pytest.approx(5e6, rel=0.1)


@pytest.mark.parametrize("rate", [100_000, 1_000_000, 50_000_000])
def test_a_class_limits_across_the_tree(rate: int) -> None:
    root = Limiter(2 * rate)
    root.add_class(TCP)
    root.add_class(UTP, rate // 2)
    transfers = [root.child().child() for _ in range(3)]
    line = Line(root)
    for transfer in transfers:
        greedy(line, "tcp", transfer, TCP, bite=256 * 1024)
        greedy(line, "utp", transfer, UTP, bite=256 * 1024)
    line.run(6)
    assert line.total("utp") == pytest.approx(6 * rate / 2, rel=0.05)
    assert line.total() == pytest.approx(6 * 2 * rate, rel=0.05)
    for start in (1.0, 2.35, 3.7):
        assert line.total("utp", start, start + 1) == pytest.approx(rate / 2, rel=0.05)


def test_a_class_without_room_does_not_hold_up_the_others_of_its_transfer() -> None:
    root = Limiter(None)
    root.add_class(UTP, 0)
    root.add_class(TCP)
    transfer = root.child(1_000_000)
    line = Line(root)
    greedy(line, "utp", transfer, UTP)
    greedy(line, "tcp", transfer, TCP)
    line.run(3)
    assert line.total("utp") == 0
    assert line.total("tcp") == pytest.approx(3e6, rel=0.05)


def test_who_was_held_up_by_his_own_limit_has_no_claim_afterwards() -> None:
    root = Limiter(1_000_000)
    slow, other = root.child(10_000), root.child()
    line = Line(root)
    greedy(line, "slow", slow)
    greedy(line, "other", other)
    line.run(30)
    slow.set_rate(None, line.now)
    line.run(4)
    assert line.total("other", since=30) == pytest.approx(2e6, rel=0.1)


@pytest.mark.parametrize("limit", [None, 100_000])
def test_exempt_classes_pass_freely_and_back_again(limit: int | None) -> None:
    root = Limiter(100_000)
    root.add_class(LAN)
    transfer = root.child(limit)
    line = Line(root)
    greedy(line, "near", transfer, LAN)
    greedy(line, "far", transfer)
    line.run(1)
    root.set_exempt(frozenset({LAN}))
    line.run(2)
    assert line.total("near", since=1.1) >= 50 * 64 * 1024
    assert line.total("far", since=1.1) == pytest.approx(190_000, rel=0.05)
    root.set_exempt(frozenset())
    line.run(2)
    assert line.total(since=3.1) == pytest.approx(190_000, rel=0.05)


def test_a_transfer_that_moves_takes_its_connections_along() -> None:
    root = Limiter(1_000_000)
    high, low = root.child(weight=16), root.child(weight=1)
    moving = low.child()
    line = Line(root)
    for _ in range(3):
        greedy(line, "moving", moving)
    greedy(line, "other", low.child())
    line.run(2)
    moving.move(high)
    line.run(10)
    assert line.total("moving", since=2) == pytest.approx(10e6 * 16 / 17, rel=0.05)
    moving.move(low)
    line.run(10)
    assert line.total("moving", since=12) == pytest.approx(5e6, rel=0.1)
    assert line.total() == pytest.approx(22e6, rel=0.02)


def test_a_moved_transfer_obeys_the_limit_of_where_it_is() -> None:
    root = Limiter(None)
    limited, free = root.child(200_000), root.child()
    moving = free.child()
    line = Line(root)
    greedy(line, "a", moving)
    line.run(0.5)
    moving.move(limited)
    line.run(3)
    assert line.total(since=0.7) == pytest.approx(2.8 * 200_000, rel=0.05)


def test_headers_come_out_of_the_limit() -> None:
    root = Limiter(1_000_000)
    transfer = root.child()
    line = Line(root)
    for _ in range(5):
        greedy(line, "a", transfer, header=40)
    line.run(4)
    assert line.total() == pytest.approx(4e6, rel=0.02)
    root.count_headers(True)
    line.run(10)
    passed = line.total(since=4)
    assert passed * (1 + 40 / SEGMENT) == pytest.approx(10e6, rel=0.01)


def test_a_debt_of_the_old_rate_does_not_hold_up_the_new_one() -> None:
    root = Limiter(50_000_000)
    line = Line(root)
    budget = root.budget(lambda: None)
    budget.charge(20_000_000)
    root.set_rate(100_000, line.now)
    greedy(line, "a", root)
    line.run(2.2)
    assert line.total(since=0.2) == pytest.approx(200_000, rel=0.05)


def test_a_hundred_transfers_and_connections_all_get_their_turn() -> None:
    root = Limiter(1_000_000)
    tiers = [root.child(weight=weight) for weight in (16, 4, 1)]
    line = Line(root)
    for number in range(100):
        greedy(line, str(number), tiers[number % 3].child())
    line.run(30)
    for number in range(100):
        share = 30e6 * (16, 4, 1)[number % 3] / 21 / len(range(number % 3, 100, 3))
        assert line.total(str(number)) == pytest.approx(share, rel=0.25)


def test_transfers_that_are_gone_leave_nothing_behind() -> None:
    root = Limiter(1000)
    child = root.child()
    child.budget(lambda: None).close()
    del child
    gc.collect()
    assert not root._children


def test_classes_of_a_connection() -> None:
    def of(host: str, kind: TransportKind = TransportKind.TCP) -> tuple[ConnectionClass, ...]:
        return classes_of(kind, Endpoint.of(host, 1))

    for near in ("10.1.2.3", "172.31.0.1", "192.168.0.7", "169.254.3.3", "fd00::1", "fe80::1", "::ffff:10.0.0.1"):
        assert of(near) == (TCP, LAN)
    for far in ("8.8.8.8", "172.32.0.1", "100.64.0.1", "2001:4860::1", "127.0.0.1", "::1"):
        assert of(far) == (TCP,)
    assert of("10.0.0.1", TransportKind.UTP) == (UTP, LAN)
    assert of("8.8.8.8", TransportKind.WEBRTC) == ()
    assert header_of(TransportKind.TCP, Endpoint.of("1.2.3.4", 1)) == 40
    assert header_of(TransportKind.UTP, Endpoint.of("2001:db8::1", 1)) == 68
