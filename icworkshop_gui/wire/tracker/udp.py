"""Announce and scrape over UDP (BEP 15, BEP 41), as a client asks and as a tracker answers.

A tracker gets None for what is malformed: datagrams from nowhere deserve no answer. A client gets RemoteProtocolError.
The Structs are public because a busy tracker reads and writes fields in place.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.wire.tracker.compact import unpack_v4, unpack_v6
from icworkshop_gui.wire.tracker.messages import (
    MAX_INTERVAL,
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    ScrapeEntry,
    TrackerRefused,
)

PROTOCOL_ID = 0x41727101980
"""Where a connect request has its connection id (BEP 15, "connect request")."""
ACTION_CONNECT = 0
ACTION_ANNOUNCE = 1
ACTION_SCRAPE = 2
ACTION_ERROR = 3

MAX_DATAGRAM = 2048
"""Bytes of a request; the largest legal scrape has 1,496, an announce with options some hundred."""
MAX_PEERS = 1000
"""Peers taken from one response."""
MAX_SCRAPE = 74
"""Info-hashes in one scrape (BEP 15, "scrape request")."""
MAX_TEXT = 500
"""Bytes kept of a tracker's own words."""
MAX_URL_DATA = 2048
"""Bytes of path and query that a request may carry (BEP 41)."""

CONNECT = struct.Struct(">QII")
"""Protocol id, action, transaction id: 16 bytes."""
CONNECT_REPLY = struct.Struct(">II8s")
ANNOUNCE = struct.Struct(">8sII20s20sQQQIIIiH")
"""Connection id, action, transaction id, info-hash, peer id, downloaded, left, uploaded, event, ip, key, num_want,
port: 98 bytes."""
ANNOUNCE_REPLY = struct.Struct(">IIIII")
"""Action, transaction id, interval, leechers, seeders: 20 bytes, then peers."""
HEAD = struct.Struct(">8sII")
REPLY_HEAD = struct.Struct(">II")
SCRAPE_COUNTS = struct.Struct(">III")
"""Seeders, completed, leechers."""

_OPTION_END, _OPTION_NOP, _OPTION_URL = 0, 1, 2
_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF


# ---- as a client


@dataclass(frozen=True, slots=True)
class ConnectReply:
    transaction_id: int
    connection_id: bytes
    """8 bytes, good for a minute."""


@dataclass(frozen=True, slots=True)
class AnnounceReply:
    transaction_id: int
    response: AnnounceResponse


@dataclass(frozen=True, slots=True)
class ScrapeReply:
    transaction_id: int
    entries: tuple[ScrapeEntry, ...]
    """In the order of the request."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    transaction_id: int
    refused: TrackerRefused


Reply = ConnectReply | AnnounceReply | ScrapeReply | ErrorReply


def connect_request(transaction_id: int) -> bytes:
    return CONNECT.pack(PROTOCOL_ID, ACTION_CONNECT, transaction_id)


def announce_request(
    connection_id: bytes, transaction_id: int, request: AnnounceRequest, *, url_data: bytes = b""
) -> bytes:
    """98 bytes, and the URL's path and query as BEP 41 options when there are any."""
    packet = ANNOUNCE.pack(
        connection_id,
        ACTION_ANNOUNCE,
        transaction_id,
        request.info_hash,
        request.peer_id,
        min(request.downloaded, _U64),
        min(request.left, _U64),
        min(request.uploaded, _U64),
        request.event,
        0,
        request.key & _U32,
        request.num_want,
        request.port,
    )
    for at in range(0, min(len(url_data), MAX_URL_DATA), 255):
        part = url_data[at : min(at + 255, MAX_URL_DATA)]
        packet += bytes((_OPTION_URL, len(part))) + part
    return packet


def scrape_request(connection_id: bytes, transaction_id: int, info_hashes: Sequence[InfoHash]) -> bytes:
    return HEAD.pack(connection_id, ACTION_SCRAPE, transaction_id) + b"".join(info_hashes[:MAX_SCRAPE])


