"""The system's network on loopback: dialing, listening, datagrams, names."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from icworkshop_gui.core.address import Endpoint, TransportKind
from icworkshop_gui.engine.net import real, tcp
from icworkshop_gui.engine.net.real import RealNetwork, bind_tcp
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.net.udp import DRAIN_MAX, TransportUdpSocket
from tests.helpers.streams import Recorder, until


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")

BOTH = pytest.mark.parametrize("watching", [True, False], ids=["sockets", "transports"])


@pytest.fixture
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """False: as on a loop that cannot watch sockets."""
    if not request.param:
        monkeypatch.setattr(real, "watches_sockets", lambda loop: False)
    return bool(request.param)


@pytest.mark.skipif(not tcp.HAS_RCVLOWAT, reason="the system cannot be told")
def test_a_block_that_comes_packet_by_packet_wakes_us_once() -> None:
    async def main() -> None:
        net = RealNetwork(host="127.0.0.1")
        accepted: list[Stream] = []
        listener = await net.listen(0, accepted.append)
        ours = await net.dial(Endpoint("127.0.0.1", listener.port), TransportKind.TCP, 5.0)
        await until(lambda: bool(accepted))
        there = Recorder(accepted[0])
        Recorder(ours)
        accepted[0].expect(16_384)
        for _ in range(16):
            ours.write([bytes(1024)])
            await asyncio.sleep(0.001)
        await until(lambda: len(there.got) == 16_384)
        assert there.bites == 1
        for stream in (ours, accepted[0]):
            stream.abort()
        await asyncio.sleep(0)
        await listener.aclose()
        await net.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("watching", [True, False], ids=["sockets", "transports"], indirect=True)
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_every_address_is_listened_on_and_can_be_dialed(host: str, watching: bool) -> None:
    async def main() -> None:
        net = RealNetwork()
        accepted: list[Stream] = []
        listener = await net.listen(0, accepted.append)
        ours = await net.dial(Endpoint(host, listener.port), TransportKind.TCP, 5.0)
        await until(lambda: bool(accepted))
        there = Recorder(accepted[0])
        Recorder(ours)
        assert accepted[0].endpoint.host == host
        assert (accepted[0].incoming, ours.incoming) == (True, False)
        ours.write([b"hello"])
        ours.close()
        await until(lambda: there.ended)
        assert bytes(there.got) == b"hello"
        await listener.aclose()
        with pytest.raises(OSError, match=r"refused|reset|Connect"):
            await net.dial(Endpoint(host, listener.port), TransportKind.TCP, 5.0)
        await net.aclose()

    asyncio.run(main())


def test_a_restricted_network_listens_on_one_address_only() -> None:
    async def main() -> None:
        net = RealNetwork(host="127.0.0.1")
        listener = await net.listen(0, lambda stream: stream.abort())
        with pytest.raises(OSError, match=r"."):
            await net.dial(Endpoint("127.0.0.2", listener.port), TransportKind.TCP, 5.0)
        await listener.aclose()

    asyncio.run(main())


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError, match=r".") as caught:
        bind_tcp("", server.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE


@needs_ipv6
def test_any_port_is_the_same_for_both_families() -> None:
    sockets = bind_tcp("", 0)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert len(sockets) == 2
    for sock in sockets:
        sock.close()


def test_a_dial_gives_up_in_time_and_leaves_no_socket() -> None:
    async def main() -> None:
        # A full backlog answers nobody.
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            fillers = []
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(server.getsockname())
                fillers.append(filler)
            with pytest.raises(TimeoutError):
                await RealNetwork().dial(Endpoint(*server.getsockname()), TransportKind.TCP, 0.1)
            for filler in fillers:
                filler.close()

    asyncio.run(main())


def test_a_transport_that_is_not_spoken_is_an_error() -> None:
    with pytest.raises(OSError, match="utp"):
        asyncio.run(RealNetwork().dial(Endpoint("127.0.0.1", 9), TransportKind.UTP, 1.0))


@pytest.mark.logs
def test_without_file_descriptors_accepting_pauses_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "ACCEPT_PAUSE", 0.02)

    class Exhausted(socket.socket):
        left = 2

        def accept(self):  # type: ignore[no-untyped-def]
            if Exhausted.left:
                Exhausted.left -= 1
                raise OSError(errno.EMFILE, "too many open files")
            return super().accept()

    async def main() -> None:
        server = Exhausted()
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        accepted: list[Stream] = []
        acceptor = tcp.TcpAcceptor(server, accepted.append)
        with socket.create_connection(server.getsockname()):
            await until(lambda: bool(accepted))
        acceptor.close()
        accepted[0].abort()

    asyncio.run(main())


@pytest.mark.parametrize("watching", [True, False], ids=["sockets", "transports"], indirect=True)
@pytest.mark.parametrize("ipv6", [False, pytest.param(True, marks=needs_ipv6)])
def test_datagrams_go_both_ways(ipv6: bool, watching: bool) -> None:
    host = "::1" if ipv6 else "127.0.0.1"

    async def main() -> None:
        net = RealNetwork(host="127.0.0.1")
        heard: list[tuple[bytes, Endpoint]] = []
        answers: list[bytes] = []
        server = await net.datagrams(0, lambda data, sender: heard.append((data, sender)), ipv6=ipv6)
        client = await net.datagrams(0, lambda data, sender: answers.append(data), ipv6=ipv6)
        count = 3 * DRAIN_MAX
        for number in range(count):
            client.send(b"%d" % number, Endpoint(host, server.port))
        await until(lambda: len(heard) == count)
        assert heard == [(b"%d" % number, Endpoint(host, client.port)) for number in range(count)]
        server.send(b"x" * 40_000, heard[0][1])
        await until(lambda: answers == [b"x" * 40_000])
        server.send(b"y" * 100_000, heard[0][1])  # more than a datagram holds: lost, not raised
        server.send(b"z", Endpoint("203.0.113.1" if ipv6 else "2001:db8::1", 1))
        for sock in (server, client):
            sock.close()
            sock.close()
            sock.send(b"late", Endpoint(host, 9))
        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_socket_may_be_closed_by_what_it_hears() -> None:
    async def main() -> None:
        net = RealNetwork(host="127.0.0.1")
        heard: list[bytes] = []

        def hear(data: bytes, sender: Endpoint) -> None:
            heard.append(data)
            server.close()

        server = await net.datagrams(0, hear)
        client = await net.datagrams(0, lambda data, sender: None)
        for _ in range(10):
            client.send(b"x", Endpoint("127.0.0.1", server.port))
        await until(lambda: bool(heard))
        await asyncio.sleep(0.01)
        assert len(heard) == 1
        client.close()

    asyncio.run(main())


def test_an_answer_that_nobody_listens_does_not_stop_the_socket() -> None:
    async def main() -> None:
        net = RealNetwork(host="127.0.0.1")
        heard: list[bytes] = []
        sock = await net.datagrams(0, lambda data, sender: heard.append(data))
        gone = await net.datagrams(0, lambda data, sender: None)
        gone_port = gone.port
        gone.close()
        await asyncio.sleep(0)
        for _ in range(3):
            sock.send(b"x", Endpoint("127.0.0.1", gone_port))
        sock.send(b"to myself", Endpoint("127.0.0.1", sock.port))
        await until(lambda: heard == [b"to myself"])
        sock.close()

    asyncio.run(main())


def test_datagrams_from_port_0_are_dropped() -> None:
    heard: list[bytes] = []
    TransportUdpSocket(lambda data, sender: heard.append(data)).datagram_received(b"x", ("127.0.0.1", 0))
    assert not heard


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("localhost", None)],
)
def test_names_become_addresses(host: str, expected: str | None) -> None:
    found = asyncio.run(RealNetwork().resolve(host, 80))
    assert all(endpoint.port == 80 for endpoint in found)
    assert len(found) == len(set(found)) > 0
    if expected is not None:
        assert found == (Endpoint(expected, 80),)


@pytest.mark.parametrize("host", ["ex\u00e4mple.org", "x" * 300, "a..b", ""])
def test_a_name_that_is_none_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        asyncio.run(RealNetwork().resolve(host, 80))
