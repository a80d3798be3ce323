"""Magnet links both ways with programs that we did not write: only the hash is known, the other side has the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import content
from tests.helpers.mini_tracker import MiniTracker
from tests.helpers.ports import free_port
from tests.helpers.programs import Program, cli
from tests.interop.partners import PARTNERS, Partner
from tests.interop.test_clients import digests

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def tracker() -> Iterator[MiniTracker]:
    with MiniTracker() as running:
        yield running


@pytest.fixture(scope="module")
def published(tracker: MiniTracker, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Content, torrent, link: long names, so that the metadata has several pieces."""
    work = tmp_path_factory.mktemp("magnets")
    root = work / "source" / "thing with long names"
    root.mkdir(parents=True)
    for number in range(300):
        (root / f"{number:03} {'long ' * 32}.dat").write_bytes(content(2000, number))
    torrent = work / "content.torrent"
    arguments = ("--v1", "--piece-length", "65536", "--tracker", tracker.url)
    code, _lines, errors = cli("torrent", "create", root, "-o", torrent, *arguments)
    assert code == 0, errors
    meta = Metainfo.parse(torrent.read_bytes())
    assert len(meta.info) > 3 * 16384
    return root, torrent, Magnet(info_hash=meta.info_hash, name=meta.name, trackers=(tracker.url,)).to_uri()


@pytest.fixture(params=PARTNERS, ids=lambda partner: partner.name)
def partner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Partner]:
    reason = request.param.missing()
    if reason:
        pytest.skip(reason)
    with request.param(tmp_path / "partner") as running:
        yield running


def test_they_seed_we_have_the_link(partner: Partner, published: tuple[Path, Path, str], tmp_path: Path) -> None:
    root, torrent, link = published
    partner.seed(torrent, root.parent)
    to = tmp_path / "to"
    peer = ("--peer", f"127.0.0.1:{partner.port}")
    data = {"IC_DATA_DIR": str(tmp_path / "data")}
    code, lines, errors = cli(
        "torrent", "download", link, "--to", to, *peer, "--no-dht", "--no-lsd", env=data, timeout=90
    )
    assert code == 0, (lines[-3:], errors)
    assert lines[-1]["wasted"] == 0
    assert digests(to / root.name) == digests(root)


def test_we_seed_they_have_the_link(partner: Partner, published: tuple[Path, Path, str], tmp_path: Path) -> None:
    root, torrent, link = published
    to = tmp_path / "to"
    to.mkdir()
    port = free_port()
    arguments = [] if partner.takes_loopback_from_tracker else ["--peer", f"127.0.0.1:{partner.port}"]
    if arguments:
        partner.leech(link, to)
    with Program("torrent", "seed", torrent, root.parent, "--port", str(port), *arguments, "--no-dht", "--no-lsd",
                 "--json",
                 env={"IC_DATA_DIR": str(tmp_path / "data")}) as seeder:  # fmt: skip
        seeder.event("ready")
        if not arguments:
            partner.leech(link, to)
            partner.connect(port)
        partner.wait_complete(90)
    assert digests(to / root.name) == digests(root)
