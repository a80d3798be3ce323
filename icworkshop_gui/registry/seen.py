"""What each source said before, so that it cannot take it back: kept apart from the cache, which may always be lost.

One small SQLite file. A source that shows other content under a name and version that it had shown before, or an index
older than the one it had shown, is found out by this (ic-workshop.md §3.6, "version immutability").
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.registry.cache import open_database
from icworkshop_gui.registry.freshness import Mark

RELEASES_MAX = 500_000
"""Releases remembered; the source that was heard of first gives way."""

_TABLES = """
CREATE TABLE IF NOT EXISTS mark (
    source TEXT PRIMARY KEY, serial INTEGER, generated_at REAL NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release (
    source TEXT NOT NULL, package TEXT NOT NULL, version TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (source, package, version)
) WITHOUT ROWID;
"""
_VERSION = 1


class Seen:
    """Thread-safe; calls block for a moment. `path` None keeps everything in memory."""

    def __init__(self, path: Path | None, *, max_releases: int = RELEASES_MAX) -> None:
        self._max = max_releases
        self._lock = threading.Lock()
        self._db = open_database(path, _TABLES, _VERSION)
        weakref.finalize(self, self._db.close)

    def mark(self, source: str) -> Mark | None:
        """The newest index that this source has shown."""
        with self._lock:
            row = self._db.execute(
                "SELECT serial, generated_at, digest FROM mark WHERE source = ?", (source,)
            ).fetchone()
        return None if row is None else Mark(serial=row[0], generated_at=float(row[1]), digest=str(row[2]))

    def remember_mark(self, source: str, mark: Mark) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute(
                "INSERT OR REPLACE INTO mark (source, serial, generated_at, digest) VALUES (?, ?, ?, ?)",
                (source, mark.serial, mark.generated_at, mark.digest),
            )

    def releases(self, source: str, package: PackageId) -> dict[str, str]:
        """Version → SHA-256 (hex) of every release of the package that this source has shown."""
        with self._lock:
            rows = self._db.execute(
                "SELECT version, sha256 FROM release WHERE source = ? AND package = ?", (source, str(package))
            )
            return {str(version): str(sha256) for version, sha256 in rows}

    def remember_releases(self, source: str, package: PackageId, releases: Iterable[tuple[str, str]]) -> None:
        """What was shown first stays."""
        rows = [(source, str(package), version, sha256) for version, sha256 in releases]
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.executemany("INSERT OR IGNORE INTO release VALUES (?, ?, ?, ?)", rows)
            count = self._db.execute("SELECT count(*) FROM release").fetchone()[0]
            if count > self._max:
                self._db.execute(
                    "DELETE FROM release WHERE (source, package, version) IN "
                    "(SELECT source, package, version FROM release WHERE source != ? LIMIT ?)",
                    (source, count - self._max),
                )

    def forget(self, source: str) -> None:
        """The player took the source out: it begins anew when it comes back."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute("DELETE FROM mark WHERE source = ?", (source,))
            self._db.execute("DELETE FROM release WHERE source = ?", (source,))

    def close(self) -> None:
        with self._lock:
            self._db.close()
