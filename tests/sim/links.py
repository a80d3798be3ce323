"""Lines, addresses and the rules between them: what becomes of one packet.

A host has one line up and one line down. A packet waits in the queue of its sender's line up, travels, waits in the
queue of its receiver's line down. A queue is as long as `queue` seconds of its line; what finds it full is dropped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.sim.loop import SimLoop

MSS: Final = 1448
"""Bytes of payload in a full TCP packet of a line of 1500."""
HEADERS: Final = 52
"""Bytes of IP and TCP around them, timestamps included; also the size of a bare acknowledgement."""
UDP_HEADERS: Final = 28
MBIT: Final = 1_000_000 / 8
"""Bytes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One host's line. Rates in bytes a second of packets, headers included."""

    down: float = math.inf
    up: float = math.inf
    delay: float = 0.005
    """Seconds from here to the middle of the network: half of the way to a host with the same."""
    queue: float = 0.06
    """Seconds of traffic that wait at most, in each direction."""
    loss: float = 0.0
    """Chance of each packet to be lost on its way from here."""


def dsl(down: float, up: float, **more: float) -> Link:
    """A line of so many Mbit/s."""
    return Link(down=down * MBIT, up=up * MBIT, **more)


class Line:
    """One direction of a link."""

    __slots__ = ("carried", "dropped", "free_at", "history", "queue", "rate")

    def __init__(self, rate: float, queue: float) -> None:
        self.rate = rate
        self.queue = queue
        self.free_at = -math.inf
        self.carried = 0
        """Bytes of packets."""
        self.dropped = 0
        """Packets that found the queue full."""
        self.history: Counter[int] = Counter()
        """Bytes carried, by second of the loop's clock."""

    def admit(self, now: float, size: int) -> float | None:
        """When the packet is through; None: the queue is full."""
        wait = self.free_at - now
        if wait > self.queue:
            self.dropped += 1
            return None
        return self.push(now, size)

    def push(self, now: float, size: int) -> float:
        """The same for what is too small to be dropped."""
        free_at = max(now, self.free_at)
        self.free_at = free_at = free_at + size / self.rate
        self.carried += size
        self.history[int(free_at)] += size
        return free_at


class Host:
    """A computer with one address."""

    def __init__(self, address: str, link: Link) -> None:
        self.address = address
        self.link = link
        self.up = Line(link.up, link.queue)
        self.down = Line(link.down, link.queue)
        self.is_on = True
        """Off: nothing comes out and nothing gets in, and nobody is told."""

    def relink(self, link: Link) -> None:
        """Another line from now on."""
        self.link = link
        self.up.rate, self.down.rate = link.up, link.down
        self.up.queue = self.down.queue = link.queue


@dataclass(frozen=True, slots=True)
class Drop:
    """The packet is gone."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """The packet travels so many seconds longer."""

    after: float = 0.0


Rule = Callable[[Host, Host], Drop | Deliver | None]
"""What becomes of a packet from here to there; None: ask the next rule."""


@dataclass
class Wires:
    """Everything between the hosts."""

    loop: SimLoop
    rng: Random
    hosts: dict[str, Host] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    lost: int = 0
    """Packets lost on the way, by chance or by a rule."""

    def host(self, address: str, link: Link) -> Host:
        """A new computer."""
        assert address not in self.hosts, f"{address} is taken"
        host = self.hosts[address] = Host(address, link)
        return host

    @contextmanager
    def rule(self, rule: Rule) -> Iterator[None]:
        """Holds until the block ends; the newest rule is asked first."""
        self.rules.insert(0, rule)
        try:
            yield
        finally:
            self.rules.remove(rule)

    def partition(self, *hosts: Host) -> Any:
        """Cut these off from all others until the block ends; among themselves they talk."""
        inside = set(map(id, hosts))
        return self.rule(lambda source, target: Drop() if (id(source) in inside) != (id(target) in inside) else None)

    def travel(self, source: Host, target: Host, packets: int = 1) -> float | None:
        """Seconds on the way; None: lost."""
        if not (source.is_on and target.is_on):
            return None
        delay = source.link.delay + target.link.delay
        for rule in self.rules:
            verdict = rule(source, target)
            if isinstance(verdict, Drop):
                self.lost += packets
                return None
            if isinstance(verdict, Deliver):
                delay += verdict.after
                break
        if source.link.loss and self.rng.random() > (1 - source.link.loss) ** packets:
            self.lost += 1
            return None
        return delay

    def send(
        self,
        source: Host,
        target: Host,
        size: int,
        packets: int,
        arrived: Callable[..., object],
        dropped: Callable[..., object],
        *args: Any,
    ) -> None:
        """`size` bytes in `packets` packets, headers included: `arrived(*args)` or `dropped(*args)`, at that moment."""
        loop = self.loop
        delay = self.travel(source, target, packets)
        if delay is None:
            dropped(*args)
            return
        through = source.up.admit(loop.now, size)
        if through is None:
            dropped(*args)
            return
        loop.at(through + delay, self._arrive, target, size, arrived, dropped, args)

    def _arrive(
        self,
        target: Host,
        size: int,
        arrived: Callable[..., object],
        dropped: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        loop = self.loop
        through = target.down.admit(loop.now, size) if target.is_on else None
        if through is None:
            dropped(*args)
        elif through <= loop.now:
            arrived(*args)
        else:
            loop.at(through, arrived, *args)

    def answer(self, source: Host, target: Host, work: Callable[..., object], *args: Any) -> None:
        """A bare acknowledgement or another packet too small to be dropped by a queue. A rule or chance may lose it:
        then nothing happens."""
        delay = self.travel(source, target)
        if delay is None:
            return
        through = source.up.push(self.loop.now, HEADERS) + delay
        # Its turn in the line down is taken as of now: right to within one queue, and one event less for each packet.
        waited = target.down.push(self.loop.now, HEADERS)
        self.loop.at(max(through, waited), work, *args)
