"""BEP 52 hash trees: SHA-256 over 16 KiB leaves, padded with zero hashes to a power of two."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

from icworkshop_gui.core.units import BLOCK_SIZE

HASH_SIZE = 32
LEAF_SIZE = BLOCK_SIZE
"""Bytes under one leaf (BEP 52, "pieces root")."""


@cache
def pad_hash(level: int) -> bytes:
    """The hash that fills a tree where no file is, `level` layers above the leaves; 32 zero bytes at 0."""
    if level == 0:
        return bytes(HASH_SIZE)
    below = pad_hash(level - 1)
    return hashlib.sha256(below + below).digest()


def leaf_hashes(data: bytes | bytearray | memoryview) -> list[bytes]:
    """The leaves over `data`; the last one may be short and is hashed as it is."""
    view = memoryview(data)
    return [hashlib.sha256(view[at : at + LEAF_SIZE]).digest() for at in range(0, len(view), LEAF_SIZE)]


def tree_root(hashes: Sequence[bytes], *, width: int = 0, level: int = 0) -> bytes:
    """The root over one layer of hashes, which lies `level` layers above the leaves.

    `width` is how many hashes the full layer has, a power of two; 0: the least that holds `hashes`.
    """
    if not hashes:
        raise ValueError("a tree over nothing")
    width = width or next_power_of_two(len(hashes))
    if width & (width - 1) or len(hashes) > width:
        raise ValueError(f"{len(hashes)} hashes in a layer of {width}")
    layer = list(hashes)
    while width > 1:
        if len(layer) % 2:
            layer.append(pad_hash(level))
        layer = [hashlib.sha256(layer[at] + layer[at + 1]).digest() for at in range(0, len(layer), 2)]
        width //= 2
        level += 1
    return layer[0]


def layer_level(piece_length: int) -> int:
    """How many layers above the leaves the piece hashes lie; `piece_length` is a power of two from 16 KiB."""
    return (piece_length // LEAF_SIZE).bit_length() - 1


def split_hashes(layer: bytes) -> list[bytes]:
    """Concatenated hashes taken apart."""
    return [layer[at : at + HASH_SIZE] for at in range(0, len(layer), HASH_SIZE)]


def piece_hash(data: bytes | bytearray | memoryview, piece_length: int, *, whole_file: bool) -> bytes:
    """What a v2 torrent says about one piece: `data` are the bytes of its file, without padding.

    `whole_file`: the file is no longer than one piece, so that its tree is only as high as its leaves need.
    """
    return tree_root(leaf_hashes(data), width=0 if whole_file else piece_length // LEAF_SIZE)


def file_root(piece_layer: bytes, piece_length: int) -> bytes:
    """The `pieces root` of a file with this layer of piece hashes (BEP 52, "piece layers")."""
    return tree_root(split_hashes(piece_layer), level=layer_level(piece_length))


def next_power_of_two(number: int) -> int:
    """The least power of two that is not below `number`."""
    return 1 << (number - 1).bit_length() if number > 1 else 1
