"""Rows of a catalog made from manifests, where no server makes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from icworkshop_gui.core.catalog import PackageSummary, SearchPage, SearchQuery
from icworkshop_gui.formats.manifest import Manifest
from icworkshop_gui.registry.offline import search_offline
from icworkshop_gui.registry.schema import clean_line


def summary_of(
    manifest: Manifest, *, size: int, published_at: float = 0.0, updated_at: float = 0.0, preview_sha256: str = ""
) -> PackageSummary:
    """A row; what a stranger wrote is cleaned of what hides or turns text."""
    return PackageSummary(
        package=manifest.ref.package,
        version=manifest.ref.version,
        title=clean_line(manifest.title) or manifest.ref.name,
        summary=clean_line(manifest.summary_line),
        category=clean_line(manifest.category),
        tags=manifest.tags,
        license=manifest.license,
        size=size,
        published_at=published_at,
        updated_at=updated_at,
        preview_sha256=preview_sha256,
        game_module=clean_line(manifest.game_module),
        platforms=manifest.platforms,
    )


def search_listed(rows: Iterable[PackageSummary], query: SearchQuery) -> SearchPage:
    """One page of all the rows that there are."""
    return replace(search_offline(rows, query), stale=False)
