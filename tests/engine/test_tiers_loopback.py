"""Tiers and lobby tickets between whole engines, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import Reason, TransferSnapshot, TransferState
from icworkshop_gui.engine.lobby import issue, public_key
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import content, torrent
from tests.helpers.engines import Engine, engine

RATE = 4_000_000
SIZES = {"lobby": 14_000_000, "alone": 14_000_000, "user": 9_000_000, "b1": 6_000_000, "b2": 6_000_000, "b3": 6_000_000}


def share(host: Engine, folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The torrents by name; `host` seeds them."""
    found: dict[str, bytes] = {}
    for name in names:
        files = {f"{name}.bin": content(SIZES[name], name)}
        found[name] = torrent(files, name=name, piece_length=262_144)
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.bin").write_bytes(files[f"{name}.bin"])
        host.ask(wish.AddTorrent(metainfo=found[name], folder=folder, seed_only=True))
    host.until(lambda view: all(item.state is TransferState.SEEDING for item in view.transfers.values()))
    return found


def fetch(host: Engine, peer: Endpoint, folder: Path, metainfo: bytes, tier: Tier) -> TransferId:
    return host.ask(wish.AddTorrent(metainfo=metainfo, folder=folder, peers=(peer,), tier=tier))


def seconds(host: Engine, transfer: TransferId) -> float:
    began = time.monotonic()
    host.complete(transfer)
    return time.monotonic() - began


def test_a_lobby_beside_busy_downloads_under_a_limit(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b", max_download_speed=f"{RATE} B/s") as b:
        torrents = share(a, tmp_path / "source", SIZES)
        peer = Endpoint("127.0.0.1", a.view.totals.listen_port)
        files = tmp_path / "files"
        alone = seconds(b, fetch(b, peer, files, torrents["alone"], Tier.LOBBY_URGENT))
        others = [fetch(b, peer, files, torrents[name], Tier.BACKGROUND) for name in ("b1", "b2", "b3")]
        user = fetch(b, peer, files, torrents["user"], Tier.USER_REQUESTED)
        b.until(lambda view: all(view.transfers[item].from_peers > 300_000 for item in (*others, user)))
        lobby = fetch(b, peer, files, torrents["lobby"], Tier.LOBBY_URGENT)
        began = time.monotonic()
        b.until(lambda view: all(view.transfers[item].reason is Reason.LOBBY_FIRST for item in others))
        assert all(b.view.transfers[item].state is TransferState.QUEUED for item in others)
        b.complete(lobby)
        beside = time.monotonic() - began
        assert beside <= 1.4 * alone, "the simulation measures it; here the machine has its say"
        b.ask(wish.SetSetting("workshop.p2p.max_download_speed", "unlimited"))
        for item, name in zip((*others, user), ("b1", "b2", "b3", "user"), strict=True):
            done: TransferSnapshot = b.complete(item)
            assert (done.from_peers, done.wasted) == (SIZES[name], 0), "not a byte was fetched twice"
            assert (files / name / f"{name}.bin").read_bytes() == content(SIZES[name], name)


def test_a_ticket_opens_a_slot_where_a_claim_opens_none(tmp_path: Path) -> None:
    host, player, room = b"\1" * 32, b"\2" * 32, b"r" * 16
    # The seed would name them to each other, and they would help each other out.
    apart = {"pex": "false", "lsd": "false", "dht": "false"}
    with (
        engine(tmp_path / "seed", upload_slots="1", max_upload_speed="1 MB/s", **apart) as seed,
        engine(tmp_path / "first", **apart) as first,
        engine(tmp_path / "claimant", **apart) as claimant,
        engine(tmp_path / "member", **apart) as member,
    ):
        metainfo = share(seed, tmp_path / "source", ["user"])["user"]
        info_hash = Metainfo.parse(metainfo).swarm_hash
        peer = Endpoint("127.0.0.1", seed.view.totals.listen_port)
        seed.ask(wish.SetLobby(room, (public_key(host),), (), b"\3" * 32))
        served = fetch(first, peer, tmp_path / "1", metainfo, Tier.USER_REQUESTED)
        first.until(lambda view: view.transfers[served].from_peers > 0)
        ticket = issue(host, room=room, info_hash=info_hash, holder=public_key(player), expires=int(time.time()) + 600)
        claims = fetch(claimant, peer, tmp_path / "2", metainfo, Tier.LOBBY_URGENT)
        waits = fetch(member, peer, tmp_path / "3", metainfo, Tier.LOBBY_URGENT)
        seed.until(lambda view: view.totals.peers == 3)
        assert not member.view.transfers[waits].from_peers, "not in the lobby yet"
        member.ask(wish.SetLobby(room, (public_key(host),), (ticket.encode(),), player))
        seed.ask(wish.SetLobby(room, (public_key(host),), (), b"\3" * 32))
        member.until(lambda view: view.transfers[waits].from_peers > 500_000)
        before = first.view.transfers[served].from_peers
        first.until(lambda view: view.transfers[served].from_peers > before, 5)
        assert claimant.view.transfers[claims].from_peers == 0
