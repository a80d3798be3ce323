"""One page of the catalog: words are found by SQLite's full-text index, the rest by the shelf.

Also stable paging by the key of the last row, and a second look for misspelt words.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.engine import Connection

from icworkshop_gui.core.catalog import Facet, SearchQuery, Sort
from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.server.shelf import Entry, Key, Shelf, set_of, walk
from icworkshop_gui.server.spelling import deletion_keys, nearest, words
from icworkshop_gui.server.tables import spelling

WORDS_MAX = 8
"""Words of a search text that count; the rest is ignored."""
FEW_HITS = 5
"""With fewer hits than this, words are tried as misspelt."""
CORRECTIONS_MAX = 6
"""Spellings tried for one word."""
NEIGHBOURS_MAX = 500
"""Words whose distance is measured for one misspelt word."""

WEIGHED_MAX = 500
"""Hits whose whole text is weighed for relevance."""

_PLAIN = "SELECT rowid FROM package_fts WHERE package_fts MATCH ?"
_RANKED = """
SELECT bm25(package_fts, 10.0, 8.0, 5.0, 3.0, 3.0, 1.0) AS score, rowid FROM package_fts
WHERE package_fts MATCH ? ORDER BY score, rowid
"""
"""Weights of name, title, tags, summary, publisher, README."""
_SHORT = 2
"""Up to this many characters, a word that is being typed is not looked for in READMEs, which hold all of them."""
_WITHOUT_README = "{name title tags summary publisher} : "


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page, before the tracker's counts are added."""

    entries: tuple[Entry, ...]
    total: int
    next_cursor: str
    categories: tuple[Facet, ...]
    tags: tuple[Facet, ...]
    licenses: tuple[Facet, ...]
    close_matches: bool


@dataclass(frozen=True, slots=True)
class TextMatch:
    """The packages whose words match: as a set and, when asked for, in order of relevance."""

    ids: int
    ranked: list[Key]
    close: bool
    """Nothing matched as written."""


def match_text(db: Connection, typed: str, *, ranked: bool) -> TextMatch:
    """Every package in which each typed word begins a word. Nothing for a text without words."""
    tokens = words(typed)[:WORDS_MAX]
    if not tokens:
        return TextMatch(0, [], False)
    exact = " AND ".join(map(_term, tokens))
    hits = _run(db, exact, ranked)
    if len(hits) >= FEW_HITS:
        return TextMatch(set_of(key[-1] for key in hits), hits, False)
    corrected = [_spellings(db, token) for token in tokens]
    if not any(corrected):
        return TextMatch(set_of(key[-1] for key in hits), hits, False)
    loose = " AND ".join(
        "(" + " OR ".join([_term(token), *(f'"{word}"' for word in near)]) + ")"
        for token, near in zip(tokens, corrected, strict=True)
    )
    near_hits = _run(db, loose, ranked)
    return TextMatch(set_of(key[-1] for key in near_hits), near_hits, not hits and bool(near_hits))


def find(shelf: Shelf, query: SearchQuery, matched: TextMatch | None) -> Found:
    """The page of a query whose text, if any, was matched. RegistryError "bad_request" for a foreign cursor."""
    sort = query.sort
    if matched is None and sort is Sort.RELEVANCE:
        sort = Sort.POPULAR
    chosen = shelf.choose(query, None if matched is None else matched.ids)
    after = _read_cursor(query.cursor, sort) if query.cursor else None
    try:
        if matched is not None and sort is Sort.RELEVANCE:
            ids, last = walk(matched.ranked, chosen.ids, after, query.limit)
        else:
            ids, last = shelf.page(chosen.ids, sort, after, query.limit)
    except TypeError as error:
        raise _foreign_cursor() from error
    return Found(
        entries=tuple(shelf[id] for id in ids),
        total=chosen.ids.bit_count(),
        next_cursor=_write_cursor(sort, last) if last is not None else "",
        categories=chosen.categories,
        tags=chosen.tags,
        licenses=chosen.licenses,
        close_matches=matched is not None and matched.close,
    )


def _run(db: Connection, match: str, ranked: bool) -> list[Key]:
    """Keys that end in the package's id; in order of relevance when `ranked`.

    Past SQLAlchemy: it makes an object of every row, and a short word may match every package. Of many hits
    only those outside READMEs are weighed; the rest follows them as it is.
    """
    driver = db.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    hits: list[Key] = driver.execute(_PLAIN, (match,)).fetchall()
    if not ranked:
        return hits
    if len(hits) <= WEIGHED_MAX:
        return [(0, *row) for row in driver.execute(_RANKED, (match,))]
    head: list[Key] = [(0, *row) for row in driver.execute(_RANKED, (f"{_WITHOUT_README}({match})",))]
    weighed = {key[-1] for key in head}
    return head + [(1, 0.0, id) for (id,) in sorted(hits) if id not in weighed]


def _term(token: str) -> str:
    return (_WITHOUT_README if len(token) <= _SHORT else "") + f'"{token}"*'


def _spellings(db: Connection, token: str) -> list[str]:
    """Catalog words that were probably meant."""
    keys = deletion_keys(token)
    if not keys:
        return []
    statement = select(spelling.c.word).distinct().where(spelling.c.key.in_(sorted(keys))).limit(NEIGHBOURS_MAX)
    return nearest(token, list(db.execute(statement).scalars()), CORRECTIONS_MAX)


def _write_cursor(sort: Sort, key: Key) -> str:
    raw = json.dumps([sort.value, *key], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_cursor(cursor: str, sort: Sort) -> Key:
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _foreign_cursor() from error
    if not (isinstance(found, list) and 2 < len(found) <= 4 and found[0] == sort.value):
        raise _foreign_cursor()
    return tuple(found[1:])


def _foreign_cursor() -> RegistryError:
    return RegistryError("bad_request", "cursor: not from the previous page of this search")
