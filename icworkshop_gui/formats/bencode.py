"""Bencoding (BEP 3, "bencoding"): a tolerant scanner for strangers' bytes, a canonical encoder for ours.

The scanner keeps exact spans of the raw bytes, because an info-hash is the hash of what was sent, not of
what we would have written. It takes unsorted keys (some real torrents have them) and says so; everything
else that is not canonical is an error. It never recurses and stops at named limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import bencode2

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import MIB

Value = int | bytes | list["Value"] | dict[bytes, "Value"]
"""What bencoded bytes mean."""

Encodable = object
"""What can be encoded: int, bytes, str (as UTF-8), list, tuple and dict with bytes or str keys."""

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1
LENGTH_DIGITS_MAX = 10
"""Digits of a string's length prefix: 10 GB, far above any size limit."""
_INT_TEXT_MAX = 20
"""Characters of the longest int64, `-9223372036854775808`. Longer ones are never given to `int()`."""
_INT = re.compile(rb"0|-?[1-9][0-9]*")

_COLON, _DICT, _END, _INTEGER, _LIST = b":deil"
_ZERO, _NINE = b"09"


@dataclass(frozen=True, slots=True)
class BencodeLimits:
    """How much a stranger may make us build."""

    size: int = 10 * MIB
    """Bytes of the whole input."""
    depth: int = 100
    """Lists and dicts inside each other."""
    tokens: int = 2_500_000
    """Integers, strings, lists and dicts in all."""


TORRENT_LIMITS = BencodeLimits()
"""For .torrent files (engine.md F D-2)."""
MESSAGE_LIMITS = BencodeLimits(size=MIB, depth=32, tokens=20_000)
"""For messages of peers and trackers."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A bencoded value and where its parts lay."""

    value: Value
    end: int
    """Offset of the first byte behind the value."""
    spans: dict[bytes, tuple[int, int]]
    """For each key of the outermost dict: start and end of its value. Empty when the value is no dict."""
    is_sorted: bool
    """False when some dict has its keys out of order: legal to read, never canonical."""


def scan(data: bytes, *, limits: BencodeLimits = TORRENT_LIMITS) -> Scan:
    """The value at the start of `data`, with spans. FormatError says what is wrong and where."""
    size = len(data)
    if size > limits.size:
        raise FormatError(f"{size} bytes of bencoding where {limits.size} are allowed")
    spans: dict[bytes, tuple[int, int]] = {}
    is_sorted = True
    # The open containers from the outside in: (container, key that waits for its value, last key seen).
    stack: list[tuple[list[Value] | dict[bytes, Value], bytes | None, bytes | None]] = []
    container: list[Value] | dict[bytes, Value] | None = None
    key: bytes | None = None
    last_key: bytes | None = None
    position = value_start = tokens = 0
    while True:
        if position >= size:
            raise FormatError(f"bencoding breaks off after {size} bytes")
        kind = data[position]
        value: Value
        if _ZERO <= kind <= _NINE:
            start, position = _string_span(data, position)
            value = data[start:position]
        elif kind == _END:
            if container is None or key is not None:
                raise FormatError(f"an end that closes nothing, at byte {position}")
            position += 1
            value = container
            if stack:
                container, key, last_key = stack.pop()
            else:
                return Scan(value, position, spans, is_sorted)
        elif key is None and isinstance(container, dict):
            raise FormatError(f"a dict key that is no string, at byte {position}")
        elif kind == _INTEGER:
            value, position = _integer(data, position)
        elif kind in (_LIST, _DICT):
            if len(stack) + (container is not None) >= limits.depth:
                raise FormatError(f"bencoding nested deeper than {limits.depth}")
            if container is not None:
                stack.append((container, key, last_key))
            container = [] if kind == _LIST else {}
            key = last_key = None
            position += 1
            tokens += 1
            if tokens > limits.tokens:
                raise FormatError(f"bencoding of more than {limits.tokens} values")
            continue
        else:
            raise FormatError(f"not bencoding, at byte {position}")
        if kind != _END:
            tokens += 1
            if tokens > limits.tokens:
                raise FormatError(f"bencoding of more than {limits.tokens} values")
        if container is None:
            return Scan(value, position, spans, is_sorted)
        if isinstance(container, list):
            container.append(value)
        elif key is not None:
            container[key] = value
            if not stack:
                spans[key] = (value_start, position)
            last_key, key = key, None
        else:
            assert isinstance(value, bytes)  # only a string gets here
            if value in container:
                raise FormatError(f"a dict key twice, at byte {position}")
            if last_key is not None and value < last_key:
                is_sorted = False
            key = value
            if not stack:
                value_start = position


