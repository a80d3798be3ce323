"""A package from verified pieces to installed files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import FormatError, IntegrityError, StorageError, StorageFault
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.formats.skeleton import FileSegment, Literal, Skeleton
from icworkshop_gui.store import disk
from icworkshop_gui.store.clone import How
from icworkshop_gui.store.hashing import Cancelled
from icworkshop_gui.store.layout import whole_pieces
from icworkshop_gui.store.layout_storage import LayoutContradicted
from icworkshop_gui.store.verifier import recheck
from tests.helpers.builders import content
from tests.store.samples import FILES, T1, disk_bytes, open_store, sample, tree


def test_what_was_downloaded_is_seeded_and_installed(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    seen: list[int] = []
    download = package.download(store)
    assert download.reused == 0
    package.write(download, reversed(range(package.metainfo.piece_count)))
    record = download.finish(facts={"title": "Tank sounds"}, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(package.data)
    assert record.facts == {"title": "Tank sounds"}
    assert store.packages.list() == (record,)
    assert store.packages.torrent(package.ref) == package.torrent
    assert b"alice" in store.packages.manifest(package.ref)
    assert not download.folder.exists()
    # The swarm's old storage still reads, and so does the package's own.
    for storage in (download.storage, store.packages.seed_storage(package.ref)):
        assert storage.read(0, len(package.data)) == package.data
    how = store.installs.install(package.ref, tmp_path / "mods" / "tank")
    installed = tree(tmp_path / "mods" / "tank")
    assert installed.pop("manifest.yaml") == store.packages.manifest(package.ref)
    assert installed == package.files
    assert how in How
    assert store.packages.get(package.ref).is_installed


def test_a_package_is_on_the_disk_once(tmp_path: Path) -> None:
    files = {f"maps/{n}.bin": content(1_500_000 + n, n) for n in range(6)} | {"big.bin": content(9_000_000, "big")}
    store, package = open_store(tmp_path), sample(files, piece_length=262144)
    download = package.download(store)
    package.write(download)
    during = disk_bytes(tmp_path)
    download.finish()
    assert store.installs.install(package.ref, tmp_path / "mods" / "tank", ways=(How.LINK,)) is How.LINK
    store.close()
    assert during <= 1.05 * len(package.data)
    assert disk_bytes(tmp_path) <= 1.05 * len(package.data)


def test_what_the_store_has_is_not_downloaded_again(tmp_path: Path) -> None:
    store, old = open_store(tmp_path), sample()
    old.fetch(store)
    new = sample({**FILES, "assets/fire.ogg": content(70_000, "louder")}, "alice/tank-sounds@1.3.0", piece_length=16384)
    download = new.download(store)
    assert download.reused == len(new.files["README.md"]) + 2 * 20_000
    available = whole_pieces(download.layout.known_ranges(), new.metainfo.geometry)
    have = recheck(download.storage, new.metainfo.geometry, new.metainfo.piece_matches, available)
    assert list(have) == available
    assert available
    new.write(download, have.missing())
    download.finish()
    assert store.packages.seed_storage(new.ref).read(0, len(new.data)) == new.data


def test_everything_is_here_already(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    package.fetch(store)
    download = package.download(store, TransferId("again"))
    geometry = package.metainfo.geometry
    assert whole_pieces(download.layout.known_ranges(), geometry) == list(range(geometry.piece_count))
    assert download.finish() == store.packages.get(package.ref)


def test_a_package_from_elsewhere_is_kept_whole_and_unpacked(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample(compressed=True)
    package.fetch(store)
    assert store.blobs.path(package.sha256).read_bytes() == package.data
    store.installs.install(package.ref, tmp_path / "mods" / "tank")
    installed = tree(tmp_path / "mods" / "tank")
    del installed["manifest.yaml"]
    assert installed == package.files
    assert store.installs.verify(package.ref).bad == ()


# the journal


def test_pieces_whose_bytes_are_gone_are_forgotten(tmp_path: Path) -> None:
    """A blob that was reused is damaged while the program is not running."""
    store, old = open_store(tmp_path), sample()
    old.fetch(store)
    new = sample({**FILES, "extra": b"x" * 50_000}, "alice/tank-sounds@1.3.0", piece_length=16384)
    download = new.download(store)
    journal, have, suspect = download.open_journal()
    assert (have.count, suspect) == (0, [])
    available = whole_pieces(download.layout.known_ranges(), new.metainfo.geometry)
    journal.record(available)
    journal.close()
    fire = next(file for file in new.skeleton.files if file.path.endswith("fire.ogg"))
    os.unlink(store.blobs.path(fire.sha256))
    again = new.download(store)
    journal, have, suspect = again.open_journal()
    offset = next(at for at, segment in new.skeleton.with_offsets() if segment == fire)
    touched = set(new.metainfo.geometry.pieces_of(offset, fire.size))
    assert set(have) == set(available) - touched
    assert set(available) & touched
    journal.close()
    # For good, even when the file is long enough again.
    new.write(again, [max(touched)])
    journal, have, suspect = new.download(store).open_journal()
    assert set(have) == set(available) - touched
    new.write(again, have.missing())
    again.finish()


# skeletons that lie


def test_a_literal_that_verified_bytes_contradict(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    segments = list(package.skeleton.segments)
    assert isinstance(segments[0], Literal)
    segments[0] = Literal(segments[0].data[:-1] + b"?")
    download = package.download(store, skeleton=Skeleton.of(segments))
    journal, have, _ = download.open_journal()
    with pytest.raises(LayoutContradicted):
        package.write(download, [0])
    assert tree(download.folder).keys() == {"needs"}
    package.write(download, [2])
    # The journal believes in one piece too many: a hole in front of what was written.
    for index in (1, 2):
        have.add(index)
    journal.record(have)
    kept = download.keep_whole(journal, have)
    assert list(kept) == [2]
    assert download.is_whole
    journal.close()
    # A restart with the same wrong skeleton knows better.
    again = package.download(store, skeleton=Skeleton.of(segments))
    assert again.is_whole
    journal, have, _ = again.open_journal()
    assert list(have) == [2]
    package.write(again, have.missing())
    again.finish()
    assert store.packages.seed_storage(package.ref).read(0, len(package.data)) == package.data
    store.installs.install(package.ref, tmp_path / "mods" / "tank")
    assert tree(tmp_path / "mods" / "tank").keys() == {*package.files, "manifest.yaml"}


def test_a_wrong_file_hash_is_found_before_anything_is_published(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    segments = [
        segment._replace(sha256=package.sha256)
        if isinstance(segment, FileSegment) and segment.path.endswith("fire.ogg")
        else segment
        for segment in package.skeleton.segments
    ]
    download = package.download(store, skeleton=Skeleton.of(segments))
    journal, _, _ = download.open_journal()
    package.write(download)
    journal.record(range(package.metainfo.piece_count))
    with pytest.raises(LayoutContradicted):
        download.finish()
    assert list(store.blobs.entries()) == []
    kept = download.keep_whole(journal, Bitfield(package.metainfo.piece_count, full=True))
    assert kept.is_full
    assert download.finish().sha256 == package.sha256
    assert next(store.blobs.entries())[0] == package.sha256


def test_two_files_that_are_said_to_be_one(tmp_path: Path) -> None:
    """The second write over the same staged blob spoils the first: found out by SHA-256, never served."""
    files = {"a.bin": content(40_000, "a"), "b.bin": content(40_000, "b")}
    store, package = open_store(tmp_path), sample(files)
    first = next(file for file in package.skeleton.files if file.path == "a.bin")
    segments = [
        segment._replace(sha256=first.sha256) if isinstance(segment, FileSegment) else segment
        for segment in package.skeleton.segments
    ]
    download = package.download(store, skeleton=Skeleton.of(segments))
    package.write(download)
    with pytest.raises(IntegrityError):
        download.finish()
    assert store.packages.list() == ()


@pytest.mark.parametrize("change", [-1, 1])
def test_a_skeleton_of_another_length(tmp_path: Path, change: int) -> None:
    store, package = open_store(tmp_path), sample()
    segments = [
        segment._replace(size=segment.size + change)
        if isinstance(segment, FileSegment) and segment.path.endswith("fire.ogg")
        else segment
        for segment in package.skeleton.segments
    ]
    with pytest.raises(IntegrityError):
        package.download(store, skeleton=Skeleton.of(segments))


def test_one_file_of_two_sizes(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    one = package.skeleton.files[-1]
    lie = Skeleton.of([one, one._replace(path="other", size=one.size - 1), Literal(bytes(len(package.data)))])
    with pytest.raises(IntegrityError, match="two sizes"):
        package.download(store, skeleton=lie)


def test_a_stored_blob_of_another_size(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    blob = store.blobs.put_bytes(b"ten bytes!")
    rest = len(package.data) - 9
    with pytest.raises(IntegrityError, match="wrong size"):
        package.download(store, skeleton=Skeleton.of([FileSegment("a", blob, 9), Literal(bytes(rest))]))


def test_a_stored_blob_that_is_not_there_in_the_package(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    fire = next(file for file in package.skeleton.files if file.path.endswith("fire.ogg"))
    other = store.blobs.put_bytes(content(fire.size, "other"))
    segments = [segment._replace(sha256=other) if segment == fire else segment for segment in package.skeleton.segments]
    download = package.download(store, skeleton=Skeleton.of(segments))
    with pytest.raises(LayoutContradicted):
        package.write(download)
    assert store.blobs.path(other).read_bytes() == content(fire.size, "other")


def test_the_wrong_package(tmp_path: Path) -> None:
    store, package, other = open_store(tmp_path), sample(), sample(ref="mallory/tank-sounds@1.2.0")
    download = package.download(store)
    download.sha256 = other.sha256
    package.write(download)
    with pytest.raises(IntegrityError, match="not the package"):
        download.finish()
    # Right bytes under another's name.
    download = other.download(store, TransferId("t2"))
    download.ref = package.ref
    other.write(download)
    with pytest.raises(IntegrityError, match="calls itself"):
        download.finish()
    assert store.packages.list() == ()


def test_bytes_that_are_no_package(tmp_path: Path) -> None:
    from dataclasses import replace

    from icworkshop_gui.formats.metainfo import Metainfo
    from tests.helpers.builders import torrent
    from tests.store.samples import blob_id

    store, data = open_store(tmp_path), content(50_000)
    made = torrent(data)
    skeleton = Skeleton.of([FileSegment("", blob_id(data), len(data))])
    package = replace(sample(), data=data, torrent=made, metainfo=Metainfo.parse(made), skeleton=skeleton)
    download = package.download(store)
    package.write(download)
    with pytest.raises(FormatError):
        download.finish()


# stopping and space


def test_cancelled_finish_goes_on_later(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    download = package.download(store)
    package.write(download)
    with pytest.raises(Cancelled):
        download.finish(cancel=lambda: True)
    assert store.packages.list() == ()
    assert download.finish().ref == package.ref


def test_missing_pieces_do_not_become_a_package(tmp_path: Path) -> None:
    store, package = open_store(tmp_path), sample()
    download = package.download(store)
    package.write(download, [0, 3])
    with pytest.raises((IntegrityError, StorageError)):
        download.finish()
    assert list(store.blobs.entries()) == []


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, package = open_store(tmp_path), sample()
    download = package.download(store)
    staged = download.layout.staged_size()
    monkeypatch.setattr(disk, "free_space", lambda path: disk.SPACE_RESERVE + staged - 1)
    with pytest.raises(StorageError) as caught:
        download.require_space()
    assert caught.value.fault is StorageFault.FULL
    # What is on the disk already is not asked for twice.
    package.write(download, [1])
    download.require_space()
    assert disk.free_space(Path("/no/such/folder")) > 0


def test_another_release_whose_folder_differs_in_case(tmp_path: Path) -> None:
    from icworkshop_gui.core.errors import Conflict

    store = open_store(tmp_path)
    sample(ref="alice/tank-sounds@1.0.0-RC").fetch(store)
    with pytest.raises(Conflict):
        sample(ref="alice/tank-sounds@1.0.0-rc").fetch(store, TransferId("t2"))
    assert [record.ref for record in store.packages.list()] == [PackageRef("alice", "tank-sounds", "1.0.0-RC")]


def test_other_content_under_a_name_that_is_here(tmp_path: Path) -> None:
    from icworkshop_gui.core.errors import Conflict

    store = open_store(tmp_path)
    sample().fetch(store)
    with pytest.raises(Conflict):
        sample({"other": b"content"}).fetch(store, T1)
