"""One request to a web server, from its headers to the books. How often it runs, and for what, is `asking`'s affair."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import RemoteProtocolError, WorkshopError
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.net.charged import head_size
from icworkshop_gui.engine.net.limiter import Budget, ConnectionClass, Limiter
from icworkshop_gui.engine.net.network import ForbiddenAddress, HttpResponse, Network
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.pace import RequestPace
from icworkshop_gui.engine.swarm.piece_tracker import HERE, Arrival, PieceTracker
from icworkshop_gui.engine.swarm.webseed import answers
from icworkshop_gui.engine.swarm.webseed.answers import Busy, RangesRefused, Refusal
from icworkshop_gui.engine.swarm.webseed.claims import Claims, Place
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.places import FileMap, SeedKind, WebFile
from icworkshop_gui.engine.swarm.webseed.reader import BlockReader
from icworkshop_gui.engine.swarm.webseed.seed import WebSeed

KEPT_MAX = 64
"""Parts of blocks, 16 KiB each at most, that are kept for the time after a preemption."""
ZEROS = bytes(BLOCK_SIZE)
HEADER = 40
"""Bytes of IPv4 and TCP in a packet."""


class WebSide(Protocol):
    """What the fetching needs of its swarm."""

    tracker: PieceTracker
    counts: Availability
    config: SwarmConfig
    clock: Clock
    pace: RequestPace

    @property
    def tier(self) -> Tier: ...

    @property
    def may_ask(self) -> bool: ...

    def new_key(self) -> int: ...

    def block_useful(self, now: float) -> None: ...

    def block_wasted(self, size: int) -> None: ...

    def piece_completed(self, index: int) -> None: ...

    def events_handled(self) -> None: ...

    def cancel_at(self, keys: list[int], index: int, block: int) -> None: ...

    def blocks_released(self) -> None: ...


@dataclass(slots=True, eq=False)
class Run:
    """One stretch of blocks asked of one server."""

    seed: WebSeed
    blocks: deque[Place]
    """Claimed and not here yet, ascending."""
    began_at: float
    asked: int
    """Bytes that count as asked and have not come."""
    task: asyncio.Task[None] | None = None
    reading: bool = False
    waited: float = 0.0
    """Seconds that the server kept us waiting since the last whole block."""
    file: WebFile | None = None
    """That is being asked for."""
    reader: BlockReader | None = None


@dataclass(slots=True)
class _Line:
    """One request's part in the download limit."""

    budget: Budget
    granted: asyncio.Event = field(default_factory=asyncio.Event)


