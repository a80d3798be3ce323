"""What a player drops, pastes or opens, as far as it means a download: torrent files, magnet links. Without Qt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

LINKS_MAX = 20
"""Of one drop or paste; the rest is left out."""
TEXT_MAX = 64 * 1024
"""Characters of a paste that are looked at."""
ENDING = ".torrent"
MAGNET = "magnet:?"


Link = Path | str
"""A torrent file of this computer, or a magnet link."""


def links(texts: Iterable[str]) -> tuple[Link, ...]:
    """Those among paths, `file:` addresses, magnet links and pasted lines that mean a download; each once."""
    found: dict[Link, None] = {}
    for text in texts:
        for line in text[:TEXT_MAX].splitlines():
            words = line.strip().strip('"')
            link: Link | None = words if words.lower().startswith(MAGNET) else _path(words)
            if link is not None and len(found) < LINKS_MAX:
                found[link] = None
    return tuple(found)


def _path(text: str) -> Path | None:
    if not text.lower().endswith(ENDING) or "\0" in text:
        return None
    if text.lower().startswith("file:"):
        parts = urlsplit(text)
        # Another computer's file would be fetched over the network, with the player's name and password on Windows.
        return Path(url2pathname(unquote(parts.path))) if parts.netloc in ("", "localhost") else None
    path = Path(text)
    return path if path.is_absolute() and not text.startswith(("\\\\", "//")) else None
