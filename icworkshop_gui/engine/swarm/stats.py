"""What others see of a swarm: counters for the session, rows for the Peers tab, views for the choker."""

from __future__ import annotations

from dataclasses import dataclass

from icworkshop_gui.core.address import TransportKind
from icworkshop_gui.engine.api.snapshots import PeerSnapshot
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.seed_choking import ChokeView


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmStats:
    """Counters and rates at one moment. Bytes are payload."""

    done: int = 0
    """Bytes of verified pieces."""
    wanted: int = 0
    """Bytes of `done` and of wanted pieces that are not here yet."""
    from_peers: int = 0
    from_http: int = 0
    uploaded: int = 0
    wasted: int = 0
    """Received and thrown away: duplicates, corrupt pieces."""
    rate_down: int = 0
    """Bytes a second, smoothed; peers and HTTP together."""
    rate_up: int = 0
    rate_http: int = 0
    peers: int = 0
    """Connected, handshake done."""
    seeds: int = 0
    known: int = 0
    """Endpoints known, connected or not."""
    dialing: int = 0
    serving: int = 0
    """Connected peers that have something we lack and do not choke us."""
    uploading_to: int = 0
    """Unchoked peers that were sent something in the last seconds."""
    http_active: bool = False
    """A response of a web server is being read."""
    http_message: str = ""
    """Why HTTP does not deliver, when it does not; ours, safe to show."""
    http_given_up: bool = False
    """Every web server lied or refused for good."""
    progressing_at: float | None = None
    """Engine clock of the last payload byte that was of use; None before the first."""
    buffered: int = 0
    """Bytes in open pieces and waiting for the disk."""
    complete: bool = False
    hash_failures: int = 0
    """Pieces that came corrupt."""


def choke_view(peer: Peer) -> ChokeView:
    return ChokeView(
        key=peer.key,
        interested=peer.wire.peer_interested,
        unchoked=not peer.wire.am_choking,
        given=peer.pipeline.received - peer.given_at_round,
        taken=peer.uploaded - peer.taken_at_round,
        taken_since_unchoke=peer.uploaded - peer.taken_at_unchoke,
        taken_ever=peer.uploaded,
        flipped_at=peer.flipped_at,
        connected_at=peer.connected_at,
        progress=peer.progress,
        snubbed=peer.pipeline.snubbed,
    )


def peer_snapshot(peer: Peer, now: float, is_optimistic: bool) -> PeerSnapshot:
    wire = peer.wire
    flags = [
        ("d" if wire.peer_choking else "D") if wire.am_interested else "",
        ("u" if wire.am_choking else "U") if wire.peer_interested else "",
        "O" if is_optimistic else "",
        "S" if peer.pipeline.snubbed else "",
        "I" if peer.incoming else "",
        "L" if peer.holder is not None else "",
    ]
    return PeerSnapshot(
        address=str(peer.endpoint),
        client=wire.remote.untrusted_client,
        transport=TransportKind(peer.kind),
        source=peer.source,
        progress=peer.progress,
        rate_down=int(peer.down_meter.rate),
        rate_up=int(peer.up_meter.rate),
        downloaded=peer.pipeline.received,
        uploaded=peer.uploaded,
        flags="".join(flags),
        connected_for=now - peer.connected_at,
    )
