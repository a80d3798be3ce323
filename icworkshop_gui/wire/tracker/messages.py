"""What an announce and a scrape say, whatever carries them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId

MAX_INTERVAL = 24 * 3600
"""Seconds; a tracker that wants longer silence is taken for this."""
DEFAULT_INTERVAL = 1800
"""Seconds between announces when the tracker names no interval."""


class AnnounceEvent(IntEnum):
    """Why a peer announces; the numbers are those of BEP 15."""

    NONE = 0
    COMPLETED = 1
    STARTED = 2
    STOPPED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceRequest:
    """One peer tells a tracker about itself and asks for others."""

    info_hash: InfoHash
    peer_id: PeerId
    port: int
    """Where we take connections, 0..65535; 0 is "nowhere"."""
    uploaded: int = 0
    """Payload bytes since `started`."""
    downloaded: int = 0
    left: int = 0
    """Bytes still missing; 0 is a seed."""
    event: AnnounceEvent = AnnounceEvent.NONE
    num_want: int = -1
    """How many peers; -1 leaves it to the tracker."""
    key: int = 0
    """32 bits by which a tracker knows us again when our address changes (BEP 7, 15)."""
    tracker_id: bytes = b""
    """HTTP only: what the tracker asked us to repeat."""
    compact: bool = True
    """HTTP only: packed peers (BEP 23)."""
    ip: str = ""
    """HTTP only: where the peer says it is. Nobody has to believe it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceResponse:
    """What a tracker answered."""

    interval: int
    """Seconds until it wants to hear from us again, 0..MAX_INTERVAL."""
    min_interval: int = 0
    """Seconds before which it does not want to hear from us."""
    seeders: int = 0
    leechers: int = 0
    peers: tuple[Endpoint, ...] = ()
    """Never with port 0."""
    tracker_id: bytes = b""
    external_ip: str = ""
    """Where the tracker sees us (BEP 24), or empty."""
    untrusted_warning: str = ""


@dataclass(frozen=True, slots=True)
class ScrapeEntry:
    """The counts of one swarm (BEP 48)."""

    seeders: int
    completed: int
    leechers: int


class TrackerRefused(RemoteProtocolError):
    """The tracker understood and said no (BEP 3 `failure reason`, BEP 15 action 3). Its words are untrusted."""

    def __init__(self, untrusted_text: str, *, retry_in: float | None = None, never: bool = False) -> None:
        super().__init__("the tracker refused", untrusted_text=untrusted_text)
        self.retry_in = retry_in
        """Seconds after which it may be asked again (BEP 31)."""
        self.never = never
        """It must not be asked again (BEP 31)."""
