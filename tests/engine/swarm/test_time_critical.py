from __future__ import annotations

import math

import pytest

from icworkshop_gui.engine.swarm.time_critical import HORIZON, fair_requests, is_late

BLOCK = 16_384


@pytest.mark.parametrize(
    ("rate", "rates", "left", "expected"),
    [
        (1000.0 * BLOCK, [1000.0 * BLOCK] * 2, 400 * BLOCK, 200),
        (100.0 * BLOCK, [100.0 * BLOCK, 300.0 * BLOCK], 400 * BLOCK, 100),
        (1.0, [1.0, 300.0 * BLOCK], 400 * BLOCK, 1),
        (0.0, [0.0, 300.0 * BLOCK], 400 * BLOCK, 1),
        (0.0, [0.0], 400 * BLOCK, None),
        (100.0 * BLOCK, [100.0 * BLOCK], int(HORIZON * 100) * BLOCK, 600),
        (100.0 * BLOCK, [100.0 * BLOCK], int(HORIZON * 100 + 1) * BLOCK, None),
    ],
)
def test_near_the_end_everybody_gets_what_it_can_send_by_then(
    rate: float, rates: list[float], left: int, expected: int | None
) -> None:
    assert fair_requests(rate, rates, left, BLOCK) == expected


@pytest.mark.parametrize(
    ("there", "here", "late"),
    [
        (3.0, 1.0, True),
        (2.0, 1.0, False),
        (0.5, 0.1, True),
        (math.inf, 5.0, True),
        (2.0, math.inf, True),
        (0.5, math.inf, False),
        (math.inf, math.inf, True),
    ],
)
def test_a_second_copy_must_be_much_faster(there: float, here: float, late: bool) -> None:
    assert is_late(there, here) is late
