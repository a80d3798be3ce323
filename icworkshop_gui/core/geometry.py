"""Length and piece length turned into pieces and blocks, written once for everybody."""

from __future__ import annotations

from dataclasses import dataclass

from icworkshop_gui.core.units import BLOCK_SIZE


@dataclass(frozen=True, slots=True)
class Geometry:
    """How `total_length` bytes are cut into pieces and 16 KiB blocks. The last of each may be short."""

    total_length: int
    piece_length: int

    def __post_init__(self) -> None:
        if self.total_length <= 0 or self.piece_length <= 0:
            raise ValueError("total length and piece length must be positive")

    @property
    def piece_count(self) -> int:
        return -(-self.total_length // self.piece_length)

    @property
    def blocks_per_piece(self) -> int:
        """Of a full piece."""
        return -(-self.piece_length // BLOCK_SIZE)

    def piece_offset(self, index: int) -> int:
        return index * self.piece_length

    def piece_size(self, index: int) -> int:
        """Bytes in piece `index`; IndexError outside the torrent."""
        if not 0 <= index < self.piece_count:
            raise IndexError(f"piece {index} of {self.piece_count}")
        return min(self.piece_length, self.total_length - index * self.piece_length)

    def block_count(self, index: int) -> int:
        return -(-self.piece_size(index) // BLOCK_SIZE)

    def block_size(self, index: int, block: int) -> int:
        """Bytes in block number `block` of piece `index`."""
        begin = block * BLOCK_SIZE
        size = self.piece_size(index)
        if not 0 <= begin < size:
            raise IndexError(f"block {block} of piece {index}")
        return min(BLOCK_SIZE, size - begin)

    def pieces_of(self, offset: int, length: int) -> range:
        """Every piece that shares a byte with `length` bytes at `offset`; empty for no bytes."""
        if length <= 0:
            return range(0)
        return range(offset // self.piece_length, (offset + length - 1) // self.piece_length + 1)
