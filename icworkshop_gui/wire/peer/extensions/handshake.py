"""The extension handshake: a bencoded dict of what a peer can do beyond the base protocol (BEP 10)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from icworkshop_gui import __version__
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation

CLIENT: Final = f"Iron Curtain Workshop {__version__}"

REQUEST_QUEUE: Final = 2000
"""`reqq`: how many unanswered requests we keep for one peer (engine.md E.2)."""

DEFAULT_REQUEST_QUEUE: Final = 250
"""What a peer is taken to keep when it does not say (BEP 10 gives this as the usual default)."""

HANDSHAKE_MAX: Final = 64 * 1024
"""Bytes of the dict; real ones have a few hundred."""

CLIENT_TEXT_MAX: Final = 64
"""Characters kept of a stranger's client name."""

EXTENSIONS_MAX: Final = 64
"""Entries of `m`; real clients have about ten."""

METADATA_MAX: Final = 4 * 1024 * 1024
"""`metadata_size` in bytes above which a peer is not believed (engine.md F D-9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionHandshake:
    """What the other side said. Also an event of `PeerWire`; a peer may send it again when something changes."""

    extensions: Mapping[str, int] = field(default_factory=dict)
    """Name -> the number under which they want to receive it; 0 switches it off."""
    listen_port: int | None = None
    """Where they accept connections."""
    untrusted_client: str = ""
    """Name and version as they say, printable characters only."""
    your_ip: str = ""
    """Our address as they see it; empty when not told."""
    request_queue: int = DEFAULT_REQUEST_QUEUE
    """Requests that they keep unanswered, at least 1."""
    metadata_size: int | None = None
    """Bytes of the info dict."""
    upload_only: bool = False
    """They download nothing: a seed, or a partial one (BEP 21)."""


def encode(
    extensions: Mapping[str, int],
    *,
    listen_port: int | None = None,
    your_ip: str = "",
    upload_only: bool = False,
    metadata_size: int | None = None,
) -> bytes:
    """Our dict. `your_ip` is the address we see them at."""
    fields: dict[bytes, object] = {
        b"m": {name.encode(): number for name, number in extensions.items()},
        b"v": CLIENT,
        b"reqq": REQUEST_QUEUE,
    }
    if listen_port is not None:
        fields[b"p"] = listen_port
    if your_ip:
        fields[b"yourip"] = ipaddress.ip_address(your_ip).packed
    if upload_only:
        fields[b"upload_only"] = 1
    if metadata_size is not None:
        fields[b"metadata_size"] = metadata_size
    return bencode.encode(fields)


def parse(payload: bytes) -> ExtensionHandshake:
    """From the payload of extended message 0. PeerProtocolError when it is no dict or too large.

    A single field of the wrong type is ignored, as every client in use does: it is only information.
    """
    if len(payload) > HANDSHAKE_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"an extension handshake of {len(payload)} bytes")
    try:
        # Some clients pad behind the dict, so what follows it does not matter.
        fields, _end = bencode.decode_prefix(payload)
    except FormatError as error:
        raise PeerProtocolError(Violation.EXTENSION, f"an extension handshake that is not bencoded: {error}") from error
    if not isinstance(fields, dict):
        raise PeerProtocolError(Violation.EXTENSION, "an extension handshake that is not a dictionary")
    names = fields.get(b"m")
    return ExtensionHandshake(
        extensions=_numbers(names) if isinstance(names, dict) else {},
        listen_port=_integer(fields.get(b"p"), 1, 65535),
        untrusted_client=_text(fields.get(b"v")),
        your_ip=_address(fields.get(b"yourip")),
        request_queue=_request_queue(fields.get(b"reqq")),
        metadata_size=_integer(fields.get(b"metadata_size"), 1, METADATA_MAX),
        upload_only=_integer(fields.get(b"upload_only"), 1, 2**63) is not None,
    )


def _integer(value: object, low: int, high: int) -> int | None:
    return value if isinstance(value, int) and low <= value <= high else None


def _request_queue(value: object) -> int:
    if not isinstance(value, int):
        return DEFAULT_REQUEST_QUEUE
    return max(1, value)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    text = value[: 4 * CLIENT_TEXT_MAX].decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable())[:CLIENT_TEXT_MAX]


def _address(value: object) -> str:
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        return ""
    return str(ipaddress.ip_address(value))


def _numbers(names: Mapping[bytes, object]) -> dict[str, int]:
    if len(names) > EXTENSIONS_MAX:
        raise PeerProtocolError(Violation.EXTENSION, f"an extension handshake that names {len(names)} extensions")
    numbers: dict[str, int] = {}
    for name, number in names.items():
        if isinstance(number, int) and 0 <= number <= 255:
            numbers[name.decode("utf-8", "replace")] = number
    return numbers
