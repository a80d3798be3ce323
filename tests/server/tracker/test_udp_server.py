"""The UDP face on loopback: what a sender gets before and after it has proved its address."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable

import pytest

from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.server.tracker.connection_ids import BUCKET, REMEMBERED, ConnectionIds
from icworkshop_gui.server.tracker.mailbox import BATCH
from icworkshop_gui.server.tracker.tracker import Tracker, TrackerAccess
from icworkshop_gui.server.tracker.udp import UdpTrackerServer
from icworkshop_gui.wire.tracker import udp
from icworkshop_gui.wire.tracker.compact import unpack_v4, unpack_v6
from icworkshop_gui.wire.tracker.messages import AnnounceEvent, AnnounceRequest, ScrapeEntry

HASH, PEER = InfoHash(b"h" * 20), PeerId(b"-IC0001-aaaaaaaaaaaa")


class Client:
    """A UDP socket on loopback with a word for each message."""

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((host, port))

    async def ask(self, data: bytes, patience: float = 5.0) -> bytes:
        self.sock.send(data)
        async with asyncio.timeout(patience):
            return await asyncio.get_running_loop().sock_recv(self.sock, 4096)

    async def gets_nothing(self, data: bytes) -> None:
        """UDP on loopback keeps the order: what is answered after `data` proves that `data` was not."""
        self.sock.send(data)
        reply = udp.parse_reply(await self.ask(udp.connect_request(4711)), ipv6=False)
        assert isinstance(reply, udp.ConnectReply)
        assert reply.transaction_id == 4711

    async def connect(self) -> bytes:
        reply = udp.parse_reply(await self.ask(udp.connect_request(7)), ipv6=False)
        assert isinstance(reply, udp.ConnectReply)
        return reply.connection_id

    async def announce(self, connection_id: bytes, port: int, **options) -> bytes:
        request = AnnounceRequest(info_hash=HASH, peer_id=PEER, port=port, **{"left": 1} | options)
        return await self.ask(udp.announce_request(connection_id, 9, request, url_data=b"/announce"))


def serving(test: Callable[[UdpTrackerServer, Tracker, Client], object], host: str = "127.0.0.1", **options) -> None:
    async def main():
        tracker = Tracker(SystemClock(), random.Random(1), **options)
        server = UdpTrackerServer(tracker, host, 0)
        await server.start()
        client = Client(host, server.port)
        try:
            await test(server, tracker, client)
        finally:
            client.sock.close()
            await server.aclose()
            await server.aclose()

    asyncio.run(main())


def test_connect_announce_scrape():
    async def body(server, tracker, client):
        connection_id = await client.connect()
        first = await client.announce(connection_id, 1000, event=AnnounceEvent.STARTED)
        assert first == udp.announce_reply(9, tracker.interval, 1, 0, b"")
        second = udp.parse_reply(await client.announce(connection_id, 1001, left=0), ipv6=False)
        assert (second.response.seeders, second.response.leechers) == (1, 1)
        assert [str(peer) for peer in second.response.peers] == ["127.0.0.1:1000"]
        reply = await client.ask(udp.scrape_request(connection_id, 3, [HASH, InfoHash(bytes(20))]))
        assert udp.parse_reply(reply, ipv6=False).entries == (ScrapeEntry(1, 0, 1), ScrapeEntry(0, 0, 0))
        gone = udp.parse_reply(await client.announce(connection_id, 1001, event=AnnounceEvent.STOPPED), ipv6=False)
        assert gone.response.peers == ()
        assert tracker.counts(HASH) == (0, 1)

    serving(body)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_peers_have_18_bytes():
    async def body(server, tracker, client):
        connection_id = await client.connect()
        await client.announce(connection_id, 1000)
        reply = await client.announce(connection_id, 1001)
        assert [str(peer) for peer in unpack_v6(reply[20:], 9)] == ["[::1]:1000"]

    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        pytest.skip("no IPv6 here")
    serving(body, "::1")


def test_who_has_not_proved_its_address_gets_a_connect_reply_at_most():
    async def body(server, tracker, client):
        announce = udp.announce_request(b"12345678", 9, AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1))
        for data in (
            b"",
            b"x",
            bytes(16),
            bytes(98),
            announce,
            announce[:97],
            udp.scrape_request(b"12345678", 1, [HASH]),
            b"\xff" * 1500,
            bytes(8) + announce[8:],
        ):
            await client.gets_nothing(data)
        assert tracker.stats().announces == 0
        request = udp.connect_request(1)
        assert len(await client.ask(request)) <= len(request)
        connection_id = await client.connect()
        await client.gets_nothing(connection_id + bytes([0, 0, 0, 9]) + bytes(90))
        await client.gets_nothing(udp.scrape_request(connection_id, 1, [HASH]) + b"?")

    serving(body)


def test_a_connection_id_of_another_start_is_nothing():
    async def body(server, tracker, client):
        other = ConnectionIds(b"k" * 32)
        other.turn(tracker.clock.now())
        forged = other.make(socket.inet_aton("127.0.0.1"))
        await client.gets_nothing(
            udp.announce_request(forged, 9, AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1))
        )

    serving(body)


def test_a_proved_address_still_needs_its_id():
    async def body(server, tracker, client):
        connection_id = await client.connect()
        await client.announce(connection_id, 1000)
        wrong = bytes(byte ^ 1 for byte in connection_id)
        await client.gets_nothing(
            udp.announce_request(wrong, 9, AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1001))
        )
        assert tracker.counts(HASH) == (0, 1)
        await client.announce(connection_id, 1001)

    serving(body)


def test_a_burst_longer_than_one_drain_is_answered_whole():
    async def body(server, tracker, client):
        connection_id = await client.connect()
        for port in range(1, 3 * BATCH):
            client.sock.send(
                udp.announce_request(connection_id, port, AnnounceRequest(info_hash=HASH, peer_id=PEER, port=port))
            )
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            seen = [udp.parse_reply(await loop.sock_recv(client.sock, 4096), ipv6=False) for _ in range(1, 3 * BATCH)]
        assert [reply.transaction_id for reply in seen] == list(range(1, 3 * BATCH))
        assert len(unpack_v4(udp.announce_reply(1, 1, 1, 1, b"")[20:], 5)) == 0

    serving(body)


def test_a_restricted_swarm_answers_like_an_empty_one():
    async def body(server, tracker, client):
        connection_id = await client.connect()
        for _ in range(2):
            assert await client.announce(connection_id, 1000) == udp.announce_reply(9, tracker.interval, 0, 0, b"")

    serving(body, access=TrackerAccess.whitelist(lambda info_hash: False))


def test_a_taken_port_says_so():
    async def body(server, tracker, client):
        second = UdpTrackerServer(tracker, "127.0.0.1", server.port)
        with pytest.raises(OSError):
            await second.start()

    serving(body)


def test_connection_ids_live_two_to_four_minutes_and_are_bound_to_the_address():
    ids = ConnectionIds(b"k" * 32)
    ids.turn(10 * BUCKET)
    here, there = b"\1\2\3\4", b"\1\2\3\5"
    made = ids.make(here)
    assert ids.check(here, made)
    assert not ids.check(there, made)
    assert ids.known == {here: made}
    ids.turn(12 * BUCKET - 1)
    assert ids.known == {}
    assert ids.check(here, made)
    ids.turn(12 * BUCKET)
    assert not ids.check(here, made)


def test_no_more_addresses_are_remembered_than_the_limit():
    ids = ConnectionIds(b"k" * 32)
    ids.turn(0)
    for number in range(REMEMBERED + 1):
        ids.known[number.to_bytes(4, "big")] = b""
    assert ids.check(b"abcd", ids.make(b"abcd"))
    assert len(ids.known) == 1
