from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.dialer import DIAL_TIMEOUT, HALF_OPEN_MAX, Dialer
from icworkshop_gui.engine.net.network import Network
from icworkshop_gui.engine.net.stream import Stream
from tests.sim.loop import run_leaping


class FakeStream:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


class FakeNetwork:
    """Every dial takes five seconds; port 13 is closed."""

    def __init__(self) -> None:
        self.now = self.most = self.total = 0
        self.timeouts: set[float] = set()
        self.streams: list[FakeStream] = []

    async def dial(self, endpoint: Endpoint, kind: TransportKind, timeout: float) -> Stream:
        self.timeouts.add(timeout)
        self.total += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(5)
        finally:
            self.now -= 1
        if endpoint.port == 13:
            raise ConnectionRefusedError
        self.streams.append(FakeStream())
        return cast("Stream", self.streams[-1])


def dialing(test: Callable[[FakeNetwork, Dialer], object]) -> None:
    async def main() -> None:
        network = FakeNetwork()
        dialer = Dialer(cast("Network", network))
        await test(network, dialer)  # type: ignore[misc]
        await dialer.aclose()
        assert dialer.dialing == network.now == 0

    run_leaping(main())


def test_never_more_than_fifty_half_open() -> None:
    async def body(network: FakeNetwork, dialer: Dialer) -> None:
        dials = [asyncio.ensure_future(dialer.dial(Endpoint("10.0.0.1", 1000 + n))) for n in range(130)]
        await asyncio.sleep(1)
        assert (network.now, dialer.dialing) == (HALF_OPEN_MAX, 130)
        await asyncio.gather(*dials)
        assert (network.most, network.total) == (HALF_OPEN_MAX, 130)
        assert network.timeouts == {DIAL_TIMEOUT}

    dialing(body)


def test_a_failure_frees_its_slot_and_reaches_the_caller() -> None:
    async def body(network: FakeNetwork, dialer: Dialer) -> None:
        results = await asyncio.gather(
            *(dialer.dial(Endpoint("10.0.0.1", 13)) for _ in range(60)), return_exceptions=True
        )
        assert all(isinstance(result, ConnectionRefusedError) for result in results)
        await dialer.dial(Endpoint("10.0.0.1", 80))

    dialing(body)


def test_who_gives_up_frees_his_slot() -> None:
    async def body(network: FakeNetwork, dialer: Dialer) -> None:
        dials = [asyncio.ensure_future(dialer.dial(Endpoint("10.0.0.1", 80))) for _ in range(60)]
        await asyncio.sleep(1)
        for dial in dials[:55]:
            dial.cancel()
        await asyncio.sleep(0.1)
        assert network.now == 5
        await asyncio.gather(*dials[55:])

    dialing(body)


def test_a_connection_that_comes_in_the_moment_of_giving_up_is_closed() -> None:
    async def body(network: FakeNetwork, dialer: Dialer) -> None:
        dial = asyncio.ensure_future(dialer.dial(Endpoint("10.0.0.1", 80)))
        for _ in range(3):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        # One turn after the connection's timer: the attempt has just ended, the dial has not been woken yet.
        loop.call_later(5, loop.call_soon, dial.cancel)
        with pytest.raises(asyncio.CancelledError):
            await dial
        assert [stream.aborted for stream in network.streams] == [True]

    dialing(body)


def test_closing_ends_every_attempt() -> None:
    async def body(network: FakeNetwork, dialer: Dialer) -> None:
        dials = [asyncio.ensure_future(dialer.dial(Endpoint("10.0.0.1", 80))) for _ in range(60)]
        await asyncio.sleep(1)
        await dialer.aclose()
        results = await asyncio.gather(*dials, return_exceptions=True)
        assert all(isinstance(result, ConnectionAbortedError) for result in results)
        with pytest.raises(ConnectionAbortedError):
            await dialer.dial(Endpoint("10.0.0.1", 80))

    dialing(body)
