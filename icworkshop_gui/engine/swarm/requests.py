"""One peer's request pipeline: how many blocks are outstanding, since when, and when to give up. Pure.

The pipeline sizes itself (engine.md E.2): it grows by one per block that arrives until a second brings hardly more
than the one before, and from then on holds what the peer delivers in `request_queue_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.config import SwarmConfig

SLOW_START_GAIN = 5000
"""Bytes a second: growth below which slow start ends (engine.md E.2)."""

DEFAULT_REQQ = 250
"""Requests that every client queues when it does not say how many (BEP 10, "reqq")."""

MAX_LATE = 2000
"""Given-up requests remembered, so that their late answers are not taken for an attack."""


class Pipeline:
    """Requests outstanding at one peer, by block key (an int that names piece and block)."""

    __slots__ = (
        "_config",
        "_last_second",
        "_late",
        "_outstanding",
        "_received_at_tick",
        "_tick_at",
        "in_slow_start",
        "payload_at",
        "peer_reqq",
        "received",
        "snubbed",
        "target",
        "withdrawn",
    )

    def __init__(self, now: float, config: SwarmConfig | None = None) -> None:
        self._config = config or SwarmConfig()
        self._outstanding: dict[int, float] = {}
        self._late: dict[int, None] = {}
        self.withdrawn: dict[int, float] = {}
        """Taken back, and the peer has not said yet whether it sent them all the same -> until when to wait for that.
        Nobody else is asked for these blocks meanwhile: that is how preemption fetches nothing twice."""
        self.target = self._config.min_pipeline
        """Blocks to have outstanding."""
        self.peer_reqq = DEFAULT_REQQ
        """What the peer says it queues; set from its extension handshake."""
        self.in_slow_start = True
        self.snubbed = False
        self.received = 0
        """Payload bytes, asked for or late."""
        self.payload_at = now
        """Of the last asked block, or of the first request after a silence."""
        self._received_at_tick = 0
        self._last_second = 0.0
        self._tick_at = now

    def __len__(self) -> int:
        return len(self._outstanding)

    def __contains__(self, key: int) -> bool:
        return key in self._outstanding

    def __iter__(self) -> Iterator[int]:
        """Keys, oldest request first."""
        return iter(self._outstanding)

    def room(self) -> int:
        """How many to ask for now. 0 until a quarter of the pipeline is free, so that requests go in batches."""
        free = self.target - len(self._outstanding)
        return free if free > 0 and free >= self.target >> 2 else 0

    def asked(self, keys: Iterable[int], now: float) -> None:
        outstanding = self._outstanding
        if not outstanding:
            self.payload_at = now
        outstanding.update(dict.fromkeys(keys, now))

    def fulfilled(self, key: int, size: int, now: float) -> bool:
        """A block came. True when it is outstanding."""
        if self._outstanding.pop(key, None) is None:
            return False
        self.received += size
        self.payload_at = now
        self.snubbed = False
        if self.in_slow_start and self.target < self._limit:
            self.target += 1
        return True

    def fulfilled_in_order(self, first: int, count: int, now: float) -> int:
        """Whole blocks came, of the keys from `first` on. How many of them, up to the first that is not outstanding."""
        pop = self._outstanding.pop
        done = 0
        for key in range(first, first + count):
            if pop(key, None) is None:
                break
            done += 1
        if done:
            self.received += done * BLOCK_SIZE
            self.payload_at = now
            self.snubbed = False
            if self.in_slow_start and self.target < (limit := self._limit):
                self.target = min(limit, self.target + done)
        return done

    def take_late(self, key: int, size: int) -> bool:
        """A block came that is not outstanding. True when it had been asked for and was given up."""
        if key in self.withdrawn:
            del self.withdrawn[key]
        elif key in self._late:
            del self._late[key]
        else:
            return False
        self.received += size
        return True

    def withdraw(self, until: float, keep: int = 0) -> list[int]:
        """Take back all but the `keep` oldest requests; each is settled by a block, by `confirmed`, or at `until`."""
        keys = list(self._outstanding)[keep:]
        for key in keys:
            del self._outstanding[key]
            self.withdrawn[key] = until
        return keys

    def confirmed(self, key: int) -> bool:
        """The peer will not send what was taken back (BEP 6: it rejects what was cancelled)."""
        return self.withdrawn.pop(key, None) is not None

    def refused(self, key: int) -> bool:
        """The peer will not send it (BEP 6 reject), or we no longer want it. True when it was outstanding."""
        return self._outstanding.pop(key, None) is not None

    def cancelled(self, key: int) -> bool:
        """We told the peer not to send it; it may come all the same. True when it was outstanding."""
        if self._outstanding.pop(key, None) is None and self.withdrawn.pop(key, None) is None:
            return False
        self._remember(key)
        return True

    def drop_all(self) -> list[int]:
        """Choked or gone: everything outstanding, and what was taken back, is given up."""
        keys = [*self._outstanding, *self.withdrawn]
        self._outstanding.clear()
        self.withdrawn.clear()
        for key in keys:
            self._remember(key)
        return keys

    def tick(self, now: float) -> list[int]:
        """Once a second: adjusts the target; returns what is given up now because the peer let it wait."""
        elapsed = now - self._tick_at
        if elapsed > 0:
            rate = (self.received - self._received_at_tick) / elapsed
            self._received_at_tick = self.received
            self._tick_at = now
            self._resize(rate)
        expired = [key for key, until in self.withdrawn.items() if now >= until]
        for key in expired:
            del self.withdrawn[key]
            self._remember(key)
        return expired + self._overdue(now)

    def _overdue(self, now: float) -> list[int]:
        if not self._outstanding:
            return []
        config = self._config
        given_up: list[int] = []
        if not self.snubbed and now - self.payload_at >= config.snub_timeout:
            self.snubbed = True
            self.in_slow_start = False
            # The oldest stays asked for: its arrival is how a snubbing peer comes back.
            given_up = list(self._outstanding)[1:]
        deadline = now - config.request_timeout
        for key, asked_at in self._outstanding.items():
            if asked_at > deadline:
                break
            if key not in given_up:
                given_up.append(key)
        for key in given_up:
            del self._outstanding[key]
            self._remember(key)
        if self.snubbed:
            self.target = 1
        return given_up

    @property
    def _limit(self) -> int:
        return max(self._config.min_pipeline, min(self._config.max_pipeline, self.peer_reqq))

    def _resize(self, rate: float) -> None:
        config = self._config
        if self.in_slow_start:
            # A second without payload says nothing about the peer: perhaps nothing was outstanding.
            if rate and self._last_second and rate - self._last_second <= SLOW_START_GAIN:
                self.in_slow_start = False
            self._last_second = rate
        else:
            self._last_second += (rate - self._last_second) * 0.3
        if self.snubbed:
            self.target = 1
        elif self.in_slow_start:
            self.target = min(self.target, self._limit)
        else:
            wish = int(self._last_second * config.request_queue_seconds / BLOCK_SIZE)
            self.target = max(config.min_pipeline, min(self._limit, wish))

    def _remember(self, key: int) -> None:
        self._late[key] = None
        if len(self._late) > MAX_LATE:
            del self._late[next(iter(self._late))]
