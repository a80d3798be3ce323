"""Mark and sweep: deletes blobs that no package and no download needs. Safe beside running downloads and installs.

Whoever begins to rely on a blob says so in a `needs` file while holding the gate, and the sweep holds it too;
what was published a moment ago is left alone, in case its package is just being registered.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.store.disk import storage_error
from icworkshop_gui.store.durable import disk_errors, remove_tree
from icworkshop_gui.store.staging import discard_folder, needs_of

if TYPE_CHECKING:
    from icworkshop_gui.store.store import Store

log = logging.getLogger("icw.store")

GRACE = 3600.0
"""Seconds that a blob or a staging folder without an owner stays after it was last touched."""
UNDO_WINDOW = 60.0
"""Seconds in which a removal can be undone."""
QUARANTINE_KEEP = 7 * 24 * 3600.0
"""Seconds that a damaged blob is kept for whoever wants to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What went."""

    blobs: int = 0
    freed: int = 0
    """Bytes of those blobs that no installed file shares any more."""
    packages: int = 0
    """Removed packages whose undo window was over."""
    downloads: int = 0
    """Staging folders of transfers that are no more."""


def sweep(store: Store, now: float, *, grace: float = GRACE, undo_window: float = UNDO_WINDOW) -> SweepReport:
    """`now` is wall-clock seconds. StorageError; what was deleted by then stays deleted, and nothing else is harmed."""
    packages = 0
    for record in store.packages.removed():
        if record.removed_at is not None and record.removed_at + undo_window <= now:
            store.installs.purge(record.ref)
            packages += 1
    with store.gate:
        downloads = _orphans(store, now - grace)
        blobs, freed = _unneeded(store, _needed(store), now - grace)
    _litter(store.paths.quarantine, now - QUARANTINE_KEEP, prefix="")
    for root in (store.paths.blobs, store.paths.packages):
        # What is just being written has no owner yet, whatever the caller's grace.
        _litter(root, now - max(grace, GRACE), prefix=".")
    return SweepReport(blobs=blobs, freed=freed, packages=packages, downloads=downloads)


def leftovers(store: Store, now: float, *, grace: float = GRACE) -> int:
    """Bytes of blobs that a sweep would delete now: nothing needs them."""
    with store.gate:
        needed = _needed(store)
        return sum(
            stat.st_size for blob, stat in store.blobs.entries() if blob not in needed and _touched(stat) <= now - grace
        )


def free(store: Store, blobs: Iterable[BlobId]) -> int:
    """Delete those of `blobs` that nothing needs, without grace: for a package that was just purged. Bytes freed."""
    with store.gate:
        return sum(store.blobs.remove(blob) for blob in set(blobs) - _needed(store))


def _needed(store: Store) -> set[BlobId]:
    """What packages and downloads rely on. Only meaningful under the gate."""
    needed = store.index.needed_blobs()
    for folder in _folders(store.paths.staging):
        needed |= needs_of(folder)
    return needed


def _touched(stat: os.stat_result) -> float:
    # On POSIX ctime is the later of content, name and link changes; on Windows it is the birth.
    return max(stat.st_mtime, stat.st_ctime)


def _folders(root: Path) -> list[Path]:
    with disk_errors():
        return [Path(entry.path) for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]


def _orphans(store: Store, before: float) -> int:
    """Delete what transfers that are gone have staged."""
    known = store.transfers.ids()
    count = 0
    for folder in _folders(store.paths.staging):
        try:
            touched = max([_touched(folder.stat()), *(_touched(entry.stat()) for entry in list(os.scandir(folder)))])
        except FileNotFoundError:
            continue  # its transfer is putting it away just now
        except OSError as error:
            raise storage_error(error) from error
        if folder.name not in known and touched <= before:
            discard_folder(folder)
            count += 1
    return count


def _unneeded(store: Store, needed: set[BlobId], before: float) -> tuple[int, int]:
    count = freed = 0
    for blob, stat in store.blobs.entries():
        if blob not in needed and _touched(stat) <= before:
            freed += store.blobs.remove(blob)
            count += 1
    return count, freed


def _litter(root: Path, before: float, *, prefix: str) -> None:
    """Delete old left-overs of interrupted writes, but nothing that was set aside for the user to see."""
    with disk_errors():
        for entry in list(os.scandir(root)):
            if entry.name.startswith(prefix) and entry.name != ".aside":
                try:
                    touched = _touched(entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue
                if touched <= before:
                    remove_tree(Path(entry.path))
