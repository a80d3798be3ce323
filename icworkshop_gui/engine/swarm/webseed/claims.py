"""Which blocks a web server is asked for. Pure: over the swarm's books, chance handed in.

What peers left lying first; then the rarest piece and its missing neighbours to the right, since one long request
is worth many short ones (BEP 19). Where peers are connected the start is random among the rarest, so that players
who begin together fetch different pieces and give them to each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.piece_mask import any_bit
from icworkshop_gui.engine.swarm.piece_tracker import NOBODY, OpenPiece, PieceTracker

Place = tuple[int, int]
"""(piece, block number)."""


class Claims:
    """Marks blocks as asked of a server."""

    def __init__(self, tracker: PieceTracker, availability: Availability, rng: Random, max_buffered: int) -> None:
        self._tracker = tracker
        self._availability = availability
        self._rng = rng
        self._max_buffered = max_buffered

    def work(self) -> int:
        """Mask of the pieces that have something to ask for."""
        mask = self._tracker.pickable_mask
        for piece in self._tracker.partial.values():
            if piece.exclusive == NOBODY:
                mask |= piece.bit
        return mask

    def run(self, key: int, limit: int, pieces: int, *, alone: bool, scattered: bool) -> list[Place]:
        """Free blocks of `pieces` one behind the other, about `limit` bytes and at least one piece's worth.

        `alone`: whole pieces that nobody else takes part in (parole). `scattered`: begin anywhere among the rarest.
        """
        tracker = self._tracker
        if not alone:
            for piece in tracker.partial.values():
                if piece.exclusive == NOBODY and pieces & piece.bit:
                    return self._run_of(piece, key)
        pickable = tracker.pickable_mask & pieces
        if not pickable:
            return []
        rarest = self._availability.rarest(pickable)
        index = any_bit(rarest, self._rng) if scattered else (rarest & -rarest).bit_length() - 1
        found: list[Place] = []
        size = 0
        while tracker.pickable_mask & pieces & 1 << index and self._has_room():
            if found and size + tracker.geometry.piece_size(index) > limit:
                break
            if index in tracker.hints:
                # Its blocks have holes between them: one run of them is one request.
                if not found:
                    found = self._run_of(tracker.open_piece(index, key if alone else NOBODY), key)
                break
            piece = tracker.open_piece(index, key if alone else NOBODY)
            found += _places(index, tracker.ask(piece, piece.free, key))
            size += piece.size
            index += 1
        return found

    def _run_of(self, piece: OpenPiece, key: int) -> list[Place]:
        return _places(piece.index, self._tracker.ask_run(piece, key))

    def piece(self, key: int, index: int) -> list[Place]:
        """All free blocks of one piece; none when it is not needed or there is no room."""
        tracker = self._tracker
        piece = tracker.partial.get(index)
        if piece is None or piece.exclusive != NOBODY:
            if not tracker.pickable_mask & 1 << index or not self._has_room():
                return []
            piece = tracker.open_piece(index)
        return _places(index, tracker.ask(piece, piece.free, key))

    def _has_room(self) -> bool:
        tracker = self._tracker
        if not tracker.open and not tracker.checking:
            return True
        # Half at most, or several fast servers would leave peers no piece to open.
        return tracker.buffered + tracker.geometry.piece_length <= self._max_buffered // 2


def _places(index: int, runs: Iterable[range]) -> list[Place]:
    return [(index, block) for run in runs for block in run]
