"""The limits of web seeds. The defaults are those of ic-workshop.md §2.9."""

from __future__ import annotations

from dataclasses import dataclass

from icworkshop_gui.core.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSeedConfig:
    """What web servers may be asked, and when they are left in peace."""

    max_requests_per_seed: int = 4
    """Requests under way at one server."""
    max_requests_global: int = 16
    """Requests under way at all servers of the whole program."""
    request_timeout: float = 60.0
    """Seconds of waiting for the server in which a whole block must have come."""
    answer_timeout: float = 30.0
    """Seconds until an answer begins, and of any silence in it. Connecting has its own, `net.http.CONNECT_TIMEOUT`."""
    failure_backoff_threshold: int = 5
    """Failures in a row after which a server is left alone for `failure_backoff_duration`."""
    failure_backoff_duration: float = 300.0
    """Seconds."""
    max_bandwidth_fraction: float = 0.8
    """Share of the download that web servers may have while peers are healthy."""
    prefer_bt_peers: bool = True
    """While peers are healthy, ask web servers only for what no healthy peer has."""
    bt_peer_rate_threshold: int = 51_200
    """Bytes a second from which a peer counts as healthy."""
    bt_peers_healthy: int = 2
    """Healthy peers from which the swarm is: one may leave at any moment."""
    request_bytes: int = 4 * MIB
    """Bytes that one request asks for at most (a single piece may be larger)."""
    bad_pieces: int = 3
    """Pieces with a wrong hash after which a server is not asked again."""
