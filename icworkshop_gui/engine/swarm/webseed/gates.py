"""May a web server be asked now, for how much, and for which pieces? Pure: the three gates of ic-workshop.md §2.9.

1  is this server fit to be asked             its own state, and the requests under way
2  have web servers enough of the download    only while peers are healthy
3  would a healthy peer send it anyway        only while peers are healthy; a lobby does not wait for that
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.share import Share


class Fitness(Enum):
    """The answer of gate 1. Only FIT is asked for pieces."""

    FIT = auto()
    GIVEN_UP = auto()
    """It lied, or leads where it may not."""
    WAITING = auto()
    """It failed or asked for peace: not before `blocked_until`."""
    NO_RANGES = auto()
    """It sends whole files only: for when nobody else helps."""
    BUSY = auto()
    """As many requests as it may have."""
    FULL = auto()
    """As many requests as the program may have."""


class SeedView(NamedTuple):
    """What gate 1 knows of a server."""

    ranges: bool | None = None
    """None until it answered once."""
    active: int = 0
    """Requests under way."""
    parallel: int = 4
    """Requests it may have, at most the configured number."""
    blocked_until: float = 0.0
    given_up: bool = False


class PeersView(NamedTuple):
    """What gates 2 and 3 know of the peers."""

    healthy: int = 0
    """Peers that send at least `bt_peer_rate_threshold`."""
    pieces: int = 0
    """Mask of what they have."""
    rate: float = 0.0
    """Bytes a second from all peers."""


NO_PEERS = PeersView()


LOBBY_EXTRA = 4
"""Requests beyond `max_requests_global` that a lobby's download may make: it does not wait for the others' to end."""
BACKGROUND_LEAVES = 4
"""Requests of `max_requests_global` that background downloads leave to the player's own."""
_EXTRA = {Tier.LOBBY_URGENT: LOBBY_EXTRA, Tier.USER_REQUESTED: 0, Tier.BACKGROUND: -BACKGROUND_LEAVES}


def fitness(seed: SeedView, now: float, active_in_all: int, tier: Tier, config: WebSeedConfig) -> Fitness:
    """Gate 1."""
    if seed.given_up:
        return Fitness.GIVEN_UP
    if now < seed.blocked_until:
        return Fitness.WAITING
    if seed.active >= min(seed.parallel, config.max_requests_per_seed):
        return Fitness.BUSY
    if active_in_all >= max(1, config.max_requests_global + _EXTRA[tier]):
        return Fitness.FULL
    if seed.ranges is False:
        return Fitness.NO_RANGES
    return Fitness.FIT


def peers_are_healthy(peers: PeersView, config: WebSeedConfig) -> bool:
    return peers.healthy >= config.bt_peers_healthy


def bytes_left(share: Share, peers: PeersView, now: float, config: WebSeedConfig) -> int | None:
    """Gate 2: bytes that web servers may be asked for in this round; None: as much as there is."""
    if not peers_are_healthy(peers, config):
        return None
    return share.left(config.max_bandwidth_fraction, now)


def pieces_left(pieces: int, peers: PeersView, tier: Tier, config: WebSeedConfig) -> int:
    """Gate 3: which of these pieces (a mask) web servers may be asked for."""
    if tier is Tier.LOBBY_URGENT or not config.prefer_bt_peers or not peers_are_healthy(peers, config):
        return pieces
    return pieces & ~peers.pieces


def whole_files_help(peers: PeersView, others_fit: bool, config: WebSeedConfig) -> bool:
    """Is it time to read whole files from a server without ranges? Only when nobody else sends much."""
    return not others_fit and peers.rate < config.bt_peer_rate_threshold
