"""The local store of one data directory: constructs its parts and connects them, and contains no rule of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import StorageError
from icworkshop_gui.core.ids import BlobId, TransferId
from icworkshop_gui.store.active_set import ActiveFolder
from icworkshop_gui.store.blobs import BlobStore
from icworkshop_gui.store.disk import free_space
from icworkshop_gui.store.durable import Gate, disk_errors
from icworkshop_gui.store.index import Index
from icworkshop_gui.store.installs import Installs
from icworkshop_gui.store.layout import Layout
from icworkshop_gui.store.layout_storage import LayoutStorage
from icworkshop_gui.store.open_files import OPEN_FILES_MAX, OpenFiles
from icworkshop_gui.store.packages import Packages
from icworkshop_gui.store.paths import StorePaths
from icworkshop_gui.store.profiles import Profiles
from icworkshop_gui.store.staging import discard_folder
from icworkshop_gui.store.switch import SetSwitch
from icworkshop_gui.store.transfers import SetAside, TransferRecords

OnDamage = Callable[[BlobId, tuple[PackageRef, ...]], None]
"""A blob was found damaged and is in quarantine; these packages need it. Called from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUsage:
    """Bytes on the disk."""

    blobs: int
    staging: int
    quarantine: int
    free: int
    """Still to be had."""


def tell_nobody(blob: BlobId, refs: tuple[PackageRef, ...]) -> None:
    """The packages are marked as damaged anyway."""


class Store:
    """Open one per data directory and program; several programs may share a directory. Thread-safe."""

    def __init__(
        self,
        paths: StorePaths,
        *,
        wall: Callable[[], float] = time.time,
        on_damage: OnDamage = tell_nobody,
        open_files: int = OPEN_FILES_MAX,
    ) -> None:
        """StorageError when the folders cannot be made or read."""
        self.paths = paths
        with disk_errors():
            paths.create()
        self.gate = Gate(paths.gate)
        self.files = OpenFiles(open_files)
        self._on_damage = on_damage
        with self.gate:
            self.index = Index(paths.index)
        try:
            self.blobs = BlobStore(
                paths.blobs, paths.quarantine, self.index, self.files, on_damage=self._blob_was_damaged
            )
            self.transfers = TransferRecords(paths.transfers)
            self.packages = Packages(paths.packages, self.index, self.blobs, self.files, wall)
            self.installs = Installs(self.packages, self.blobs, wall)
            self.switch = SetSwitch(paths.switch, self.packages, self.installs, self.transfers)
            self.profiles = Profiles(paths.profiles)
            self.active = ActiveFolder(paths.active, self.packages, self.blobs)
            with self.gate:
                self.set_aside: list[SetAside] = self.packages.load()
        except BaseException:
            self.index.close()
            raise

    def _blob_was_damaged(self, blob: BlobId) -> None:
        try:
            refs = self.packages.mark_damaged(blob)
        except StorageError:
            # The disk that refuses this note has just given us a damaged blob: the news matter more.
            refs = self.packages.needing(blob)
        self._on_damage(blob, refs)

    def staging_folder(self, transfer: TransferId) -> Path:
        """Where a package download keeps its staged blobs. ValueError for an id that is no plain name."""
        return self.paths.staging / self.transfers.folder(transfer).name

    def storage(
        self, layout: Layout, *, staging: Path | None = None, root: Path | None = None, root_exists: bool = False
    ) -> LayoutStorage:
        """Storage over any layout, with this store's blobs and open files. For plain torrents give `root`."""
        return LayoutStorage(
            layout, blobs=self.blobs, staging=staging, root=root, files=self.files, root_exists=root_exists
        )

    def discard_transfer(self, transfer: TransferId) -> None:
        """Delete its record, journal and staged bytes. Harmless to repeat."""
        self.transfers.delete(transfer)
        discard_folder(self.staging_folder(transfer))

    def usage(self) -> StoreUsage:
        """Walks the folders: not for every second. StorageError."""
        return StoreUsage(
            blobs=self.blobs.total_size(),
            staging=_on_disk(self.paths.staging),
            quarantine=_on_disk(self.paths.quarantine),
            free=free_space(self.paths.root),
        )

    def close(self) -> None:
        """Close files and index. Storages of this store must not be used afterwards."""
        self.files.close()
        self.index.close()


def _on_disk(root: Path) -> int:
    """Bytes that the files below really take: staged ones are sparse."""
    total = 0
    with disk_errors():
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    stat = os.stat(os.path.join(folder, name), follow_symlinks=False)
                except FileNotFoundError:
                    continue
                total += stat.st_blocks * 512 if hasattr(stat, "st_blocks") else stat.st_size
    return total
