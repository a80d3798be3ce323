"""DHT nodes in one process and in virtual time: datagrams take a while, get lost, and can be looked at on their way."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.node import DhtNode, Event
from icworkshop_gui.wire.dht.node_id import secure_id

DELAY = 0.05
PORT = 6881


class DhtNet:
    """Give it hosts, then let time pass."""

    def __init__(self, seed: int = 1, *, loss: float = 0.0) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.loss = loss
        self.nodes: dict[Endpoint, DhtNode] = {}
        self.events: dict[Endpoint, list[Event]] = {}
        self.sent = 0
        """Datagrams in all."""
        self.watch: Callable[[bytes, Endpoint, Endpoint], object] | None = None
        """Told of each datagram, its sender and its receiver."""
        self._queue: list[tuple[float, int, bytes, Endpoint, Endpoint]] = []

    def address(self, number: int, *, ipv6: bool = False) -> Endpoint:
        """A public address in a subnet of its own."""
        host = f"2600:{number:x}::1" if ipv6 else f"93.{number // 250}.{number % 250}.7"
        return Endpoint(host, PORT)

    def add(
        self,
        endpoint: Endpoint | None = None,
        *,
        node_id: NodeId | None = None,
        read_only: bool = False,
        stubborn: bool = False,
    ) -> tuple[Endpoint, DhtNode]:
        """A node that may have its id unless another is given. `stubborn`: it keeps that, wherever others see it."""
        endpoint = endpoint or self.address(len(self.nodes) + 1)
        node_id = node_id or secure_id(endpoint.host, self.rng.randbytes)
        node = DhtNode(node_id, self.now, self.rng.randbytes, ipv6=endpoint.is_ipv6, read_only=read_only)
        if stubborn:
            node._seen_at = lambda *_: None
        self.nodes[endpoint] = node
        self.events[endpoint] = []
        return endpoint, node

    def grow(self, count: int, *, ipv6: bool = False) -> list[Endpoint]:
        """So many nodes, each of which knows the first one and finds the others through it."""
        made = []
        for number in range(count):
            endpoint, node = self.add(self.address(len(self.nodes) + 1, ipv6=ipv6))
            made.append(endpoint)
            if number:
                node.bootstrap(self.now, doors=made[:1])
            self.run(0.3)
        self.run(20.0)
        return made

    def contact(self, endpoint: Endpoint) -> Contact:
        return Contact(self.nodes[endpoint].id, endpoint)

    def send(self, data: bytes, source: Endpoint, target: Endpoint) -> None:
        """As if `source` had sent it."""
        self.sent += 1
        if self.watch is not None:
            self.watch(data, source, target)
        if self.rng.random() >= self.loss:
            heapq.heappush(self._queue, (self.now + DELAY, self.sent, data, source, target))

    def flush(self) -> None:
        """Put on the wire what the nodes have to send."""
        for endpoint, node in self.nodes.items():
            for data, target in node.take_datagrams():
                self.send(data, endpoint, target)
            self.events[endpoint] += node.take_events()

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        self.flush()
        while True:
            timer, host = min(
                ((node.next_timer(), endpoint) for endpoint, node in self.nodes.items()), default=(end, None)
            )
            first = min(timer, self._queue[0][0] if self._queue else end)
            if first >= end:
                self.now = end
                return
            self.now = max(self.now, first)
            while self._queue and self._queue[0][0] <= self.now:
                _, _, data, source, target = heapq.heappop(self._queue)
                if target in self.nodes:
                    self.nodes[target].receive(data, source, self.now)
            if host is not None and timer <= self.now:
                self.nodes[host].handle_timer(self.now)
            self.flush()