class Fetcher:
    """Serves the runs of one swarm."""

    def __init__(self, side: WebSide, network: Network, limit: Limiter, claims: Claims, config: WebSeedConfig) -> None:
        self._side = side
        self._network = network
        self._limit = limit
        self._claims = claims
        self._config = config
        """Only the times of it, which nobody changes."""
        self._room = asyncio.Event()
        self._kept: dict[tuple[int, Place], tuple[int, bytes]] = {}
        """By server and block: what came of it before it was preempted, and where in the torrent that begins."""
        self.received = 0
        """Payload bytes so far."""

    def wake(self) -> None:
        """There may be room for a piece again."""
        self._room.set()

    async def serve(self, run: Run, files: FileMap) -> None:
        """Ask for the run's blocks and take them in; what goes wrong is written down with the server."""
        seed = run.seed
        granted = asyncio.Event()
        budget = self._limit.budget(granted.set, classes=(ConnectionClass.TCP,), header=HEADER)
        line = _Line(budget, granted)
        try:
            if seed.place.kind is SeedKind.SCRIPT:
                await self._fetch_script(run, files, line)
            elif seed.ranges is False:
                await self._fetch_whole(run, files, line)
            else:
                await self._fetch_ranges(run, files, line)
        except RangesRefused as refusal:
            seed.ranges = False
            seed.message = refusal.reason
        except Busy as busy:
            seed.busy(busy.reason, busy.seconds, self._side.clock.now())
        except ForbiddenAddress as error:
            seed.give_up(str(error))
        except (OSError, TimeoutError, WorkshopError) as error:
            self._failed(run, files, error)
        except asyncio.CancelledError:
            self._keep(run)
            raise
        else:
            if not self._side.may_ask:
                self._keep(run)
            seed.delivered()
        finally:
            run.reading = False
            self._break_off(run)
            line.budget.close()

    def _reader(self, run: Run, position: int) -> BlockReader:
        self._break_off(run)
        run.reader = BlockReader(self._span, run.blocks, position)
        self.sweep()
        if run.blocks and (run.seed.key, run.blocks[0]) in self._kept and position == self._begin(run.blocks[0]):
            run.reader.go_on(self._kept.pop((run.seed.key, run.blocks[0]))[1])
        return run.reader

    def _break_off(self, run: Run) -> None:
        if run.reader is not None:
            self._side.block_wasted(len(run.reader.break_off()))

    def _keep(self, run: Run) -> None:
        """Preempted in the middle of a block: the same server is asked from the next byte later."""
        if run.reader is None or not run.blocks or run.seed.given_up or len(self._kept) >= KEPT_MAX:
            return
        part = run.reader.break_off()
        if part:
            self._kept[run.seed.key, run.blocks[0]] = (run.reader.position - len(part), part)

    def sweep(self) -> None:
        """Parts of blocks that others have sent, or that a server which lied began, are of no use any more."""
        if not self._kept:
            return
        tracker = self._side.tracker
        for (key, place), (begin, _part) in list(self._kept.items()):
            piece = tracker.open.get(place[0])
            is_here = piece.blocks[place[1]] == HERE if piece else not tracker.missing_mask >> place[0] & 1
            if is_here or self._begin(place) != begin:
                self._forget(key, place)

    def forget(self, key: int) -> None:
        """Nothing of this server is believed any more."""
        for found, place in [each for each in self._kept if each[0] == key]:
            self._forget(found, place)

    def _forget(self, key: int, place: Place) -> None:
        self._side.block_wasted(len(self._kept.pop((key, place))[1]))

    def _failed(self, run: Run, files: FileMap, error: Exception) -> None:
        message = error.reason if isinstance(error, Refusal) else str(error) or "the server does not answer"
        seed, tracker = run.seed, self._side.tracker
        seed.failed(message, run.began_at, self._side.clock.now(), self._config)
        if isinstance(error, Refusal) and error.lacking and run.file is not None and len(files.files) > 1:
            affected = tracker.geometry.pieces_of(run.file.offset, run.file.size)
            seed.lacks |= ((1 << len(affected)) - 1) << affected.start
            if not tracker.interesting_mask & ~seed.lacks:
                seed.give_up(message)

    async def _fetch_ranges(self, run: Run, files: FileMap, line: _Line) -> None:
        """BEP 19: one range of each file that the run touches."""
        reader = self._reader(run, self._begin(run.blocks[0]))
        while run.blocks and self._side.may_ask:
            last = self._end(run.blocks[-1]) - 1
            span = next(files.spans(reader.position, last))
            run.file = span.file
            if span.file.is_pad:
                self._feed_zeros(run, reader, span.length)
                continue
            first, end = span.first - span.file.offset, span.last - span.file.offset
            response = await self._get(
                run, files.url(run.seed.place, span.file), {"Range": f"bytes={first}-{end}"}, line
            )
            try:
                length = answers.check_range(response, first, end, span.file.size)
                if response.status == 206:
                    run.seed.ranges = True
                await self._read(run, reader, response, length, line)
            finally:
                await response.aclose()
            if run.blocks and length < span.length:
                raise RemoteProtocolError("the answer was shorter than asked for")

    async def _fetch_script(self, run: Run, files: FileMap, line: _Line) -> None:
        """BEP 17: one piece, or what is lacking of it."""
        reader = self._reader(run, self._begin(run.blocks[0]))
        index, _block = run.blocks[0]
        offset = self._side.tracker.geometry.piece_offset(index)
        first, end = reader.position - offset, self._end(run.blocks[-1]) - offset
        url = files.script_url(run.seed.place, index, [(first, end - 1)])
        response = await self._get(run, url, {}, line)
        try:
            if response.status == 503:
                try:
                    seconds = answers.busy_seconds(await response.read(answers.BUSY_BODY_MAX))
                except RemoteProtocolError:
                    seconds = None  # a page for people
                if seconds is not None:
                    raise Busy("the server is busy", seconds)
            answers.check_script(response, end - first)
            await self._read(run, reader, response, end - first, line)
        finally:
            await response.aclose()

    async def _fetch_whole(self, run: Run, files: FileMap, line: _Line) -> None:
        """Whole files from a server without ranges, one after the other; what is not needed of them is thrown away."""
        tracker = self._side.tracker
        reader: BlockReader | None = None
        for file in files.files:
            pieces = tracker.geometry.pieces_of(file.offset, file.size)
            mask = ((1 << len(pieces)) - 1) << pieces.start
            if not self._side.may_ask:
                return
            if not self._claims.work() & mask & ~run.seed.lacks and not run.blocks:
                reader = None
                continue
            if reader is None or reader.position != file.offset:
                reader = self._reader(run, file.offset)
            run.file = file
            if file.is_pad:
                await self._claim_ahead(run, reader, file.size)
                self._feed_zeros(run, reader, file.size)
                continue
            response = await self._get(run, files.url(run.seed.place, file), {}, line)
            try:
                answers.check_whole(response, file.size)
                await self._read(run, reader, response, file.size, line, claiming=True)
            finally:
                await response.aclose()

    async def _get(self, run: Run, url: str, headers: dict[str, str], line: _Line) -> HttpResponse:
        # Under a limit nothing is asked for before something may come.
        await self._pay(line, 0)
        response = await self._network.http_get(
            url,
            headers=headers,
            timeout=self._config.answer_timeout,
            allow_private=run.seed.place.allow_private,
        )
        line.budget.charge(head_size(response.headers))
        run.reading = True
        return response

    async def _read(
        self,
        run: Run,
        reader: BlockReader,
        response: HttpResponse,
        length: int,
        line: _Line,
        *,
        claiming: bool = False,
    ) -> None:
        """Take `length` bytes of the body. `claiming`: blocks are claimed as the stream comes to them."""
        side = self._side
        chunks = aiter(response.chunks())
        while length:
            asked_at = side.clock.now()
            chunk = await anext(chunks, None)
            if chunk is None:
                raise RemoteProtocolError("the answer was shorter than promised")
            # Only the waiting for the server counts: neither the user's limit nor a slow disk is its fault.
            run.waited += side.clock.now() - asked_at
            if run.waited >= self._config.request_timeout:
                raise TimeoutError("the server sends too slowly")
            if len(chunk) > length:
                # More than was asked for is not listened to.
                chunk = chunk[:length]
            length -= len(chunk)
            if claiming and not await self._claim_ahead(run, reader, len(chunk)):
                return
            self._take(run, reader, chunk)
            if not side.may_ask or not (run.blocks or claiming):
                return
            await self._pay(line, len(chunk))

    def _take(self, run: Run, reader: BlockReader, chunk: bytes, *, over_the_wire: bool = True) -> None:
        side, seed = self._side, run.seed
        before, skipped = reader.position, reader.skipped
        for (index, block), data in reader.feed(chunk):
            run.waited = 0.0
            run.asked = max(0, run.asked - len(data))
            others = side.tracker.others_asked(index, block, seed.key)
            if others:
                side.cancel_at(others, index, block)
            arrival = side.tracker.arrived(index, block, data, seed.key)
            if arrival is Arrival.UNWANTED:
                side.block_wasted(len(data))
                continue
            side.block_useful(side.clock.now())
            if arrival is Arrival.COMPLETED:
                side.piece_completed(index)
        if over_the_wire:
            count = reader.position - before
            self.received += count
            seed.received += count
            if reader.skipped > skipped:
                side.block_wasted(reader.skipped - skipped)
                if reader.position // BLOCK_SIZE > before // BLOCK_SIZE:
                    run.waited = 0.0
        side.events_handled()

    def _feed_zeros(self, run: Run, reader: BlockReader, count: int) -> None:
        """Padding (BEP 47) is nowhere on the server: it is known."""
        while count and run.blocks:
            self._take(run, reader, ZEROS[:count], over_the_wire=False)
            count -= min(count, len(ZEROS))

    async def _claim_ahead(self, run: Run, reader: BlockReader, count: int) -> bool:
        """Claim what the next `count` bytes of a whole file hold. False when nothing more of it is needed."""
        tracker = self._side.tracker
        for index in tracker.geometry.pieces_of(reader.position, count):
            if run.blocks and run.blocks[-1][0] >= index:
                continue
            while not (blocks := self._claims.piece(run.seed.key, index)):
                if not self._claims.work() & ~run.seed.lacks >> index << index and not run.blocks:
                    return False
                if not self._claims.work() >> index & 1 or not self._side.may_ask:
                    break
                # A body cannot be paused piece by piece, so the reading waits for the disk.
                self._room.clear()
                await self._room.wait()
            for place in blocks:
                if self._begin(place) >= reader.position:
                    run.blocks.append(place)
                else:
                    # Its beginning has gone by.
                    tracker.release(*place, run.seed.key)
        return True

    async def _pay(self, line: _Line, count: int) -> None:
        line.budget.charge(count)
        if not line.budget.unlimited and line.budget.available(self._side.clock.now()) <= 0:
            line.granted.clear()
            line.budget.wait(count)
            await line.granted.wait()

    def _span(self, place: Place) -> tuple[int, int]:
        """First byte, in the torrent, and length of what is asked for of a block."""
        tracker = self._side.tracker
        begin, length = tracker.span(*place)
        return tracker.geometry.piece_offset(place[0]) + begin, length

    def _begin(self, place: Place) -> int:
        return self._span(place)[0]

    def _end(self, place: Place) -> int:
        return sum(self._span(place))
