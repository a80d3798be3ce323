"""New torrents: names and sizes first, then the bytes in order, then the `.torrent` (BEP 3, BEP 47, BEP 52).

Hashing is fed from outside, so that whoever reads the files can show progress and stop at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.formats import merkle
from icworkshop_gui.formats.bencode import encode
from icworkshop_gui.formats.metainfo import PIECE_LENGTH_MAX, PIECE_LENGTH_MIN, PIECES_MAX

READ_SIZE = MIB
"""Bytes asked of a file at once: long enough that hashing leaves the interpreter's lock alone."""

_SIZE_STEPS = ((50_000_000, 256 * KIB), (500_000_000, MIB))
_LARGEST_STEP = 4 * MIB


class TorrentVersion(StrEnum):
    V1 = "v1"
    V2 = "v2"
    HYBRID = "hybrid"


class SourceFile(NamedTuple):
    """A file to put into a torrent."""

    path: tuple[str, ...]
    """Below the torrent's name; empty for the only file of a single-file torrent."""
    size: int
    open: Callable[[], BinaryIO]


def piece_length_for(total_size: int) -> int:
    """256 KiB to 50 MB, 1 MiB to 500 MB, 4 MiB above (DESIGN §3), more where there would be too many pieces."""
    for limit, piece_length in _SIZE_STEPS:
        if total_size <= limit:
            return piece_length
    piece_length = _LARGEST_STEP
    while piece_length * PIECES_MAX < total_size and piece_length < PIECE_LENGTH_MAX:
        piece_length *= 2
    return piece_length


