"""The tracker's HTTP face (BEP 3, 7, 23, 48): `/announce` and `/scrape`, as plain functions and as an ASGI app.

The server composes it in one of two ways. `TrackerFront` (front.py) owns the port and answers these two paths itself,
which is many times faster than any ASGI server; `TrackerApp` serves them inside one, behind a TLS proxy or on Windows'
proactor loop. Both put the rest of the server behind themselves.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.server.tracker.tracker import Tracker
from icworkshop_gui.wire.tracker import http
from icworkshop_gui.wire.tracker.compact import unpack_v4, unpack_v6
from icworkshop_gui.wire.tracker.messages import AnnounceEvent, AnnounceResponse

ANNOUNCE_PATH = "/announce"
SCRAPE_PATH = "/scrape"
CONTENT_TYPE = "text/plain"
"""What trackers have always said; clients do not look."""

_FORWARDED_FOR = b"x-forwarded-for"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpAnswers:
    """Query in, body out. `trusted`: networks of our own reverse proxies.

    Only through those is an asker where `X-Forwarded-For` or `ip=` says; for all others the address of the
    connection counts (engine.md F D-12).
    """

    def __init__(self, tracker: Tracker, trusted: Iterable[str] = ()) -> None:
        self._tracker = tracker
        self._trusted = [ipaddress.ip_network(item) for item in trusted]

    def announce(self, query: bytes, host: str, forwarded_for: Callable[[], bytes]) -> bytes:
        """The body for an announce from `host`; a failure reason for what cannot be read."""
        tracker = self._tracker
        try:
            request = http.parse_announce(query)
            packed = _packed(host)
            if self._trusted and self._is_trusted(host):
                packed = _claimed(forwarded_for(), request.ip) or packed
        except RemoteProtocolError as error:
            return http.encode_failure(error.reason)
        except ValueError:
            return http.encode_failure("no address")
        tracker.turn()
        info_hash = bytes(request.info_hash)
        seeders, leechers, peers = tracker.announce(
            info_hash, packed + request.port.to_bytes(2, "big"), request.left, request.event, request.num_want
        )
        ipv6 = len(packed) == 16
        others = b""
        if request.port and request.event is not AnnounceEvent.STOPPED:
            others = tracker.other_family(info_hash, not ipv6, request.left, request.num_want)
        peers4, peers6 = (others, peers) if ipv6 else (peers, others)
        if request.compact:
            return http.encode_compact(
                interval=tracker.interval,
                min_interval=tracker.min_interval,
                seeders=seeders,
                leechers=leechers,
                peers=peers4,
                peers6=peers6,
            )
        listed: list[Endpoint] = unpack_v4(peers4, http.MAX_PEERS) + unpack_v6(peers6, http.MAX_PEERS)
        response = AnnounceResponse(
            interval=tracker.interval,
            min_interval=tracker.min_interval,
            seeders=seeders,
            leechers=leechers,
            peers=tuple(listed),
        )
        return http.encode_announce(response, compact=False)

    def scrape(self, query: bytes) -> bytes:
        """Counts of the swarms that are named. Without a name there is no answer: the list is nobody's business."""
        try:
            info_hashes = http.parse_scrape(query)
        except RemoteProtocolError as error:
            return http.encode_failure(error.reason)
        return http.encode_scrape(self._tracker.scrape(info_hashes))

    def _is_trusted(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        return any(address in network for network in self._trusted)


class TrackerApp:
    """ASGI: answers the tracker's two paths and hands everything else, start and end included, to `then`."""

    def __init__(self, answers: HttpAnswers, then: AsgiApp | None = None) -> None:
        self._answers = answers
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if scope["type"] == "http" and path in (ANNOUNCE_PATH, SCRAPE_PATH) and scope["method"] == "GET":
            if path == SCRAPE_PATH:
                body = self._answers.scrape(scope["query_string"])
            else:
                client = scope.get("client") or ("", 0)
                body = self._answers.announce(
                    scope["query_string"],
                    client[0],
                    lambda: next((value for name, value in reversed(scope["headers"]) if name == _FORWARDED_FOR), b""),
                )
            await _respond(send, 200, body)
        elif self._then is not None:
            await self._then(scope, receive, send)
        elif scope["type"] == "http":
            await _respond(send, 404, b"")


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _packed(host: str) -> bytes:
    """4 or 16 bytes; IPv4 in IPv6's clothes is IPv4. ValueError for what is no address."""
    host = host.partition("%")[0]
    try:
        if ":" not in host:
            return socket.inet_aton(host)
        packed = socket.inet_pton(socket.AF_INET6, host)
    except OSError as error:
        raise ValueError("no address") from error
    return packed[12:] if packed.startswith(b"\0" * 10 + b"\xff\xff") else packed


def _claimed(forwarded_for: bytes, ip: str) -> bytes:
    """The address our proxy saw (the last one it appended), else the one that the asker names, else nothing."""
    for text in (forwarded_for.rpartition(b",")[2].strip().decode("latin-1"), ip):
        try:
            return _packed(str(ipaddress.ip_address(text)))
        except ValueError:
            continue
    return b""
