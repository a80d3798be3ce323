"""Who may publish: tokens of 256 random bits, kept as their hash, with a scope, an end and a way to take them back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Engine

from icworkshop_gui.core.catalog import is_segment
from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import NotFound, UserError
from icworkshop_gui.server import tables

PREFIX = "icw_"
TOKEN_MAX = 200
"""Characters of a token that is looked at."""
SECRET_MIN = 24
"""Characters of a token that an operator brings along in a file."""


class Scope(StrEnum):
    READONLY = "readonly"
    PUBLISH = "publish"
    LOBBY = "lobby"
    """Issues lobby tickets, and nothing else: for relays and game servers."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a valid token allows."""

    id: int
    publisher: str
    scope: Scope

    def may_publish_for(self, publisher: str) -> bool:
        """An admin for everybody, a publisher for itself."""
        return self.scope is Scope.ADMIN or (self.scope is Scope.PUBLISH and self.publisher == publisher)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token as it is listed: never the token itself."""

    id: int
    publisher: str
    scope: str
    label: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class Tokens:
    """Lives in the catalog's database. Methods block for a moment; thread-safe."""

    def __init__(self, engines: tuple[Engine, Engine], clock: Clock) -> None:
        self._reader, self._writer = engines
        self._clock = clock

    def create(
        self, publisher: str, scope: Scope = Scope.PUBLISH, *, seconds: float | None = None, label: str = ""
    ) -> tuple[int, str]:
        """Number and token; the token is told this once. `seconds` None: it does not expire."""
        if not is_segment(publisher):
            raise UserError(f"a publisher is written a-z, 0-9 and single hyphens inside, not {publisher[:80]!r}")
        token = PREFIX + secrets.token_urlsafe(32)
        now = self._clock.wall()
        values = {
            "publisher": publisher,
            "scope": scope.value,
            "hash": _hash(token),
            "label": label[:100],
            "created_at": now,
            "expires_at": None if seconds is None else now + seconds,
        }
        with self._writer.begin() as db:
            key = db.execute(insert(tables.token).values(values)).inserted_primary_key
        assert key is not None
        return int(key[0]), token

    def check(self, token: str) -> Grant | None:
        """None for a token that is unknown, expired or revoked: nobody is told which."""
        if not 0 < len(token) <= TOKEN_MAX:
            return None
        digest = _hash(token)
        with self._reader.begin() as db:
            row = db.execute(select(tables.token).where(tables.token.c.hash == digest)).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, digest) or row.revoked_at is not None:
            return None
        if row.expires_at is not None and row.expires_at <= self._clock.wall():
            return None
        return Grant(id=row.id, publisher=row.publisher, scope=Scope(row.scope))

    def revoke(self, number: int) -> None:
        """NotFound when there is no such token."""
        with self._writer.begin() as db:
            changed = db.execute(
                update(tables.token).where(tables.token.c.id == number).values(revoked_at=self._clock.wall())
            )
        if not changed.rowcount:
            raise NotFound(f"there is no token {number}")

    def all(self) -> list[TokenRow]:
        with self._reader.begin() as db:
            rows = db.execute(select(tables.token).order_by(tables.token.c.id)).all()
        return [
            TokenRow(
                id=row.id,
                publisher=row.publisher,
                scope=row.scope,
                label=row.label,
                created_at=row.created_at,
                expires_at=row.expires_at,
                revoked_at=row.revoked_at,
            )
            for row in rows
        ]

    def take_in(self, path: Path) -> int:
        """Accept the tokens of a file, a line each: `publisher scope token`. How many; UserError with the line."""
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UserError(f"the token file {path} cannot be read: {error}") from error
        taken = 0
        for number, line in enumerate(lines, 1):
            parts = line.split()
            if not parts or parts[0].startswith("#"):
                continue
            if len(parts) != 3 or not is_segment(parts[0]) or parts[1] not in set(Scope):
                raise UserError(f"{path}, line {number}: expected `publisher scope token`")
            if not SECRET_MIN <= len(parts[2]) <= TOKEN_MAX:
                raise UserError(f"{path}, line {number}: a token has {SECRET_MIN} to {TOKEN_MAX} characters")
            values = {
                "publisher": parts[0],
                "scope": parts[1],
                "hash": _hash(parts[2]),
                "label": path.name[:100],
                "created_at": self._clock.wall(),
            }
            with self._writer.begin() as db:
                db.execute(sqlite_insert(tables.token).values(values).on_conflict_do_nothing())
            taken += 1
        return taken


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
