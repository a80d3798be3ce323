"""The DHT through the engine's door: peers without a tracker, switched off and on, private torrents, memory."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import EngineView, Network, TransferState
from icworkshop_gui.engine.content import PackageContent
from icworkshop_gui.engine.discovery.dht_file import LIMITS, NAME, NODES_MAX, DhtState, load_state
from icworkshop_gui.engine.net.peer_port import UdpPort
from icworkshop_gui.store.transfers import TransferRecord
from icworkshop_gui.wire.dht.compact import Contact
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


@pytest.mark.slow
def test_a_seed_is_found_without_tracker_and_without_being_named(tmp_path: Path) -> None:
    with engine(tmp_path / "hub") as hub:
        with engine(tmp_path / "a", dht_nodes=door(hub)) as a, engine(tmp_path / "b", dht_nodes=door(hub)) as b:
            seed(a, tmp_path / "source")
            transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "to"))
            b.ask(wish.Watch(transfer))
            b.complete(transfer, 90)
            assert (tmp_path / "to" / "thing.bin").read_bytes() == DATA
            assert b.view.totals.dht_nodes


def nodes(view: EngineView) -> int:
    return view.totals.dht_nodes or 0


def has_row(view: EngineView) -> bool:
    return view.detail is not None and any(source.kind == "dht" for source in view.detail.sources)


@pytest.mark.slow
def test_peers_tell_each_other_of_their_nodes(tmp_path: Path) -> None:
    """BEP 5, the `port` message: who has a peer has a way in."""
    with engine(tmp_path / "a") as a, engine(tmp_path / "b", max_download_speed="200 kB/s") as b:
        seed(a, tmp_path / "source")
        assert nodes(a.view) == nodes(b.view) == 0
        peer = Endpoint("127.0.0.1", a.view.totals.listen_port)
        b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "to", peers=(peer,)))
        a.until(lambda view: nodes(view) == 1)
        b.until(lambda view: nodes(view) == 1)


@pytest.mark.slow
@pytest.mark.parametrize("private", [True, False])
def test_a_private_torrent_has_no_part_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: bool) -> None:
    sent: list[bytes] = []
    send = UdpPort.send

    def watched(self: UdpPort, data: bytes, endpoint: Endpoint) -> None:
        sent.append(data)
        send(self, data, endpoint)

    monkeypatch.setattr(UdpPort, "send", watched)
    metainfo = torrent(DATA, name="thing.bin", piece_length=65536, private=private)
    with engine(tmp_path / "hub") as hub:
        way = {"dht_nodes": door(hub), "max_download_speed": "200 kB/s"}
        with engine(tmp_path / "a", **way) as a, engine(tmp_path / "b", **way) as b:
            a.until(lambda view: nodes(view) >= 1)
            b.until(lambda view: nodes(view) >= 1)
            seed(a, tmp_path / "source", metainfo)
            peer = Endpoint("127.0.0.1", a.view.totals.listen_port)
            transfer = b.ask(wish.AddTorrent(metainfo=metainfo, folder=tmp_path / "to", peers=(peer,)))
            b.ask(wish.Watch(transfer))
            b.complete(transfer)
            b.until(lambda view: view.detail is not None)
            assert has_row(b.view) == (not private)
            info_hash = bytes.fromhex(b.view.transfers[transfer].info_hash)
            # Others are talked to, but not of this.
            assert len(sent) > 4
            assert any(info_hash in data for data in sent) == (not private)


@pytest.mark.slow
def test_peers_of_a_private_torrent_do_not_tell_of_their_nodes(tmp_path: Path) -> None:
    private = torrent(DATA, name="thing.bin", piece_length=65536, private=True)
    with engine(tmp_path / "a") as a, engine(tmp_path / "b", max_download_speed="200 kB/s") as b:
        seed(a, tmp_path / "source", private)
        peer = Endpoint("127.0.0.1", a.view.totals.listen_port)
        transfer = b.ask(wish.AddTorrent(metainfo=private, folder=tmp_path / "to", peers=(peer,)))
        b.complete(transfer)
        assert nodes(a.view) == nodes(b.view) == 0


@pytest.mark.slow
def test_switched_off_and_on(tmp_path: Path) -> None:
    with engine(tmp_path / "hub") as hub, engine(tmp_path / "a", dht="false", dht_nodes=door(hub)) as a:
        seed(a, tmp_path / "source")
        assert a.view.totals.dht_nodes is None
        a.ask(wish.Watch(next(iter(a.view.transfers))))
        a.until(lambda view: view.detail is not None)
        assert not has_row(a.view)
        a.ask(wish.SetSetting("workshop.p2p.dht", "true"))
        a.until(lambda view: nodes(view) == 1 and has_row(view))
        a.ask(wish.SetSetting("workshop.p2p.dht", "false"))
        a.until(lambda view: view.totals.dht_nodes is None and not has_row(view))


def test_where_bytes_cost_money_we_ask_and_are_not_asked(tmp_path: Path) -> None:
    with engine(tmp_path / "hub") as hub, engine(tmp_path / "a", dht_nodes=door(hub)) as a:
        a.until(lambda view: nodes(view) == 1)
        hub.until(lambda view: nodes(view) == 1)
        port = hub.view.totals.listen_port
        a.ask(wish.SetNetwork(Network.METERED, "phone"))
        # A newcomer that asks the metered one for the way in learns nothing there.
        with engine(tmp_path / "b", dht_nodes=door(a)) as b, engine(tmp_path / "c", dht_nodes=f"127.0.0.1:{port}") as c:
            c.until(lambda view: nodes(view) >= 1)
            assert nodes(b.view) == 0


def test_what_is_known_is_written_down(tmp_path: Path) -> None:
    with engine(tmp_path / "hub") as hub:
        with engine(tmp_path / "a", dht_nodes=door(hub)) as a:
            a.until(lambda view: nodes(view) == 1)
        state = load_state(tmp_path / "a")
        assert [contact.endpoint.port for contact in state.nodes[False]] == [hub.view.totals.listen_port]
        assert (tmp_path / "a" / NAME).stat().st_size < 64 * 1024
        with engine(tmp_path / "a") as a:
            a.until(lambda view: nodes(view) == 1)


def test_hundreds_of_nodes_fit_into_the_file() -> None:
    rng = Random(1)
    contacts = {
        ipv6: [
            Contact(
                NodeId(rng.randbytes(20)), Endpoint(f"2600::{n + 1:x}" if ipv6 else f"93.{n // 250}.{n % 250}.1", 6881)
            )
            for n in range(NODES_MAX + 20)
        ]
        for ipv6 in (False, True)
    }
    state = DhtState({False: NodeId(bytes(20)), True: NodeId(bytes(20))}, contacts)
    data = state.encode()
    assert len(data) <= LIMITS.size
    read = DhtState.parse(data)
    assert read.ids == state.ids
    assert {ipv6: list(read.nodes[ipv6]) for ipv6 in read.nodes} == {
        ipv6: contacts[ipv6][:NODES_MAX] for ipv6 in contacts
    }


class _Catalog:
    """Knows where packages are, and that is all that is asked of it here."""

    def source(self, url: str) -> _Catalog:
        return self

    def package_url(self, ref: PackageRef) -> str:
        return "http://here.example/thing.icpkg"


@pytest.mark.parametrize(
    ("source", "private", "in_dht"),
    [
        ("https://workshop.example", False, True),
        ("https://workshop.example", True, False),
        ("http://192.168.1.5:19710", False, False),
        ("http://127.0.0.1:19710", False, False),
    ],
)
def test_packages_of_a_server_in_this_house_are_no_business_of_strangers(
    source: str, private: bool, in_dht: bool
) -> None:
    record = TransferRecord(
        id="1", ref=PackageRef("a", "b", "1.0.0"), source=source,
        metainfo=torrent(DATA, private=private),
    )  # fmt: skip
    assert PackageContent(None, record, _Catalog(), None, None).in_dht == in_dht
