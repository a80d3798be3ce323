"""What a player drops, pastes or opens, as far as it means a download: torrent files. Without Qt."""

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


def torrent_files(texts: Iterable[str]) -> tuple[Path, ...]:
    """Those among paths, `file:` addresses and pasted lines that name a torrent file of this computer; each once."""
    found: dict[Path, None] = {}
    for text in texts:
        for line in text[:TEXT_MAX].splitlines():
            path = _path(line.strip().strip('"'))
            if path is not None and len(found) < LINKS_MAX:
                found[path] = None
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
