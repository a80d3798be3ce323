"""One node of the DHT, of one address family (BEP 5; BEP 32: there are two DHTs, and a program has a node in each).

    receive(datagram, source, now)      handle_timer(now) when next_timer() has come
    take_datagrams()                    what to send
    take_events()                       what was found

It holds no clock, no socket and no chance of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import InfoHash, NodeId
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.krpc import DATAGRAM_MAX, Error, KrpcError, Method, Query, Response, decode
from icworkshop_gui.wire.dht.limits import Bucket, QueryGate
from icworkshop_gui.wire.dht.lookup import Lookup, Purpose, Search
from icworkshop_gui.wire.dht.node_id import RandBytes, is_global, is_secure, random_id, secure_id
from icworkshop_gui.wire.dht.questions import Questions
from icworkshop_gui.wire.dht.responder import Responder
from icworkshop_gui.wire.dht.table import BUCKET_SIZES, K, RoutingTable
from icworkshop_gui.wire.dht.votes import AddressVotes

LOOKUPS_MAX: Final = 8
"""Lookups at once; the others wait."""
WAITING_MAX: Final = 5_000
"""Lookups for peers that wait."""
UPKEEP_EVERY: Final = 2.0
"""Seconds between two questions whether somebody is still there."""
PINGS_RATE, PINGS_BURST = 5.0, 20.0
"""Checks a second of strangers who asked us something, and at once."""
PEERS_MAX: Final = 1_000
"""Peers that one lookup hands on."""
PRIVILEGED: Final = 1024
"""Ports below belong to services of the system: a node there is a trap for those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersFound:
    """Some peers; more may follow."""

    info_hash: InfoHash
    peers: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupEnded:
    """All that could be asked have been. `peers`, `announced`: of a lookup for peers."""

    purpose: Purpose
    target: NodeId
    peers: int
    announced: int
    """Nodes that were told of our peer."""
    queries: int
    replies: int
    hops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChanged:
    """Others agree where we are, and we have an id that fits."""

    host: str


Event = PeersFound | LookupEnded | AddressChanged


