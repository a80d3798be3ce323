"""The folder that shows the game one set of packages as one tree, and the rename that puts another set in its place.

The new tree is made beside the old one, complete and flushed, with a note of what it is inside it. Where the system can
exchange two names (Linux, renameat2) there is no moment without a tree; elsewhere two renames leave a moment in which a
crash is undone at the next start. Either the old set is there or the new one, never a mixture. What the player put into
the folder moves along; a folder of that name that is not ours is kept beside it.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import StorageError
from icworkshop_gui.formats.namespace import Namespace
from icworkshop_gui.store.blobs import BlobStore
from icworkshop_gui.store.clone import EVERY_WAY, FileMaker, How
from icworkshop_gui.store.disk import require_space
from icworkshop_gui.store.durable import disk_errors, remove_tree, replace_file, sync_files, sync_folder
from icworkshop_gui.store.hashing import Cancel, Cancelled, Progress, never, no_progress
from icworkshop_gui.store.package_files import OpenPackage, make_file, segment_of, segments_of
from icworkshop_gui.store.packages import Packages
from icworkshop_gui.store.safe_open import remove_below
from icworkshop_gui.store.strays import move_along

log = logging.getLogger("icw.store")

NOTE: Final = ".icw-set.json"
"""In the folder: which set this is."""

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
"""linux/fs.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSet:
    """What lies in the folder."""

    name: str
    """Of the profile."""
    gameplay: str
    """Fingerprints, hex."""
    presentation: str
    sources: tuple[PackageRef, ...] = ()
    """In load order."""


class ActiveFolder:
    """One for the store. Thread-safe; one activation at a time. Methods raise StorageError."""

    def __init__(self, folder: Path, packages: Packages, blobs: BlobStore) -> None:
        self.path = folder
        self._packages = packages
        self._blobs = blobs
        self._lock = threading.Lock()
        with disk_errors():
            self._recover()

    def read(self) -> ActiveSet | None:
        """What is there; None when nothing is, or nobody knows what."""
        try:
            note = json.loads((self.path / NOTE).read_bytes())
            return ActiveSet(
                name=str(note["name"]),
                gameplay=str(note["gameplay"]),
                presentation=str(note["presentation"]),
                sources=tuple(PackageRef.parse(str(text)) for text in note["sources"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("event=active-set-unreadable: %s", error)
            return None

    def activate(
        self,
        wanted: ActiveSet,
        namespace: Namespace,
        *,
        ways: tuple[How, ...] = EVERY_WAY,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> None:
        """Show this set from now on. `progress` is told the bytes done. On any failure, and after Cancelled, the set
        that was there is there."""
        with self._lock:
            fresh = self._beside("new")
            with disk_errors():
                self._recover()
                self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with disk_errors():
                    fresh.mkdir()
                self._fill(fresh, namespace, FileMaker(ways), progress, cancel)
                note = {
                    "name": wanted.name,
                    "gameplay": wanted.gameplay,
                    "presentation": wanted.presentation,
                    "sources": [str(ref) for ref in wanted.sources],
                    "files": [entry.file.path for entry in namespace.entries],
                }
                with disk_errors():
                    replace_file(fresh / NOTE, json.dumps(note, indent=1).encode())
                    sync_folder(fresh)
            except BaseException:
                with disk_errors():
                    remove_tree(fresh)
                raise
            with disk_errors():
                try:
                    self._swap(fresh)
                except BaseException:
                    self._recover()
                    raise

    def _fill(self, fresh: Path, namespace: Namespace, maker: FileMaker, progress: Progress, cancel: Cancel) -> None:
        by_source: defaultdict[PackageRef, set[str]] = defaultdict(set)
        for one in namespace.entries:
            by_source[one.source].add(one.file.path)
        folders = {str(fresh)}
        unpacked: list[Path] = []
        done = 0
        for ref, files in by_source.items():
            with OpenPackage(self._packages, ref) as (package, skeleton, entries):
                segments = segments_of(skeleton)
                self._blobs.recall(segment.sha256 for segment in segments.values())
                mine = [entry for entry in entries if entry.path in files]
                require_space(fresh, sum(entry.size for entry in mine if segment_of(entry, segments) is None))
                for entry in mine:
                    if cancel():
                        raise Cancelled
                    target = os.path.join(fresh, *entry.path.split("/"))
                    folder = os.path.dirname(target)
                    if folder not in folders:
                        with disk_errors():
                            os.makedirs(folder, exist_ok=True)
                        folders.add(folder)
                    if make_file(self._blobs, maker, package, entry, segment_of(entry, segments), target, cancel):
                        unpacked.append(Path(target))
                    done += entry.size
                    progress(done)
        with disk_errors():
            sync_files(unpacked)

    def _beside(self, word: str) -> Path:
        return self.path.with_name(f".{self.path.name}.icw-{word}")

    def _swap(self, fresh: Path) -> None:
        old = self._beside("old")
        if not os.path.lexists(self.path):
            os.replace(fresh, self.path)
        elif exchange(fresh, self.path):
            os.replace(fresh, old)
        else:
            os.replace(self.path, old)
            os.replace(fresh, self.path)
        sync_folder(self.path.parent)
        self._put_away(old)

    def _recover(self) -> None:
        """Undo or complete a swap that a crash interrupted."""
        old = self._beside("old")
        if os.path.lexists(old) and not os.path.lexists(self.path):
            os.replace(old, self.path)
        self._put_away(old)
        fresh = self._beside("new")
        if (fresh / NOTE).is_file():
            # Complete: it was never put in its place, or it is the old one and was just taken out of it.
            self._put_away(fresh)
        for name in (fresh, self._beside("gone")):
            remove_tree(name)

    def _put_away(self, old: Path) -> None:
        """Take a set away. What is not ours in it moves into the new one, or stays beside it where that cannot be."""
        if not os.path.lexists(old):
            return
        ours = _files_of(old)
        if ours is None or move_along(old, self.path, ours):
            if ours is not None:
                for path in ours:
                    remove_below(old, path)
            kept = self._free_name()
            os.replace(old, kept)
            sync_folder(self.path.parent)
            log.warning("event=players-files-kept path=%s", kept)
            return
        # Nothing of it is wanted any more, and a name says so: half removed it has no note to tell.
        gone = self._beside("gone")
        remove_tree(gone)
        os.replace(old, gone)
        try:
            remove_tree(gone)
        except (OSError, StorageError) as error:
            # A program that has a file of it open (Windows): the next activation or start takes it away.
            log.info("event=old-set-kept: %s", error)

    def _free_name(self) -> Path:
        number = 1
        while os.path.lexists(name := self.path.with_name(f"{self.path.name}-kept-{number}")):
            number += 1
        return name


def _files_of(folder: Path) -> frozenset[tuple[str, ...]] | None:
    """What we made in this folder, by its note; None when it has none, so that nothing of it is known to be ours."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        return frozenset([(NOTE,), *(tuple(str(path).split("/")) for path in note["files"])])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the file system cannot. OSError for real failures."""
    if sys.platform != "linux":
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
