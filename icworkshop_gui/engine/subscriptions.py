"""What the player follows: looked after once a day, fetched in the background, and put beside what is in use.

Nothing is activated here: a staged release is whole and verified in the store, shared like any other, and invisible to
the game until the player clicks (DESIGN §4.11).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef, SearchQuery, is_segment, version_key
from icworkshop_gui.core.errors import NotFound, UserError, WorkshopError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.subscription import Subscription, SubscriptionKind
from icworkshop_gui.engine.api.events import EngineFault
from icworkshop_gui.engine.api.snapshots import SubscriptionSnapshot
from icworkshop_gui.engine.following import news
from icworkshop_gui.store.subscriptions import load_subscriptions, save_subscriptions

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session
    from icworkshop_gui.engine.transfer import Transfer

log = logging.getLogger("icw.subscriptions")

SUBSCRIPTIONS_MAX = 500
ROWS_MAX = 2_000
"""Packages of one publisher, or members of one collection, that are looked at."""
PAGE_ROWS = 200
TICK_SECONDS = 60.0
"""Between two looks at whether a subscription's day is over."""

Key = tuple[SubscriptionKind, str]


class Subscriptions:
    """Everything runs on the engine's loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._path = session.store.paths.root / "subscriptions.json"
        self._all: dict[Key, Subscription] = {}
        self._messages: dict[Key, str] = {}
        """Why the last look at one was not answered."""
        self._busy = asyncio.Lock()

    async def load(self) -> None:
        found, notice = await self._session.in_disk(lambda: load_subscriptions(self._path))
        if notice:
            self._session.tell(EngineFault(message=notice, detail=""))
        self._all = {(item.kind, item.id): item for item in found}

    async def run(self) -> None:
        """Look whenever the time has come; for ever."""
        async with self._busy:
            owned = {ref for item in self._all.values() for ref in item.staged}
            for transfer in tuple(self._staged()):
                if transfer.ref is not None and transfer.ref not in owned:
                    await self._discard(transfer.ref)  # the program ended between the two writes
        while True:
            await self.check(only_due=True)
            await asyncio.sleep(TICK_SECONDS)

    # --- looking ---------------------------------------------------------------------------------

    def snapshots(self) -> tuple[SubscriptionSnapshot, ...]:
        return tuple(self._snapshot(key, item) for key, item in self._all.items())

    def _snapshot(self, key: Key, item: Subscription) -> SubscriptionSnapshot:
        staged = [(ref, self._session.transfers.by_ref(ref)) for ref in item.staged]
        found = [(ref, transfer) for ref, transfer in staged if transfer is not None and transfer.record.staged]
        return SubscriptionSnapshot(
            kind=item.kind,
            id=item.id,
            title=item.title,
            since=item.since,
            checked_at=item.checked_at,
            message=self._messages.get(key, ""),
            waiting=tuple(ref for ref, transfer in found if transfer.is_complete and transfer.record.asked),
            coming=tuple(ref for ref, transfer in found if not transfer.is_complete),
        )

    def waiting_for(self, package: PackageId) -> str:
        """The newest version of this package that is staged and complete; empty for none."""
        refs = {ref for item in self._all.values() for ref in item.staged if ref.package == package}
        found = [(ref.version, self._session.transfers.by_ref(ref)) for ref in refs]
        versions = [
            version
            for version, transfer in found
            if transfer is not None and transfer.record.staged and transfer.is_complete
        ]
        return max(versions, key=version_key, default="")

    def _staged(self) -> Iterable[Transfer]:
        return (transfer for transfer in self._session.transfers.all() if transfer.record.staged)

    # --- changing --------------------------------------------------------------------------------

    async def subscribe(self, kind: SubscriptionKind, id: str) -> None:
        """From now on. NotFound when no source knows it; UserError for what is no name."""
        key = kind, _checked(kind, id)
        async with self._busy:
            if key in self._all:
                return
            if len(self._all) >= SUBSCRIPTIONS_MAX:
                raise UserError(f"There are {SUBSCRIPTIONS_MAX} subscriptions already. End some first.")
            title, found = await self._look(kind, id)
            here = self._here(staged=False)
            self._all[key] = Subscription(
                kind=kind,
                id=id,
                title=title,
                since=self._session.world.clock.wall(),
                # What is installed in an older version is news at once; what is not installed only once it changes.
                known={str(package): here.get(package, version) for package, version in found},
            )
            await self._save()

    async def unsubscribe(self, kind: SubscriptionKind, id: str) -> None:
        """What it brought and nobody activated goes. NotFound."""
        async with self._busy:
            item = self._all.pop((kind, id), None)
            if item is None:
                raise NotFound(f"You do not follow {id}.")
            self._messages.pop((kind, id), None)
            kept = {ref for other in self._all.values() for ref in other.staged}
            for ref in item.staged:
                if ref not in kept:
                    await self._discard(ref)
            await self._save()

    async def check(self, *, only_due: bool = False) -> tuple[TransferId, ...]:
        """Ask for news of every subscription (`only_due`: of those whose time has come) and begin to fetch it. What
        fails is told in the snapshot of that subscription, and tried again.
        """
        begun: list[TransferId] = []
        async with self._busy:
            now = self._session.world.clock.wall()
            interval = self._session.settings.optional("workshop.subscription_check_interval")
            for key, item in tuple(self._all.items()):
                is_due = interval is not None and now >= item.checked_at + interval
                if only_due and not is_due:
                    continue
                try:
                    begun += await self._check_one(key, item, now)
                except WorkshopError as error:
                    log.info("event=no-news-of subscription=%s: %s", item.id, error)
                    self._messages[key] = str(error)
                    self._session.publisher.touch_subscriptions()
        return tuple(begun)

    async def _check_one(self, key: Key, item: Subscription, now: float) -> list[TransferId]:
        title, found = await self._look(item.kind, item.id)
        staged = dict.fromkeys(item.staged)
        begun: list[TransferId] = []
        message = ""
        for ref in news(found, item.known, self._here(staged=True)):
            try:
                came = await self._session.transfers.stage(ref.package, ref.version)
            except WorkshopError as error:
                message = f"{ref} cannot be fetched: {error}"
                continue
            for older in [other for other in staged if other.package == ref.package and other != ref]:
                await self._discard(older)
                del staged[older]
            staged.update(dict.fromkeys(came))
            begun += came.values()
        self._messages[key] = message
        self._all[key] = replace(item, title=title or item.title, checked_at=now, staged=tuple(staged))
        await self._save()
        return begun

    async def activate(self, refs: Iterable[PackageRef]) -> tuple[TransferId, ...]:
        """The player's click: these, or all that wait, are installed. NotFound for what does not wait."""
        waiting = {t.ref: t for t in self._staged() if t.ref is not None and t.is_complete}
        chosen = tuple(refs) or tuple(ref for ref, transfer in waiting.items() if transfer.record.asked)
        for ref in chosen:
            if ref not in waiting:
                raise NotFound(f"{ref} does not wait to be activated.")
        if not chosen:
            return ()
        wishes = tuple((ref.package, ref.version) for ref in chosen)
        begun = await self._session.transfers.install(wishes, Tier.USER_REQUESTED)
        self._session.publisher.touch_subscriptions()
        return begun

    # --- asking ----------------------------------------------------------------------------------

    async def _look(self, kind: SubscriptionKind, id: str) -> tuple[str, list[tuple[PackageId, str]]]:
        """Its title, and the newest release of each package that it speaks of. NotFound, RegistryError."""
        catalog = self._session.catalog
        if kind is SubscriptionKind.PUBLISHER:
            return id, await self._by_publisher(id)
        package = PackageId.parse(id)
        detail, _source = await catalog.package(package)
        found = [(package, detail.release.ref.version)]
        if kind is SubscriptionKind.COLLECTION:
            for need in detail.release.dependencies[:ROWS_MAX]:
                member, _source = await catalog.package(need.package)
                found.append((need.package, member.release.ref.version))
        return detail.release.title, found

    async def _by_publisher(self, publisher: str) -> list[tuple[PackageId, str]]:
        found: dict[PackageId, str] = {}
        query = SearchQuery(publisher=publisher, limit=PAGE_ROWS)
        while len(found) < ROWS_MAX:
            page = await self._session.catalog.search(query)
            # A server's filter is the server's word; ours is what counts.
            found.update((row.package, row.version) for row in page.items if row.package.publisher == publisher)
            if not page.next_cursor or not page.items:
                break
            query = replace(query, cursor=page.next_cursor)
        if not found:
            raise NotFound(f"No source has a package by {publisher}. Check the spelling.")
        return list(found.items())

    def _here(self, *, staged: bool) -> dict[PackageId, str]:
        """The newest version of each package that is installed, or staged too."""
        refs = list(self._session.library.refs())
        if staged:
            refs += [transfer.ref for transfer in self._staged() if transfer.ref is not None]
        found: dict[PackageId, str] = {}
        for ref in sorted(refs, key=lambda ref: version_key(ref.version)):
            found[ref.package] = ref.version
        return found

    async def _discard(self, ref: PackageRef) -> None:
        """A staged release that nobody activated goes, with its bytes."""
        transfer = self._session.transfers.by_ref(ref)
        if transfer is not None and transfer.record.staged:
            await self._session.transfers.cancel(transfer.id, delete=True)
            if ref not in self._session.library and transfer.is_complete:
                await self._session.library.purge(ref)

    async def _save(self) -> None:
        items = tuple(self._all.values())
        await self._session.in_disk(lambda: save_subscriptions(self._path, items))
        self._session.publisher.touch_subscriptions()


def _checked(kind: SubscriptionKind, id: str) -> str:
    """UserError when this is no name of that kind."""
    if kind is SubscriptionKind.PUBLISHER:
        if not is_segment(id):
            raise UserError(f"A publisher is named like mapsmith, not {id[:80]!r}.")
        return id
    try:
        return str(PackageId.parse(id))
    except ValueError as error:
        raise UserError(f"{error}.") from None
