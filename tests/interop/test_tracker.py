"""Our tracker with libtorrent as its clients; our announcer with opentracker. Loopback only."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.engine.discovery.tracker import AnnounceStats, TrackerAnnouncer
from icworkshop_gui.engine.discovery.udp_tracker import UdpTrackerClient
from icworkshop_gui.engine.net.real import RealNetwork
from icworkshop_gui.engine.world import World
from icworkshop_gui.formats.bencode import encode
from icworkshop_gui.server.tracker.front import TrackerFront
from icworkshop_gui.server.tracker.tracker import Tracker
from icworkshop_gui.server.tracker.udp import UdpTrackerServer
from tests.helpers.ports import free_port

pytestmark = [pytest.mark.interop, pytest.mark.slow]

# Every byte that is special in a URL.
HASH = InfoHash(bytes([0, 0x20, 0x25, 0x26, 0x2B, 0x3D, 0x3F, 0x23, 0x7E, 0xFF]) + b"0123456789")


@asynccontextmanager
async def our_tracker() -> AsyncIterator[tuple[Tracker, dict[str, str]]]:
    """The tracker, and its announce URLs by scheme."""
    tracker = Tracker(SystemClock(), random.Random(1))
    udp, http = UdpTrackerServer(tracker, "127.0.0.1", 0), TrackerFront(tracker, "127.0.0.1", 0)
    await udp.start()
    await http.start()
    try:
        yield (
            tracker,
            {
                "udp": f"udp://127.0.0.1:{udp.port}/announce",
                "http": f"http://127.0.0.1:{http.port}/announce",
            },
        )
    finally:
        await udp.aclose()
        await http.aclose()


@asynccontextmanager
async def our_client() -> AsyncIterator[tuple[World, UdpTrackerClient]]:
    network = RealNetwork(host="127.0.0.1")
    world = World(clock=SystemClock(), rng=random.SystemRandom(), network=network, disk=None)
    udp = UdpTrackerClient(world)
    try:
        yield world, udp
    finally:
        await udp.aclose()
        await network.aclose()


async def until(condition, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - other programs set no event
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("scheme", ["udp", "http"])
def test_two_libtorrents_find_each_other_through_us(scheme: str, tmp_path: Path) -> None:
    lt = pytest.importorskip("libtorrent")

    def session(role: str, torrent: bytes, folder: Path) -> tuple[object, object]:
        made = lt.session(
            {
                "listen_interfaces": "127.0.0.1:0",
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                # A lost datagram of uTP costs seconds, and it is not what is tried here.
                "enable_outgoing_utp": False,
                "enable_incoming_utp": False,
                "udp_tracker_token_expiry": 0,  # its cache would outlive our tracker, by address alone
                "allow_multiple_connections_per_ip": True,
                "user_agent": role,
            }
        )
        parameters = lt.load_torrent_buffer(torrent)
        parameters.save_path = str(folder)
        return made, made.add_torrent(parameters)

    async def main() -> None:
        async with our_tracker() as (tracker, urls):
            seeds, leeches = tmp_path / "seed", tmp_path / "leech"
            seeds.mkdir()
            leeches.mkdir()
            (seeds / "map.bin").write_bytes(random.Random(3).randbytes(100_000))
            content = (seeds / "map.bin").read_bytes()
            pieces = [content[at : at + 16384] for at in range(0, len(content), 16384)]
            info = {
                "length": len(content),
                "name": "map.bin",
                "piece length": 16384,
                "pieces": b"".join(hashlib.sha1(piece).digest() for piece in pieces),
            }
            info_hash = hashlib.sha1(encode(info)).digest()
            torrent = encode({"announce": urls[scheme], "info": info})
            seed_session, seed = session("seed", torrent, seeds)
            await until(lambda: tracker.counts(info_hash)[0] == 1)
            leech_session, leech = session("leech", torrent, leeches)
            await until(lambda: leech.status().is_seeding)
            assert (leeches / "map.bin").read_bytes() == (seeds / "map.bin").read_bytes()
            await until(lambda: tracker.counts(info_hash) == (2, 0))
            assert tracker.scrape([info_hash])[InfoHash(info_hash)].completed == 1
            for its_session, handle in ((seed_session, seed), (leech_session, leech)):
                its_session.remove_torrent(handle)
            await until(lambda: tracker.counts(info_hash) == (0, 0))

    asyncio.run(main())


async def two_of_us_meet(urls: dict[str, str]) -> None:
    """One announces over HTTP, the other over UDP; both learn of the other, whatever bytes the info-hash has."""
    async with our_client() as (world, udp):
        found: dict[int, list[Endpoint]] = {7001: [], 7002: []}
        announcers = {
            port: TrackerAnnouncer(
                world,
                HASH,
                PeerId(b"-IC0001-%012d" % port),
                [[urls[scheme]]],
                lambda port=port: port,
                lambda: AnnounceStats(0, 0, 1),
                found[port].extend,
                udp,
                True,
            )
            for port, scheme in ((7001, "http"), (7002, "udp"))
        }
        announcers[7001].start()
        await until(lambda: announcers[7001].status()[0].ok)
        announcers[7002].start()
        await until(lambda: found[7002] != [])
        assert found[7002] == [Endpoint("127.0.0.1", 7001)]
        await announcers[7002].stop()
        await announcers[7001].stop()
        assert found[7001] == []
        assert [item.message for item in announcers[7001].status()] == [""]


def test_we_meet_through_our_tracker() -> None:
    async def main() -> None:
        async with our_tracker() as (tracker, urls):
            await two_of_us_meet(urls)
            assert tracker.counts(HASH) == (0, 0)
            assert tracker.stats().announces == 4

    asyncio.run(main())


def test_we_meet_through_opentracker(tmp_path: Path) -> None:
    program = shutil.which("opentracker")
    if program is None:
        pytest.skip("opentracker is not installed")
    port = free_port()
    # Debian's build tracks only what this file lists.
    (tmp_path / "known").write_text(HASH.hex() + "\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # it gives up root
    process = subprocess.Popen(
        [program, "-i", "127.0.0.1", "-p", str(port), "-P", str(port), "-d", str(tmp_path), "-w", "known"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    async def main() -> None:
        def answers() -> bool:
            if process.poll() is not None:
                pytest.skip("opentracker does not run here")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        await until(answers, 5.0)
        await two_of_us_meet({"udp": f"udp://127.0.0.1:{port}", "http": f"http://127.0.0.1:{port}/announce"})

    try:
        asyncio.run(main())
    finally:
        process.terminate()
        process.wait(10)
