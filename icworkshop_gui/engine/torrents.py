"""Torrent files and magnet links, read for people: what is in one, before anything is added."""

from __future__ import annotations

from pathlib import Path

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.api.commands import TorrentFacts
from icworkshop_gui.formats.bencode import TORRENT_LIMITS
from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.formats.metainfo import Metainfo

FILES_TOLD = 5_000
"""Files that are listed for the player; the rest is counted."""


def torrent_bytes(path: Path) -> bytes:
    """Blocks. A .torrent file within its size limit. UserError with a sentence otherwise."""
    try:
        with path.open("rb") as file:
            data = file.read(TORRENT_LIMITS.size + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > TORRENT_LIMITS.size:
        raise UserError(f"{path} is larger than any torrent file may be ({TORRENT_LIMITS.size // 1000**2} MB).")
    return data


def torrent_facts(path: Path) -> tuple[TorrentFacts, InfoHash]:
    """Blocks. The facts, and the hash under which its swarm is known. UserError, FormatError."""
    data = torrent_bytes(path)
    meta = Metainfo.parse(data)
    files = [file for file in meta.files if not file.is_pad]
    hashed = meta.info_hash or meta.info_hash_v2
    facts = TorrentFacts(
        metainfo=data,
        name=meta.name,
        size=sum(file.size for file in files),
        files=tuple(("/".join(file.path), file.size) for file in files[:FILES_TOLD]),
        file_count=len(files),
        info_hash="" if hashed is None else hashed.hex(),
        private=meta.private,
        trackers=sum(len(tier) for tier in meta.trackers),
        web_seeds=len(meta.web_seeds) + len(meta.http_seeds),
    )
    return facts, meta.swarm_hash


def magnet_facts(link: str) -> tuple[TorrentFacts, InfoHash | None]:
    """The facts, and the hash under which its swarm is known, where it can be moved. FormatError."""
    magnet = Magnet.parse(link)
    hashed = magnet.info_hash or magnet.info_hash_v2
    facts = TorrentFacts(
        link=link.strip(),
        name=magnet.name,
        info_hash="" if hashed is None else hashed.hex(),
        trackers=len(magnet.trackers),
        web_seeds=len(magnet.web_seeds),
        peers=len(magnet.peers),
    )
    return facts, magnet.info_hash
