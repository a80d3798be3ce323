"""Which classes of connections a connection belongs to, and what its packets cost beside what they carry. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net.limiter import ConnectionClass

_LAN: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
"""Private and link-local ranges (RFC 1918, 3927, 4193, 4291). Not loopback: that is where a proxy or a tunnel on this
computer makes far players look near."""

_IPV4, _IPV6 = 20, 40
_HEADERS: Final = {
    TransportKind.TCP: 20,
    TransportKind.HTTP: 20,
    TransportKind.UTP: 8 + 20,
    TransportKind.WEBRTC: 8 + 37 + 28,
}
"""Bytes above IP: TCP; UDP and uTP; UDP, DTLS and SCTP."""


def is_lan(endpoint: Endpoint) -> bool:
    """Does it lie in a network that is ours, so that our line to the Internet is not used?"""
    address = ipaddress.ip_address(endpoint.host)
    return any(address in network for network in _LAN)


def classes_of(kind: TransportKind, endpoint: Endpoint) -> tuple[ConnectionClass, ...]:
    """The classes of a peer's connection."""
    names: list[ConnectionClass] = []
    if kind in (TransportKind.TCP, TransportKind.UTP):
        names.append(ConnectionClass.TCP if kind is TransportKind.TCP else ConnectionClass.UTP)
    if is_lan(endpoint):
        names.append(ConnectionClass.LAN)
    return tuple(names)


def header_of(kind: TransportKind, endpoint: Endpoint) -> int:
    """Bytes of headers in a packet, without options and without what lies below IP."""
    return _HEADERS[kind] + (_IPV6 if endpoint.is_ipv6 else _IPV4)
