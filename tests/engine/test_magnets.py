"""From a magnet link to the files, through the engine's door."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import Conflict, FormatError
from icworkshop_gui.core.ids import PeerId
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.formats.create import TorrentVersion
from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.wire.peer import codec
from icworkshop_gui.wire.peer.extensions import handshake as extension_handshake
from icworkshop_gui.wire.peer.extensions import ut_metadata
from icworkshop_gui.wire.peer.extensions.ut_metadata import Kind, Message
from icworkshop_gui.wire.peer.handshake import HANDSHAKE_SIZE, Handshake
from tests.engine.test_engine import METAINFO, lay_out, same, seed
from tests.helpers.builders import content, torrent
from tests.helpers.engines import engine

META = Metainfo.parse(METAINFO)
pytestmark = pytest.mark.slow
LINK = f"magnet:?xt=urn:btih:{META.info_hash}"


def with_peers(*peers: Endpoint, link: str = LINK) -> str:
    return link + "".join(f"&x.pe={peer}" for peer in peers)


@contextmanager
def liar(size: int) -> Iterator[Endpoint]:
    """A peer that sends zeros for metadata, all of them."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = Handshake.parse(await reader.readexactly(HANDSHAKE_SIZE))
        writer.write(Handshake(theirs.info_hash, PeerId(b"-LI0001-" + bytes(12))).encode())
        writer.write(
            codec.extended(0, extension_handshake.encode({ut_metadata.NAME: 7}, metadata_size=size))
            + codec.bare(codec.HAVE_ALL)
        )
        try:
            while True:
                length, ident = codec.HEADER.unpack(await reader.readexactly(5))
                body = await reader.readexactly(length - 1)
                if ident == codec.EXTENDED and body[0] == 7:
                    asked = ut_metadata.parse(body[1:])
                    assert asked is not None
                    piece = bytes(ut_metadata.piece_size(size, asked.piece))
                    lie = ut_metadata.encode(Message(Kind.DATA, asked.piece, size, piece))
                    writer.write(codec.extended(3, lie))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    loop = asyncio.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    server = loop.run_until_complete(asyncio.start_server(talk, sock=listener))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Endpoint("127.0.0.1", listener.getsockname()[1])
    finally:

        async def end() -> None:
            server.close()
            mine = asyncio.current_task()
            for task in asyncio.all_tasks():
                if task is not mine:
                    task.cancel()
            await asyncio.sleep(0.05)
            loop.stop()

        asyncio.run_coroutine_threadsafe(end(), loop)
        thread.join()
        loop.close()


