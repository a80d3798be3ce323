"""What the registry said before: kept on disk, bounded, for validators and for reading while offline.

One SQLite file in WAL mode. A file that cannot be opened or is damaged is moved aside and begun anew: the
cache may always be lost. Calls block for a moment; the client makes them on a thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path

CACHE_MAX = 50 * 1024 * 1024
"""Bytes of bodies that are kept; the least recently used go first."""
ENTRY_MAX = 8 * 1024 * 1024
"""Bytes of one body; a longer one is not kept."""
ROWS_MAX = 20_000
"""Catalog rows kept for searching while offline."""

_TABLES = """
CREATE TABLE IF NOT EXISTS reply (
    url TEXT PRIMARY KEY, etag TEXT NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reply_used ON reply (used);
CREATE TABLE IF NOT EXISTS row (
    source TEXT NOT NULL, package TEXT NOT NULL, body BLOB NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (source, package)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS row_used ON row (used);
"""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class CachedReply:
    """A body as the server sent it, and the validator it came with (empty: none)."""

    body: bytes
    etag: str


class RegistryCache:
    """Thread-safe. `path` None keeps everything in memory."""

    def __init__(self, path: Path | None, *, max_bytes: int = CACHE_MAX, max_rows: int = ROWS_MAX) -> None:
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._db = open_database(path, _TABLES, _VERSION)
        weakref.finalize(self, self._db.close)  # at the latest with its owner
        self._bytes = int(self._one("SELECT coalesce(sum(size), 0) FROM reply"))
        self._rows = int(self._one("SELECT count(*) FROM row"))
        self._tick = max(
            int(self._one("SELECT coalesce(max(used), 0) FROM reply")),
            int(self._one("SELECT coalesce(max(used), 0) FROM row")),
        )

    def _one(self, sql: str) -> float:
        value = self._db.execute(sql).fetchone()[0]
        return float(value)

    def get(self, url: str) -> CachedReply | None:
        with self._lock:
            found = self._db.execute("SELECT body, etag FROM reply WHERE url = ?", (url,)).fetchone()
            if found is None:
                return None
            self._tick += 1
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("UPDATE reply SET used = ? WHERE url = ?", (self._tick, url))
            return CachedReply(bytes(found[0]), str(found[1]))

    def put(self, url: str, body: bytes, etag: str = "") -> None:
        """Keep a body; a full disk or a body over ENTRY_MAX means that it is not kept."""
        if len(body) > min(ENTRY_MAX, self._max_bytes):
            return
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._tick += 1
            old = self._db.execute("SELECT size FROM reply WHERE url = ?", (url,)).fetchone()
            self._db.execute(
                "INSERT OR REPLACE INTO reply (url, etag, body, size, used) VALUES (?, ?, ?, ?, ?)",
                (url, etag, body, len(body), self._tick),
            )
            self._bytes += len(body) - (old[0] if old else 0)
            while self._bytes > self._max_bytes:
                victim = self._db.execute("SELECT url, size FROM reply ORDER BY used LIMIT 1").fetchone()
                self._db.execute("DELETE FROM reply WHERE url = ?", (victim[0],))
                self._bytes -= victim[1]

    def remember_rows(self, source: str, rows: list[tuple[str, bytes]]) -> None:
        """Keep catalog rows (package, JSON) of one server for searching while it is out of reach."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._tick += 1
            self._db.execute("BEGIN")
            try:
                self._db.executemany(
                    "INSERT OR REPLACE INTO row (source, package, body, used) VALUES (?, ?, ?, ?)",
                    [(source, package, body, self._tick) for package, body in rows],
                )
                self._rows = int(self._one("SELECT count(*) FROM row"))
                if self._rows > self._max_rows:
                    self._db.execute(
                        "DELETE FROM row WHERE (source, package) IN "
                        "(SELECT source, package FROM row ORDER BY used LIMIT ?)",
                        (self._rows - self._max_rows,),
                    )
                    self._rows = self._max_rows
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise

    def rows(self, source: str) -> list[bytes]:
        """The JSON of every row of this server that is still kept."""
        with self._lock:
            return [bytes(body) for (body,) in self._db.execute("SELECT body FROM row WHERE source = ?", (source,))]

    def close(self) -> None:
        with self._lock:
            self._db.close()


def open_database(path: Path | None, tables: str, version: int) -> sqlite3.Connection:
    """In WAL mode, with these tables. What cannot be opened, is damaged or of another version is moved aside."""
    if path is None:
        return _connect(":memory:", tables, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(str(path), tables, version)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{path}{suffix}").replace(f"{path}{suffix}.damaged")
        return _connect(str(path), tables, version)


def _connect(name: str, tables: str, version: int) -> sqlite3.Connection:
    db = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=3.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"a database of version {found}")
        db.executescript(tables)
        db.execute(f"PRAGMA user_version = {version}")
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
