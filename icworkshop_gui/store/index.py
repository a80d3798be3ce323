"""The store's memory of what its folders hold: SQLite, and nothing in it that the folders could not tell again.

So a lost or corrupt database costs time, never content. Thread-safe: one connection behind one lock, short queries.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.store.hashing import Stamp

log = logging.getLogger("icw.store")

SCHEMA_VERSION = 2
_VARIABLES = 500
"""Of one statement; SQLite takes 999 at the least."""

_SCHEMA = """
CREATE TABLE blobs (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ino INTEGER NOT NULL,
    verified_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE packages (
    folder TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE package_files (
    folder TEXT NOT NULL REFERENCES packages ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    blob BLOB NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (folder, position)
) WITHOUT ROWID;
CREATE INDEX package_files_blob ON package_files (blob);
"""
_CHUNKS = """
CREATE TABLE chunks (
    blob BLOB PRIMARY KEY REFERENCES blobs ON DELETE CASCADE,
    packed BLOB NOT NULL
) WITHOUT ROWID;
"""


class PackageFile(NamedTuple):
    """One file of a package. `path` is "" when the package is kept whole."""

    path: str
    blob: BlobId
    size: int


class Index:
    """Blobs that were verified (with the stamp they had then), and which package needs which."""

    def __init__(self, path: Path) -> None:
        """StorageError when not even a fresh database can be made."""
        self._path = path
        self._lock = threading.RLock()
        self.rebuilt = False
        """True when the database is new: whoever opens it must fill it from the folders."""
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not path.exists():
                raise _storage_error(path, error) from error
            log.warning("event=index-set-aside reason=%s", error)
            self._set_aside()
            try:
                self._db = self._open()
            except sqlite3.Error as again:
                raise _storage_error(path, again) from again
        weakref.finalize(self, self._db.close)  # at the latest with its owner

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=10)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in (_SCHEMA + _CHUNKS).split(";"):
                    db.execute(statement)
                self.rebuilt = True
            elif version == 1:
                db.execute(_CHUNKS.strip())
            elif version != SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"schema version {version}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check failed")
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self) -> None:
        """Keep the bad file for whoever wants to look, and only the last one."""
        try:
            os.replace(self._path, self._path.with_name(self._path.name + ".bad"))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _storage_error(self._path, error) from error
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self._path}{suffix}")

    @contextlib.contextmanager
    def _query(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise _storage_error(self._path, error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._query() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # blobs

    def stamp(self, blob: BlobId) -> Stamp | None:
        """The stamp that the blob had when its SHA-256 was right; None when that was never seen."""
        with self._query() as db:
            row = db.execute("SELECT size, mtime_ns, ino FROM blobs WHERE id = ?", (bytes(blob),)).fetchone()
        return Stamp(*row) if row else None

    def stamps(self, blobs: Sequence[BlobId]) -> dict[BlobId, Stamp]:
        """The same for many."""
        found: dict[BlobId, Stamp] = {}
        with self._query() as db:
            for at in range(0, len(blobs), _VARIABLES):
                part = blobs[at : at + _VARIABLES]
                rows = db.execute(
                    f"SELECT id, size, mtime_ns, ino FROM blobs WHERE id IN ({','.join('?' * len(part))})",
                    tuple(map(bytes, part)),
                )
                found.update((BlobId(blob), Stamp(*stamp)) for blob, *stamp in rows)
        return found

    def put_blobs(self, blobs: Iterable[tuple[BlobId, Stamp]]) -> None:
        now = time.time()
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO blobs VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " size = excluded.size, mtime_ns = excluded.mtime_ns, ino = excluded.ino,"
                " verified_at = excluded.verified_at",
                [(bytes(blob), *stamp, now) for blob, stamp in blobs],
            )

    def delete_blob(self, blob: BlobId) -> None:
        with self._query() as db:
            db.execute("DELETE FROM blobs WHERE id = ?", (bytes(blob),))

    # chunks of blobs (`store.reuse`)

    def chunks(self, blob: BlobId) -> bytes | None:
        """How it is cut, packed; None when that was never looked at."""
        with self._query() as db:
            row = db.execute("SELECT packed FROM chunks WHERE blob = ?", (bytes(blob),)).fetchone()
        return row[0] if row else None

    def put_chunks(self, blob: BlobId, packed: bytes) -> None:
        """Remember it as long as the blob is known."""
        with self._query() as db:
            db.execute("INSERT OR REPLACE INTO chunks SELECT id, ? FROM blobs WHERE id = ?", (packed, bytes(blob)))

    def chunked_blobs(self) -> set[BlobId]:
        with self._query() as db:
            return {BlobId(blob) for (blob,) in db.execute("SELECT blob FROM chunks")}

    # packages

    def put_package(self, folder: str, size: int, files: Sequence[PackageFile]) -> None:
        """Replaces what was known of the package in this folder."""
        with self._transaction() as db:
            db.execute("DELETE FROM packages WHERE folder = ?", (folder,))
            db.execute("INSERT INTO packages VALUES (?, ?)", (folder, size))
            db.executemany(
                "INSERT INTO package_files VALUES (?, ?, ?, ?, ?)",
                [(folder, n, file.path, bytes(file.blob), file.size) for n, file in enumerate(files)],
            )

    def delete_package(self, folder: str) -> None:
        with self._query() as db:
            db.execute("DELETE FROM packages WHERE folder = ?", (folder,))

    def package_folders(self) -> set[str]:
        with self._query() as db:
            return {folder for (folder,) in db.execute("SELECT folder FROM packages")}

    def package_files(self, folder: str) -> tuple[PackageFile, ...]:
        """In the order of the package."""
        with self._query() as db:
            rows = db.execute(
                "SELECT path, blob, size FROM package_files WHERE folder = ? ORDER BY position", (folder,)
            ).fetchall()
        return tuple(PackageFile(path, BlobId(blob), size) for path, blob, size in rows)

    def unique_bytes(self, *folders: str) -> int:
        """Bytes of the blobs that only these packages need."""
        names = json.dumps(folders)
        with self._query() as db:
            (size,) = db.execute(
                "SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT blob, size FROM package_files AS mine"
                " WHERE folder IN (SELECT value FROM json_each(:names)) AND NOT EXISTS"
                " (SELECT 1 FROM package_files AS other WHERE other.blob = mine.blob"
                " AND other.folder NOT IN (SELECT value FROM json_each(:names))))",
                {"names": names},
            ).fetchone()
        return int(size)

    def folders_needing(self, blob: BlobId) -> set[str]:
        with self._query() as db:
            rows = db.execute("SELECT DISTINCT folder FROM package_files WHERE blob = ?", (bytes(blob),)).fetchall()
        return {folder for (folder,) in rows}

    def large_files(self, size_min: int) -> list[tuple[BlobId, int]]:
        """Every content of any package with at least so many bytes, in a steady order."""
        with self._query() as db:
            rows = db.execute(
                "SELECT DISTINCT blob, size FROM package_files WHERE size >= ? ORDER BY blob", (size_min,)
            ).fetchall()
        return [(BlobId(blob), size) for blob, size in rows]

    def needed_blobs(self) -> set[BlobId]:
        """Of all packages."""
        with self._query() as db:
            return {BlobId(blob) for (blob,) in db.execute("SELECT DISTINCT blob FROM package_files")}


_FULL = (sqlite3.SQLITE_FULL,)
_DENIED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)


def _storage_error(path: Path, error: Exception) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    fault = StorageFault.FULL if code in _FULL else StorageFault.DENIED if code in _DENIED else StorageFault.IO
    return StorageError(fault, str(path), str(error))
