"""Announcing one transfer to its trackers and handing on the peers they name (BEP 3, 7, 12, 15, 23, 31).

Each tier runs by itself with the first of its trackers that works. BEP 12 would ask the second tier only once the
first is dead; then a first tier that is alive but empty hides the swarm, so like most clients we ask one per tier.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError, RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.engine.discovery.pace import AnnouncePace
from icworkshop_gui.engine.discovery.udp_tracker import UdpTrackerClient
from icworkshop_gui.engine.discovery.usable import is_usable
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire.tracker import http
from icworkshop_gui.wire.tracker.messages import (
    DEFAULT_INTERVAL,
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    TrackerRefused,
)
from icworkshop_gui.wire.tracker.url import TrackerUrl

MIN_INTERVAL = 30.0
"""Seconds; no tracker hears from one transfer more often, whatever it asks for."""
MAX_INTERVAL = 7200.0
"""Seconds; a tracker that wants longer silence would lose sight of us, and we of the swarm."""
MAX_RETRY = 3600.0
"""Seconds between attempts at a dead tracker."""
HTTP_TIMEOUT = 30.0
"""Seconds for a whole HTTP announce."""
UDP_TIMEOUT = 120.0
"""Seconds for name look-up and all resends of a UDP announce."""
SECOND_FAMILY_GRACE = 2.0
"""Seconds that the slower of IPv4 and IPv6 gets once the other has answered."""
STOP_DEADLINE = 5.0
"""Seconds for all `stopped` announces together; quitting does not wait longer."""
NUM_WANT = 50
"""Peers asked for: as many as one package may be connected to (DESIGN §4.14)."""
JITTER = 0.1
"""Part of an interval by which a paced announce comes later, drawn anew each time: a thousand transfers that began in
the same minute drift apart."""
MAX_TRACKERS = 50
"""Trackers of one transfer that are asked; torrents with hundreds exist, nearly all dead."""

_LOG = logging.getLogger("icw.tracker")


@dataclass(frozen=True, slots=True)
class AnnounceStats:
    """What a tracker is told about our progress, in bytes."""

    uploaded: int
    downloaded: int
    left: int
    """0 once complete; not 0 while the metadata is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerStatus:
    """One tracker, for the Sources tab."""

    url: str
    """Without passkeys."""
    ok: bool
    """The last announce worked."""
    message: str
    """Ours; safe to show. Empty before the first announce and while all is well."""
    untrusted_text: str = ""
    """The tracker's own words: a warning, or why it refused."""
    peers: int = 0
    """How many it named last."""
    seeders: int = 0
    leechers: int = 0
    next_in: float | None = None
    """Seconds until it is asked again; None when that is not planned."""


def retry_delay(fails: int) -> float:
    """Seconds to wait after `fails` failures in a row: 17.5, 55, 117.5 … up to an hour (engine.md E.8)."""
    return min(5.0 + min(fails, 100) ** 2 * 12.5, MAX_RETRY)


def next_interval(response: AnnounceResponse) -> float:
    """Seconds until the next regular announce: what the tracker asks for, within reason."""
    interval = response.interval or DEFAULT_INTERVAL
    return min(max(interval, response.min_interval, MIN_INTERVAL), MAX_INTERVAL)


@dataclass(slots=True)
class _Tracker:
    """What we know of one tracker. `next_at` and `asked_at` are of the world's clock."""

    url: TrackerUrl
    next_at: float = -math.inf
    asked_at: float = -math.inf
    min_interval: float = MIN_INTERVAL
    fails: int = 0
    ok: bool = False
    started: bool = False
    """It knows about us: `started` was answered and `stopped` is owed."""
    asking: bool = False
    has_turn: bool = False
    """`next_at` is a turn that the pace gave."""
    owes_completed: bool = False
    tracker_id: bytes = b""
    message: str = ""
    untrusted_text: str = ""
    peers: int = 0
    seeders: int = 0
    leechers: int = 0


