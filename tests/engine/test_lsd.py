"""Two programs in one house: found by multicast on the loopback, by ours and by libtorrent."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import torrent
from tests.helpers.engines import engine

pytestmark = pytest.mark.slow


def fresh() -> tuple[bytes, bytes]:
    """A torrent that no other test has, on this machine's only loopback, and its content."""
    data = secrets.token_bytes(100_000)
    return torrent(data, name="thing"), data


def test_who_has_it_next_door_is_found(tmp_path: Path) -> None:
    made, data = fresh()
    (tmp_path / "thing").write_bytes(data)
    with engine(tmp_path / "a", lsd="true") as a, engine(tmp_path / "b", lsd="true") as b:
        a.ask(wish.AddTorrent(metainfo=made, folder=tmp_path, seed_only=True))
        link = f"magnet:?xt=urn:btih:{Metainfo.parse(made).info_hash}"
        b.complete(b.ask(wish.AddMagnet(link=link, folder=tmp_path / "out")))
        assert (tmp_path / "out" / "thing").read_bytes() == data


def test_switched_off_nobody_is_found_and_on_again_he_is(tmp_path: Path) -> None:
    made, data = fresh()
    (tmp_path / "thing").write_bytes(data)
    with engine(tmp_path / "a", lsd="true") as a, engine(tmp_path / "b") as b:
        shared = a.ask(wish.AddTorrent(metainfo=made, folder=tmp_path, seed_only=True))
        a.until(lambda view: view.transfers[shared].state is TransferState.SEEDING)
        transfer = b.ask(wish.AddTorrent(metainfo=made, folder=tmp_path / "out"))
        b.until(lambda view: view.transfers[transfer].state is TransferState.DOWNLOADING)
        assert b.view.transfers[transfer].known_peers == 0
        b.ask(wish.SetSetting("workshop.p2p.lsd", "true"))
        b.complete(transfer)


def test_a_private_torrent_is_not_said_aloud(tmp_path: Path) -> None:
    data = os.urandom(50_000)
    made = torrent(data, name="thing", private=True)
    (tmp_path / "thing").write_bytes(data)
    with engine(tmp_path / "a", lsd="true") as a, engine(tmp_path / "b", lsd="true") as b:
        a.ask(wish.AddTorrent(metainfo=made, folder=tmp_path, seed_only=True))
        transfer = b.ask(wish.AddTorrent(metainfo=made, folder=tmp_path / "out"))
        b.until(lambda view: view.transfers[transfer].state is TransferState.DOWNLOADING)
        link = f"magnet:?xt=urn:btih:{'ab' * 20}"  # something to say, so that a second has passed with it on
        other = b.ask(wish.AddMagnet(link=link, folder=tmp_path / "out"))
        b.until(lambda view: view.transfers[other].reason is Reason.METADATA)
        assert b.view.transfers[transfer].known_peers == 0


def test_libtorrent_next_door_is_found(tmp_path: Path) -> None:
    lt = pytest.importorskip("libtorrent")
    made, data = fresh()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "thing").write_bytes(data)
    session = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_lsd": True,
            "alert_mask": 0,
        }
    )
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(made)
    parameters.save_path = str(tmp_path / "source")
    parameters.flags |= lt.torrent_flags.seed_mode
    session.add_torrent(parameters)
    with engine(tmp_path / "a", lsd="true") as ours:
        ours.complete(ours.ask(wish.AddTorrent(metainfo=made, folder=tmp_path / "out")))
        assert (tmp_path / "out" / "thing").read_bytes() == data
