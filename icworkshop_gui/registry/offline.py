"""Searching in the rows that were seen before, while the server is out of reach. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from icworkshop_gui.core.catalog import Facet, PackageSummary, SearchPage, SearchQuery, Sort

FACETS_MAX = 50

_ORDER: dict[Sort, Callable[[PackageSummary], tuple[Any, ...]]] = {
    Sort.RELEVANCE: lambda row: (-row.downloads, row.package),
    Sort.POPULAR: lambda row: (-row.downloads, row.package),
    Sort.NEWEST: lambda row: (-row.published_at, row.package),
    Sort.UPDATED: lambda row: (-row.updated_at, row.package),
    Sort.NAME: lambda row: (row.title.casefold(), row.package),
    Sort.SIZE: lambda row: (-row.size, row.package),
    Sort.AUTHOR: lambda row: (row.package.publisher, row.title.casefold(), row.package),
}


def matches(row: PackageSummary, query: SearchQuery) -> bool:
    """Does the row pass every filter, and does each word of the text begin or stand in one of its fields?"""
    if query.category and row.category != query.category:
        return False
    if not set(query.tags) <= set(row.tags):
        return False
    if query.licenses and row.license not in query.licenses:
        return False
    if query.publisher and row.package.publisher != query.publisher:
        return False
    if query.game_module and row.game_module != query.game_module:
        return False
    if query.platform and row.platforms and query.platform not in row.platforms:
        return False
    hay = " ".join((str(row.package), row.title, row.summary, *row.tags)).casefold()
    return all(word in hay for word in query.text.casefold().split())


def search_offline(rows: Iterable[PackageSummary], query: SearchQuery) -> SearchPage:
    """One page, marked stale. The cursor is the number of rows already shown."""
    found = sorted((row for row in rows if matches(row, query)), key=_ORDER[query.sort])
    start = int(query.cursor) if query.cursor.isascii() and query.cursor.isdigit() and len(query.cursor) < 8 else 0
    end = start + query.limit

    def facets(counts: Counter[str]) -> tuple[Facet, ...]:
        return tuple(Facet(value, count) for value, count in counts.most_common(FACETS_MAX))

    return SearchPage(
        items=tuple(found[start:end]),
        total=len(found),
        next_cursor=str(end) if end < len(found) else "",
        categories=facets(Counter(row.category for row in found if row.category)),
        tags=facets(Counter(tag for row in found for tag in row.tags)),
        licenses=facets(Counter(row.license for row in found if row.license)),
        stale=True,
    )
