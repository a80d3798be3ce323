"""A fixed number of bits, packed as BEP 3's bitfield message wants them: piece 0 is the top bit of byte 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Bitfield:
    """`len()` bits. Wire bytes in and out; set, clear, count, iterate."""

    __slots__ = ("_bits", "_count", "_length")

    def __init__(self, length: int, *, full: bool = False) -> None:
        self._length = length
        self._bits = bytearray(-(-length // 8))
        self._count = 0
        if full:
            self.fill()

    @classmethod
    def from_bytes(cls, raw: bytes | bytearray | memoryview, length: int) -> Bitfield:
        """From the wire. ValueError on a wrong size or a spare bit that is set (BEP 3, "bitfield")."""
        if len(raw) != -(-length // 8):
            raise ValueError(f"bitfield of {len(raw)} bytes for {length} pieces")
        field = cls(length)
        field._bits[:] = raw
        spare = -length % 8
        if spare and field._bits[-1] & ((1 << spare) - 1):
            raise ValueError("spare bits are set in a bitfield")
        field._count = int.from_bytes(field._bits, "big").bit_count()
        return field

    @classmethod
    def of(cls, length: int, indices: Iterable[int]) -> Bitfield:
        field = cls(length)
        for index in indices:
            field.add(index)
        return field

    def __len__(self) -> int:
        return self._length

    def __contains__(self, index: int) -> bool:
        if not 0 <= index < self._length:
            return False
        return bool(self._bits[index >> 3] & (0x80 >> (index & 7)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitfield) and self._length == other._length and self._bits == other._bits

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __iter__(self) -> Iterator[int]:
        """The indices of the set bits, ascending."""
        for position, byte in enumerate(self._bits):
            if byte:
                base = position << 3
                for bit in range(8):
                    if byte & (0x80 >> bit):
                        yield base + bit

    def missing(self) -> Iterator[int]:
        """The indices of the clear bits, ascending."""
        for position, byte in enumerate(self._bits):
            if byte != 0xFF:
                base = position << 3
                for bit in range(min(8, self._length - base)):
                    if not byte & (0x80 >> bit):
                        yield base + bit

    def add(self, index: int) -> bool:
        """Set one bit; True when it was clear. IndexError outside."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        mask = 0x80 >> (index & 7)
        if self._bits[index >> 3] & mask:
            return False
        self._bits[index >> 3] |= mask
        self._count += 1
        return True

    def discard(self, index: int) -> bool:
        """Clear one bit; True when it was set. IndexError outside."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        mask = 0x80 >> (index & 7)
        if not self._bits[index >> 3] & mask:
            return False
        self._bits[index >> 3] &= ~mask
        self._count -= 1
        return True

    def fill(self) -> None:
        """Set every bit."""
        self._bits[:] = b"\xff" * len(self._bits)
        spare = -self._length % 8
        if spare:
            self._bits[-1] = 0xFF & ~((1 << spare) - 1)
        self._count = self._length

    def clear(self) -> None:
        self._bits[:] = bytes(len(self._bits))
        self._count = 0

    def copy(self) -> Bitfield:
        other = Bitfield(self._length)
        other._bits[:] = self._bits
        other._count = self._count
        return other

    def has_any_missing_from(self, mine: Bitfield) -> bool:
        """True when a bit is set here and clear in `mine`: are they interesting to us?"""
        theirs = int.from_bytes(self._bits, "big")
        return bool(theirs & ~int.from_bytes(mine._bits, "big"))

    @property
    def count(self) -> int:
        """How many bits are set."""
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count == self._length

    @property
    def is_empty(self) -> bool:
        return self._count == 0

    def to_bytes(self) -> bytes:
        return bytes(self._bits)

    def __repr__(self) -> str:
        return f"Bitfield({self._count}/{self._length})"
