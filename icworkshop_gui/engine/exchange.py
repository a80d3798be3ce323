"""What runs for one transfer while it fetches or shares: its swarm, its trackers, and the web server's part.

The policy of DESIGN §4.10 lives here: small packages come over HTTP alone, and where no peer serves the web
server is asked too, until peers serve again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.content import Content
from icworkshop_gui.engine.discovery.tracker import AnnounceStats, TrackerAnnouncer
from icworkshop_gui.engine.discovery.udp_tracker import UdpTrackerClient
from icworkshop_gui.engine.net.dialer import Dialer
from icworkshop_gui.engine.net.limiter import Limiter
from icworkshop_gui.engine.settings_file import Settings
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.swarm import HttpSource, Swarm, SwarmListener, SwarmStats
from icworkshop_gui.engine.world import World
from icworkshop_gui.store.storage import Storage
from icworkshop_gui.store.transfers import TransferStats

HTTP_FALLBACK_AFTER = 6.0
"""Seconds without a useful byte from peers after which the web server is asked too."""
HTTP_STANDS_BACK = 256_000
"""Bytes a second from peers above which a running HTTP fallback stops: popular content costs the server nothing."""

CONNECTIONS_MIN = 2
"""Connections that a swarm may open even when the others have taken all there are."""


class Neighbourhood(Protocol):
    """What an exchange needs of the session."""

    world: World
    settings: Settings
    peer_id: PeerId
    udp: UdpTrackerClient
    http_slots: asyncio.Semaphore
    dialer: Dialer

    def peer_port(self) -> int:
        """0 while not listening."""
        ...

    def connection_share(self) -> int:
        """How many connections all swarms together may still open."""
        ...


def is_http_only(content: Content, settings: Settings) -> bool:
    """Small packages, and everything for those who want no P2P."""
    if not content.http_urls or content.ref is None:
        return False
    small = content.size < settings.number("workshop.p2p.http_below")
    return small or not settings.flag("workshop.p2p.prefer_p2p")


class Exchange:
    """Runs from construction until `stop`; a new one is made to go on. On the engine's loop."""

    def __init__(
        self,
        session: Neighbourhood,
        content: Content,
        storage: Storage,
        have: Bitfield,
        *,
        limits: tuple[Limiter, Limiter],
        tier: Tier,
        peers: Iterable[Endpoint],
        listener: SwarmListener,
        totals: Callable[[], TransferStats],
    ) -> None:
        """`limits`: down, up. `totals`: the transfer's sums, this exchange included, for the trackers."""
        self._session = session
        self._content = content
        self._totals = totals
        self._http_only = is_http_only(content, session.settings)
        self._http_on = False
        self._fetching_since: float | None = None
        settings, meta = session.settings, content.metainfo
        self.swarm = Swarm(
            world=session.world,
            info_hash=meta.swarm_hash,
            peer_id=session.peer_id,
            geometry=meta.geometry,
            piece_hash=meta.piece_hash,
            storage=storage,
            have=have,
            private=meta.private,
            limit_down=limits[0],
            limit_up=limits[1],
            tier=tier,
            listener=listener,
            listen_port=session.peer_port() or None,
            config=SwarmConfig(
                max_connections=settings.number("workshop.p2p.max_connections_per_package"),
                upload_slots=settings.number("workshop.p2p.upload_slots"),
            ),
            dialer=session.dialer,
            spare=self._spare,
        )
        self.swarm.start()
        self.announcer: TrackerAnnouncer | None = None
        if not self._http_only:
            self.add_peers(peers)
            if content.trackers:
                self.announcer = self._announce()

    def _spare(self) -> int:
        """All swarms share the program's limit; nobody is left without a start."""
        return max(self._session.connection_share(), CONNECTIONS_MIN - self.swarm.connections)

    def _announce(self) -> TrackerAnnouncer:
        session = self._session
        announcer = TrackerAnnouncer(
            session.world,
            self._content.metainfo.swarm_hash,
            session.peer_id,
            self._content.trackers,
            session.peer_port,
            self._announce_stats,
            lambda peers: self.swarm.add_candidates(peers, PeerSource.TRACKER),
            session.udp,
            self._content.allow_private,
            http_slots=session.http_slots,
        )
        announcer.start()
        return announcer

    def _announce_stats(self) -> AnnounceStats:
        total = self._totals()
        size = self._content.metainfo.geometry.total_length
        left = 0 if self.swarm.have.is_full else max(0, size - self.swarm.stats().done)
        return AnnounceStats(uploaded=total.uploaded, downloaded=total.from_peers + total.from_http, left=left)

    def add_peers(self, peers: Iterable[Endpoint]) -> None:
        """Peers that the user named."""
        if not self._http_only:
            self.swarm.add_candidates(peers, PeerSource.MANUAL)

    def set(self, *, fetch: bool, share: bool) -> None:
        """Whether to ask for pieces, and whether to give some."""
        self.swarm.downloading = fetch
        self.swarm.sharing = share
        if not fetch:
            self._fetching_since = None
        elif self._fetching_since is None:
            self._fetching_since = self._session.world.clock.now()
            if self._http_only:
                self._set_http(True)

    def completed(self) -> None:
        """The last piece is here: trackers want to know."""
        if self.announcer is not None:
            self.announcer.completed()

    def quiet(self, now: float, stats: SwarmStats) -> float:
        """Seconds without a useful byte."""
        return now - max(self._fetching_since or now, stats.progressing_at or 0.0)

    def tick(self, now: float, stats: SwarmStats) -> None:
        """HTTP comes in where no peer serves, and stands back where they do."""
        if self._http_only or not self._content.http_urls or self._fetching_since is None:
            return
        if not self._http_on and self.quiet(now, stats) >= HTTP_FALLBACK_AFTER:
            self._set_http(True)
        elif self._http_on and stats.rate_down - stats.rate_http >= HTTP_STANDS_BACK:
            self._set_http(False)

    def _set_http(self, on: bool) -> None:
        self._http_on = on
        source = HttpSource(urls=self._content.http_urls, allow_private=self._content.allow_private)
        self.swarm.set_http_source(source if on else None)

    def next_announce(self) -> float | None:
        """Seconds until a tracker is asked again; None when none will be."""
        if self.announcer is None:
            return None
        times = [status.next_in for status in self.announcer.status() if status.next_in is not None]
        return min(times, default=None)

    async def stop(self) -> SwarmStats:
        """Tell the trackers, close every peer, wait for the disk; the final counters."""
        await asyncio.gather(self.swarm.stop(), *([self.announcer.stop()] if self.announcer else []))
        return self.swarm.stats()
