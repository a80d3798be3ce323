"""Known nodes, many near us and few far away (BEP 5, "Routing Table").

Bucket `i` holds nodes that share exactly `i` leading bits with us; the last bucket holds all that share more. A bucket
that is full is split when it is the last one, and otherwise takes a newcomer only in the place of a worse node. Only
nodes that have answered us get in: whoever merely asks may lie about where it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.node_id import (
    BITS,
    RandBytes,
    is_global,
    is_secure,
    random_id,
    shared_bits,
    subnet_of,
)

K: Final = 8
"""Nodes in an answer, and in most buckets."""
BUCKET_SIZES: Final = (128, 64, 32, 16)
"""Of the first buckets; the others have K. Half of all lookups begin in the first (engine.md E.7)."""
BUCKETS_MAX: Final = 50
"""More, and somebody invents nodes around us: a billion nodes fill some 30."""
REPLACEMENTS: Final = 8
"""Nodes that wait for a place in a full bucket."""
QUESTIONABLE_AFTER: Final = 15 * 60.0
"""Seconds of silence after which a node is no longer known to be good."""
BAD_FAILS: Final = 2
"""Questions in a row without an answer that make a node bad: it is named to nobody, and its place is free."""
RETRY_AFTER: Final = 60.0
"""Seconds until a node that did not answer is asked again; each further time twice as long."""
FAILS_MAX: Final = 20
"""The same for its removal, when nobody waits for the place: perhaps it is our line that is broken."""


def bucket_size(index: int) -> int:
    """Nodes that bucket `index` holds."""
    return BUCKET_SIZES[index] if index < len(BUCKET_SIZES) else K


class Node:
    """One known node."""

    __slots__ = ("asked_us_at", "contact", "fails", "rank", "replied_at", "secure", "tried_at")

    def __init__(self, contact: Contact, now: float) -> None:
        self.contact = contact
        self.rank = int.from_bytes(contact.id)
        self.secure = is_secure(contact.id, contact.endpoint.host)
        """Its id is one that its address may have (BEP 42)."""
        self.replied_at = now
        self.asked_us_at = -math.inf
        self.tried_at = now
        """When it was asked last, answered or not."""
        self.fails = 0
        """Questions without an answer since the last answer."""

    @property
    def seen_at(self) -> float:
        return max(self.replied_at, self.asked_us_at)

    def is_good(self, now: float) -> bool:
        """It answered, or asked us something after it had once answered, within the last 15 minutes."""
        return not self.fails and now - self.seen_at < QUESTIONABLE_AFTER

    @property
    def is_bad(self) -> bool:
        return self.fails >= BAD_FAILS


class _Bucket:
    __slots__ = ("changed_at", "nodes", "waiting")

    def __init__(self, now: float) -> None:
        self.nodes: list[Node] = []
        self.waiting: list[Node] = []
        """Replacements, the newest last."""
        self.changed_at = now


class RoutingTable:
    """See the module. Pure but for `randbytes`, which only `refresh_target` uses."""

    def __init__(self, own_id: NodeId, now: float, randbytes: RandBytes) -> None:
        self.own_id = own_id
        self._randbytes = randbytes
        self._buckets = [_Bucket(now)]
        self._by_host: dict[str, list[Node]] = {}
        """Of all buckets, the waiting ones not counted."""

    # --- what is known ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(len(bucket.nodes) for bucket in self._buckets)

    def __iter__(self) -> Iterator[Node]:
        for bucket in self._buckets:
            yield from bucket.nodes

    @property
    def depth(self) -> int:
        """Buckets."""
        return len(self._buckets)

    def good(self, now: float) -> int:
        """Nodes that are known to be good."""
        return sum(node.is_good(now) for node in self)

    def find(self, contact: Contact) -> Node | None:
        """The node with this id at this address."""
        for node in self._by_host.get(contact.endpoint.host, ()):
            if node.contact == contact:
                return node
        return None

    def closest(self, target: NodeId, count: int = K) -> list[Contact]:
        """Of the nodes that have not failed since they last answered, the nearest to `target`, the nearest first."""
        rank = int.from_bytes(target)
        buckets = self._buckets
        here = min(shared_bits(self.own_id, target), len(buckets) - 1)
        # The target's own bucket is nearest, then all that lie between it and us, then what is further and further.
        groups: list[Iterable[_Bucket]] = [(buckets[here],), buckets[here + 1 :]]
        groups += ((buckets[index],) for index in range(here - 1, -1, -1))
        found: list[Node] = []
        for group in groups:
            nodes = [node for bucket in group for node in bucket.nodes if not node.fails]
            nodes.sort(key=lambda node: node.rank ^ rank)
            found += nodes[: count - len(found)]
            if len(found) >= count:
                break
        return [node.contact for node in found]

    def to_keep(self, limit: int) -> list[Contact]:
        """What a later run begins with: the nodes that answered last."""
        nodes = sorted((node for node in self if not node.fails), key=lambda node: -node.seen_at)
        return [node.contact for node in nodes[:limit]]

    # --- what happens ----------------------------------------------------------------------------

    def wants(self, contact: Contact) -> bool:
        """Would a node that nobody has checked yet get a place if it answered? Then it is worth a ping."""
        if contact.id == self.own_id or self._is_crowded(contact):
            return False
        index = self._index(contact.id)
        bucket = self._buckets[index]
        if any(node.contact.id == contact.id for node in bucket.nodes):
            return False
        return (
            len(bucket.nodes) < bucket_size(index)
            or self._can_split(index)
            or any(node.is_bad for node in bucket.nodes)
        )

    def replied(self, contact: Contact, now: float) -> bool:
        """It answered. True when it is in the table now."""
        node = self.find(contact)
        if node is not None:
            node.replied_at = node.tried_at = now
            node.fails = 0
            self._buckets[self._index(contact.id)].changed_at = now
            return True
        if contact.id == self.own_id:
            return False
        for old in tuple(self._by_host.get(contact.endpoint.host, ())):
            if old.contact.endpoint == contact.endpoint:
                self._remove(old)  # it has another id now, and only one
        if self._is_crowded(contact):
            return False
        return self._insert(Node(contact, now), now)

    def asked_us(self, contact: Contact, now: float) -> None:
        """It asked something: so it is still there, if it is known at all."""
        node = self.find(contact)
        if node is not None:
            node.asked_us_at = now

    def tried(self, contact: Contact, now: float) -> None:
        """A question to it is on its way."""
        node = self.find(contact)
        if node is not None:
            node.tried_at = now

    def failed(self, contact: Contact) -> None:
        """It did not answer."""
        node = self.find(contact)
        if node is None:
            return
        node.fails += 1
        waiting = self._buckets[self._index(contact.id)].waiting
        if node.fails >= FAILS_MAX or (node.is_bad and waiting):
            self._remove(node)

    # --- upkeep ----------------------------------------------------------------------------------

    def stale(self, now: float) -> tuple[Node | None, float]:
        """The node to ask next whether it is still there, if one is due; and when the next one will be.

        A node is due 15 minutes after its last sign of life; one that has failed a minute after the last try, then two,
        then four.
        """
        due: Node | None = None
        first = math.inf
        for node in self:
            at = node.tried_at + RETRY_AFTER * 2 ** max(0, node.fails - 1)
            if not node.fails:
                at = max(at, node.seen_at + QUESTIONABLE_AFTER)
            if at < first:
                due, first = node, at
        return (due if first <= now else None), first

    def refresh_target(self, now: float) -> NodeId | None:
        """A place in a bucket in which nothing has changed for 15 minutes; None: all is fresh. Counts as a change."""
        for index, bucket in enumerate(self._buckets):
            if now - bucket.changed_at >= QUESTIONABLE_AFTER:
                bucket.changed_at = now
                return random_id(index, self.own_id, self._randbytes)
        return None

    # --- places ----------------------------------------------------------------------------------

    def _index(self, node_id: NodeId) -> int:
        return min(shared_bits(self.own_id, node_id), len(self._buckets) - 1)

    def _can_split(self, index: int) -> bool:
        return index == len(self._buckets) - 1 and len(self._buckets) < min(BUCKETS_MAX, BITS)

    def _is_crowded(self, contact: Contact) -> bool:
        """Its address has a node already; at home and on one computer many may be."""
        host = contact.endpoint.host
        return is_global(host) and host in self._by_host

    def _is_subnet_taken(self, bucket: _Bucket, contact: Contact) -> bool:
        host = contact.endpoint.host
        if not is_global(host):
            return False
        subnet = subnet_of(host)
        return any(subnet_of(node.contact.endpoint.host) == subnet for node in bucket.nodes)

    def _insert(self, node: Node, now: float) -> bool:
        while True:
            index = self._index(node.contact.id)
            bucket = self._buckets[index]
            for other in bucket.nodes:
                if other.contact.id == node.contact.id:
                    if not other.fails:
                        return False  # two with one id: the first one has it as long as it answers
                    self._remove(other, refill=False)
                    break
            if self._is_subnet_taken(bucket, node.contact):
                return False
            if len(bucket.nodes) < bucket_size(index):
                self._place(bucket, node, now)
                return True
            if not self._can_split(index):
                break
            self._split(now)
        worse = max(bucket.nodes, key=lambda other: (other.fails, not other.secure, -other.seen_at))
        if worse.is_bad or (node.secure and not worse.secure):
            self._remove(worse, refill=False)
            self._place(bucket, node, now)
            return True
        bucket.waiting = [other for other in bucket.waiting if other.contact.endpoint != node.contact.endpoint]
        bucket.waiting = [*bucket.waiting[1 - REPLACEMENTS :], node]
        return False

    def _place(self, bucket: _Bucket, node: Node, now: float) -> None:
        bucket.nodes.append(node)
        bucket.changed_at = now
        self._by_host.setdefault(node.contact.endpoint.host, []).append(node)

    def _split(self, now: float) -> None:
        index = len(self._buckets) - 1
        old, new = self._buckets[index], _Bucket(now)
        for name in ("nodes", "waiting"):
            nodes: list[Node] = getattr(old, name)
            setattr(new, name, [n for n in nodes if shared_bits(self.own_id, n.contact.id) > index])
            setattr(old, name, [n for n in nodes if shared_bits(self.own_id, n.contact.id) <= index])
        self._buckets.append(new)
        # Sizes shrink towards us, so what was one bucket's worth may be more than the next one's.
        for surplus in old.nodes[bucket_size(index) :]:
            self._remove(surplus, refill=False)
            old.waiting = [*old.waiting[1 - REPLACEMENTS :], surplus]

    def _remove(self, node: Node, *, refill: bool = True) -> None:
        host = node.contact.endpoint.host
        bucket = self._buckets[self._index(node.contact.id)]
        bucket.nodes.remove(node)
        self._by_host[host].remove(node)
        if not self._by_host[host]:
            del self._by_host[host]
        while refill and bucket.waiting:
            heir = bucket.waiting.pop()
            if not self._is_crowded(heir.contact) and not self._is_subnet_taken(bucket, heir.contact):
                self._place(bucket, heir, heir.replied_at)
                return
