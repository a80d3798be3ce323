"""Where a peer is, how it is spoken to, and who told us."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import NamedTuple


class TransportKind(StrEnum):
    TCP = "tcp"
    UTP = "utp"
    WEBRTC = "webrtc"
    HTTP = "http"


class PeerSource(StrEnum):
    """Who named this peer to us."""

    TRACKER = "tracker"
    MANUAL = "manual"
    INCOMING = "incoming"
    PEX = "pex"
    DHT = "dht"
    LSD = "lsd"
    LOBBY = "lobby"
    RESUME = "resume"


class Endpoint(NamedTuple):
    """A numeric IP address and a port. `host` is in canonical form: compare and hash as is."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From `1.2.3.4:80` or `[::1]:80`. ValueError when it is not a numeric address and a port 1..65535."""
        host, _, port_text = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"an IPv6 address needs brackets: {text!r}")
        if not port_text.isascii() or not port_text.isdigit() or len(port_text) > 5:
            raise ValueError(f"no port in {text!r}")
        return cls.of(host, int(port_text))

    @classmethod
    def of(cls, host: str, port: int) -> Endpoint:
        """Checked and canonical; IPv4-mapped IPv6 becomes IPv4, scope ids are dropped."""
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if not 0 < port < 65536:
            raise ValueError(f"port {port} out of range")
        return cls(str(address), port)

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host

    @property
    def is_global(self) -> bool:
        """Neither private, loopback, link-local nor otherwise special."""
        return ipaddress.ip_address(self.host).is_global

    @property
    def subnet(self) -> str:
        """The /24 (IPv4) or /64 (IPv6) it lies in, for per-subnet caps."""
        bits = 64 if self.is_ipv6 else 24
        return str(ipaddress.ip_network(f"{self.host}/{bits}", strict=False))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"
