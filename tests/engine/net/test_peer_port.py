"""One number for TCP and UDP, and who of us a datagram is for; on loopback and in the simulation alike."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.engine.net import peer_port
from icworkshop_gui.engine.net.network import Network
from icworkshop_gui.engine.net.peer_port import ATTEMPTS, PeerPort, UdpPort
from icworkshop_gui.engine.net.real import RealNetwork
from tests.helpers.ports import free_port
from tests.helpers.streams import until
from tests.sim.links import Link, Wires
from tests.sim.loop import run_leaping, sim_loop
from tests.sim.network import SimInternet, SimNetwork

Heard = list[tuple[bytes, Endpoint]]


def hears(into: Heard) -> Callable[[bytes, Endpoint], None]:
    return lambda data, endpoint: into.append((data, endpoint))


async def exchange(ours: Network, theirs: Network, address: str, their_address: str) -> None:
    """What both networks must do."""
    here, there = await UdpPort.open(ours, 0), await UdpPort.open(theirs, 0)
    krpc: Heard = []
    utp: Heard = []
    back: Heard = []
    there.handle(b"d", hears(krpc))
    there.handle((0x01, 0x11, 0x21, 0x31, 0x41), hears(utp))
    here.handle(b"d", hears(back))
    to_them, to_us = Endpoint(their_address, there.port), Endpoint(address, here.port)
    for data in (b"d1:ye", b"\x41packet", b"", b"Zzz", b"\x11more", b"d2:qqe"):
        here.send(data, to_them)
    await until(lambda: len(krpc) == len(utp) == 2)
    assert krpc == [(b"d1:ye", to_us), (b"d2:qqe", to_us)]
    assert [data for data, _ in utp] == [b"\x41packet", b"\x11more"]
    there.send(b"d4:backe", to_us)
    await until(lambda: bool(back))
    assert back == [(b"d4:backe", to_them)]
    # Taken off, its datagrams are dropped; closed, nothing is sent or heard, and the number is free.
    number = there.port
    there.handle(b"d", None)
    here.send(b"d", to_them)
    here.send(b"\x01last", to_them)
    await until(lambda: len(utp) == 3)
    assert len(krpc) == 2
    there.close()
    there.send(b"d", to_us)
    here.send(b"\x01", to_them)
    again = await UdpPort.open(theirs, number)
    await asyncio.sleep(0.05)
    assert (there.port, again.port, len(utp), len(back)) == (0, number, 3, 1)
    again.close()
    here.close()


def test_each_hears_its_own_on_loopback() -> None:
    network = RealNetwork(host="127.0.0.1")
    asyncio.run(exchange(network, network, "127.0.0.1", "127.0.0.1"))


@pytest.mark.parametrize(("near", "far"), [("93.0.0.1", "93.0.1.1"), ("2600::1", "2600:1::1")])
def test_each_hears_its_own_in_the_simulation(near: str, far: str) -> None:
    async def play() -> None:
        net = SimInternet(Wires(sim_loop(), Random(1)))
        hosts = [SimNetwork(net, net.wires.host(address, Link())) for address in (near, far)]
        await exchange(hosts[0], hosts[1], near, far)

    run_leaping(play())


def test_two_do_not_take_the_same_bytes() -> None:
    port = UdpPort()
    port.handle(b"d", hears([]))
    with pytest.raises(ValueError, match="0x64"):
        port.handle(b"cde", hears([]))


def real(work: Callable[[Network], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work(RealNetwork(host="127.0.0.1")))


def test_tcp_and_udp_have_one_number() -> None:
    async def main(network: Network) -> None:
        port = await PeerPort.open(network, 0, lambda stream: stream.abort())
        assert port.udp is not None
        assert port.udp.port == port.number
        assert port.udp.speaks(ipv6=False)
        await port.aclose()

    real(main)


def test_a_number_that_is_taken_for_udp_is_taken() -> None:
    async def main(network: Network) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", free_port()))
            number = other.getsockname()[1]
            with pytest.raises(OSError) as raised:
                await PeerPort.open(network, number, lambda stream: stream.abort())
            assert raised.value.errno in peer_port.TAKEN
            # The TCP half was given back.
            listener = await network.listen(number, lambda stream: stream.abort())
            await listener.aclose()

    real(main)


class _WithoutUdp(RealNetwork):
    """A system that gives no UDP sockets, for the reason `errno`."""

    def __init__(self, number: int) -> None:
        super().__init__(host="127.0.0.1")
        self.number = number
        self.asked = 0

    async def datagrams(self, port: int, on_datagram: Any, *, ipv6: bool = False) -> Any:
        self.asked += 1
        raise OSError(self.number, "no")


@pytest.mark.parametrize(("number", "asked"), [(errno.EPERM, 2), (errno.EADDRINUSE, ATTEMPTS)])
def test_tcp_does_without_udp(number: int, asked: int) -> None:
    async def main() -> None:
        network = _WithoutUdp(number)
        port = await PeerPort.open(network, 0, lambda stream: stream.abort())
        assert port.udp is None
        assert port.number > 0
        assert network.asked == asked
        await port.aclose()

    asyncio.run(main())
