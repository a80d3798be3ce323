"""The pipeline: sizing, snubbing, time-outs, late answers."""

from __future__ import annotations

from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.requests import MAX_LATE, Pipeline

CONFIG = SwarmConfig()


def deliver(pipeline: Pipeline, blocks: int, now: float, first: int = 0) -> None:
    pipeline.asked(range(first, first + blocks), now)
    for key in range(first, first + blocks):
        assert pipeline.fulfilled(key, BLOCK_SIZE, now)


def seconds(pipeline: Pipeline, rates: list[int], start: float = 1.0) -> None:
    """One tick a second, with so many blocks in each."""
    for second, blocks in enumerate(rates):
        deliver(pipeline, blocks, start + second)
        pipeline.tick(start + second)


def test_slow_start_grows_by_one_per_block() -> None:
    pipeline = Pipeline(0.0)
    assert pipeline.target == CONFIG.min_pipeline
    deliver(pipeline, 40, 0.5)
    assert pipeline.target == CONFIG.min_pipeline + 40


def test_blocks_in_order_count_as_the_same_blocks_one_by_one() -> None:
    one_by_one, together = Pipeline(0.0), Pipeline(0.0)
    for pipeline in (one_by_one, together):
        pipeline.peer_reqq = 20
        pipeline.asked(range(100, 130), 0.5)
    for key in range(100, 130):
        assert one_by_one.fulfilled(key, BLOCK_SIZE, 1.0)
    assert together.fulfilled_in_order(100, 7, 1.0) == 7
    assert together.fulfilled_in_order(106, 3, 1.0) == 0
    assert together.fulfilled_in_order(107, 40, 1.0) == 23
    assert together.target == one_by_one.target == 20
    assert together.received == one_by_one.received
    assert len(together) == len(one_by_one) == 0


def test_slow_start_ends_when_a_second_brings_no_more_than_the_last() -> None:
    pipeline = Pipeline(0.0)
    seconds(pipeline, [10, 30, 60])
    assert pipeline.in_slow_start
    seconds(pipeline, [60], start=4.0)
    assert not pipeline.in_slow_start


def test_then_it_holds_one_second_of_the_rate() -> None:
    pipeline = Pipeline(0.0)
    seconds(pipeline, [50] * 30)
    assert pipeline.target == 50
    seconds(pipeline, [20] * 30, start=31.0)
    assert 19 <= pipeline.target <= 21


def test_never_more_than_the_peer_queues_nor_than_the_limit() -> None:
    pipeline = Pipeline(0.0)
    pipeline.peer_reqq = 40
    seconds(pipeline, [100] * 5)
    assert pipeline.target == 40
    pipeline.peer_reqq = 10**9
    seconds(pipeline, [1000] * 10, start=6.0)
    assert pipeline.target == CONFIG.max_pipeline
    pipeline.peer_reqq = 1
    seconds(pipeline, [1000] * 10, start=16.0)
    assert pipeline.target == CONFIG.min_pipeline


def test_requests_go_in_batches() -> None:
    pipeline = Pipeline(0.0)
    pipeline.target = 100
    pipeline.asked(range(80), 0.0)
    assert pipeline.room() == 0
    pipeline.asked(range(80, 100), 0.0)
    for key in range(25):
        assert pipeline.room() == 0
        pipeline.refused(key)
    assert pipeline.room() == 25


def test_a_silent_peer_is_snubbing_after_twenty_seconds_and_keeps_one_request() -> None:
    pipeline = Pipeline(0.0)
    pipeline.asked([1, 2, 3], 100.0)
    assert pipeline.tick(100.0 + CONFIG.snub_timeout - 0.1) == []
    assert pipeline.tick(100.0 + CONFIG.snub_timeout) == [2, 3]
    assert pipeline.snubbed
    assert pipeline.target == 1
    assert list(pipeline) == [1]
    assert pipeline.room() == 0


def test_the_clock_of_a_silence_starts_with_the_first_request() -> None:
    pipeline = Pipeline(0.0)
    assert pipeline.tick(1000.0) == []
    pipeline.asked([1], 1000.0)
    assert pipeline.tick(1000.0 + CONFIG.snub_timeout - 1) == []
    assert not pipeline.snubbed


def test_a_block_ends_the_snub() -> None:
    pipeline = Pipeline(0.0)
    pipeline.asked([1, 2], 0.0)
    pipeline.tick(25.0)
    assert pipeline.snubbed
    assert pipeline.fulfilled(1, BLOCK_SIZE, 26.0)
    assert not pipeline.snubbed
    pipeline.tick(27.0)
    assert pipeline.target >= CONFIG.min_pipeline


def test_one_request_is_given_up_after_sixty_seconds_though_others_come() -> None:
    pipeline = Pipeline(0.0)
    pipeline.asked([7], 0.0)
    for second in range(1, 60):
        deliver(pipeline, 1, float(second), first=1000 + second)
        assert pipeline.tick(float(second)) == []
    assert pipeline.tick(CONFIG.request_timeout) == [7]


def test_late_is_not_unsolicited() -> None:
    pipeline = Pipeline(0.0)
    pipeline.asked([1, 2], 0.0)
    assert pipeline.cancelled(1)
    assert not pipeline.fulfilled(1, BLOCK_SIZE, 1.0)
    assert pipeline.take_late(1, BLOCK_SIZE)
    assert not pipeline.take_late(1, BLOCK_SIZE), "once"
    assert not pipeline.take_late(99, BLOCK_SIZE), "never asked for"
    assert pipeline.received == BLOCK_SIZE


def test_what_is_remembered_of_given_up_requests_is_bounded() -> None:
    pipeline = Pipeline(0.0)
    pipeline.asked(range(3 * MAX_LATE), 0.0)
    assert len(pipeline.drop_all()) == 3 * MAX_LATE
    assert len(pipeline) == 0
    assert len(pipeline._late) == MAX_LATE
