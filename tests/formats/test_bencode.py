"""The scanner against an independent decoder, and against everything a stranger may send."""

from __future__ import annotations

import time

import bencodepy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.bencode import (
    INT_MAX,
    INT_MIN,
    LENGTH_DIGITS_MAX,
    MESSAGE_LIMITS,
    TORRENT_LIMITS,
    BencodeLimits,
    decode,
    decode_prefix,
    encode,
    scan,
)

VALUES = st.recursive(
    st.integers(INT_MIN, INT_MAX) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=8), inner, max_size=5),
    max_leaves=30,
)
ALPHABET = st.lists(st.sampled_from([b"d", b"l", b"e", b"i", b"-", b":", b"0", b"1", b"2", b"9", b"a"]), max_size=30)


@given(VALUES)
def test_what_is_encoded_is_decoded(value):
    assert decode(encode(value)) == value


@given(VALUES)
def test_the_oracle_writes_the_same_bytes(value):
    assert encode(value) == bencodepy.encode(value)


@given(VALUES, st.binary(max_size=10))
def test_a_prefix_ends_where_the_value_ends(value, trailer):
    raw = encode(value)
    assert decode_prefix(raw + trailer) == (value, len(raw))


@given(st.binary(max_size=200) | ALPHABET.map(b"".join))
def test_any_bytes_are_a_value_or_a_format_error(data):
    try:
        found = scan(data)
    except FormatError:
        return
    assert found.end <= len(data)
    if found.is_sorted:
        assert encode(found.value) == data[: found.end]


@given(VALUES, st.data())
def test_flipped_bytes_are_a_value_or_a_format_error(value, data):
    raw = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(raw))
    except FormatError:
        pass


def test_spans_are_the_raw_bytes_even_where_keys_are_out_of_order():
    data = b"d1:zi1e4:infod1:bi2e1:ai3ee1:al0:ee"
    found = scan(data)
    start, end = found.spans[b"info"]
    assert data[start:end] == b"d1:bi2e1:ai3ee"
    assert {key: data[slice(*span)] for key, span in found.spans.items()}[b"a"] == b"l0:e"
    assert not found.is_sorted
    assert scan(b"d1:ai1e1:bd1:ai1e1:bi1eee").is_sorted


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i",
        b"ie",
        b"i-e",
        b"i-0e",
        b"i00e",
        b"i01e",
        b"i+1e",
        b"i 1e",
        b"i1_0e",
        b"i1",
        b"i\xd9\xa3e",
        b"1:",
        b"2:a",
        b"01:a",
        b"00:",
        b"-1:a",
        b"1a",
        b"l",
        b"li1e",
        b"d",
        b"d1:a",
        b"d1:ae",
        b"di1ei2ee",
        b"dl1:aei2ee",
        b"dd1:ai1eei1ee",
        b"d1:ai1e1:ai2ee",
        b"e",
        b"x",
        b"i1ei2e",
        b"lee",
        b"99999999999:",
    ],
)
def test_malformed(data):
    with pytest.raises(FormatError):
        decode(data)


def test_integers_reach_64_bits_and_no_further():
    assert decode(b"i%de" % INT_MAX) == INT_MAX
    assert decode(b"i%de" % INT_MIN) == INT_MIN
    for beyond in (INT_MAX + 1, INT_MIN - 1):
        with pytest.raises(FormatError):
            decode(b"i%de" % beyond)
        with pytest.raises(FormatError):
            encode(beyond)


def test_a_million_digits_cost_nothing():
    began = time.perf_counter()
    for data in (b"i" + b"9" * 1_000_000 + b"e", b"9" * 1_000_000 + b":"):
        with pytest.raises(FormatError):
            decode(data)
    assert time.perf_counter() - began < 0.5


def test_length_prefixes_have_at_most_ten_digits():
    assert LENGTH_DIGITS_MAX == 10
    with pytest.raises(FormatError, match="longer than what is there"):
        decode(b"9" * LENGTH_DIGITS_MAX + b":")
    with pytest.raises(FormatError, match="malformed string length"):
        decode(b"9" * (LENGTH_DIGITS_MAX + 1) + b":")


def test_depth_limit():
    depth = TORRENT_LIMITS.depth
    assert decode(b"l" * depth + b"e" * depth)
    with pytest.raises(FormatError, match="deeper"):
        decode(b"l" * (depth + 1) + b"e" * (depth + 1))
    with pytest.raises(FormatError, match="deeper"):
        decode(b"d1:a" * 1_000_000)
    with pytest.raises(FormatError, match="deeper"):
        decode_prefix(b"l" * (MESSAGE_LIMITS.depth + 1))


def test_token_limit():
    few = BencodeLimits(tokens=4)
    assert decode(b"li1ei2ei3ee", limits=few) == [1, 2, 3]
    for data in (b"li1ei2ei3ei4ee", b"llllleeeee", b"d1:a1:b1:c1:de"):
        with pytest.raises(FormatError, match="more than 4"):
            decode(data, limits=few)


def test_size_limit():
    with pytest.raises(FormatError, match="allowed"):
        decode(b"%d:" % TORRENT_LIMITS.size + bytes(TORRENT_LIMITS.size))
    with pytest.raises(FormatError, match="allowed"):
        decode_prefix(b"1:a" + bytes(MESSAGE_LIMITS.size))


def test_only_what_has_a_bencoding_is_encoded():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (None, 1.5, True, {1: 2}, {b"a": None}, [object()], deep, {"a": 1, b"a": 2}, "\ud800"):
        with pytest.raises(FormatError):
            encode(value)
    assert encode({"b": "ü", "a": (1, bytearray(b"x"))}) == b"d1:ali1e1:xe1:b2:\xc3\xbce"
    for _ in range(99_999):  # taken apart by hand: a deep list is freed by recursion, too
        deep = deep[0]
