"""A seed and two leechers over real sockets and real threads."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from icworkshop_gui.core.address import Endpoint, PeerSource
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.net.incoming import HandshakeGate
from icworkshop_gui.engine.net.real import RealNetwork
from icworkshop_gui.engine.swarm.swarm import Swarm
from icworkshop_gui.engine.world import World
from icworkshop_gui.store.disk import ThreadDisk
from tests.helpers.builders import content
from tests.helpers.fake_peer import MemoryStorage, Recording

INFO_HASH = InfoHash(b"l" * 20)


@pytest.mark.parametrize(("length", "piece_length"), [(9 * MIB + 12_345, 262_144), (100_000, 32_768), (1, 16_384)])
def test_one_seed_two_leechers(length: int, piece_length: int) -> None:
    asyncio.run(_exchange(length, piece_length))


async def _exchange(length: int, piece_length: int) -> None:
    data = content(length)
    geometry = Geometry(length, piece_length)

    def piece_hash(index: int) -> bytes:
        at = geometry.piece_offset(index)
        return hashlib.sha1(data[at : at + geometry.piece_size(index)]).digest()

    disk = ThreadDisk(2)
    network = RealNetwork(host="127.0.0.1")
    world = World(clock=SystemClock(), rng=random.Random(7), network=network, disk=disk)
    swarms: list[Swarm] = []
    ports: list[int] = []
    records: list[Recording] = []
    listeners = []
    for number in range(3):
        have = Bitfield(geometry.piece_count, full=number == 0)
        record = Recording()
        swarm = Swarm(
            world=world,
            info_hash=INFO_HASH,
            peer_id=PeerId(b"-IC0001-loopback%04d" % number),
            geometry=geometry,
            piece_hash=piece_hash,
            storage=MemoryStorage(length, data if number == 0 else b""),
            have=have,
            listener=record,
        )
        gate = HandshakeGate(swarm.accept)
        listener = await network.listen(0, gate.accept)
        swarm.start()
        swarms.append(swarm)
        records.append(record)
        listeners.append(listener)
        ports.append(listener.port)
    everybody = [Endpoint("127.0.0.1", port) for port in ports]
    for swarm in swarms[1:]:
        swarm.add_candidates(everybody, PeerSource.TRACKER)
    try:
        await asyncio.wait_for(asyncio.gather(*(record.done.wait() for record in records[1:])), 30)
        for swarm, record in zip(swarms[1:], records[1:], strict=True):
            assert sorted(record.verified) == list(range(geometry.piece_count))
            assert bytes(swarm._checker._storage.data) == data  # type: ignore[attr-defined]
            stats = swarm.stats()
            assert stats.complete
            assert stats.done == length
            swarm.tracker.check_invariants()
        given = sum(swarm.stats().uploaded for swarm in swarms)
        assert given >= 2 * length
    finally:
        for swarm in swarms:
            await swarm.stop()
        for listener in listeners:
            await listener.aclose()
        await network.aclose()
        disk.close()
