"""What every `Stream` promises, whatever carries it. A new transport adds one line to `MAKERS`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.engine.net.limiter import Limiter, LimiterTicker
from icworkshop_gui.engine.net.real import RealNetwork
from icworkshop_gui.engine.net.stream import LOW_WATER, Stream
from icworkshop_gui.engine.net.tcp import TcpStream
from icworkshop_gui.engine.net.throttled import ThrottledStream
from icworkshop_gui.engine.net.transport_stream import TransportStream
from tests.helpers.streams import Recorder, memory_pair, until

Pair = tuple[Stream, Stream]
Maker = Callable[[], AbstractAsyncContextManager[Pair]]


def _connected() -> tuple[socket.socket, Endpoint, socket.socket, Endpoint]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dialing = socket.create_connection(server.getsockname())
        accepted, address = server.accept()
    return dialing, Endpoint(*dialing.getpeername()), accepted, Endpoint(*address)


@asynccontextmanager
async def _ended(*streams: Stream) -> AsyncIterator[Pair]:
    try:
        yield streams[0], streams[1]
    finally:
        for stream in streams:
            stream.abort()
        for _ in range(3):
            await asyncio.sleep(0)


@asynccontextmanager
async def tcp() -> AsyncIterator[Pair]:
    dialing, there, accepted, here = _connected()
    async with _ended(TcpStream(dialing, there, incoming=False), TcpStream(accepted, here, incoming=True)) as pair:
        yield pair


@asynccontextmanager
async def transport() -> AsyncIterator[Pair]:
    loop = asyncio.get_running_loop()
    dialing, _, accepted, _ = _connected()
    _, ours = await loop.create_connection(lambda: TransportStream(incoming=False), sock=dialing)
    _, theirs = await loop.connect_accepted_socket(lambda: TransportStream(incoming=True), sock=accepted)
    async with _ended(ours, theirs) as pair:
        yield pair


@asynccontextmanager
async def memory() -> AsyncIterator[Pair]:
    async with _ended(*memory_pair()) as pair:
        yield pair


@asynccontextmanager
async def network() -> AsyncIterator[Pair]:
    """As the engine gets them: dialed and accepted."""
    net = RealNetwork(host="127.0.0.1")
    accepted: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    listener = await net.listen(0, accepted.set_result)
    ours = await net.dial(Endpoint("127.0.0.1", listener.port), TransportKind.TCP, 5.0)
    async with _ended(ours, await accepted) as pair:
        yield pair
    await listener.aclose()
    await net.aclose()


def throttled(rate: int | None) -> Maker:
    @asynccontextmanager
    async def make() -> AsyncIterator[Pair]:
        clock = SystemClock()
        up, down = Limiter(rate), Limiter(rate)
        tickers = [LimiterTicker(limiter, clock) for limiter in (up, down)]
        async with tcp() as (ours, theirs):
            async with _ended(
                ThrottledStream(ours, up=up.child(), down=down.child(), clock=clock),
                ThrottledStream(theirs, up=up.child(), down=down.child(), clock=clock),
            ) as pair:
                yield pair
        for ticker in tickers:
            ticker.close()

    return make


MAKERS: dict[str, Maker] = {
    "tcp": tcp,
    "transport": transport,
    "network": network,
    "memory": memory,
    "throttled, unlimited": throttled(None),
    "throttled, 40 MB/s": throttled(40_000_000),
}


@pytest.fixture(params=MAKERS)
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Stream, Stream], Awaitable[None]]], None]:
    def go(test: Callable[[Stream, Stream], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(30), MAKERS[request.param]() as (ours, theirs):
                await test(ours, theirs)

        asyncio.run(main())

    return go


Run = Callable[[Callable[[Stream, Stream], Awaitable[None]]], None]

PATTERN = bytes(range(256)) * 4096

BACKLOG = 16 * 1024
TAKEN = 512 * 1024
"""Bytes that a system takes of a write at most: the backlog, and what the other end has room for."""


def test_both_ends_know_who_they_are(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        assert (ours.incoming, theirs.incoming) == (False, True)
        assert ours.kind is theirs.kind is TransportKind.TCP
        assert ours.endpoint.host == theirs.endpoint.host == "127.0.0.1"
        assert ours.endpoint.port != theirs.endpoint.port

    run(body)


def test_bytes_arrive_in_order_in_both_directions(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here, there = Recorder(ours), Recorder(theirs)
        ours.write([b"one", bytearray(b" two"), memoryview(b"x three")[1:], b""])
        theirs.write([b"back"])
        ours.write([b" four"])
        ours.write([])
        await until(lambda: len(there.got) == 18 and len(here.got) == 4)
        assert bytes(there.got) == b"one two three four"
        assert bytes(here.got) == b"back"

    run(body)


def test_more_than_the_system_takes_at_once_arrives_whole(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here = Recorder(ours)
        view = memoryview(PATTERN)
        for _ in range(8):
            ours.write([view[start : start + 999] for start in range(0, len(view), 999)])
        assert ours.unsent > LOW_WATER
        there = Recorder(theirs)
        await until(lambda: len(there.got) == 8 * len(PATTERN), 20)
        assert there.got == PATTERN * 8
        assert ours.unsent == 0
        await until(lambda: here.writable_calls > 0)
        assert here.writable_calls == 1

    run(body)


def test_a_small_backlog_is_kept_and_all_of_it_leaves(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here = Recorder(ours)
        ours.set_backlog(BACKLOG)
        ours.write([PATTERN])
        assert ours.unsent >= len(PATTERN) - TAKEN
        there = Recorder(theirs)
        await until(lambda: here.writable_calls == 1)
        assert ours.unsent <= BACKLOG // 4
        await until(lambda: len(there.got) == len(PATTERN), 20)
        assert there.got == PATTERN

    run(body)


def test_a_write_that_breaks_off_inside_a_chunk_goes_on_there(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        Recorder(ours)
        ours.write([PATTERN * 8, b"second", b"third"])
        there = Recorder(theirs)
        await until(lambda: len(there.got) == 8 * len(PATTERN) + 11, 20)
        assert there.got == PATTERN * 8 + b"secondthird"

    run(body)


def test_whoever_expects_much_gets_it_all_the_same_and_the_end_too(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here, there = Recorder(ours), Recorder(theirs)
        theirs.expect(10_000)
        for _ in range(5):
            ours.write([bytes(2_000)])
            await asyncio.sleep(0.001)
        await until(lambda: len(there.got) == 10_000)
        ours.write([b"less than that"])
        await asyncio.sleep(0.005)
        theirs.expect(1)
        await until(lambda: len(there.got) == 10_014)
        theirs.expect(10_000)
        ours.write([b"the last words"])
        ours.close()
        await until(lambda: there.ended and here.ended)
        assert len(there.got) == 10_028

    run(body)


def test_writable_is_not_called_when_nothing_waited(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here, there = Recorder(ours), Recorder(theirs)
        for _ in range(20):
            ours.write([b"x" * 100])
            await asyncio.sleep(0)
        await until(lambda: len(there.got) == 2000)
        assert here.writable_calls == 0

    run(body)


def test_nothing_is_delivered_while_paused(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        there = Recorder(theirs)
        theirs.pause_reading()
        ours.write([b"early"])
        await asyncio.sleep(0.02)
        assert not there.got
        theirs.resume_reading()
        await until(lambda: bytes(there.got) == b"early")
        theirs.pause_reading()
        theirs.pause_reading()
        ours.write([b" late"])
        await asyncio.sleep(0.02)
        assert bytes(there.got) == b"early"
        theirs.resume_reading()
        await until(lambda: bytes(there.got) == b"early late")

    run(body)


def test_nothing_is_lost_before_there_is_a_handler(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        Recorder(ours)
        ours.write([b"first words"])
        await asyncio.sleep(0.02)
        there = Recorder(theirs)
        await until(lambda: bytes(there.got) == b"first words")

    run(body)


def test_a_handler_may_hand_over_to_another_while_it_receives(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        second = Recorder()

        class First(Recorder):
            def received(self, count: int) -> None:
                super().received(count)
                theirs.pause_reading()
                theirs.start(second)

        first = First(theirs, room=5)
        ours.write([b"hello world"])
        await until(lambda: bytes(first.got) == b"hello")
        await asyncio.sleep(0.02)
        assert not second.got
        theirs.resume_reading()
        await until(lambda: bytes(second.got) == b" world")

    run(body)


def test_handing_over_needs_no_pause(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        second = Recorder()

        class First(Recorder):
            def received(self, count: int) -> None:
                super().received(count)
                theirs.start(second)

        first = First(theirs, room=5)
        ours.write([b"hello world"])
        await until(lambda: bytes(second.got) == b" world")
        assert bytes(first.got) == b"hello"

    run(body)


def test_close_delivers_everything_first(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here = Recorder(ours)
        theirs.write([b"never read by the one who closes" * 1000])
        ours.write([PATTERN] * 4)
        ours.close()
        ours.close()
        ours.write([b"too late"])
        there = Recorder(theirs)
        await until(lambda: here.ended and there.ended, 20)
        assert here.error is there.error is None
        assert there.got == PATTERN * 4

    run(body)


def test_nothing_is_delivered_after_close_and_unread_bytes_cost_the_other_side_nothing(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here = Recorder(ours)
        ours.pause_reading()
        theirs.write([b"never read by the one who closes" * 1000])
        await asyncio.sleep(0.02)
        ours.write([PATTERN[:100_000]])
        ours.close()
        ours.resume_reading()
        await asyncio.sleep(0.02)
        there = Recorder(theirs)
        await until(lambda: here.ended and there.ended, 20)
        assert there.got == PATTERN[:100_000]
        assert not here.got
        assert here.error is there.error is None

    run(body)


def test_both_may_close_at_once_and_lose_nothing(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here, there = Recorder(ours), Recorder(theirs)
        theirs.write([b"last words"])
        await until(lambda: bool(here.got))
        theirs.write([PATTERN] * 8)
        theirs.close()
        await until(lambda: len(here.got) == 10 + 8 * len(PATTERN), 20)
        ours.close()
        await until(lambda: here.ended and there.ended, 20)
        assert here.error is there.error is None

    run(body)


def test_abort_ends_at_once_and_once(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here, there = Recorder(ours), Recorder(theirs)
        ours.write([PATTERN] * 16)
        ours.abort()
        ours.abort()
        ours.close()
        ours.write([b"x"])
        assert not here.ended, "closed must not come from inside the call"
        await until(lambda: here.ended and there.ended)
        assert here.error is None
        assert ours.unsent == 0

    run(body)


def test_the_other_side_going_away_is_an_end(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here, there = Recorder(ours), Recorder(theirs)
        theirs.write([b"bye"])
        theirs.close()
        await until(lambda: here.ended and there.ended)
        assert bytes(here.got) == b"bye"
        assert here.error is there.error is None

    run(body)


def test_a_handler_that_comes_after_the_end_hears_of_it(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        ours.abort()
        await asyncio.sleep(0.01)
        late = Recorder(ours)
        await until(lambda: late.ended)

    run(body)


def test_writing_to_who_is_gone_is_an_end_and_no_exception(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        here = Recorder(ours)
        ours.pause_reading()
        theirs.abort()
        await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            while not here.ended:
                ours.write([b"x" * 1000])
                await asyncio.sleep(0.001)

    run(body)


@pytest.mark.logs
def test_a_handler_that_fails_loses_its_stream_and_nothing_else(run: Run) -> None:
    async def body(ours: Stream, theirs: Stream) -> None:
        class Broken(Recorder):
            def received(self, count: int) -> None:
                raise ZeroDivisionError("a bug")

        broken, here = Broken(theirs), Recorder(ours)
        ours.write([b"x"])
        await until(lambda: broken.ended and here.ended)
        assert isinstance(broken.error, ZeroDivisionError)

    run(body)
