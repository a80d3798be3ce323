"""The list of files that ends a manifest of ours, read line by line: a YAML reader takes a tenth of a second for it.

Only what the manifest's writer writes is understood, and only where no YAML reader could see anything else in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from icworkshop_gui.core.catalog import FileEntry

_BEGIN = "package:\n"
"""A block mapping at column 0: whatever begins there later is a key of it, unless a quote or a bracket is open."""
_MARK = "\nfiles:\n"
_LINES_MAX = 100_000
_LINE = re.compile(
    r"  (?:([a-z][a-z0-9_/-]{0,399})"
    r'|"([ !#-\[\]-~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]{1,400})")'
    r': \{sha256: "([0-9a-f]{64})", size: ([0-9]{1,15})\}\n'
)
_UNCLEAR = re.compile("^(?:---|\\.\\.\\.|%)|[\\r\\x85\\u2028\\u2029]", re.MULTILINE)
"""Marks of documents, and line ends of YAML that are none of ours."""


class FileLines(NamedTuple):
    """A manifest in two parts."""

    head: bytes
    """YAML of its own, if the whole is YAML: whoever finds it malformed, or `files` in it, must read the whole."""
    files: tuple[FileEntry, ...]
    """Sorted by path, each path once."""


def split_files(data: bytes) -> FileLines | None:
    """None when it is not as the writer writes it."""
    try:
        head, mark, rest = data.decode().partition(_MARK)
    except UnicodeDecodeError:
        return None
    if not mark or not head.startswith(_BEGIN) or _UNCLEAR.search(head):
        return None
    found: dict[str, FileEntry] = {}
    count = at = 0
    while at < len(rest):
        line = _LINE.match(rest, at)
        count += 1
        if line is None or count > _LINES_MAX:
            return None
        plain, quoted, sha256, size = line.groups()
        if plain == "null":
            return None
        path = plain or quoted
        found[path] = FileEntry(path=path, size=int(size), sha256=sha256)
        at = line.end()
    if len(found) != count:
        return None
    return FileLines((head + "\n").encode(), tuple(found[path] for path in sorted(found)))
