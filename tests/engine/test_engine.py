"""The engine through its door: torrents between two engines, the queue, disk trouble, undo."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound
from icworkshop_gui.core.ids import PeerId, TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import TransferFinished, TransferStalled
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.engine.host import BEHIND, EngineHost
from icworkshop_gui.engine.net.incoming import PENDING_MAX
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.store import open_files
from icworkshop_gui.wire.peer.handshake import Handshake
from tests.helpers.builders import content, torrent
from tests.helpers.engines import Engine, engine
from tests.helpers.ports import free_port

SIZE = 3 * MIB + 77
FILES = {"one.bin": content(SIZE, "one"), "sub/two.bin": content(100_000, "two"), "empty": b""}


def lay_out(folder: Path, name: str = "thing") -> None:
    for path, data in FILES.items():
        target = folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def seed(host: Engine, folder: Path, metainfo: bytes) -> Endpoint:
    lay_out(folder)
    transfer = host.ask(wish.AddTorrent(metainfo=metainfo, folder=folder, seed_only=True))
    host.until(lambda view: view.transfers[transfer].state is TransferState.SEEDING)
    return Endpoint("127.0.0.1", host.view.totals.listen_port)


def same(folder: Path) -> bool:
    return all((folder / "thing" / path).read_bytes() == data for path, data in FILES.items())


METAINFO = torrent(FILES, piece_length=65536)


def test_from_one_engine_to_the_next_and_on(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b, engine(tmp_path / "c") as c:
        peer = seed(a, tmp_path / "source", METAINFO)
        first = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "b-files", peers=(peer,)))
        done = b.complete(first)
        assert done.from_peers == done.size == done.done
        assert done.wasted == 0
        finished = b.heard(TransferFinished)
        assert isinstance(finished, TransferFinished)
        assert finished.folder == str(tmp_path / "b-files")
        # c knows b alone: what b received, it shares.
        from_b = Endpoint("127.0.0.1", b.view.totals.listen_port)
        second = c.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "c-files", peers=(from_b,)))
        c.complete(second)
        assert same(tmp_path / "b-files")
        assert same(tmp_path / "c-files")


def test_only_who_comes_from_the_internet_proves_that_others_reach_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b, engine(tmp_path / "c") as c:
        peer = seed(a, tmp_path / "source", METAINFO)
        b.complete(b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "b-files", peers=(peer,))))
        assert a.view.totals.reached_at is None, "somebody of our own network"
        monkeypatch.setattr(Endpoint, "is_global", property(lambda _self: True))
        before = time.time()
        c.complete(c.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "c-files", peers=(peer,))))
        reached = a.until(lambda view: view.totals.reached_at is not None).totals.reached_at
        assert reached is not None
        assert before <= reached <= time.time()


def test_a_seed_goes_to_those_that_were_named_to_it_even_before_they_are_there(tmp_path: Path) -> None:
    port = free_port()
    with engine(tmp_path / "a") as a, engine(tmp_path / "b", listen_port=str(port)) as b:
        lay_out(tmp_path / "source")
        late = Endpoint("127.0.0.1", port)
        wish_to_seed = wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "source", seed_only=True, peers=(late,))
        seeding = a.ask(wish_to_seed)
        a.until(lambda view: view.transfers[seeding].state is TransferState.SEEDING)
        time.sleep(0.5)  # it was dialled, and knows nothing of this torrent yet
        first = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "b-files"))
        b.complete(first, timeout=10.0)
        assert same(tmp_path / "b-files")


def test_a_seed_nobody_has_asked_anything_goes_to_whom_it_is_told_of(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        seed(a, tmp_path / "source", METAINFO)
        first = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "b-files"))
        b.until(lambda view: view.transfers[first].state is TransferState.DOWNLOADING)
        (seeding,) = a.view.transfers
        a.ask(wish.AddPeers(seeding, (Endpoint("127.0.0.1", b.view.totals.listen_port),)))
        b.complete(first, timeout=10.0)


def test_what_is_there_is_not_fetched_and_what_is_wrong_is(tmp_path: Path) -> None:
    lay_out(tmp_path / "files")
    with (tmp_path / "files" / "thing" / "one.bin").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"something else")
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        peer = seed(a, tmp_path / "source", METAINFO)
        transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(peer,)))
        assert b.complete(transfer).from_peers == 65536, "one piece was wrong"
        assert same(tmp_path / "files")
        # The same by hand, while it runs.
        (tmp_path / "files" / "thing" / "sub" / "two.bin").unlink()
        b.ask(wish.Recheck(transfer))
        b.until(lambda view: view.transfers[transfer].from_peers > 65536)
        b.complete(transfer)
        assert same(tmp_path / "files")


def test_it_goes_on_after_a_restart_without_fetching_twice(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a:
        peer = seed(a, tmp_path / "source", METAINFO)
        with engine(tmp_path / "b", max_download_speed="2 MB/s") as b:
            transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(peer,)))
            half = b.until(lambda view: view.transfers[transfer].done > SIZE // 3).transfers[transfer]
        with engine(tmp_path / "b") as b:
            done = b.complete(transfer)
        assert done.done == done.size
        # What was in the air at the end is asked for again: at most the pipeline of that moment.
        assert done.from_peers <= done.size + (half.size - half.done)
        assert same(tmp_path / "files")


def test_pause_resume_cancel_undo(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b", max_download_speed="500 kB/s") as b:
        peer = seed(a, tmp_path / "source", METAINFO)
        transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(peer,)))
        b.until(lambda view: view.transfers[transfer].done >= 10 * 65536)  # some pieces are whole
        b.ask(wish.Pause((transfer,)))
        paused = b.until(lambda view: view.transfers[transfer].state is TransferState.PAUSED).transfers[transfer]
        assert paused.reason is Reason.USER
        b.until(lambda view: view.transfers[transfer].peers == 0)
        b.ask(wish.Cancel(transfer))
        b.until(lambda view: transfer not in view.transfers)
        with pytest.raises(NotFound):
            b.ask(wish.Recheck(transfer))
        b.ask(wish.UndoCancel(transfer))
        back = b.until(lambda view: view.transfers[transfer].state is TransferState.PAUSED).transfers[transfer]
        assert back.done >= paused.done > 0
        b.ask(wish.SetSetting("workshop.p2p.max_download_speed", "unlimited"))
        b.ask(wish.Resume((transfer,)))
        b.complete(transfer)
        assert same(tmp_path / "files")


def test_the_queue_gives_slots_in_order_of_tier_and_position(tmp_path: Path) -> None:
    with engine(tmp_path / "a", max_active_downloads="1") as a:
        ids = [
            a.ask(wish.AddTorrent(metainfo=torrent(content(50_000, n), name=n), folder=tmp_path, use_trackers=False))
            for n in ("x", "y", "z")
        ]

        def running() -> list[TransferId]:
            return [t.id for t in a.view.transfers.values() if t.state is TransferState.DOWNLOADING]

        def becomes(*expected: TransferId) -> None:
            a.until(lambda _view: sorted(running()) == sorted(expected))

        becomes(ids[0])
        a.until(lambda view: view.transfers[ids[1]].reason is Reason.SLOT)
        a.ask(wish.Move(ids[2], 0))
        becomes(ids[2])
        a.ask(wish.SetTier((ids[1],), Tier.LOBBY_URGENT))
        a.ask(wish.SetTier((ids[0],), Tier.BACKGROUND))
        a.until(lambda view: view.transfers[ids[0]].reason is Reason.LOBBY_FIRST)
        becomes(ids[1])
        a.ask(wish.Pause((ids[1],)))
        becomes(ids[2])
        a.ask(wish.StartNow(ids[0]))
        becomes(ids[0], ids[2])
        a.ask(wish.Pause())
        becomes()
        a.until(lambda view: view.totals.paused_all)


def test_a_full_disk_is_a_reason_and_then_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = True
    real = os.pwritev

    def pwritev(fd: int, buffers: Any, offset: int) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, buffers, offset)

    monkeypatch.setattr(open_files.os, "pwritev", pwritev)
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        peer = seed(a, tmp_path / "source", METAINFO)
        transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(peer,)))
        waiting = b.until(lambda view: view.transfers[transfer].reason is Reason.DISK).transfers[transfer]
        assert ("fault", "full") in waiting.reason_data
        assert waiting.retry_at is not None
        stalled = b.heard(TransferStalled)
        assert isinstance(stalled, TransferStalled)
        assert stalled.reason is Reason.DISK
        full = False
        done = b.complete(transfer)
        assert done.reason is Reason.NONE
        assert done.from_peers == done.size, "nothing that arrived was fetched again"
        assert same(tmp_path / "files")


def test_a_folder_that_vanished_comes_back(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b", max_download_speed="2 MB/s") as b:
        peer = seed(a, tmp_path / "source", METAINFO)
        transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(peer,)))
        b.until(lambda view: view.transfers[transfer].done > 0)
        (tmp_path / "files").rename(tmp_path / "unplugged")
        gone = b.until(lambda view: view.transfers[transfer].reason is Reason.DISK).transfers[transfer]
        assert ("fault", "gone") in gone.reason_data
        (tmp_path / "unplugged").rename(tmp_path / "files")
        b.complete(transfer)
        assert same(tmp_path / "files")


def test_nobody_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icworkshop_gui.engine.transfer.NO_SOURCE_AFTER", 1.0)
    with engine(tmp_path / "a") as a:
        transfer = a.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", use_trackers=False))
        a.until(lambda view: view.transfers[transfer].reason is Reason.NO_SOURCE)


def test_refusals(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a:
        with pytest.raises(FormatError):
            a.ask(wish.AddTorrent(metainfo=b"not a torrent", folder=tmp_path))
        a.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", use_trackers=False))
        with pytest.raises(Conflict, match="on the list already"):
            a.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "other"))
        with pytest.raises(Conflict, match="Another Workshop program"), engine(tmp_path / "a"):
            pass


def test_sharing_off_serves_nobody(tmp_path: Path) -> None:
    with engine(tmp_path / "a") as a, engine(tmp_path / "b") as b:
        peer = seed(a, tmp_path / "source", METAINFO)
        a.ask(wish.SetSharing(False))
        a.until(lambda view: all(t.state is TransferState.FINISHED for t in view.transfers.values()))
        transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(peer,)))
        a.ask(wish.SetSharing(True))
        a.until(lambda view: all(t.state is TransferState.SEEDING for t in view.transfers.values()))
        b.ask(wish.AddPeers(transfer, (peer,)))
        b.until(lambda view: transfer in view.transfers)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_over_ipv6(tmp_path: Path) -> None:
    with engine(tmp_path / "a", listen_host="::1") as a, engine(tmp_path / "b", listen_host="::1") as b:
        port = seed(a, tmp_path / "source", METAINFO).port
        transfer = b.ask(wish.AddTorrent(metainfo=METAINFO, folder=tmp_path / "files", peers=(Endpoint("::1", port),)))
        b.complete(transfer)
        assert same(tmp_path / "files")


def test_strangers_share_the_programs_connections_and_half_open_ones_have_an_end(tmp_path: Path) -> None:
    with engine(tmp_path / "a", max_connections="5") as a:
        peer = seed(a, tmp_path / "source", METAINFO)
        info_hash = Metainfo.parse(METAINFO).swarm_hash
        crowd = [socket.create_connection(peer, 5) for _ in range(12)]
        silent = [socket.create_connection(peer, 5) for _ in range(PENDING_MAX + 20)]
        try:
            for number, sock in enumerate(crowd):
                sock.sendall(Handshake(info_hash, PeerId(b"-XX0001-%012d" % number)).encode())
            a.until(lambda view: view.totals.peers == 5)
            assert sum(_is_closed(sock) for sock in crowd) == 7
            assert sum(_is_closed(sock) for sock in silent) >= 20
            assert a.view.totals.peers == 5
        finally:
            for sock in (*crowd, *silent):
                sock.close()


def _is_closed(sock: socket.socket) -> bool:
    sock.settimeout(0.01)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness belongs to the whole process")
def test_the_engine_stands_back_behind_a_window(tmp_path: Path) -> None:
    host = EngineHost(data_dir=tmp_path, listen=False, stands_back=True).start()
    try:
        engine = next(thread for thread in threading.enumerate() if thread.name == "icw-engine")
        assert engine.native_id is not None
        mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert os.getpriority(os.PRIO_PROCESS, engine.native_id) == min(19, mine + BEHIND)
    finally:
        host.close()
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine
