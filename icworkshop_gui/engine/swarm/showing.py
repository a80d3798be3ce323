"""What each peer is told that we have: everything, what came lately, or (a lone seed) piece after piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.piece_mask import bits_of
from icworkshop_gui.engine.swarm.piece_tracker import PieceTracker
from icworkshop_gui.engine.swarm.super_seeding import SuperSeeder

ALONE_TICKS = 5
"""Seconds alone after which a leecher is told everything: other programs count what they see as all there is."""


class Showing:
    """One for the swarm."""

    def __init__(self, tracker: PieceTracker, counts: Availability, peers: Mapping[int, Peer], rng: Random) -> None:
        self._tracker = tracker
        self._peers = peers
        self._log: list[int] = []
        self._alone_ticks = 0
        self._seeder = SuperSeeder(tracker.length, tracker.geometry.piece_length, counts, rng)

    @property
    def is_super_seeding(self) -> bool:
        """Some peer is shown single pieces."""
        return self._seeder.is_at_work

    def welcome(self, peer: Peer) -> bytes:
        """What a new peer is told first. Call before it is one of the peers."""
        peer.have_cursor = len(self._log)
        if not self._tracker.is_full or not self._seeder.unique:
            return peer.wire.bitfield(self._tracker.have)
        # What only we have goes to each of them in other parts; who is alone now may soon be one of many.
        self._seeder.admit(peer.key)
        return peer.wire.bitfield(Bitfield(self._tracker.length)) + self._next(peer, alone=not self._leechers())

    def sees_part(self, peer: Peer) -> bool:
        """It is shown single pieces."""
        return self._seeder.sees_part(peer.key)

    def verified(self, indices: Sequence[int]) -> None:
        """We have these now; `tell` says so."""
        self._log += indices

    def tell(self) -> None:
        """Say what came since the last time."""
        log = self._log
        for peer in list(self._peers.values()):
            if peer.have_cursor < len(log) and not peer.is_seed:
                peer.say(peer.wire.have(log[peer.have_cursor :]))
                peer.have_cursor = len(log)

    def asked(self, peer: Peer) -> None:
        """It has put requests."""
        if not self._seeder.sees_part(peer.key):
            self._seeder.asked(peer.key, peer.uploads.pieces())

    def has_more(self, peer: Peer) -> None:
        """It told of pieces that it has."""
        if not self._seeder.is_at_work:
            return
        if not self._seeder.unique:
            self._end()
        elif self._seeder.sees_part(peer.key):
            peer.say(self._next(peer, alone=self._leechers() == 1))

    def forget(self, peer: Peer) -> None:
        self._seeder.forget(peer.key)

    def tick(self) -> None:
        """Once a second."""
        if not self._seeder.is_at_work:
            return
        alone = self._leechers() < 2
        self._alone_ticks = self._alone_ticks + 1 if alone else 0
        if self._alone_ticks > ALONE_TICKS or not self._seeder.unique:
            self._end()
            return
        for peer in list(self._peers.values()):
            if self._seeder.sees_part(peer.key):
                peer.say(self._next(peer, alone=alone))

    def _next(self, peer: Peer, *, alone: bool) -> bytes:
        found = self._seeder.show(peer.key, peer.has, peer.up_meter.rate, alone=alone)
        return peer.wire.have(found) if found else b""

    def _end(self) -> None:
        """Everybody sees everything from now on."""
        for peer in list(self._peers.values()):
            # What it has too, or it would never know that we are a seed.
            hidden = self._seeder.hidden(peer.key)
            self._seeder.forget(peer.key)
            if hidden:
                peer.say(peer.wire.have(bits_of(hidden)))

    def _leechers(self) -> int:
        return sum(not peer.is_seed for peer in self._peers.values())
