"""The first 4,096 bytes of a package on a web server: how long it is, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import NamedTuple

from icworkshop_gui.core.errors import FormatError, NotFound, RegistryError, RemoteProtocolError
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.formats.manifest import Manifest
from icworkshop_gui.registry.asker import TIMEOUT, HttpGetter, header

_CONTENT_RANGE = re.compile(r"bytes 0-\d{1,15}/(\d{1,15})", re.ASCII)


class Probe(NamedTuple):
    """What was there."""

    size: int
    """Bytes of the package."""
    manifest: Manifest
    """Slim, maybe `truncated`."""


async def probe(network: HttpGetter, url: str, *, allow_private: bool, timeout: float = TIMEOUT) -> Probe:
    """NotFound, RegistryError: "unreachable", or "lied" for what is no package."""
    try:
        async with asyncio.timeout(timeout):
            reply = await network.http_get(
                url,
                headers={"Range": f"bytes=0-{HEADER_SIZE - 1}"},
                timeout=timeout,
                allow_private=allow_private,
            )
            try:
                if reply.status == 404:
                    raise NotFound(f"{url} is not there")
                if reply.status not in (200, 206):
                    raise RegistryError("unreachable", f"{url} answers with HTTP {reply.status}")
                head = b""
                async for chunk in reply.chunks():
                    head += chunk
                    if len(head) >= HEADER_SIZE:
                        break
                size = _size(
                    reply.status, header(reply.headers, "content-range" if reply.status == 206 else "content-length")
                )
            finally:
                await reply.aclose()
    except RemoteProtocolError as error:
        raise RegistryError("unreachable", f"{url} cannot be used: {error.reason}") from error
    except (OSError, TimeoutError) as error:
        raise RegistryError("unreachable", f"{url} does not answer") from error
    try:
        return Probe(size, parse_header(head[:HEADER_SIZE]).manifest)
    except FormatError as error:
        raise RegistryError("lied", f"{url} is no package: {error}") from error


def probe_file(path: Path) -> Probe:
    """Blocks: the same of a file on this computer."""
    try:
        with path.open("rb") as file:
            return Probe(os.fstat(file.fileno()).st_size, parse_header(file.read(HEADER_SIZE)).manifest)
    except OSError as error:
        raise RegistryError("unreachable", f"{path} cannot be read: {error.strerror}") from error
    except FormatError as error:
        raise RegistryError("lied", f"{path.name} is no package: {error}") from error


def _size(status: int, text: str) -> int:
    found = (
        _CONTENT_RANGE.fullmatch(text.strip()) if status == 206 else re.fullmatch(r"(\d{1,15})", text.strip(), re.ASCII)
    )
    if found is None:
        raise RegistryError("unreachable", "a web server that does not say how long the package is")
    return int(found[1])
