"""One catalog over every configured source; a source that fails costs only its own rows.

Which source a package comes from is never a matter of luck: the first in order that has it. One before it that does not
answer, or cannot be believed, ends the search, since it may have another package of this name: whoever can silence a
source must not be able to put a package of the same name in its place (ic-workshop.md §3.7, "Multi-source").
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from icworkshop_gui.core.catalog import (
    Facet,
    FileEntry,
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    Release,
    SearchPage,
    SearchQuery,
    Sort,
)
from icworkshop_gui.core.errors import DISTRUST, IntegrityError, NotFound, RegistryError, UserError
from icworkshop_gui.engine.api.snapshots import Connection, SourceState
from icworkshop_gui.registry.freshness import judge_releases
from icworkshop_gui.registry.seen import Seen
from icworkshop_gui.registry.source import Source, display_address

log = logging.getLogger("icw.catalog")
R = TypeVar("R")

CHECK_SECONDS = 30.0
"""How often servers are asked whether they are there, so that the status strip tells the truth."""
NO_SOURCE = "No Workshop server is set up. Add one under Settings, Sources."


class Catalog:
    """The sources in order of importance, and what each said last."""

    def __init__(self, open_source: Callable[[str], Source], seen: Seen | None = None) -> None:
        """`open_source` raises ValueError for what is no address."""
        self._open_source = open_source
        self._seen = Seen(None) if seen is None else seen
        self._sources: dict[str, Source] = {}
        self._states: dict[str, SourceState] = {}

    @property
    def states(self) -> tuple[SourceState, ...]:
        return tuple(self._states.values())

    @property
    def connection(self) -> Connection:
        if not self._states:
            return Connection.OFFLINE
        if any(state.ok for state in self._states.values()):
            return Connection.CONNECTED
        starting = any(not state.message for state in self._states.values())
        return Connection.STARTING if starting else Connection.OFFLINE

    def add(self, url: str) -> None:
        if url not in self._sources:
            self._sources[url] = self._open_source(url)
            self._states[url] = SourceState(url=url, place=display_address(url))

    def remove(self, url: str) -> None:
        """What it said before is forgotten."""
        self._sources.pop(url, None)
        self._states.pop(url, None)
        self._seen.forget(url)

    def move(self, url: str, position: int) -> None:
        """To this place, 0 being the most important. NotFound."""
        if url not in self._sources:
            raise NotFound(f"{display_address(url)} is not one of your sources.")
        order = [other for other in self._sources if other != url]
        order.insert(max(0, min(position, len(order))), url)
        self._sources = {other: self._sources[other] for other in order}
        self._states = {other: self._states[other] for other in order}

    def source(self, url: str) -> Source:
        """Also one that is not (any more) searched: what was begun there goes on. ValueError for no address."""
        return self._sources.get(url) or self._open_source(url)

    async def check(self, url: str) -> str:
        """Ask a source who it is; its name. RegistryError when it is none or does not answer."""
        return (await self.source(url).server()).name

    async def refresh(self) -> None:
        """Ask every server whether it is there."""
        await asyncio.gather(*(self._refresh_one(url) for url in tuple(self._sources)))

    async def _refresh_one(self, url: str) -> None:
        try:
            name = await self.check(url)
        except RegistryError as error:
            self._note(url, error)
        else:
            self._note(url, None, name)

    def _note(self, url: str, error: RegistryError | None, name: str = "") -> None:
        old = self._states.get(url)
        if old is None:
            return  # removed while it was asked
        if error is None:
            self._states[url] = replace(old, name=name or old.name, ok=True, message="", distrusted=False)
        else:
            self._states[url] = replace(old, ok=False, message=error.message, distrusted=error.code in DISTRUST)

    def _note_answer(self, url: str, stale: bool) -> None:
        """It answered, or what it had said before did."""
        silence = RegistryError("unreachable", f"{self.name_of(url)} does not answer.")
        self._note(url, silence if stale else None)

    async def search(self, query: SearchQuery) -> SearchPage:
        """One page of all sources; rows of an earlier source hide the same package of a later one."""
        cursors = _read_cursor(query.cursor)
        asked = [url for url in self._sources if cursors is None or url in cursors]
        if not self._sources:
            raise UserError(NO_SOURCE)

        async def ask(url: str) -> SearchPage:
            cursor = "" if cursors is None else cursors[url]
            return await self._sources[url].search(replace(query, cursor=cursor))

        pages = await self._gather(asked, ask)
        if not pages:
            raise self._worst()
        if len(pages) == 1 and len(self._sources) == 1:
            ((url, page),) = pages.items()
            return _page(page.items, [page], {url: page.next_cursor})
        items = _merge(query, [page.items for page in pages.values()])
        return _page(items, list(pages.values()), {url: page.next_cursor for url, page in pages.items()})

    async def package(self, package: PackageId, version: str = "", *, files: bool = False) -> tuple[PackageDetail, str]:
        """The page of a package and the source it comes from; with the list of its files, which is most of it, on wish.

        From the first source that has it. RegistryError when one before it does not answer or cannot be believed;
        NotFound when no source has it.
        """
        if not self._sources:
            raise UserError(NO_SOURCE)
        for url in tuple(self._sources):
            try:
                return await self._ask(url, package, version, files=files), url
            except NotFound:
                continue
            except RegistryError as error:
                if len(self._sources) == 1:
                    raise
                is_last = url == tuple(self._sources)[-1]
                why = error.message if error.code in DISTRUST else f"{self.name_of(url)} does not answer"
                if is_last:
                    why = f"{why.rstrip('.')}. None of your other sources has {package}."
                else:
                    why = (
                        f"{why.rstrip('.')}. It comes before your other sources, so {package} is not taken from one of "
                        "them meanwhile: it might be another package of the same name. Try again later, or change your "
                        "sources (Settings, Sources, or `icworkshop source`)."
                    )
                raise RegistryError(error.code, why) from error
        what = f"{package}@{version}" if version else str(package)
        raise NotFound(f"{what} is not in the Workshop. Check the spelling, or search for it.")

    async def package_in_order(self, package: PackageId) -> tuple[PackageDetail, str]:
        """As `package`, the newest and without files."""
        return await self.package(package)

    async def package_at(self, source: str, package: PackageId) -> PackageDetail:
        """From this source and no other; NotFound, RegistryError."""
        return await self._ask(source, package, "", files=False)

    async def _ask(self, url: str, package: PackageId, version: str, *, files: bool) -> PackageDetail:
        """What a source says, held against what it said before."""
        source = self.source(url)
        try:
            detail = await source.package(package, version, files=files)
            if not detail.stale:
                await asyncio.to_thread(self._hold_to_its_word, source, detail)
        except NotFound:
            self._note(url, None)
            raise
        except RegistryError as error:
            self._note(url, error)
            raise
        self._note_answer(url, detail.stale)
        return detail

    def _hold_to_its_word(self, source: Source, detail: PackageDetail) -> None:
        package = detail.release.ref.package
        shown = [(r.ref.version, r.sha256) for r in (*detail.versions, detail.release) if r.ref.package == package]
        seen = self._seen.releases(source.address, package)
        judge_releases(self.name_of(source.address), str(package), seen, shown, keeps_all=source.keeps_all)
        fresh = [(version, sha256) for version, sha256 in shown if version not in seen]
        if fresh:
            self._seen.remember_releases(source.address, package, fresh)

    def said_of(self, url: str, ref: PackageRef) -> str:
        """Blocks for a moment: the SHA-256 (hex) that this source named for a release; empty when it was not asked."""
        return self._seen.releases(url, ref.package).get(ref.version, "")

    def name_of(self, url: str) -> str:
        """For people."""
        state = self._states.get(url)
        return (state.name if state is not None else "") or display_address(url)

    async def agree(self, chosen: Iterable[tuple[Release, str]]) -> None:
        """Before these are installed, each from its source: does another source have other content under the same name
        and version? RegistryError says which two, since one of them must be wrong.
        """
        await asyncio.gather(*(self._agree(release, source) for release, source in chosen))

    async def _agree(self, release: Release, source: str) -> None:
        for url in tuple(self._sources):
            state = self._states.get(url)
            if url == source or (state is not None and state.message):
                continue  # what does not answer has no say
            try:
                detail = await self._ask(url, release.ref.package, "", files=False)
            except (NotFound, RegistryError):
                continue
            for other in (*detail.versions, detail.release):
                if other.ref == release.ref and other.sha256 != release.sha256:
                    raise RegistryError(
                        "contradiction",
                        f"Two of your sources have different content for {release.ref}: {self.name_of(source)} "
                        f"({release.sha256[:12]}…) and {self.name_of(url)} ({other.sha256[:12]}…). One of them is not "
                        "to be trusted, so nothing was installed. Remove that one (Settings, Sources, or `icworkshop "
                        "source remove`), or install from a lock file, which names its sources.",
                    )

    async def release_at(self, source: str, ref: PackageRef) -> PackageDetail:
        """From this source and no other. NotFound, RegistryError."""
        return await self._ask(source, ref.package, ref.version, files=True)

    async def files(self, source: str, ref: PackageRef) -> tuple[FileEntry, ...]:
        """Of one release, from this source. NotFound, RegistryError."""
        return (await self.release_at(source, ref)).release.files

    async def preview(self, package: PackageId, version: str, sha256: str) -> bytes:
        """The picture; NotFound when no source has it."""
        for source in tuple(self._sources.values()):
            try:
                return await source.preview(_ref(package, version), sha256)
            except (RegistryError, NotFound, IntegrityError) as error:
                log.debug("event=no-preview package=%s: %s", package, error)
        raise NotFound(f"No picture of {package} can be had.")

    async def _gather(self, urls: Iterable[str], ask: Callable[[str], Awaitable[R]]) -> dict[str, R]:
        async def one(url: str) -> tuple[str, R] | None:
            try:
                answer = await ask(url)
            except RegistryError as error:
                self._note(url, error)
                return None
            self._note_answer(url, isinstance(answer, SearchPage) and answer.stale)
            return url, answer

        answers = await asyncio.gather(*(one(url) for url in urls))
        return dict(answer for answer in answers if answer is not None)

    def _worst(self) -> RegistryError:
        messages = [state.message for state in self._states.values() if state.message]
        return RegistryError("unreachable", messages[0] if messages else "No Workshop server answers.")


def _read_cursor(text: str) -> dict[str, str] | None:
    """Our own cursor: source → its cursor; None for the first page. UserError when it is not ours."""
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise UserError("That page of results is gone. Search again.")
    return value


def _page(items: tuple[PackageSummary, ...], pages: list[SearchPage], cursors: dict[str, str]) -> SearchPage:
    more = {url: cursor for url, cursor in cursors.items() if cursor}
    return SearchPage(
        items=items,
        total=sum(page.total for page in pages),
        next_cursor=json.dumps(more) if more else "",
        categories=_add(page.categories for page in pages),
        tags=_add(page.tags for page in pages),
        licenses=_add(page.licenses for page in pages),
        close_matches=all(page.close_matches for page in pages),
        stale=any(page.stale for page in pages),
    )


def _add(columns: Iterable[tuple[Facet, ...]]) -> tuple[Facet, ...]:
    counts: dict[str, int] = {}
    for column in columns:
        for facet in column:
            counts[facet.value] = counts.get(facet.value, 0) + facet.rows
    return tuple(Facet(value, rows) for value, rows in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _merge(query: SearchQuery, columns: list[tuple[PackageSummary, ...]]) -> tuple[PackageSummary, ...]:
    seen: set[PackageId] = set()
    rows: list[PackageSummary] = []
    for column in columns:
        for row in column:
            if row.package not in seen:
                seen.add(row.package)
                rows.append(row)
    match query.sort:
        case Sort.NEWEST:
            rows.sort(key=lambda row: -row.published_at)
        case Sort.UPDATED:
            rows.sort(key=lambda row: -row.updated_at)
        case Sort.NAME:
            rows.sort(key=lambda row: row.title.casefold())
        case Sort.SIZE:
            rows.sort(key=lambda row: -row.size)
        case Sort.AUTHOR:
            rows.sort(key=lambda row: (row.package.publisher, row.title.casefold()))
        case Sort.POPULAR:
            rows.sort(key=lambda row: -row.downloads)
        case Sort.RELEVANCE:
            pass  # each source ranks by its own measure: its order, the more important source first
    return tuple(rows)


def _ref(package: PackageId, version: str) -> PackageRef:
    return PackageRef(package.publisher, package.name, version)
