"""Rates and upload queues."""

from __future__ import annotations

import pytest

from icworkshop_gui.engine.swarm.rates import RateMeter
from icworkshop_gui.engine.swarm.uploads import Run, UploadQueue

K = 16384


def test_the_rate_is_right_from_the_first_sample_on() -> None:
    meter = RateMeter(10.0)
    assert meter.rate == 0
    assert meter.sample(5000, 11.0) == pytest.approx(5000)
    assert meter.sample(10_000, 12.0) == pytest.approx(5000)


def test_the_rate_follows_and_dies_away() -> None:
    meter = RateMeter(0.0, half_life=2.0)
    total = 0
    for second in range(1, 31):
        total += 1000
        meter.sample(total, float(second))
    meter.sample(total, 32.0)
    assert meter.rate == pytest.approx(500, rel=0.01)
    for second in range(33, 90):
        meter.sample(total, float(second))
    assert meter.rate == 0


def test_samples_at_one_moment_count_together() -> None:
    meter = RateMeter(0.0)
    meter.sample(1000, 1.0)
    assert meter.sample(9000, 1.0) == pytest.approx(1000)
    assert meter.sample(9000, 2.0) > 4000


def test_requests_that_lie_together_are_one_read() -> None:
    queue = UploadQueue(4 * K, 100)
    for request in [(0, 2 * K, K), (0, 3 * K, K), (1, 0, K), (5, 0, K), (5, K, 100)]:
        assert queue.add(request)
    assert queue.take(1 << 20) == [
        Run(2 * K, 3 * K, [(0, 2 * K, K), (0, 3 * K, K), (1, 0, K)]),
        Run(20 * K, K + 100, [(5, 0, K), (5, K, 100)]),
    ]
    assert len(queue) == 0


def test_a_batch_ends_at_its_limit_but_holds_one_request() -> None:
    queue = UploadQueue(4 * K, 100)
    for block in range(4):
        queue.add((0, block * K, K))
    assert [run.length for run in queue.take(2 * K)] == [2 * K]
    assert [run.length for run in queue.take(1)] == [K]
    assert len(queue) == 1


def test_the_same_request_twice_is_answered_once_and_a_cancel_takes_it_out() -> None:
    queue = UploadQueue(4 * K, 100)
    queue.add((0, 0, K))
    queue.add((0, 0, K))
    assert len(queue) == 1
    assert queue.cancel((0, 0, K))
    assert not queue.cancel((0, 0, K))


def test_more_than_the_limit_is_refused_and_counted() -> None:
    queue = UploadQueue(4 * K, 3)
    assert [queue.add((index, 0, K)) for index in range(5)] == [True, True, True, False, False]
    assert queue.refused == 2
    assert queue.clear() == [(0, 0, K), (1, 0, K), (2, 0, K)]
