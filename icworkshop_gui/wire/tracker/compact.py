"""Peers packed into 6 bytes (IPv4, BEP 23) or 18 bytes (IPv6, BEP 7)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from icworkshop_gui.core.address import Endpoint

V4_SIZE = 6
V6_SIZE = 18


def pack_v4(peers: Iterable[Endpoint]) -> bytes:
    """The IPv4 ones among `peers`; others are left out."""
    return b"".join(_packed(peer) for peer in peers if not peer.is_ipv6)


def pack_v6(peers: Iterable[Endpoint]) -> bytes:
    """The IPv6 ones among `peers`; others are left out."""
    return b"".join(_packed(peer) for peer in peers if peer.is_ipv6)


def unpack_v4(data: bytes | memoryview, limit: int) -> list[Endpoint]:
    """At most `limit` peers; those with port 0 and a ragged tail are dropped."""
    peers = []
    for at in range(0, min(len(data) // V4_SIZE, limit) * V4_SIZE, V4_SIZE):
        a, b, c, d, high, low = data[at : at + V4_SIZE]
        if high or low:
            peers.append(Endpoint(f"{a}.{b}.{c}.{d}", high << 8 | low))
    return peers


def unpack_v6(data: bytes | memoryview, limit: int) -> list[Endpoint]:
    """At most `limit` peers; those with port 0 and a ragged tail are dropped. IPv4-mapped ones become IPv4."""
    peers = []
    for at in range(0, min(len(data) // V6_SIZE, limit) * V6_SIZE, V6_SIZE):
        port = data[at + 16] << 8 | data[at + 17]
        if port:
            address = ipaddress.IPv6Address(bytes(data[at : at + 16]))
            peers.append(Endpoint(str(address.ipv4_mapped or address), port))
    return peers


def _packed(peer: Endpoint) -> bytes:
    return ipaddress.ip_address(peer.host).packed + peer.port.to_bytes(2, "big")
