"""The registry's memory: which releases exist, what is said about them, what was counted.

Invariant: a release is in the catalog if and only if its package file lies complete at its place; `add` moves
the file inside the transaction that writes the rows. A release's facts never change; only `yanked` and
counters do. Every method blocks for a moment: call it on a thread. Thread-safe.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection, Engine

from icworkshop_gui.core.catalog import (
    Dependency,
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    Release,
    SearchPage,
    SearchQuery,
    Sort,
    version_key,
)
from icworkshop_gui.core.errors import Conflict, NotFound
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.registry import schema
from icworkshop_gui.server import search, tables
from icworkshop_gui.server.shelf import Entry, Shelf
from icworkshop_gui.server.spelling import deletion_keys, words

SwarmCounts = Callable[[InfoHash], tuple[int, int]]
"""Seeders and leechers of an info-hash, as the tracker knows them."""

README_INDEXED = 20_000
"""Characters of a README that are searched."""


class Asset(StrEnum):
    """Bytes kept beside a release."""

    MANIFEST = "manifest"
    """The inner `manifest.yaml` as it stands in the package."""
    SKELETON = "skeleton"
    """The package's bytes outside its files."""
    OUTLINE = "outline"
    """The coarse chunks of its files (`formats.chunks`)."""
    FINE = "fine"
    """Their fine chunks."""
    PREVIEW = "preview"
    TORRENT = "torrent"
    """A .torrent without trackers and web seeds; those depend on where the server is."""
    FILES = "files"
    """JSON list of the files."""
    README = "readme"
    CHANGELOG = "changelog"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRelease:
    """A release that passed every check."""

    release: Release
    readme: str = ""
    changelog: str = ""
    mtime_ns: int
    """Of the package file."""
    assets: Mapping[Asset, bytes]
    """MANIFEST and TORRENT at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPackage:
    """Where a release's bytes are and what they must be."""

    ref: PackageRef
    path: Path
    size: int
    sha256: str
    mtime_ns: int
    info_hash: str
    published_at: float


