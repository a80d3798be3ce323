"""One catalog over every configured Workshop server; a server that fails costs only its own rows."""

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
    SearchPage,
    SearchQuery,
    Sort,
)
from icworkshop_gui.core.errors import IntegrityError, NotFound, RegistryError, UserError
from icworkshop_gui.engine.api.snapshots import Connection, SourceState
from icworkshop_gui.registry.client import RegistryClient

log = logging.getLogger("icw.catalog")
R = TypeVar("R")

CHECK_SECONDS = 30.0
"""How often servers are asked whether they are there, so that the status strip tells the truth."""
NO_SOURCE = "No Workshop server is set up. Add one under Settings, Sources."


class Catalog:
    """The sources in order of importance, and what each said last."""

    def __init__(self, make_client: Callable[[str], RegistryClient]) -> None:
        self._make_client = make_client
        self._clients: dict[str, RegistryClient] = {}
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
        if url not in self._clients:
            self._clients[url] = self._make_client(url)
            self._states[url] = SourceState(url=url)

    def remove(self, url: str) -> None:
        self._clients.pop(url, None)
        self._states.pop(url, None)

    def client(self, url: str) -> RegistryClient:
        """Also of a source that is not (any more) searched: what was begun there goes on. ValueError for no URL."""
        return self._clients.get(url) or self._make_client(url)

    async def check(self, url: str) -> str:
        """Ask a server who it is; its name. RegistryError when it is none or does not answer."""
        client = self._clients.get(url) or self._make_client(url)
        return (await client.server()).name

    async def refresh(self) -> None:
        """Ask every server whether it is there."""
        await asyncio.gather(*(self._refresh_one(url) for url in tuple(self._clients)))

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
            self._states[url] = SourceState(url=url, name=name or old.name, ok=True)
        else:
            self._states[url] = SourceState(url=url, name=old.name, message=error.message)

    async def search(self, query: SearchQuery) -> SearchPage:
        """One page of all sources; rows of an earlier source hide the same package of a later one."""
        cursors = _read_cursor(query.cursor)
        asked = [url for url in self._clients if cursors is None or url in cursors]
        if not self._clients:
            raise UserError(NO_SOURCE)

        async def ask(url: str) -> SearchPage:
            cursor = "" if cursors is None else cursors[url]
            return await self._clients[url].search(replace(query, cursor=cursor))

        pages = await self._gather(asked, ask)
        if not pages:
            raise self._worst()
        if len(pages) == 1 and len(self._clients) == 1:
            ((url, page),) = pages.items()
            return _page(page.items, [page], {url: page.next_cursor})
        items = _merge(query, [page.items for page in pages.values()])
        return _page(items, list(pages.values()), {url: page.next_cursor for url, page in pages.items()})

    async def package(self, package: PackageId, version: str = "", *, files: bool = False) -> tuple[PackageDetail, str]:
        """The page of a package and the source it comes from; with the list of its files, which is most of it, on wish.

        NotFound when no source has it.
        """
        if not self._clients:
            raise UserError(NO_SOURCE)
        missing = 0
        for url, client in tuple(self._clients.items()):
            try:
                detail = await client.package(package, version, files=files)
            except NotFound:
                missing += 1
                self._note(url, None)
            except RegistryError as error:
                self._note(url, error)
            else:
                self._note(url, None)
                return detail, url
        if missing:
            what = f"{package}@{version}" if version else str(package)
            raise NotFound(f"{what} is not in the Workshop. Check the spelling, or search for it.")
        raise self._worst()

    async def package_in_order(self, package: PackageId) -> tuple[PackageDetail, str]:
        """From the first source that has it; RegistryError when one before it does not answer, since that one may
        have another package of this name.
        """
        if not self._clients:
            raise UserError(NO_SOURCE)
        for url in tuple(self._clients):
            try:
                return await self.package_at(url, package), url
            except NotFound:
                continue
            except RegistryError as error:
                name = self._states[url].name or url if url in self._states else url
                raise RegistryError(
                    error.code,
                    f"{name} does not answer, and comes before the other Workshop servers. {package} is not taken from "
                    "another one meanwhile: it might be another package of the same name. Try again later, or remove "
                    "that server under Settings, Sources.",
                ) from error
        raise NotFound(f"{package} is not in the Workshop. Check the spelling, or search for it.")

    async def package_at(self, source: str, package: PackageId) -> PackageDetail:
        """From this source and no other; NotFound, RegistryError."""
        try:
            detail = await self.client(source).package(package, files=False)
        except NotFound:
            self._note(source, None)
            raise
        except RegistryError as error:
            self._note(source, error)
            raise
        self._note(source, None)
        return detail

    async def release_at(self, source: str, ref: PackageRef) -> PackageDetail:
        """From this source and no other. NotFound, RegistryError."""
        return await self.client(source).package(ref.package, ref.version)

    async def files(self, source: str, ref: PackageRef) -> tuple[FileEntry, ...]:
        """Of one release, from this source. NotFound, RegistryError."""
        return (await self.release_at(source, ref)).release.files

    async def preview(self, package: PackageId, version: str, sha256: str) -> bytes:
        """The picture; NotFound when no source has it."""
        for client in tuple(self._clients.values()):
            try:
                return await client.preview(_ref(package, version), sha256)
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
            self._note(url, None)
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
