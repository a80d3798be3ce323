"""One transfer's swarm: constructs the parts, connects them, carries out what the deciders decide."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from icworkshop_gui.core.address import Endpoint, PeerSource, TransportKind
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import IntegrityError, StorageError
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.api.snapshots import PeerSnapshot
from icworkshop_gui.engine.lobby import LobbyHall
from icworkshop_gui.engine.net.dialer import Dialer
from icworkshop_gui.engine.net.limiter import Limiter
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.net.throttled import ThrottledStream
from icworkshop_gui.engine.swarm import time_critical
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.checking import Checked, PieceChecker
from icworkshop_gui.engine.swarm.choker import Choker
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.disk_jobs import DiskJobs
from icworkshop_gui.engine.swarm.hints import Hints
from icworkshop_gui.engine.swarm.metadata_serving import MetadataServing
from icworkshop_gui.engine.swarm.pace import RequestPace
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.pex import PeerExchange
from icworkshop_gui.engine.swarm.picker import PiecePicker
from icworkshop_gui.engine.swarm.piece_tracker import PieceTracker
from icworkshop_gui.engine.swarm.rates import RateMeter
from icworkshop_gui.engine.swarm.reserved import Reserved
from icworkshop_gui.engine.swarm.roster import Roster
from icworkshop_gui.engine.swarm.serving import Serving
from icworkshop_gui.engine.swarm.showing import Showing
from icworkshop_gui.engine.swarm.smart_ban import Verdict
from icworkshop_gui.engine.swarm.stats import SwarmStats, peer_snapshot
from icworkshop_gui.engine.swarm.uploader import Uploader
from icworkshop_gui.engine.swarm.webseed.asking import RequestSlots, WebSeeds, WebSource
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.gates import PeersView
from icworkshop_gui.engine.swarm.webseed.seed import WebSeed
from icworkshop_gui.engine.world import World
from icworkshop_gui.store.storage import Storage
from icworkshop_gui.wire.peer.extensions import lt_donthave, ut_metadata, ut_pex, without
from icworkshop_gui.wire.peer.handshake import Handshake, our_reserved
from icworkshop_gui.wire.peer.messages import Extended
from icworkshop_gui.wire.peer.peer_wire import PeerWire

__all__ = ["Swarm", "SwarmConfig", "SwarmListener", "SwarmStats", "WebSource"]

logger = logging.getLogger("icw.swarm")

TICK = 1.0
"""Seconds between looks at time-outs, rates and candidates."""

HAVE_DELAY = 0.05
"""Seconds for which verified pieces are collected into one write to each peer."""

RATES_SETTLE = 4.0
"""Seconds after a pause or a pace until the rates of peers are their own again: two half-lives of the meters."""

_PRIVATE_SOURCES = frozenset({PeerSource.PEX, PeerSource.DHT, PeerSource.LSD})
"""Not asked, and not believed, for private torrents (BEP 27)."""


class SwarmListener(Protocol):
    """Whom a swarm tells. Called on the engine's loop; must not raise."""

    def on_pieces_verified(self, indices: Sequence[int]) -> None:
        """These are hash-checked and written to storage: journal them."""
        ...

    def on_complete(self) -> None:
        """Every wanted piece is here. Comes after the last `on_pieces_verified`, once."""
        ...

    def on_storage_error(self, error: StorageError | IntegrityError) -> None:
        """The disk refused, or (IntegrityError) right bytes do not fit where the storage wants them.
        Nothing more is asked for until `Swarm.retry_storage`; nothing verified is lost.
        """
        ...

    def on_peer_banned(self, endpoint: Endpoint, why: str) -> None:
        """It sent a bad block and is not spoken to again in this swarm."""
        ...