class Catalog:
    """`folder` holds the packages: `<publisher>/<name>/<file_name>`, so that the folder can be seeded as it is."""

    def __init__(self, database: Path, folder: Path, counts: SwarmCounts | None = None) -> None:
        self._reader, self._writer = tables.open_database(database)
        self._folder = folder
        self._counts: SwarmCounts = counts if counts is not None else lambda _info_hash: (0, 0)
        self._lock = threading.Lock()
        self._downloads: Counter[PackageRef] = Counter()
        self._shelf = Shelf()
        with self._reader.begin() as db:
            for row in db.execute(select(tables.package).where(tables.package.c.listed == 1)):
                self._shelf.put(row.id, _entry(row))

    def close(self) -> None:
        """Write the counters, fold the log into the file, let go of it."""
        self.flush_downloads()
        with self._writer.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        self._reader.dispose()
        self._writer.dispose()

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """Reader and writer, for the tokens that live in the same file."""
        return self._reader, self._writer

    def package_path(self, ref: PackageRef) -> Path:
        return self._folder / ref.publisher / ref.name / ref.file_name

    # --- reading -----------------------------------------------------------------------------------

    def search(self, query: SearchQuery) -> SearchPage:
        """RegistryError "bad_request" for a cursor of another search."""
        matched = None
        if query.text:
            with self._reader.begin() as db:
                matched = search.match_text(db, query.text, ranked=query.sort is Sort.RELEVANCE)
        with self._lock:
            found = search.find(self._shelf, query, matched)
        rows = []
        for entry in found.entries:
            seeders, leechers = self._swarm(entry.info_hash)
            rows.append(replace(entry.row, seeders=seeders, leechers=leechers))
        return SearchPage(
            items=tuple(rows),
            total=found.total,
            next_cursor=found.next_cursor,
            categories=found.categories,
            tags=found.tags,
            licenses=found.licenses,
            close_matches=found.close_matches,
        )

    def package(self, package: PackageId, version: str = "") -> PackageDetail:
        """The page of a package; `version` empty: the newest. NotFound when there is none."""
        with self._reader.begin() as db:
            rows = self._releases(db, package)
            if not rows:
                raise NotFound(f"there is no package {package}")
            shown = version or _newest([(row.version, bool(row.yanked)) for row in rows])
            row = next((row for row in rows if row.version == shown), None)
            if row is None:
                raise NotFound(f"there is no {package}@{version}")
            wanted = (Asset.FILES, Asset.README, Asset.CHANGELOG)
            table = tables.asset
            chosen = (table.c.release_id == row.id) & table.c.kind.in_(wanted)
            assets = {kind: bytes(body) for kind, body in db.execute(select(table.c.kind, table.c.body).where(chosen))}
        files = schema.Fields({"files": json.loads(assets.get(Asset.FILES, b"[]"))})
        release = replace(_release(row), files=files.items("files", schema.FILES_MAX, schema.file_from_json))
        seeders, leechers = self._swarm(release.info_hash)
        newest_first = sorted(rows, key=lambda row: version_key(row.version), reverse=True)
        return PackageDetail(
            release=release,
            readme=assets.get(Asset.README, b"").decode(),
            changelog=assets.get(Asset.CHANGELOG, b"").decode(),
            versions=tuple(_release(row) for row in newest_first[: schema.VERSIONS_MAX]),
            seeders=seeders,
            leechers=leechers,
        )

    def stored(self, ref: PackageRef) -> StoredPackage:
        """NotFound when there is no such release."""
        with self._reader.begin() as db:
            row = self._row(db, ref)
        return self._stored(ref, row)

    def asset(self, ref: PackageRef, kind: Asset) -> bytes:
        """NotFound when the release is not there or has none."""
        with self._reader.begin() as db:
            row = self._row(db, ref)
            condition = (tables.asset.c.release_id == row.id) & (tables.asset.c.kind == kind)
            body = db.execute(select(tables.asset.c.body).where(condition)).scalar_one_or_none()
        if body is None:
            raise NotFound(f"{ref} has no {kind}")
        return bytes(body)

    def all_stored(self) -> Iterator[StoredPackage]:
        """Every release, yanked ones too: who has the lock file may still need it."""
        shelf = tables.package
        columns = select(tables.release, shelf.c.publisher, shelf.c.name)
        with self._reader.begin() as db:
            rows = db.execute(columns.join_from(tables.release, tables.package).order_by(tables.release.c.id)).all()
        for row in rows:
            ref = PackageRef(row.publisher, row.name, row.version)
            yield self._stored(ref, row)

    def totals(self) -> tuple[int, int, int]:
        """Packages, releases, and bytes of all package files."""
        with self._reader.begin() as db:
            packages = db.execute(select(func.count()).select_from(tables.package)).scalar_one()
            releases, size = db.execute(select(func.count(), func.coalesce(func.sum(tables.release.c.size), 0))).one()
        return packages, releases, size

    def versions(self, package: PackageId) -> tuple[tuple[str, bool], ...]:
        """Version and whether it is yanked; empty for no such package."""
        with self._reader.begin() as db:
            return tuple((row.version, bool(row.yanked)) for row in self._releases(db, package))

    def newest_dependencies(self, package: PackageId) -> tuple[Dependency, ...]:
        """What the newest release of a package needs; empty for no such package."""
        with self._reader.begin() as db:
            rows = self._releases(db, package)
            if not rows:
                return ()
            newest = _newest([(row.version, bool(row.yanked)) for row in rows])
            return _release(next(row for row in rows if row.version == newest)).dependencies

    def names(self) -> tuple[tuple[PackageId, str, int], ...]:
        """Every package with its category and downloads: who looks like whom is judged over all of them."""
        table = tables.package
        with self._reader.begin() as db:
            rows = db.execute(select(table.c.publisher, table.c.name, table.c.category, table.c.downloads)).all()
        return tuple((PackageId(row.publisher, row.name), row.category, row.downloads) for row in rows)

    # --- writing -----------------------------------------------------------------------------------

    def add(self, new: NewRelease, place: Callable[[], None]) -> None:
        """Take a release in. `place` puts the package file where it belongs, after all rows are written and
        before they count: what it raises leaves nothing behind. Conflict when the version is there.
        """
        ref = new.release.ref
        with self._writer.begin() as db:
            rows = self._releases(db, ref.package)
            if any(row.version == ref.version for row in rows):
                raise Conflict(f"{ref} was published before; a version never changes")
            package_id = rows[0].package_id if rows else self._insert_package(db, new.release)
            self._insert_release(db, package_id, new)
            self._refresh_package(db, package_id, ref.package)
            place()
        self._shelve([package_id])

    def set_yanked(self, ref: PackageRef, yanked: bool) -> None:
        """Hide a release from those who do not ask for it by version; NotFound when there is none."""
        with self._writer.begin() as db:
            row = self._row(db, ref)
            db.execute(update(tables.release).where(tables.release.c.id == row.id).values(yanked=int(yanked)))
            self._refresh_package(db, row.package_id, ref.package)
        self._shelve([row.package_id])

    def set_mtime(self, ref: PackageRef, mtime_ns: int) -> None:
        """The package file was verified when it had this time."""
        with self._writer.begin() as db:
            row = self._row(db, ref)
            db.execute(update(tables.release).where(tables.release.c.id == row.id).values(mtime_ns=mtime_ns))

    def count_download(self, ref: PackageRef) -> None:
        """Counted now, written with the next `flush_downloads`: a download must not cost a disk flush."""
        with self._lock:
            self._downloads[ref] += 1

    def flush_downloads(self) -> None:
        with self._lock:
            pending, self._downloads = self._downloads, Counter()
        if not pending:
            return
        more_of: Counter[int] = Counter()
        with self._writer.begin() as db:
            for ref, times in pending.items():
                try:
                    row = self._row(db, ref)
                except NotFound:
                    continue
                table = tables.release
                db.execute(update(table).where(table.c.id == row.id).values(downloads=table.c.downloads + times))
                shelf = tables.package
                more = {"downloads": shelf.c.downloads + times}
                db.execute(update(shelf).where(shelf.c.id == row.package_id).values(more))
                more_of[row.package_id] += times
        with self._lock:
            for package_id, times in more_of.items():
                self._shelf.add_downloads(package_id, times)

    @contextmanager
    def bulk(self) -> Iterator[Callable[[NewRelease], None]]:
        """Many releases in one transaction, for imports and measurements; the files must be in place already."""
        changed: dict[int, None] = {}
        with self._writer.begin() as db:

            def add(new: NewRelease) -> None:
                rows = self._releases(db, new.release.ref.package)
                package_id = rows[0].package_id if rows else self._insert_package(db, new.release)
                self._insert_release(db, package_id, new)
                self._refresh_package(db, package_id, new.release.ref.package)
                changed[package_id] = None

            yield add
        self._shelve(list(changed))

    # --- inside ------------------------------------------------------------------------------------

    def _stored(self, ref: PackageRef, row: Row[Any]) -> StoredPackage:
        return StoredPackage(
            ref=ref,
            path=self.package_path(ref),
            size=row.size,
            sha256=row.sha256,
            mtime_ns=row.mtime_ns,
            info_hash=row.info_hash,
            published_at=row.published_at,
        )

    def _shelve(self, package_ids: list[int]) -> None:
        """Bring the shelf up to date with what was just written."""
        with self._lock, self._reader.begin() as db:
            for package_id in package_ids:
                row = db.execute(select(tables.package).where(tables.package.c.id == package_id)).one()
                if row.listed:
                    self._shelf.put(package_id, _entry(row))
                else:
                    self._shelf.discard(package_id)

    def _swarm(self, info_hash: str) -> tuple[int, int]:
        return self._counts(InfoHash.from_hex(info_hash)) if info_hash else (0, 0)

    def _releases(self, db: Connection, package: PackageId) -> list[Row[Any]]:
        shelf = tables.package
        condition = (shelf.c.publisher == package.publisher) & (shelf.c.name == package.name)
        statement = select(tables.release).join_from(tables.release, shelf).where(condition)
        return list(db.execute(statement.order_by(tables.release.c.id)).all())

    def _row(self, db: Connection, ref: PackageRef) -> Row[Any]:
        row = next((row for row in self._releases(db, ref.package) if row.version == ref.version), None)
        if row is None:
            raise NotFound(f"there is no {ref}")
        return row

    def _insert_package(self, db: Connection, release: Release) -> int:
        values = _shelf_values(release) | {
            "publisher": release.ref.publisher,
            "name": release.ref.name,
            "published_at": release.published_at,
            "downloads": 0,
            "listed": 1,
        }
        key = db.execute(insert(tables.package).values(values)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def _insert_release(self, db: Connection, package_id: int, new: NewRelease) -> None:
        release = new.release
        document = schema.release_to_json(replace(release, files=()))
        key = db.execute(
            insert(tables.release).values(
                package_id=package_id,
                version=release.ref.version,
                sha256=release.sha256,
                size=release.size,
                mtime_ns=new.mtime_ns,
                info_hash=release.info_hash,
                published_at=release.published_at,
                downloads=release.downloads,
                yanked=int(release.yanked),
                document=json.dumps(document, ensure_ascii=False),
            )
        ).inserted_primary_key
        assert key is not None
        release_id = int(key[0])
        bodies = dict(new.assets)
        bodies[Asset.FILES] = json.dumps([schema.file_to_json(entry) for entry in release.files]).encode()
        bodies[Asset.README] = new.readme.encode("utf-8", "replace")
        bodies[Asset.CHANGELOG] = new.changelog.encode("utf-8", "replace")
        rows = [{"release_id": release_id, "kind": kind, "body": body} for kind, body in bodies.items() if body]
        db.execute(insert(tables.asset), rows)
        if release.dependencies:
            needs = [
                {
                    "release_id": release_id,
                    "publisher": need.package.publisher,
                    "name": need.package.name,
                    "requirement": need.requirement,
                    "optional": int(need.optional),
                }
                for need in release.dependencies
            ]
            db.execute(insert(tables.dependency), needs)

    def _refresh_package(self, db: Connection, package_id: int, package: PackageId) -> None:
        """Copy the newest release into the package's row and its words into the indexes."""
        rows = self._releases(db, package)
        newest = _newest([(row.version, bool(row.yanked)) for row in rows])
        row = next(row for row in rows if row.version == newest)
        release = _release(row)
        values = _shelf_values(release) | {
            "published_at": min(row.published_at for row in rows),
            "downloads": sum(row.downloads for row in rows),
            "listed": int(not row.yanked),
        }
        db.execute(update(tables.package).where(tables.package.c.id == package_id).values(values))
        condition = (tables.asset.c.release_id == row.id) & (tables.asset.c.kind == Asset.README)
        readme = db.execute(select(tables.asset.c.body).where(condition)).scalar_one_or_none() or b""
        db.execute(text("DELETE FROM package_fts WHERE rowid = :id"), {"id": package_id})
        db.execute(
            text(
                "INSERT INTO package_fts (rowid, name, title, tags, summary, publisher, readme)"
                " VALUES (:id, :name, :title, :tags, :summary, :publisher, :readme)"
            ),
            {
                "id": package_id,
                "name": package.name,
                "title": release.title,
                "tags": " ".join((*release.tags, release.category)),
                "summary": release.summary,
                "publisher": package.publisher,
                "readme": readme.decode("utf-8", "replace")[:README_INDEXED],
            },
        )
        spoken = set(words(" ".join((package.publisher, package.name, release.title, *release.tags))))
        keys = [{"key": key, "word": word} for word in sorted(spoken) for key in sorted(deletion_keys(word))]
        if keys:
            db.execute(sqlite_insert(tables.spelling).on_conflict_do_nothing(), keys)


def _newest(versions: list[tuple[str, bool]]) -> str:
    """Highest version; yanked ones and pre-releases only when there is nothing else."""
    return max(versions, key=lambda item: (not item[1], "-" not in item[0].partition("+")[0], version_key(item[0])))[0]


def _release(row: Row[Any]) -> Release:
    """Without files; counters from their columns."""
    document = json.loads(row.document) | {"downloads": row.downloads, "yanked": bool(row.yanked)}
    return schema.release_from_json(document)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        PackageSummary(
            package=PackageId(row.publisher, row.name),
            version=row.version,
            title=row.title,
            summary=row.summary,
            category=row.category,
            tags=tuple(json.loads(row.tags)),
            license=row.license,
            size=row.size,
            downloads=row.downloads,
            published_at=row.published_at,
            updated_at=row.updated_at,
            preview_sha256=row.preview_sha256,
            game_module=row.game_module,
            platforms=tuple(json.loads(row.platforms)),
        ),
        row.info_hash,
    )


def _shelf_values(release: Release) -> dict[str, Any]:
    return {
        "version": release.ref.version,
        "title": release.title,
        "summary": release.summary,
        "category": release.category,
        "license": release.license,
        "tags": json.dumps(release.tags),
        "platforms": json.dumps(release.platforms),
        "game_module": release.game_module,
        "size": release.size,
        "updated_at": release.published_at,
        "preview_sha256": release.preview_sha256,
        "info_hash": release.info_hash,
    }
