"""Which addresses of trackers and web seeds from strangers may be kept at all.

Only the text is judged here; where a host name leads is checked by whoever connects (engine.md F D-5).
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

URL_BYTES_MAX = 2048
"""Characters of one address; servers refuse longer ones."""
TRACKERS_MAX = 200
"""Trackers of one torrent, all tiers together; the rest is left out."""
WEB_SEEDS_MAX = 100
"""Web seeds of one torrent; the rest is left out."""
QUERY_FIELDS_MAX = 50
"""Fields of the query of one tracker address."""

TRACKER_SCHEMES = frozenset({"http", "https", "udp", "ws", "wss"})
WEB_SEED_SCHEMES = frozenset({"http", "https"})
_OUR_QUERY_KEYS = frozenset(
    {"info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "event", "ip", "key", "numwant", "compact"}
)


def is_tracker_url(text: str) -> bool:
    """A tracker's address, in ASCII, whose query does not forge the keys that an announce adds (BEP 3)."""
    if not _is_url(text, TRACKER_SCHEMES):
        return False
    try:
        fields = parse_qsl(urlsplit(text).query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        return False
    return not any(key.lower() in _OUR_QUERY_KEYS for key, _ in fields)


def is_web_seed_url(text: str) -> bool:
    """An HTTP server's address, in ASCII (BEP 19)."""
    return _is_url(text, WEB_SEED_SCHEMES)


def _is_url(text: str, schemes: frozenset[str]) -> bool:
    # A host that is not ASCII may look like another one: such names are refused, not translated (D-6).
    if len(text) > URL_BYTES_MAX or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and port != 0


def tracker_tiers(tiers: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """The usable trackers, each once, in their tiers (BEP 12), up to TRACKERS_MAX."""
    seen: set[str] = set()
    kept = []
    for tier in tiers:
        urls = []
        for text in tier:
            url = text.strip()
            if url not in seen and len(seen) < TRACKERS_MAX and is_tracker_url(url):
                seen.add(url)
                urls.append(url)
        if urls:
            kept.append(tuple(urls))
    return tuple(kept)


def web_seeds(urls: Iterable[str]) -> tuple[str, ...]:
    """The usable web seeds, each once, up to WEB_SEEDS_MAX."""
    usable = dict.fromkeys(url for text in urls if is_web_seed_url(url := text.strip()))
    return tuple(usable)[:WEB_SEEDS_MAX]
