"""The DHT through the engine's door: peers without a tracker, switched off and on, private torrents, memory."""

from __future__ import annotations

from pathlib import Path

from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import TransferState
from tests.helpers.builders import content, torrent
from tests.helpers.engines import Engine, engine

DATA = content(300_000, "dht")
METAINFO = torrent(DATA, name="thing.bin", piece_length=65536)


def seed(host: Engine, folder: Path, metainfo: bytes = METAINFO) -> None:
    folder.mkdir()
    (folder / "thing.bin").write_bytes(DATA)
    transfer = host.ask(wish.AddTorrent(metainfo=metainfo, folder=folder, seed_only=True))
    host.until(lambda view: view.transfers[transfer].state is TransferState.SEEDING)


def door(host: Engine) -> str:
    return f"127.0.0.1:{host.until(lambda view: view.totals.listen_port > 0).totals.listen_port}"


def test_a_seed_is_found_without_tracker_and_without_being_named(tmp_path: Path) -> None:
    with engine(tmp_path / "hub") as hub:
        with engine(tmp_path / "a", dht_nodes=door(hub)) as a, engine(tmp_path / "b", dht_nodes=door(hub)) as b:
            seed(a, tmp_path / "source")
            transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "to"))
            b.ask(wish.Watch(transfer))
            b.complete(transfer, 90)
            assert (tmp_path / "to" / "thing.bin").read_bytes() == DATA
            assert b.view.totals.dht_nodes
