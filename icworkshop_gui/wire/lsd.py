"""Local service discovery (BEP 14): who has which torrent on this network, by multicast. Bytes only.

BT-SEARCH * HTTP/1.1\r\n
Host: 239.192.152.143:6771\r\n
Port: 6881\r\n
Infohash: <40 hex digits>\r\n      (as many as fit)
cookie: <of the sender, so that it knows its own words>\r\n
\r\n
\r\n
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash

GROUP_V4: Final = Endpoint("239.192.152.143", 6771)
GROUP_V6: Final = Endpoint("ff15::efc0:988f", 6771)

MESSAGE_MAX: Final = 1400
"""Bytes of one datagram: more does not pass everywhere (BEP 14)."""
HASHES_MAX: Final = 20
"""Info-hashes in one message of ours; of others' no more fit into `MESSAGE_MAX`."""
COOKIE_MAX: Final = 64
"""Characters of a cookie that are looked at."""

_FIRST_LINE: Final = b"BT-SEARCH * HTTP/1.1\r\n"
_HASH: Final = re.compile(r"[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LsdMessage:
    """Its sender accepts peers for these torrents on this TCP port."""

    port: int
    info_hashes: tuple[InfoHash, ...]
    cookie: str = ""


def encode(port: int, info_hashes: Sequence[InfoHash], cookie: str, *, ipv6: bool) -> bytes:
    """At most `HASHES_MAX` hashes."""
    lines = [f"Host: {GROUP_V6 if ipv6 else GROUP_V4}", f"Port: {port}"]
    lines += [f"Infohash: {info_hash}" for info_hash in info_hashes[:HASHES_MAX]]
    lines += [f"cookie: {cookie}", "", "", ""]
    return _FIRST_LINE + "\r\n".join(lines).encode("ascii")


def parse(data: bytes) -> LsdMessage | None:
    """None for anything that says nothing: on a multicast group everybody may speak, and nobody must be answered."""
    if len(data) > MESSAGE_MAX or not data.startswith(_FIRST_LINE):
        return None
    port, cookie = 0, ""
    hashes: dict[InfoHash, None] = {}
    for line in data[len(_FIRST_LINE) :].decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        match name.strip(" \t").lower() if colon else "":
            case "port" if value.isascii() and value.isdigit() and len(value) <= 5:
                port = int(value)
            case "infohash" if _HASH.fullmatch(value):
                hashes[InfoHash.from_hex(value)] = None
            case "cookie":
                cookie = value[:COOKIE_MAX]
    if not 0 < port < 65536 or not hashes:
        return None
    return LsdMessage(port, tuple(hashes), cookie)
