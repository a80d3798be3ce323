"""Where the torrent's bytes lie on a web server. Pure.

BEP 19: the URL names the file, or (when it ends with a slash, and always for several files) the folder above it.
BEP 17: a script that is told info-hash, piece and ranges within the piece.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.formats.metainfo import Metainfo


class SeedKind(Enum):
    FILES = auto()
    """BEP 19, `url-list`."""
    SCRIPT = auto()
    """BEP 17, `httpseeds`."""


class WebSeedUrl(NamedTuple):
    """One server, and who named it."""

    url: str
    kind: SeedKind = SeedKind.FILES
    allow_private: bool = False
    """The user configured this very address, so it may be on a private network. Never set for what a torrent lists."""

    @property
    def shown(self) -> str:
        """Without name, password and query: for people and logs."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class WebFile(NamedTuple):
    """A file with bytes, or padding."""

    path: str
    """Percent-encoded, below the URL. Empty for padding."""
    size: int
    offset: int
    """In the torrent."""

    @property
    def is_pad(self) -> bool:
        return not self.path

    @property
    def end(self) -> int:
        return self.offset + self.size


class Span(NamedTuple):
    """A stretch of the torrent within one file."""

    file: WebFile
    first: int
    """In the torrent."""
    last: int
    """In the torrent, inclusive."""

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class FileMap:
    """The files of one torrent in the order of their bytes, without gaps."""

    def __init__(self, files: Sequence[WebFile], info_hash: InfoHash, *, is_single: bool) -> None:
        self.files = tuple(file for file in files if file.size)
        self._info_hash = info_hash
        self._is_single = is_single

    @classmethod
    def of(cls, meta: Metainfo) -> FileMap:
        """With the names as the torrent spells them, which is how the server knows its files."""
        return cls(
            [
                WebFile("" if file.is_pad else _encoded(meta.spellings.get(number, file.path)), file.size, file.offset)
                for number, file in enumerate(meta.files)
            ],
            meta.swarm_hash,
            is_single=meta.is_single_file,
        )

    def url(self, seed: WebSeedUrl, file: WebFile) -> str:
        """BEP 19: where this file lies."""
        if self._is_single and not seed.url.endswith("/"):
            return seed.url
        return f"{seed.url}{'' if seed.url.endswith('/') else '/'}{file.path}"

    def script_url(self, seed: WebSeedUrl, piece: int, ranges: Sequence[tuple[int, int]]) -> str:
        """BEP 17: `ranges` are (first, last) within the piece."""
        wanted = ",".join(f"{first}-{last}" for first, last in ranges)
        joint = "&" if "?" in seed.url else "?"
        return f"{seed.url}{joint}info_hash={quote(self._info_hash, safe='')}&piece={piece}&ranges={wanted}"

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """The files that hold bytes first..last of the torrent, in order."""
        at = bisect_right(self.files, first, key=lambda file: file.offset) - 1
        while first <= last:
            file = self.files[at]
            end = min(last, file.end - 1)
            yield Span(file, first, end)
            first = end + 1
            at += 1


def _encoded(path: Sequence[bytes | str]) -> str:
    return "/".join(quote(element, safe="") for element in path)
