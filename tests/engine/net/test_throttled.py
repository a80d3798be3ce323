"""Limits on whole streams, on a clock that leaps: the bytes that pass in a second are those that may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from icworkshop_gui.engine.net.limiter import BURST, CHATTER, QUANTUM, Limiter, LimiterTicker
from icworkshop_gui.engine.net.stream import LOW_WATER
from icworkshop_gui.engine.net.throttled import ThrottledStream
from tests.helpers.streams import MemoryStream, Recorder, memory_pair
from tests.sim.loop import LoopClock, run_leaping


class Sink(Recorder):
    """Counts, and keeps when."""

    def __init__(self) -> None:
        super().__init__(room=256 * 1024)
        self.log: list[tuple[float, int]] = []
        self.total = 0

    def received(self, count: int) -> None:
        self.total += count
        self.log.append((asyncio.get_running_loop().time(), count))

    def between(self, since: float, until: float) -> int:
        return sum(count for at, count in self.log if since <= at < until)


class Source(Recorder):
    """Keeps the line full."""

    def __init__(self, stream: ThrottledStream | MemoryStream) -> None:
        super().__init__()
        self.stream = stream
        stream.start(self)
        self.writable()

    def writable(self) -> None:
        while self.stream.unsent <= LOW_WATER and not self.ended:
            self.stream.write([bytes(13), bytes(16384)] * 16)


class Room:
    def __init__(self, *, up: int | None = None, down: int | None = None) -> None:
        self.clock = LoopClock()
        self.up, self.down = Limiter(up), Limiter(down)
        self.tickers = [LimiterTicker(limiter, self.clock) for limiter in (self.up, self.down)]

    def throttle(self, stream: MemoryStream) -> ThrottledStream:
        return ThrottledStream(stream, up=self.up.child(), down=self.down.child(), clock=self.clock)


def in_room(test: Callable[[Room], Awaitable[None]], **rates: int | None) -> None:
    async def main() -> None:
        room = Room(**rates)
        await test(room)
        for ticker in room.tickers:
            ticker.close()

    run_leaping(main())


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("rate", [100_000, 1_000_000, 50_000_000])
def test_within_five_percent_in_any_second(rate: int, direction: str) -> None:
    async def body(room: Room) -> None:
        sinks = []
        for _ in range(3):
            ours, theirs = memory_pair()
            sink = Sink()
            if direction == "up":
                Source(room.throttle(ours))
                theirs.start(sink)
            else:
                Source(ours)
                room.throttle(theirs).start(sink)
            sinks.append(sink)
        begin = room.clock.now()
        await asyncio.sleep(4)
        for start in (0.3, 0.77, 1.5, 2.21):
            passed = sum(sink.between(begin + start, begin + start + 1) for sink in sinks)
            assert passed == pytest.approx(rate, rel=0.05)
        assert min(sink.total for sink in sinks) >= 0.8 * rate * 4 / 3

    in_room(body, **{direction: rate})


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_new_rate_is_in_force_within_200_ms(direction: str) -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        sink = Sink()
        Source(room.throttle(ours))
        room.throttle(theirs).start(sink)
        limiter = room.up if direction == "up" else room.down
        for rate in (5_000_000, 200_000, 0, 1_000_000):
            limiter.set_rate(rate, room.clock.now())
            await asyncio.sleep(0.2)
            begin = room.clock.now()
            await asyncio.sleep(2)
            assert sink.between(begin, begin + 2) == pytest.approx(2 * (rate or CHATTER), rel=0.05)

    in_room(body, **{direction: 1_000_000})


def test_what_waits_counts_as_unsent_and_writable_says_when_it_is_gone() -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        stream, recorder = room.throttle(ours), Recorder()
        stream.start(recorder)
        Recorder(theirs)
        stream.write([bytes(LOW_WATER), bytes(LOW_WATER)])
        burst = 100_000 * BURST
        assert stream.unsent == 2 * LOW_WATER - burst
        await asyncio.sleep(1)
        assert stream.unsent == pytest.approx(2 * LOW_WATER - burst - 100_000, rel=0.05)
        assert recorder.writable_calls == 0
        await asyncio.sleep(1)
        assert recorder.writable_calls == 1
        await asyncio.sleep(2)
        assert (stream.unsent, recorder.writable_calls) == (0, 1)

    in_room(body, up=100_000)


def test_bytes_stay_in_order_when_the_limit_goes() -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        stream, there = room.throttle(ours), Recorder(theirs)
        sent = [b"%07d" % number for number in range(20_000)]
        for number, chunks in enumerate(_hundreds(sent)):
            if number == 50:
                room.up.set_rate(None, room.clock.now())
            if number == 120:
                room.up.set_rate(10_000, room.clock.now())
            if number == 150:
                room.up.set_rate(1_000_000, room.clock.now())
            stream.write(chunks)
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        assert bytes(there.got) == b"".join(sent)

    in_room(body, up=50_000)


def _hundreds(items: list[bytes]) -> list[list[bytes]]:
    return [items[start : start + 100] for start in range(0, len(items), 100)]


def test_the_users_pause_outlasts_the_limits() -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        stream, sink = room.throttle(theirs), Sink()
        stream.start(sink)
        Source(ours)
        await asyncio.sleep(0.5)
        stream.pause_reading()
        before = sink.total
        await asyncio.sleep(1)
        assert sink.total == before > 0
        stream.resume_reading()
        await asyncio.sleep(1)
        assert sink.total - before == pytest.approx(100_000, rel=0.1)

    in_room(body, down=100_000)


def test_a_pause_of_the_user_while_the_limit_holds_is_not_undone_by_a_grant() -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        stream, sink = room.throttle(theirs), Sink()
        stream.start(sink)
        Source(ours)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(20):
            stream.resume_reading()  # must not break the limit
            await asyncio.sleep(0)
        assert sink.total <= 100_000 * BURST + QUANTUM
        stream.pause_reading()
        before = sink.total
        await asyncio.sleep(1)
        assert sink.total == before

    in_room(body, down=100_000)


def test_a_close_does_not_wait_for_a_limit() -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        stream, here, there = room.throttle(ours), Recorder(), Recorder(theirs)
        stream.start(here)
        stream.write([bytes(10 * CHATTER)])
        await asyncio.sleep(1)
        assert stream.unsent > 8 * CHATTER
        stream.close()
        await asyncio.sleep(1)
        assert here.ended
        assert len(there.got) == 10 * CHATTER

    in_room(body, up=0)


def test_what_a_close_sends_past_the_limit_the_others_wait_for() -> None:
    async def body(room: Room) -> None:
        leaving, its_peer = memory_pair()
        stream, other = room.throttle(leaving), Recorder(its_peer)
        stream.start(Recorder())
        stream.write([bytes(100_000)])
        stream.close()
        ours, theirs = memory_pair()
        sink = Sink()
        theirs.start(sink)
        Source(room.throttle(ours))
        await asyncio.sleep(2)
        assert len(other.got) == 100_000
        assert sink.total == pytest.approx(100_000, rel=0.05)

    in_room(body, up=100_000)


def test_an_aborted_stream_leaves_its_place_to_the_others() -> None:
    async def body(room: Room) -> None:
        sinks = []
        for _ in range(10):
            ours, theirs = memory_pair()
            stream, sink = room.throttle(theirs), Sink()
            stream.start(sink)
            Source(ours)
            sinks.append((stream, sink))
        await asyncio.sleep(1)
        for stream, _ in sinks[1:]:
            stream.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert room.down._waiters <= 1
        await asyncio.sleep(0.1)
        before = sinks[0][1].total
        await asyncio.sleep(2)
        assert sinks[0][1].total - before == pytest.approx(400_000, rel=0.06)

    in_room(body, down=200_000)


def test_without_a_limit_everything_passes_at_once() -> None:
    async def body(room: Room) -> None:
        ours, theirs = memory_pair()
        stream, sink = room.throttle(ours), Sink()
        room.throttle(theirs).start(sink)
        stream.start(Recorder())
        begin = room.clock.now()
        stream.write([bytes(10_000_000)])
        await asyncio.sleep(0.001)
        assert sink.total == 10_000_000
        assert room.clock.now() - begin < 0.01

    in_room(body)


def test_a_hundred_that_wake_together_stay_within_the_limit() -> None:
    async def body(room: Room) -> None:
        ends = []
        for _ in range(100):
            ours, theirs = memory_pair()
            sink = Sink()
            room.throttle(theirs).start(sink)
            ends.append((ours, sink))
        await asyncio.sleep(5)
        begin = room.clock.now()
        for ours, _sink in ends:
            Source(ours)
        await asyncio.sleep(3)
        for start in (0.0, 0.5, 1.3):
            passed = sum(sink.between(begin + start, begin + start + 1) for _, sink in ends)
            assert passed == pytest.approx(100_000, rel=0.05)
        assert all(sink.total for _, sink in ends)

    in_room(body, down=100_000)
