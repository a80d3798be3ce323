"""What other nodes told us of peers, as long as it holds and as far as there is room (BEP 5, "announce_peer")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId

LIFE: Final = 45 * 60.0
"""Seconds that a peer is kept; it announces itself again before half an hour is over."""
TORRENTS_MAX: Final = 2_000
PEERS_MAX: Final = 500
"""Of one torrent."""
ALL_PEERS_MAX: Final = 50_000
"""Of all torrents: some 15 MB."""
PER_HOST_MAX: Final = 8
"""Peers of one torrent at one address: several behind one router, not a swarm of inventions."""
TORRENTS_PER_HOST_MAX: Final = 200
"""Torrents at one address of which a peer is kept; one host does not fill the store."""


class PeerStore:
    """Pure: time is an argument, and so is chance."""

    def __init__(self) -> None:
        self._torrents: dict[NodeId, dict[Endpoint, float]] = {}
        """The torrent announced last at the end; of each its peers and when they go, the first to go first."""
        self._torrents_of: Counter[str] = Counter()
        """Entries of each address, over all torrents."""
        self._count = 0

    def __len__(self) -> int:
        """Peers in all."""
        return self._count

    @property
    def torrents(self) -> int:
        return len(self._torrents)

    def add(self, torrent: NodeId, peer: Endpoint, now: float) -> bool:
        """Keep `peer` from now on. False when one of its address's limits forbids it."""
        peers = self._torrents.pop(torrent, {})
        self._torrents[torrent] = peers
        if peer in peers:
            del peers[peer]
            peers[peer] = now + LIFE
            return True
        refused = (
            self._torrents_of[peer.host] >= TORRENTS_PER_HOST_MAX
            or sum(other.host == peer.host for other in peers) >= PER_HOST_MAX
        )
        if refused:
            if not peers:
                del self._torrents[torrent]
            return False
        if len(peers) >= PEERS_MAX:
            self._drop(peers, next(iter(peers)))
        peers[peer] = now + LIFE
        self._torrents_of[peer.host] += 1
        self._count += 1
        while len(self._torrents) > TORRENTS_MAX or self._count > ALL_PEERS_MAX:
            self._forget(next(iter(self._torrents)))
        return True

    def peers(self, torrent: NodeId, limit: int, now: float, randbelow: Callable[[int], int]) -> list[Endpoint]:
        """At most `limit` of them, any ones when there are more."""
        known = self._torrents.get(torrent)
        if known is None:
            return []
        found = [peer for peer, until in known.items() if until > now]
        if len(found) > limit:
            start = randbelow(len(found))
            found = (found[start:] + found[:start])[:limit]
        return found

    def expire(self, now: float) -> None:
        """Forget those whose time is over."""
        for torrent in list(self._torrents):
            peers = self._torrents[torrent]
            for peer in [peer for peer, until in peers.items() if until <= now]:
                self._drop(peers, peer)
            if not peers:
                del self._torrents[torrent]

    def _forget(self, torrent: NodeId) -> None:
        peers = self._torrents.pop(torrent)
        for peer in list(peers):
            self._drop(peers, peer)

    def _drop(self, peers: dict[Endpoint, float], peer: Endpoint) -> None:
        del peers[peer]
        self._count -= 1
        self._torrents_of[peer.host] -= 1
        if not self._torrents_of[peer.host]:
            del self._torrents_of[peer.host]
