"""Stock clients complete from web seeds alone: a Workshop's, and those of torrents that our command line made."""

from __future__ import annotations

import hashlib
import random
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.formats.create import torrent_file
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import content, package
from tests.helpers.engines import workshop
from tests.helpers.programs import cli
from tests.helpers.static_server import static_server
from tests.interop.partners import Aria2, Libtorrent, Partner

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(120)]

REF = PackageRef("alice", "big-map", "1.2.0")
PACKAGE = package({f"assets/{number}.bin": content(700_000, number) for number in range(12)}, str(REF))
FOLDER = {"read me.txt": 500, "deep/größe #1.dat": 900_001, "deep/a&b.bin": 70_000, "zz": 3_000_000, "empty": 0}


@pytest.fixture(params=[Libtorrent, Aria2], ids=["libtorrent", "aria2"])
def partner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Partner]:
    reason = request.param.missing()
    if reason:
        pytest.skip(reason)
    with request.param(tmp_path / "partner") as running:
        yield running


def test_from_a_workshops_url_list_alone(partner: Partner, tmp_path: Path) -> None:
    with workshop(tmp_path / "server", "--seed", "false") as server:
        path = tmp_path / "package.icpkg"
        path.write_bytes(PACKAGE)
        server.publish(path)
        url = f"{server.url}/api/v1/packages/{REF.publisher}/{REF.name}/{REF.version}.torrent"
        with urllib.request.urlopen(url, timeout=10) as reply:
            meta = Metainfo.parse(reply.read())
        assert meta.web_seeds == (f"{server.url}/api/v1/packages/{REF.publisher}/{REF.name}/{REF.version}.icpkg",)
        bare = tmp_path / "bare.torrent"
        bare.write_bytes(torrent_file(meta.info, web_seeds=meta.web_seeds))
        to = tmp_path / "to"
        to.mkdir()
        partner.leech(bare, to)
        partner.wait_complete(60)
    assert (to / REF.file_name).read_bytes() == PACKAGE


@pytest.mark.parametrize("shape", ["file", "folder"])
def test_from_a_torrent_that_we_made_and_a_plain_web_server(partner: Partner, shape: str, tmp_path: Path) -> None:
    rng = random.Random(shape)
    root = tmp_path / "source" / "some content"
    for name, size in FOLDER.items():
        path = root / name if shape == "folder" else root
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size or 1_500_000))
        if shape == "folder" and not size:
            path.write_bytes(b"")
    to = tmp_path / "to"
    to.mkdir()
    with static_server(tmp_path / "source") as server:
        torrent = tmp_path / "made.torrent"
        code, _, errors = cli("torrent", "create", root, "-o", torrent, "--v1", "--webseed", server.url,
                              "--piece-length", "65536")  # fmt: skip
        assert code == 0, errors
        partner.leech(torrent, to)
        partner.wait_complete(60)
        assert server.traffic.sent >= sum(FOLDER.values()) if shape == "folder" else 1_500_000
    assert digests(to / root.name) == digests(root)


def digests(root: Path) -> dict[str, str]:
    """Of everything with bytes below `root`, or of the file itself."""
    found = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.stat().st_size
    }
