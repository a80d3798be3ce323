"""A tracker's URL, checked: it came out of a stranger's torrent and decides where we connect (engine.md F D-5, D-6)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from icworkshop_gui.core.errors import FormatError

SCHEMES = frozenset({"http", "https", "udp"})
MAX_URL = 2048
"""Characters; the longest passkey URLs in use stay under 300."""
PRIVILEGED_PORTS = frozenset({80, 443})
"""The only ports below 1024 that are asked: the rest belong to services that are no trackers."""
OWN_KEYS = frozenset(
    [
        "info_hash",
        "peer_id",
        "port",
        "uploaded",
        "downloaded",
        "left",
        "event",
        "numwant",
        "key",
        "compact",
        "no_peer_id",
        "trackerid",
        "ip",
        "ipv6",
    ]
)
"""What we add to the query. A URL that brings one of them wants to speak for us."""

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*\.?\Z")
_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerUrl:
    """Scheme, host, port and the rest, all ASCII. `str()` of it keeps secrets out."""

    scheme: str
    host: str
    """Lower case name, or a numeric address without brackets."""
    port: int
    path: str
    query: str
    text: str
    """The whole URL, passkeys included: for the wire, never for a log."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """FormatError when it is not a URL we would ask.

        Names must be ASCII: a look-alike of another alphabet has to show itself as punycode (engine.md F D-6).
        """
        if len(text) > MAX_URL:
            raise FormatError(f"tracker URL longer than {MAX_URL} characters")
        if not text.isascii() or any(c <= " " or c == "\x7f" or c == "\\" for c in text):
            raise FormatError("tracker URL with characters that do not belong into one")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise FormatError("tracker URL that cannot be read") from error
        scheme = parts.scheme.lower()
        if scheme not in SCHEMES:
            raise FormatError("tracker URL of an unknown kind; http, https and udp are known")
        if port is None:
            port = _DEFAULT_PORT.get(scheme)
        if port is None or not 0 < port < 65536:
            raise FormatError("tracker URL without a port")
        if port < 1024 and port not in PRIVILEGED_PORTS:
            raise FormatError(f"tracker URL with port {port}, which belongs to another service")
        host = (parts.hostname or "").lower()
        if parts.username is not None or parts.password is not None:
            raise FormatError("tracker URL with a user name or password in it")
        if not _is_address(host):
            # "2130706433", "0x7f.1" and the like are addresses in disguise for some resolvers.
            last = host.rstrip(".").rpartition(".")[2]
            if _HOST.match(host) is None or last.isdigit() or last.startswith("0x"):
                raise FormatError("tracker URL without a usable host name")
        for key, _ in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=None):
            if key.lower() in OWN_KEYS:
                raise FormatError(f"tracker URL that brings its own {key}")
        return cls(scheme=scheme, host=host, port=port, path=parts.path, query=parts.query, text=text)

    @property
    def is_udp(self) -> bool:
        return self.scheme == "udp"

    @property
    def url_data(self) -> bytes:
        """Path and query, as a UDP announce carries them (BEP 41)."""
        return (self.path + ("?" + self.query if self.query else "")).encode("ascii")

    def allows(self, address: str, *, allow_private: bool) -> bool:
        """May we ask the numeric `address` that the host resolved to?

        `allow_private`: the Workshop source that named this tracker is itself on a private network. Loopback needs
        a path that starts with `/announce` in any case, and no address but a public one is asked with a query of the
        torrent's making, so that no other local service is poked (engine.md F D-5).
        """
        ip = ipaddress.ip_address(address)
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if ip.is_multicast or ip.is_unspecified:
            return False
        if ip.is_global:
            return True
        if ip.is_link_local:
            # Cloud metadata services live here; a Workshop never does.
            return False
        if not allow_private:
            return False
        return self.is_udp or (not self.query and (not ip.is_loopback or self.path.startswith("/announce")))

    @property
    def host_address(self) -> str | None:
        """The host when it is a numeric address."""
        return self.host if _is_address(self.host) else None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if _DEFAULT_PORT.get(self.scheme) == self.port else f":{self.port}"
        if self.path in ("", "/", "/announce") and not self.query:
            rest = self.path
        else:
            # A passkey sits in the path as often as in the query.
            rest = "/…"
        return f"{self.scheme}://{host}{port}{rest}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host
