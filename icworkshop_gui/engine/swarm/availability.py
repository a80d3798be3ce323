"""How many connected peers have each piece. Pure.

The counts are kept bit-sliced: plane k holds bit k of the count of every piece. Adding a whole bitfield is one
addition with carry over a handful of integers, and the rarest of a set falls out of walking the planes from the top.
"""

from __future__ import annotations


class Availability:
    """Counts per piece; masks in (`piece_mask`), masks out."""

    __slots__ = ("_length", "_planes")

    def __init__(self, length: int) -> None:
        self._length = length
        self._planes: list[int] = []

    def add(self, mask: int) -> None:
        """One more peer has these pieces."""
        planes = self._planes
        for level, plane in enumerate(planes):
            if not mask:
                return
            planes[level] = plane ^ mask
            mask &= plane
        if mask:
            planes.append(mask)

    def remove(self, mask: int) -> None:
        """One peer less has these pieces. ValueError when nobody had one of them: our own bookkeeping is broken."""
        planes = self._planes
        for level, plane in enumerate(planes):
            if not mask:
                return
            planes[level] = plane ^ mask
            mask &= ~plane
        if mask:
            raise ValueError("a piece was taken away that nobody had")

    def count(self, index: int) -> int:
        return sum((plane >> index & 1) << level for level, plane in enumerate(self._planes))

    def anywhere(self) -> int:
        """The pieces that at least one peer has."""
        union = 0
        for plane in self._planes:
            union |= plane
        return union

    def rarest(self, candidates: int) -> int:
        """Those of `candidates` that fewest peers have (nobody counts as fewest)."""
        for plane in reversed(self._planes):
            fewer = candidates & ~plane
            if fewer:
                candidates = fewer
        return candidates

    def commonest(self, candidates: int) -> int:
        """Those of `candidates` that most peers have."""
        for plane in reversed(self._planes):
            more = candidates & plane
            if more:
                candidates = more
        return candidates

    def to_bytes(self) -> bytes:
        """One byte per piece, capped at 255."""
        # A plane's binary digits, one byte each, are numbers below 2: shifted and added they never carry.
        total = 0
        excess = 0
        for level, plane in enumerate(self._planes):
            if level >= 8:
                excess |= plane
            else:
                total += self._spread(plane) << level
        if excess:
            total |= self._spread(excess) * 255
        return total.to_bytes(self._length, "little")

    def _spread(self, plane: int) -> int:
        digits = f"{plane:0{self._length}b}".encode().translate(_DIGITS)
        return int.from_bytes(digits, "big")


_DIGITS = bytes(byte - 48 if byte in (48, 49) else 0 for byte in range(256))
