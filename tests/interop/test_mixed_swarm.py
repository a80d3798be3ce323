"""Everybody in one swarm: all complete, and ours share with strangers as strangers share with us."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import mixed

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(150)]


def test_two_of_ours_two_libtorrents_aria2_and_transmission(tmp_path: Path) -> None:
    missing = [reason for reason in (kind.missing() for kind in mixed.OTHERS) if reason]
    if missing:
        pytest.skip("; ".join(missing))

    seed, finishes = mixed.run(tmp_path)

    assert len(finishes) == 6
    assert all(finish.is_right for finish in finishes)
    # Six copies came from somewhere; who joined first had to share for the slow seed not to give them all.
    assert seed < 5 * mixed.SIZE
    assert seed + sum(finish.uploaded for finish in finishes) >= 6 * mixed.SIZE * 0.95
