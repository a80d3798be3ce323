"""Peers that we know of and are not connected to: whom to dial next, and whom not for now. Pure.

Back-off, three failures and the cap per subnet are those of engine.md E.3 and DESIGN §4.14.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from random import Random

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.engine.swarm.config import SwarmConfig

RETRY_SECONDS = 60.0
"""Wait after the n-th failure or disconnection: n+1 times this."""

LOCAL_RETRY_SECONDS = 5.0
"""The same for private and loopback addresses: a peer of our own network that is just starting harms nobody."""

NAMED_RETRY_SECONDS = 1.0
"""Wait after the first failure of a peer that the user named. Doubles with each, until it is what everybody waits:
whoever names a peer is starting it right now, or has just mistyped, and watches."""

MAX_FAILURES = 3
"""Failures in a row after which a peer is not dialled again, unless the user named it."""

MAX_LOCAL_FAILURES = 12
"""The same for private and loopback addresses: as many seconds, in shorter steps."""

_RANK = {
    PeerSource.LOBBY: 0,
    PeerSource.MANUAL: 0,
    PeerSource.LSD: 1,
    PeerSource.RESUME: 2,
    PeerSource.TRACKER: 2,
    PeerSource.DHT: 3,
    PeerSource.PEX: 3,
    PeerSource.INCOMING: 4,
}


class _Candidate:
    __slots__ = ("endpoint", "failures", "is_local", "lot", "not_before", "source", "worth")

    def __init__(self, endpoint: Endpoint, source: PeerSource, lot: float) -> None:
        self.endpoint = endpoint
        self.source = source
        self.failures = 0
        self.not_before = float("-inf")
        self.is_local = is_local(endpoint)
        self.lot = lot
        self.worth = 0.0
        """Of its last connection."""

    @property
    def is_dead(self) -> bool:
        if self.source is PeerSource.MANUAL:
            return False
        return self.failures >= (MAX_LOCAL_FAILURES if self.is_local else MAX_FAILURES)


def is_local(endpoint: Endpoint) -> bool:
    """Private or loopback: exempt from the cap per subnet."""
    address = ipaddress.ip_address(endpoint.host)
    return address.is_private or address.is_loopback


class CandidatePool:
    """Endpoints, their history, and the bans."""

    def __init__(self, rng: Random, config: SwarmConfig | None = None) -> None:
        self._rng = rng
        self._config = config or SwarmConfig()
        self._known: dict[Endpoint, _Candidate] = {}
        self._busy: set[Endpoint] = set()
        self._banned_hosts: set[str] = set()
        self._banned: set[Endpoint] = set()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, endpoints: Iterable[Endpoint], source: PeerSource) -> int:
        """Remember them; returns how many were new. Over the limit the worst known ones are forgotten."""
        fresh = 0
        for endpoint in endpoints:
            known = self._known.get(endpoint)
            if known is not None:
                if _RANK[source] < _RANK[known.source]:
                    known.source = source
                continue
            if self.is_banned(endpoint) or not _is_dialable(endpoint):
                continue
            if len(self._known) >= self._config.max_candidates and not self._forget_worst(_RANK[source]):
                continue
            self._known[endpoint] = _Candidate(endpoint, source, self._rng.random())
            fresh += 1
        return fresh

    def by_source(self) -> dict[PeerSource, list[Endpoint]]:
        """All that are known, for another pool; without those that were reached in vain."""
        found: dict[PeerSource, list[Endpoint]] = {}
        for known in self._known.values():
            if not known.is_dead:
                found.setdefault(known.source, []).append(known.endpoint)
        return found

    @property
    def has_idle(self) -> bool:
        """Is there anybody who is neither connected nor being dialled?"""
        return len(self._busy) < len(self._known)

    def next(self, count: int, now: float, connected: Iterable[Endpoint] = ()) -> list[Endpoint]:
        """Up to `count` endpoints to dial now; they count as busy until told otherwise.

        `connected` are the endpoints of all present peers, for the cap per subnet.
        """
        if count <= 0 or len(self._busy) >= len(self._known):
            return []
        subnets = Counter(e.subnet for e in {*connected, *self._busy} if not is_local(e))
        ready = [
            c for c in self._known.values() if c.not_before <= now and c.endpoint not in self._busy and not c.is_dead
        ]
        ready.sort(key=lambda c: (c.failures, _RANK[c.source], -c.worth, c.lot))
        chosen: list[Endpoint] = []
        for candidate in ready:
            if len(chosen) >= count:
                break
            if not candidate.is_local:
                subnet = candidate.endpoint.subnet
                if subnets[subnet] >= self._config.max_per_subnet:
                    continue
                subnets[subnet] += 1
            chosen.append(candidate.endpoint)
            self._busy.add(candidate.endpoint)
        return chosen

    def has_ready(self, now: float) -> bool:
        """Could somebody be dialled now?"""
        return any(c.not_before <= now and c.endpoint not in self._busy and not c.is_dead for c in self._known.values())

    @property
    def awaits_named(self) -> bool:
        """Is there a peer that the user named and that could not be reached yet, or not any more?"""
        return any(
            c.source is PeerSource.MANUAL and (c.failures or c.not_before == float("-inf"))
            for c in self._known.values()
            if c.endpoint not in self._busy
        )

    def next_at(self) -> float | None:
        """When the next candidate becomes ready; None when none will."""
        times = [c.not_before for c in self._known.values() if c.endpoint not in self._busy and not c.is_dead]
        return min(times, default=None)

    def may_accept(self, endpoint: Endpoint, connected: Iterable[Endpoint]) -> bool:
        """May a peer from there connect to us, given who is here already?"""
        if self.is_banned(endpoint):
            return False
        if is_local(endpoint):
            return True
        subnet = endpoint.subnet
        return sum(other.subnet == subnet for other in connected) < self._config.max_per_subnet

    def source_of(self, endpoint: Endpoint) -> PeerSource:
        known = self._known.get(endpoint)
        return known.source if known is not None else PeerSource.INCOMING

    def is_known(self, endpoint: Endpoint) -> bool:
        return endpoint in self._known

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """It could not be reached, or broke off before it was of any use."""
        self._busy.discard(endpoint)
        known = self._known.get(endpoint)
        if known is not None:
            known.failures += 1
            known.not_before = now + self._wait(known)

    def left(self, endpoint: Endpoint, now: float, *, rest: float | None = None, worth: float = 0.0) -> None:
        """A connection that had worked is over. `rest`: seconds until it is worth another try, when known. `worth`:
        what it was to us; of two of the same rank the better one is dialled first.
        """
        self._busy.discard(endpoint)
        known = self._known.get(endpoint)
        if known is not None:
            known.failures = 0
            known.worth = worth
            known.not_before = now + (self._wait(known) if rest is None else rest)

    def end_rests(self) -> None:
        """Who was of no use may be now: whoever did not fail is worth a try at once."""
        for known in self._known.values():
            if not known.failures:
                known.not_before = float("-inf")

    def present(self, endpoint: Endpoint) -> None:
        """Somebody who listens there is connected to us already: no need to dial."""
        self._busy.add(endpoint)

    def exclude(self, endpoint: Endpoint) -> None:
        """It is ourselves: never again, whoever names it."""
        self.forget(endpoint)
        self._banned.add(endpoint)

    def forget(self, endpoint: Endpoint) -> None:
        """It has no business here: not again, unless named again."""
        self._busy.discard(endpoint)
        self._known.pop(endpoint, None)

    def ban(self, endpoint: Endpoint) -> None:
        """Nothing from there again. A public address is banned whole; a private one may hide many peers."""
        if is_local(endpoint):
            self._banned.add(endpoint)
        else:
            self._banned_hosts.add(endpoint.host)
        for known in [e for e in self._known if self.is_banned(e)]:
            self.forget(known)

    def is_banned(self, endpoint: Endpoint) -> bool:
        return endpoint in self._banned or endpoint.host in self._banned_hosts

    def _wait(self, candidate: _Candidate) -> float:
        failures = min(candidate.failures, MAX_LOCAL_FAILURES)
        wait = (LOCAL_RETRY_SECONDS if candidate.is_local else RETRY_SECONDS) * (failures + 1)
        if candidate.source is PeerSource.MANUAL and failures:
            wait = min(wait, NAMED_RETRY_SECONDS * 2 ** (failures - 1))
        return wait

    def _forget_worst(self, rank: int) -> bool:
        """Make room for a candidate of this rank: drop a dead one, else one of a worse source."""
        idle = [c for c in self._known.values() if c.endpoint not in self._busy]
        worst = max(idle, key=lambda c: (c.is_dead, _RANK[c.source], c.failures, c.lot), default=None)
        if worst is None or (not worst.is_dead and _RANK[worst.source] <= rank):
            return False
        del self._known[worst.endpoint]
        return True


def _is_dialable(endpoint: Endpoint) -> bool:
    address = ipaddress.ip_address(endpoint.host)
    # "Reserved" means broadcast and class E in IPv4; in IPv6 it takes in loopback and NAT64, which can be dialled.
    return not (address.is_multicast or address.is_unspecified or (address.version == 4 and address.is_reserved))
