"""Installed files: made from blobs for the game, checked, taken away again.

A folder appears whole or not at all. What the player or the game put beside our files is theirs and stays.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import FormatError, StorageError, StorageFault
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats.archive import ArchiveEntry, iter_content
from icworkshop_gui.formats.skeleton import FileSegment
from icworkshop_gui.store.blobs import BlobStore
from icworkshop_gui.store.clone import EVERY_WAY, FileMaker, How
from icworkshop_gui.store.disk import require_space, storage_error
from icworkshop_gui.store.durable import disk_errors, remove_tree, sync_files, sync_folder
from icworkshop_gui.store.hashing import Cancel, Cancelled, Progress, hash_file, never, no_progress
from icworkshop_gui.store.package_files import OpenPackage, make_file, segment_of, segments_of
from icworkshop_gui.store.packages import Packages
from icworkshop_gui.store.safe_open import open_below, remove_below
from icworkshop_gui.store.strays import move_along

log = logging.getLogger("icw.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """What a verification found."""

    files: int
    """Of the package."""
    bad: tuple[str, ...] = ()
    """Paths whose bytes are missing or wrong, in the store or in the installed folder."""
    lost: tuple[BlobId, ...] = ()
    """Blobs that must be downloaded again. Where there are none, another `install` mends what is bad."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An installation whose files wait beside their place."""

    ref: PackageRef
    target: Path
    maker: FileMaker
    ours: set[tuple[str, ...]]
    """Paths in the place that are ours to replace."""


