"""Upload slots for those who wait in our lobby, beside the choker's; and what peers say about their urgency.

Proof is what counts (`engine.lobby`): a peer that only claims to be urgent is served like everybody else. Those who
proved it are exempt from the competition, up to `SwarmConfig.lobby_slots` peers and, for each of them, the torrent's
size and a quarter: more than that nobody needs for himself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.lobby import LobbyHall
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.wire.peer.extensions import ic_auth, ic_priority
from icworkshop_gui.wire.peer.messages import Extended

logger = logging.getLogger("icw.swarm.lobby")

BUDGET = 1.25
"""Times the size of the torrent that one holder of a ticket is served without competition."""
HOLDERS_MAX = 64
"""Holders of tickets whose budget is kept for one torrent; more players fit in no room."""
ANSWERS_MAX = 3
"""Challenges of one peer that are answered: each costs a signature."""
CHALLENGES_MAX = 3
"""Challenges that one peer gets while we are in a lobby, however often it introduces itself: each answer costs two."""


class Reserved:
    """One for the swarm."""

    def __init__(
        self,
        hall: LobbyHall | None,
        peers: Mapping[int, Peer],
        info_hash: InfoHash,
        ours: PeerId,
        *,
        slots: int,
        size: int,
        tier: Callable[[], Tier],
    ) -> None:
        self._hall = hall
        self._peers = peers
        self._info_hash = info_hash
        self._ours = ours
        self._slots = slots
        self._budget = int(size * BUDGET)
        self._tier = tier
        self._spent: dict[bytes, int] = {}
        """Holder -> payload bytes that its connections took, those that are over included."""

    # --- what is said -------------------------------------------------------------------------

    def greeted(self, peer: Peer) -> None:
        """It told what it can do."""
        if peer.wire.supports(ic_priority.NAME) and not peer.challenges:
            peer.say(peer.wire.extension(ic_priority.NAME, ic_priority.encode(self._tier())))
        self._challenge(peer)

    def tier_changed(self) -> None:
        """Say so."""
        for peer in list(self._peers.values()):
            if peer.wire.supports(ic_priority.NAME):
                peer.say(peer.wire.extension(ic_priority.NAME, ic_priority.encode(self._tier())))

    def lobby_changed(self) -> None:
        """We are in another room, or in none: what was proved before counts no more."""
        for peer in list(self._peers.values()):
            self._settle(peer)
            peer.challenges = 0
            self._challenge(peer)
        self._spent.clear()

    def heard(self, peer: Peer, event: Extended) -> bool:
        """A message of an extension. True when the peer may be served without competition from now on."""
        try:
            if event.name == ic_priority.NAME:
                peer.claims = ic_priority.parse(event.payload)
            elif event.name == ic_auth.NAME:
                return self._heard_auth(peer, event.payload)
        except RemoteProtocolError as error:
            peer.drop(error.reason, fault=True)
        return False

    def _challenge(self, peer: Peer) -> None:
        if self._hall is None or not peer.wire.supports(ic_auth.NAME) or peer.challenges >= CHALLENGES_MAX:
            return
        peer.challenges += 1
        challenge = self._hall.challenge()
        peer.nonce = None if challenge is None else challenge.nonce
        if challenge is not None:
            peer.say(peer.wire.extension(ic_auth.NAME, challenge.encode()))

    def _heard_auth(self, peer: Peer, payload: bytes) -> bool:
        message = ic_auth.parse(payload)
        if self._hall is None or message is None:
            return False
        if isinstance(message, ic_auth.Challenge):
            if peer.answers < ANSWERS_MAX and peer.wire.supports(ic_auth.NAME):
                answer = self._hall.answer(message, self._info_hash, self._ours, peer.peer_id)
                if answer is not None:
                    peer.answers += 1
                    peer.say(peer.wire.extension(ic_auth.NAME, answer.encode()))
            return False
        nonce, peer.nonce = peer.nonce, None
        if nonce is None:
            return False  # nobody asked, or it has had its try
        why = self._hall.why_not(
            message, nonce, self._info_hash, prover=peer.peer_id, verifier=self._ours, host=peer.endpoint.host
        )
        if not why and len(self._spent) >= HOLDERS_MAX and message.ticket.holder not in self._spent:
            why = "more players than fit in a room"
        if why:
            logger.info("event=ticket-refused peer=%s why=%s", peer.endpoint, why)
            return False
        peer.holder, peer.holds_until = message.ticket.holder, float(message.ticket.expires)
        peer.settled = peer.uploaded
        self._spent.setdefault(peer.holder, 0)
        return True

    # --- who is exempt ------------------------------------------------------------------------

    def exempt(self) -> set[int]:
        """Keys of interested peers that are served beside the choker's slots."""
        chosen: dict[bytes, int] = {}
        for peer in self._peers.values():
            if peer.holder is not None and peer.wire.peer_interested and self._is_good(peer):
                chosen.setdefault(peer.holder, peer.key)
                if len(chosen) >= self._slots:
                    break
        return set(chosen.values())

    def _is_good(self, peer: Peer) -> bool:
        assert peer.holder is not None
        if self._hall is None or not self._hall.holds(peer.holds_until):
            return False
        self._count(peer)
        return self._spent[peer.holder] < self._budget

    def _count(self, peer: Peer) -> None:
        if peer.holder is not None:
            self._spent[peer.holder] += peer.uploaded - peer.settled
            peer.settled = peer.uploaded

    def _settle(self, peer: Peer) -> None:
        self._count(peer)
        peer.holder = None

    def forget(self, peer: Peer) -> None:
        """It left; what it took counts on."""
        self._settle(peer)
