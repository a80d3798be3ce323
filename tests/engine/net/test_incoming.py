from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.engine.net.incoming import (
    HANDSHAKE_TIMEOUT,
    PENDING_MAX,
    PER_ADDRESS_MAX,
    AddressCap,
    HandshakeGate,
)
from icworkshop_gui.engine.net.stream import Stream, StreamHandler
from icworkshop_gui.wire.peer.handshake import Handshake
from tests.sim.loop import run_leaping

HELLO = Handshake(InfoHash(b"h" * 20), PeerId(b"p" * 20))


class Visitor:
    """A stream whose other side the test plays."""

    def __init__(self, host: str = "10.0.0.1") -> None:
        self.endpoint = Endpoint(host, 5000)
        self.handler: StreamHandler | None = None
        self.aborted = self.paused = False

    def start(self, handler: StreamHandler) -> None:
        self.handler = handler

    def say(self, data: bytes) -> None:
        assert self.handler is not None
        self.handler.buffer()[: len(data)] = data
        self.handler.received(len(data))

    def pause_reading(self) -> None:
        self.paused = True

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            if self.handler is not None:
                asyncio.get_running_loop().call_soon(self.handler.closed, None)


class Door:
    def __init__(self) -> None:
        self.introduced: list[tuple[Stream, Handshake, bytes]] = []
        self.gate = HandshakeGate(lambda *who: self.introduced.append(who))

    def visit(self, host: str = "10.0.0.1") -> Visitor:
        visitor = Visitor(host)
        self.gate.accept(cast("Stream", visitor))
        return visitor


def test_who_introduces_himself_is_handed_on_paused_with_what_he_said_behind_it() -> None:
    async def main() -> None:
        door = Door()
        visitor = door.visit()
        visitor.say(HELLO.encode()[:30])
        assert not door.introduced
        visitor.say(HELLO.encode()[30:] + b"more")
        assert door.introduced == [(visitor, HELLO, b"more")]
        assert visitor.paused
        assert door.gate.pending == 0
        await asyncio.sleep(HANDSHAKE_TIMEOUT * 2)
        assert not visitor.aborted

    run_leaping(main())


def test_who_speaks_something_else_is_turned_away() -> None:
    async def main() -> None:
        door = Door()
        visitor = door.visit()
        visitor.say(b"GET / HTTP/1.1\r\n")
        assert visitor.aborted
        assert (door.gate.pending, door.introduced) == (0, [])
        await asyncio.sleep(0)

    run_leaping(main())


def test_who_trickles_is_turned_away_after_ten_seconds() -> None:
    async def main() -> None:
        door = Door()
        visitor = door.visit()
        for position in range(30):
            await asyncio.sleep(0.5)
            if visitor.aborted:
                break
            visitor.say(HELLO.encode()[position : position + 1])
        assert position == HANDSHAKE_TIMEOUT / 0.5 - 1
        assert door.gate.pending == 0

    run_leaping(main())


def test_so_many_may_wait_and_no_more() -> None:
    async def main() -> None:
        door = Door()
        visitors = [door.visit() for _ in range(PENDING_MAX + 1)]
        assert [visitor.aborted for visitor in visitors] == [False] * PENDING_MAX + [True]
        visitors[0].abort()
        await asyncio.sleep(0)
        assert door.gate.pending == PENDING_MAX - 1
        assert not door.visit().aborted
        door.gate.close()
        assert door.gate.pending == 0
        assert all(visitor.aborted for visitor in visitors)
        await asyncio.sleep(0)

    run_leaping(main())


def test_one_public_address_gets_so_many_places_private_ones_are_not_counted() -> None:
    async def main() -> None:
        door = Door()
        visitors = [door.visit("8.8.8.8") for _ in range(PER_ADDRESS_MAX + 1)]
        assert [visitor.aborted for visitor in visitors] == [False] * PER_ADDRESS_MAX + [True]
        assert not door.visit("8.8.4.4").aborted
        assert not any(door.visit("192.168.0.7").aborted for _ in range(PER_ADDRESS_MAX + 1))
        visitors[0].say(HELLO.encode())
        assert not door.visit("8.8.8.8").aborted
        door.gate.close()
        await asyncio.sleep(0)

    run_leaping(main())


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700:4700::1111"])
def test_a_place_given_back_is_free_again(host: str) -> None:
    cap = AddressCap(2)
    endpoint = Endpoint(host, 1)
    results: Sequence[bool] = [cap.admit(endpoint) for _ in range(3)]
    assert results == [True, True, False]
    cap.release(endpoint)
    assert cap.admit(endpoint)
    for _ in range(2):
        cap.release(endpoint)
    assert not cap._counts
