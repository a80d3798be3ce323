"""What a torrent is: `.torrent` files and info dicts of BEP 3, BEP 47 (padding) and BEP 52, v1, v2 and hybrid.

Every number, name and hash comes from a stranger and is checked here, once; what leaves is safe to use.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, InfoHashV2, swarm_hashes
from icworkshop_gui.core.units import BLOCK_SIZE, MIB
from icworkshop_gui.formats import merkle, urls
from icworkshop_gui.formats.bencode import TORRENT_LIMITS, Value, scan
from icworkshop_gui.formats.filetree import RawFile, read_file_list, read_file_tree
from icworkshop_gui.formats.paths import safe_element, safe_path, unique_paths

PIECES_MAX = 2**21
"""Pieces of one torrent (engine.md F D-2)."""
PIECE_LENGTH_MIN = BLOCK_SIZE
PIECE_LENGTH_MAX = 128 * MIB
TOTAL_MAX = 2**63 - 1
"""Bytes of one torrent."""
TEXT_MAX = 4096
"""Characters of a comment that are kept."""

SHA1_SIZE = 20
Dict = dict[bytes, Value]


class TorrentFile(NamedTuple):
    """One file of a torrent."""

    path: tuple[str, ...]
    """Safe, relative to the download folder, and different for every file of the torrent.

    Begins with the torrent's name when it is a folder; one element when it is a single file.
    Means nothing for padding.
    """
    size: int
    offset: int
    """Of its first byte in the torrent's byte range, padding included."""
    is_pad: bool = False
    """Zero bytes that align the next file (BEP 47): never written to disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metainfo:
    """One torrent, checked. Everything that is text in it comes from a stranger."""

    info: bytes
    """The raw info dict, as hashed."""
    info_hash: InfoHash | None
    """None for a v2-only torrent."""
    info_hash_v2: InfoHashV2 | None
    """None for a v1-only torrent."""
    name: str
    """Safe as a file name."""
    is_single_file: bool
    geometry: Geometry
    """Over the whole byte range, padding included. In a v2-only torrent the padding between files is
    implied by BEP 52 and never crosses the wire."""
    files: tuple[TorrentFile, ...]
    """In the order of their bytes, padding included."""
    spellings: Mapping[int, tuple[bytes, ...]]
    """Number in `files` -> its path as the torrent spells it, where ours had to differ: so a web server knows the
    file (BEP 19). Never for a path on the disk."""
    pieces: bytes
    """v1: the SHA-1 of every piece, one after the other; empty for a v2-only torrent."""
    piece_roots: bytes
    """v2: the 32-byte tree hash of every piece; empty for a v1-only torrent, or while the layers are not known."""
    trackers: tuple[tuple[str, ...], ...] = ()
    """Tiers of usable addresses (BEP 12)."""
    web_seeds: tuple[str, ...] = ()
    """`url-list` (BEP 19)."""
    http_seeds: tuple[str, ...] = ()
    """`httpseeds` (BEP 17)."""
    private: bool = False
    comment: str = ""
    created_by: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Metainfo:
        """From a whole `.torrent` file. FormatError says what is wrong with it."""
        return _parsed(data)

    @classmethod
    def from_info(
        cls, info: bytes, *, trackers: tuple[tuple[str, ...], ...] = (), web_seeds: tuple[str, ...] = ()
    ) -> Metainfo:
        """From an info dict that peers sent (BEP 9); the caller has compared its hash. Knows no v2 layers."""
        found = scan(info, limits=TORRENT_LIMITS)
        if found.end != len(info):
            raise FormatError("stray bytes behind the info dict")
        return _build(
            info,
            found.value,
            layers=None,
            is_sorted=found.is_sorted,
            trackers=trackers,
            web_seeds=web_seeds,
            http_seeds=(),
            comment="",
            created_by="",
        )

    @property
    def piece_length(self) -> int:
        return self.geometry.piece_length

    @property
    def piece_count(self) -> int:
        return self.geometry.piece_count

    @property
    def total_size(self) -> int:
        """Bytes of the files, without padding."""
        return sum(file.size for file in self.files if not file.is_pad)

    @property
    def swarm_hash(self) -> InfoHash:
        """What handshake, trackers and DHT carry: the v1 hash, or the first 20 bytes of the v2 one."""
        return self.swarm_hashes[0]

    @property
    def swarm_hashes(self) -> tuple[InfoHash, ...]:
        """All under which peers may know it, `swarm_hash` first: a hybrid torrent has two."""
        return swarm_hashes(self.info_hash, self.info_hash_v2)

    def piece_hash(self, index: int) -> bytes:
        """The SHA-1 that piece `index` must have; IndexError outside, and for a v2-only torrent."""
        if not 0 <= index < len(self.pieces) // SHA1_SIZE:
            raise IndexError(f"no v1 hash for piece {index}")
        return self.pieces[index * SHA1_SIZE : (index + 1) * SHA1_SIZE]

    def piece_root(self, index: int) -> bytes:
        """The v2 tree hash that piece `index` must have; IndexError outside, and where none is known."""
        if not 0 <= index < len(self.piece_roots) // merkle.HASH_SIZE:
            raise IndexError(f"no v2 hash for piece {index}")
        return self.piece_roots[index * merkle.HASH_SIZE : (index + 1) * merkle.HASH_SIZE]

    def piece_matches(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        """Do these bytes (of the whole piece, padding included) have every hash that the torrent states?

        A hybrid piece must pass both: two payloads can share a SHA-1 (engine.md F, incident 11).
        """
        view = memoryview(data)
        if len(view) != self.geometry.piece_size(index):
            return False
        if self.pieces and hashlib.sha1(view).digest() != self.piece_hash(index):
            return False
        if self.piece_roots:
            file = self._file_at(self.geometry.piece_offset(index))
            inside = min(len(view), file.offset + file.size - self.geometry.piece_offset(index))
            if any(view[inside:]):
                return False
            found = merkle.piece_hash(view[:inside], self.piece_length, whole_file=file.size <= self.piece_length)
            if found != self.piece_root(index):
                return False
        return bool(self.pieces or self.piece_roots)

    def _file_at(self, offset: int) -> TorrentFile:
        """The file with bytes that covers `offset`."""
        position = bisect_right(self.files, offset, key=lambda file: file.offset) - 1
        # Empty files share their offset with the one that follows; the last of equals is found, so step back to bytes.
        while not self.files[position].size:
            position -= 1
        return self.files[position]


@lru_cache(maxsize=1)
def _parsed(data: bytes) -> Metainfo:
    """Remembered, since the same torrent is wanted several times on its way from a command to its content, and one of
    many files costs milliseconds each time.
    """
    found = scan(data, limits=TORRENT_LIMITS)
    root = found.value
    if not isinstance(root, dict) or b"info" not in root:
        raise FormatError("not a torrent: no info dict")
    if found.end != len(data):
        raise FormatError(f"{len(data) - found.end} stray bytes behind the torrent")
    start, end = found.spans[b"info"]
    layers = root.get(b"piece layers")
    if layers is not None and not isinstance(layers, dict):
        raise FormatError("piece layers that are no dict")
    return _build(
        data[start:end],
        root[b"info"],
        # Left out like in a magnet link's metadata: then no piece's tree hash is known.
        layers=layers,
        is_sorted=found.is_sorted,
        trackers=urls.tracker_tiers(_tiers(root)),
        web_seeds=urls.web_seeds(_texts(root.get(b"url-list"))),
        http_seeds=urls.web_seeds(_texts(root.get(b"httpseeds"))),
        comment=_text(root, b"comment"),
        created_by=_text(root, b"created by"),
    )


def _build(
    info: bytes,
    root: Value,
    *,
    layers: Dict | None,
    is_sorted: bool,
    trackers: tuple[tuple[str, ...], ...],
    web_seeds: tuple[str, ...],
    http_seeds: tuple[str, ...],
    comment: str,
    created_by: str,
) -> Metainfo:
    if not isinstance(root, dict):
        raise FormatError("an info dict that is no dict")
    version = root.get(b"meta version", 1)
    if version not in (1, 2):
        raise FormatError("a torrent of a version that is not known here")
    has_v2 = version == 2 and b"file tree" in root
    has_v1 = b"pieces" in root
    if version == 2 and not has_v2:
        raise FormatError("a v2 torrent without a file tree")
    if not has_v1 and not has_v2:
        raise FormatError("a torrent without piece hashes")
    if has_v2 and not is_sorted:
        raise FormatError("a v2 torrent whose keys are out of order")
    info_hash = InfoHash(hashlib.sha1(info).digest()) if has_v1 else None
    info_hash_v2 = InfoHashV2(hashlib.sha256(info).digest()) if has_v2 else None
    raw_name = root.get(b"name.utf-8", root.get(b"name"))
    if not isinstance(raw_name, bytes):
        raise FormatError("a torrent without a name")
    name = safe_element(raw_name) or str(info_hash or info_hash_v2)
    piece_length = _piece_length(root, is_v2=has_v2)
    is_single, raw_files = _raw_files(root, raw_name, piece_length, has_v1=has_v1, has_v2=has_v2)
    geometry = _geometry(raw_files, piece_length)
    pieces = _v1_pieces(root, geometry) if has_v1 else b""
    files = _named(raw_files, name, is_single=is_single)
    return Metainfo(
        info=info,
        info_hash=info_hash,
        info_hash_v2=info_hash_v2,
        name=name,
        is_single_file=is_single,
        geometry=geometry,
        files=files,
        spellings=_spellings(raw_files, files, raw_name, is_single=is_single),
        pieces=pieces,
        piece_roots=_v2_roots(raw_files, layers, piece_length) if has_v2 else b"",
        trackers=trackers,
        web_seeds=web_seeds,
        http_seeds=http_seeds,
        private=root.get(b"private") == 1,
        comment=comment,
        created_by=created_by,
    )


def _piece_length(root: Dict, *, is_v2: bool) -> int:
    piece_length = root.get(b"piece length")
    if not isinstance(piece_length, int):
        raise FormatError("a torrent without a piece length")
    if not PIECE_LENGTH_MIN <= piece_length <= PIECE_LENGTH_MAX:
        raise FormatError(f"a piece length that is not between {PIECE_LENGTH_MIN} and {PIECE_LENGTH_MAX} bytes")
    if is_v2 and piece_length & (piece_length - 1):
        raise FormatError("a v2 torrent whose piece length is no power of two")
    return piece_length


def _raw_files(
    root: Dict, raw_name: bytes, piece_length: int, *, has_v1: bool, has_v2: bool
) -> tuple[bool, list[RawFile]]:
    """Is it a single file, and the files with v2 roots where there are, padding written out."""
    listed: list[RawFile] = []
    is_single = False
    if has_v1:
        is_single, listed = read_file_list(root)
    if not has_v2:
        return is_single, listed
    tree = read_file_tree(root[b"file tree"])
    if not has_v1:
        # One file at the top is a single file, whatever the torrent is called: so libtorrent reads BEP 52 as well.
        is_single = len(tree) == 1 and len(tree[0].path) == 1
        return is_single, _aligned(tree, piece_length)
    return is_single, _reconciled(listed, tree, piece_length, raw_name)


def _aligned(tree: Sequence[RawFile], piece_length: int) -> list[RawFile]:
    """The files with the padding that a v2-only torrent implies: each begins with a piece (BEP 52)."""
    laid: list[RawFile] = []
    gap = 0
    for file in tree:
        if gap and file.size:
            laid.append(RawFile((b".pad", b"%d" % gap), gap, is_pad=True))
            gap = 0
        laid.append(file)
        if file.size:
            gap = -file.size % piece_length
    return laid


def _reconciled(listed: list[RawFile], tree: list[RawFile], piece_length: int, raw_name: bytes) -> list[RawFile]:
    """The v1 list with the v2 roots. FormatError when a hybrid's two halves describe different files."""
    real = [file for file in listed if not file.is_pad]
    if len(real) != len(tree) or any(
        (ours.path or (raw_name,), ours.size) != (theirs.path, theirs.size)
        for ours, theirs in zip(real, tree, strict=True)
    ):
        raise FormatError("a hybrid torrent whose v1 and v2 files differ")
    merged = []
    offset = 0
    roots = iter(tree)
    for file in listed:
        if not file.is_pad:
            if file.size and offset % piece_length:
                raise FormatError("a hybrid torrent whose files do not begin with a piece")
            file = file._replace(root=next(roots).root)
        elif file.size != -offset % piece_length:
            raise FormatError("a hybrid torrent with padding that aligns nothing")
        merged.append(file)
        offset += file.size
    return merged


