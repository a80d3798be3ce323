"""Web seeds over real sockets: a torrent alone with plain web servers, through the engine's own door."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import TransferSnapshot, TransferState
from icworkshop_gui.formats.bencode import encode
from icworkshop_gui.formats.create import SourceFile, TorrentVersion, create_torrent
from tests.helpers.engines import Engine, engine
from tests.helpers.static_server import static_server

PIECE = 65_536
FOLDER = {"read me.txt": 500, "deep/größe #1.dat": 900_001, "deep/a&b.bin": 70_000, "empty": 0, "zz": 2_000_003}


def made(root: Path, sizes: dict[str, int]) -> None:
    rng = random.Random(1)
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size))


def torrent_of(root: Path, web_seeds: Sequence[str], version: TorrentVersion = TorrentVersion.V1) -> bytes:
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    sources = [
        SourceFile(
            () if path == root else path.relative_to(root).parts, path.stat().st_size, lambda path=path: path.open("rb")
        )
        for path in files
    ]
    return create_torrent(root.name, sources, version=version, piece_length=PIECE, web_seeds=web_seeds)


def fetch(player: Engine, torrent: bytes, to: Path, *named: str) -> TransferSnapshot:
    to.mkdir(exist_ok=True)
    return player.complete(player.ask(wish.AddTorrent(metainfo=torrent, folder=to, web_seeds=named)))


def same(one: Path, other: Path) -> bool:
    if one.is_file():
        return one.read_bytes() == other.read_bytes()
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    return names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


@pytest.mark.parametrize("version", [TorrentVersion.V1, TorrentVersion.HYBRID])
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("shape", ["file", "folder"])
def test_a_torrent_from_a_plain_web_server_alone(
    shape: str, ranges: bool, version: TorrentVersion, tmp_path: Path
) -> None:
    root = tmp_path / "source" / ("some folder" if shape == "folder" else "some file.bin")
    made(root, FOLDER) if shape == "folder" else made(root.parent, {root.name: 3_000_001})
    size = sum(FOLDER.values()) if shape == "folder" else 3_000_001
    with static_server(tmp_path / "source", ranges=ranges) as server, engine(tmp_path / "data") as player:
        done = fetch(player, torrent_of(root, [], version), tmp_path / "to", server.url)
        assert (done.from_peers, done.done) == (0, done.size)
        if ranges:
            # Padding is nowhere on a server, and known anyhow.
            assert (done.from_http, server.traffic.sent) == (size, size)
            assert server.traffic.connections <= 4, "connections are used again"
            assert len(server.traffic.paths) > server.traffic.connections
    assert same(root, tmp_path / "to" / root.name)


def test_a_torrent_from_a_stranger_reaches_nobody_in_this_house(tmp_path: Path) -> None:
    root = tmp_path / "source" / "map.bin"
    made(root.parent, {root.name: 300_000})
    with static_server(tmp_path / "source") as server, engine(tmp_path / "data", dht="false") as player:
        port = server.url.rstrip("/").rpartition(":")[2]
        listed = [
            server.url,
            f"http://localhost:{port}/",
            f"http://[::ffff:127.0.0.1]:{port}/",
            "http://169.254.169.254/",
        ]
        torrent = torrent_of(root, listed)
        scripts = b"d9:httpseedsl" + encode(f"{server.url}seed.php") + b"e" + torrent[1:]
        transfer = player.ask(wish.AddTorrent(metainfo=scripts, folder=tmp_path / "to"))
        player.ask(wish.Watch(transfer))
        player.until(
            lambda view: (
                view.detail is not None
                and len(view.detail.sources) == len(listed) + 1
                and all("not a public address" in source.message for source in view.detail.sources)
            )
        )
        assert server.traffic.connections == 0
        # Unless the user names it.
        player.ask(wish.Cancel(transfer, delete=True))
        done = fetch(player, torrent, tmp_path / "to", server.url)
        assert done.from_http == 300_000
    assert same(root, tmp_path / "to" / root.name)


def test_a_server_that_is_named_later_helps_at_once(tmp_path: Path) -> None:
    root = tmp_path / "source" / "map.bin"
    made(root.parent, {root.name: 300_000})
    with static_server(tmp_path / "source") as server, engine(tmp_path / "data") as player:
        transfer = player.ask(wish.AddTorrent(metainfo=torrent_of(root, [server.url]), folder=tmp_path / "to"))
        player.until(lambda view: view.transfers[transfer].state is TransferState.DOWNLOADING)
        player.ask(wish.AddWebSeeds(transfer, (server.url,)))
        assert player.complete(transfer).from_http == 300_000
        with pytest.raises(UserError, match="not"):
            player.ask(wish.AddWebSeeds(transfer, ("file:///etc/passwd",)))


def test_web_seeds_that_are_switched_off_are_asked_for_no_torrent(tmp_path: Path) -> None:
    root = tmp_path / "source" / "map.bin"
    made(root.parent, {root.name: 300_000})
    with static_server(tmp_path / "source") as server, engine(tmp_path / "data") as player:
        player.ask(wish.SetSetting("webseed.enabled", "false"))
        transfer = player.ask(
            wish.AddTorrent(metainfo=torrent_of(root, []), folder=tmp_path / "to", web_seeds=(server.url,))
        )
        player.until(lambda view: view.transfers[transfer].state is TransferState.DOWNLOADING)
        player.ask(wish.SetSetting("webseed.enabled", "true"))
        assert player.complete(transfer).from_http == 300_000


def test_a_script_of_bep_17(tmp_path: Path) -> None:
    root = tmp_path / "map.bin"
    made(tmp_path, {root.name: 1_000_001})
    whole = root.read_bytes()

    def script(piece: int, spans: list[tuple[int, int]]) -> bytes:
        return b"".join(whole[piece * PIECE + first : piece * PIECE + last + 1] for first, last in spans)

    with static_server(tmp_path, script=script) as server, engine(tmp_path / "data") as player:
        url = f"{server.url}seed.php"
        torrent = b"d9:httpseedsl" + encode(url) + b"e" + torrent_of(root, [])[1:]
        done = fetch(player, torrent, tmp_path / "to", url)
        assert (done.from_http, server.traffic.sent) == (1_000_001, 1_000_001)
        assert len(server.traffic.paths) == 16
    assert same(root, tmp_path / "to" / root.name)


def test_pause_resume_and_restart_fetch_only_what_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "source" / "map.bin"
    made(root.parent, {root.name: 4_000_000})
    with static_server(tmp_path / "source") as server:
        with engine(tmp_path / "data") as player:
            (tmp_path / "to").mkdir()
            transfer = player.ask(
                wish.AddTorrent(
                    metainfo=torrent_of(root, []), folder=tmp_path / "to", web_seeds=(server.url,), limit_down=2_000_000
                )
            )
            player.until(lambda view: view.transfers[transfer].done > 500_000)
            player.ask(wish.Pause((transfer,)))
            player.until(lambda view: view.transfers[transfer].state is TransferState.PAUSED)
            player.until(lambda view: not view.transfers[transfer].http_active)
            asked = len(server.traffic.paths)
            player.ask(wish.Resume((transfer,)))
            player.until(lambda view: view.transfers[transfer].done > 1_500_000)
            assert len(server.traffic.paths) > asked
        with engine(tmp_path / "data") as player:
            player.until(lambda view: transfer in view.transfers)
            done = player.complete(transfer)
    # Pieces that were under way at the two breaks come again, and nothing else.
    assert 4_000_000 <= done.from_http < 4_000_000 + 2 * 8 * PIECE
    assert same(root, tmp_path / "to" / root.name)
