"""The limits of one swarm. Each has a name, a unit and a reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.engine.swarm.seed_choking import SeedChoking
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmConfig:
    """What one transfer may use. The defaults are those of DESIGN §4 and engine.md §E."""

    max_connections: int = 50
    """Connected peers, dialling ones included."""
    upload_slots: int = 8
    """Peers unchoked at once; one in five of them, at least one, is the optimistic slot."""
    lobby_slots: int = 4
    """Peers with a lobby ticket served beside those (ic-workshop.md §7, C10)."""
    max_per_subnet: int = 3
    """Connected peers of one /24 (IPv6: /64). Private and loopback addresses are exempt."""
    max_dialing: int = 15
    """Half-open connections."""
    max_candidates: int = 1000
    """Endpoints remembered; more than any swarm of ours needs, small enough for hostile peer lists."""
    dial_timeout: float = 15.0
    """Seconds until a connection must stand."""
    handshake_timeout: float = 10.0
    """Seconds until a dialled peer must have said its handshake."""
    useless_timeout: float = 600.0
    """Seconds in which neither side wanted anything of the other, after which a peer makes room when there is none."""
    request_queue_seconds: float = 1.0
    """How much of its own rate each peer's pipeline holds. Three seconds are usual, and decide too early who gets what:
    8 leechers on 20 Mbit/s with 20 ms finish at 1.20 times what the lines allow with 3 s, at 1.16 with 1 s and with
    0.75 s, at 1.22 with 0.5 s (`tests.bench.swarm`, five chances), and fewer blocks come twice."""
    min_pipeline: int = 2
    max_pipeline: int = 500
    """Blocks outstanding at one peer, whatever its reqq."""
    snub_timeout: float = 20.0
    """Seconds without payload, with requests outstanding, after which a peer counts as snubbing us."""
    request_timeout: float = 60.0
    """Seconds after which one request is given up and its block returned."""
    random_first_pieces: int = 4
    """Until so many pieces are here they are picked at random: something to share counts more than rarity."""
    partials_per_peer: float = 1.5
    """Open pieces per connected peer beyond which no further piece is opened."""
    max_partial_bytes: int = 32 * MIB
    """Bytes of open pieces with free blocks beyond which no further piece is opened."""
    max_buffered: int = 64 * MIB
    """Bytes of open pieces plus those waiting for the disk. Beyond it nothing new is asked for."""
    upload_batch: int = 512 * KIB
    """Bytes read by one disk job and sent by one write."""
    upload_low_water: int = 512 * KIB
    """Unsent bytes of a peer below which its next batch is read."""
    max_upload_queue: int = 2000
    """Requests a peer may have waiting here; announced to it as reqq (BEP 10)."""
    max_request_length: int = 128 * KIB
    """Longest block that we serve; nobody asks for more."""
    choke_interval: float = 10.0
    """Seconds of a choker round."""
    optimistic_interval: float = 30.0
    """Seconds that the optimistic slot stays with one peer."""
    seed_choking: SeedChoking = SeedChoking.BY_TURNS
    """Whom we serve first while there is nothing to download; chosen by measurement (DECISIONS.md)."""
    max_unsolicited: int = 64
    """Blocks nobody asked for, after which their sender is dropped (late ones after a cancel do not count)."""
    max_chokes_per_minute: int = 30
    """Chokes after which a peer is dropped for flapping."""
    max_bad_requests: int = 16
    """Requests outside the torrent or for pieces we lack, after which their sender is dropped."""
    webseed: WebSeedConfig = field(default_factory=WebSeedConfig)
