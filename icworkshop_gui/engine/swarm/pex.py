"""Peers tell each other whom they are connected to (BEP 11): what we say, what we believe, and how much of it.

What we say: peers that we dialled with success, and those that came to us and said where they listen, which they may
not be reachable at: so these lack the flag for it. To nobody an address of another kind of network than his own is
named, and seeds hear nothing of other seeds. What we believe is only a name to dial one day, 50 from each peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.wire.peer.extensions import ut_pex
from icworkshop_gui.wire.peer.extensions.ut_pex import PEERS_MAX, PexFlag, PexMessage
from icworkshop_gui.wire.peer.messages import Extended

INTERVAL: Final = 60.0
"""Seconds between two messages to the same peer at the least (BEP 11)."""
TOO_SOON: Final = 45.0
"""Seconds since the last message of a peer below which the next one is not read: clocks and lines differ a little."""
TOO_SOON_MAX: Final = 10
"""Such messages after which their sender is dropped."""
FROM_EACH_MAX: Final = 50
"""Peers that are taken from one peer as long as it is here (engine.md E.11)."""
PORT_MIN: Final = 1024
"""Lower ports belong to services that are no BitTorrent programs: who names them wants us to knock there."""


class _Talk:
    """With one peer."""

    __slots__ = ("heard_at", "said_at", "taken", "told", "too_soon")

    def __init__(self) -> None:
        self.told: dict[Endpoint, PexFlag] = {}
        """Whom it takes to be connected to us."""
        self.said_at = float("-inf")
        self.heard_at = float("-inf")
        self.taken = 0
        self.too_soon = 0


class PeerExchange:
    """One for the swarm; none for private torrents."""

    def __init__(self, peers: Mapping[int, Peer], on_peers: Callable[[Sequence[Endpoint]], None]) -> None:
        self._peers = peers
        self._on_peers = on_peers
        self._talks: dict[int, _Talk] = {}

    def heard(self, peer: Peer, event: Extended, now: float) -> None:
        """A message of `ut_pex`."""
        try:
            message = ut_pex.parse(event.payload)
        except RemoteProtocolError as error:
            peer.drop(error.reason, fault=True)
            return
        talk = self._talks.setdefault(peer.key, _Talk())
        if now - talk.heard_at < TOO_SOON:
            talk.too_soon += 1
            if talk.too_soon > TOO_SOON_MAX:
                peer.drop("a flood of peer lists", fault=True)
            return
        talk.heard_at = now
        good = [one for one in message.added if one.port >= PORT_MIN and one.is_global is peer.endpoint.is_global]
        fresh = good[: FROM_EACH_MAX - talk.taken]
        talk.taken += len(fresh)
        if fresh:
            self._on_peers(fresh)

    def tick(self, now: float) -> None:
        """Once a second: tell those whose turn it is."""
        here = {
            peer.dial_endpoint: _flags(peer)
            for peer in self._peers.values()
            if peer.dial_endpoint is not None and peer.dial_endpoint.port
        }
        for peer in list(self._peers.values()):
            if not peer.wire.supports(ut_pex.NAME):
                continue
            talk = self._talks.setdefault(peer.key, _Talk())
            if now - talk.said_at < INTERVAL:
                continue
            worth = {
                endpoint: flags
                for endpoint, flags in here.items()
                if endpoint != peer.dial_endpoint
                and endpoint.is_global is peer.endpoint.is_global
                and not (peer.is_seed and PexFlag.SEED in flags)
            }
            added = [endpoint for endpoint in worth if endpoint not in talk.told][:PEERS_MAX]
            dropped = [endpoint for endpoint in talk.told if endpoint not in here][:PEERS_MAX]
            if not added and not dropped:
                continue
            talk.said_at = now
            talk.told.update((endpoint, worth[endpoint]) for endpoint in added)
            for endpoint in dropped:
                del talk.told[endpoint]
            message = PexMessage({endpoint: worth[endpoint] for endpoint in added}, dropped)
            peer.say(peer.wire.extension(ut_pex.NAME, ut_pex.encode(message)))

    def forget(self, peer: Peer) -> None:
        self._talks.pop(peer.key, None)


def _flags(peer: Peer) -> PexFlag:
    flags = PexFlag(0)
    if peer.is_seed or peer.wire.remote.upload_only:
        flags |= PexFlag.SEED
    if not peer.incoming:
        flags |= PexFlag.REACHABLE
    return flags
