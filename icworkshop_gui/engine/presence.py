"""How others find one transfer: its trackers and the DHT hear of it, at a pace that they can bear.

A transfer that is shared is found long before anybody comes for it. So this outlives the swarm, which is made when
the first peer appears and ends when the last one has been gone for a while: a thousand shared packages then cost a
thousand of these, and no swarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.engine.content import Content
from icworkshop_gui.engine.discovery.dht import Dht
from icworkshop_gui.engine.discovery.dht_announcer import DhtAnnouncer
from icworkshop_gui.engine.discovery.lsd import LocalDiscovery, OnPeers
from icworkshop_gui.engine.discovery.pace import AnnouncePace
from icworkshop_gui.engine.discovery.tracker import AnnounceStats, TrackerAnnouncer
from icworkshop_gui.engine.discovery.udp_tracker import UdpTrackerClient
from icworkshop_gui.engine.world import World


class Town(Protocol):
    """What a presence needs of the session."""

    world: World
    tracker_world: World
    """The same, whose network counts what trackers cost."""
    peer_id: PeerId
    udp: UdpTrackerClient
    http_slots: asyncio.Semaphore
    pace: AnnouncePace
    dht: Dht
    dht_pace: AnnouncePace
    lsd: LocalDiscovery

    def peer_port(self) -> int:
        """0 while not listening."""
        ...


class Presence:
    """Announces from construction until `stop`. On the engine's loop."""

    def __init__(
        self,
        session: Town,
        content: Content,
        *,
        stats: Callable[[], AnnounceStats],
        on_peers: Callable[[Sequence[Endpoint], PeerSource], None],
        urgent: bool,
        announce: bool = True,
    ) -> None:
        """`urgent`: somebody waits for the answer; otherwise each announce takes its turn. `announce` False: no tracker
        and no node of the DHT is asked; who knows where we are finds us all the same."""
        self._pace, self._dht_pace = session.pace, session.dht_pace
        self.since = session.world.clock.now()
        self.announcer: TrackerAnnouncer | None = None
        if announce and content.trackers:
            self.announcer = TrackerAnnouncer(
                session.tracker_world,
                content.swarm_hashes[0],
                session.peer_id,
                content.trackers,
                session.peer_port,
                stats,
                lambda peers: on_peers(peers, PeerSource.TRACKER),
                session.udp,
                content.allow_private,
                http_slots=session.http_slots,
                pace=None if urgent else session.pace,
            )
            self.announcer.start()
        self._lsd, self._local_hashes = session.lsd, content.swarm_hashes if announce and content.in_lsd else ()
        self._on_local: OnPeers = lambda peers: on_peers(peers, PeerSource.LSD)
        for info_hash in self._local_hashes:
            self._lsd.join(info_hash, self._on_local)
        self.dht: DhtAnnouncer | None = None
        if announce and content.in_dht:
            self.dht = DhtAnnouncer(
                session.world,
                session.dht,
                content.swarm_hashes[0],
                session.peer_port,
                lambda peers: on_peers(peers, PeerSource.DHT),
                allow_private=content.allow_private,
                pace=None if urgent else session.dht_pace,
            )
            self.dht.start()

    def counts(self) -> tuple[int | None, int]:
        """Seeds and leechers that trackers last counted, ourselves included; None for the seeds while none answered."""
        if self.announcer is None:
            return None, 0
        answers = [status for status in self.announcer.status() if status.ok]
        if not answers:
            return None, 0
        return max(status.seeders for status in answers), max(status.leechers for status in answers)

    def set_urgent(self, urgent: bool) -> None:
        if self.announcer is not None:
            self.announcer.pace = None if urgent else self._pace
        if self.dht is not None:
            self.dht.pace = None if urgent else self._dht_pace

    def completed(self) -> None:
        """The last piece is here: trackers want to know."""
        if self.announcer is not None:
            self.announcer.completed()

    def ask(self) -> None:
        """Ask for peers as soon as the trackers allow."""
        if self.announcer is not None:
            self.announcer.announce_now()
        if self.dht is not None:
            self.dht.ask()

    async def stop(self) -> None:
        """Tell the trackers that we left."""
        for info_hash in self._local_hashes:
            self._lsd.leave(info_hash, self._on_local)
        if self.dht is not None:
            await self.dht.stop()
        if self.announcer is not None:
            await self.announcer.stop()
