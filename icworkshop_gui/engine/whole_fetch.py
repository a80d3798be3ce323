"""A package over plain HTTP, where nobody names a torrent of it: an index often knows no more than an address.

There are no piece hashes to check single pieces by, so the whole is fetched to a file beside the download, and believed
once its SHA-256 is right. It goes on where it was after an interruption.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from icworkshop_gui.core.errors import RegistryError, RemoteProtocolError
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.net.network import HttpResponse, Network
from icworkshop_gui.engine.swarm.webseed.places import WebSeedUrl
from icworkshop_gui.store.durable import disk_errors

log = logging.getLogger("icw.transfer")

WRITE_SIZE = MIB
"""Bytes that are written at once."""
TIMEOUT = 30.0
"""Seconds of silence after which a server is given up."""
WAIT_SECONDS = 0.25
"""Between two looks at whether it may go on."""
RATE_SECONDS = 2.0
"""Over how long the speed shown is smoothed."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(?:\d{1,15}|\*)", re.ASCII)


class Terms(Protocol):
    """What the transfer and its session say meanwhile."""

    def may_run(self) -> bool: ...

    def rate(self) -> int | None:
        """Bytes a second; None for no limit."""
        ...


class WholeFetch:
    """One fetch; `done` and `speed` may be looked at while it runs."""

    def __init__(
        self,
        network: Network,
        in_disk: Callable[[Callable[[], int]], Awaitable[int]],
        now: Callable[[], float],
        terms: Terms,
    ) -> None:
        self._network = network
        self._in_disk = in_disk
        self._now = now
        self._terms = terms
        self.done = 0
        """Bytes in the file."""
        self.received = 0
        """Bytes received in this run."""
        self.speed = 0.0
        """Bytes a second."""

    async def run(self, places: Sequence[WebSeedUrl], path: Path, size: int) -> None:
        """Until `size` bytes are in `path`, from the first of `places` that gives them. StorageError; RegistryError
        "unreachable" when none does now, "lied" when what is there is longer.
        """
        trouble = "no web address is named"
        for place in places:
            try:
                await self._from(place, path, size)
            except (OSError, TimeoutError, RemoteProtocolError) as error:
                trouble = f"{place.url} does not give it: {error}"
                log.info("event=whole-fetch-failed url=%s: %s", place.url, error)
            else:
                return
        raise RegistryError("unreachable", trouble)

    async def _from(self, place: WebSeedUrl, path: Path, size: int) -> None:
        while True:
            self.done = await self._in_disk(lambda: _length(path))
            if self.done >= size:
                return
            while not self._terms.may_run():  # noqa: ASYNC110  what it waits for is the player, the queue or the network
                await asyncio.sleep(WAIT_SECONDS)
            headers = {"Range": f"bytes={self.done}-"} if self.done else {}
            reply = await self._network.http_get(
                place.url, headers=headers, timeout=TIMEOUT, allow_private=place.allow_private
            )
            try:
                await self._take(reply, path, size)
            finally:
                await reply.aclose()
                self.speed = 0.0

    async def _take(self, reply: HttpResponse, path: Path, size: int) -> None:
        """As much as comes before it must stop. OSError when it breaks off."""
        if reply.status == 206:
            found = _CONTENT_RANGE.fullmatch(
                next((v for k, v in reply.headers.items() if k.lower() == "content-range"), "")
            )
            if found is None or int(found[1]) != self.done:
                raise RemoteProtocolError("answers with another range than the one that was asked for")
        elif reply.status == 200:
            self.done = await self._in_disk(lambda: _cut(path))
        else:
            raise RemoteProtocolError(f"HTTP {reply.status}")
        buffer = bytearray()
        started, got = self._now(), 0
        async for chunk in reply.chunks():
            buffer += chunk
            got += len(chunk)
            self.received += len(chunk)
            if self.done + len(buffer) > size:
                raise RegistryError(
                    "lied", f"What lies at that address is longer than the {size} bytes that were named."
                )
            self.speed = got / max(self._now() - started, RATE_SECONDS / 4)
            if len(buffer) >= WRITE_SIZE:
                await self._write(path, buffer)
            await self._keep_pace(started, got)
            if not self._terms.may_run():
                break
        await self._write(path, buffer)
        if self._terms.may_run() and self.done < size:
            raise OSError("the connection ended early")

    async def _write(self, path: Path, buffer: bytearray) -> None:
        data = bytes(buffer)
        buffer.clear()
        self.done = await self._in_disk(lambda: _append(path, data))

    async def _keep_pace(self, started: float, got: int) -> None:
        """Within the limit that holds now, and not at all while it is 0."""
        while self._terms.may_run():
            rate = self._terms.rate()
            if rate is None or (rate > 0 and self._now() - started >= got / rate):
                return
            await asyncio.sleep(WAIT_SECONDS if not rate else min(WAIT_SECONDS, got / rate))


def _length(path: Path) -> int:
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.stat().st_size if path.exists() else 0


def _cut(path: Path) -> int:
    with disk_errors():
        path.write_bytes(b"")
    return 0


def _append(path: Path, data: bytes) -> int:
    with disk_errors(), open(path, "ab") as file:
        file.write(data)
        file.flush()
        return os.fstat(file.fileno()).st_size
