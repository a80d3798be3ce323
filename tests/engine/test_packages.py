"""The whole chain for packages: published on a real server process, installed, checked, repaired, shared, removed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef, SearchQuery
from icworkshop_gui.core.errors import Conflict, NotFound, UserError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import TransferStalled
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from icworkshop_gui.registry.client import RegistryClient
from tests.helpers.builders import content, needs, package
from tests.helpers.engines import Workshop, engine, workshop

BIG = PackageId("alice", "big-map")
SMALL = PackageId("alice", "base-colours")
BIG_FILES = {
    "assets/a.bin": content(3_000_000, "a"),
    "assets/b.bin": content(3_500_000, "b"),
    "assets/twice.bin": content(3_000_000, "a"),
    "assets/nothing": b"",
    "README.md": b"# Big\n",
}
BIG_NEW = 6_500_000
"""Bytes of BIG_FILES, each content once."""
SMALL_FILES = {"palette.bin": content(80_000, "palette")}


def publish(server: Workshop, folder: Path) -> None:
    for data, name in (
        (package(SMALL_FILES, "alice/base-colours@1.0.0", title="Colours"), "small"),
        (
            package(BIG_FILES, "alice/big-map@1.2.0", title="Big map", dependencies=(needs("alice/base-colours"),)),
            "big",
        ),
    ):
        path = folder / f"{name}.icpkg"
        path.write_bytes(data)
        server.publish(path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    with workshop(folder) as running:
        publish(running, folder)
        yield running


def installed(folder: Path, files: dict[str, bytes]) -> bool:
    return all((folder / path).read_bytes() == data for path, data in files.items())


def disk_use(folder: Path) -> int:
    """Bytes on the disk, each inode once."""
    seen: dict[tuple[int, int], int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(os.path.join(root, name))
            seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())


def test_install_with_what_it_needs(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path / "data", server.url) as player:
        transfer = player.ask(wish.Install(BIG))
        done = player.complete(transfer)
        player.until(lambda view: len(view.library) == 2)
        entries = {ref.package: entry for ref, entry in player.view.library.items()}
        assert installed(Path(entries[BIG].folder), BIG_FILES)
        assert installed(Path(entries[SMALL].folder), SMALL_FILES)
        assert entries[BIG].title == "Big map"
        assert entries[SMALL].needed_by == (str(BIG),)
        assert done.from_peers > 0
        assert done.ref == PackageRef("alice", "big-map", "1.2.0")
        # Below 5 MB a package has no swarm.
        small = next(t for t in player.view.transfers.values() if t.ref and t.ref.package == SMALL)
        # What the list of its files says already is not fetched again.
        assert (small.from_peers, small.from_http) == (0, 80_000)
        # A second wish for the same changes nothing.
        assert player.ask(wish.Install(BIG)) == transfer
        size = sum(t.size for t in player.view.transfers.values())
    assert disk_use(tmp_path / "data") < 1.05 * size + 400_000, "one copy on disk"


def test_on_to_the_next_player_without_the_server(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path / "a", server.url) as first:
        first.complete(first.ask(wish.Install(BIG)))
        # The catalog comes from the server; its seed would be quicker than we can look, so only `first` is asked.
        from_first = first.view.totals.listen_port
        with engine(tmp_path / "b", server.url, max_download_speed="0 B/s") as second:
            transfer = second.ask(wish.Install(BIG))
            second.until(lambda view: view.transfers[transfer].state is TransferState.DOWNLOADING)
            detail = second.host.submit(wish.Watch(transfer))
            detail.result(5)
            second.until(
                lambda view: (
                    view.detail is not None
                    and any(peer.address.endswith(f":{from_first}") for peer in view.detail.peers)
                )
            )
            second.ask(wish.SetSetting("workshop.p2p.max_download_speed", "unlimited"))
            second.complete(transfer)


@pytest.mark.parametrize("enabled", [True, False])
def test_http_alone_when_nobody_serves(enabled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for who switched web servers off: P2P that fails is never the end of a download."""
    monkeypatch.setattr("icworkshop_gui.engine.web_turn.FALLBACK_AFTER", 1.0)
    with workshop(tmp_path / "server", "--seed", "false") as server:
        publish(server, tmp_path)
        with engine(tmp_path / "data", server.url) as player:
            player.ask(wish.SetSetting("webseed.enabled", str(enabled).lower()))
            done = player.complete(player.ask(wish.Install(BIG)))
            assert (done.from_peers, done.wasted) == (0, 0)
            # The two equal files are fetched twice over the wire, but stored once.
            assert BIG_NEW <= done.from_http <= done.size
            assert installed(Path(player.view.library[PackageRef("alice", "big-map", "1.2.0")].folder), BIG_FILES)


def test_no_p2p_wanted(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path / "data", server.url, prefer_p2p="false") as player:
        done = player.complete(player.ask(wish.Install(BIG)))
        assert done.from_peers == 0
        assert BIG_NEW <= done.from_http <= done.size


@pytest.mark.logs
def test_verify_and_repair(server: Workshop, tmp_path: Path) -> None:
    ref = PackageRef("alice", "big-map", "1.2.0")
    with engine(tmp_path / "data", server.url) as player:
        transfer = player.ask(wish.Install(BIG))
        done = player.complete(transfer)
        assert player.ask(wish.VerifyPackage(ref)).bad == ()
        folder = Path(player.view.library[ref].folder)
        victim = folder / "assets" / "b.bin"
        # The installed file is the blob itself (a hard link): both are damaged.
        victim.chmod(0o644)
        with victim.open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"damage")
        report = player.ask(wish.VerifyPackage(ref, repair=True))
        assert report.bad == ("assets/b.bin",)
        assert report.repaired
        player.until(lambda view: view.transfers[transfer].from_peers > done.from_peers)
        player.complete(transfer)
        player.until(lambda view: not view.library[ref].damaged)
        assert player.ask(wish.VerifyPackage(ref)).bad == ()
        assert installed(folder, BIG_FILES)
        # Only the damaged file came again.
        assert player.view.transfers[transfer].from_peers < done.size + 3_500_000 + 4 * 262_144


