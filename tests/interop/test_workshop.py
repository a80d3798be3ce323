"""Stock clients and a Workshop: they take a package with the server's own .torrent, and give it on to our player.

Transmission refuses peers on loopback that a tracker names, so it takes the web seed of the same torrent.
"""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import TransferState
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import content, package
from tests.helpers.engines import Workshop, engine, workshop
from tests.interop.partners import PARTNERS, Partner

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(120)]

REF = PackageRef("alice", "big-map", "1.2.0")
FILES = {f"assets/{number}.bin": content(700_000, number) for number in range(12)}
PACKAGE = package(FILES, str(REF))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    path = folder / "package.icpkg"
    path.write_bytes(PACKAGE)
    with workshop(folder) as running:
        running.publish(path)
        yield running


@pytest.fixture
def torrent(server: Workshop, tmp_path: Path) -> Path:
    url = f"{server.url}/api/v1/packages/{REF.publisher}/{REF.name}/{REF.version}.torrent"
    with urllib.request.urlopen(url, timeout=10) as reply:
        data = reply.read()
    path = tmp_path / "package.torrent"
    path.write_bytes(data)
    return path


@pytest.fixture(params=PARTNERS, ids=lambda partner: partner.name)
def partner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Partner]:
    reason = request.param.missing()
    if reason:
        pytest.skip(reason)
    with request.param(tmp_path / "partner") as running:
        yield running


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_stock_client_gets_a_package_from_the_server(partner: Partner, torrent: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    to.mkdir()
    partner.leech(torrent, to)
    partner.wait_complete(60)
    assert sha256(to / REF.file_name) == hashlib.sha256(PACKAGE).hexdigest()


def test_a_stock_client_gets_a_package_from_a_player(
    partner: Partner, server: Workshop, torrent: Path, tmp_path: Path
) -> None:
    """The player seeds from blobs through the layout: there is no package file on its disk."""
    bare = tmp_path / "bare.torrent"
    bare.write_bytes(without_sources(torrent.read_bytes()))
    to = tmp_path / "to"
    to.mkdir()
    with engine(tmp_path / "data", server.url) as player:
        transfer = player.ask(wish.Install(PackageId("alice", "big-map")))
        player.complete(transfer)
        player.until(lambda view: view.transfers[transfer].state is TransferState.SEEDING)
        partner.leech(bare, to)
        partner.connect(player.view.totals.listen_port)
        # Where the program cannot be told of a peer, our player is told of it.
        player.ask(wish.AddPeers(transfer, (Endpoint("127.0.0.1", partner.port),)))
        partner.wait_complete(60)
        player.until(lambda view: view.transfers[transfer].uploaded >= len(PACKAGE))
    assert sha256(to / REF.file_name) == hashlib.sha256(PACKAGE).hexdigest()


def without_sources(data: bytes) -> bytes:
    """The same info dict, with neither trackers nor web seeds."""
    return b"d4:info" + Metainfo.parse(data).info + b"e"
