"""Answering the questions of others, at a price that they cannot raise (BEP 5, 32, 42; engine.md F D-11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.krpc import REPLY_MAX, Error, ErrorCode, KrpcError, Method, Query, Response
from icworkshop_gui.wire.dht.limits import Bucket
from icworkshop_gui.wire.dht.node_id import RandBytes
from icworkshop_gui.wire.dht.peer_store import PEERS_MAX, PeerStore
from icworkshop_gui.wire.dht.tokens import Tokens

AMPLIFY: Final = 8
"""Bytes of an answer for each byte of the question at most: who forges a sender gains little."""
REPLY_RATE, REPLY_BURST = 8_000.0, 32_000.0
"""Bytes of answers a second, to everybody together; and at once after a silence."""
EXPIRE_EVERY: Final = 60.0
"""Seconds between two looks at the peers whose time is over."""
_VALUES_FRAME: Final = len(b"6:valuesle")
_VALUE_FRAME: Final = len(b"18:")

Nearest = Callable[[NodeId, bool], list[Contact]]
"""The good nodes nearest to an id, of IPv6 or not."""


class Responder:
    """One node's side that is asked. `nearest` is looked up anew each time: the table may be another by then."""

    def __init__(self, now: float, randbytes: RandBytes, nearest: Nearest, *, ipv6: bool) -> None:
        self.peers = PeerStore()
        self._tokens = Tokens(now, randbytes)
        self._randbytes = randbytes
        self._nearest = nearest
        self._ipv6 = ipv6
        self._replies = Bucket(REPLY_RATE, REPLY_BURST, now)
        self._expire_at = now + EXPIRE_EVERY

    def answer(self, query: Query, own_id: NodeId, source: Endpoint, size: int, now: float) -> bytes | None:
        """The datagram to send back to a question of `size` bytes; None: there is none to send."""
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_EVERY
            self.peers.expire(now)
        accepted = Response(transaction=query.transaction, node_id=own_id, ip=source)
        reply: Response | Error = accepted
        limit = min(REPLY_MAX, AMPLIFY * size)
        if query.target is not None:
            if query.method is Method.ANNOUNCE_PEER:
                if not self._tokens.is_valid(query.token, source.host, query.target, now):
                    reply = Error(
                        transaction=query.transaction,
                        code=ErrorCode.PROTOCOL,
                        untrusted_text="invalid token",
                        ip=source,
                    )
                else:
                    self.peers.add(query.target, Endpoint(source.host, query.port or source.port), now)
            else:
                reply = self._found(query, query.target, accepted, source, now, limit)
        return self._within(reply.encode(), limit, now)

    def refuse(self, error: KrpcError, source: Endpoint, size: int, now: float) -> bytes | None:
        """The answer to a query that made no sense."""
        if not error.transaction:
            return None
        reply = Error(transaction=error.transaction, code=error.code, untrusted_text=error.reason, ip=source)
        return self._within(reply.encode(), min(REPLY_MAX, AMPLIFY * size), now)

    def known_peers(self, torrent: NodeId, now: float) -> list[Endpoint]:
        """All that others announced to us."""
        return self.peers.peers(torrent, PEERS_MAX, now, self._randbelow)

    def _found(
        self, query: Query, target: NodeId, reply: Response, source: Endpoint, now: float, limit: int
    ) -> Response:
        four, six = query.want if any(query.want) else (not self._ipv6, self._ipv6)
        reply = replace(
            reply,
            nodes=tuple(self._nearest(target, False)) if four else (),
            nodes6=tuple(self._nearest(target, True)) if six else (),
        )
        if query.method is not Method.GET_PEERS:
            return reply
        reply = replace(reply, token=self._tokens.give(source.host, target, now))
        room = limit - len(reply.encode()) - _VALUES_FRAME
        each = _VALUE_FRAME + (18 if self._ipv6 else 6)
        peers = self.peers.peers(target, max(0, room // each), now, self._randbelow)
        return replace(reply, values=tuple(peers))

    def _randbelow(self, limit: int) -> int:
        return int.from_bytes(self._randbytes(4)) % limit

    def _within(self, data: bytes, limit: int, now: float) -> bytes | None:
        return data if len(data) <= limit and self._replies.take(len(data), now) else None
