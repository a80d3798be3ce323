"""Nodes packed into 26 bytes (IPv4, BEP 5) or 38 bytes (IPv6, BEP 32)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.tracker.compact import V4_SIZE, V6_SIZE, pack_v4, pack_v6, unpack_v4, unpack_v6


class Contact(NamedTuple):
    """A node and where it is."""

    id: NodeId
    endpoint: Endpoint


@lru_cache(maxsize=4096)
def pack_endpoint(endpoint: Endpoint) -> bytes:
    """6 or 18 bytes."""
    return pack_v6((endpoint,)) if endpoint.is_ipv6 else pack_v4((endpoint,))


@lru_cache(maxsize=4096)
def unpack_endpoint(data: bytes) -> Endpoint | None:
    """From 6 or 18 bytes; None for what is neither, or has port 0."""
    if len(data) == V4_SIZE:
        found = unpack_v4(data, 1)
    elif len(data) == V6_SIZE:
        found = unpack_v6(data, 1)
    else:
        return None
    return found[0] if found else None


def pack_nodes(nodes: Iterable[Contact]) -> bytes:
    """Of one family, one behind the other."""
    return b"".join([node.id + pack_endpoint(node.endpoint) for node in nodes])


def unpack_nodes(data: bytes, limit: int, *, ipv6: bool) -> tuple[Contact, ...]:
    """At most `limit` nodes; those with port 0, IPv4 in the clothes of IPv6 and a ragged tail are dropped."""
    size = NodeId.SIZE + (V6_SIZE if ipv6 else V4_SIZE)
    nodes = []
    for at in range(0, min(len(data) // size, limit) * size, size):
        endpoint = unpack_endpoint(data[at + NodeId.SIZE : at + size])
        if endpoint is not None and endpoint.is_ipv6 == ipv6:
            nodes.append(Contact(NodeId(data[at : at + NodeId.SIZE]), endpoint))
    return tuple(nodes)
