"""One transfer from wish to sharing: which phase it is in, what runs for it, why nothing moves.

    PREPARING ──► LOOKING ──► CHECKING ──► FETCHING ──► FINISHING ──► COMPLETE
        │            │            │ ▲           │
        └────────────┴────────────┴─┼───────────┴──► FAILED
                                    └── bad bytes found while finishing: fetched again

A phase is left only by `_life`, the one task of the transfer. What runs (swarm, trackers, HTTP) follows from
the phase, the user's pause, the queue's verdict and the sharing switches, and is brought about by `_adjust`.
Disk and network trouble never ends a transfer: it waits with a reason and tries again.

A complete transfer that is shared sleeps while nobody comes: others can find it (`presence`), but it has no swarm and
no file open. The first peer wakes it, and it goes to sleep again when the last has been gone for `SLEEP_AFTER`. A seed
that was told of peers stays awake until it has reached them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol, TypeVar

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import (
    DISTRUST,
    Conflict,
    IntegrityError,
    RegistryError,
    StorageError,
    UserError,
    WorkshopError,
)
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.engine.api.events import (
    EngineFault,
    Event,
    PeerBanned,
    ReleaseStaged,
    TransferFinished,
    TransferStalled,
)
from icworkshop_gui.engine.api.snapshots import FileSnapshot, Reason
from icworkshop_gui.engine.bandwidth import Bandwidth
from icworkshop_gui.engine.content import Content, Opened, TorrentContent
from icworkshop_gui.engine.discovery.tracker import AnnounceStats
from icworkshop_gui.engine.disk_task import run_job
from icworkshop_gui.engine.errands import Errand, Files
from icworkshop_gui.engine.exchange import Exchange, Neighbourhood, is_http_only
from icworkshop_gui.engine.metadata.fetch import Found, Guest, MetadataFetch
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.presence import Presence, Town
from icworkshop_gui.engine.queueing import SLOW_RATE, SLOW_SECONDS, TURN_SECONDS, Sharing
from icworkshop_gui.engine.shelf import Shelf
from icworkshop_gui.engine.swarm.hints import Hints
from icworkshop_gui.engine.swarm.swarm import Swarm, SwarmStats
from icworkshop_gui.engine.swarm.webseed.places import WebSeedUrl
from icworkshop_gui.engine.whole_fetch import WholeFetch
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.urls import is_web_seed_url
from icworkshop_gui.store.disk import Ranked
from icworkshop_gui.store.transfers import TransferRecord, TransferStats, with_stats
from icworkshop_gui.wire.peer.handshake import Handshake

log = logging.getLogger("icw.transfer")
R = TypeVar("R")

RETRY_FIRST, RETRY_MAX = 2.0, 60.0
"""Seconds until the next try after the disk or the registry refused: doubling from the first to the second."""
TURN_LOOK = 0.5
"""Seconds between two looks whether the other one has brought what both need."""
NO_SOURCE_AFTER = 30.0
"""Seconds without a useful byte after which the transfer says so (gui.md B0.2)."""
FINISH_ATTEMPTS = 3
"""Times that a package is fetched again after its SHA-256 did not match."""
STATS_SECONDS, STATS_SECONDS_SHARED = 0.05, 1.0
"""Counters are added up once for everybody who wants them within this; to add them up costs a look at every peer."""
SLEEP_AFTER = 60.0
"""Seconds without a peer after which a shared package closes its files and its swarm."""
VISITORS_MAX = 16
"""Peers that wait while a sleeping package wakes; a fraction of a second, and those who wait cost us a socket each."""
NEIGHBOUR_SECONDS = 1800.0
"""For so long a sleeping package is not woken again by the same peer of this network."""
HEARD_OF_MAX = 500
"""Peers of each source that are remembered for a swarm that is not there yet."""
HOLDS = frozenset({Reason.LOBBY_FIRST, Reason.TIER, Reason.SLOT})
"""Others go first for a while: what is half done, and the peers, are kept, so that nothing must come again."""
STUCK = frozenset({Reason.NO_SOURCE, Reason.DISK, Reason.HASH})
"""Nobody waits for what such a transfer may bring."""


def bytes_of(geometry: Geometry, have: Bitfield) -> int:
    """Bytes of these pieces."""
    if not have.count:
        return 0
    done = have.count * geometry.piece_length
    last = geometry.piece_count - 1
    if last in have:
        done -= geometry.piece_length - geometry.piece_size(last)
    return done


class Phase(Enum):
    PREPARING = auto()
    """Asking the registry for torrent and skeleton; waiting for another that brings the same files."""
    LOOKING = auto()
    """Finding out what is here already of a new package."""
    CHECKING = auto()
    """Reading what is on the disk."""
    FETCHING = auto()
    FINISHING = auto()
    """Verifying by SHA-256, publishing, installing."""
    COMPLETE = auto()
    FAILED = auto()


BUSY_PHASES = (Phase.LOOKING, Phase.CHECKING, Phase.FINISHING)
"""In which the progress is that of the disk."""


class Surroundings(Neighbourhood, Town, Protocol):
    """What a transfer needs of the session."""

    bandwidth: Bandwidth

    async def in_disk(self, job: Callable[[], R]) -> R:
        """Run a blocking job on the disk pool."""
        ...

    def shut_reason(self) -> tuple[Reason, tuple[tuple[str, str], ...]]:
        """Why the limits let nothing pass, and its data."""
        ...

    def tell(self, event: Event) -> None: ...

    def changed(self, transfer: Transfer) -> None:
        """Phase or record changed: save the record, decide the queue anew, and all that `touched` does."""
        ...

    def touched(self, transfer: Transfer) -> None:
        """Something that others see changed, it woke or fell asleep; nothing must be saved or decided."""
        ...

    def decide(self) -> None:
        """Give every transfer its verdict now."""
        ...

    async def settle(self, transfer: Transfer) -> None:
        """Its content is verified and in the store: bring it to its place, together with what belongs to it."""
        ...

    async def finished(self, transfer: Transfer) -> None:
        """Its content is verified and in its place."""
        ...

    def sharing_on(self) -> bool:
        """May anything be uploaded here and now?"""
        ...

    def by_info_hash(self, info_hash: InfoHash) -> Transfer | None: ...

    def rival(self, errand: Errand) -> Transfer | None:
        """Who is fetching what this one needs."""
        ...


class Transfer:
    """See the module. Everything runs on the engine's loop."""

    def __init__(
        self, session: Surroundings, transfer_id: TransferId, content: Content, record: TransferRecord
    ) -> None:
        self._session = session
        self.id = transfer_id
        self.content = content
        self.record = record
        self.phase = Phase.PREPARING
        self.whole: WholeFetch | None = None
        """While the package is fetched whole, because no torrent of it is named."""
        self.reason = Reason.NONE
        self.reason_data: tuple[tuple[str, str], ...] = ()
        self.retry_at: float | None = None
        self.forced = False
        self.verdict = Reason.SLOT
        """The queue's word; NONE lets it run."""
        self.verdict_data: tuple[tuple[str, str], ...] = ()
        self.progress = 0
        """Bytes that the current check or verification has read."""
        self.file_rows: tuple[bytes, tuple[FileSnapshot, ...]] | None = None
        """How far its files were, and the pieces that were had then; of `describe`."""
        self.extra_peers: list[Endpoint] = []
        self.presence: Presence | None = None
        """How others find it; None while they must not."""
        self._neighbours: dict[Endpoint, float] = {}
        """When we went to see them."""
        self._heard_of: dict[PeerSource, list[Endpoint]] = {}
        """Peers for a swarm that is not there yet."""
        self._meeting: MetadataFetch | None = None
        """Peers are asked what a magnet link means."""
        self._guests: list[Guest] = []
        """Those of them who wait for the swarm."""
        self._may_meet = asyncio.Event()
        self.exchange: Exchange | None = None
        """Its swarm; None while nothing runs, and while nobody comes for what is shared."""
        self._visitors: list[tuple[Stream, Handshake, bytes]] = []
        self._called = False
        """Somebody wants what sleeps."""
        self._deserted_at = math.inf
        self._busy_at = -math.inf
        """When bytes last flowed at more than a trickle, or it began to run."""
        self._shared_at = -math.inf
        self._counts: tuple[int | None, int] = (None, 0)
        """Other seeds, and leechers, as the trackers said last."""
        self._files: Files | None = None
        """What it fetches once it has begun."""
        self._have: Bitfield | None = None
        self._hints: Hints = {}
        self._shelf: Shelf | None = None
        self._task: asyncio.Task[None] | None = None
        self._switch = asyncio.Lock()
        self._complete = asyncio.Event()
        self._nudge = asyncio.Event()
        self._contradiction: IntegrityError | None = None
        """Right bytes that do not fit where the skeleton wants them."""
        self._recheck = False
        self._stopping = False
        self._disk_retry = RETRY_FIRST
        self._disk_retry_at: float | None = None
        self._saved_stats = record.stats
        self._stats: SwarmStats | None = None
        self._stats_at = -math.inf
        self._down = session.bandwidth.down.transfer(record.tier, record.limit_down)
        self._up = session.bandwidth.up.transfer(record.tier, record.limit_up)

    # --- facts -----------------------------------------------------------------------------------

    @property
    def ref(self) -> PackageRef | None:
        return self.content.ref

    @property
    def is_complete(self) -> bool:
        return self.phase is Phase.COMPLETE

    @property
    def is_fetching(self) -> bool:
        """It fetches now, or would if the queue let it."""
        return self.phase in (Phase.PREPARING, Phase.LOOKING, Phase.CHECKING, Phase.FETCHING)

    @property
    def share_wanted(self) -> bool:
        """As far as this transfer goes; the queue and the network have their say too."""
        return self.record.sharing and (self.ref is None or not self._is_http_only)

    @property
    def is_shared(self) -> bool:
        """Complete, and others can find it."""
        return self.phase is Phase.COMPLETE and self.presence is not None

    @property
    def is_idle(self) -> bool:
        """It runs, and for a minute hardly a byte has flowed."""
        return self.presence is not None and self._session.world.clock.now() - self._busy_at >= SLOW_SECONDS

    @property
    def connections(self) -> int:
        """Peers here, being dialled, and waiting at the door."""
        meeting = 0 if self._meeting is None else self._meeting.connections
        here = 0 if self.exchange is None else self.exchange.swarm.connections
        return len(self._visitors) + len(self._guests) + meeting + here

    @property
    def is_lively(self) -> bool:
        """Something goes on: what others see of it changes by itself."""
        running = self.exchange is not None or self._meeting is not None or self.whole is not None
        return running or bool(self._visitors) or self.phase in BUSY_PHASES

    @property
    def is_asking_peers(self) -> bool:
        """Only the hash is known, and peers are asked for the rest."""
        return self._meeting is not None

    @property
    def _is_http_only(self) -> bool:
        return is_http_only(self.content, self._session.settings)

    @property
    def shared_seconds(self) -> float:
        """How long it has been shared, all sessions together."""
        running = self._session.world.clock.now() - self._shared_at if self.is_shared else 0.0
        return self.record.shared_seconds + running

    def sharing(self, goal: SeedGoal) -> Sharing:
        """What the queue looks at; `goal` for a transfer that has none of its own."""
        now = self._session.world.clock.now()
        others, leechers = self._look_around()
        goal = self.record.goal or goal
        reached = not self.record.seed_only and goal.is_reached(
            uploaded=self.totals(self.stats()).uploaded,
            size=self.content.size,
            shared=self.shared_seconds,
            seeds=others,
        )
        return Sharing(
            id=self.id,
            paused=self.record.paused,
            forced=self.forced,
            done=reached,
            seeds=others,
            leechers=leechers,
            idle=self.is_shared and self.is_idle,
            turn_over=self.is_shared and now - self._shared_at >= TURN_SECONDS,
            shared_at=self._shared_at,
            running=self.is_shared,
        )

    def _look_around(self) -> tuple[int | None, int]:
        """Other seeds, and leechers; what was known last while nobody is asked."""
        if self.presence is not None:
            seeds, leechers = self.presence.counts()
            if seeds is not None:
                self._counts = max(0, seeds - self.is_shared), leechers
        return self._counts

    @property
    def swarm(self) -> Swarm | None:
        return None if self.exchange is None else self.exchange.swarm

    @property
    def have(self) -> Bitfield | None:
        """Verified pieces; None before the first look at the disk."""
        return self._have if self.exchange is None else self.exchange.swarm.have

    def stats(self) -> SwarmStats | None:
        """Not older than `STATS_SECONDS`, or `STATS_SECONDS_SHARED` of what is complete; None without a swarm."""
        if self.exchange is None:
            return None
        now = self._session.world.clock.now()
        age = STATS_SECONDS_SHARED if self.phase is Phase.COMPLETE else STATS_SECONDS
        if self._stats is None or now - self._stats_at >= age:
            self._stats, self._stats_at = self.exchange.swarm.stats(), now
        return self._stats

    @property
    def waits_for_another(self) -> bool:
        """Its slot is free for others meanwhile."""
        return self.phase in (Phase.PREPARING, Phase.FINISHING) and self.reason is Reason.DEP

    @property
    def errand(self) -> Errand | None:
        """What it is fetching; None while it is not, or does not get on."""
        is_stuck = self.record.paused or self.is_idle or self.reason in STUCK
        if self._files is None or is_stuck or self.phase not in (*BUSY_PHASES, Phase.FETCHING):
            return None
        return self._errand(self._files)

    def _errand(self, files: Files) -> Errand:
        return Errand(id=self.id, tier=self.record.tier, files=files, held=self.verdict is not Reason.NONE)

    # --- life ------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Instead of `start`, for what is complete and known to be in its place: nothing is read again."""
        self.phase = Phase.COMPLETE
        self.verdict = Reason.TURN

    def start(self) -> None:
        """Begin, or go on after a restart."""
        self._task = asyncio.get_running_loop().create_task(self._life(), name=f"transfer-{self.id}")

    async def stop(self) -> None:
        """Everything written down and closed; the content stays. Safe to call twice."""
        self._stopping = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with self._switch:
            await self._vanish()
            await self._close_shelf()

    async def recheck(self) -> None:
        """Read everything again. What is wrong is fetched again."""
        if self.phase in (Phase.PREPARING, Phase.LOOKING, Phase.CHECKING):
            return
        await self.stop()
        self._stopping = False
        self._recheck = True
        self.phase = Phase.CHECKING
        self.reason = Reason.NONE
        self._complete.clear()
        self.start()
        self._session.changed(self)

    def retry(self) -> None:
        """Do not wait for the next try."""
        self._nudge.set()
        if self._disk_retry_at is not None:
            self._disk_retry_at = self._session.world.clock.now()
        if self.presence is not None:
            self.presence.ask()
        if self.phase is Phase.FAILED:
            self._complete.clear()
            self.phase = Phase.PREPARING
            self.reason = Reason.NONE
            self.start()

    async def _life(self) -> None:
        try:
            if isinstance(self.content, TorrentContent) and not self.content.is_prepared:
                await self._meet(self.content)
            known = await self._insist(self._prepare, Reason.OFFLINE)
            await self._take_turn()
            if known.metainfo != self.record.metainfo:
                self._enter(Phase.LOOKING)
                await self.content.look(self._run, progress=self._note)
                self.update(metainfo=known.metainfo, skeleton=known.skeleton)
                if self.ref is not None:
                    self.update(
                        size=known.size,
                        local=known.local,
                        local_offset=known.local_offset,
                        web_seeds=known.web_seeds,
                        extra_trackers=known.extra_trackers,
                        manifest_sha256=known.manifest_sha256,
                    )
            attempts = 0
            while True:
                self._enter(Phase.CHECKING)
                opened = await self._open()
                if not opened.complete and not self.record.seed_only:
                    self._enter(Phase.FETCHING)
                    await self._adjust()
                    await self._complete.wait()
                    contradiction, self._contradiction = self._contradiction, None
                    if contradiction is not None:
                        await self._mend(contradiction)
                        continue
                self._enter(Phase.FINISHING)
                try:
                    folder = await self._finish()
                    break
                except IntegrityError as error:
                    attempts += 1
                    log.warning("event=content-mismatch transfer=%s attempt=%d: %s", self.id, attempts, error)
                    if attempts >= FINISH_ATTEMPTS:
                        raise
                    self._wait(Reason.HASH, (("attempt", str(attempts + 1)), ("of", str(FINISH_ATTEMPTS))))
                    await self._mend(error)
            await self._session.finished(self)
            first_time = self.record.finished_at is None
            if first_time:
                share = self.record.sharing and self._session.settings.flag("workshop.p2p.seed_after_download")
                self.update(
                    finished_at=self._session.world.clock.wall(),
                    sharing=share,
                    verified=self.have is None or self.have.is_full,
                )
            self._files = None
            self._enter(Phase.COMPLETE)
            self._shared_at = self._session.world.clock.now()
            # Now, not soon: what follows lets strangers in, or does not.
            self._session.decide()
            if first_time and self.record.staged and self.ref is not None:
                if self.record.asked:
                    self._session.tell(ReleaseStaged(ref=self.ref, title=self.content.title))
            elif first_time:
                self._session.tell(
                    TransferFinished(id=self.id, name=self.content.title, ref=self.ref, folder=str(folder))
                )
            await self._adjust()
        except asyncio.CancelledError:
            raise
        except (WorkshopError, OSError) as error:
            await self._fail(error)
        except Exception as error:
            log.exception("event=transfer-broke transfer=%s", self.id)
            self._session.tell(
                EngineFault(message=f"{self.content.title} stopped: a fault in the program.", detail=repr(error))
            )
            await self._fail(UserError("A fault in the program stopped this. The log has the details; try again."))

    async def _meet(self, content: TorrentContent) -> None:
        """Ask peers what the magnet link means, whenever the user and the queue let us."""
        found: Found | None = None
        while found is None:
            while self.record.paused or self.verdict is not Reason.NONE:
                self._may_meet.clear()
                await self._may_meet.wait()
            found = await self._ask_peers(content)
        self._guests = found.guests  # from now on they are turned away with all others, whatever goes wrong
        torrent = content.magnet.torrent(found.info)
        # On a disk thread: the largest torrents that are accepted take seconds to read.
        meta = await self._run(lambda _cancelled: Metainfo.parse(torrent))
        if meta.info_hash is None:
            raise UserError("This torrent is of version 2 only, which this release cannot transfer.")
        other = self._session.by_info_hash(meta.swarm_hash)
        if other is not None and other is not self:
            raise Conflict(f"{meta.name} is on the list already.")
        if meta.private:
            await self._vanish()  # Strangers told us of these peers, or us of them.
        elif meta.swarm_hash != content.magnet.swarm_hash:
            guests, self._guests = self._guests, []
            await self._vanish()  # It is announced under the other hash of the two that it has.
            self._guests = guests
        for source, peers in found.candidates.items():
            self._remember(peers, source)
        record = content.learn(torrent, meta)
        log.info("event=metadata transfer=%s bytes=%d peers=%d", self.id, len(found.info), len(self._guests))
        self.update(metainfo=record.metainfo, title=content.title, size=content.size)

    async def _ask_peers(self, content: TorrentContent) -> Found | None:
        """None when it must not go on."""
        session = self._session
        meeting = self._meeting = MetadataFetch(
            session.world,
            content.magnet,
            session.peer_id,
            dial=lambda endpoint: session.dialer.dial(endpoint, tier=self.record.tier),
            port=session.peer_port,
            limits=(self._down, self._up),
        )
        since = session.world.clock.now()
        try:
            meeting.result.add_done_callback(lambda _result: self._may_meet.set())
            meeting.start()
            meeting.add(self.extra_peers, PeerSource.MANUAL)
            self._appear(urgent=True)
            self._wait(Reason.METADATA)
            while not self.record.paused and self.verdict is Reason.NONE:
                self._may_meet.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._may_meet.wait()
                if meeting.result.done():
                    return meeting.result.result()
                if meeting.peers:
                    since = session.world.clock.now()
                reason = Reason.METADATA
                if session.world.clock.now() - since >= NO_SOURCE_AFTER:
                    reason = Reason.NO_SOURCE
                if reason is not self.reason:
                    self._wait(reason)
            await self._vanish()
            return None
        finally:
            self._meeting = None
            await meeting.stop()
            self._clear_reason()

    async def _take_turn(self) -> None:
        """Wait while another fetches the same files: they are found here then."""
        while True:
            files, has_begun = await self._run(lambda _cancelled: self.content.errand())
            if has_begun or self._rival(files) is None:
                self._files = files
                return
            while (other := self._rival(files)) is not None:
                if self.reason is not Reason.DEP:
                    log.info("event=waits transfer=%s for=%s", self.id, other.id)
                    self._wait(Reason.DEP, (("package", other.content.title),))
                    self._session.changed(self)
                self._nudge.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TURN_LOOK):
                        await self._nudge.wait()

    def _rival(self, files: Files) -> Transfer | None:
        return None if self.forced else self._session.rival(self._errand(files))

    async def _prepare(self) -> TransferRecord:
        return await self.content.prepare(self._run, self._fetch_whole, progress=self._note)

    async def _fetch_whole(self, places: Sequence[WebSeedUrl], path: Path, size: int) -> None:
        """No torrent is named: over HTTP, in the queue and within the limits like everything else."""
        session = self._session
        self.whole = WholeFetch(session.world.network, session.in_disk, session.world.clock.now, self)
        session.touched(self)
        try:
            await self.whole.run(places, path, size)
        finally:
            self.record = with_stats(self.record, from_http=self.record.stats.from_http + self.whole.received)
            self.whole = None

    def may_run(self) -> bool:
        """As far as the player, the queue and the network go."""
        return not self.record.paused and self.verdict is Reason.NONE

    def rate(self) -> int | None:
        """Bytes a second that a download over HTTP alone may take; None for no limit."""
        limits = [rate for rate in (self._session.bandwidth.down.root.rate, self.record.limit_down) if rate is not None]
        return min(limits, default=None)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.progress = 0
        self._stats = None
        if self.reason not in (Reason.USER, Reason.NONE):
            self._clear_reason()
        self._session.changed(self)

    async def _fail(self, error: Exception) -> None:
        async with self._switch:
            await self._vanish()
            await self._close_shelf()
        self.phase = Phase.FAILED
        mismatch = isinstance(error, IntegrityError) or (isinstance(error, RegistryError) and error.code in DISTRUST)
        self.reason = Reason.HASH if mismatch else Reason.FAILED
        self.reason_data = (("message", str(error)),)
        self.retry_at = None
        self._session.tell(TransferStalled(id=self.id, name=self.content.title, reason=self.reason, message=str(error)))
        self._session.changed(self)

    async def _insist(self, attempt: Callable[[], Awaitable[R]], reason: Reason) -> R:
        """Try until it works; what cannot get better by waiting is raised."""
        delay = RETRY_FIRST
        while True:
            try:
                result = await attempt()
            except StorageError as error:
                self._wait_for_disk(error, delay)
            except RegistryError as error:
                if error.code not in ("unreachable", "rate_limited", "draining"):
                    raise
                delay = max(delay, error.retry_after or 0.0)
                self._wait(reason, retry_in=delay)
            else:
                self._clear_reason()
                return result
            self._nudge.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._nudge.wait()
            except TimeoutError:
                pass
            delay = min(2 * delay, RETRY_MAX)

    # --- checking and finishing ------------------------------------------------------------------

    async def _open(self) -> Opened:
        recheck, self._recheck = self._recheck, False

        async def attempt() -> Opened:
            return await self._run(
                lambda cancelled: self.content.open(recheck=recheck, progress=self._note, cancelled=cancelled)
            )

        opened = await self._insist(attempt, Reason.DISK)
        self._shelf = Shelf(self._session.world.disk, opened, self._session.world.clock.now())
        self._have = opened.have
        self._hints = opened.hints
        if opened.reused > self.record.stats.reused:
            self.record = with_stats(self.record, reused=opened.reused)
        return opened

    async def _finish(self) -> object:
        """Verify, publish, install. The swarm keeps sharing meanwhile: the storage finds bytes where they are."""
        if self.exchange is not None:
            self.exchange.set(fetch=False, share=self._may_share)
        if self._shelf is not None:
            await self._insist(self._shelf.flush, Reason.DISK)

        async def attempt() -> object:
            return await self._run(lambda cancelled: self.content.finish(progress=self._note, cancelled=cancelled))

        folder = await self._insist(attempt, Reason.DISK)
        self._files = None  # they are in the store: nobody who needs the same ones has to wait for us
        await self._insist(lambda: self._session.settle(self), Reason.DISK)
        return folder

    def wait_for_set(self, other: str) -> None:
        """All of it is in the store; it is installed together with others, which are not there yet."""
        self._wait(Reason.DEP, (("package", other),))

    def note(self, done: int) -> None:
        """From a disk thread: so many bytes are in their place."""
        self._note(done)

    async def _mend(self, error: IntegrityError) -> None:
        """Bytes whose pieces were right are not what the registry promised: keep what may be of use, begin again."""
        async with self._switch:
            await self._vanish()
            have, shelf = self._have, self._shelf
            if have is not None and shelf is not None:
                await shelf.settle()
                journal = shelf.journal
                self._recheck = not await self._run(lambda _cancel: self.content.mend(error, have, journal))
            await self._close_shelf()
        self._complete.clear()

    def _note(self, done: int) -> None:
        """Called from a disk thread; an int assignment is atomic."""
        self.progress = done

    async def _run(self, job: Callable[[Callable[[], bool]], R]) -> R:
        return await run_job(self._session.world.disk, Ranked(self.record.tier, job))

    # --- what runs -------------------------------------------------------------------------------

    async def _adjust(self) -> None:
        """Make swarm, trackers and HTTP what they should be."""
        async with self._switch:
            if self._stopping:
                return
            fetch = self.phase is Phase.FETCHING and not self.record.paused and self.verdict is Reason.NONE
            share = self.phase is Phase.COMPLETE and self.share_wanted and self.verdict is Reason.NONE
            if self._is_held and self.exchange is not None:
                self._appear(urgent=False)
                self.exchange.set(fetch=False, share=self._may_share)
                self._busy_at = math.inf
                return
            if not fetch and not share:
                if self.phase is not Phase.FINISHING:
                    await self._vanish()
                    if self.phase is Phase.COMPLETE:
                        await self._close_files()
                return
            self._appear(urgent=fetch)
            self._busy_at = min(self._busy_at, self._session.world.clock.now())
            if self.exchange is None:
                if share and not self._called:
                    return
                await self._wake()
                if fetch:
                    # Whoever goes first goes first from now on, not from the next second.
                    self._session.changed(self)
            assert self.exchange is not None
            self._called = False
            self.exchange.set(fetch=fetch, share=self._may_share)
            self._let_in(self.exchange.swarm)

    def _let_in(self, swarm: Swarm) -> None:
        """Those who waited at the door, and whom the magnet link has brought."""
        guests, self._guests = self._guests, []
        for guest in guests:
            if not guest.gone:
                swarm.adopt(guest.stream, guest.handshake, guest.leftover, guest.source)
        heard_of, self._heard_of = self._heard_of, {}
        for source, peers in heard_of.items():
            swarm.add_candidates(peers, source)
        visitors, self._visitors = self._visitors, []
        for stream, handshake, leftover in visitors:
            swarm.accept(stream, handshake, leftover)

    @property
    def _is_held(self) -> bool:
        """It would fetch if others did not go first."""
        return self.phase is Phase.FETCHING and not self.record.paused and self.verdict in HOLDS

    @property
    def is_contender(self) -> bool:
        """It takes part in what comes down the line, or waits for a higher tier alone."""
        if self.phase is not Phase.FETCHING or self.record.paused or self.exchange is None:
            return False
        return self.verdict in (Reason.NONE, Reason.LOBBY_FIRST)

    @property
    def _may_share(self) -> bool:
        return self.share_wanted and self._session.sharing_on()

    def _appear(self, *, urgent: bool) -> None:
        """Others can find it from now on."""
        if self.presence is not None:
            self.presence.set_urgent(urgent)
            return
        self._shared_at = self._session.world.clock.now()
        # A download counts from the start: it may be about to move. A shared package counts once somebody fetches it.
        self._busy_at = self._shared_at if urgent else -math.inf
        self.presence = Presence(
            self._session,
            self.content,
            stats=self._announce_stats,
            on_peers=self._on_peers,
            urgent=urgent,
            announce=not self._is_http_only,
        )
        if self.record.seed_only and self.extra_peers:
            self._called = True  # for these it is shared: it goes to them
        self._session.touched(self)

    async def _wake(self) -> None:
        """Open the files, make the swarm."""
        if self._shelf is None:
            await self._open()
        assert self._shelf is not None
        assert self._have is not None
        assert self.presence is not None
        self._deserted_at = self._session.world.clock.now()
        self.exchange = Exchange(
            self._session,
            self.content,
            self._shelf.storage,
            self._have,
            limits=(self._down, self._up),
            tier=self.record.tier,
            peers=self.extra_peers,
            listener=self,
            announcer=self.presence.announcer,
            hints=self._hints,
        )
        self._stats = None
        self._session.touched(self)

    async def _sleep(self) -> None:
        """Nobody is here: no swarm, no open file. Others can still find it."""
        async with self._switch:
            if self.phase is Phase.COMPLETE and self.exchange is not None and self.exchange.is_deserted:
                await self._stop_exchange()
                await self._close_files()
                self._session.touched(self)

    def _announce_stats(self) -> AnnounceStats:
        total = self.totals(self.stats())
        have = self.have
        # While the torrent is not known, one byte lacks at the least: a seed must not seem to be here.
        size = self.content.metainfo.geometry.total_length if self.content.is_prepared else 1
        if have is None:
            left = 0 if self.is_complete else size
        else:
            left = 0 if have.is_full else max(0, size - bytes_of(self.content.metainfo.geometry, have))
        return AnnounceStats(uploaded=total.uploaded, downloaded=total.from_peers + total.from_http, left=left)

    def _on_peers(self, peers: Sequence[Endpoint], source: PeerSource) -> None:
        """A tracker or the DHT named these."""
        if self.exchange is not None:
            self.exchange.swarm.add_candidates(peers, source)
            return
        if self._meeting is not None:
            self._meeting.add(peers, source)
            return
        if not self.is_complete:
            self._remember(peers, source)
            return
        _seeds, leechers = self._look_around()
        if source is PeerSource.LSD:
            leechers += self._meet_neighbours(peers)
        # Of those who have everything already there is nothing to be had and nothing to be given.
        if leechers and self.is_shared:
            self._call(lambda exchange: exchange.swarm.add_candidates(peers, source))

    def _meet_neighbours(self, peers: Sequence[Endpoint]) -> int:
        """How many of this network are worth a look, since nobody says whether they have everything: each once in a
        while."""
        now = self._session.world.clock.now()
        fresh = [peer for peer in peers if now - self._neighbours.get(peer, -math.inf) >= NEIGHBOUR_SECONDS]
        if len(self._neighbours) + len(fresh) > HEARD_OF_MAX:
            self._neighbours.clear()
        self._neighbours.update(dict.fromkeys(fresh, now))
        return len(fresh)

    def _remember(self, peers: Sequence[Endpoint], source: PeerSource) -> None:
        """For the swarm that will be."""
        known = self._heard_of.setdefault(source, [])
        known.extend(peers[: HEARD_OF_MAX - len(known)])

    def welcome(self, stream: Stream, handshake: Handshake, leftover: bytes) -> bool:
        """Somebody dialled us for this. False when it must go."""
        if self.exchange is not None:
            self.exchange.swarm.accept(stream, handshake, leftover)
            return True
        if self._meeting is not None:
            self._meeting.accept(stream, handshake, leftover)
            return True
        if not self.is_shared or self._stopping or len(self._visitors) >= VISITORS_MAX:
            return False
        self._visitors.append((stream, handshake, leftover))
        self._session.touched(self)
        self._call()
        return True

    def _call(self, then: Callable[[Exchange], object] | None = None) -> None:
        """Wake what sleeps; `then` is done once it is awake."""
        self._called = True

        async def wake() -> None:
            await self._adjust()
            if then is not None and self.exchange is not None:
                then(self.exchange)

        task = asyncio.get_running_loop().create_task(wake())
        task.add_done_callback(self._adjusted)

    def adjust_soon(self) -> None:
        """After a change of pause, verdict, switch or setting."""
        self._may_meet.set()
        if self.phase in (Phase.FETCHING, Phase.COMPLETE) and not self._stopping:
            task = asyncio.get_running_loop().create_task(self._adjust())
            task.add_done_callback(self._adjusted)

    def _adjusted(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("event=adjust-failed transfer=%s", self.id, exc_info=error)
        if self.exchange is None:
            self._turn_away()

    def _turn_away(self) -> None:
        """Those who wait at a door that stays shut."""
        guests, self._guests = self._guests, []
        for guest in guests:
            guest.turn_away()
        self._heard_of.clear()
        visitors, self._visitors = self._visitors, []
        for stream, _handshake, _leftover in visitors:
            stream.abort()
        if visitors:
            self._session.touched(self)

    async def _vanish(self) -> None:
        """Nothing runs, and others cannot find it any more."""
        presence = self.presence
        if presence is not None:
            if self.is_complete:
                self._look_around()
                self.record = replace(self.record, shared_seconds=self.shared_seconds)
            self._shared_at = self._session.world.clock.now()
        self.presence = None
        self._called = False
        self._turn_away()
        # Together: who says `stopped` last tells the final sums all the same.
        await asyncio.gather(self._stop_exchange(), *([presence.stop()] if presence is not None else []))
        self._session.touched(self)

    async def _stop_exchange(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        stats = await exchange.stop()
        # The sums stay when the counters end; nobody may see both or neither.
        self.record = replace(self.record, stats=self.totals(stats))
        self._stats = None
        self._have = exchange.swarm.have.copy()
        self._hints = {index: hint for index, hint in self._hints.items() if index not in self._have}
        self.exchange = None

    async def _close_files(self) -> None:
        """Nothing of a complete transfer is open any more; what is known of it stays."""
        if self.ref is not None:
            await self._close_shelf()
        elif self._shelf is not None:
            # To open a plain torrent is to look at all its files, or even to read them.
            await self._shelf.rest()

    async def _close_shelf(self) -> None:
        shelf, self._shelf = self._shelf, None
        if shelf is not None:
            await shelf.close()

    def totals(self, now: SwarmStats | None) -> TransferStats:
        """The sums of earlier swarms and of `now`."""
        old = self.record.stats
        if now is None:
            return old
        return TransferStats(
            from_peers=old.from_peers + now.from_peers,
            from_http=old.from_http + now.from_http,
            uploaded=old.uploaded + now.uploaded,
            wasted=old.wasted + now.wasted,
            reused=old.reused,
        )

    def update(self, **changes: Any) -> None:
        """Change fields of the record; the session saves it."""
        self.record = replace(self.record, **changes)
        self._session.changed(self)

    def record_now(self) -> TransferRecord:
        """The record with the sums of this moment, as it is saved."""
        self._saved_stats = self.totals(self.stats())
        return replace(self.record, stats=self._saved_stats, shared_seconds=self.shared_seconds)

    def counters_moved(self) -> bool:
        """Have the sums grown since they were saved?"""
        return self.totals(self.stats()) != self._saved_stats

    def add_peers(self, peers: Sequence[Endpoint]) -> None:
        self.extra_peers.extend(peer for peer in peers if peer not in self.extra_peers)
        if self.exchange is not None:
            self.exchange.add_peers(peers)
        elif self._meeting is not None:
            self._meeting.add(peers, PeerSource.MANUAL)
        elif self.is_shared:
            self._call()  # it begins with all of them

    def add_web_seeds(self, urls: Sequence[str]) -> None:
        """UserError for a package, whose servers are the configured ones."""
        if self.record.ref is not None:
            raise UserError("A package comes from its Workshop and the mirrors that this names.")
        for url in urls:
            if not is_web_seed_url(url):
                raise UserError(f"{url[:80]} is not an http or https address in ASCII.")
        self.update(web_seeds=tuple(dict.fromkeys((*self.record.web_seeds, *urls))))
        self.content.name_web_seeds(self.record.web_seeds)
        if self.exchange is not None:
            self.exchange.web_seeds_changed()

    def set_tier(self, tier: Tier) -> None:
        self.update(tier=tier)
        self._down.move(self._session.bandwidth.down.tiers[tier])
        self._up.move(self._session.bandwidth.up.tiers[tier])
        if self.swarm is not None:
            self.swarm.set_tier(tier)

    def set_pace(self, rate: float | None) -> None:
        """Bytes a second that it may ask for, since others go first; None: no limit."""
        if self.swarm is not None:
            self.swarm.set_pace(rate)

    def set_limits(self, down: int | None, up: int | None) -> None:
        now = self._session.world.clock.now()
        self.update(limit_down=down, limit_up=up)
        self._down.set_rate(down, now)
        self._up.set_rate(up, now)

    def set_verdict(self, verdict: Reason, data: tuple[tuple[str, str], ...] = ()) -> None:
        """The queue has decided; `data` as in `reason_data`."""
        self.verdict_data = data
        if verdict is not self.verdict:
            self.verdict = verdict
            self._session.touched(self)
            self.adjust_soon()

    # --- every second ----------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Policies that go by the clock: HTTP fallback, stalls, retries, checkpoints."""
        exchange = self.exchange
        if exchange is None:
            return
        stats = exchange.swarm.stats()
        self._stats, self._stats_at = stats, now
        if max(stats.rate_down, stats.rate_up) >= SLOW_RATE:
            self._busy_at = now
        if self.phase is Phase.COMPLETE:
            self._tick_shared(now, exchange)
        if self.phase is not Phase.FETCHING:
            return
        if self._disk_retry_at is not None:
            if now >= self._disk_retry_at:
                self._disk_retry_at = None
                exchange.swarm.retry_storage()
            return
        if self.reason is Reason.DISK and stats.progressing_at is not None and now - stats.progressing_at < 1.0:
            self._clear_reason()
            self._disk_retry = RETRY_FIRST
        if self._shelf is not None:
            self._shelf.tick(now)
        if self.reason is Reason.DISK or self.verdict is not Reason.NONE:
            return
        exchange.tick(now, stats)
        if self._down.shut:
            self._wait(*self._session.shut_reason())
        elif exchange.quiet(now, stats) >= NO_SOURCE_AFTER:
            self._wait(Reason.NO_SOURCE, retry_in=exchange.next_announce())
        elif self.reason in (Reason.NO_SOURCE, Reason.LIMIT, Reason.SCHEDULE):
            self._clear_reason()

    def _tick_shared(self, now: float, exchange: Exchange) -> None:
        if not exchange.is_deserted:
            self._deserted_at = now
        elif now - self._deserted_at >= SLEEP_AFTER:
            self._deserted_at = math.inf
            task = asyncio.get_running_loop().create_task(self._sleep())
            task.add_done_callback(self._adjusted)

    # --- reasons ---------------------------------------------------------------------------------

    def _wait(self, reason: Reason, data: tuple[tuple[str, str], ...] = (), *, retry_in: float | None = None) -> None:
        self.reason, self.reason_data = reason, data
        self.retry_at = None if retry_in is None else self._session.world.clock.now() + retry_in
        self._session.touched(self)

    def _clear_reason(self) -> None:
        self.reason, self.reason_data, self.retry_at = Reason.NONE, (), None
        self._session.touched(self)

    def _wait_for_disk(self, error: StorageError, delay: float) -> None:
        first = self.reason is not Reason.DISK
        self._wait(Reason.DISK, (("fault", error.fault.value), ("path", error.path)), retry_in=delay)
        if first:
            log.info("event=disk transfer=%s fault=%s path=%s", self.id, error.fault, error.path)
            self._session.tell(
                TransferStalled(id=self.id, name=self.content.title, reason=Reason.DISK, message=str(error))
            )

    # --- SwarmListener ---------------------------------------------------------------------------

    def on_pieces_verified(self, indices: Sequence[int]) -> None:
        if self._shelf is not None:
            self._shelf.record(indices)

    def on_complete(self) -> None:
        if self.presence is not None and self.phase is Phase.FETCHING:
            self.presence.completed()
        self._complete.set()

    def on_storage_error(self, error: StorageError | IntegrityError) -> None:
        if isinstance(error, IntegrityError):
            log.warning("event=layout-contradicted transfer=%s: %s", self.id, error)
            self._contradiction = error
            self._complete.set()
        else:
            self._wait_for_disk(error, self._disk_retry)
            self._disk_retry_at = self._session.world.clock.now() + self._disk_retry
            self._disk_retry = min(2 * self._disk_retry, RETRY_MAX)

    def on_peer_banned(self, endpoint: Endpoint, why: str) -> None:
        self._session.tell(PeerBanned(id=self.id, address=str(endpoint), why=why))
