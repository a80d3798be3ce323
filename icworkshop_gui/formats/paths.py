"""Strangers' file names turned into relative paths that are safe on every system (engine.md F D-3).

The same name becomes the same path on Windows, macOS and Linux, so that a folder can be moved between them.
What a symlink on the disk may do is not known here: whoever opens the path must refuse to follow one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from icworkshop_gui.core.errors import FormatError

ELEMENT_BYTES_MAX = 240
"""UTF-8 bytes of one path element; file systems take 255, the rest is room for suffixes of ours."""
EXTENSION_BYTES_MAX = 32
"""A longer "extension" is none, and is not kept when a name is cut."""
DEPTH_MAX = 100
"""Elements of one path."""
DUPLICATES_MAX = 500
"""Names of one torrent that may have to give way to another; more is an attack."""

# C0, DEL and C1 controls, separators, and everything invisible that makes a name read as another one.
_DROPPED = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f/\\\\\\u061c\\u200b-\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2060-\\u2064\\u2066-\\u2069\\ufeff\ufffe\uffff]"
)
# What Windows refuses in a name, and halves of surrogate pairs, which have no UTF-8.
_REPLACED = re.compile('[?<>"|*:\\ud800-\\udfff]')
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE | re.DOTALL
)
_ELEMENT = r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9]) *(?:[./]|$))[a-z0-9_. -]{0,99}[a-z0-9_-]"
_PLAIN = re.compile(rf"{_ELEMENT}(?:/{_ELEMENT}){{0,{DEPTH_MAX - 1}}}", re.IGNORECASE | re.ASCII)


def safe_path(components: Sequence[bytes | str]) -> tuple[str, ...]:
    """The path elements as they may be made below a folder. FormatError when nothing is left, or it is too deep.

    The result never holds an empty element, `.`, `..`, a separator, a drive, or a name reserved anywhere.
    """
    if len(components) > DEPTH_MAX:
        raise FormatError(f"a path of more than {DEPTH_MAX} folders")
    elements = tuple(element for component in components if (element := safe_element(component)))
    if not elements:
        raise FormatError("a file without a name")
    return elements


def is_safe_path(path: str) -> bool:
    """Is it, with `/` between its elements, what `safe_path` makes of it?"""
    # Nearly every path is plain, and packages have thousands of them.
    if _PLAIN.fullmatch(path):
        return True
    parts = path.split("/")
    try:
        return list(safe_path(parts)) == parts
    except FormatError:
        return False


def safe_element(component: bytes | str) -> str:
    """One path element made safe; empty when it says nothing (``, `.`, `..`)."""
    text = _decoded(component) if isinstance(component, bytes) else component
    text = _DROPPED.sub("", text)
    if text in ("", ".", ".."):
        return ""
    text = _REPLACED.sub("_", text).rstrip(". ") or "_"
    if _RESERVED.fullmatch(text):
        text = "_" + text
    return _shortened(text)


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\N{REPLACEMENT CHARACTER}", "_")


def _shortened(text: str, suffix: str = "") -> str:
    """`text` with `suffix` before its extension, cut to the limit at a character."""
    stem, dot, extension = text.rpartition(".")
    if not stem or len(extension.encode()) > EXTENSION_BYTES_MAX:
        stem, dot, extension = text, "", ""
    tail = f"{suffix}{dot}{extension}"
    room = ELEMENT_BYTES_MAX - len(tail.encode())
    raw = stem.encode()
    if len(raw) > room:
        stem = raw[:room].decode("utf-8", "ignore")
    # A cut may lay bare a dot or a blank at the end.
    return (stem + tail).rstrip(". ")


def collision_key(path: Iterable[str]) -> str:
    """Equal for two paths that some file system takes for the same one."""
    joined = "/".join(path)
    if joined.isascii():
        return joined.lower()
    folded = unicodedata.normalize("NFD", joined).casefold()
    return unicodedata.normalize("NFC", folded)


def unique_paths(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same paths, each one different: later ones get `.1`, `.2` before their extension.

    A file also gives way to a folder of its name. Linear in what goes in; FormatError beyond DUPLICATES_MAX.
    """
    folders: set[str] = set()
    for path in paths:
        key = collision_key(path[:-1])
        while key and key not in folders:
            folders.add(key)
            key = key.rpartition("/")[0]
    taken: set[str] = set()
    next_suffix: dict[str, int] = {}
    duplicates = 0
    # Every probe that fails has met a name of the list, so more failures than names are somebody's design.
    probes_left = len(paths) + DUPLICATES_MAX
    unique = []
    for original in paths:
        path = original
        first = key = collision_key(path)
        while key in taken or key in folders:
            if key == first:
                duplicates += 1
            probes_left -= 1
            if duplicates > DUPLICATES_MAX or probes_left < 0:
                raise FormatError(f"more than {DUPLICATES_MAX} files share their names with others")
            number = next_suffix.get(first, 1)
            next_suffix[first] = number + 1
            path = (*original[:-1], _shortened(original[-1], f".{number}"))
            key = collision_key(path)
        taken.add(key)
        unique.append(path)
    return unique
