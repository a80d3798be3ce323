"""Sending a package to a Workshop server: streamed from disk, with progress, and stopped by cancelling the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.registry import schema

CHUNK = 256 * 1024
CONNECT_TIMEOUT = 15.0
STALL_TIMEOUT = 120.0
"""Seconds without a byte in either direction."""
LINE_MAX = 32 * 1024 * 1024
"""Bytes of the longest line of the answer: the last carries the whole release."""
LINES_MAX = 100_000

Progress = Callable[[str, int, int], None]
"""What is done (`upload`, then the server's checks by name), bytes done, bytes in all."""


async def publish(base_url: str, package: Path, token: str, progress: Progress | None = None) -> schema.PublishResult:
    """Upload a package and wait for the server's checks. Cancel the task to stop: nothing is published then, unless
    the last check had passed already.

    RegistryError as the error body says, "unreachable" when the server does not answer or the connection breaks.
    OSError when the package cannot be read.
    """
    tell = progress if progress is not None else lambda _check, _done, _total: None
    size = (await asyncio.to_thread(package.stat)).st_size
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/x-ndjson",
        "Content-Type": "application/octet-stream",
        "Content-Length": str(size),
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=STALL_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                f"{base_url.rstrip('/')}{schema.API}/publish",
                data=_body(package, size, tell),
                headers=headers,
                allow_redirects=False,  # a token is for the server that it was made for
            ) as answer,
        ):
            if answer.status != 200:
                raise schema.error_from_json(answer.status, await _read_error(answer.content))
            return await _listen(answer.content, tell)
    except aiohttp.ClientError as error:
        raise RegistryError("unreachable", f"{base_url} does not answer, or stopped to: {error}") from error
    except TimeoutError as error:
        raise RegistryError("unreachable", f"{base_url} was silent for too long") from error


async def _body(package: Path, size: int, tell: Progress) -> AsyncIterator[bytes]:
    done = 0
    with await asyncio.to_thread(package.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            done += len(chunk)
            yield chunk
            tell("upload", done, size)


async def _read_error(content: aiohttp.StreamReader) -> bytes:
    raw = b""
    async for chunk in content.iter_chunked(8192):
        raw += chunk
        if len(raw) > 65536:
            break
    return raw


async def _listen(content: aiohttp.StreamReader, tell: Progress) -> schema.PublishResult:
    """The server's lines, to the one that says how it ended."""
    pending = b""
    lines = 0
    async for chunk in content.iter_any():
        pending += chunk
        if len(pending) > LINE_MAX:
            raise RegistryError("bad_reply", f"a line of more than {LINE_MAX} bytes")
        *complete, pending = pending.split(b"\n")
        for line in complete:
            lines += 1
            if lines > LINES_MAX:
                raise RegistryError("bad_reply", f"more than {LINES_MAX} lines")
            result = _line(line, tell)
            if result is not None:
                return result
    raise RegistryError("bad_reply", "the server's answer broke off before it said how it ended")


def _line(line: bytes, tell: Progress) -> schema.PublishResult | None:
    message = schema.decode(line)
    fields = schema.Fields(message)
    match fields.text("event", 20):
        case "check":
            tell(fields.line("check", limit=40), fields.integer("done"), fields.integer("total"))
        case "error":
            code = fields.text("code", 40)
            status = schema.STATUS_OF_CODE.get(code, 422)
            raise schema.error_from_json(status, line)
        case "done":
            return schema.publish_from_json(message)
    return None