class DhtNode:
    """See the module."""

    def __init__(
        self, node_id: NodeId, now: float, randbytes: RandBytes, *, ipv6: bool = False, read_only: bool = False
    ) -> None:
        self.table = RoutingTable(node_id, now, randbytes)
        self.ipv6 = ipv6
        self.read_only = read_only
        """Others are told not to ask us, and get no answer (BEP 43)."""
        self.sibling: DhtNode | None = None
        """Our node in the other DHT."""
        self.responder = Responder(now, randbytes, self._nearest, ipv6=ipv6)
        self.address = ""
        """Where others see us; empty while they do not agree."""
        self._randbytes = randbytes
        self._gate = QueryGate()
        self._votes = AddressVotes()
        self._pings = Bucket(PINGS_RATE, PINGS_BURST, now)
        self._questions = Questions(randbytes)
        self._routers: frozenset[Endpoint] = frozenset()
        self._searches: list[Search] = []
        self._waiting: deque[Search] = deque()
        self._touched: list[Search] = []
        """To be looked at: something happened to them."""
        self._upkeep_at = now + UPKEEP_EVERY
        self._datagrams: list[tuple[bytes, Endpoint]] = []
        self._events: list[Event] = []

    @property
    def id(self) -> NodeId:
        return self.table.own_id

    # --- what is wanted --------------------------------------------------------------------------

    def bootstrap(
        self,
        now: float,
        contacts: Iterable[Contact] = (),
        *,
        doors: Iterable[Endpoint] = (),
        keep_doors: bool = True,
    ) -> None:
        """Find those around us, beginning with the nodes that are known, with `contacts`, and with `doors`: whoever is
        there. Unless `keep_doors` these are routers, which only say whom to ask: BEP 5 wants them in nobody's table."""
        doors = tuple(door for door in doors if door.is_ipv6 == self.ipv6)
        if not keep_doors:
            self._routers = frozenset(doors)
        search = Search(
            Purpose.BOOTSTRAP,
            self.id,
            doors=doors,
            extra=tuple(contact for contact in contacts if contact.endpoint.is_ipv6 == self.ipv6),
        )
        self._begin(search, now, first=True)

    def find_peers(self, info_hash: InfoHash, now: float, *, announce: int | None = None) -> bool:
        """Look for peers, and announce ours on TCP port `announce` to the nodes that keep them (0: the port that our
        datagrams come from). Once at a time for each torrent. False: too much is being looked for already."""
        target = NodeId(info_hash)
        busy = (*self._searches, *self._waiting)
        if any(search.purpose is Purpose.PEERS and search.target == target for search in busy):
            return True
        if len(self._waiting) >= WAITING_MAX:
            return False
        self._begin(Search(Purpose.PEERS, target, announce=announce), now)
        return True

    def ping(self, endpoint: Endpoint, now: float) -> None:
        """Somebody says that a node is there; if it answers, it is known."""
        if endpoint.is_ipv6 == self.ipv6:
            self._ask(endpoint, None, Method.PING, None, now)

    def suggest(self, contacts: Iterable[Contact], now: float) -> None:
        """Nodes that our sibling heard of."""
        for contact in contacts:
            if self.table.wants(contact) and self._pings.take(1.0, now):
                self._ask(contact.endpoint, contact, Method.PING, None, now)

    # --- out -------------------------------------------------------------------------------------

    def take_datagrams(self) -> list[tuple[bytes, Endpoint]]:
        """What to send now; asked for after every call."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def next_timer(self) -> float:
        """When `handle_timer` wants to be called."""
        return min(self._questions.next_timer(), self._upkeep_at)

    # --- in --------------------------------------------------------------------------------------

    def receive(self, data: bytes, source: Endpoint, now: float) -> None:
        """A datagram that begins like a message of ours. Whatever it is, nothing is raised."""
        asked = self._questions.goes_to(source.host)
        if not source.port or len(data) > DATAGRAM_MAX or (not asked and self._gate.is_blocked(source.host, now)):
            return
        try:
            message = decode(data)
        except KrpcError as error:
            if error.transaction and self._may_ask(source, now):
                self._send(self.responder.refuse(error, source, len(data), now), source)
            return
        if isinstance(message, Query):
            if self._may_ask(source, now):
                self._queried(message, source, len(data), now)
        else:
            self._answered(message, source, now)
        self._go_on(now)

    def handle_timer(self, now: float) -> None:
        """What is due by `now`."""
        for question in self._questions.late(now):
            if question.search is not None and question.search.lookup is not None:
                question.search.lookup.late(question.endpoint)
                self._touched.append(question.search)
        for question in self._questions.over(now):
            if question.contact is not None:
                self.table.failed(question.contact)
            self._failed(question.search, question.endpoint)
        if now >= self._upkeep_at:
            self._upkeep(now)
        self._go_on(now)

    # --- others ask ------------------------------------------------------------------------------

    def _may_ask(self, source: Endpoint, now: float) -> bool:
        if self.read_only:
            return False
        # This computer may have hundreds of nodes, and is no stranger.
        local = source.host.startswith("127.") or source.host == "::1"
        return local or (not self._gate.is_blocked(source.host, now) and self._gate.admit(source.host, now))

    def _queried(self, query: Query, source: Endpoint, size: int, now: float) -> None:
        self._send(self.responder.answer(query, self.id, source, size, now), source)
        if query.read_only or source in self._routers:
            return
        contact = Contact(query.node_id, source)
        self.table.asked_us(contact, now)
        if self.table.wants(contact) and not self._questions.ask_already(source) and self._pings.take(1.0, now):
            self._ask(source, contact, Method.PING, None, now)

    def _nearest(self, target: NodeId, ipv6: bool) -> list[Contact]:
        node = self if ipv6 == self.ipv6 else self.sibling
        return [] if node is None else node.table.closest(target, K)

    # --- others answer ---------------------------------------------------------------------------

    def _answered(self, message: Response | Error, source: Endpoint, now: float) -> None:
        question = self._questions.answered(message.transaction, source)
        if question is None:
            return  # not asked for, or forged: the real one may still come
        search = question.search
        if isinstance(message, Error):
            self._failed(search, source)
            return
        if message.ip is not None:
            self._seen_at(source, message.ip, now)
        if source not in self._routers:
            self.table.replied(Contact(message.node_id, source), now)
        if search is not None and search.lookup is not None:
            search.lookup.replied(source, message.node_id, self._ours_of(message, source, now), message.token)
            self._touched.append(search)
            if search.purpose is Purpose.PEERS:
                self._found(search, [peer for peer in message.values if _is_plausible(peer, source)])

    def _ours_of(self, message: Response, source: Endpoint, now: float) -> list[Contact]:
        """The nodes it named, those of our family; our sibling may have the others."""
        ours, others = (message.nodes6, message.nodes) if self.ipv6 else (message.nodes, message.nodes6)
        if self.sibling is not None:
            self.sibling.suggest((node for node in others if _is_plausible(node.endpoint, source)), now)
        return [node for node in ours if _is_plausible(node.endpoint, source)]

    def _found(self, search: Search, peers: list[Endpoint]) -> None:
        fresh = [peer for peer in peers if peer not in search.peers][: PEERS_MAX - len(search.peers)]
        if fresh:
            search.peers.update(dict.fromkeys(fresh))
            self._events.append(PeersFound(info_hash=InfoHash(search.target), peers=tuple(fresh)))

    def _seen_at(self, voter: Endpoint, us: Endpoint, now: float) -> None:
        if us.is_ipv6 != self.ipv6:
            return
        host = self._votes.vote(voter.host, us.host)
        if host is None or host == self.address:
            return
        self.address = host
        self._events.append(AddressChanged(host=host))
        if not is_secure(self.id, host):
            # Another place in the space: those we know are sorted anew, and those around it must be found.
            old = list(self.table)
            self.table = RoutingTable(secure_id(host, self._randbytes), now, self._randbytes)
            for node in old:
                if not node.fails:
                    self.table.replied(node.contact, node.replied_at)
            self.bootstrap(now)

    # --- we ask ----------------------------------------------------------------------------------

    def _begin(self, search: Search, now: float, *, first: bool = False) -> None:
        self._queue(search, first=first)
        self._go_on(now)

    def _queue(self, search: Search, *, first: bool = False) -> None:
        if first:
            self._waiting.appendleft(search)
        else:
            self._waiting.append(search)

    def _go_on(self, now: float) -> None:
        """Begin what waits, ask whoever is to be asked next, end what is done."""
        while True:
            while self._waiting and len(self._searches) < LOOKUPS_MAX:
                self._start(self._waiting.popleft(), now)
            if not self._touched:
                return
            touched, self._touched = self._touched, []
            for search in touched:
                if search.lookup is None or search not in self._searches:
                    continue
                self._step(search, search.lookup, now)
                if search.lookup.is_done:
                    self._searches.remove(search)
                    self._end(search, search.lookup, now)

    def _start(self, search: Search, now: float) -> None:
        known = self.table.closest(search.target, 2 * K)
        search.lookup = Lookup(search.target, self.id, [*known, *search.extra], search.doors)
        self._searches.append(search)
        self._touched.append(search)
        if search.purpose is Purpose.PEERS:
            # Others told us, too.
            self._found(search, self.responder.known_peers(search.target, now))

    def _step(self, search: Search, lookup: Lookup, now: float) -> None:
        method = Method.GET_PEERS if search.purpose is Purpose.PEERS else Method.FIND_NODE
        want = (True, True) if search.purpose is Purpose.BOOTSTRAP and self.sibling is not None else (False, False)
        for endpoint, node_id in lookup.next():
            contact = None if node_id is None else Contact(node_id, endpoint)
            if not self._ask(endpoint, contact, method, search.target, now, search=search, want=want):
                self._failed(search, endpoint)

    def _end(self, search: Search, lookup: Lookup, now: float) -> None:
        announced = 0
        if search.announce is not None:
            for contact, token in lookup.nearest():
                if token and self._ask(
                    contact.endpoint,
                    contact,
                    Method.ANNOUNCE_PEER,
                    search.target,
                    now,
                    token=token,
                    port=search.announce,
                ):
                    announced += 1
        if search.purpose is Purpose.BOOTSTRAP and search.target == self.id and len(self.table) >= K:
            for index in range(min(self.table.depth, len(BUCKET_SIZES))):
                self._queue(Search(Purpose.REFRESH, random_id(index, self.id, self._randbytes)))
        self._events.append(
            LookupEnded(
                purpose=search.purpose,
                target=search.target,
                peers=len(search.peers),
                announced=announced,
                queries=lookup.queries,
                replies=lookup.replies,
                hops=lookup.hops,
            )
        )

    def _upkeep(self, now: float) -> None:
        """Ask one node that was silent for long whether it is still there; refresh one bucket that nothing moves in."""
        self._upkeep_at = now + UPKEEP_EVERY
        node, due = self.table.stale(now)
        if node is not None:
            self._ask(node.contact.endpoint, node.contact, Method.PING, None, now)
        else:
            self._upkeep_at = max(self._upkeep_at, min(due, now + 60.0))
        target = self.table.refresh_target(now)
        if target is not None:
            self._queue(Search(Purpose.REFRESH, target))

    def _ask(
        self,
        endpoint: Endpoint,
        contact: Contact | None,
        method: Method,
        target: NodeId | None,
        now: float,
        *,
        search: Search | None = None,
        want: tuple[bool, bool] = (False, False),
        token: bytes = b"",
        port: int = 0,
    ) -> bool:
        """Send a question. False when too many are open already."""
        transaction = self._questions.ask(endpoint, contact, search, now)
        if transaction is None:
            return False
        query = Query(
            transaction=transaction,
            node_id=self.id,
            method=method,
            target=target,
            want=want,
            token=token,
            port=port,
            read_only=self.read_only,
        )
        if contact is not None:
            self.table.tried(contact, now)
        self._send(query.encode(), endpoint)
        return True

    def _failed(self, search: Search | None, endpoint: Endpoint) -> None:
        if search is not None and search.lookup is not None:
            search.lookup.failed(endpoint)
            self._touched.append(search)

    def _send(self, data: bytes | None, endpoint: Endpoint) -> None:
        if data is not None:
            self._datagrams.append((data, endpoint))


def _is_plausible(named: Endpoint, source: Endpoint) -> bool:
    """May somebody at `source` know that? Strangers lead into no house and to no system service."""
    return not is_global(source.host) or (is_global(named.host) and named.port >= PRIVILEGED)
