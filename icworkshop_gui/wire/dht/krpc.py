"""The DHT's messages: bencoded dictionaries, one a datagram (BEP 5, "KRPC Protocol"; BEP 32, 42, 43).

What strangers send is read tolerantly and within limits: a field that makes no sense is as if it were not there, as
long as the message means something without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError, RemoteProtocolError
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.formats.bencode import BencodeLimits, Value, decode_prefix, encode
from icworkshop_gui.wire.dht.compact import Contact, pack_endpoint, pack_nodes, unpack_endpoint, unpack_nodes

DATAGRAM_MAX: Final = 2048
"""Bytes of a message that we read; BEP 32 allows 1,024, some send more."""
REPLY_MAX: Final = 1024
"""Bytes of a message that we send (BEP 32, "Maximum packet size")."""
LIMITS: Final = BencodeLimits(size=DATAGRAM_MAX, depth=10, tokens=500)
TRANSACTION_MAX: Final = 32
"""Bytes of a transaction id that we give back; ours have 4."""
TOKEN_MAX: Final = 64
"""Bytes of a token that we keep."""
NODES_MAX: Final = 20
"""Nodes taken from one reply; BEP 5 says 8."""
VALUES_MAX: Final = 200
"""Peers taken from one reply."""
TEXT_MAX: Final = 200
"""Bytes kept of an error's own words."""
VERSION: Final = b"IC\x01\x00"


class Method(Enum):
    PING = b"ping"
    FIND_NODE = b"find_node"
    GET_PEERS = b"get_peers"
    ANNOUNCE_PEER = b"announce_peer"


_METHODS: Final = {method.value: method for method in Method}


class ErrorCode:
    """BEP 5, "Errors"."""

    GENERIC = 201
    SERVER = 202
    PROTOCOL = 203
    METHOD_UNKNOWN = 204


