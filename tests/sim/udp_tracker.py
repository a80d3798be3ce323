"""Our UDP tracker on a simulated host: the production server behind a mailbox without a socket."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.engine.net.network import DatagramSocket
from icworkshop_gui.server.tracker.mailbox import BATCH, IN_SIZE, OUT_SIZE
from icworkshop_gui.server.tracker.tracker import Tracker
from icworkshop_gui.server.tracker.udp import UdpTrackerServer
from icworkshop_gui.wire.tracker.udp import ACTION_ANNOUNCE
from tests.sim.network import SimNetwork


class SimMailbox:
    """Implements `Mailbox`: one datagram a batch, or as many as came at one moment."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self.inbox = bytearray(BATCH * IN_SIZE)
        self.outbox = bytearray(BATCH * OUT_SIZE)
        self.socket: DatagramSocket
        self.waiting: deque[tuple[bytes, Endpoint]] = deque()
        self._batch: list[tuple[int, Endpoint]] = []
        self._replies: list[tuple[int, int]] = [(0, 0)] * BATCH
        self._heard = heard

    def receive(self) -> int:
        self._batch = []
        while self.waiting and len(self._batch) < BATCH:
            data, sender = self.waiting.popleft()
            data = data[:IN_SIZE]
            at = len(self._batch) * IN_SIZE
            self.inbox[at : at + len(data)] = data
            self._batch.append((len(data), sender))
            if int.from_bytes(data[8:12], "big") == ACTION_ANNOUNCE:
                self._heard(sender.host)
        return len(self._batch)

    def length(self, slot: int) -> int:
        return self._batch[slot][0]

    def packed(self, slot: int) -> bytes:
        return ipaddress.ip_address(self._batch[slot][1].host).packed

    def reply(self, slot: int, to: int, length: int) -> None:
        self._replies[slot] = (to, length)

    def send(self, count: int) -> int:
        for slot in range(count):
            to, length = self._replies[slot]
            self.socket.send(bytes(self.outbox[slot * OUT_SIZE :][:length]), self._batch[to][1])
        return 0


async def serve_udp(tracker: Tracker, network: SimNetwork, port: int, heard: Callable[[str], None]) -> None:
    """`heard` is told the address of each announce, repeated ones included."""
    box = SimMailbox(heard)
    drain = UdpTrackerServer(tracker).serve(box)

    def on_datagram(data: bytes, sender: Endpoint) -> None:
        box.waiting.append((data, sender))
        drain()

    box.socket = await network.datagrams(port, on_datagram)
