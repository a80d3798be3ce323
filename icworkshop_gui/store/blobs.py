"""The content-addressed store: `blobs/<2 hex>/<64 hex>`, each file read-only and named by its SHA-256.

Invariant: no byte of a blob is given out unless the whole blob had the right SHA-256 when its size, modification
time and inode were what they are now. Thread-safe. Several packages share a blob; the sweep removes what none needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from icworkshop_gui.core.errors import IntegrityError, StorageError, StorageFault
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.store.disk import storage_error
from icworkshop_gui.store.durable import disk_errors, remove_read_only, sync_files, sync_folder, write_file
from icworkshop_gui.store.hashing import Cancel, Progress, Stamp, hash_file, never, no_progress
from icworkshop_gui.store.index import Index
from icworkshop_gui.store.open_files import OpenFile, OpenFiles, read_at

log = logging.getLogger("icw.store")

BLOB_MODE = 0o444
_READ = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_BINARY", "O_NOFOLLOW", "O_NOINHERIT", "O_NONBLOCK"))
_NAME = re.compile(r"[0-9a-f]{64}")

OnDamage = Callable[[BlobId], None]
"""Told when a blob was found damaged and moved to quarantine; from any thread."""


class Staged(NamedTuple):
    """A finished file that shall become a blob."""

    path: Path
    blob: BlobId
    hashed_as: Stamp | None = None
    """The caller has hashed it as `blob` while it had this stamp: it is read again only if that has changed."""


def ignore_damage(blob: BlobId) -> None:
    """Nobody wants to know; the log has it."""


class BlobStore:
    """Files by SHA-256."""

    def __init__(
        self, root: Path, quarantine: Path, index: Index, files: OpenFiles, *, on_damage: OnDamage = ignore_damage
    ) -> None:
        self._root = root
        self._prefix = os.path.join(root, "")
        self._quarantine = quarantine
        self._index = index
        self._files = files
        self._on_damage = on_damage
        self._stamps: dict[BlobId, Stamp] = {}
        self._verifying = threading.Lock()

    def path(self, blob: BlobId) -> Path:
        """Where it is or would be."""
        return Path(self._name(blob))

    def _name(self, blob: BlobId) -> str:
        # Asked thousands of times for one package, where making Paths is most of the work.
        name = blob.hex()
        return f"{self._prefix}{name[:2]}{os.sep}{name}"

    def has(self, blob: BlobId) -> bool:
        """Is it here, and is it what its name says? Reads the whole file where that is not known. StorageError."""
        return self.size(blob) is not None

    def size(self, blob: BlobId) -> int | None:
        """Bytes, under the conditions of `has`; None when it is not here."""
        try:
            stamp = Stamp.of(os.stat(self._name(blob), follow_symlinks=False))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error) from error
        if stamp == self._known_stamp(blob) or self.verify(blob, again=False):
            return stamp.size
        return None

    def recall(self, blobs: Iterable[BlobId]) -> None:
        """These will be asked for one by one: learn in one question what is known of them."""
        self._stamps.update(self._index.stamps([blob for blob in blobs if blob not in self._stamps]))

    def known(self, blobs: Iterable[BlobId]) -> set[BlobId]:
        """Those that should be here. For an estimate: reads none of them, so that one may turn out to be damaged."""
        asked = list(blobs)
        self.recall(asked)
        return {blob for blob in asked if blob in self._stamps}

    def open(self, blob: BlobId) -> BinaryIO:
        """For reading, after the check of `has`. StorageError(GONE, CHANGED). Use `read` for bytes to be served."""
        file = self._open_checked(blob)
        return open(file.fd, "rb", buffering=0)

    def read(self, blob: BlobId, offset: int, length: int) -> bytes:
        """Exactly these bytes. StorageError: GONE when there are none, CHANGED when the blob was damaged."""
        # The second try comes after a re-verification; a file that changes all the time is not served.
        for _ in range(2):
            file = self._files.acquire(("blob", blob), lambda: self._open_checked(blob))
            try:
                data = read_at(file, length, offset)
                # Asked after the read: what was written before it has moved the time by now.
                steady = Stamp.of(os.fstat(file.fd)) == file.stamp
            except OSError as error:
                raise storage_error(error) from error
            finally:
                self._files.release(file)
            if steady:
                if len(data) != length:
                    raise StorageError(StorageFault.GONE, str(self.path(blob)), "past the end")
                return data
            self.forget_open(blob)
            self._stamps.pop(blob, None)
        raise StorageError(StorageFault.CHANGED, str(self.path(blob)))

    def _open_checked(self, blob: BlobId) -> OpenFile:
        known = self._known_stamp(blob)
        if known is not None:
            with contextlib.suppress(OSError):  # what is amiss, the slow way says
                fd = os.open(self._name(blob), _READ)
                if Stamp.of(os.fstat(fd)) == known:
                    return OpenFile(fd, known)
                os.close(fd)
        stamp = self._require(blob)
        with disk_errors():
            fd = os.open(self._name(blob), _READ)
        return OpenFile(fd, stamp)

    def _require(self, blob: BlobId) -> Stamp:
        existed = os.path.lexists(self.path(blob))
        if not self.has(blob):
            fault = StorageFault.CHANGED if existed else StorageFault.GONE
            raise StorageError(fault, str(self.path(blob)))
        stamp = self._known_stamp(blob)
        if stamp is None:
            raise StorageError(StorageFault.CHANGED, str(self.path(blob)))
        return stamp

    def _known_stamp(self, blob: BlobId) -> Stamp | None:
        stamp = self._stamps.get(blob)
        if stamp is None:
            stamp = self._index.stamp(blob)
            if stamp is not None:
                self._stamps[blob] = stamp
        return stamp

    def _remember(self, blob: BlobId, stamp: Stamp) -> None:
        self._index.put_blobs([(blob, stamp)])
        self._stamps[blob] = stamp

    def publish(self, staged: Path, blob: BlobId) -> bool:
        """Make a finished file a blob; False when the store had it and the staged one was dropped.

        Atomic, and harmless to repeat. IntegrityError when the bytes are not what `blob` says (the file stays where
        it is); StorageError.
        """
        return self.publish_all([Staged(staged, blob)]) == 1

    def publish_all(self, items: Iterable[Staged], *, synced: bool = False) -> int:
        """As `publish`, for many with few flushes; how many the store did not have.

        `synced`: their content has been flushed already.
        """
        fresh: list[tuple[BlobId, Stamp]] = []
        checked: list[Staged] = []
        for item in items:
            if self.has(item.blob):
                with disk_errors():
                    item.path.unlink(missing_ok=True)
                continue
            with disk_errors():
                stamp = Stamp.of(os.stat(item.path, follow_symlinks=False))
                if item.hashed_as is None or stamp != item.hashed_as:
                    found, stamp = hash_file(item.path)
                    if found != item.blob:
                        raise IntegrityError(f"file {item.blob} has other bytes than its name says")
            checked.append(item._replace(hashed_as=stamp))
        folders: set[Path] = set()
        with disk_errors():
            if not synced:
                sync_files([item.path for item in checked])
            for item in checked:
                assert item.hashed_as is not None
                os.chmod(item.path, BLOB_MODE)
                folders.add(self._move_in(item.path, item.blob))
                fresh.append((item.blob, item.hashed_as))
            for folder in folders:
                sync_folder(folder)
        self._index.put_blobs(fresh)
        self._stamps.update(fresh)
        return len(fresh)

    def put_bytes(self, data: bytes) -> BlobId:
        """Store a small file at once; its name. StorageError."""
        blob = BlobId(hashlib.sha256(data).digest())
        if not self.has(blob):
            temporary = self._root / f".{blob.hex()}-{os.getpid()}-{threading.get_ident():x}.new"
            with disk_errors():
                write_file(temporary, data)
                os.chmod(temporary, BLOB_MODE)
                stamp = Stamp.of(os.stat(temporary))
                sync_folder(self._move_in(temporary, blob))
            self._remember(blob, stamp)
        return blob

    def _move_in(self, source: Path, blob: BlobId) -> Path:
        """Give a finished file its name; the folder to flush. OSError."""
        target = self.path(blob)
        try:
            target.parent.mkdir()
            sync_folder(self._root)
        except FileExistsError:
            pass
        os.replace(source, target)
        return target.parent

    def verify(
        self, blob: BlobId, *, again: bool = True, progress: Progress = no_progress, cancel: Cancel = never
    ) -> bool:
        """Read and hash it. A bad one goes to quarantine and is reported; False then, and when it is not here.

        With `again` False, one that another thread has just found good is not read a second time.
        """
        path = self.path(blob)
        with self._verifying:
            try:
                if not again and Stamp.of(os.stat(path, follow_symlinks=False)) == self._known_stamp(blob):
                    return True
                if path.is_symlink():
                    found, stamp = None, None
                else:
                    found, stamp = hash_file(path, progress=progress, cancel=cancel)
            except FileNotFoundError:
                self._forget(blob)
                return False
            except OSError as error:
                raise storage_error(error) from error
            if found == blob and stamp is not None:
                self._remember(blob, stamp)
                return True
            self._set_aside(blob)
        self._on_damage(blob)
        return False

    def _set_aside(self, blob: BlobId) -> None:
        log.warning("event=blob-damaged blob=%s", blob)
        self._forget(blob)
        with disk_errors():
            os.replace(self.path(blob), self._quarantine / f"{blob.hex()}.{time.time_ns():x}")

    def _forget(self, blob: BlobId) -> None:
        self._stamps.pop(blob, None)
        self._index.delete_blob(blob)
        self.forget_open(blob)

    def forget_open(self, blob: BlobId) -> None:
        """Close what is kept open of it."""
        self._files.forget(lambda key: key == ("blob", blob))

    def remove(self, blob: BlobId) -> int:
        """Delete it; the bytes freed, 0 when it was not here. For the sweep alone. StorageError."""
        path = self.path(blob)
        self._forget(blob)
        try:
            stat = os.stat(path, follow_symlinks=False)
            remove_read_only(path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise storage_error(error) from error
        # A file that a game's folder still links to keeps its bytes on the disk.
        return stat.st_size if stat.st_nlink == 1 else 0

    def entries(self) -> Iterator[tuple[BlobId, os.stat_result]]:
        """Every file that is named like a blob, whatever it holds. StorageError."""
        with disk_errors():
            folders = [entry.path for entry in os.scandir(self._root) if re.fullmatch(r"[0-9a-f]{2}", entry.name)]
        for folder in folders:
            with disk_errors():
                files = list(os.scandir(folder))
            for file in files:
                if not _NAME.fullmatch(file.name):
                    continue
                try:
                    stat = file.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield BlobId.from_hex(file.name), stat

    def total_size(self) -> int:
        """Bytes of all blobs. StorageError."""
        return sum(stat.st_size for _, stat in self.entries())
