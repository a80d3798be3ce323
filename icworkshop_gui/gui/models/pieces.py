"""Thousands of pieces into as many stripes as there are pixels. Pure."""

from __future__ import annotations

from typing import NamedTuple

from icworkshop_gui.engine.api.snapshots import TransferDetail

STRIPES_MAX = 4096
"""More than any screen is wide; a limit, so that a foolish width costs nothing."""


class Stripe(NamedTuple):
    """A run of pieces drawn as one."""

    have: float
    """Share of its pieces that are verified, 0..1."""
    in_flight: bool
    """Some of its pieces are on their way."""
    rarity: int
    """The fewest peers that have one of its missing pieces; 255 when nothing is missing."""


def _has(bits: bytes, index: int) -> bool:
    return bool(bits[index >> 3] & (0x80 >> (index & 7)))


def stripes(detail: TransferDetail, count: int) -> tuple[Stripe, ...]:
    """At most `count` stripes, left to right; fewer when there are fewer pieces."""
    pieces = detail.piece_count
    count = max(0, min(count, pieces, STRIPES_MAX))
    if count == 0 or len(detail.have) * 8 < pieces:
        return ()
    flying = frozenset(detail.in_flight)
    known = len(detail.availability) >= pieces
    found: list[Stripe] = []
    for at in range(count):
        first, end = at * pieces // count, (at + 1) * pieces // count
        have = 0
        moving = False
        rarity = 255
        for piece in range(first, end):
            if _has(detail.have, piece):
                have += 1
                continue
            moving = moving or piece in flying
            if known:
                rarity = min(rarity, detail.availability[piece])
        found.append(Stripe(have / (end - first), moving, rarity))
    return tuple(found)


class Stripes:
    """The stripes of the last detail asked for: painting again costs nothing while nothing changed."""

    def __init__(self) -> None:
        self._asked: tuple[TransferDetail | None, int] = (None, 0)
        self._found: tuple[Stripe, ...] = ()

    def of(self, detail: TransferDetail, count: int) -> tuple[Stripe, ...]:
        if self._asked[0] is not detail or self._asked[1] != count:
            self._asked = (detail, count)
            self._found = stripes(detail, count)
        return self._found


def piece_at(detail: TransferDetail, count: int, stripe: int) -> tuple[int, int]:
    """First and last piece of a stripe."""
    pieces = detail.piece_count
    count = max(1, min(count, pieces, STRIPES_MAX))
    stripe = max(0, min(stripe, count - 1))
    return stripe * pieces // count, (stripe + 1) * pieces // count - 1


def describe(detail: TransferDetail, first: int, last: int) -> str:
    """A run of pieces in words: `Pieces 12–14: here`."""
    which = f"Piece {first}" if first == last else f"Pieces {first}–{last}"
    total = last - first + 1
    here = sum(_has(detail.have, piece) for piece in range(first, last + 1))
    if here == total:
        return f"{which}: here"
    state = f"{here} of {total} here" if here else "missing"
    if any(first <= piece <= last for piece in detail.in_flight):
        state += ", on the way"
    fewest = min((detail.availability[p] for p in range(first, last + 1) if not _has(detail.have, p)), default=0)
    return f"{which}: {state}, {fewest} players have it" if fewest != 1 else f"{which}: {state}, 1 player has it"


def overview(detail: TransferDetail) -> str:
    """The whole bar in words, for those who cannot see it."""
    here = sum(byte.bit_count() for byte in detail.have)
    missing = [
        detail.availability[p]
        for p in range(min(detail.piece_count, len(detail.availability)))
        if not _has(detail.have, p)
    ]
    words = f"{here} of {detail.piece_count} pieces here, {len(detail.in_flight)} on the way"
    if missing:
        words += f", the rarest missing one is held by {min(missing)}"
    return words
