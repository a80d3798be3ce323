"""Asking UDP trackers (BEP 15): one socket per address family for all transfers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.net.network import DatagramSocket
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire.tracker import udp
from icworkshop_gui.wire.tracker.messages import AnnounceRequest, AnnounceResponse, ScrapeEntry

CONNECTION_LIFE = 60.0
"""Seconds for which a connection id is used (BEP 15, "connect")."""
RESEND_AFTER = 15.0
"""Seconds until the first resend; each further one waits twice as long (BEP 15, "time outs")."""
RESENDS = 2
"""BEP 15 goes on for over two hours; after 15 + 30 + 60 s we turn to the next tracker and come back later."""
MAX_CONNECTIONS = 256
"""Connection ids remembered; the oldest is forgotten."""

ReplyT = TypeVar("ReplyT", udp.AnnounceReply, udp.ScrapeReply)

_LOG = logging.getLogger("icw.tracker")


@dataclass(slots=True)
class _Waiting:
    """A request without an answer. Only its tracker may answer it."""

    endpoint: Endpoint
    future: asyncio.Future[udp.Reply]


class UdpTrackerClient:
    """Shared by all transfers. Answers are matched by transaction id and by the address they come from."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sockets: dict[bool, asyncio.Task[DatagramSocket]] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._connections: dict[Endpoint, tuple[bytes, float]] = {}
        self._connecting: dict[Endpoint, asyncio.Lock] = {}

    async def announce(
        self, endpoint: Endpoint, request: AnnounceRequest, *, url_data: bytes = b""
    ) -> AnnounceResponse:
        """Ask one address. TimeoutError, OSError, TrackerRefused or another RemoteProtocolError when it fails."""
        reply = await self._ask(
            endpoint, lambda cid, tid: udp.announce_request(cid, tid, request, url_data=url_data), udp.AnnounceReply
        )
        return reply.response

    async def scrape(self, endpoint: Endpoint, info_hashes: tuple[InfoHash, ...]) -> dict[InfoHash, ScrapeEntry]:
        """Counts of at most `udp.MAX_SCRAPE` swarms; errors as in `announce`."""
        reply = await self._ask(endpoint, lambda cid, tid: udp.scrape_request(cid, tid, info_hashes), udp.ScrapeReply)
        return dict(zip(info_hashes, reply.entries, strict=False))

    async def aclose(self) -> None:
        """Close the sockets; whoever still waits gets an OSError."""
        waiting, self._waiting = self._waiting, {}
        for item in waiting.values():
            if not item.future.done():
                item.future.set_exception(OSError("closed"))
        sockets, self._sockets = self._sockets, {}
        for task in sockets.values():
            task.cancel()
            for outcome in await asyncio.gather(task, return_exceptions=True):
                if not isinstance(outcome, BaseException):
                    outcome.close()

    async def _ask(self, endpoint: Endpoint, packet: Callable[[bytes, int], bytes], expected: type[ReplyT]) -> ReplyT:
        """Connect when needed, send `packet(connection id, transaction id)`, resend while the answer stays away."""
        for attempt in range(RESENDS + 1):
            patience = RESEND_AFTER * 2**attempt
            try:
                async with asyncio.timeout(patience):
                    connection_id = await self._connection_id(endpoint)
                    reply = await self._exchange(endpoint, partial(packet, connection_id))
            except TimeoutError:
                # Perhaps it restarted and does not know the connection id any more.
                self._connections.pop(endpoint, None)
                continue
            if isinstance(reply, expected):
                return reply
            if isinstance(reply, udp.ErrorReply):
                self._connections.pop(endpoint, None)
                raise reply.refused
            raise RemoteProtocolError("the tracker answered something else than was asked")
        raise TimeoutError

    async def _connection_id(self, endpoint: Endpoint) -> bytes:
        lock = self._connecting.setdefault(endpoint, asyncio.Lock())
        try:
            async with lock:  # many transfers, one tracker: one connect
                known = self._connections.get(endpoint)
                if known is not None and self._world.clock.now() < known[1]:
                    return known[0]
                reply = await self._exchange(endpoint, udp.connect_request)
                if isinstance(reply, udp.ErrorReply):
                    raise reply.refused
                if not isinstance(reply, udp.ConnectReply):
                    raise RemoteProtocolError("the tracker answered something else than was asked")
                self._connections.pop(endpoint, None)
                while len(self._connections) >= MAX_CONNECTIONS:
                    del self._connections[next(iter(self._connections))]
                self._connections[endpoint] = (reply.connection_id, self._world.clock.now() + CONNECTION_LIFE)
                return reply.connection_id
        finally:
            if not lock.locked() and self._connecting.get(endpoint) is lock:
                del self._connecting[endpoint]

    async def _exchange(self, endpoint: Endpoint, packet: Callable[[int], bytes]) -> udp.Reply:
        socket = await self._socket(endpoint.is_ipv6)
        transaction_id = self._world.rng.getrandbits(32)
        while transaction_id in self._waiting:
            transaction_id = self._world.rng.getrandbits(32)
        future: asyncio.Future[udp.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[transaction_id] = _Waiting(endpoint, future)
        try:
            socket.send(packet(transaction_id), endpoint)
            return await future
        finally:
            self._waiting.pop(transaction_id, None)

    async def _socket(self, ipv6: bool) -> DatagramSocket:
        task = self._sockets.get(ipv6)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            # A task of its own: the transfer that came first may be cancelled while others wait for the same socket.
            task = asyncio.ensure_future(self._world.network.datagrams(0, self._on_datagram, ipv6=ipv6))
            self._sockets[ipv6] = task
        return await asyncio.shield(task)

    def _on_datagram(self, data: bytes, endpoint: Endpoint) -> None:
        if len(data) < udp.REPLY_HEAD.size:
            return
        waiting = self._waiting.get(udp.REPLY_HEAD.unpack_from(data)[1])
        if waiting is None or waiting.endpoint != endpoint or waiting.future.done():
            _LOG.debug("datagram unasked length=%d", len(data))
            return
        try:
            waiting.future.set_result(udp.parse_reply(data, ipv6=endpoint.is_ipv6))
        except RemoteProtocolError as error:
            waiting.future.set_exception(error)