@dataclass(slots=True)
class _Tier:
    """Trackers of equal rank; the one that worked last is in front (BEP 12, "order of processing")."""

    trackers: list[_Tracker]
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def due(self, now: float) -> _Tracker | None:
        """Whom to ask now: never behind the back of one that works."""
        for tracker in self.trackers:
            if tracker.next_at <= now:
                return tracker
            if tracker.ok:
                return None
        return None

    def next_at(self) -> float:
        for tracker in self.trackers:
            if tracker.ok:
                return tracker.next_at
        return min(tracker.next_at for tracker in self.trackers)


class TrackerAnnouncer:
    """Announces while it runs. All methods belong to the engine's loop; `on_peers` is called there and must not raise.

    `tiers` are URLs as the torrent has them; what cannot or may not be asked shows up in `status` with the reason.
    `allow_private`: the source of this transfer is on a private network, so its trackers and peers may be too.
    """

    def __init__(
        self,
        world: World,
        info_hash: InfoHash,
        peer_id: PeerId,
        tiers: Sequence[Sequence[str]],
        port: Callable[[], int],
        stats: Callable[[], AnnounceStats],
        on_peers: Callable[[list[Endpoint]], None],
        udp: UdpTrackerClient,
        allow_private: bool,
        *,
        http_slots: asyncio.Semaphore | None = None,
        pace: AnnouncePace | None = None,
    ) -> None:
        """`pace`: shared by all transfers for whose announces nobody waits; None: they go out when they are due."""
        self.pace = pace
        self._world = world
        self._info_hash = info_hash
        self._peer_id = peer_id
        self._port = port
        self._stats = stats
        self._on_peers = on_peers
        self._udp = udp
        self._allow_private = allow_private
        self._http_slots = http_slots or asyncio.Semaphore(MAX_TRACKERS)
        self._key = world.rng.getrandbits(32)
        self._tasks: list[asyncio.Task[None]] = []
        self._tiers: list[_Tier] = []
        self._refused: list[TrackerStatus] = []
        self._external_ips: set[str] = set()
        self._add_tiers(tiers)

    def start(self) -> None:
        """Begin to announce; a second call does nothing."""
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(self._run(tier)) for tier in self._tiers]

    def announce_now(self) -> None:
        """Ask for peers as soon as the trackers' minimum intervals allow."""
        now = self._world.clock.now()
        for tier in self._tiers:
            for tracker in tier.trackers:
                if tracker.next_at < math.inf:
                    soon = max(now, tracker.asked_at + tracker.min_interval)
                    tracker.next_at = min(tracker.next_at, soon)
                    tracker.has_turn = True
            tier.wake.set()

    def completed(self) -> None:
        """The last byte is here. To be called once, and not for what was complete from the start (BEP 3, "event")."""
        now = self._world.clock.now()
        for tier in self._tiers:
            for tracker in tier.trackers:
                if tracker.started or tracker.asking:
                    tracker.owes_completed = True
                    if tracker.ok:
                        tracker.next_at = now
                        tracker.has_turn = True
            tier.wake.set()

    async def stop(self) -> None:
        """End all announcing, then tell `stopped` to those who know us, for at most STOP_DEADLINE seconds."""
        tasks, self._tasks = self._tasks, []
        trackers = [item for tier in self._tiers for item in tier.trackers if item.started or item.asking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_DEADLINE):
                await asyncio.gather(
                    *(self._ask(item, AnnounceEvent.STOPPED) for item in trackers), return_exceptions=True
                )
        except TimeoutError:
            _LOG.debug("stopped deadline info_hash=%s", self._info_hash)
        for tier in self._tiers:
            for tracker in tier.trackers:
                tracker.started = tracker.ok = tracker.owes_completed = tracker.has_turn = False
                tracker.next_at = -math.inf if tracker.next_at < math.inf else math.inf

    def status(self) -> tuple[TrackerStatus, ...]:
        """All trackers in the order of their tiers, then those that are never asked."""
        now = self._world.clock.now()
        running = bool(self._tasks)
        return (
            *(
                TrackerStatus(
                    url=str(tracker.url),
                    ok=tracker.ok,
                    message=tracker.message,
                    untrusted_text=tracker.untrusted_text,
                    peers=tracker.peers,
                    seeders=tracker.seeders,
                    leechers=tracker.leechers,
                    next_in=max(tracker.next_at - now, 0.0) if running and math.isfinite(tracker.next_at) else None,
                )
                for tier in self._tiers
                for tracker in tier.trackers
            ),
            *self._refused,
        )

    def _add_tiers(self, tiers: Sequence[Sequence[str]]) -> None:
        seen: set[str] = set()
        for texts in tiers:
            trackers = []
            for text in texts:
                if text in seen or len(seen) >= MAX_TRACKERS:
                    continue
                seen.add(text)
                try:
                    url = TrackerUrl.parse(text)
                    if url.host_address is not None and not self._allowed(url, url.host_address):
                        raise FormatError("an address that this torrent may not ask")
                except FormatError as error:
                    self._refused.append(TrackerStatus(url=_shown(text), ok=False, message=str(error)))
                else:
                    trackers.append(_Tracker(url))
            if trackers:
                self._world.rng.shuffle(trackers)  # BEP 12, "order of processing"
                self._tiers.append(_Tier(trackers))

    async def _run(self, tier: _Tier) -> None:
        while True:
            tier.wake.clear()
            tracker = tier.due(self._world.clock.now())
            if tracker is not None:
                if self._takes_turn(tracker):
                    await self._announce(tier, tracker)
                continue
            wait = tier.next_at() - self._world.clock.now()
            try:
                async with asyncio.timeout(max(wait, 0.0) if math.isfinite(wait) else None):
                    await tier.wake.wait()
            except TimeoutError:
                pass

    def _takes_turn(self, tracker: _Tracker) -> bool:
        """Is it this tracker's turn now? If not, `next_at` says when."""
        if self.pace is None or tracker.has_turn:
            tracker.has_turn = False
            return True
        now = self._world.clock.now()
        tracker.next_at = self.pace.turn((tracker.url.host, tracker.url.port), now)
        tracker.has_turn = tracker.next_at > now
        return not tracker.has_turn

    def _later(self, seconds: float) -> float:
        """The engine clock in so many seconds, or a little after that."""
        if self.pace is not None:
            seconds *= 1.0 + self._world.rng.uniform(0.0, JITTER)
        return self._world.clock.now() + seconds

    async def _announce(self, tier: _Tier, tracker: _Tracker) -> None:
        event = AnnounceEvent.NONE
        if not tracker.started:
            event = AnnounceEvent.STARTED
        elif tracker.owes_completed:
            event = AnnounceEvent.COMPLETED
        tracker.asked_at = self._world.clock.now()
        tracker.asking = True
        try:
            response = await self._ask(tracker, event)
        except TrackerRefused as error:
            self._failed(tracker, error.reason, error.untrusted_text)
            if error.never:
                tracker.next_at = math.inf
            elif error.retry_in is not None:
                tracker.next_at = self._world.clock.now() + max(error.retry_in, MIN_INTERVAL)
        except RemoteProtocolError as error:
            self._failed(tracker, error.reason, error.untrusted_text)
        except TimeoutError:
            self._failed(tracker, "no answer")
        except OSError:
            self._failed(tracker, "cannot be reached")
        else:
            tier.trackers.remove(tracker)
            tier.trackers.insert(0, tracker)
            if event is AnnounceEvent.COMPLETED:
                tracker.owes_completed = False
            self._answered(tracker, response)
        finally:
            tracker.asking = False

    def _failed(self, tracker: _Tracker, message: str, untrusted_text: str = "") -> None:
        tracker.ok = False
        tracker.fails += 1
        tracker.next_at = self._later(retry_delay(tracker.fails))
        tracker.message, tracker.untrusted_text = message, untrusted_text
        _LOG.debug("announce failed tracker=%s fails=%d reason=%s", tracker.url, tracker.fails, message)

    def _answered(self, tracker: _Tracker, response: AnnounceResponse) -> None:
        tracker.ok = tracker.started = True
        tracker.fails = 0
        tracker.message, tracker.untrusted_text = "", response.untrusted_warning
        tracker.min_interval = min(max(response.min_interval, MIN_INTERVAL), MAX_INTERVAL)
        tracker.next_at = self._later(next_interval(response))
        if tracker.owes_completed:  # the last byte came while we were asking
            tracker.next_at = -math.inf
        tracker.tracker_id = response.tracker_id or tracker.tracker_id
        tracker.seeders, tracker.leechers = response.seeders, response.leechers
        if response.external_ip:
            self._external_ips = {response.external_ip}
        peers = [peer for peer in dict.fromkeys(response.peers) if self._usable(peer)]
        tracker.peers = len(peers)
        _LOG.debug("announce ok tracker=%s peers=%d", tracker.url, len(peers))
        if peers:
            self._on_peers(peers)

    def _usable(self, peer: Endpoint) -> bool:
        return is_usable(peer, port=self._port(), own_hosts=self._external_ips, allow_private=self._allow_private)

    async def _ask(self, tracker: _Tracker, event: AnnounceEvent) -> AnnounceResponse:
        stats = self._stats()
        request = AnnounceRequest(
            info_hash=self._info_hash,
            peer_id=self._peer_id,
            port=self._port(),
            uploaded=stats.uploaded,
            downloaded=stats.downloaded,
            left=stats.left,
            event=event,
            num_want=0 if event is AnnounceEvent.STOPPED else NUM_WANT,
            key=self._key,
            tracker_id=tracker.tracker_id,
        )
        if tracker.url.is_udp:
            async with asyncio.timeout(UDP_TIMEOUT):
                return await self._ask_udp(tracker.url, request)
        async with self._http_slots, asyncio.timeout(HTTP_TIMEOUT):
            return await self._ask_http(tracker.url, request)

    async def _ask_http(self, url: TrackerUrl, request: AnnounceRequest) -> AnnounceResponse:
        if self._allow_private:
            # Without it the network itself refuses what is not global; with it the path rule is still ours to check.
            await self._resolve(url)
        reply = await self._world.network.http_get(
            http.announce_url(url, request), timeout=HTTP_TIMEOUT, allow_private=self._allow_private
        )
        try:
            body = await reply.read(http.MAX_RESPONSE)
        finally:
            await reply.aclose()
        try:
            return http.decode_announce(body)
        except TrackerRefused:
            raise
        except RemoteProtocolError as error:
            if reply.status != 200:
                raise RemoteProtocolError(f"HTTP status {reply.status}", untrusted_text=error.untrusted_text) from error
            raise

    async def _ask_udp(self, url: TrackerUrl, request: AnnounceRequest) -> AnnounceResponse:
        """Over IPv4 and IPv6 at once where the tracker has both: each tells the peers of its own family."""
        endpoints = await self._resolve(url)
        families = {endpoint.is_ipv6: endpoint for endpoint in reversed(endpoints)}
        tasks = [
            asyncio.ensure_future(self._udp.announce(endpoint, request, url_data=url.url_data))
            for endpoint in families.values()
        ]
        pending = set(tasks)
        timeout = None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                if any(task.exception() is None for task in done):
                    timeout = SECOND_FAMILY_GRACE
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        answers = [task.result() for task in tasks if not task.cancelled() and task.exception() is None]
        if not answers:
            return tasks[0].result()  # raises what went wrong
        return AnnounceResponse(
            interval=max(answer.interval for answer in answers),
            seeders=max(answer.seeders for answer in answers),
            leechers=max(answer.leechers for answer in answers),
            peers=tuple(peer for answer in answers for peer in answer.peers),
        )

    async def _resolve(self, url: TrackerUrl) -> list[Endpoint]:
        found = await self._world.network.resolve(url.host, url.port)
        allowed = [endpoint for endpoint in found if self._allowed(url, endpoint.host)]
        if not allowed:
            raise RemoteProtocolError("an address that this torrent may not ask")
        return allowed

    def _allowed(self, url: TrackerUrl, address: str) -> bool:
        return url.allows(address, allow_private=self._allow_private)


def _shown(text: str) -> str:
    """A URL that is no good, fit to be shown: no secrets, no foreign characters, not long."""
    shown = "".join(c if "!" <= c <= "~" else "?" for c in text.partition("?")[0][:60])
    scheme, slashes, rest = shown.partition("://")
    return scheme + slashes + rest.rpartition("@")[2].partition("/")[0]
