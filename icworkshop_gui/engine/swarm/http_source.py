"""Web servers as one more source of blocks, beside the peers or in their place (BEP 19, single file).

When to use HTTP is the session's policy; here is how: runs of whole missing pieces, one range request at a time for
each server, through the same books, hashes and limits as everything else.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import RemoteProtocolError, WorkshopError
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.net.limiter import Budget, Limiter
from icworkshop_gui.engine.net.network import HttpResponse, Network
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.picker import PiecePicker
from icworkshop_gui.engine.swarm.piece_tracker import Arrival, PieceTracker

logger = logging.getLogger("icw.swarm.http")

BACK_OFF_FIRST = 5.0
"""Seconds after the first failure; doubled each time."""

BACK_OFF_MAX = 600.0

REFUSALS_MAX = 3
"""Answers like 404 in a row after which a server is not asked again."""

RETRY_AFTER_MAX = 3600.0
"""Seconds of a server's `Retry-After` that we heed."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """Web servers that hold the torrent's bytes as one file."""

    urls: tuple[str, ...]
    allow_private: bool = False
    """For servers that the user configured: the first hop may be a private or loopback address."""


class HttpRefusal(RemoteProtocolError):
    """The server answered, and not with what we need. `final`: asking again will not help."""

    def __init__(self, reason: str, *, final: bool = False, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.final = final
        self.retry_after = retry_after


class PartsRefused(HttpRefusal):
    """The server sends the whole file or nothing."""


def check_answer(response: HttpResponse, first: int, last: int, total: int) -> None:
    """Does the answer hold bytes first..last of a file of `total` bytes?

    HttpRefusal when not (RFC 9110 §14.4, §15.3.7).
    """
    status = response.status
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if match is None:
            raise HttpRefusal("the server sent a part without saying which", final=True)
        begin, end, length = match.groups()
        if length != "*" and int(length) != total:
            raise HttpRefusal(f"the server's file has {length} bytes instead of {total}", final=True)
        if int(begin) != first or int(end) > last:
            raise HttpRefusal("the server sent another part than was asked for", final=True)
        return
    if status == 200:
        length = response.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit() and int(length) != total:
            raise HttpRefusal(f"the server's file has {length[:20]} bytes instead of {total}", final=True)
        if first:
            raise PartsRefused("the server cannot send parts of a file")
        return
    after = response.headers.get("Retry-After", "")
    retry_after = min(float(after), RETRY_AFTER_MAX) if after.isascii() and after.isdigit() else None
    raise HttpRefusal(
        f"the server answered {status}",
        final=400 <= status < 500 and status not in (408, 425, 429),
        retry_after=retry_after,
    )


class HttpSide(Protocol):
    """What the fetchers need of their swarm."""

    tracker: PieceTracker
    picker: PiecePicker
    config: SwarmConfig
    clock: Clock

    @property
    def may_ask(self) -> bool: ...

    def new_key(self) -> int: ...

    def block_useful(self, now: float) -> None: ...

    def block_wasted(self, size: int) -> None: ...

    def piece_completed(self, index: int) -> None: ...

    def events_handled(self) -> None: ...

    def cancel_at(self, keys: list[int], index: int, block: int) -> None: ...

    def blocks_released(self) -> None: ...


@dataclass(slots=True)
class _Server:
    url: str
    key: int
    message: str = ""
    failures: int = 0
    refusals: int = 0
    bad_pieces: int = 0
    given_up: bool = False
    active: bool = False
    whole_file: bool = False
    """It ignores ranges: the file is read from its beginning, and what is not needed is skipped."""
    unasked: list[tuple[int, int]] = field(default_factory=list)
    """Blocks claimed and not here yet, in the order of the file."""


class HttpFetchers:
    """One task per server while there is a source."""

    def __init__(self, side: HttpSide, network: Network, limit: Limiter) -> None:
        self._side = side
        self._network = network
        self._limit = limit
        self._servers: dict[int, _Server] = {}
        self._source: HttpSource | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        """Those that have not ended, cancelled ones included."""
        self._work = asyncio.Event()
        self.received = 0
        """Payload bytes so far."""

    @property
    def active(self) -> bool:
        return any(server.active for server in self._servers.values())

    @property
    def message(self) -> str:
        """Why the last server that failed did; empty while one delivers."""
        if self.active:
            return ""
        return next((server.message for server in self._servers.values() if server.message), "")

    @property
    def given_up(self) -> bool:
        return bool(self._servers) and all(server.given_up for server in self._servers.values())

    def use(self, source: HttpSource | None) -> None:
        """Fetch from there; None: stop. The same source again changes nothing."""
        if source == self._source:
            return
        self.stop()
        self._source = source
        self._servers.clear()
        for url in dict.fromkeys(source.urls if source is not None else ()):
            server = _Server(url, self._side.new_key())
            self._servers[server.key] = server
            task = asyncio.get_running_loop().create_task(self._serve(server))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> list[asyncio.Task[None]]:
        """Break off; the tasks that end now are returned."""
        self._source = None
        for task in self._tasks:
            task.cancel()
        return list(self._tasks)

    def wake(self) -> None:
        """There may be something to fetch again."""
        self._work.set()

    def knows(self, key: int) -> bool:
        return key in self._servers

    def lied(self, key: int) -> None:
        """A piece of this server's was corrupt."""
        server = self._servers.get(key)
        if server is None:
            return
        server.bad_pieces += 1
        if server.bad_pieces >= self._side.config.http_bad_pieces:
            server.given_up = True
            server.message = "the server's file is not the one that was published"

    # --- one server ---------------------------------------------------------------------------

    async def _serve(self, server: _Server) -> None:
        while not server.given_up:
            work = False
            if server.whole_file:
                work = self._side.may_ask and bool(self._side.tracker.pickable_mask or self._side.tracker.partial)
            elif self._side.may_ask:
                server.unasked = self._side.picker.claim_run(server.key, self._side.config.http_request_bytes)
                work = bool(server.unasked)
            if not work:
                self._work.clear()
                await self._work.wait()
                continue
            wait = 0.0
            try:
                await self._fetch(server)
                server.failures = server.refusals = 0
                server.message = ""
            except PartsRefused:
                server.whole_file = True
            except HttpRefusal as refusal:
                server.message = refusal.reason
                server.refusals += 1
                server.given_up = refusal.final and server.refusals >= REFUSALS_MAX
                wait = refusal.retry_after or self._back_off(server)
            except (OSError, TimeoutError, WorkshopError) as error:
                server.message = str(error) or "the server does not answer"
                wait = self._back_off(server)
            finally:
                server.active = False
                self._release(server)
            if wait and not server.given_up:
                await asyncio.sleep(wait)

    async def _fetch(self, server: _Server) -> None:
        geometry = self._side.tracker.geometry
        total = geometry.total_length
        if server.whole_file:
            first, last, headers, blocks = 0, total - 1, {}, self._all_blocks(server)
        else:
            first, final = self._offset(server.unasked[0]), server.unasked[-1]
            last = self._offset(final) + geometry.block_size(*final) - 1
            headers, blocks = {"Range": f"bytes={first}-{last}"}, iter(list(server.unasked))
        source = self._source
        assert source is not None
        response = await self._network.http_get(server.url, headers=headers, allow_private=source.allow_private)
        try:
            check_answer(response, first, last, total)
            server.whole_file = response.status == 200 and (server.whole_file or last + 1 < total)
            server.active = True
            await self._read(server, response, blocks)
        finally:
            await response.aclose()

    def _all_blocks(self, server: _Server) -> Iterator[tuple[int, int]]:
        """Every block of the file, as far as it is needed; what a piece lacks is claimed when its turn comes."""
        tracker = self._side.tracker
        for index in range(tracker.length):
            if not tracker.pickable_mask and not tracker.partial:
                return
            server.unasked = self._side.picker.claim_piece(server.key, index)
            for block in range(tracker.geometry.block_count(index)):
                yield index, block

    async def _read(self, server: _Server, response: HttpResponse, blocks: Iterator[tuple[int, int]]) -> None:
        """The body holds these blocks: take those that are claimed, skip the others."""
        side = self._side
        granted = asyncio.Event()
        budget = self._limit.budget(granted.set)
        pending = bytearray()
        place = next(blocks, None)
        try:
            chunks = aiter(response.chunks())
            waited = 0.0
            while True:
                asked_at = side.clock.now()
                chunk = await anext(chunks, None)
                if chunk is None:
                    break
                # Only the waiting for the server counts: neither the user's limit nor a slow disk is its fault.
                waited += side.clock.now() - asked_at
                if waited >= side.config.request_timeout:
                    raise TimeoutError("the server sends too slowly")
                pending += chunk
                taken = 0
                while place is not None and len(pending) - taken >= side.tracker.geometry.block_size(*place):
                    size = side.tracker.geometry.block_size(*place)
                    if server.unasked and server.unasked[0] == place:
                        del server.unasked[0]
                        self._take_block(server, *place, bytes(memoryview(pending)[taken : taken + size]))
                    taken += size
                    waited = 0.0
                    place = next(blocks, None)
                del pending[:taken]
                side.events_handled()
                if place is None or not side.may_ask:
                    return
                await self._until_room()
                await self._pay(budget, granted, len(chunk))
            raise HttpRefusal("the answer was shorter than promised")
        finally:
            budget.close()

    async def _until_room(self) -> None:
        """A body cannot be paused piece by piece, so the reading waits for the disk."""
        tracker = self._side.tracker
        while tracker.checking and tracker.buffered + tracker.geometry.piece_length > self._side.config.max_buffered:
            self._work.clear()
            await self._work.wait()

    async def _pay(self, budget: Budget, granted: asyncio.Event, count: int) -> None:
        budget.charge(count)
        if not budget.unlimited and budget.available(self._side.clock.now()) <= 0:
            granted.clear()
            budget.wait(count)
            await granted.wait()

    def _take_block(self, server: _Server, index: int, block: int, data: bytes) -> None:
        side = self._side
        self.received += len(data)
        others = side.tracker.others_asked(index, block, server.key)
        if others:
            side.cancel_at(others, index, block)
        arrival = side.tracker.arrived(index, block, data, server.key)
        if arrival is Arrival.UNWANTED:
            side.block_wasted(len(data))
            return
        side.block_useful(side.clock.now())
        if arrival is Arrival.COMPLETED:
            side.piece_completed(index)

    def _release(self, server: _Server) -> None:
        if server.unasked:
            for index, block in server.unasked:
                self._side.tracker.release(index, block, server.key)
            server.unasked = []
            self._side.blocks_released()

    def _back_off(self, server: _Server) -> float:
        server.failures += 1
        return float(min(BACK_OFF_MAX, BACK_OFF_FIRST * 2 ** min(server.failures - 1, 16)))

    def _offset(self, where: tuple[int, int]) -> int:
        index, block = where
        return self._side.tracker.geometry.piece_offset(index) + block * BLOCK_SIZE
