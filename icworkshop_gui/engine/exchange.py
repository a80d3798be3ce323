"""What runs for one transfer while it fetches or somebody fetches from it: its swarm, and the web servers' part.

When web servers are asked is decided by `web_turn` and the gates of `swarm.webseed`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.content import Content
from icworkshop_gui.engine.discovery.dht import Dht
from icworkshop_gui.engine.discovery.tracker import TrackerAnnouncer
from icworkshop_gui.engine.lobby import LobbyHall
from icworkshop_gui.engine.net.dialer import Dialer
from icworkshop_gui.engine.net.limiter import Limiter
from icworkshop_gui.engine.settings_file import Settings
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.hints import Hints
from icworkshop_gui.engine.swarm.swarm import Swarm, SwarmListener, SwarmStats, WebSource
from icworkshop_gui.engine.swarm.webseed.asking import RequestSlots
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.places import FileMap
from icworkshop_gui.engine.web_turn import TurnView, is_web_turn
from icworkshop_gui.engine.world import World
from icworkshop_gui.store.storage import Storage

CONNECTIONS_MIN = 2
"""Connections that a swarm may open even when the others have taken all there are."""
LOBBY_CONNECTIONS = 16
"""Connections up to which a lobby's download takes over those of others when none is left."""
TAKE_EVERY = 10.0
"""Seconds between two times that it does: peers that cannot be reached must not empty the other swarms."""


class Neighbourhood(Protocol):
    """What an exchange needs of the session."""

    world: World
    settings: Settings
    peer_id: PeerId
    web_slots: RequestSlots
    hall: LobbyHall
    dialer: Dialer
    dht: Dht

    def peer_port(self) -> int:
        """0 while not listening."""
        ...

    def connection_share(self) -> int:
        """How many connections all swarms together may still open."""
        ...

    def take_connections(self, count: int, tier: Tier) -> None:
        """Downloads and shared packages of lower tiers give up to so many up."""
        ...


def is_http_only(content: Content, settings: Settings) -> bool:
    """Small packages, and everything for those who want no P2P."""
    if not content.web_seeds or content.ref is None:
        return False
    small = content.size < settings.number("workshop.p2p.http_below")
    return small or not settings.flag("workshop.p2p.prefer_p2p")


def webseed_config(settings: Settings) -> WebSeedConfig:
    """The limits of web seeds, as far as a person may change them."""
    return WebSeedConfig(
        max_requests_per_seed=settings.number("webseed.max_requests_per_seed"),
        max_requests_global=settings.number("webseed.max_requests_global"),
        max_bandwidth_fraction=settings.number("webseed.max_bandwidth_percent") / 100,
        prefer_bt_peers=settings.flag("webseed.prefer_bt_peers"),
        bt_peer_rate_threshold=settings.rate("webseed.bt_peer_rate_threshold") or 0,
    )


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
        announcer: TrackerAnnouncer | None,
        hints: Hints,
    ) -> None:
        """`limits`: down, up. `announcer`: for what it knows; it belongs to the caller. `hints` as in `Swarm`."""
        self._session = session
        self._content = content
        self.announcer = announcer
        self._http_only = is_http_only(content, session.settings)
        self._http_on = False
        self._take_at = -math.inf
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
                webseed=webseed_config(settings),
            ),
            dialer=session.dialer,
            spare=self._spare,
            web_slots=session.web_slots,
            hall=session.hall,
            hints=hints,
            info=meta.info,
            on_node=session.dht.meet if session.dht.is_on and content.in_dht else None,
            pex=settings.flag("workshop.p2p.pex"),
        )
        self.swarm.start()
        self.add_peers(peers)

    def _spare(self) -> int:
        """All swarms share the program's limit; nobody is left without a start, and who waits opens no more."""
        if not self.swarm.downloading and not self.swarm.is_complete:
            return 0
        wish, now = LOBBY_CONNECTIONS - self.swarm.connections, self._session.world.clock.now()
        missing = wish - self._session.connection_share()
        is_urgent = self.swarm.tier is Tier.LOBBY_URGENT and self.swarm.downloading
        if is_urgent and wish > 0 and missing > 0 and now >= self._take_at:
            self._take_at = now + TAKE_EVERY
            self._session.take_connections(min(wish, missing), Tier.LOBBY_URGENT)
        return max(self._session.connection_share(), CONNECTIONS_MIN - self.swarm.connections)

    def add_peers(self, peers: Iterable[Endpoint]) -> None:
        """Peers that the user named."""
        if not self._http_only:
            self.swarm.add_candidates(peers, PeerSource.MANUAL)

    @property
    def is_deserted(self) -> bool:
        """Nobody is here, being dialled, or named by the user and still out of reach."""
        return self.swarm.is_deserted

    def set(self, *, fetch: bool, share: bool) -> None:
        """Whether to ask for pieces, and whether to give some."""
        self.swarm.downloading = fetch
        self.swarm.sharing = share
        self.swarm.limits_changed()
        self.swarm.set_web_config(webseed_config(self._session.settings))
        if not fetch:
            self._fetching_since = None
        elif self._fetching_since is None:
            self._fetching_since = self._session.world.clock.now()
            self._take_turns(self._fetching_since, self.swarm.stats())

    def quiet(self, now: float, stats: SwarmStats) -> float:
        """Seconds without a useful byte."""
        return now - max(self._fetching_since or now, stats.progressing_at or 0.0)

    def tick(self, now: float, stats: SwarmStats) -> None:
        """Policies that go by the clock."""
        if self._fetching_since is not None:
            self._take_turns(now, stats)

    def _take_turns(self, now: float, stats: SwarmStats) -> None:
        settings = self._session.settings
        assert self._fetching_since is not None
        view = TurnView(
            is_on=self._http_on,
            http_only=self._http_only,
            enabled=settings.flag("webseed.enabled"),
            peers_first=settings.flag("webseed.prefer_bt_peers"),
            is_package=self._content.ref is not None,
            tier=self.swarm.tier,
            elapsed=now - self._fetching_since,
            quiet=self.quiet(now, stats),
            rate_peers=stats.rate_down - stats.rate_http,
            nobody_known=not stats.known and self._all_asked(),
        )
        on = bool(self._content.web_seeds) and is_web_turn(view)
        if on != self._http_on:
            self._http_on = on
            self._use_web(on)

    def web_seeds_changed(self) -> None:
        """The content names others now."""
        if self._http_on:
            self._use_web(True)

    def _all_asked(self) -> bool:
        """Has every tracker answered, or failed to?"""
        return self.announcer is None or all(status.ok or status.message for status in self.announcer.status())

    def _use_web(self, on: bool) -> None:
        source = WebSource(
            seeds=self._content.web_seeds, files=FileMap.of(self._content.metainfo), alone=self._http_only
        )
        self.swarm.set_web_source(source if on else None)

    def next_announce(self) -> float | None:
        """Seconds until a tracker is asked again; None when none will be."""
        if self.announcer is None:
            return None
        times = [status.next_in for status in self.announcer.status() if status.next_in is not None]
        return min(times, default=None)

    async def stop(self) -> SwarmStats:
        """Close every peer, wait for the disk; the final counters."""
        await self.swarm.stop()
        return self.swarm.stats()
