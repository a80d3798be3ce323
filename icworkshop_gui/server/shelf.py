"""The listed packages in memory: filters, facets, orders and pages, in far less than a millisecond each.

Sets of packages are integers with a bit per package id: intersections and counts are single operations of
the interpreter, and 10,000 packages take 1,250 bytes a set. SQLite keeps the truth; this is its shadow.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from icworkshop_gui.core.catalog import Facet, PackageSummary, SearchQuery, Sort

FACETS_MAX = 50
TITLE_KEY_MAX = 100
"""Characters of a title that decide its place in an order; the id decides between equals."""

Key = tuple[Any, ...]

_KEYS: dict[Sort, Callable[[int, PackageSummary], Key]] = {
    Sort.POPULAR: lambda id, row: (-row.downloads, id),
    Sort.NEWEST: lambda id, row: (-row.published_at, id),
    Sort.UPDATED: lambda id, row: (-row.updated_at, id),
    Sort.NAME: lambda id, row: (_title(row), id),
    Sort.SIZE: lambda id, row: (-row.size, id),
    Sort.AUTHOR: lambda id, row: (row.package.publisher, _title(row), id),
}


class Entry(NamedTuple):
    """A listed package and the info-hash (hex, or empty) of the release shown."""

    row: PackageSummary
    info_hash: str


class Chosen(NamedTuple):
    """The packages of a query as a set, with what the filters' lists say about them."""

    ids: int
    categories: tuple[Facet, ...]
    tags: tuple[Facet, ...]
    licenses: tuple[Facet, ...]


class Shelf:
    """Not thread-safe: its owner holds a lock. Invariant: an id is in `_all` and in the set of each of its values
    if and only if it is in `_entries`."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._all = 0
        self._anywhere = 0
        """Packages that name no platform: they run on all."""
        self._sets: dict[str, dict[str, int]] = {
            kind: {} for kind in ("category", "license", "tag", "publisher", "game_module", "platform")
        }
        self._orders: dict[Sort, list[Key]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, id: int) -> Entry:
        return self._entries[id]

    def put(self, id: int, entry: Entry) -> None:
        """Add or replace a package."""
        self.discard(id)
        bit = 1 << id
        self._entries[id] = entry
        self._all |= bit
        if not entry.row.platforms:
            self._anywhere |= bit
        for kind, value in _values(entry.row):
            bits = self._sets[kind]
            bits[value] = bits.get(value, 0) | bit
        self._orders.clear()

    def discard(self, id: int) -> None:
        entry = self._entries.pop(id, None)
        if entry is None:
            return
        keep = ~(1 << id)
        self._all &= keep
        self._anywhere &= keep
        for kind, value in _values(entry.row):
            left = self._sets[kind][value] & keep
            if left:
                self._sets[kind][value] = left
            else:
                del self._sets[kind][value]
        self._orders.clear()

    def add_downloads(self, id: int, times: int) -> None:
        entry = self._entries.get(id)
        if entry is not None:
            row = replace(entry.row, downloads=entry.row.downloads + times)
            self._entries[id] = Entry(row, entry.info_hash)
            self._orders.pop(Sort.POPULAR, None)

    def choose(self, query: SearchQuery, matching: int | None) -> Chosen:
        """What the filters leave of `matching` (None: of everything).

        A category's number says what picking that category instead would show, and so with licences.
        """
        rest = self._all if matching is None else self._all & matching
        for tag in query.tags:
            rest &= self._sets["tag"].get(tag, 0)
        if query.publisher:
            rest &= self._sets["publisher"].get(query.publisher, 0)
        if query.game_module:
            rest &= self._sets["game_module"].get(query.game_module, 0)
        if query.platform:
            rest &= self._anywhere | self._sets["platform"].get(query.platform, 0)
        in_category = self._sets["category"].get(query.category, 0) if query.category else rest
        in_licenses = 0 if query.licenses else rest
        for name in query.licenses:
            in_licenses |= self._sets["license"].get(name, 0)
        ids = rest & in_category & in_licenses
        return Chosen(
            ids,
            categories=self._facets("category", rest & in_licenses),
            tags=self._facets("tag", ids),
            licenses=self._facets("license", rest & in_category),
        )

    def page(self, ids: int, sort: Sort, after: Key | None, limit: int) -> tuple[list[int], Key | None]:
        """At most `limit` ids in order, and the key of the last when more follow.

        TypeError when `after` is no key of this order.
        """
        order = self._orders.get(sort)
        if order is None:
            key = _KEYS[sort]
            order = self._orders[sort] = sorted(key(id, entry.row) for id, entry in self._entries.items())
        return walk(order, ids, after, limit)

    def _facets(self, kind: str, ids: int) -> tuple[Facet, ...]:
        """Most frequent first, ties by name."""
        counted = ((-(ids & bits).bit_count(), value) for value, bits in self._sets[kind].items())
        ranked = sorted(pair for pair in counted if pair[0])
        return tuple(Facet(value, -rows) for rows, value in ranked[:FACETS_MAX])


def walk(order: list[Key], ids: int, after: Key | None, limit: int) -> tuple[list[int], Key | None]:
    """The first `limit` keys of `order` behind `after` whose id (last in the key) is in the set `ids`."""
    start = 0 if after is None else bisect_right(order, after)
    raw = ids.to_bytes(ids.bit_length() // 8 + 1, "little")
    size = len(raw)
    taken: list[int] = []
    last: Key | None = None
    for position in range(start, len(order)):
        key = order[position]
        id = key[-1]
        if id >> 3 < size and raw[id >> 3] >> (id & 7) & 1:
            if len(taken) == limit:
                return taken, last
            taken.append(id)
            last = key
    return taken, None


def set_of(ids: Iterable[int]) -> int:
    """The set of these ids."""
    raw = bytearray()
    for id in ids:
        if id >> 3 >= len(raw):
            raw.extend(bytes((id >> 3) + 1 - len(raw)))
        raw[id >> 3] |= 1 << (id & 7)
    return int.from_bytes(raw, "little")


def _title(row: PackageSummary) -> str:
    return row.title.casefold()[:TITLE_KEY_MAX]


def _values(row: PackageSummary) -> Iterable[tuple[str, str]]:
    yield "publisher", row.package.publisher
    if row.category:
        yield "category", row.category
    if row.license:
        yield "license", row.license
    if row.game_module:
        yield "game_module", row.game_module
    for tag in row.tags:
        yield "tag", tag
    for platform in row.platforms:
        yield "platform", platform
