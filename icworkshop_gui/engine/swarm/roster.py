"""Who is here, who may come, and who may not come back: candidates, connections, bans of one swarm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.swarm.candidates import CandidatePool
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.connector import Connector, Dial
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.wire.peer.handshake import Handshake

logger = logging.getLogger("icw.swarm")

SEED_REST = 1800.0
"""Seconds until a seed that we left because we are a seed too is dialled again."""

MAX_NAMES = 4000
"""Peers remembered by key after they left, so that a liar can still be banned; and banned peer ids."""

TURNOVER_SECONDS = 300.0
"""Between two rounds in which places change hands; whoever is here for less is not judged yet."""
TURNOVER_FULL = 0.9
"""Part of the places that must be taken."""
TURNOVER_SHARE = 0.04
"""Part of the peers that go in one round, at least one."""
_STAY = frozenset({PeerSource.LOBBY, PeerSource.MANUAL})
"""Whom the user, or the room that he waits in, wants here."""

Welcome = Callable[[Stream, Handshake, bytes, PeerSource], None]


class Roster:
    """Invariant: at most one peer per peer id and address, at most `max_connections`, none that is banned."""

    def __init__(
        self,
        *,
        ours: Handshake,
        rng: Random,
        clock: Clock,
        config: SwarmConfig,
        dial: Dial,
        welcome: Welcome,
        spare: Callable[[], int] | None = None,
    ) -> None:
        """`welcome` makes a peer of a stream that may stay and calls `enter`. `spare`: how many more connections the
        whole program may open; None: as many as this swarm may."""
        self.peers: dict[int, Peer] = {}
        """By key, in the order of arrival. Read only for everybody else."""
        self.max_connections = config.max_connections
        self.is_open = False
        """False: nobody comes in and nobody is dialled."""
        self._ours = ours
        self._clock = clock
        self._config = config
        self._welcome = welcome
        self._spare = spare
        self._pool = CandidatePool(rng, config)
        self._names: dict[int, tuple[Endpoint, PeerId]] = {}
        self._banned_ids: dict[PeerId, None] = {}
        self._turned_at = clock.now()
        self._connector = Connector(
            dial=dial,
            ours=ours,
            timeout=config.handshake_timeout,
            on_greeted=self._on_greeted,
            on_failed=self._on_dial_failed,
        )

    @property
    def known(self) -> int:
        return len(self._pool)

    @property
    def dialing(self) -> int:
        return self._connector.dialing

    @property
    def awaits_named(self) -> bool:
        """Somebody whom the user named could not be reached, and is dialled again."""
        return self._pool.awaits_named

    # --- coming -------------------------------------------------------------------------------

    def add(self, endpoints: Iterable[Endpoint], source: PeerSource) -> int:
        """Remember candidates; returns how many were new."""
        return self._pool.add(endpoints, source)

    def connect_more(self) -> None:
        """Dial as many candidates as there is room for."""
        if not self.is_open:
            return
        dialing = self._connector.dialing
        room = min(self.max_connections - len(self.peers), self._config.max_dialing) - dialing
        if room > 0 and self._pool.has_idle and self._spare is not None:
            room = min(room, self._spare())
        for endpoint in self._pool.next(room, self._clock.now(), self._endpoints()):
            self._connector.connect(endpoint)

    def accept(self, stream: Stream, theirs: Handshake, leftover: bytes) -> None:
        """Somebody dialled us."""
        if theirs.peer_id == self._ours.peer_id:
            # Say so before closing: the other end is ours too, and learns from it not to dial this address again.
            stream.write([self._ours.encode()])
            stream.close()
        elif self._pool.may_accept(stream.endpoint, self._endpoints()) and self._may_enter(stream, theirs):
            # A hybrid torrent has two hashes: the answer has the one that was asked for (BEP 52).
            stream.write([replace(self._ours, info_hash=theirs.info_hash).encode()])
            self._welcome(stream, theirs, leftover, PeerSource.INCOMING)
        else:
            stream.abort()

    def adopt(self, stream: Stream, theirs: Handshake, leftover: bytes, source: PeerSource) -> None:
        """A connection from before there was a swarm: both sides have said their handshakes."""
        if not self._may_enter(stream, theirs):
            stream.abort()
            return
        if not stream.incoming:
            self._pool.add([stream.endpoint], source)
            self._pool.present(stream.endpoint)
        self._welcome(stream, theirs, leftover, source)

    def enter(self, peer: Peer) -> None:
        """It is one of the peers now."""
        self.peers[peer.key] = peer
        self._names[peer.key] = (peer.endpoint, peer.peer_id)
        if len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def learned_port(self, peer: Peer) -> None:
        """An incoming peer said where it listens: no need to dial it there."""
        if peer.dial_endpoint is not None:
            self._pool.add([peer.dial_endpoint], PeerSource.INCOMING)
            self._pool.present(peer.dial_endpoint)

    def _endpoints(self) -> list[Endpoint]:
        return [peer.endpoint for peer in self.peers.values()]

    def _on_greeted(self, endpoint: Endpoint, stream: Stream, theirs: Handshake, leftover: bytes) -> None:
        if theirs.info_hash != self._ours.info_hash:
            stream.abort()
            self._on_dial_failed(endpoint, "another torrent")
        elif theirs.peer_id == self._ours.peer_id:
            stream.abort()
            self._pool.exclude(endpoint)
        elif self._may_enter(stream, theirs):
            self._welcome(stream, theirs, leftover, self._pool.source_of(endpoint))
        else:
            stream.abort()
            self._pool.left(endpoint, self._clock.now())

    def _on_dial_failed(self, endpoint: Endpoint, reason: str) -> None:
        logger.debug("dial endpoint=%s failed=%s", endpoint, reason)
        self._pool.failed(endpoint, self._clock.now())

    def _may_enter(self, stream: Stream, theirs: Handshake) -> bool:
        return (
            self.is_open
            and theirs.peer_id not in self._banned_ids
            and len(self.peers) < self.max_connections
            and self._wins_over_twin(stream, theirs)
        )

    def _wins_over_twin(self, stream: Stream, theirs: Handshake) -> bool:
        """At most one connection per peer id and address. Both sides must close the same of two that crossed."""
        for twin in self.peers.values():
            if twin.peer_id == theirs.peer_id and twin.endpoint.host == stream.endpoint.host:
                outgoing_stays = self._ours.peer_id > theirs.peer_id
                if twin.incoming == stream.incoming or outgoing_stays == stream.incoming:
                    return False
                twin.drop("connected twice")
                return True
        return True

    # --- going --------------------------------------------------------------------------------

    def leave(self, peer: Peer, *, fault: bool, we_are_seed: bool) -> None:
        """It is gone; decides when its address is worth another try."""
        del self.peers[peer.key]
        endpoint, now = peer.dial_endpoint, self._clock.now()
        if endpoint is None:
            return
        short = not peer.incoming and now - peer.connected_at < self._config.snub_timeout
        if we_are_seed and (peer.is_seed or peer.wire.remote.upload_only):
            self._pool.left(endpoint, now, rest=SEED_REST)
        elif fault or (short and not peer.pipeline.received and not peer.uploaded):
            self._pool.failed(endpoint, now)
        else:
            self._pool.left(endpoint, now, worth=peer.worth)

    def end_rests(self) -> None:
        """Seeds that were of no use may be now."""
        self._pool.end_rests()

    def make_room(self, now: float) -> None:
        """When all places are taken, peers that neither side has wanted anything from for long give theirs up."""
        if len(self.peers) < self.max_connections:
            return
        for peer in list(self.peers.values()):
            if now - peer.useful_at >= self._config.useless_timeout:
                peer.drop("nobody wanted anything")

    def turn_over(self, now: float) -> None:
        """When nearly all places are taken and others wait, those who were worth least give theirs up now and then:
        else whoever came first stays, and a better peer is never met (engine.md E.3).
        """
        if now - self._turned_at < TURNOVER_SECONDS:
            return
        self._turned_at = now
        if len(self.peers) <= TURNOVER_FULL * self.max_connections or not self._pool.has_ready(now):
            return
        old = [
            peer
            for peer in self.peers.values()
            if now - peer.connected_at >= TURNOVER_SECONDS and peer.holder is None and peer.source not in _STAY
        ]
        old.sort(key=lambda peer: (peer.worth, peer.key))
        for peer in old[: max(1, int(len(self.peers) * TURNOVER_SHARE))]:
            peer.drop("somebody else gets its place")

    def ban(self, key: int) -> Endpoint | None:
        """It sent a bad block, here or gone already. Where it was, when that is still known."""
        name = self._names.get(key)
        if name is None:
            return None
        endpoint, peer_id = name
        self._banned_ids[peer_id] = None
        if len(self._banned_ids) > MAX_NAMES:
            del self._banned_ids[next(iter(self._banned_ids))]
        self._pool.ban(endpoint)
        peer = self.peers.get(key)
        if peer is not None:
            if peer.dial_endpoint is not None:
                self._pool.ban(peer.dial_endpoint)
            peer.drop("it sent a bad block", fault=True)
        return endpoint

    async def close(self) -> None:
        """Everybody out, no attempt left."""
        self.is_open = False
        for peer in list(self.peers.values()):
            peer.drop("we are leaving")
        await self._connector.close()
