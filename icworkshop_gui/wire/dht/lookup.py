"""One search for the nodes nearest to a place: ask the nearest known, hear of nearer ones, until there are none.

`ALPHA` questions are on their way at once. Who takes longer than a second is still listened to, but holds nobody up.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.node_id import BITS, distance, is_global, is_secure, subnet_of
from icworkshop_gui.wire.dht.table import K

ALPHA: Final = 5
"""Questions under way at once."""
CANDIDATES_MAX: Final = 100
"""Nodes kept, the nearest."""
QUERIES_MAX: Final = 150
"""Questions of one lookup: whoever invents nearer and nearer nodes does not keep us busy for ever."""


class _State(Enum):
    FRESH = auto()
    ASKED = auto()
    LATE = auto()
    """Asked, and silent for longer than most."""
    ALIVE = auto()
    FAILED = auto()


@dataclass(slots=True, order=True)
class _Candidate:
    far: int
    """From the target. A door is further away than anything: its id is not known."""
    endpoint: Endpoint
    node_id: NodeId | None = field(compare=False)
    depth: int = field(compare=False)
    """How many others had to be asked, one after the other, to hear of it."""
    secure: bool = field(compare=False)
    state: _State = field(compare=False, default=_State.FRESH)
    token: bytes = field(compare=False, default=b"")


class Lookup:
    """See the module. Pure."""

    def __init__(self, target: NodeId, own_id: NodeId, known: Iterable[Contact], doors: Iterable[Endpoint] = ()):
        """`doors`: asked too, whoever is there."""
        self.target = target
        self.queries = 0
        """Questions asked so far."""
        self.replies = 0
        self._own_id = own_id
        self._candidates: list[_Candidate] = []
        self._by_endpoint: dict[Endpoint, _Candidate] = {}
        self._subnets: set[str] = set()
        for contact in known:
            self._add(contact, 1)
        for door in doors:
            if door not in self._by_endpoint:
                self._enter(_Candidate(1 << BITS, door, None, 1, False))

    def next(self) -> list[tuple[Endpoint, NodeId | None]]:
        """Whom to ask now; None: whoever answers there."""
        busy = sum(candidate.state is _State.ASKED for candidate in self._candidates)
        chosen: list[tuple[Endpoint, NodeId | None]] = []
        alive = 0
        for candidate in self._candidates:
            if alive >= K or busy >= ALPHA or self.queries >= QUERIES_MAX:
                break
            if candidate.state is _State.ALIVE:
                # Who has an id that its address may not have does not count: an attacker may invent ids, not addresses.
                alive += candidate.secure
            elif candidate.state is _State.FRESH:
                candidate.state = _State.ASKED
                busy += 1
                self.queries += 1
                chosen.append((candidate.endpoint, candidate.node_id))
        return chosen

    @property
    def is_done(self) -> bool:
        """Enough have answered and nobody nearer is about to, or nobody is left who might."""
        alive = 0
        is_late = False
        for candidate in self._candidates:
            match candidate.state:
                case _State.ALIVE:
                    alive += candidate.secure
                    if alive >= K:
                        return True
                case _State.ASKED:
                    return False
                case _State.FRESH if self.queries < QUERIES_MAX:
                    return False
                case _State.LATE:
                    # Waited for only while others do not do: one in five of those that are named has left.
                    is_late = True
        return not is_late

    @property
    def hops(self) -> int:
        """The longest chain of nodes, each heard of from the one before, that led to one of the nearest."""
        return max((candidate.depth for candidate in self._alive()[:K]), default=0)

    def _alive(self) -> list[_Candidate]:
        return [candidate for candidate in self._candidates if candidate.state is _State.ALIVE and candidate.secure]

    def replied(self, endpoint: Endpoint, node_id: NodeId, nodes: Iterable[Contact], token: bytes = b"") -> None:
        """An answer of somebody who was asked."""
        candidate = self._by_endpoint.get(endpoint)
        if candidate is None or candidate.state not in (_State.ASKED, _State.LATE):
            return
        if candidate.node_id is None:
            candidate.state = _State.FAILED  # it has done its part: nothing is stored there
        elif candidate.node_id != node_id:
            candidate.state = _State.FAILED  # not who it was said to be, so not near what we look for
            return
        else:
            candidate.state, candidate.token = _State.ALIVE, token
        self.replies += 1
        for contact in nodes:
            self._add(contact, candidate.depth + 1)

    def late(self, endpoint: Endpoint) -> None:
        """No answer for a second."""
        candidate = self._by_endpoint.get(endpoint)
        if candidate is not None and candidate.state is _State.ASKED:
            candidate.state = _State.LATE

    def failed(self, endpoint: Endpoint) -> None:
        """No answer, or a refusal."""
        candidate = self._by_endpoint.get(endpoint)
        if candidate is not None and candidate.state in (_State.ASKED, _State.LATE):
            candidate.state = _State.FAILED

    def nearest(self) -> list[tuple[Contact, bytes]]:
        """Of those that answered and have an id that their address may have, the nearest, with the tokens they gave."""
        return [
            (Contact(candidate.node_id, candidate.endpoint), candidate.token)
            for candidate in self._alive()[:K]
            if candidate.node_id is not None
        ]

    def _add(self, contact: Contact, depth: int) -> None:
        """Hear of a node. One to a subnet and one to an address, unless it is our own network."""
        node_id, endpoint = contact
        if node_id == self._own_id or endpoint in self._by_endpoint:
            return
        far = distance(node_id, self.target)
        if len(self._candidates) >= CANDIDATES_MAX and far >= self._candidates[-1].far:
            return
        if is_global(endpoint.host):
            subnet = subnet_of(endpoint.host)
            if subnet in self._subnets:
                return
            self._subnets.add(subnet)
        self._enter(_Candidate(far, endpoint, node_id, depth, is_secure(node_id, endpoint.host)))

    def _enter(self, candidate: _Candidate) -> None:
        insort(self._candidates, candidate)
        self._by_endpoint[candidate.endpoint] = candidate
        if len(self._candidates) > CANDIDATES_MAX and self._candidates[-1].state is _State.FRESH:
            dropped = self._candidates.pop()
            del self._by_endpoint[dropped.endpoint]
            if is_global(dropped.endpoint.host):
                self._subnets.discard(subnet_of(dropped.endpoint.host))


class Purpose(Enum):
    """What a lookup is for."""

    BOOTSTRAP = auto()
    """To find those around us."""
    REFRESH = auto()
    """To know somebody in each bucket."""
    PEERS = auto()


@dataclass(slots=True, eq=False)
class Search:
    """A lookup that runs or waits to, and what becomes of it."""

    purpose: Purpose
    target: NodeId
    doors: tuple[Endpoint, ...] = ()
    """Asked as well, whoever is there."""
    extra: tuple[Contact, ...] = ()
    """Asked as well."""
    announce: int | None = None
    """The port to announce afterwards; 0: that of our datagrams; None: nothing is announced."""
    lookup: Lookup | None = None
    """None while it waits."""
    peers: dict[Endpoint, None] = field(default_factory=dict)
    """Found so far."""
