"""Pictures of a torrent for picker tests: strings, one character per piece, four blocks to a piece.

    board = Board(availability="2130", have="x   ", open="   2")
    assert board.pick(4, has="****") == "   2"      # blocks taken, per piece

`have`: x. `wanted`: anything but `-` is wanted. `open`: a digit is an open piece with so many free blocks (the others
arrived from OTHER); `b` is busy: every block is asked of OTHER. `has` of a peer: `*`.
"""

from __future__ import annotations

import random
from itertools import chain

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.picker import Pick, PickView, PiecePicker
from icworkshop_gui.engine.swarm.piece_tracker import PieceTracker

BLOCKS = 4
OTHER = 99
"""Key of the peer that everything in the picture came from."""


def mask(picture: str, marks: str = "*") -> int:
    """Bit i where character i is one of `marks`."""
    return sum(1 << index for index, mark in enumerate(picture) if mark in marks)


class Board:
    """A tracker, its availability and a picker, as drawn."""

    def __init__(
        self,
        *,
        availability: str,
        have: str = "",
        open: str = "",
        wanted: str = "",
        peers: int = 10,
        config: SwarmConfig | None = None,
        seed: int = 1,
    ) -> None:
        size = len(availability)
        have, open, wanted = (text.ljust(size) for text in (have, open, wanted))
        self.tracker = PieceTracker(
            Geometry(size * BLOCKS * BLOCK_SIZE, BLOCKS * BLOCK_SIZE),
            Bitfield.of(size, [index for index, mark in enumerate(have) if mark == "x"]),
            Bitfield.of(size, [index for index, mark in enumerate(wanted) if mark != "-"]),
        )
        self.availability = Availability(size)
        for level in range(9):
            at_least = sum(1 << index for index, count in enumerate(availability) if int(count) > level)
            self.availability.add(at_least)
        # The pieces had count as a start that is over, unless the picture says otherwise.
        self.config = config or SwarmConfig(random_first_pieces=0)
        self.picker = PiecePicker(self.tracker, self.availability, random.Random(seed), self.config)
        self.picker.peers = peers
        for index, mark in enumerate(open):
            if mark == " ":
                continue
            piece = self.tracker.open_piece(index)
            if mark == "b":
                self.tracker.ask(piece, BLOCKS, OTHER)
            else:
                for block in chain.from_iterable(self.tracker.ask(piece, BLOCKS - int(mark), OTHER)):
                    self.tracker.arrived(index, block, bytes(BLOCK_SIZE), OTHER)
        self.tracker.check_invariants()

    def take(self, count: int, has: str, *, key: int = 1, **view: object) -> Pick:
        """What the picker says for a peer with these pieces."""
        pick = self.picker.pick(PickView(key=key, has=mask(has), allowed=None, **view), count)  # type: ignore[arg-type]
        self.tracker.check_invariants()
        return pick

    def pick(self, count: int, has: str, *, key: int = 1, **view: object) -> str:
        """The same as a picture: how many blocks of each piece."""
        taken = [0] * self.tracker.length
        for index, _block in self.take(count, has, key=key, **view).blocks:
            taken[index] += 1
        return "".join(str(blocks) if blocks else " " for blocks in taken)
