"""Web servers for swarms in virtual time: files by path, a line of some speed, and every way to misbehave."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.engine.net.network import ForbiddenAddress
from tests.helpers.fake_peer import FakeAnswer

CHUNK = 10_000


class Line:
    """What all answers of one server share, bytes a second; None: at once."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def carry(self, count: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._rate is None:
            await asyncio.sleep(0.0001)
            return
        self._free_at = max(self._free_at, now) + count / self._rate
        await asyncio.sleep(self._free_at - now)


@dataclass
class Flow(FakeAnswer):
    """An answer whose body comes over a line."""

    line: Line = field(default_factory=lambda: Line(None))

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.body), CHUNK):
            chunk = self.body[at : at + CHUNK]
            await self.line.carry(len(chunk))
            if self.breaks_at is not None and at + len(chunk) > self.breaks_at:
                yield chunk[: self.breaks_at - at]
                raise ConnectionError("broke off")
            yield chunk


class WebServer:
    """One host. `files`: path without its first slash -> bytes. `latency` is the network's, before every answer."""

    def __init__(self, files: Mapping[str, bytes], *, rate: float | None = None, ranges: bool = True) -> None:
        self.files = dict(files)
        self.line = Line(rate)
        self.ranges = ranges
        self.asked: list[tuple[str, int, int]] = []
        """(path, first, last) of every file that was asked for."""
        self.flows: list[Flow] = []
        self.sent = 0
        """Bytes of all bodies that were promised."""
        self.before: Callable[[str, Mapping[str, str]], FakeAnswer | None] = lambda url, headers: None
        """Answers in its place when it returns something."""

    def __call__(self, url: str, headers: Mapping[str, str]) -> FakeAnswer:
        return self.before(url, headers) or self.answer(url, headers)

    def answer(self, url: str, headers: Mapping[str, str]) -> FakeAnswer:
        path = unquote(urlsplit(url).path)[1:]
        whole = self.files.get(path)
        if whole is None:
            return self._flow(404, {}, b"nothing here")
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("Range", "")) if self.ranges else None
        first, last = (int(match[1]), int(match[2])) if match else (0, len(whole) - 1)
        self.asked.append((path, first, last))
        if match is None:
            return self._flow(200, {"Content-Length": str(len(whole))}, whole)
        return self._flow(206, {"Content-Range": f"bytes {first}-{last}/{len(whole)}"}, whole[first : last + 1])

    def _flow(self, status: int, headers: Mapping[str, str], body: bytes) -> Flow:
        flow = Flow(status, headers, body, line=self.line)
        self.flows.append(flow)
        self.sent += len(body)
        return flow


class ScriptServer(WebServer):
    """BEP 17 over the bytes of one torrent. `busy`: seconds to name in a 503 for so many questions first."""

    def __init__(self, whole: bytes, piece_length: int, *, busy: tuple[int, ...] = ()) -> None:
        super().__init__({})
        self._whole = whole
        self._piece_length = piece_length
        self._busy = list(busy)
        self.queries: list[dict[str, list[str]]] = []

    def answer(self, url: str, headers: Mapping[str, str]) -> FakeAnswer:
        fields = parse_qs(urlsplit(url).query, encoding="latin-1")
        self.queries.append(fields)
        if self._busy:
            return self._flow(503, {}, str(self._busy.pop(0)).encode())
        offset = int(fields["piece"][0]) * self._piece_length
        spans = [tuple(map(int, part.split("-"))) for part in fields["ranges"][0].split(",")]
        return self._flow(200, {}, b"".join(self._whole[offset + first : offset + last + 1] for first, last in spans))


@dataclass
class Web:
    """All hosts of a network, as `MemoryNetwork.on_http`. `forbidden`: hosts on private networks."""

    hosts: dict[str, Callable[[str, Mapping[str, str]], FakeAnswer]]
    redirects: dict[str, str] = field(default_factory=dict)
    """URL -> where it leads."""
    forbidden: frozenset[str] = frozenset()
    reached: list[str] = field(default_factory=list)
    """Every URL that a host was asked for."""

    def __call__(self, url: str, headers: Mapping[str, str]) -> FakeAnswer:
        for _ in range(6):
            host = urlsplit(url).hostname or ""
            if host in self.forbidden:
                raise ForbiddenAddress(f"{host} is not a public address")
            self.reached.append(url)
            if url not in self.redirects:
                return self.hosts[host](url, headers)
            url = self.redirects[url]
        raise RemoteProtocolError("more than 5 redirects")
