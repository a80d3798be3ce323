"""Peer exchange (BEP 11): whom we name, whom we believe, how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.engine.swarm.pex import FROM_EACH_MAX, INTERVAL, TOO_SOON_MAX, PeerExchange
from icworkshop_gui.wire.peer.extensions import ut_pex
from icworkshop_gui.wire.peer.extensions.ut_pex import PEERS_MAX, PexFlag, PexMessage
from icworkshop_gui.wire.peer.messages import Extended


class One:
    """As much of a peer as is needed."""

    def __init__(self, key: int, host: str, *, incoming: bool = False, seed: bool = False, pex: bool = True) -> None:
        self.key = key
        self.endpoint = Endpoint(host, 50_000 + key)
        self.dial_endpoint: Endpoint | None = Endpoint(host, 6881)
        self.incoming = incoming
        self.is_seed = seed
        self.gone = False
        self.heard: list[PexMessage] = []
        self.wire = SimpleNamespace(
            supports=lambda name: pex and name == ut_pex.NAME,
            extension=lambda name, payload: payload,
            remote=SimpleNamespace(upload_only=False),
        )

    def say(self, payload: bytes) -> None:
        self.heard.append(ut_pex.parse(payload))

    def drop(self, reason: str, *, fault: bool = False) -> None:
        self.gone = True


def exchange(*peers: One) -> tuple[PeerExchange, dict[int, Any], list[Endpoint]]:
    here: dict[int, Any] = {peer.key: peer for peer in peers}
    found: list[Endpoint] = []
    return PeerExchange(here, found.extend), here, found


def names(exchange: PeerExchange, peer: Any, endpoints: list[Endpoint], now: float) -> None:
    payload = ut_pex.encode(PexMessage(dict.fromkeys(endpoints, PexFlag(0))))
    exchange.heard(peer, Extended(ut_pex.NAME, payload), now)


def public(count: int, start: int = 0) -> list[Endpoint]:
    return [Endpoint(f"94.{number >> 8}.{number & 255}.9", 7000) for number in range(start, start + count)]


def test_everybody_hears_of_the_others_and_not_of_himself() -> None:
    a, b, c = One(1, "93.1.1.1"), One(2, "93.1.2.1", incoming=True), One(3, "93.1.3.1", seed=True)
    made, _here, _found = exchange(a, b, c)
    made.tick(0.0)
    assert a.heard[0].added == {b.dial_endpoint: PexFlag(0), c.dial_endpoint: PexFlag.REACHABLE | PexFlag.SEED}
    assert b.heard[0].added == {
        a.dial_endpoint: PexFlag.REACHABLE,
        c.dial_endpoint: PexFlag.REACHABLE | PexFlag.SEED,
    }


def test_once_a_minute_and_only_what_changed() -> None:
    a, b, c = One(1, "93.1.1.1"), One(2, "93.1.2.1"), One(3, "93.1.3.1")
    made, here, _found = exchange(a, b)
    made.tick(0.0)
    here[3] = c
    made.tick(INTERVAL - 1)
    assert len(a.heard) == 1
    assert len(c.heard) == 1  # for it the minute begins now
    del here[2]
    made.forget(b)  # type: ignore[arg-type]
    made.tick(INTERVAL)
    assert a.heard[1] == PexMessage({c.dial_endpoint: PexFlag.REACHABLE}, [b.dial_endpoint])
    made.tick(3 * INTERVAL)
    assert len(a.heard) == 2


def test_no_more_than_fifty_at_once() -> None:
    peers = [One(key, f"93.2.{key}.1") for key in range(1, 80)]
    made, _here, _found = exchange(*peers)
    made.tick(0.0)
    made.tick(INTERVAL)
    assert [len(message.added) for message in peers[0].heard] == [PEERS_MAX, 78 - PEERS_MAX]


def test_who_is_not_named() -> None:
    unknown, local, seed = One(1, "93.1.1.1", incoming=True), One(2, "192.168.1.4"), One(3, "93.1.3.1", seed=True)
    unknown.dial_endpoint = None  # it did not say where it listens
    other_seed, deaf = One(4, "93.1.4.1", seed=True), One(5, "93.1.5.1", pex=False)
    made, _here, _found = exchange(unknown, local, seed, other_seed, deaf)
    made.tick(0.0)
    assert list(seed.heard[0].added) == [deaf.dial_endpoint]  # nobody local, no other seed
    assert local.heard == deaf.heard == []
    assert set(unknown.heard[0].added) == {seed.dial_endpoint, other_seed.dial_endpoint, deaf.dial_endpoint}


def test_what_is_not_believed() -> None:
    far, near = One(1, "93.1.1.1"), One(2, "192.168.1.4")
    made, _here, found = exchange(far, near)
    names(made, far, [Endpoint("192.168.1.1", 6881), Endpoint("127.0.0.1", 6881), Endpoint("94.1.1.1", 22)], 0.0)
    names(made, near, [Endpoint("94.1.1.1", 6881)], 0.0)
    assert found == []
    names(made, near, [Endpoint("192.168.1.9", 6881)], 60.0)
    assert found == [Endpoint("192.168.1.9", 6881)]


def test_one_peer_names_fifty_and_no_more() -> None:
    a = One(1, "93.1.1.1")
    made, _here, found = exchange(a)
    names(made, a, public(30), 0.0)
    names(made, a, public(30, 30), 60.0)
    names(made, a, public(30, 60), 120.0)
    assert len(found) == FROM_EACH_MAX


def test_who_is_too_fast_is_not_read_and_then_dropped() -> None:
    a = One(1, "93.1.1.1")
    made, _here, found = exchange(a)
    names(made, a, public(1), 0.0)
    for number in range(TOO_SOON_MAX):
        names(made, a, public(1, number + 1), 1.0 + number)
    assert (len(found), a.gone) == (1, False)
    names(made, a, public(1, 90), 20.0)
    assert a.gone


def test_nonsense_ends_the_connection() -> None:
    a = One(1, "93.1.1.1")
    made, _here, _found = exchange(a)
    made.heard(a, Extended(ut_pex.NAME, b"no"), 0.0)  # type: ignore[arg-type]
    assert a.gone