def test_a_link_brings_the_files_and_the_connection_is_kept(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        peer = seed(a, tmp_path / "source", METAINFO)
        transfer = b.ask(wish.AddMagnet(link=with_peers(peer), folder=tmp_path / "out"))
        snapshot = b.complete(transfer)
        assert (snapshot.name, snapshot.size) == ("thing", META.total_size)
        assert same(tmp_path / "out")
        assert b.view.transfers[transfer].info_hash == str(META.info_hash)


def test_who_has_it_from_a_link_gives_it_to_others_by_link(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b, engine(tmp_path / "c") as c:
        peer = seed(a, tmp_path / "source", METAINFO)
        b.complete(b.ask(wish.AddMagnet(link=with_peers(peer), folder=tmp_path / "b out")))
        second = Endpoint("127.0.0.1", b.view.totals.listen_port)
        c.complete(c.ask(wish.AddMagnet(link=with_peers(second), folder=tmp_path / "c out")))
        assert same(tmp_path / "c out")


def test_two_who_know_only_the_link_get_it_from_one_that_comes_later(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b, engine(tmp_path / "c") as c:
        other = Endpoint("127.0.0.1", b.view.totals.listen_port)
        one = b.ask(wish.AddMagnet(link=LINK, folder=tmp_path / "b out"))
        two = c.ask(wish.AddMagnet(link=with_peers(other), folder=tmp_path / "c out"))
        c.until(lambda view: view.transfers[two].reason is Reason.METADATA)
        assert c.view.transfers[two].state is TransferState.DOWNLOADING
        b.ask(wish.AddPeers(one, (seed(a, tmp_path / "source", METAINFO),)))
        b.complete(one)
        c.complete(two)
        assert same(tmp_path / "c out")


def test_a_liar_is_left_and_the_truth_comes_from_others(tmp_path: Path) -> None:
    with liar(len(META.info)) as wrong, engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        transfer = b.ask(wish.AddMagnet(link=with_peers(wrong), folder=tmp_path / "out"))
        b.until(lambda view: view.transfers[transfer].reason is Reason.METADATA)
        b.ask(wish.AddPeers(transfer, (seed(a, tmp_path / "source", METAINFO),)))
        b.complete(transfer)
        assert same(tmp_path / "out")


def test_pause_and_restart_leave_a_link_what_it_is(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a:
        peer = seed(a, tmp_path / "source", METAINFO)
        with engine(tmp_path / "b") as b:
            link = f"{LINK}&dn=called%20so"
            transfer = b.ask(wish.AddMagnet(link=link, folder=tmp_path / "out", paused=True))
            b.until(lambda view: view.transfers[transfer].state is TransferState.PAUSED)
            assert b.view.transfers[transfer].name == "called so"
        with engine(tmp_path / "b") as b:
            b.ask(wish.AddPeers(transfer, (peer,)))
            b.ask(wish.Resume((transfer,)))
            b.complete(transfer)
        with engine(tmp_path / "b") as b:  # what was learned is kept: nobody is asked again
            assert b.complete(transfer).name == "thing"
        assert same(tmp_path / "out")


def test_while_peers_are_asked_it_can_be_paused_and_cancelled(tmp_path: Path) -> None:
    with engine(tmp_path / "b") as b:
        transfer = b.ask(wish.AddMagnet(link=LINK, folder=tmp_path / "out"))
        b.until(lambda view: view.transfers[transfer].reason is Reason.METADATA)
        b.ask(wish.Pause((transfer,)))
        b.until(lambda view: view.transfers[transfer].state is TransferState.PAUSED)
        b.ask(wish.Resume((transfer,)))
        b.until(lambda view: view.transfers[transfer].reason is Reason.METADATA)
        b.ask(wish.Cancel(transfer))
        b.until(lambda view: transfer not in view.transfers)


def test_a_torrent_comes_once(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a:
        peer = seed(a, tmp_path / "source", METAINFO)
        with pytest.raises(Conflict):
            a.ask(wish.AddMagnet(link=with_peers(peer), folder=tmp_path / "out"))
        with pytest.raises(FormatError):
            a.ask(wish.AddMagnet(link="magnet:?dn=nothing", folder=tmp_path / "out"))


def test_of_a_private_torrent_the_metadata_is_not_given(tmp_path: Path) -> None:
    private = torrent({"one.bin": content(50_000)}, private=True)
    link = f"magnet:?xt=urn:btih:{Metainfo.parse(private).info_hash}"
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        lay_out(tmp_path / "source")
        (tmp_path / "source" / "thing" / "one.bin").write_bytes(content(50_000))
        shared = a.ask(wish.AddTorrent(metainfo=private, folder=tmp_path / "source", seed_only=True))
        a.until(lambda view: view.transfers[shared].state is TransferState.SEEDING)
        peer = Endpoint("127.0.0.1", a.view.totals.listen_port)
        transfer = b.ask(wish.AddMagnet(link=with_peers(peer, link=link), folder=tmp_path / "out"))
        a.until(lambda view: view.transfers[shared].peers == 1)
        assert b.view.transfers[transfer].reason is Reason.METADATA


@pytest.mark.parametrize("hashes", ["v1", "v2", "both"])
def test_a_hybrid_torrent_by_either_of_its_hashes(tmp_path: Path, hashes: str) -> None:
    files = {"one.bin": content(100_000), "two.bin": content(70_000, 2)}
    made = torrent(files, version=TorrentVersion.HYBRID)
    meta = Metainfo.parse(made)
    link = Magnet(
        info_hash=meta.info_hash if hashes != "v2" else None,
        info_hash_v2=meta.info_hash_v2 if hashes != "v1" else None,
    ).to_uri()
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        for path, data in files.items():
            target = tmp_path / "source" / "thing" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        shared = a.ask(wish.AddTorrent(metainfo=made, folder=tmp_path / "source", seed_only=True))
        a.until(lambda view: view.transfers[shared].state is TransferState.SEEDING)
        peer = Endpoint("127.0.0.1", a.view.totals.listen_port)
        transfer = b.ask(wish.AddMagnet(link=with_peers(peer, link=link), folder=tmp_path / "out"))
        b.complete(transfer)
        assert (tmp_path / "out" / "thing" / "two.bin").read_bytes() == files["two.bin"]
