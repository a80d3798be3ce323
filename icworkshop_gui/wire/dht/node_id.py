"""Distance between ids, and ids that an address may have (BEP 5, "Overview"; BEP 42)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId

RandBytes = Callable[[int], bytes]
"""So many bytes that nobody can foresee."""

BITS: Final = 160

_POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli's, reflected (BEP 42, "Node ID restriction")."""
_V4_MASK: Final = bytes.fromhex("030f3fff")
_V6_MASK: Final = bytes.fromhex("0103070f1f3f7fff")


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C of a few bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def distance(one: bytes, other: bytes) -> int:
    """How far two ids are apart: their exclusive or, as a number."""
    return int.from_bytes(one) ^ int.from_bytes(other)


def shared_bits(one: bytes, other: bytes) -> int:
    """How many leading bits two ids have in common."""
    return BITS - distance(one, other).bit_length()


@lru_cache(maxsize=8192)
def is_global(host: str) -> bool:
    """An address of the open Internet: not private, not loopback, not multicast."""
    address = ipaddress.ip_address(host)
    return address.is_global and not address.is_multicast


@lru_cache(maxsize=8192)
def subnet_of(host: str) -> str:
    """The /24 or /64 it lies in: what one attacker has cheaply."""
    return Endpoint(host, 1).subnet


def _prefix(host: str, r: int) -> int:
    """What the first 21 bits of an id at this address must be, in the high bits of 32."""
    address = ipaddress.ip_address(host)
    mask = _V4_MASK if address.version == 4 else _V6_MASK
    masked = bytearray(a & b for a, b in zip(address.packed, mask, strict=False))
    masked[0] |= (r & 7) << 5
    return crc32c(bytes(masked)) & 0xFFFFF800


def secure_id(host: str, randbytes: RandBytes) -> NodeId:
    """A fresh id that the node at `host` may have."""
    raw = bytearray(randbytes(NodeId.SIZE))
    prefix = _prefix(host, raw[19])
    raw[0], raw[1] = prefix >> 24, prefix >> 16 & 0xFF
    raw[2] = prefix >> 8 & 0xF8 | raw[2] & 7
    return NodeId(bytes(raw))


def is_secure(node_id: bytes, host: str) -> bool:
    """May a node at `host` have this id? Local addresses may have any (BEP 42, "Enforcement")."""
    if not is_global(host):
        return True
    return (int.from_bytes(node_id[:4]) ^ _prefix(host, node_id[19])) < 1 << 11


def random_id(shared: int, like: bytes, randbytes: RandBytes) -> NodeId:
    """An id that has exactly `shared` leading bits in common with `like`: a place in that bucket."""
    rest = BITS - shared - 1
    value = int.from_bytes(like) >> rest << rest ^ 1 << rest
    return NodeId((value | int.from_bytes(randbytes(NodeId.SIZE)) & (1 << rest) - 1).to_bytes(NodeId.SIZE))