def _geometry(files: Sequence[RawFile], piece_length: int) -> Geometry:
    total = sum(file.size for file in files)
    if not any(file.size for file in files if not file.is_pad):
        raise FormatError("a torrent without a single byte")
    if total > TOTAL_MAX:
        raise FormatError("a torrent of more than 2^63 bytes")
    geometry = Geometry(total, piece_length)
    if geometry.piece_count > PIECES_MAX:
        raise FormatError(f"a torrent of more than {PIECES_MAX} pieces")
    return geometry


def _v1_pieces(root: Dict, geometry: Geometry) -> bytes:
    pieces = root[b"pieces"]
    if not isinstance(pieces, bytes) or len(pieces) != SHA1_SIZE * geometry.piece_count:
        raise FormatError(f"not one SHA-1 for each of the {geometry.piece_count} pieces")
    return pieces


def _v2_roots(files: Sequence[RawFile], layers: Dict | None, piece_length: int) -> bytes:
    """The tree hash of every piece in order. `layers` is None where they did not come along: then none is known."""
    roots = []
    for file in files:
        if file.is_pad or not file.size:
            continue
        if file.size <= piece_length:
            roots.append(file.root)
            continue
        if layers is None:
            return b""
        layer = layers.get(file.root)
        expected = merkle.HASH_SIZE * -(-file.size // piece_length)
        if not isinstance(layer, bytes) or len(layer) != expected:
            raise FormatError("a v2 torrent that lacks the piece layer of a file, or has one of a wrong length")
        if merkle.file_root(layer, piece_length) != file.root:
            raise FormatError("a v2 torrent with a piece layer that does not hash to its file's root")
        roots.append(layer)
    return b"".join(roots)


def _named(files: Sequence[RawFile], name: str, *, is_single: bool) -> tuple[TorrentFile, ...]:
    real = [file for file in files if not file.is_pad]
    names: Iterator[tuple[str, ...]]
    if is_single:
        names = iter([safe_path(real[0].path) if real[0].path else (name,)])
    else:
        names = iter([(name, *path) for path in unique_paths([safe_path(file.path) for file in real])])
    offset = 0
    named = []
    for file in files:
        path = (".pad", str(file.size)) if file.is_pad else next(names)
        named.append(TorrentFile(path, file.size, offset, file.is_pad))
        offset += file.size
    return tuple(named)


def _spellings(
    raw_files: Sequence[RawFile], files: Sequence[TorrentFile], raw_name: bytes, *, is_single: bool
) -> dict[int, tuple[bytes, ...]]:
    spellings: dict[int, tuple[bytes, ...]] = {}
    for number, (raw, file) in enumerate(zip(raw_files, files, strict=True)):
        spelled = (raw.path or (raw_name,)) if is_single else (raw_name, *raw.path)
        if file.is_pad or spelled == tuple(element.encode() for element in file.path):
            continue
        # Dots and emptiness lead elsewhere than to a file of this torrent.
        if not any(element in (b"", b".", b"..") for element in spelled):
            spellings[number] = spelled
    return spellings


def _tiers(root: Dict) -> list[list[str]]:
    listed = root.get(b"announce-list")
    if isinstance(listed, list) and listed:
        tiers = [_texts(tier) for tier in listed]
        if any(tiers):
            return tiers
    return [_texts(root.get(b"announce"))]


def _texts(value: Value | None) -> list[str]:
    """A string or a list of strings; whatever else it is says nothing."""
    if isinstance(value, bytes):
        value = [value]
    if not isinstance(value, list):
        return []
    return [item.decode("utf-8", "replace") for item in value if isinstance(item, bytes)]


def _text(root: Dict, key: bytes) -> str:
    value = root.get(key + b".utf-8", root.get(key))
    if not isinstance(value, bytes):
        return ""
    text = value[: 4 * TEXT_MAX].decode("utf-8", "replace")[:TEXT_MAX]
    return "".join(char for char in text if char.isprintable() or char == "\n")
