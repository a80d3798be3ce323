"""Announce and scrape over HTTP (BEP 3, 7, 21, 23, 24, 31, 48), as a client asks and as a tracker answers.

Only the query and the body: whatever else HTTP is belongs to who opens the socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote_from_bytes, unquote_to_bytes

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError, RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.formats.bencode import decode_prefix, encode
from icworkshop_gui.wire.tracker.compact import pack_v4, pack_v6, unpack_v4, unpack_v6
from icworkshop_gui.wire.tracker.messages import (
    DEFAULT_INTERVAL,
    MAX_INTERVAL,
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    ScrapeEntry,
    TrackerRefused,
)
from icworkshop_gui.wire.tracker.url import TrackerUrl

MAX_RESPONSE = MIB
"""Bytes of a body; 200 peers in the long form are some 20 KB (engine.md F D-5)."""
MAX_PEERS = 1000
"""Peers taken from one response; nobody connects to more from one announce."""
MAX_QUERY = 8192
"""Bytes of a request's query: a scrape of 74 info-hashes with every byte escaped is 5,600."""
MAX_QUERY_FIELDS = 128
MAX_SCRAPE = 74
"""Info-hashes in one scrape: what fits into a UDP one (BEP 15), so that both say the same."""
MAX_TEXT = 500
"""Characters kept of a tracker's own words."""
MAX_TRACKER_ID = 256
"""Bytes we are willing to repeat with each announce."""

_EVENT_NAME = {
    AnnounceEvent.COMPLETED: "completed",
    AnnounceEvent.STARTED: "started",
    AnnounceEvent.STOPPED: "stopped",
}
# `paused` (BEP 21) is a partial seed's; to the table it is a peer like others.
_EVENT = {name.encode(): event for event, name in _EVENT_NAME.items()}
_INT64 = 2**63
_KEEP = "-._~"


# ---- as a client


def announce_url(url: TrackerUrl, request: AnnounceRequest) -> str:
    """The URL to GET."""
    fields = [
        f"info_hash={quote_from_bytes(request.info_hash, _KEEP)}",
        f"peer_id={quote_from_bytes(request.peer_id, _KEEP)}",
        f"port={request.port}",
        f"uploaded={request.uploaded}",
        f"downloaded={request.downloaded}",
        f"left={request.left}",
        f"compact={int(request.compact)}",
        "no_peer_id=1",
        f"key={request.key:08x}",
    ]
    if request.num_want >= 0:
        fields.append(f"numwant={request.num_want}")
    if request.event is not AnnounceEvent.NONE:
        fields.append(f"event={_EVENT_NAME[request.event]}")
    if request.tracker_id:
        fields.append(f"trackerid={quote_from_bytes(request.tracker_id, _KEEP)}")
    return _with_query(url.text, fields)


def scrape_url(url: TrackerUrl, info_hashes: Iterable[InfoHash]) -> str | None:
    """The URL to GET, or None where BEP 48's rule gives none: the last path part must begin with `announce`."""
    base, _, query = url.text.partition("#")[0].partition("?")
    head, _, last = base.rpartition("/")
    if not last.startswith("announce"):
        return None
    scrape = f"{head}/scrape{last.removeprefix('announce')}" + (f"?{query}" if query else "")
    return _with_query(scrape, [f"info_hash={quote_from_bytes(item, _KEEP)}" for item in info_hashes])


def decode_announce(body: bytes) -> AnnounceResponse:
    """A tracker's answer. TrackerRefused when it says no, RemoteProtocolError when it makes no sense."""
    top = _decode_dict(body)
    _raise_failure(top)
    interval = _count(top, b"interval", DEFAULT_INTERVAL)
    return AnnounceResponse(
        interval=min(interval, MAX_INTERVAL),
        min_interval=min(_count(top, b"min interval", 0), MAX_INTERVAL),
        seeders=_count(top, b"complete", 0),
        leechers=_count(top, b"incomplete", 0),
        peers=tuple(_peers(top)),
        tracker_id=_bytes(top, b"tracker id")[:MAX_TRACKER_ID],
        external_ip=_external_ip(_bytes(top, b"external ip")),
        untrusted_warning=_text(top, b"warning message"),
    )