class Swarm:
    """The peers of one info-hash, and what we exchange with them. Everything runs on the engine's loop."""

    def __init__(
        self,
        *,
        world: World,
        info_hash: InfoHash,
        peer_id: PeerId,
        geometry: Geometry,
        piece_hash: Callable[[int], bytes],
        storage: Storage,
        have: Bitfield,
        wanted: Bitfield | None = None,
        private: bool = False,
        limit_down: Limiter | None = None,
        limit_up: Limiter | None = None,
        tier: Tier = Tier.USER_REQUESTED,
        listener: SwarmListener,
        config: SwarmConfig | None = None,
        listen_port: int | None = None,
        dialer: Dialer | None = None,
        spare: Callable[[], int] | None = None,
        web_slots: RequestSlots | None = None,
        hall: LobbyHall | None = None,
        hints: Hints | None = None,
        info: bytes = b"",
        on_node: Callable[[Endpoint], None] | None = None,
        pex: bool = True,
    ) -> None:
        """`have` is copied; `wanted` None: all. `piece_hash(i)`: SHA-1 of piece i.

        Limits are this transfer's nodes, None: unlimited. `listen_port` is told to peers. `dialer` caps half-open
        connections over all swarms; None: this swarm dials for itself. `spare`: connections left to the whole program.
        `web_slots`: requests to web servers of the whole program; None: this swarm counts for itself.
        `hall`: the lobby we are in; None: never in one.
        `on_node`: told of nodes of the DHT that peers have; None: we have none, or this torrent has no part in it.
        `hints`: what is known of pieces that are not had; those that prove wrong are taken out of it.
        `info`: the info dict, given to those who only know its hash (BEP 9), unless the torrent is private.
        `pex`: peers may be exchanged with peers (BEP 11); never for a private torrent.
        """
        self.clock = world.clock
        self.config = config or SwarmConfig()
        self.tracker = PieceTracker(geometry, have, wanted, hints)
        self.counts = Availability(geometry.piece_count)
        self.picker = PiecePicker(self.tracker, self.counts, world.rng, self.config)
        self.picker.tier = tier
        self.picker.seconds_left = self._seconds_left
        self.pace = RequestPace()
        self.private = private
        self.listen_port = listen_port
        self._world = world
        self._dialer = dialer
        self._listener = listener
        self._limit_down = limit_down or Limiter(None)
        self._limit_up = limit_up or Limiter(None)
        self._on_node = None if private or listen_port is None else on_node
        self._ours = Handshake(info_hash, peer_id, our_reserved(dht=self._on_node is not None))
        self._next_key = 1
        self._roster = Roster(
            ours=self._ours,
            rng=world.rng,
            clock=world.clock,
            config=self.config,
            dial=self._dial,
            welcome=self._welcome,
            spare=spare,
        )
        self._peers = self._roster.peers
        self._jobs = DiskJobs(world.disk, tier)
        self._checker = PieceChecker(self.tracker, storage, piece_hash, self._jobs, self._on_checked)
        self._reserved = Reserved(
            hall,
            self._peers,
            info_hash,
            peer_id,
            slots=self.config.lobby_slots,
            size=geometry.total_length,
            tier=lambda: self.picker.tier,
        )
        self._serving = Serving(
            self._peers,
            Choker(world.rng, interval=self.config.optimistic_interval, seed_choking=self.config.seed_choking),
            Uploader(storage, self._jobs, self.config, world.clock, self._on_read_error),
            world.clock,
            slots=self.config.upload_slots,
            interval=self.config.choke_interval,
            reserved=self._reserved,
        )
        self._showing = Showing(self.tracker, self.counts, self._peers, world.rng)
        self._metadata = MetadataServing(b"" if private else info)
        self._pex: PeerExchange | None = None
        if pex and not private:
            self._pex = PeerExchange(self._peers, lambda found: self.add_candidates(found, PeerSource.PEX))
        lacking = (*(() if self._metadata.size else (ut_metadata.NAME,)), *(() if self._pex else (ut_pex.NAME,)))
        self._extensions = without(*lacking)
        self._web = WebSeeds(self, world.network, self._limit_down, world.rng, web_slots)

        self._running = False
        self._downloading = True
        self._shut = (self._limit_down.shut, self._limit_up.shut)
        self._sharing = True
        self._write_error = False
        self._read_error = False
        self._told_complete = self.tracker.is_complete
        self._timers: dict[str, asyncio.TimerHandle | asyncio.Handle] = {}

        now = self.clock.now()
        self._received_by_gone = 0
        self._uploaded_by_gone = 0
        self._wasted = 0
        self._hash_failures = 0
        self._progressing_at: float | None = None
        self._down_meter = RateMeter(now)
        self._up_meter = RateMeter(now)
        self._http_meter = RateMeter(now)
        self._rates_tell_at = now
        """From when the rates of peers show how fast they are, and not what we let them send."""

    # --- what the session asks and wishes -------------------------------------------------------

    @property
    def have(self) -> Bitfield:
        """Verified pieces: a live view, not to be changed."""
        return self.tracker.have

    @property
    def is_complete(self) -> bool:
        """Everything wanted is here."""
        return self.tracker.is_complete

    def start(self) -> None:
        """Begin to dial, ask and serve. On the engine's loop."""
        if not self._running:
            self._running = self._roster.is_open = True
            self._tick()

    async def stop(self) -> None:
        """Close every peer and wait for disk jobs in flight. The storage stays open. Safe to call twice."""
        self._running = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        tasks = self._web.stop()
        await self._roster.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._checker.flush()
        await self._jobs.idle()

    def add_candidates(self, endpoints: Iterable[Endpoint], source: PeerSource) -> None:
        """Peers to dial, from a tracker or another source."""
        if self.private and source in _PRIVATE_SOURCES:
            return
        if self._roster.add(endpoints, source):
            self._soon("connect", self._connect_more)

    def accept(self, stream: Stream, handshake: Handshake, leftover: bytes) -> None:
        """An incoming peer whose handshake was read (for our info-hash), reading paused; `leftover` came behind it."""
        self._roster.accept(self._throttled(stream), handshake, leftover)

    def adopt(self, stream: Stream, handshake: Handshake, leftover: bytes, source: PeerSource) -> None:
        """A peer whose connection is older than the swarm: it stands under our limits, both handshakes are said,
        reading is paused; `leftover` is what it said behind its own.
        """
        self._roster.adopt(stream, handshake, leftover, source)

    @property
    def connections(self) -> int:
        """Peers here and those being dialled."""
        return len(self._peers) + self._roster.dialing

    @property
    def is_deserted(self) -> bool:
        """Nobody is here or being dialled, nor will anybody be whom the user named."""
        return not self.connections and not self._roster.awaits_named

    @property
    def max_connections(self) -> int:
        """Peers at once; may be changed at any time."""
        return self._roster.max_connections

    @max_connections.setter
    def max_connections(self, count: int) -> None:
        self._roster.max_connections = count

    @property
    def downloading(self) -> bool:
        return self._downloading

    @downloading.setter
    def downloading(self, on: bool) -> None:
        """Off: outstanding requests are cancelled, those to web servers too; partial pieces are kept."""
        if on != self._downloading:
            self._downloading = on
            self._rates_tell_at = self.clock.now() + RATES_SETTLE
            self._asking_changed()

    @property
    def sharing(self) -> bool:
        return self._sharing

    @sharing.setter
    def sharing(self, on: bool) -> None:
        """Off: everyone is choked."""
        if on != self._sharing:
            self._sharing = on
            self._serving_changed()

    @property
    def tier(self) -> Tier:
        return self.picker.tier

    def set_tier(self, tier: Tier) -> None:
        if tier is not self.picker.tier:
            self.picker.tier = self._jobs.tier = tier
            self._reserved.tier_changed()

    def give_up_connections(self, count: int, keep: int) -> int:
        """Leave up to `count` peers for a download of a higher tier, but `keep` stay. Those that give least go, and
        only such of which nothing is on its way. How many went.
        """
        spare = min(count, len(self._peers) - keep)
        idle = [peer for peer in self._peers.values() if not len(peer.pipeline) and not peer.pipeline.withdrawn]
        idle.sort(key=lambda peer: (peer.down_meter.rate + peer.up_meter.rate, -peer.key))
        for peer in idle[: max(0, spare)]:
            peer.drop("a lobby needs the connection")
        return min(max(0, spare), len(idle))

    def lobby_changed(self) -> None:
        """We entered a lobby, or left one."""
        self._reserved.lobby_changed()
        self.interest_changed()

    def set_pace(self, rate: float | None) -> None:
        """Ask for no more than `rate` bytes a second, since others go first; None: as fast as the peers send.

        What is asked for beyond about a second of that is taken back.
        """
        before = self.pace.rate
        self.pace.set_rate(rate, self.clock.now())
        if rate is not None and (before is None or rate < before / 2):
            keep = int(rate / BLOCK_SIZE)
            for peer in list(self._peers.values()):
                kept = min(len(peer.pipeline), keep)
                keep -= kept
                peer.stop_asking(kept)
        elif rate is None and before is not None:
            self._rates_tell_at = self.clock.now() + RATES_SETTLE
            self.blocks_released()

    def set_wanted(self, wanted: Bitfield | None) -> None:
        """Change what is wanted; None: all. What is on its way arrives all the same."""
        self.tracker.want(wanted)
        self._told_complete = self.tracker.is_complete
        self._roster.end_rests()
        self._asking_changed()

    def set_web_source(self, source: WebSource | None) -> None:
        """Ask web servers beside the peers from now on, as far as the gates let them; None: stop doing so."""
        self._web.use(source)

    def set_web_config(self, config: WebSeedConfig) -> None:
        """Change the limits of web seeds."""
        self._web.config = config
        self._web.wake()

    def web_seeds(self) -> Sequence[WebSeed]:
        """What is known of each server that is used now. Not to be changed."""
        return self._web.seeds

    def retry_storage(self) -> None:
        """The disk may work again: write what waits and go on. A new failure tells the listener again."""
        self._write_error = self._read_error = False
        self._checker.retry()
        self._asking_changed()
        self._serving_changed()

    def stats(self) -> SwarmStats:
        peers = self._peers.values()
        geometry = self.tracker.geometry
        wanted = (self.tracker.wanted_mask & self.tracker.lacking_mask).bit_count() * geometry.piece_length
        done = self.tracker.bytes_had()
        return SwarmStats(
            done=done,
            wanted=min(geometry.total_length, done + wanted),
            from_peers=self._received(),
            from_http=self._web.received,
            uploaded=self._uploaded(),
            wasted=self._wasted + self.picker.wasted,
            rate_down=int(self._down_meter.rate + self._http_meter.rate),
            rate_up=int(self._up_meter.rate),
            rate_http=int(self._http_meter.rate),
            peers=len(self._peers),
            seeds=sum(peer.is_seed for peer in peers),
            known=self._roster.known,
            dialing=self._roster.dialing,
            serving=sum(peer.is_interesting and not peer.wire.peer_choking for peer in peers),
            uploading_to=sum(not peer.wire.am_choking and peer.up_meter.rate > 0 for peer in peers),
            http_active=self._web.active,
            http_message=self._web.message,
            http_given_up=self._web.given_up,
            progressing_at=self._progressing_at,
            buffered=self.tracker.buffered,
            complete=self.tracker.is_complete,
            hash_failures=self._hash_failures,
        )

    def peers(self) -> tuple[PeerSnapshot, ...]:
        now = self.clock.now()
        optimistic = self._serving.optimistic
        return tuple(peer_snapshot(peer, now, peer.key in optimistic) for peer in self._peers.values())

    def in_flight(self) -> tuple[int, ...]:
        """Pieces with blocks asked for or received, not verified yet."""
        return (*self.tracker.open, *self.tracker.checking)

    def availability(self) -> bytes:
        """Per piece: how many connected peers have it, capped at 255."""
        return self.counts.to_bytes()

    # --- peers come and go --------------------------------------------------------------------

    def new_key(self) -> int:
        """A key that no peer or server has had."""
        self._next_key += 1
        return self._next_key

    def _connect_more(self) -> None:
        if self._sharing or (self._downloading and not self.tracker.is_complete):
            self._roster.connect_more()

    async def _dial(self, endpoint: Endpoint) -> Stream:
        if self._dialer is not None:
            return self._throttled(await self._dialer.dial(endpoint, tier=self.picker.tier))
        stream = await self._world.network.dial(endpoint, TransportKind.TCP, self.config.dial_timeout)
        return self._throttled(stream)

    def _throttled(self, stream: Stream) -> Stream:
        return ThrottledStream(stream, up=self._limit_up, down=self._limit_down, clock=self.clock)

    def _welcome(self, stream: Stream, theirs: Handshake, leftover: bytes, source: PeerSource) -> None:
        """Both handshakes are said."""
        wire = PeerWire.between(self._ours, theirs, self.tracker.geometry, self.clock.now(), self._extensions)
        peer = Peer(self, self.new_key(), stream, wire, theirs.peer_id, source)
        shown = self._showing.welcome(peer)
        hello = (
            wire.extension_handshake(
                listen_port=self.listen_port,
                your_ip=peer.endpoint.host,
                # Who is shown single pieces must not take us for a seed that has none: libtorrent hangs up on such.
                upload_only=self.tracker.is_complete and not self._showing.sees_part(peer),
                metadata_size=self._metadata.size,
            )
            + shown
        )
        if self._ours.supports_dht and theirs.supports_dht and self.listen_port is not None:
            hello += wire.port(self.listen_port)
        self._roster.enter(peer)
        self.picker.peers = len(self._peers)
        peer.say(hello)
        peer.begin(leftover)

    def named_node(self, endpoint: Endpoint) -> None:
        if self._on_node is not None:
            self._on_node(endpoint)

    def peer_gone(self, peer: Peer, reason: str, *, fault: bool) -> None:
        logger.debug("peer=%s gone reason=%s fault=%s", peer.endpoint, reason, fault)
        self._roster.leave(peer, fault=fault, we_are_seed=self.tracker.is_complete)
        self.picker.peers = max(1, len(self._peers))
        self.counts.remove(peer.has)
        self._received_by_gone += peer.pipeline.received
        self._uploaded_by_gone += peer.uploaded
        for key in peer.pipeline.drop_all():
            index, block = divmod(key, self.tracker.blocks_per_piece)
            self.tracker.release(index, block, peer.key)
        self.tracker.end_exclusive(peer.key)
        self._serving.forget(peer)
        self._metadata.forget(peer)
        if self._pex is not None:
            self._pex.forget(peer)
        self._showing.forget(peer)
        if self._running:
            self.blocks_released()
            self.interest_changed()
            self._soon("connect", self._connect_more)

    def learned_port(self, peer: Peer) -> None:
        self._roster.learned_port(peer)

    def greeted(self, peer: Peer) -> None:
        self._reserved.greeted(peer)

    def heard(self, peer: Peer, event: Extended) -> None:
        if event.name == ut_metadata.NAME:
            self._metadata.heard(peer, event, self.clock.now())
        elif event.name == ut_pex.NAME and self._pex is not None:
            self._pex.heard(peer, event, self.clock.now())
        elif event.name == lt_donthave.NAME:
            peer.heard_donthave(event.payload)
        elif self._reserved.heard(peer, event):
            self.interest_changed()

    # --- asking -------------------------------------------------------------------------------

    @property
    def may_ask(self) -> bool:
        return self._wants_bytes and not self._write_error and self._running

    @property
    def _wants_bytes(self) -> bool:
        return self._downloading and not self._limit_down.shut

    def limits_changed(self) -> None:
        """Look at once whether a limit of 0 has come or gone; every tick does."""
        shut = (self._limit_down.shut, self._limit_up.shut)
        if shut != self._shut:
            self._shut = shut
            self._asking_changed()
            self._serving_changed()

    def _asking_changed(self) -> None:
        may_ask = self.may_ask
        for peer in list(self._peers.values()):
            if not self._wants_bytes:
                # Not so for a full disk: what is on its way then waits in memory, or it would have to come again.
                peer.stop_asking()
            peer.update_interest(may_ask and peer.is_interesting)
        if not self._wants_bytes:
            self._web.pause()
        if may_ask:
            self.blocks_released()
            self._web.wake()

    def _feed_hungry(self) -> None:
        now = self.clock.now()
        for peer in list(self._peers.values()):
            if peer.hungry or not len(peer.pipeline):
                peer.ask(now)
        self._web.wake()

    def blocks_released(self) -> None:
        self._soon("feed", self._feed_hungry)

    def fair_room(self, peer: Peer) -> int | None:
        """How many more requests it may have so that all end together; None while that is no question."""
        if self.picker.tier is not Tier.LOBBY_URGENT:
            return None
        tracker = self.tracker
        # A whole piece for each that is not complete: near the end they are few, and too much is allowed rather than
        # too little.
        left = (len(tracker.open) + tracker.pickable_mask.bit_count()) * tracker.geometry.piece_length
        rates = [other.down_meter.rate for other in self._peers.values()]
        fair = time_critical.fair_requests(peer.down_meter.rate, rates, left, BLOCK_SIZE)
        return None if fair is None else max(0, fair - len(peer.pipeline))

    def _seconds_left(self, key: int, more: int) -> float:
        """How long a peer will need for that, as fast as it was in the last seconds."""
        peer = self._peers.get(key)
        if peer is None or peer.pipeline.snubbed or not peer.down_meter.rate:
            return math.inf
        if self.pace.is_on or self.clock.now() < self._rates_tell_at:
            return 0.0  # It was we who asked for little.
        return (len(peer.pipeline) + more) * BLOCK_SIZE / peer.down_meter.rate

    def block_useful(self, now: float) -> None:
        self._progressing_at = now

    def block_wasted(self, size: int) -> None:
        self._wasted += size

    def cancel_at(self, keys: list[int], index: int, block: int) -> None:
        for key in keys:
            peer = self._peers.get(key)
            if peer is not None:
                peer.cancel(index, block)
            else:
                self._web.cancel(key, index, block)
        self.blocks_released()

    def piece_completed(self, index: int) -> None:
        self._checker.add(index)

    def events_handled(self) -> None:
        self._checker.flush()

    # --- pieces come from the disk ------------------------------------------------------------

    def _on_checked(self, checked: Checked) -> None:
        self._wasted += checked.wasted
        self._hash_failures += len(checked.failed)
        for verdict in checked.verdicts:
            if verdict.ban or verdict.parole or verdict.cleared:
                self._judge(verdict)
        if checked.verified:
            self._showing.verified(checked.verified)
            self._listener.on_pieces_verified(checked.verified)
            for peer in list(self._peers.values()):
                if peer.wire.am_interested and not peer.is_interesting:
                    peer.update_interest(False)
            if self._running:
                self._later("haves", HAVE_DELAY, self._showing.tell)
        if checked.error is not None and not self._write_error:
            self._write_error = True
            self._asking_changed()
            self._listener.on_storage_error(checked.error)
        if self.tracker.is_complete and not self._told_complete:
            self._told_complete = True
            self._showing.tell()
            self._listener.on_complete()
            for peer in list(self._peers.values()):
                if peer.is_seed:
                    peer.drop("we both have everything")
        elif self._running:
            self.blocks_released()

    def _judge(self, verdict: Verdict) -> None:
        for key in verdict.parole:
            if key in self._peers:
                self._peers[key].view.on_parole = True
            elif self._web.knows(key):
                self._web.suspect(key)
        for key in verdict.cleared:
            if key in self._peers:
                self._peers[key].view.on_parole = False
            elif self._web.knows(key):
                self._web.cleared(key)
            self.tracker.end_exclusive(key)
        for key in verdict.ban:
            self._wasted += self.tracker.distrust(key)
            if self._web.knows(key):
                self._web.lied(key)
            else:
                endpoint = self._roster.ban(key)
                if endpoint is not None:
                    self._listener.on_peer_banned(endpoint, "sent a bad block")

    # --- serving ------------------------------------------------------------------------------

    @property
    def may_serve(self) -> bool:
        return self._sharing and not self._read_error and not self._limit_up.shut

    def has_requests(self, peer: Peer) -> None:
        self._metadata.pump(peer)
        if self._showing.is_super_seeding:
            self._showing.asked(peer)
        self._serving.serve(peer)

    def _on_read_error(self, error: StorageError) -> None:
        if not self._read_error:
            self._read_error = True
            self._serving_changed()
            self._listener.on_storage_error(error)

    def has_more(self, peer: Peer) -> None:
        self._showing.has_more(peer)

    def interest_changed(self) -> None:
        self._soon("slots", self._serving.fill)

    @property
    def _is_seeding(self) -> bool:
        return self.tracker.is_complete or not self.may_ask

    def _serving_changed(self) -> None:
        self._serving.is_on = self.may_serve
        self._serving.round(seeding=self._is_seeding)

    # --- time ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.clock.now()
        for peer in list(self._peers.values()):
            peer.tick(now)
            peer.ask(now)
        self._serving.tick(now, seeding=self._is_seeding)
        self._showing.tick()
        if self._pex is not None:
            self._pex.tick(now)
        self.limits_changed()
        self._roster.make_room(now)
        self._roster.turn_over(now)
        self._down_meter.sample(self._received(), now)
        self._web.tick(now, self._peers_view(), self._down_meter.last)
        self._up_meter.sample(self._uploaded(), now)
        self._http_meter.sample(self._web.received, now)
        self._connect_more()
        self._later("tick", TICK, self._tick)

    def _peers_view(self) -> PeersView:
        threshold = self._web.config.bt_peer_rate_threshold
        healthy = [peer for peer in self._peers.values() if peer.down_meter.rate >= threshold]
        pieces = 0
        for peer in healthy:
            pieces |= peer.has
        return PeersView(healthy=len(healthy), pieces=pieces, rate=self._down_meter.rate)

    def _received(self) -> int:
        return self._received_by_gone + sum(peer.pipeline.received for peer in self._peers.values())

    def _uploaded(self) -> int:
        return self._uploaded_by_gone + sum(peer.uploaded for peer in self._peers.values())

    def _soon(self, name: str, work: Callable[[], None]) -> None:
        """Once, before the loop waits again, however often it is wished for until then."""
        self._later(name, 0.0, work)

    def _later(self, name: str, delay: float, work: Callable[[], None]) -> None:
        if name in self._timers or not self._running:
            return

        def run() -> None:
            del self._timers[name]
            work()

        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(delay, run) if delay else loop.call_soon(run)
