"""What is known of a piece before any of it is fetched: whole blocks, and the beginning or end of others. Pure.

A hint is a guess (content that looked the same elsewhere). Its bytes lie in the storage already; when the piece is
complete they are read from there and hashed with the rest. A piece that fails is asked for again without its hint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE


@dataclass(frozen=True, slots=True)
class PieceHint:
    """Which bytes of one piece must come."""

    needed: dict[int, tuple[int, int]]
    """Block → (first byte, length) within the piece, ascending; blocks that are not here are known."""
    known: tuple[tuple[int, int], ...]
    """(first byte, length) within the piece of everything else."""


Hints = dict[int, PieceHint]
"""By piece. Pieces of which nothing is known have none."""


def hints_of(geometry: Geometry, known: Iterable[tuple[int, int]]) -> Hints:
    """From what is known of the torrent: (offset, length), ascending, apart from each other.

    A block with several holes counts as one hole from the first to the last: each block is asked for once.
    """
    return {
        index: _hint(geometry.piece_size(index), holes)
        for index, holes in _holes(geometry, known).items()
        if holes != [(0, geometry.piece_size(index))]
    }


def _holes(geometry: Geometry, known: Iterable[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
    """(first, end) within the piece of what is not known, for each piece that has such."""
    holes: dict[int, list[tuple[int, int]]] = {}
    at = 0
    for offset, length in (*known, (geometry.total_length, 0)):
        for index in geometry.pieces_of(at, offset - at):
            begin = geometry.piece_offset(index)
            first, end = max(at, begin), min(offset, begin + geometry.piece_size(index))
            holes.setdefault(index, []).append((first - begin, end - begin))
        at = offset + length
    return holes


def _hint(size: int, holes: list[tuple[int, int]]) -> PieceHint:
    needed: dict[int, tuple[int, int]] = {}
    for first, end in holes:
        for block in range(first // BLOCK_SIZE, -(-end // BLOCK_SIZE)):
            begin = max(first, block * BLOCK_SIZE)
            stop = min(end, (block + 1) * BLOCK_SIZE)
            if block in needed:
                begin = needed[block][0]
            needed[block] = (begin, stop - begin)
    known: list[tuple[int, int]] = []
    at = 0
    for begin, length in (*needed.values(), (size, 0)):
        if begin > at:
            known.append((at, begin - at))
        at = begin + length
    return PieceHint(needed, tuple(known))


def bytes_needed(geometry: Geometry, known: Iterable[tuple[int, int]]) -> int:
    """Bytes that must come over the wire when these ranges are right."""
    return sum(
        length
        for index, holes in _holes(geometry, known).items()
        for _, length in _hint(geometry.piece_size(index), holes).needed.values()
    )
