"""Magnet links: BEP 9 "magnet URI format", BEP 53 file selection, BEP 52 hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import InfoHash, InfoHashV2, swarm_hashes
from icworkshop_gui.formats import urls
from icworkshop_gui.formats.bencode import encode
from icworkshop_gui.formats.paths import safe_element

MAGNET_MAX = 64 * 1024
"""Characters of one link."""
FIELDS_MAX = 500
"""Fields of one link."""
PEERS_MAX = 100
"""Peers that one link may name; the rest is left out."""
SELECTED_RANGES_MAX = 1000
"""Ranges of files in one link (BEP 53)."""
FILE_INDEX_MAX = 2**21
"""Highest file number that a selection may name."""

_NUMBERED = re.compile(r"(xt|tr|ws)\.\d{1,4}", re.ASCII)
_BTMH_SHA256 = "1220"
"""Multihash prefix: SHA-256, 32 bytes."""
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnet:
    """What a link says. At least one of the hashes is there."""

    info_hash: InfoHash | None = None
    info_hash_v2: InfoHashV2 | None = None
    name: str = ""
    """A suggestion from a stranger, safe as a file name; empty when there is none."""
    trackers: tuple[str, ...] = ()
    web_seeds: tuple[str, ...] = ()
    peers: tuple[Endpoint, ...] = ()
    """Those written with a numeric address."""
    selected: tuple[range, ...] = ()
    """Numbers of the wanted files; empty for all."""

    @classmethod
    def parse(cls, text: str) -> Magnet:
        """From `magnet:?xt=…`. FormatError says what is wrong; what is only useless in it is left out."""
        text = text.strip()
        if len(text) > MAGNET_MAX:
            raise FormatError(f"a magnet link of more than {MAGNET_MAX} characters")
        try:
            parts = urlsplit(text)
            fields = parse_qsl(parts.query, max_num_fields=FIELDS_MAX)
        except ValueError as error:
            raise FormatError(f"not a magnet link, or one of more than {FIELDS_MAX} fields") from error
        if parts.scheme.lower() != "magnet":
            raise FormatError("a magnet link begins with magnet:")
        found: dict[str, list[str]] = {}
        for raw_key, value in fields:
            key = raw_key.lower()
            numbered = _NUMBERED.fullmatch(key)
            found.setdefault(numbered[1] if numbered else key, []).append(value)
        info_hash, info_hash_v2 = _topics(found.get("xt", []))
        return cls(
            info_hash=info_hash,
            info_hash_v2=info_hash_v2,
            name=safe_element(found.get("dn", [""])[0]),
            trackers=tuple(url for tier in urls.tracker_tiers([found.get("tr", [])]) for url in tier),
            web_seeds=urls.web_seeds(found.get("ws", [])),
            peers=_peers(found.get("x.pe", [])),
            selected=_selection(found.get("so", [])),
        )

    @property
    def swarm_hash(self) -> InfoHash:
        """What handshake, trackers and DHT carry: the v1 hash, or the first 20 bytes of the v2 one."""
        return self.swarm_hashes[0]

    @property
    def swarm_hashes(self) -> tuple[InfoHash, ...]:
        """All under which peers may know it: a hybrid torrent has two."""
        return swarm_hashes(self.info_hash, self.info_hash_v2)

    def names(self, info: bytes) -> bool:
        """Is this the info dict, with every hash that the link has?"""
        if self.info_hash is not None and hashlib.sha1(info).digest() != self.info_hash:
            return False
        return self.info_hash_v2 is None or hashlib.sha256(info).digest() == self.info_hash_v2

    def to_uri(self) -> str:
        """The link as text."""
        fields = []
        if self.info_hash is not None:
            fields.append(f"xt=urn:btih:{self.info_hash}")
        if self.info_hash_v2 is not None:
            fields.append(f"xt=urn:btmh:{_BTMH_SHA256}{self.info_hash_v2}")
        if self.name:
            fields.append(f"dn={quote(self.name, safe='')}")
        fields += [f"tr={quote(url, safe='')}" for url in self.trackers]
        fields += [f"ws={quote(url, safe='')}" for url in self.web_seeds]
        fields += [f"x.pe={quote(str(peer), safe=':[]')}" for peer in self.peers]
        if self.selected:
            spans = (str(r.start) if len(r) == 1 else f"{r.start}-{r.stop - 1}" for r in self.selected)
            fields.append("so=" + ",".join(spans))
        return "magnet:?" + "&".join(fields)

    def torrent(self, info: bytes) -> bytes:
        """A `.torrent` of the info dict that peers sent: with it nobody must be asked again. Not checked here."""
        tail: dict[bytes, object] = {}
        if self.web_seeds:
            tail[b"url-list"] = list(self.web_seeds)
        head: dict[bytes, object] = {}
        if self.trackers:
            head[b"announce"] = self.trackers[0]
            head[b"announce-list"] = [[url] for url in self.trackers]
        # The info dict stays as it came, byte for byte: its hash is the name of the torrent.
        return encode(head)[:-1] + b"4:info" + info + encode(tail)[1:]


def _topics(topics: list[str]) -> tuple[InfoHash | None, InfoHashV2 | None]:
    v1: InfoHash | None = None
    v2: InfoHashV2 | None = None
    for topic in topics:
        kind, _, text = topic.lower().rpartition(":")
        if kind == "urn:btih":
            found = _btih(text)
            if v1 is not None and v1 != found:
                raise FormatError("a magnet link for two torrents")
            v1 = found
        elif kind == "urn:btmh":
            if not text.startswith(_BTMH_SHA256) or len(text) != 68 or not _HEX.fullmatch(text):
                raise FormatError("a btmh hash in a magnet link that is no SHA-256")
            found_v2 = InfoHashV2.from_hex(text[4:])
            if v2 is not None and v2 != found_v2:
                raise FormatError("a magnet link for two torrents")
            v2 = found_v2
    if v1 is None and v2 is None:
        raise FormatError("a magnet link without an info-hash")
    return v1, v2


def _btih(text: str) -> InfoHash:
    if len(text) == 40 and _HEX.fullmatch(text):
        return InfoHash.from_hex(text)
    if len(text) == 32:
        try:
            return InfoHash(base64.b32decode(text.upper()))
        except (binascii.Error, ValueError):
            pass
    raise FormatError("a btih hash in a magnet link that is neither 40 hex digits nor 32 of base 32")


def _peers(texts: list[str]) -> tuple[Endpoint, ...]:
    peers: dict[Endpoint, None] = {}
    for text in texts:
        try:
            peers[Endpoint.parse(text)] = None
        except ValueError:
            continue  # a host name: looked up by nobody (BEP 9 allows it, D-5 does not)
    return tuple(peers)[:PEERS_MAX]


def _selection(texts: list[str]) -> tuple[range, ...]:
    spans = [span for text in texts for span in text.split(",") if span]
    if len(spans) > SELECTED_RANGES_MAX:
        raise FormatError(f"a magnet link that selects more than {SELECTED_RANGES_MAX} ranges")
    selected = []
    for span in spans:
        first, dash, last = span.partition("-")
        last = last if dash else first
        if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit() and len(first + last) <= 16):
            raise FormatError("a file selection in a magnet link that is no list of numbers")
        if not int(first) <= int(last) <= FILE_INDEX_MAX:
            raise FormatError("a file selection in a magnet link that is out of range")
        selected.append(range(int(first), int(last) + 1))
    return tuple(selected)