def parse_reply(data: bytes, *, ipv6: bool) -> Reply:
    """A tracker's datagram. Peers are 18 bytes each when it came over IPv6, else 6 (BEP 15, "IPv6")."""
    if len(data) < REPLY_HEAD.size:
        raise RemoteProtocolError("the tracker's datagram is too short")
    action, transaction_id = REPLY_HEAD.unpack_from(data)
    if action == ACTION_CONNECT:
        if len(data) < CONNECT_REPLY.size:
            raise RemoteProtocolError("the tracker's connect reply is too short")
        return ConnectReply(transaction_id, data[8:16])
    if action == ACTION_ANNOUNCE:
        if len(data) < ANNOUNCE_REPLY.size:
            raise RemoteProtocolError("the tracker's announce reply is too short")
        _, _, interval, leechers, seeders = ANNOUNCE_REPLY.unpack_from(data)
        rest = memoryview(data)[ANNOUNCE_REPLY.size :]
        peers: list[Endpoint] = unpack_v6(rest, MAX_PEERS) if ipv6 else unpack_v4(rest, MAX_PEERS)
        return AnnounceReply(
            transaction_id,
            AnnounceResponse(
                interval=min(interval, MAX_INTERVAL), seeders=seeders, leechers=leechers, peers=tuple(peers)
            ),
        )
    if action == ACTION_SCRAPE:
        counts = data[8 : 8 + (len(data) - 8) // 12 * 12][: 12 * MAX_SCRAPE]
        return ScrapeReply(transaction_id, tuple(ScrapeEntry(*item) for item in SCRAPE_COUNTS.iter_unpack(counts)))
    if action == ACTION_ERROR:
        return ErrorReply(transaction_id, TrackerRefused(data[8 : 8 + MAX_TEXT].decode("utf-8", "replace")))
    raise RemoteProtocolError(f"the tracker answered with unknown action {action}")


# ---- as a tracker


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    transaction_id: int


@dataclass(frozen=True, slots=True)
class Announce:
    connection_id: bytes
    transaction_id: int
    request: AnnounceRequest
    url_data: bytes
    """Path and query of the tracker URL (BEP 41), or empty."""


@dataclass(frozen=True, slots=True)
class Scrape:
    connection_id: bytes
    transaction_id: int
    info_hashes: tuple[InfoHash, ...]


Request = ConnectRequest | Announce | Scrape


def parse_request(data: bytes) -> Request | None:
    """A peer's datagram, or None when it is none."""
    if not CONNECT.size <= len(data) <= MAX_DATAGRAM:
        return None
    connection_id, action, transaction_id = HEAD.unpack_from(data)
    if action == ACTION_CONNECT:
        return ConnectRequest(transaction_id) if int.from_bytes(connection_id, "big") == PROTOCOL_ID else None
    if action == ACTION_ANNOUNCE and len(data) >= ANNOUNCE.size:
        fields = ANNOUNCE.unpack_from(data)
        _, _, _, info_hash, peer_id, downloaded, left, uploaded, event, _, key, num_want, port = fields
        request = AnnounceRequest(
            info_hash=InfoHash(info_hash),
            peer_id=PeerId(peer_id),
            port=port,
            uploaded=uploaded,
            downloaded=downloaded,
            left=left,
            event=AnnounceEvent(event) if event <= AnnounceEvent.STOPPED else AnnounceEvent.NONE,
            num_want=max(num_want, -1),
            key=key,
        )
        return Announce(connection_id, transaction_id, request, parse_url_data(data))
    if action == ACTION_SCRAPE and (len(data) - HEAD.size) % InfoHash.SIZE == 0:
        hashes = [InfoHash(data[at : at + 20]) for at in range(HEAD.size, len(data), 20)]
        return Scrape(connection_id, transaction_id, tuple(hashes)) if 0 < len(hashes) <= MAX_SCRAPE else None
    return None


def parse_url_data(data: bytes) -> bytes:
    """Path and query behind an announce (BEP 41). Unknown options are skipped, a broken one ends the list."""
    found = b""
    at = ANNOUNCE.size
    while at < len(data) and data[at] != _OPTION_END:
        if data[at] == _OPTION_NOP:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        if data[at] == _OPTION_URL:
            found += data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found[:MAX_URL_DATA]


def connect_reply(transaction_id: int, connection_id: bytes) -> bytes:
    return CONNECT_REPLY.pack(ACTION_CONNECT, transaction_id, connection_id)


def announce_reply(transaction_id: int, interval: int, leechers: int, seeders: int, peers: bytes) -> bytes:
    """`peers` packed, of the family that the request came over."""
    return ANNOUNCE_REPLY.pack(ACTION_ANNOUNCE, transaction_id, interval, leechers, seeders) + peers


def scrape_reply(transaction_id: int, entries: Sequence[ScrapeEntry]) -> bytes:
    return REPLY_HEAD.pack(ACTION_SCRAPE, transaction_id) + b"".join(
        SCRAPE_COUNTS.pack(min(e.seeders, _U32), min(e.completed, _U32), min(e.leechers, _U32)) for e in entries
    )


def error_reply(transaction_id: int, text: str) -> bytes:
    return REPLY_HEAD.pack(ACTION_ERROR, transaction_id) + text.encode()