class Installs:
    """Thread-safe; one installation at a time. Methods raise StorageError, and NotFound for unknown packages."""

    def __init__(self, packages: Packages, blobs: BlobStore, wall: Callable[[], float]) -> None:
        self._packages = packages
        self._blobs = blobs
        self._wall = wall
        self._lock = threading.Lock()

    def install(
        self,
        ref: PackageRef,
        target: Path,
        *,
        ways: tuple[How, ...] = EVERY_WAY,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> How:
        """Make `target` hold the files of the package; the costliest way that had to be taken.

        `progress` is told the bytes done. Repeat it to mend damaged files. FormatError when the package is none;
        Cancelled leaves what was there before.
        """
        with self._lock:
            prepared = self._prepare(ref, target, ways, progress, cancel)
            return self._put(prepared)

    def prepare(
        self, ref: PackageRef, target: Path, *, ways: tuple[How, ...], progress: Progress, cancel: Cancel
    ) -> Prepared:
        """The first half of `install`: its files wait beside `target`, and what is there stays as it is."""
        with self._lock:
            return self._prepare(ref, target, ways, progress, cancel)

    def put(self, prepared: Prepared) -> How:
        """The second half: into its place."""
        with self._lock:
            return self._put(prepared)

    def unprepare(self, ref: PackageRef, target: Path) -> None:
        """Take away what `prepare` made, as far as it came."""
        with self._lock:
            with disk_errors():
                remove_tree(beside(target, "new"))
            record = self._packages.get(ref)
            if record.folder == str(target) and not record.is_installed and not os.path.lexists(target):
                self._packages.update(ref, folder="")

    def _prepare(
        self, ref: PackageRef, target: Path, ways: tuple[How, ...], progress: Progress, cancel: Cancel
    ) -> Prepared:
        target = Path(os.path.abspath(target))
        record = self._packages.get(ref)
        if record.folder != str(target):
            # Remembered before the first file is made, so that nothing is ever left behind unknown.
            self._packages.update(ref, folder=str(target), how="")
        with disk_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            outdated = self._release_folder(ref, target)
            _recover(target, outdated)
        fresh = beside(target, "new")
        try:
            with disk_errors():
                fresh.mkdir()
            maker, paths = self._fill(ref, fresh, ways, progress, cancel)
        except BaseException:
            with disk_errors():
                remove_tree(fresh)
            raise
        return Prepared(ref, target, maker, paths | outdated)

    def _put(self, prepared: Prepared) -> How:
        fresh = beside(prepared.target, "new")
        # A crash between here and the end leaves a package whose files are to be put in order again.
        self._packages.update(prepared.ref, how="")
        try:
            with disk_errors():
                _swap(fresh, prepared.target, prepared.ours)
        except BaseException:
            with disk_errors():
                remove_tree(fresh)
            raise
        how, why = prepared.maker.costliest, prepared.maker.why
        self._packages.update(
            prepared.ref,
            how=how.value,
            why_copied="" if why is None else why.value,
            copied=prepared.maker.copied,
            installed_at=self._wall(),
            removed_at=None,
        )
        return how

    def _release_folder(self, ref: PackageRef, target: Path) -> set[tuple[str, ...]]:
        """Every path in the folder that some release of ours made; other releases own it no more."""
        outdated: set[tuple[str, ...]] = set()
        is_there = os.path.lexists(target) or os.path.lexists(beside(target, "old"))
        for record in self._packages.in_folder(target):
            if is_there:
                outdated |= self._paths(record.ref)
            if record.ref != ref:
                self._packages.update(record.ref, folder="", how="")
        return outdated

    def _fill(
        self, ref: PackageRef, fresh: Path, ways: tuple[How, ...], progress: Progress, cancel: Cancel
    ) -> tuple[FileMaker, set[tuple[str, ...]]]:
        maker = FileMaker(ways)
        paths: set[tuple[str, ...]] = set()
        folders = {str(fresh)}
        unpacked: list[Path] = []
        done = 0
        with self._opened(ref) as (file, skeleton, entries):
            segments = segments_of(skeleton)
            self._blobs.recall(segment.sha256 for segment in segments.values())
            require_space(fresh, sum(entry.size for entry in entries if segment_of(entry, segments) is None))
            for entry in entries:
                if cancel():
                    raise Cancelled
                path = tuple(entry.path.split("/"))
                target = os.path.join(fresh, *path)
                folder = os.path.dirname(target)
                with disk_errors():
                    if folder not in folders:
                        os.makedirs(folder, exist_ok=True)
                        folders.add(folder)
                if make_file(self._blobs, maker, file, entry, segment_of(entry, segments), target, cancel):
                    unpacked.append(Path(target))
                paths.add(path)
                done += entry.size
                progress(done)
        with disk_errors():
            sync_files(unpacked)
        return maker, paths

    def remove(self, ref: PackageRef) -> None:
        """Out of the library and out of the game's folder; its blobs stay for `undo_remove`, until `purge`."""
        with self._lock:
            record = self._packages.get(ref)
            if record.removed_at is None:
                # Its files go: who fetches it anew must not take it for installed.
                record = self._packages.update(ref, removed_at=self._wall(), how="")
            self._remove_files(ref, record.folder)

    def undo_remove(self, ref: PackageRef) -> None:
        """Back again, with its files where they were."""
        record = self._packages.update(ref, removed_at=None)
        if record.folder:
            self.install(ref, Path(record.folder))

    def purge(self, ref: PackageRef) -> None:
        """Take it out for good; the sweep frees the blobs that nothing else needs."""
        with self._lock:
            self._remove_files(ref, self._packages.get(ref).folder)
            self._packages.forget(ref)

    def _remove_files(self, ref: PackageRef, folder: str) -> None:
        if not folder:
            return
        target = Path(folder)
        with disk_errors():
            paths = self._paths(ref)
            _recover(target, paths)
            for path in paths:
                remove_below(target, path)
            try:
                os.rmdir(target)
            except OSError:
                log.info("event=folder-kept reason=foreign-files")

    def _paths(self, ref: PackageRef) -> set[tuple[str, ...]]:
        """Every path that an installation makes, as far as that can still be told when blobs are gone."""
        try:
            with self._opened(ref) as (_, _, entries):
                return {tuple(entry.path.split("/")) for entry in entries}
        except (StorageError, FormatError):
            files = self._packages.skeleton(ref).files
            return {tuple(file.path.split("/")) for file in files if file.path} | {("manifest.yaml",)}

    def verify(self, ref: PackageRef, *, progress: Progress = no_progress, cancel: Cancel = never) -> PackageCheck:
        """Hash every blob of the package and every installed file. A bad blob goes to quarantine. Cancelled."""
        record = self._packages.get(ref)
        skeleton = self._packages.skeleton(ref)
        bad: set[str] = set()
        lost: dict[BlobId, None] = {}
        done = 0
        seen: dict[BlobId, bool] = {}
        for file in skeleton.files:
            if file.sha256 not in seen:
                seen[file.sha256] = self._blobs.verify(file.sha256, progress=_shifted(progress, done), cancel=cancel)
            done += file.size
            progress(done)
            if not seen[file.sha256]:
                bad.add(file.path or ref.file_name)
                lost[file.sha256] = None
        if lost:
            self._packages.update(ref, damaged=True)
            return PackageCheck(files=len(skeleton.files), bad=tuple(sorted(bad)), lost=tuple(lost))
        with self._opened(ref) as (package, _, entries):
            if record.is_installed and record.removed_at is None:
                segments = segments_of(skeleton)
                for entry in entries:
                    if cancel():
                        raise Cancelled
                    if not self._is_right(Path(record.folder), entry, segment_of(entry, segments), package):
                        bad.add(entry.path)
            return PackageCheck(files=len(entries), bad=tuple(sorted(bad)))

    def _is_right(self, folder: Path, entry: ArchiveEntry, segment: FileSegment | None, package: BinaryIO) -> bool:
        path = tuple(entry.path.split("/"))
        try:
            fd = open_below(folder, path, write=False)
        except OSError as error:
            if storage_error(error).fault in (StorageFault.GONE, StorageFault.DENIED):
                return False
            raise storage_error(error) from error
        with disk_errors(), open(fd, "rb", buffering=0) as file:
            stat = os.fstat(fd)
            if stat.st_size != entry.size:
                return False
            if segment is not None:
                blob = os.stat(self._blobs.path(segment.sha256))
                if (stat.st_dev, stat.st_ino) == (blob.st_dev, blob.st_ino):
                    return True
                return hash_file(folder.joinpath(*path))[0] == segment.sha256
            wanted = hashlib.sha256()
            for chunk in iter_content(package, entry):
                wanted.update(chunk)
            return hashlib.file_digest(file, "sha256").digest() == wanted.digest()

    def _opened(self, ref: PackageRef) -> OpenPackage:
        return OpenPackage(self._packages, ref)


def _shifted(progress: Progress, start: int) -> Progress:
    return lambda done: progress(start + done)


def beside(target: Path, word: str) -> Path:
    """Where a folder waits that is to be `target`, or was."""
    return target.with_name(f".{target.name}.icw-{word}")


def _swap(fresh: Path, target: Path, ours: set[tuple[str, ...]]) -> None:
    """Put `fresh` in the place of `target`; files of the old folder that are not ours move along."""
    old = beside(target, "old")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise FileExistsError(f"{target} is not a folder")
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    sync_folder(target.parent)
    _move_along(old, target, ours)


def _move_along(old: Path, target: Path, ours: set[tuple[str, ...]]) -> None:
    """Move what is not ours from the old folder into the new one, and delete the rest."""
    if old.is_dir():
        move_along(old, target, ours)
        remove_tree(old)


def _recover(target: Path, ours: set[tuple[str, ...]]) -> None:
    """Undo or complete a swap that a crash interrupted."""
    old = beside(target, "old")
    if old.is_dir() and not old.is_symlink():
        if os.path.lexists(target):
            _move_along(old, target, ours)
        else:
            os.replace(old, target)
    remove_tree(beside(target, "new"))
