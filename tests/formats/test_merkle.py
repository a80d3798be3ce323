"""BEP 52 trees from first principles."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.formats import merkle
from tests.helpers.builders import content


def slow_root(data: bytes) -> bytes:
    """The definition, read aloud: leaves, zero hashes up to a power of two, pairs until one is left."""
    leaves = [hashlib.sha256(data[at : at + 16384]).digest() for at in range(0, len(data), 16384)]
    while len(leaves) & (len(leaves) - 1):
        leaves.append(bytes(32))
    while len(leaves) > 1:
        leaves = [hashlib.sha256(b"".join(leaves[at : at + 2])).digest() for at in range(0, len(leaves), 2)]
    return leaves[0]


@given(st.integers(1, 40 * 16384), st.sampled_from([16384, 32768, 131072]))
def test_layers_and_root_agree(size, piece_length):
    data = content(size)
    expected = slow_root(data)
    assert merkle.tree_root(merkle.leaf_hashes(data)) == expected
    if size > piece_length:
        pieces = [data[at : at + piece_length] for at in range(0, size, piece_length)]
        layer = b"".join(merkle.piece_hash(piece, piece_length, whole_file=False) for piece in pieces)
        assert merkle.file_root(layer, piece_length) == expected
    else:
        assert merkle.piece_hash(data, piece_length, whole_file=True) == expected


def test_padding():
    assert merkle.pad_hash(0) == bytes(32)
    assert merkle.pad_hash(2) == slow_root_of_zero_hashes(4)
    assert merkle.layer_level(16384) == 0
    assert merkle.layer_level(1 << 20) == 6


def slow_root_of_zero_hashes(count: int) -> bytes:
    layer = [bytes(32)] * count
    while len(layer) > 1:
        layer = [hashlib.sha256(b"".join(layer[at : at + 2])).digest() for at in range(0, len(layer), 2)]
    return layer[0]


@pytest.mark.parametrize(("hashes", "width"), [([], 0), ([bytes(32)] * 3, 2), ([bytes(32)], 3)])
def test_impossible_layers(hashes, width):
    with pytest.raises(ValueError, match=r"tree over nothing|in a layer of"):
        merkle.tree_root(hashes, width=width)
