"""Many hosts that have nothing but a node of the DHT."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from icworkshop_gui.engine.discovery.dht import Dht
from icworkshop_gui.engine.net.peer_port import UdpPort
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire.dht.node import LookupEnded
from tests.sim.disk import SimDisk
from tests.sim.links import Host, Link, Wires
from tests.sim.loop import LoopClock, sim_loop
from tests.sim.network import SimInternet, SimNetwork

PORT = 6881


class _Watched(Dht):
    """Keeps what lookups ended with."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.ended: list[LookupEnded] = []

    def _tell(self, event: object) -> None:
        if isinstance(event, LookupEnded):
            self.ended.append(event)
        super()._tell(event)


class Resident:
    """One host."""

    def __init__(self, host: Host, dht: _Watched, udp: UdpPort) -> None:
        self.host = host
        self.dht = dht
        self.udp = udp

    @property
    def ended(self) -> list[LookupEnded]:
        return self.dht.ended

    async def vanish(self) -> None:
        """Gone without a word."""
        self.host.is_on = False
        await self.dht.disable()


class Crowd:
    """Use inside `run_leaping`; end with `close`."""

    def __init__(self, *, seed: int = 1, loss: float = 0.0) -> None:
        self.seed = seed
        self.rng = Random(f"{seed} crowd")
        self.loss = loss
        self.wires = Wires(sim_loop(), Random(f"{seed} wires"))
        self.net = SimInternet(self.wires)
        self.residents: list[Resident] = []

    @property
    def datagrams(self) -> int:
        """Sent by anybody so far."""
        return self.net.datagrams

    async def join(self, doors: Sequence[Resident]) -> Resident:
        """A new host, somewhere in the world, that knows these."""
        number = len(self.residents)
        link = Link(delay=self.rng.uniform(0.005, 0.1), loss=self.loss)
        host = self.wires.host(f"93.{number // 250}.{number % 250}.7", link)
        network = SimNetwork(self.net, host)
        world = World(clock=LoopClock(), rng=Random(f"{self.seed} {host.address}"), network=network, disk=SimDisk())
        dht = _Watched(world, community=lambda: [(door.host.address, PORT) for door in doors])
        resident = Resident(host, dht, await UdpPort.open(network, PORT))
        await dht.enable(resident.udp)
        self.residents.append(resident)
        return resident

    async def close(self) -> None:
        for resident in self.residents:
            await resident.dht.disable()
            resident.udp.close()
