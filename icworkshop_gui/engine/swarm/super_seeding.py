"""What a lone seed shows to whom, so that each piece leaves it about once (BEP 16). Pure.

A seed that shows everything is asked for the same pieces by several peers at once, and its line, the scarcest thing in
a young swarm, carries them twice. One that shows each peer other pieces is not. BEP 16 shows a peer the next piece
only once somebody else has the last one; meanwhile the line idles. Here a peer is shown as much as it takes in about
a second, whatever becomes of it, and the pieces are those of which the fewest copies exist or are on their way. The
first one to come may stay the only one: it is shown a few, and then as many ahead as it has got, so that its requests
never lack pieces and the next to come still finds most pieces asked for by nobody.
"""

from __future__ import annotations

from random import Random

from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.piece_mask import any_bit, full_mask

SHOWN_MIN = 2
"""Pieces on their way to one peer: while one is finished the next is asked for."""

SHOWN_SECONDS = 1.0
"""A peer is shown ahead what it takes in so long."""

ALONE_MIN = 8
"""Pieces that a leecher alone is shown ahead at first."""


class SuperSeeder:
    """Remembers what each peer was shown. Peers are known by their keys."""

    def __init__(self, length: int, piece_length: int, availability: Availability, rng: Random) -> None:
        self._everything = full_mask(length)
        self._piece_length = piece_length
        self._availability = availability
        self._rng = rng
        self._shown: dict[int, int] = {}
        """Per peer that is not shown everything: mask of what it was shown."""
        self._asked: dict[int, int] = {}
        """Per peer that sees everything: mask of what it asked for."""

    @property
    def unique(self) -> int:
        """Mask of the pieces that no connected peer has."""
        return self._everything & ~self._availability.anywhere()

    def sees_part(self, key: int) -> bool:
        """Is this peer shown single pieces?"""
        return key in self._shown

    @property
    def is_at_work(self) -> bool:
        """Some peer is shown single pieces."""
        return bool(self._shown)

    def admit(self, key: int) -> None:
        """This peer is shown nothing so far."""
        self._shown[key] = 0

    def asked(self, key: int, pieces: int) -> None:
        """A peer that sees everything asked for these (a mask): they are on their way to it."""
        self._asked[key] = self._asked.get(key, 0) | pieces

    def forget(self, key: int) -> None:
        """It left, or sees everything from now on."""
        self._shown.pop(key, None)
        self._asked.pop(key, None)

    def hidden(self, key: int) -> int:
        """Mask of what this peer was not shown."""
        return self._everything & ~self._shown.get(key, self._everything)

    def show(self, key: int, has: int, rate: float, *, alone: bool = False) -> list[int]:
        """Pieces to show it now. `has`: mask of its pieces; `rate`: bytes a second that it takes from us; `alone`:
        there is no other leecher."""
        shown = self._shown[key]
        waiting = (shown & ~has).bit_count()
        if alone:
            ahead = max(ALONE_MIN, (shown & has).bit_count())
        else:
            ahead = max(SHOWN_MIN, 1 + int(rate * SHOWN_SECONDS / self._piece_length))
        found: list[int] = []
        for _ in range(ahead - waiting):
            candidates = self._everything & ~shown & ~has
            if not candidates:
                break
            # A copy on its way counts as one: least of both together.
            rarest = self._availability.rarest(candidates)
            fresh = rarest & ~self._on_the_way
            if not fresh and shown & ~has:
                break  # all that is rare goes to somebody already, and this peer has something to do
            index = any_bit(fresh or rarest, self._rng)
            found.append(index)
            shown |= 1 << index
            self._shown[key] = shown
        return found

    @property
    def _on_the_way(self) -> int:
        mask = 0
        for shown in self._shown.values():
            mask |= shown
        for asked in self._asked.values():
            mask |= asked
        return mask & self.unique
