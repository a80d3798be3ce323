"""The files of an info dict as it writes them: v1 lists (BEP 3, BEP 47) and v2 trees (BEP 52)."""

from __future__ import annotations

from typing import NamedTuple

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.bencode import Value
from icworkshop_gui.formats.merkle import HASH_SIZE
from icworkshop_gui.formats.paths import DEPTH_MAX

FILES_MAX = 200_000
"""Files of one torrent, padding included."""

PATH_ELEMENTS_MAX = 2_000_000
"""Elements of all paths of one torrent together: a tree can name many deep paths in few bytes."""

Dict = dict[bytes, Value]


class RawFile(NamedTuple):
    """One file, its name still a stranger's bytes."""

    path: tuple[bytes, ...]
    """Empty for the one file of a v1 single-file torrent, whose name is the torrent's."""
    size: int
    is_pad: bool = False
    root: bytes = b""
    """v2: root of its hash tree; empty for an empty file and in v1."""


def read_file_list(info: Dict) -> tuple[bool, list[RawFile]]:
    """Is it a single file, and the v1 files in the order of their bytes, symlinks left out. FormatError."""
    if b"length" in info:
        if b"files" in info:
            raise FormatError("a torrent that is a single file and a folder at once")
        return True, [RawFile((), _size(info))]
    entries = info.get(b"files")
    if not isinstance(entries, list) or not entries:
        raise FormatError("a torrent without files")
    if len(entries) > FILES_MAX:
        raise FormatError(f"a torrent of more than {FILES_MAX} files")
    files = []
    elements = 0
    for entry in entries:
        if not isinstance(entry, dict):
            raise FormatError("a file entry that is no dict")
        if _has_attr(entry, b"l"):
            # BEP 47: a symlink has no bytes here. None is ever made from a torrent (D-3).
            continue
        path = entry.get(b"path.utf-8", entry.get(b"path"))
        is_pad = _has_attr(entry, b"p")
        if not isinstance(path, list) or not all(isinstance(part, bytes) for part in path) or not (path or is_pad):
            raise FormatError("a file without a path")
        if len(path) > DEPTH_MAX:
            raise FormatError(f"a path of more than {DEPTH_MAX} folders")
        elements = _counted(elements, len(path))
        parts = tuple(part for part in path if isinstance(part, bytes))
        files.append(RawFile(parts, _size(entry), is_pad))
    return False, files


def read_file_tree(tree: Value) -> list[RawFile]:
    """The v2 files in the tree's order, symlinks left out. FormatError."""
    files: list[RawFile] = []
    todo: list[tuple[tuple[bytes, ...], Value]] = [((), tree)]
    seen = elements = 0
    while todo:
        path, node = todo.pop()
        if not isinstance(node, dict) or not node:
            raise FormatError("a file tree with a branch that is empty or no dict")
        if b"" in node:
            if not path or len(node) != 1:
                raise FormatError("a file tree with a file that is also a folder")
            _append_leaf(files, path, node[b""])
            continue
        if len(path) >= DEPTH_MAX:
            raise FormatError(f"a path of more than {DEPTH_MAX} folders")
        seen += len(node)
        if seen > FILES_MAX:
            raise FormatError(f"a torrent of more than {FILES_MAX} files")
        elements = _counted(elements, len(node) * (len(path) + 1))
        todo.extend(((*path, name), child) for name, child in reversed(node.items()))
    return files


def _counted(elements: int, more: int) -> int:
    if elements + more > PATH_ELEMENTS_MAX:
        raise FormatError(f"paths of more than {PATH_ELEMENTS_MAX} elements")
    return elements + more


def _append_leaf(files: list[RawFile], path: tuple[bytes, ...], leaf: Value) -> None:
    if not isinstance(leaf, dict):
        raise FormatError("a file tree with a file that is no dict")
    if _has_attr(leaf, b"l"):
        return
    size = _size(leaf)
    root = leaf.get(b"pieces root", b"")
    if not isinstance(root, bytes) or len(root) != (HASH_SIZE if size else 0):
        raise FormatError("a v2 file without a proper pieces root")
    files.append(RawFile(path, size, root=root))


def _size(entry: Dict) -> int:
    size = entry.get(b"length")
    if not isinstance(size, int) or size < 0:
        raise FormatError("a file without a proper length")
    return size


def _has_attr(entry: Dict, letter: bytes) -> bool:
    attr = entry.get(b"attr")
    return isinstance(attr, bytes) and letter in attr
