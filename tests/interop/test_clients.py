"""Both directions with four programs that we did not write, over the command line as a user types it.

Every transfer is compared by SHA-256 with what was published. Content: a single file, 2,000 files, an odd last
piece, empty files, names in several scripts.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.mini_tracker import MiniTracker
from tests.helpers.ports import free_port
from tests.helpers.programs import Program, cli
from tests.interop.partners import PARTNERS, Partner

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(150)]

SHAPES = ("single", "many", "odd")
MANY = 2000


def make_content(shape: str, folder: Path) -> Path:
    """Content below `folder`; its root, which gives the torrent its name."""
    rng = random.Random(shape)
    folder.mkdir(parents=True)
    if shape == "single":
        root = folder / "single file.bin"
        root.write_bytes(rng.randbytes(6_000_000))
        return root
    root = folder / f"{shape} content"
    if shape == "many":
        for number in range(MANY):
            path = root / f"folder {number % 37:02}" / f"file {number:04}.dat"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rng.randbytes(rng.randrange(1, 6000)))
        return root
    for name, size in {
        "empty.txt": 0,
        "deep/er/nothing": 0,
        "Русский файл.txt": 100_001,
        "日本語/音楽.ogg": 350_003,
        "العربية.dat": 16_384,
        "größe ñandú.bin": 16_385,
        "one byte": 1,
        "😀 emoji.png": 40_000,
        "zz last.bin": 777_777,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size))
    return root


def digests(root: Path) -> dict[str, str]:
    """Relative path to SHA-256 of everything below `root`, or of the file itself."""
    if root.is_file():
        return {"": hashlib.sha256(root.read_bytes()).hexdigest()}
    return {
        os.path.relpath(path, root): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def tracker() -> Iterator[MiniTracker]:
    with MiniTracker() as running:
        yield running


@pytest.fixture(scope="module", params=SHAPES)
def published(
    request: pytest.FixtureRequest, tracker: MiniTracker, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """(content root, torrent made by our command line)."""
    work = tmp_path_factory.mktemp(request.param)
    root = make_content(request.param, work / "source")
    torrent = work / "content.torrent"
    code, lines, errors = cli("torrent", "create", root, "-o", torrent, "--v1", "--piece-length", "65536",
                              "--tracker", tracker.url)  # fmt: skip
    assert code == 0, errors
    assert lines[-1]["event"] == "done"
    return root, torrent


@pytest.fixture(params=PARTNERS, ids=lambda partner: partner.name)
def partner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Partner]:
    reason = request.param.missing()
    if reason:
        pytest.skip(reason)
    with request.param(tmp_path / "partner") as running:
        yield running


def ours(tmp_path: Path) -> dict[str, str]:
    return {"IC_DATA_DIR": str(tmp_path / "data")}


def test_they_seed_we_download(partner: Partner, published: tuple[Path, Path], tmp_path: Path) -> None:
    root, torrent = published
    partner.seed(torrent, root.parent)
    to = tmp_path / "to"
    code, lines, errors = cli(
        "torrent",
        "download",
        torrent,
        "--to",
        to,
        "--peer",
        f"127.0.0.1:{partner.port}",
        "--no-dht",
        "--no-lsd",
        env=ours(tmp_path),
        timeout=90,
    )
    assert code == 0, (lines[-3:], errors)
    assert lines[-1]["event"] == "done"
    assert lines[-1]["wasted"] == 0
    assert digests(to / root.name) == digests(root)


def test_we_seed_they_download(partner: Partner, published: tuple[Path, Path], tmp_path: Path) -> None:
    root, torrent = published
    to = tmp_path / "to"
    to.mkdir()
    port = free_port()
    arguments = [] if partner.takes_loopback_from_tracker else ["--peer", f"127.0.0.1:{partner.port}"]
    if arguments:
        partner.leech(torrent, to)
    with Program("torrent", "seed", torrent, root.parent, "--port", str(port), *arguments, "--no-dht", "--no-lsd",
                 "--json",
                 env=ours(tmp_path)) as seeder:  # fmt: skip
        assert seeder.event("ready")["port"] == port
        if not arguments:
            partner.leech(torrent, to)
            partner.connect(port)
        partner.wait_complete(90)
    got = digests(to / root.name)
    wanted = digests(root)
    if partner.name == "transmission":
        # Transmission 3.00 makes no file for an entry without bytes.
        wanted = {path: digest for path, digest in wanted.items() if path in got or (root / path).stat().st_size}
    assert got == wanted
