"""The catalog's tables and how its database is opened. Facts of releases are immutable; counters are not.

`package` holds one row a package, copied from its newest release: what the shelf is filled from.
`package_fts` is its full text, `spelling` finds words that were typed wrongly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.engine import Connection, Engine

from icworkshop_gui.core.errors import UserError

SCHEMA_VERSION = 1

metadata = MetaData()

package = Table(
    "package",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("publisher", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("license", Text, nullable=False),
    Column("tags", Text, nullable=False),  # a JSON list
    Column("platforms", Text, nullable=False),
    Column("game_module", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("downloads", Integer, nullable=False),
    Column("published_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("preview_sha256", Text, nullable=False),
    Column("info_hash", Text, nullable=False),
    Column("listed", Integer, nullable=False),
    UniqueConstraint("publisher", "name"),
)
release = Table(
    "release",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("package_id", Integer, ForeignKey("package.id"), nullable=False),
    Column("version", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),  # of the stored file when its bytes were last verified
    Column("info_hash", Text, nullable=False),
    Column("published_at", Float, nullable=False),
    Column("downloads", Integer, nullable=False),
    Column("yanked", Integer, nullable=False),
    Column("document", Text, nullable=False),  # registry.schema's JSON, without files and counters
    UniqueConstraint("package_id", "version"),
)
Index("release_info_hash", release.c.info_hash)

asset = Table(
    "asset",
    metadata,
    Column("release_id", Integer, ForeignKey("release.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

dependency = Table(
    "dependency",
    metadata,
    Column("release_id", Integer, ForeignKey("release.id"), primary_key=True),
    Column("publisher", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("requirement", Text, nullable=False),
    Column("optional", Integer, nullable=False),
)
Index("dependency_of", dependency.c.publisher, dependency.c.name)

spelling = Table(
    "spelling",
    metadata,
    Column("key", Text, primary_key=True),
    Column("word", Text, primary_key=True),
    sqlite_with_rowid=False,
)

token = Table(
    "token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("publisher", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # hex SHA-256: a token is 256 random bits, so no salt
    Column("label", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
)

FULL_TEXT = """
CREATE VIRTUAL TABLE IF NOT EXISTS package_fts USING fts5(
    name, title, tags, summary, publisher, readme,
    tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
)
"""


def open_database(path: Path) -> tuple[Engine, Engine]:
    """A reader and a writer of the catalog file, which is made when it is not there.

    The writer has one connection whose transactions take the write lock at their start, so two writers wait
    for each other instead of failing half-way. UserError when the file is of a newer program.
    """
    url = f"sqlite:///{path}"
    reader = create_engine(url, pool_size=4, max_overflow=8)
    writer = create_engine(url, pool_size=1, max_overflow=0)
    _prepare(reader, "BEGIN")
    _prepare(writer, "BEGIN IMMEDIATE")
    try:
        with writer.begin() as connection:
            _bring_up(connection, path)
    except BaseException:
        writer.dispose()
        raise
    return reader, writer


def _bring_up(connection: Connection, path: Path) -> None:
    found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if found > SCHEMA_VERSION:
        raise UserError(
            f"{path} was written by a newer icworkshop-server (schema {found}, this one knows {SCHEMA_VERSION}): "
            "run that one, or restore an older copy"
        )
    metadata.create_all(connection)
    connection.exec_driver_sql(FULL_TEXT)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _prepare(engine: Engine, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by its own rules
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "busy_timeout = 10000",
            "cache_size = -16384",
            "mmap_size = 268435456",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
