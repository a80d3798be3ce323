"""What is known of one web server. Pure: the time is an argument.

A server proves itself with one piece before it is asked for more at once, so that one that lies costs little. Once a
piece that it took part in was bad it works alone on one piece after the other (parole), until one passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.gates import SeedView
from icworkshop_gui.engine.swarm.webseed.places import WebSeedUrl

RETRY_FIRST = 1.0
"""Seconds until the next try after a first failure; doubled each time until the server counts as down."""

BUSY_MIN = 1.0
"""Seconds that a busy server is left alone at least, whatever it says."""

RATE_WEIGHT = 0.3
"""Of the last second in the moving average."""


@dataclass(slots=True)
class WebSeed:
    """One server. Its key is that of a virtual peer in the books."""

    place: WebSeedUrl
    key: int
    ranges: bool | None = None
    active: int = 0
    """Requests under way."""
    proven: bool = False
    """A piece that it sent alone was right."""
    on_parole: bool = False
    failures: int = 0
    """In a row; those of one outage count once."""
    blocked_until: float = 0.0
    bad_pieces: int = 0
    given_up: bool = False
    message: str = ""
    """Why it does not deliver, ours, safe to show; empty while it does."""
    lacks: int = 0
    """Mask of the pieces whose file it does not have."""
    received: int = 0
    """Payload bytes so far."""
    rate: float = 0.0
    """Bytes a second while it is asked, a moving average: its score."""
    _failed_at: float = float("-inf")
    measured_at: float = 0.0
    """When its speed was looked at last; in the beginning when it came to be known."""
    _seen: int = 0
    _was_active: bool = False

    def view(self, config: WebSeedConfig) -> SeedView:
        return SeedView(
            ranges=self.ranges,
            active=self.active,
            parallel=config.max_requests_per_seed if self.proven and not self.on_parole else 1,
            blocked_until=self.blocked_until,
            given_up=self.given_up,
        )

    def request_bytes(self, piece_length: int, config: WebSeedConfig) -> int:
        """How much one request should ask for: what it sends in a second or so, whole pieces."""
        if not self.proven or self.on_parole:
            return piece_length
        return max(piece_length, min(config.request_bytes, int(self.rate)))

    # --- what happens to it ---------------------------------------------------------------------

    def delivered(self) -> None:
        """A request was answered in full."""
        self.failures = 0
        self.message = ""

    def failed(self, message: str, asked_at: float, now: float, config: WebSeedConfig) -> None:
        """A request that was made at `asked_at` came to nothing."""
        self.message = message
        if asked_at <= self._failed_at:
            return
        self._failed_at = now
        self.failures = min(self.failures + 1, config.failure_backoff_threshold)
        if self.failures >= config.failure_backoff_threshold:
            self.blocked_until = now + config.failure_backoff_duration
        else:
            self.blocked_until = now + RETRY_FIRST * 2 ** (self.failures - 1)

    def busy(self, message: str, seconds: float, now: float) -> None:
        """It asked to be left alone."""
        self.message = message
        self.blocked_until = max(self.blocked_until, now + max(BUSY_MIN, seconds))

    def give_up(self, message: str) -> None:
        """It is never asked again."""
        self.given_up = True
        self.message = message

    def lied(self, config: WebSeedConfig) -> None:
        """A bad piece is proven to be its."""
        self.bad_pieces += 1
        self.on_parole = True
        if self.bad_pieces >= config.bad_pieces:
            self.give_up("the server's file is not the one that was published")

    def cleared(self) -> None:
        """A piece that it sent alone was right, or a bad one was not its fault."""
        self.proven = True
        self.on_parole = False

    def tick(self, now: float) -> None:
        """Once a second: measure. Seconds in which nothing was asked say nothing."""
        elapsed = now - self.measured_at
        if elapsed > 0 and (self._was_active or self.received > self._seen):
            rate = (self.received - self._seen) / elapsed
            self.rate = rate if not self.rate else self.rate + (rate - self.rate) * RATE_WEIGHT
        self._was_active = self.active > 0
        self._seen, self.measured_at = self.received, now
