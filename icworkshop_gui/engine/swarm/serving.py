"""Who is served: applies the choker's verdicts and hands requests to the uploader."""

from __future__ import annotations

from collections.abc import Mapping

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.engine.swarm.choker import Choker
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.reserved import Reserved
from icworkshop_gui.engine.swarm.stats import choke_view
from icworkshop_gui.engine.swarm.uploader import Uploader


class Serving:
    """The upload slots of one swarm."""

    def __init__(
        self,
        peers: Mapping[int, Peer],
        choker: Choker,
        uploader: Uploader,
        clock: Clock,
        *,
        slots: int,
        interval: float,
        reserved: Reserved,
    ) -> None:
        self._peers = peers
        self._choker = choker
        self._uploader = uploader
        self._clock = clock
        self._slots = slots
        self._reserved = reserved
        self._interval = interval
        self._round_at = clock.now() + interval
        self.is_on = True
        """False: everybody is choked at the next `round`."""

    @property
    def optimistic(self) -> tuple[int, ...]:
        return self._choker.optimistic

    def fill(self) -> None:
        """Give free slots away at once."""
        exempt = self._exempt()
        views = [choke_view(peer) for peer in self._peers.values() if peer.key not in exempt]
        for key in self._choker.fill(views, slots=self._slots if self.is_on else 0) | exempt:
            self._unchoke(self._peers[key])

    def _exempt(self) -> set[int]:
        return self._reserved.exempt() if self.is_on else set()

    def round(self, *, seeding: bool) -> None:
        """Decide anew."""
        now = self._clock.now()
        self._round_at = now + self._interval
        peers = list(self._peers.values())
        exempt = self._exempt()
        views = [choke_view(peer) for peer in peers if peer.key not in exempt]
        chosen = self._choker.round(views, now, seeding=seeding, slots=self._slots if self.is_on else 0) | exempt
        for peer in peers:
            peer.given_at_round, peer.taken_at_round = peer.pipeline.received, peer.uploaded
            if peer.key in chosen:
                self._unchoke(peer)
            elif not peer.wire.am_choking:
                peer.flipped_at = now
                self._uploader.choke(peer)

    def tick(self, now: float, *, seeding: bool) -> None:
        """Once a second."""
        if now >= self._round_at:
            self.round(seeding=seeding)
        for peer in list(self._peers.values()):
            self._uploader.serve(peer)

    def serve(self, peer: Peer) -> None:
        """It asked for something, or its stream has room again."""
        self._uploader.serve(peer)

    def forget(self, peer: Peer) -> None:
        self._choker.forget(peer.key)
        self._reserved.forget(peer)

    def _unchoke(self, peer: Peer) -> None:
        if peer.wire.am_choking:
            peer.flipped_at = self._clock.now()
            peer.taken_at_unchoke = peer.uploaded
            peer.say(peer.wire.unchoke())