def decode_scrape(body: bytes) -> dict[InfoHash, ScrapeEntry]:
    """A tracker's counts; errors as in `decode_announce`."""
    top = _decode_dict(body)
    _raise_failure(top)
    files = top.get(b"files")
    if not isinstance(files, dict):
        raise RemoteProtocolError("the tracker's scrape has no files")
    entries = {}
    for raw, counts in files.items():
        if len(raw) == InfoHash.SIZE and isinstance(counts, dict):
            entries[InfoHash(raw)] = ScrapeEntry(
                _count(counts, b"complete", 0), _count(counts, b"downloaded", 0), _count(counts, b"incomplete", 0)
            )
    return entries


def _with_query(text: str, fields: list[str]) -> str:
    text = text.partition("#")[0]
    return text + ("&" if "?" in text else "?") + "&".join(fields)


def _decode_dict(body: bytes) -> Mapping[bytes, object]:
    if len(body) > MAX_RESPONSE:
        raise RemoteProtocolError(f"the tracker's answer is longer than {MAX_RESPONSE} bytes")
    try:
        top, _ = decode_prefix(body)  # some trackers end with a line feed
    except FormatError as error:
        raise RemoteProtocolError(
            "the tracker's answer is not bencoded", untrusted_text=body[:MAX_TEXT].decode("utf-8", "replace")
        ) from error
    if not isinstance(top, dict):
        raise RemoteProtocolError("the tracker's answer is no dictionary")
    return top


def _raise_failure(top: Mapping[bytes, object]) -> None:
    if b"failure reason" not in top:
        return
    retry = top.get(b"retry in")  # BEP 31: minutes, or the word "never"
    minutes = retry if isinstance(retry, int) else None
    if isinstance(retry, bytes) and retry.isdigit() and len(retry) < 10:
        minutes = int(retry)
    retry_in = None if minutes is None else float(min(max(minutes, 0) * 60, MAX_INTERVAL))
    raise TrackerRefused(_text(top, b"failure reason"), retry_in=retry_in, never=retry == b"never")


def _count(values: Mapping[bytes, object], key: bytes, default: int) -> int:
    value = values.get(key)
    return value if isinstance(value, int) and 0 <= value < _INT64 else default


def _bytes(values: Mapping[bytes, object], key: bytes) -> bytes:
    value = values.get(key)
    return value if isinstance(value, bytes) else b""


def _text(values: Mapping[bytes, object], key: bytes) -> str:
    return _bytes(values, key)[: MAX_TEXT * 4].decode("utf-8", "replace")[:MAX_TEXT]


def _peers(top: Mapping[bytes, object]) -> list[Endpoint]:
    listed = top.get(b"peers")
    peers: list[Endpoint] = []
    if isinstance(listed, bytes):
        peers = unpack_v4(listed, MAX_PEERS)
    elif isinstance(listed, list):
        for item in listed[:MAX_PEERS]:
            if isinstance(item, dict):
                peer = _listed_peer(item)
                if peer is not None:
                    peers.append(peer)
    return (peers + unpack_v6(_bytes(top, b"peers6"), MAX_PEERS))[:MAX_PEERS]


def _listed_peer(item: Mapping[bytes, object]) -> Endpoint | None:
    # Names are allowed here by BEP 3; looking up names from a stranger is not worth the trouble it can make.
    try:
        return Endpoint.of(_bytes(item, b"ip")[:64].decode("ascii"), _count(item, b"port", 0))
    except ValueError:
        return None


def _external_ip(raw: bytes) -> str:
    if len(raw) == 4:
        return unpack_v4(raw + b"\0\1", 1)[0].host
    if len(raw) == 16:
        return unpack_v6(raw + b"\0\1", 1)[0].host
    return ""


# ---- as a tracker


def query_fields(query: bytes) -> list[tuple[bytes, bytes]]:
    """The raw `key=value` pairs of a query, in order, values still escaped. RemoteProtocolError past a limit."""
    if len(query) > MAX_QUERY or query.count(b"&") >= MAX_QUERY_FIELDS:
        raise RemoteProtocolError("query too long")
    return [(key, value) for key, _, value in (field.partition(b"=") for field in query.split(b"&"))]


