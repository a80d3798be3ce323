"""A DHT of libtorrent nodes on loopback, and we among them: they find what we announce, we find what they announce."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import TransferState
from tests.helpers.builders import content, torrent
from tests.helpers.engines import engine
from tests.helpers.ports import free_port

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(find_spec("libtorrent") is None, reason="libtorrent (PyPI) is not installed"),
]
NODES = 8
DATA = content(400_000, "dht interop")
METAINFO = torrent(DATA, name="thing.bin", piece_length=65536)
PATIENCE = 60.0


def session(port: int) -> Any:
    import libtorrent as lt

    return lt.session(
        {
            "listen_interfaces": f"127.0.0.1:{port}",
            "enable_dht": True,
            "dht_bootstrap_nodes": "",
            # On one computer all have one address.
            "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False,
            "dht_ignore_dark_internet": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
            "alert_mask": 0,
        }
    )


@contextmanager
def network() -> Iterator[tuple[list[Any], list[int]]]:
    """Sessions that know each other."""
    ports = [free_port() for _ in range(NODES)]
    sessions = [session(port) for port in ports]
    try:
        for one, own in zip(sessions, ports, strict=True):
            for port in ports:
                if port != own:
                    one.add_dht_node(("127.0.0.1", port))
        until(lambda: all(metric(one, "dht_nodes") >= NODES - 1 for one in sessions))
        yield sessions, ports
    finally:
        sessions.clear()


def metric(one: Any, name: str) -> int:
    """One of libtorrent's counters, such as the nodes in its routing table."""
    one.post_session_stats()
    one.wait_for_alert(500)
    counts = [alert.values[f"dht.{name}"] for alert in one.pop_alerts() if alert.what() == "session_stats"]
    return max(counts, default=0)


def until(true: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.1)


def add(one: Any, folder: Path, *, is_seed: bool) -> Any:
    import libtorrent as lt

    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(lt.bdecode(METAINFO))
    parameters.save_path = str(folder)
    if is_seed:
        parameters.flags |= lt.torrent_flags.seed_mode
    return one.add_torrent(parameters)


@pytest.mark.slow
def test_we_find_what_they_announce(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "thing.bin").write_bytes(DATA)
    with network() as (sessions, ports):
        add(sessions[3], folder, is_seed=True)
        until(lambda: any(metric(one, "dht_announce_peer_in") for one in sessions))
        with engine(tmp_path / "ours", dht_nodes=f"127.0.0.1:{ports[6]}") as ours:
            ours.until(lambda view: (view.totals.dht_nodes or 0) >= NODES // 2, PATIENCE)
            transfer = ours.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "to"))
            ours.complete(transfer, 90)
    assert (tmp_path / "to" / "thing.bin").read_bytes() == DATA


@pytest.mark.slow
def test_they_find_what_we_announce(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "thing.bin").write_bytes(DATA)
    with network() as (sessions, ports):
        with engine(tmp_path / "ours", dht_nodes=f"127.0.0.1:{ports[6]}") as ours:
            transfer = ours.ask(wish.AddTorrent(metainfo=METAINFO, folder=folder, seed_only=True))
            ours.until(lambda view: view.transfers[transfer].state is TransferState.SEEDING)
            ours.ask(wish.Watch(transfer))
            ours.until(
                lambda view: view.detail is not None and any(s.kind == "dht" and s.ok for s in view.detail.sources),
                PATIENCE,
            )
            handle = add(sessions[1], tmp_path / "to", is_seed=False)
            until(lambda: handle.status().is_seeding)


@pytest.mark.slow
def test_they_find_each_other_through_us_alone(tmp_path: Path) -> None:
    """Both know only us: what one announces, we keep; what the other asks, we answer."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "thing.bin").write_bytes(DATA)
    with engine(tmp_path / "ours") as ours:
        door = ours.until(lambda view: view.totals.listen_port > 0).totals.listen_port
        sessions = [session(free_port()) for _ in range(2)]
        for one in sessions:
            one.add_dht_node(("127.0.0.1", door))
        until(lambda: all(metric(one, "dht_nodes") >= 1 for one in sessions))
        add(sessions[0], folder, is_seed=True)
        ours.until(lambda view: (view.totals.dht_nodes or 0) >= 2, PATIENCE)
        until(lambda: metric(sessions[0], "dht_announce_peer_out"))
        handle = add(sessions[1], tmp_path / "to", is_seed=False)
        until(lambda: handle.status().is_seeding)
        sessions.clear()
