"""Where the server is for those who ask: base URL, trackers, web seeds, and torrents that name them."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.formats.bencode import scan
from icworkshop_gui.formats.create import torrent_file
from icworkshop_gui.registry.schema import API

HOST_HEADER = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))(?::([0-9]{1,5}))?")
"""RFC 9110 §7.2, without what no real host name has."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a torrent made for one asker names."""

    base_url: str
    """Without a slash at its end."""
    udp_port: int
    """0: no UDP tracker."""
    mirrors: tuple[str, ...] = ()
    """Folders of other web servers that hold the packages under the names that their torrents give them."""

    @property
    def trackers(self) -> tuple[str, ...]:
        """HTTP first: it passes more firewalls."""
        host = urlsplit(self.base_url).netloc.rpartition("@")[2]
        bare = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
        udp = (f"udp://{bare}:{self.udp_port}/announce",) if self.udp_port else ()
        return (f"{self.base_url}/announce", *udp)

    def package_url(self, ref: PackageRef) -> str:
        parts = "/".join(quote(part, safe="") for part in ref)
        return f"{self.base_url}{API}/packages/{parts}.icpkg"

    def torrent(self, bare: bytes, ref: PackageRef, created: float, *, has_swarm: bool) -> bytes:
        """The kept torrent with our trackers (a tier each) and web seed; the info dict stays the bytes it was."""
        found = scan(bare)
        root = found.value
        assert isinstance(root, dict)
        start, end = found.spans[b"info"]
        layers = root.get(b"piece layers")
        return torrent_file(
            bare[start:end],
            piece_layers=_layers(layers) if isinstance(layers, dict) else None,
            trackers=[[tracker] for tracker in self.trackers] if has_swarm else [],
            # A slash at the end: the client adds the file's name (BEP 19).
            web_seeds=[self.package_url(ref), *(f"{mirror.rstrip('/')}/" for mirror in self.mirrors)],
            comment=str(ref),
            created_by="icworkshop-server",
            creation_date=int(created),
        )


def _layers(raw: Mapping[bytes, object]) -> dict[bytes, bytes]:
    return {root: layer for root, layer in raw.items() if isinstance(layer, bytes)}


def own_address(bound: str) -> str:
    """The address that other machines probably reach us at: the one bound to, else that of the default route."""
    if bound and bound not in ("0.0.0.0", "::"):
        return bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: chooses a route, sends nothing
            address = str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
    return address if address != "0.0.0.0" else "127.0.0.1"