def parse_announce(query: bytes) -> AnnounceRequest:
    """An announce as it stands behind the `?`. RemoteProtocolError names what is missing or wrong."""
    fields = dict(query_fields(query))
    try:
        info_hash = InfoHash(unquote_to_bytes(fields[b"info_hash"]))
        peer_id = PeerId(unquote_to_bytes(fields[b"peer_id"]))
        port = _number(fields[b"port"], 65535)
    except (KeyError, ValueError) as error:
        raise RemoteProtocolError("info_hash, peer_id or port missing or invalid") from error
    try:
        key = int(fields.get(b"key", b"0")[:8], 16)
    except ValueError:
        key = 0  # an opaque string to BEP 7; only we read it as a number
    try:
        return AnnounceRequest(
            info_hash=info_hash,
            peer_id=peer_id,
            port=port,
            uploaded=_number(fields.get(b"uploaded", b"0"), _INT64 - 1),
            downloaded=_number(fields.get(b"downloaded", b"0"), _INT64 - 1),
            # Absent (metadata still unknown) is not 0, which would make a seed of it.
            left=_number(fields.get(b"left", b"1"), _INT64 - 1),
            event=_EVENT.get(fields.get(b"event", b""), AnnounceEvent.NONE),
            num_want=_number(fields[b"numwant"], 2**31) if b"numwant" in fields else -1,
            key=key,
            tracker_id=unquote_to_bytes(fields.get(b"trackerid", b""))[:MAX_TRACKER_ID],
            compact=fields.get(b"compact", b"1") != b"0",
            ip=unquote_to_bytes(fields.get(b"ip", b""))[:64].decode("ascii", "replace"),
        )
    except ValueError as error:
        raise RemoteProtocolError("a number is invalid") from error


def parse_scrape(query: bytes) -> tuple[InfoHash, ...]:
    """The info-hashes that a scrape asks for, at most MAX_SCRAPE; RemoteProtocolError when one is malformed."""
    try:
        hashes = [InfoHash(unquote_to_bytes(value)) for key, value in query_fields(query) if key == b"info_hash"]
    except ValueError as error:
        raise RemoteProtocolError("info_hash invalid") from error
    return tuple(hashes[:MAX_SCRAPE])


def encode_announce(response: AnnounceResponse, *, compact: bool = True) -> bytes:
    """The body for `response`; `compact` as the request asked (BEP 23)."""
    if compact:
        body = encode_compact(
            interval=response.interval,
            min_interval=response.min_interval,
            seeders=response.seeders,
            leechers=response.leechers,
            peers=pack_v4(response.peers),
            peers6=pack_v6(response.peers),
        )
        if not response.untrusted_warning and not response.tracker_id:
            return body
    # The long form comes without peer ids: hardly a client still reads them, and they are no secret to keep here.
    top: dict[bytes, object] = {
        b"interval": response.interval,
        b"min interval": response.min_interval,
        b"complete": response.seeders,
        b"incomplete": response.leechers,
        b"peers": pack_v4(response.peers)
        if compact
        else [{b"ip": peer.host.encode(), b"port": peer.port} for peer in response.peers],
    }
    if compact and (peers6 := pack_v6(response.peers)):
        top[b"peers6"] = peers6
    if response.untrusted_warning:
        top[b"warning message"] = response.untrusted_warning.encode()
    if response.tracker_id:
        top[b"tracker id"] = response.tracker_id
    return encode(top)


def encode_compact(
    *, interval: int, min_interval: int, seeders: int, leechers: int, peers: bytes, peers6: bytes = b""
) -> bytes:
    """The same for peers that are packed already: what a busy tracker sends, without building a dictionary."""
    body = b"d8:completei%de10:incompletei%de8:intervali%de12:min intervali%de5:peers%d:%b" % (
        seeders,
        leechers,
        interval,
        min_interval,
        len(peers),
        peers,
    )
    return body + (b"6:peers6%d:%be" % (len(peers6), peers6) if peers6 else b"e")


def encode_failure(reason: str) -> bytes:
    return encode({b"failure reason": reason.encode()})


def encode_scrape(entries: Mapping[InfoHash, ScrapeEntry]) -> bytes:
    return encode(
        {
            b"files": {
                bytes(info_hash): {
                    b"complete": entry.seeders,
                    b"downloaded": entry.completed,
                    b"incomplete": entry.leechers,
                }
                for info_hash, entry in entries.items()
            }
        }
    )


def _number(text: bytes, most: int) -> int:
    """A number a client sent; clients exist that send -1 for "unknown", which counts as the most."""
    if text == b"-1":
        return most
    if not text.isdigit() or len(text) > 20:
        raise ValueError("no number")
    return min(int(text), most)