def _string_span(data: bytes, position: int) -> tuple[int, int]:
    """Start and end of the string whose length prefix begins at `position`."""
    colon = data.find(_COLON, position, position + LENGTH_DIGITS_MAX + 1)
    digits = data[position:colon]
    if colon < 0 or not digits.isdigit() or (digits[0] == _ZERO and len(digits) > 1):
        raise FormatError(f"a malformed string length, at byte {position}")
    end = colon + 1 + int(digits)
    if end > len(data):
        raise FormatError(f"a string longer than what is there, at byte {position}")
    return colon + 1, end


def _integer(data: bytes, position: int) -> tuple[int, int]:
    """The integer that begins with `i` at `position`, and the offset behind it."""
    end = data.find(_END, position + 1, position + 2 + _INT_TEXT_MAX)
    text = data[position + 1 : end]
    if end < 0 or _INT.fullmatch(text) is None:
        raise FormatError(f"a malformed integer, at byte {position}")
    value = int(text)
    if not INT_MIN <= value <= INT_MAX:
        raise FormatError(f"an integer beyond 64 bits, at byte {position}")
    return value, end + 1


def decode(data: bytes, *, limits: BencodeLimits = TORRENT_LIMITS) -> Value:
    """The one value that `data` is; FormatError for anything else, bytes behind it included."""
    found = scan(data, limits=limits)
    if found.end != len(data):
        raise FormatError(f"{len(data) - found.end} stray bytes behind the bencoding")
    return found.value


def decode_prefix(data: bytes, *, limits: BencodeLimits = MESSAGE_LIMITS) -> tuple[Value, int]:
    """The value at the start of `data` and the offset behind it: messages with a trailer (BEP 9, "data")."""
    found = scan(data, limits=limits)
    return found.value, found.end


def encode(value: Encodable) -> bytes:
    """Canonical bencoding. FormatError for what has none, or lies outside what `decode` reads back."""
    _check_encodable(value)
    try:
        return bencode2.bencode(value)
    except (TypeError, ValueError, OverflowError, UnicodeError, RecursionError, bencode2.BencodeEncodeError) as error:
        raise FormatError("a value that cannot be bencoded") from error


def _check_encodable(value: Encodable) -> None:
    # bencode2 descends by recursion in C and dies on the stack: the depth is checked before it may.
    todo: list[tuple[Encodable, int]] = [(value, 1)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, bytes | bytearray | memoryview | str):
            continue
        if isinstance(item, bool):
            raise FormatError("a truth value cannot be bencoded; use 0 or 1")
        if isinstance(item, int):
            if not INT_MIN <= item <= INT_MAX:
                raise FormatError("an integer beyond 64 bits cannot be bencoded")
        elif isinstance(item, list | tuple | dict):
            if depth > TORRENT_LIMITS.depth:
                raise FormatError(f"a value nested deeper than {TORRENT_LIMITS.depth}")
            parts = item.values() if isinstance(item, dict) else item
            todo.extend((part, depth + 1) for part in parts if not isinstance(part, bytes | str))
        else:
            raise FormatError(f"a {type(item).__name__} cannot be bencoded")