def test_remove_undo_and_remove_for_good(server: Workshop, tmp_path: Path) -> None:
    ref, needed = PackageRef("alice", "big-map", "1.2.0"), PackageRef("alice", "base-colours", "1.0.0")
    with engine(tmp_path / "data", server.url) as player:
        player.complete(player.ask(wish.Install(BIG)))
        player.until(lambda view: len(view.library) == 2)
        folder = Path(player.view.library[ref].folder)
        with pytest.raises(Conflict, match="alice/big-map needs this"):
            player.ask(wish.RemovePackage(needed))
        player.ask(wish.RemovePackage(ref))
        player.until(lambda view: ref not in view.library)
        assert not folder.exists()
        player.ask(wish.UndoRemove(ref))
        player.until(lambda view: ref in view.library)
        assert installed(folder, BIG_FILES)
        player.ask(wish.RemovePackage(ref))
        player.ask(wish.RemovePackage(needed))
        with pytest.raises(NotFound):
            player.ask(wish.RemovePackage(ref))
    assert not any(path.is_file() for path in (tmp_path / "data" / "workshop" / "blobs").rglob("*"))
    with engine(tmp_path / "data", server.url) as player:
        player.until(lambda view: view.totals.listen_port > 0)
        assert not player.view.library
        assert not player.view.transfers


def test_a_second_package_takes_from_the_disk_what_is_there(server: Workshop, tmp_path: Path) -> None:
    files = {**BIG_FILES, "assets/new.bin": content(400_000, "new")}
    path = tmp_path / "next.icpkg"
    path.write_bytes(package(files, "alice/other-map@1.0.0"))
    server.publish(path)
    with engine(tmp_path / "data", server.url) as player:
        player.complete(player.ask(wish.Install(BIG)))
        done = player.complete(player.ask(wish.Install(PackageId("alice", "other-map"))))
        assert done.reused >= 9_500_000
        assert done.from_peers < 3_000_000
        ref = PackageRef("alice", "other-map", "1.0.0")
        assert installed(Path(player.view.library[ref].folder), files)


@pytest.mark.logs
def test_a_skeleton_that_lies_costs_a_copy_never_a_wrong_byte(
    server: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RegistryClient.skeleton

    async def lying(self: RegistryClient, ref: PackageRef) -> bytes:
        segments = list(Skeleton.decode(await real(self, ref)).segments)
        # A file that the package does not have, in the place of one that it has.
        places = [n for n, s in enumerate(segments) if isinstance(s, FileSegment) and s.size == 3_000_000]
        other = content(3_000_000, "elsewhere")
        if not places:
            return Skeleton.of(segments).encode()  # what comes along has no such files: its list is true
        first = segments[places[0]]
        assert isinstance(first, FileSegment)
        segments[places[0]] = FileSegment(first.path, BlobId(hashlib.sha256(other).digest()), first.size)
        return Skeleton.of(segments).encode()

    monkeypatch.setattr(RegistryClient, "skeleton", lying)
    with engine(tmp_path / "data", server.url) as player:
        transfer = player.ask(wish.Install(BIG))
        done = player.complete(transfer)
        ref = PackageRef("alice", "big-map", "1.2.0")
        assert installed(Path(player.view.library[ref].folder), BIG_FILES)
        assert done.from_peers <= 2 * done.size


@pytest.mark.logs
def test_the_registry_has_the_last_word(server: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that fit the torrent but not the SHA-256 of the catalog are never installed."""
    real = RegistryClient.package

    async def other_word(
        self: RegistryClient, package_id: PackageId, version: str = "", *, files: bool = True
    ) -> object:
        detail = await real(self, package_id, version)
        return replace(detail, release=replace(detail.release, sha256="ab" * 32, dependencies=()))

    monkeypatch.setattr(RegistryClient, "package", other_word)
    with engine(tmp_path / "data", server.url) as player:
        transfer = player.ask(wish.Install(BIG))
        player.until(lambda view: view.transfers[transfer].state is TransferState.ERROR, 40)
        assert player.view.transfers[transfer].reason is Reason.HASH
        stalled = player.heard(TransferStalled)
        assert isinstance(stalled, TransferStalled)
        assert not player.view.library
        assert not list((tmp_path / "data" / "mods").glob("*"))


def test_catalog_and_refusals(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path / "data", server.url) as player:
        page = player.ask(wish.Search(SearchQuery(text="big map")))
        assert page.items[0].package == BIG
        assert player.ask(wish.GetPackage(BIG)).readme == "# Big\n"
        with pytest.raises(NotFound, match="not in the Workshop"):
            player.ask(wish.Install(PackageId("nobody", "nothing")))
        with pytest.raises(UserError, match="does not answer as a Workshop"):
            player.ask(wish.AddSource("http://127.0.0.1:9"))
        with pytest.raises(UserError):
            player.ask(wish.AddSource("ftp://somewhere"))
        player.ask(wish.AddSource(server.url))
        player.until(lambda view: [source.ok for source in view.totals.sources] == [True])
    with engine(tmp_path / "none") as player, pytest.raises(UserError, match="No Workshop server is set up"):
        player.ask(wish.Search(SearchQuery()))