class KrpcError(RemoteProtocolError):
    """What came is no message. `transaction`: of a query that deserves an answer with `code`; else empty."""

    def __init__(self, reason: str, *, transaction: bytes = b"", code: int = ErrorCode.PROTOCOL) -> None:
        super().__init__(reason)
        self.transaction = transaction
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Somebody asks."""

    transaction: bytes
    node_id: NodeId
    method: Method
    target: NodeId | None = None
    """What `find_node` and `get_peers` look for, what `announce_peer` is about."""
    want: tuple[bool, bool] = (False, False)
    """Nodes of IPv4, of IPv6; neither: of the family that the query came over (BEP 32)."""
    token: bytes = b""
    port: int = 0
    """Of the peer that is announced; 0: that of the datagram (BEP 5, `implied_port`)."""
    read_only: bool = False
    """It answers no queries (BEP 43)."""

    def encode(self) -> bytes:
        arguments: dict[bytes, object] = {b"id": self.node_id}
        if self.target is not None:
            arguments[b"target" if self.method is Method.FIND_NODE else b"info_hash"] = self.target
        if self.method is Method.ANNOUNCE_PEER:
            arguments |= {b"token": self.token, b"port": self.port or 1, b"implied_port": int(not self.port)}
        if any(self.want):
            arguments[b"want"] = [name for name, on in zip((b"n4", b"n6"), self.want, strict=True) if on]
        message: dict[bytes, object] = {b"a": arguments, b"q": self.method.value, **_frame(self.transaction, b"q")}
        if self.read_only:
            message[b"ro"] = 1
        return encode(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer. Which fields it has depends on what was asked."""

    transaction: bytes
    node_id: NodeId
    nodes: tuple[Contact, ...] = ()
    nodes6: tuple[Contact, ...] = ()
    values: tuple[Endpoint, ...] = ()
    """Peers."""
    token: bytes = b""
    ip: Endpoint | None = None
    """Where it saw us (BEP 42)."""

    def encode(self) -> bytes:
        values: dict[bytes, object] = {b"id": self.node_id}
        if self.nodes:
            values[b"nodes"] = pack_nodes(self.nodes)
        if self.nodes6:
            values[b"nodes6"] = pack_nodes(self.nodes6)
        if self.token:
            values[b"token"] = self.token
        if self.values:
            values[b"values"] = [pack_endpoint(peer) for peer in self.values]
        message: dict[bytes, object] = {b"r": values, **_frame(self.transaction, b"r")}
        if self.ip is not None:
            message[b"ip"] = pack_endpoint(self.ip)
        return encode(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """A refusal."""

    transaction: bytes
    code: int
    untrusted_text: str = ""
    ip: Endpoint | None = None

    def encode(self) -> bytes:
        message: dict[bytes, object] = {b"e": [self.code, self.untrusted_text], **_frame(self.transaction, b"e")}
        if self.ip is not None:
            message[b"ip"] = pack_endpoint(self.ip)
        return encode(message)


Message = Query | Response | Error


def _frame(transaction: bytes, kind: bytes) -> dict[bytes, object]:
    return {b"t": transaction, b"v": VERSION, b"y": kind}


def decode(data: bytes) -> Message:
    """One message; KrpcError for anything else. Bytes behind it are ignored."""
    if len(data) > DATAGRAM_MAX:
        raise KrpcError("longer than any message")
    try:
        message, _end = decode_prefix(data, limits=LIMITS)
    except FormatError as error:
        raise KrpcError(str(error)) from error
    if not isinstance(message, dict):
        raise KrpcError("no dictionary")
    transaction = message.get(b"t")
    if not isinstance(transaction, bytes) or not 0 < len(transaction) <= TRANSACTION_MAX:
        raise KrpcError("no transaction id")
    match message.get(b"y"):
        case b"q":
            return _query(message, transaction)
        case b"r":
            return _response(message, transaction)
        case b"e":
            return _error(message, transaction)
    raise KrpcError("neither query nor response nor error")


def _query(message: dict[bytes, Value], transaction: bytes) -> Query:
    arguments = message.get(b"a")
    if not isinstance(arguments, dict):
        raise KrpcError("a query without arguments", transaction=transaction)
    node_id = _id(arguments.get(b"id"))
    if node_id is None:
        raise KrpcError("a query without node id", transaction=transaction)
    name = message.get(b"q")
    method = _METHODS.get(name) if isinstance(name, bytes) else None
    if method is None:
        raise KrpcError("unknown method", transaction=transaction, code=ErrorCode.METHOD_UNKNOWN)
    target = None
    if method is not Method.PING:
        target = _id(arguments.get(b"target" if method is Method.FIND_NODE else b"info_hash"))
        if target is None:
            raise KrpcError("a query that looks for nothing", transaction=transaction)
    port, token = 0, b""
    if method is Method.ANNOUNCE_PEER:
        given = arguments.get(b"token")
        token = given if isinstance(given, bytes) and len(given) <= TOKEN_MAX else b""
        if not arguments.get(b"implied_port"):
            number = arguments.get(b"port")
            if not isinstance(number, int) or not 0 < number < 65536:
                raise KrpcError("a peer without port", transaction=transaction)
            port = number
    want = arguments.get(b"want")
    return Query(
        transaction=transaction,
        node_id=node_id,
        method=method,
        target=target,
        want=(b"n4" in want, b"n6" in want) if isinstance(want, list) else (False, False),
        token=token,
        port=port,
        read_only=message.get(b"ro") == 1,
    )


def _response(message: dict[bytes, Value], transaction: bytes) -> Response:
    values = message.get(b"r")
    if not isinstance(values, dict):
        raise KrpcError("a response without values")
    node_id = _id(values.get(b"id"))
    if node_id is None:
        raise KrpcError("a response without node id")
    nodes, nodes6, token = (values.get(key) for key in (b"nodes", b"nodes6", b"token"))
    peers = values.get(b"values")
    found: dict[Endpoint, None] = {}
    for value in peers[:VALUES_MAX] if isinstance(peers, list) else ():
        peer = unpack_endpoint(value) if isinstance(value, bytes) else None
        if peer is not None:
            found[peer] = None
    return Response(
        transaction=transaction,
        node_id=node_id,
        nodes=unpack_nodes(nodes, NODES_MAX, ipv6=False) if isinstance(nodes, bytes) else (),
        nodes6=unpack_nodes(nodes6, NODES_MAX, ipv6=True) if isinstance(nodes6, bytes) else (),
        values=tuple(found),
        token=token if isinstance(token, bytes) and len(token) <= TOKEN_MAX else b"",
        ip=_seen_at(message),
    )


def _error(message: dict[bytes, Value], transaction: bytes) -> Error:
    match message.get(b"e"):
        case [int(code), bytes(text), *_]:
            words = text[:TEXT_MAX].decode("utf-8", "replace")
            return Error(transaction=transaction, code=code, untrusted_text=words, ip=_seen_at(message))
    return Error(transaction=transaction, code=ErrorCode.GENERIC, ip=_seen_at(message))


def _seen_at(message: dict[bytes, Value]) -> Endpoint | None:
    value = message.get(b"ip")
    return unpack_endpoint(value) if isinstance(value, bytes) else None


def _id(value: Value | None) -> NodeId | None:
    return NodeId(value) if isinstance(value, bytes) and len(value) == NodeId.SIZE else None
