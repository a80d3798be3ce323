"""Whose block broke the piece."""

from __future__ import annotations

import pytest

from icworkshop_gui.engine.swarm.smart_ban import MAX_SUSPECT_PIECES, SmartBan, Verdict, block_digests

GOOD = [b"a", b"b", b"c", b"d"]


def but(**wrong: bytes) -> list[bytes]:
    return [wrong.get(f"b{block}", digest) for block, digest in enumerate(GOOD)]


def test_one_contributor_is_a_proof() -> None:
    assert SmartBan().failed(0, [7, 7, 7, 7], but(b2=b"?")) == Verdict(ban=(7,))


def test_several_go_on_parole_and_nobody_is_banned() -> None:
    ban = SmartBan()
    assert ban.failed(0, [7, 8, 7, 9], but(b1=b"?")) == Verdict(parole=(7, 8, 9))
    assert ban.is_suspect(0)


@pytest.mark.parametrize(
    ("givers", "bad", "second", "banned"),
    [
        ([7, 8, 7, 9], {"b1": b"?"}, [7, 7, 7, 7], (8,)),
        ([7, 8, 7, 9], {"b1": b"?", "b3": b"!"}, [7, 7, 7, 7], (8, 9)),
        ([7, 8, 7, 9], {"b0": b"?"}, [9, 9, 9, 9], (7,)),
        ([7, 8, 8, 8], {"b2": b"?"}, [8, 8, 8, 8], (8,)),  # the liar sent the right bytes the second time
    ],
)
def test_the_piece_passes_and_the_liar_is_known(
    givers: list[int], bad: dict[str, bytes], second: list[int], banned: tuple[int, ...]
) -> None:
    ban = SmartBan()
    ban.failed(0, givers, but(**bad))
    verdict = ban.passed(0, second, GOOD)
    assert verdict.ban == banned
    assert set(verdict.cleared) == set(givers) - set(banned)
    assert not ban.is_suspect(0)


def test_several_failures_before_it_passes() -> None:
    ban = SmartBan()
    ban.failed(0, [7, 8, 8, 8], but(b0=b"?"))
    ban.failed(0, [9, 9, 8, 8], but(b1=b"!"))
    assert ban.passed(0, [8, 8, 8, 8], GOOD).ban == (7, 9)


def test_a_suspect_elsewhere_stays_one() -> None:
    ban = SmartBan()
    ban.failed(0, [7, 8, 8, 8], but(b0=b"?"))
    ban.failed(1, [9, 8, 8, 8], but(b0=b"?"))
    verdict = ban.passed(0, [8, 9, 8, 8], GOOD)
    assert verdict.ban == (7,)
    assert verdict.cleared == ()


def test_a_piece_of_its_own_that_passes_ends_a_parole() -> None:
    ban = SmartBan()
    ban.failed(0, [7, 8, 8, 8], but(b0=b"?"))
    assert ban.passed(5, [8, 8, 8, 8], None) == Verdict(cleared=(8,))
    assert ban.passed(6, [7, 8, 8, 8], None) == Verdict()


def test_memory_is_bounded() -> None:
    ban = SmartBan()
    for index in range(MAX_SUSPECT_PIECES + 50):
        for _ in range(30):
            ban.failed(index, [7, 8, 8, 8], but(b0=b"?"))
    assert len(ban.records()) == MAX_SUSPECT_PIECES
    assert max(ban.records().values()) == 16


def test_digests_are_per_block_of_sixteen_kib() -> None:
    assert len(block_digests(bytes(16384 * 2 + 1))) == 3
    assert block_digests(bytes(16384)) == block_digests(memoryview(bytes(16384)))
