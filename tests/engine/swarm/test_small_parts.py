"""Rates and upload queues."""

from __future__ import annotations

import pytest

from icworkshop_gui.engine.swarm.backlog import Backlog
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


def _read(queue: UploadQueue, limit: int = 1 << 20) -> None:
    """What the disk does."""
    runs = queue.take(limit)
    queue.arrived(runs, [bytes(run.length) for run in runs])


def test_blocks_leave_in_slices_in_the_order_of_asking() -> None:
    queue = UploadQueue(4 * K, 100)
    for request in [(0, 0, K), (3, 0, K), (0, K, K), (2, 0, 100)]:
        queue.add(request)
    _read(queue)
    assert queue.ready_bytes == 3 * K + 100
    assert [(request, len(block)) for request, block in queue.hand_over(K + 1)] == [((0, 0, K), K), ((3, 0, K), K)]
    assert [request for request, _ in queue.hand_over(1)] == [(0, K, K)]
    assert [request for request, _ in queue.hand_over(1 << 20)] == [(2, 0, 100)]
    assert queue.ready_bytes == 0
    assert queue.hand_over(K) == []


def test_a_cancel_is_heard_until_the_block_is_handed_over() -> None:
    queue = UploadQueue(4 * K, 100)
    requests = [(0, 0, K), (0, K, K), (1, 0, K), (1, K, K)]
    for request in requests:
        queue.add(request)
    runs = queue.take(3 * K)
    assert queue.cancel((0, K, K))
    queue.arrived(runs, [bytes(run.length) for run in runs])
    assert queue.cancel((1, 0, K))
    assert queue.cancel((1, K, K))
    assert queue.ready_bytes == K
    assert [request for request, _ in queue.hand_over(1 << 20)] == [(0, 0, K)]
    assert not any(queue.cancel(request) for request in requests)


def test_what_is_being_read_or_ready_is_not_asked_for_twice() -> None:
    queue = UploadQueue(4 * K, 100)
    queue.add((0, 0, K))
    runs = queue.take(K)
    assert queue.reading
    queue.add((0, 0, K))
    queue.arrived(runs, [bytes(K)])
    queue.add((0, 0, K))
    assert (len(queue), queue.reading, queue.ready_bytes) == (0, False, K)


def test_a_choke_takes_back_what_was_not_handed_over() -> None:
    queue = UploadQueue(4 * K, 100)
    for block in range(4):
        queue.add((0, block * K, K))
    _read(queue, K)
    queue.take(K)
    assert sorted(queue.clear()) == [(0, block * K, K) for block in range(4)]
    assert (queue.epoch, queue.ready_bytes, queue.reading, len(queue)) == (1, 0, False, 0)


def test_what_cannot_be_read_is_given_back_without_what_was_cancelled() -> None:
    queue = UploadQueue(4 * K, 100)
    queue.add((0, 0, K))
    queue.add((0, K, K))
    queue.take(2 * K)
    queue.cancel((0, 0, K))
    assert queue.failed() == [(0, K, K)]
    assert not queue.reading


@pytest.mark.parametrize(
    ("rate", "size"),
    [(1_000, 16 * 1024), (300_000, 16 * 1024), (800_000, 32 * 1024), (2_500_000, 64 * 1024), (400e6, 512 * 1024)],
)
def test_a_backlog_lasts_about_a_twentieth_of_a_second_and_half_as_long_at_least(rate: float, size: int) -> None:
    backlog = Backlog(0.0)
    now = 0.0
    for _ in range(2000):
        now += 16384 / rate
        backlog.handed(16384, now)
    assert backlog.size == size


def test_a_backlog_says_when_it_changed_and_grows_fast() -> None:
    backlog = Backlog(0.0)
    assert not backlog.handed(16384, 0.0)
    changes = [backlog.handed(32768, 0.001 * step) for step in range(1, 100)]
    assert changes.count(True) == 4
    assert backlog.size == 512 * 1024