class TorrentHasher:
    """Turns names, sizes and bytes into an info dict.

    `update()` takes the bytes of the files one after the other in the order of `files`, cut anywhere; padding is
    added here. Then `finish()`. Files go in the order of their UTF-8 path elements, as BEP 52 wants for trees.
    """

    def __init__(
        self,
        name: str,
        files: Iterable[tuple[tuple[str, ...], int]],
        *,
        version: TorrentVersion = TorrentVersion.HYBRID,
        piece_length: int | None = None,
        private: bool = False,
    ) -> None:
        """`files`: path below the name and size; the path of a single-file torrent's file is empty."""
        self._name = _element(name)
        self._files = sorted((tuple(_element(part) for part in path), size) for path, size in files)
        self._is_single = len(self._files) == 1 and not self._files[0][0]
        _check_files(self._files)
        self.total_size = sum(size for _, size in self._files)
        if not self.total_size:
            raise FormatError("a torrent needs at least one byte")
        self.piece_length = piece_length_for(self.total_size) if piece_length is None else piece_length
        power_of_two = not self.piece_length & (self.piece_length - 1)
        if not PIECE_LENGTH_MIN <= self.piece_length <= PIECE_LENGTH_MAX or not power_of_two:
            raise FormatError("a piece length must be a power of two from 16 KiB to 128 MiB")
        if self.total_size > self.piece_length * PIECES_MAX:
            raise FormatError(f"more than {PIECES_MAX} pieces; take longer ones")
        self._private = private
        self._has_v1 = version is not TorrentVersion.V2
        self._has_v2 = version is not TorrentVersion.V1
        self._pads = version is TorrentVersion.HYBRID and len(self._files) > 1
        self._v1 = _PieceHasher(self.piece_length)
        self._v2 = _FileHasher(self.piece_length)
        self._roots: list[bytes] = []
        self._layers: dict[bytes, bytes] = {}
        self._current = -1
        self._left = 0
        self.hashed = 0
        """Bytes taken so far."""
        self._next_file()

    @property
    def files(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        """Path and size of each file in the order in which `update()` wants their bytes."""
        return tuple((tuple(part.decode() for part in path), size) for path, size in self._files)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """More bytes. FormatError when there are more than the files have."""
        view = memoryview(data)
        if self.hashed + len(view) > self.total_size:
            raise FormatError("more bytes than the files had: one of them grew meanwhile")
        self.hashed += len(view)
        while len(view):
            part = view[: self._left]
            view = view[len(part) :]
            if self._has_v1:
                self._v1.update(part)
            if self._has_v2:
                self._v2.update(part)
            self._left -= len(part)
            if not self._left:
                self._next_file()

    def _next_file(self) -> None:
        """Close the current file; open the next one that has bytes."""
        while True:
            if self._current >= 0:
                size = self._files[self._current][1]
                if self._has_v2:
                    root, layer = self._v2.finish()
                    self._roots.append(root)
                    if size > self.piece_length:
                        self._layers[root] = layer
                if self._pads:
                    self._v1.update(bytes(-size % self.piece_length))
            self._current += 1
            if self._current == len(self._files):
                return
            self._left = self._files[self._current][1]
            if self._left:
                return

    def finish(self) -> tuple[bytes, dict[bytes, bytes]]:
        """The bencoded info dict, and the v2 piece layers by root. FormatError when bytes are missing."""
        if self.hashed != self.total_size:
            raise FormatError("fewer bytes than the files had: one of them shrank meanwhile")
        info: dict[bytes, object] = {b"name": self._name, b"piece length": self.piece_length}
        if self._private:
            info[b"private"] = 1
        if self._has_v1:
            info[b"pieces"] = self._v1.finish()
            if self._is_single:
                info[b"length"] = self.total_size
            else:
                info[b"files"] = self._file_list()
        if self._has_v2:
            info[b"meta version"] = 2
            info[b"file tree"] = self._file_tree()
        return encode(info), dict(sorted(self._layers.items()))

    def _file_list(self) -> list[dict[bytes, object]]:
        entries: list[dict[bytes, object]] = []
        for path, size in self._files:
            entries.append({b"length": size, b"path": list(path)})
            gap = -size % self.piece_length
            if self._pads and gap:
                entries.append({b"attr": b"p", b"length": gap, b"path": [b".pad", b"%d" % gap]})
        return entries

    def _file_tree(self) -> dict[bytes, object]:
        tree: dict[bytes, object] = {}
        for (path, size), root in zip(self._files, self._roots, strict=True):
            leaf: dict[bytes, object] = {b"length": size}
            if size:
                leaf[b"pieces root"] = root
            folder = tree
            *folders, last = path or (self._name,)
            for part in folders:
                inner = folder.setdefault(part, {})
                assert isinstance(inner, dict)  # _check_files let no file be a folder
                folder = inner
            folder[last] = {b"": leaf}
        return tree


class _PieceHasher:
    """SHA-1 of every `piece_length` bytes of a stream (BEP 3, "pieces")."""

    def __init__(self, piece_length: int) -> None:
        self._piece_length = piece_length
        self._hash = hashlib.sha1()
        self._filled = 0
        self._pieces = bytearray()

    def update(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            part = view[: self._piece_length - self._filled]
            view = view[len(part) :]
            self._hash.update(part)
            self._filled += len(part)
            if self._filled == self._piece_length:
                self._close()

    def _close(self) -> None:
        self._pieces += self._hash.digest()
        self._hash = hashlib.sha1()
        self._filled = 0

    def finish(self) -> bytes:
        if self._filled:
            self._close()
        return bytes(self._pieces)


class _FileHasher:
    """The hash tree of one file after the other (BEP 52, "pieces root")."""

    def __init__(self, piece_length: int) -> None:
        self._piece_leaves = piece_length // merkle.LEAF_SIZE
        self._piece_length = piece_length
        self._reset()

    def _reset(self) -> None:
        self._leaf = hashlib.sha256()
        self._filled = 0
        self._leaves: list[bytes] = []
        self._layer: list[bytes] = []

    def update(self, data: memoryview) -> None:
        while len(data):
            part = data[: merkle.LEAF_SIZE - self._filled]
            data = data[len(part) :]
            self._leaf.update(part)
            self._filled += len(part)
            if self._filled == merkle.LEAF_SIZE:
                self._close_leaf()

    def _close_leaf(self) -> None:
        self._leaves.append(self._leaf.digest())
        self._leaf = hashlib.sha256()
        self._filled = 0
        # The piece is closed when the next one begins: a file of one full piece has no layer, only a root.
        if len(self._leaves) > self._piece_leaves:
            self._layer.append(merkle.tree_root(self._leaves[: self._piece_leaves]))
            del self._leaves[: self._piece_leaves]

    def finish(self) -> tuple[bytes, bytes]:
        """Root and piece layer of the file that ends here; both empty for an empty file."""
        if self._filled:
            self._close_leaf()
        root = layer = b""
        if self._layer:
            self._layer.append(merkle.tree_root(self._leaves, width=self._piece_leaves))
            layer = b"".join(self._layer)
            root = merkle.file_root(layer, self._piece_length)
        elif self._leaves:
            root = merkle.tree_root(self._leaves)
        self._reset()
        return root, layer


def torrent_file(
    info: bytes,
    *,
    piece_layers: dict[bytes, bytes] | None = None,
    trackers: Sequence[Sequence[str]] = (),
    web_seeds: Sequence[str] = (),
    comment: str = "",
    created_by: str = "",
    creation_date: int | None = None,
) -> bytes:
    """A whole `.torrent` around a bencoded info dict. `trackers` are tiers; the date is seconds since the epoch."""
    tiers = [list(tier) for tier in trackers if tier]
    fields: list[tuple[bytes, bytes]] = [(b"info", info)]
    if tiers:
        fields.append((b"announce", encode(tiers[0][0])))
    if sum(map(len, tiers)) > 1:
        fields.append((b"announce-list", encode(tiers)))
    if web_seeds:
        fields.append((b"url-list", encode(list(web_seeds))))
    if comment:
        fields.append((b"comment", encode(comment)))
    if created_by:
        fields.append((b"created by", encode(created_by)))
    if creation_date is not None:
        fields.append((b"creation date", encode(creation_date)))
    if piece_layers is not None:
        fields.append((b"piece layers", encode(piece_layers)))
    # Put together by hand because `info` must stay the very bytes that were hashed.
    return b"d" + b"".join(encode(key) + value for key, value in sorted(fields)) + b"e"


def create_torrent(
    name: str,
    source: Iterable[SourceFile],
    *,
    version: TorrentVersion = TorrentVersion.HYBRID,
    piece_length: int | None = None,
    private: bool = False,
    trackers: Sequence[Sequence[str]] = (),
    web_seeds: Sequence[str] = (),
    comment: str = "",
    created_by: str = "",
    creation_date: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Read every file once and return the `.torrent`. `progress(done, total)` in bytes; it may raise to stop.

    FormatError when a file is not as long as it was said to be; what opening and reading raise goes through.
    """
    files = list(source)
    hasher = TorrentHasher(
        name,
        [(file.path, file.size) for file in files],
        version=version,
        piece_length=piece_length,
        private=private,
    )
    openers = {file.path: file for file in files}
    for path, size in hasher.files:
        left = size
        with openers[path].open() as stream:
            while left:
                chunk = stream.read(min(left, READ_SIZE))
                if not chunk:
                    raise FormatError(f"{'/'.join(path) or name} shrank while it was read")
                hasher.update(chunk)
                left -= len(chunk)
                if progress is not None:
                    progress(hasher.hashed, hasher.total_size)
            if stream.read(1):
                raise FormatError(f"{'/'.join(path) or name} grew while it was read")
    info, layers = hasher.finish()
    return torrent_file(
        info,
        piece_layers=None if version is TorrentVersion.V1 else layers,
        trackers=trackers,
        web_seeds=web_seeds,
        comment=comment,
        created_by=created_by,
        creation_date=creation_date,
    )


def _element(text: str) -> bytes:
    """One path element as a torrent carries it. FormatError when it cannot."""
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"a file name that is not Unicode: {text!r}") from error
    if not text or text in (".", "..") or "/" in text or "\0" in text:
        raise FormatError(f"no name for a file in a torrent: {text!r}")
    return raw


def _check_files(files: Sequence[tuple[tuple[bytes, ...], int]]) -> None:
    paths = {path for path, _ in files}
    if len(paths) != len(files):
        raise FormatError("the same path twice in one torrent")
    if () in paths and len(files) > 1:
        raise FormatError("a single file and a folder in one torrent")
    if any(size < 0 for _, size in files):
        raise FormatError("a file size below zero")
    if any(path[:depth] in paths for path in paths for depth in range(1, len(path))):
        raise FormatError("a path that is a file and a folder at once")
