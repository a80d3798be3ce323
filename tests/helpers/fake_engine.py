"""An engine without a network: canned content, plausible answers, a record of every wish.

It passes the same contract suite as the real one (tests/contracts/test_facade.py). It has no thread: facts are told on
the thread that caused them, before the call returns, so that a test may assert right after a click.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import bencode2

from icworkshop_gui.core.catalog import Facet, PackageId, PackageRef, PackageSummary, SearchPage, SearchQuery, Sort
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound, UserError, WorkshopError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import Event, PackageRemoved, TransferAdded
from icworkshop_gui.engine.api.facade import Subscriber
from icworkshop_gui.engine.api.settings import BY_KEY, SETTINGS, parse_rate
from icworkshop_gui.engine.api.snapshots import (
    EngineTotals,
    EngineView,
    Hold,
    LibraryEntry,
    LimitCause,
    Reason,
    SnapshotDelta,
    SourceState,
    SubscriptionSnapshot,
    TransferSnapshot,
    TransferState,
)
from icworkshop_gui.engine.torrents import magnet_facts, torrent_facts
from tests.helpers import sample_content as sample
from tests.helpers.fake_plans import plan_install, plan_removal

R = TypeVar("R")
_RATES = {"workshop.p2p.max_download_speed": "limit_down", "workshop.p2p.max_upload_speed": "limit_up"}


def _facets(values: Iterable[str]) -> tuple[Facet, ...]:
    return tuple(Facet(value, rows) for value, rows in Counter(values).most_common())


class FakeEngine:
    """Implements EngineFacade. `commands` is what was asked for, oldest first."""

    def __init__(
        self,
        *,
        transfers: Iterable[TransferSnapshot] = (),
        library: Iterable[LibraryEntry] = (),
        catalog: Iterable[PackageSummary] = (),
        totals: EngineTotals | None = None,
    ) -> None:
        self.commands: list[c.Command[Any]] = []
        self.catalog: list[PackageSummary] = list(catalog)
        self.closed = False
        self.previews: dict[str, bytes] = {}
        self._view = EngineView(totals=totals or EngineTotals())
        self._view.transfers = {transfer.id: transfer for transfer in transfers}
        self._view.library = {entry.ref: entry for entry in library}
        self._view.settings = {setting.key: setting.default for setting in SETTINGS}
        self._subscribers: list[Subscriber] = []
        self._refusals: dict[type[c.Command[Any]], Exception] = {}
        self._canned: dict[type[c.Command[Any]], object] = {}
        self._held: dict[type[c.Command[Any]], list[tuple[c.Command[Any], Future[Any]]]] = {}
        self._watched: TransferId | None = None
        self._cancelled: dict[TransferId, TransferSnapshot] = {}
        self._removed: dict[PackageRef, LibraryEntry] = {}
        self._serial = 0

    @classmethod
    def full(cls) -> FakeEngine:
        """The canned world of the drawings."""
        return cls(transfers=sample.TRANSFERS, library=sample.LIBRARY, catalog=sample.CATALOG, totals=sample.TOTALS)

    # --- EngineFacade ----------------------------------------------------------------------------

    def submit(self, command: c.Command[R]) -> Future[R]:
        future: Future[R] = Future()
        if self.closed:
            future.set_exception(UserError("The engine is closed."))
            return future
        self.commands.append(command)
        if type(command) in self._held:
            self._held[type(command)].append((command, future))
        else:
            self._resolve(command, future)
        return future

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        self._subscribers.append(callback)
        callback(self._everything())

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def close(self, timeout: float = 10.0) -> None:
        self.closed = True
        for waiting in self._held.values():
            for _command, future in waiting:
                future.set_exception(UserError("The engine is closed."))
        self._held.clear()

    # --- what a test may do to it ------------------------------------------------------------------

    @property
    def view(self) -> EngineView:
        return self._view

    def last(self, kind: type[R]) -> R:
        """The newest command of this type; AssertionError when there was none."""
        for command in reversed(self.commands):
            if isinstance(command, kind):
                return command
        raise AssertionError(f"no {kind.__name__} in {self.commands}")

    def refuse(self, kind: type[c.Command[Any]], error: Exception) -> None:
        """From now on, commands of this type fail with this error."""
        self._refusals[kind] = error

    def answer(self, kind: type[c.Command[R]], value: R) -> None:
        """From now on, commands of this type are answered so, and nothing else happens."""
        self._canned[kind] = value

    def accept(self, kind: type[c.Command[Any]]) -> None:
        """Undo `refuse`."""
        self._refusals.pop(kind, None)

    def hold(self, kind: type[c.Command[Any]]) -> None:
        """From now on, commands of this type wait for `release`."""
        self._held.setdefault(kind, [])

    def release(self, kind: type[c.Command[Any]]) -> None:
        """Answer what waits and hold no more."""
        for command, future in self._held.pop(kind, []):
            self._resolve(command, future)

    def tell(self, event: Event) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(event)

    def push(self, delta: SnapshotDelta) -> None:
        self._view.apply(delta)
        for subscriber in tuple(self._subscribers):
            subscriber(delta)

    def publish(
        self,
        *,
        transfers: Iterable[TransferSnapshot] = (),
        gone_transfers: Iterable[TransferId] = (),
        library: Iterable[LibraryEntry] = (),
        gone_library: Iterable[PackageRef] = (),
        settings: Iterable[tuple[str, str]] = (),
        **totals: Any,
    ) -> None:
        """A delta; keyword arguments of EngineTotals change the totals."""
        watched = self._view.transfers.get(self._watched) if self._watched is not None else None
        fresh = tuple(transfers)
        for transfer in fresh:
            if transfer.id == self._watched:
                watched = transfer
        self.push(
            SnapshotDelta(
                totals=dataclasses.replace(self._view.totals, **totals),
                transfers=fresh,
                gone_transfers=tuple(gone_transfers),
                library=tuple(library),
                gone_library=tuple(gone_library),
                settings=tuple(settings),
                detail=sample.detail_for(watched) if watched is not None else None,
            )
        )

    def change(self, transfer_id: TransferId, **changes: Any) -> None:
        """Publish one transfer with these fields changed."""
        self.publish(transfers=(dataclasses.replace(self._transfer(transfer_id), **changes),))

    # --- answers -----------------------------------------------------------------------------------

    def _plan_update(self, package: PackageId) -> c.UpdatePlan:
        """A third of it must come."""
        entry = next(entry for ref, entry in self._view.library.items() if ref.package == package and entry.update_to)
        to_fetch = entry.size // 3
        self.publish(library=[dataclasses.replace(entry, update_bytes=to_fetch)])
        newer = entry.ref._replace(version=entry.update_to)
        return c.UpdatePlan(
            installed=entry.ref, ref=newer, size=entry.size, to_fetch=to_fetch, here=entry.size - to_fetch
        )

    def _resolve(self, command: c.Command[R], future: Future[R]) -> None:
        try:
            refusal = self._refusals.get(type(command))
            if refusal is not None:
                raise refusal
            canned = self._canned.get(type(command))
            answer: Any = self._carry_out(command) if canned is None else canned
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(answer)

    def _carry_out(self, command: c.Command[Any]) -> Any:
        match command:
            case c.Search(query):
                return self._search(query)
            case c.GetPackage() if not self.catalog and not self._view.totals.sources:
                raise UserError("No Workshop server is set up. Add one under Settings, Sources.")
            case c.GetPackage(package, version):
                return sample.detail_of(self._summary(package), version)
            case c.GetPreview(sha256=sha256):
                if sha256 not in self.previews:
                    raise NotFound("There is no picture.")
                return self.previews[sha256]
            case c.Install() | c.AddTorrent():
                return self._add(command)
            case c.ReadTorrent(path):
                return torrent_facts(path)[0]
            case c.ReadMagnet(link):
                return magnet_facts(link)[0]
            case c.AddMagnet(link=link):
                name = magnet_facts(link)[0].name
                self.publish(transfers=(sample.transfer(name, state=TransferState.QUEUED, reason=Reason.METADATA),))
                return TransferId(f"t-{name}")
            case c.PlanInstall(packages):
                return plan_install(self.catalog, self._view.library, packages, self._view.totals.disk_free)
            case c.PlanRemove(refs, keep):
                return plan_removal(self._view.library, refs, keep, self._view.totals.disk_free)
            case c.InstallAll(packages, tier):
                return tuple(self._add(c.Install(package, version, tier)) for package, version in packages)
            case c.AddPeers(transfer) | c.AddWebSeeds(transfer) | c.Recheck(transfer):
                self._transfer(transfer)
            case c.Pause(transfers):
                self._each(transfers, state=TransferState.PAUSED, reason=Reason.USER, rate_down=0, eta=None)
            case c.Resume(transfers):
                self._each(transfers, state=TransferState.DOWNLOADING, reason=Reason.NONE)
            case c.StartNow(transfer):
                self.change(transfer, state=TransferState.DOWNLOADING, reason=Reason.NONE)
            case c.SetTier(transfers, tier):
                for transfer_id in transfers:
                    self._place(self._transfer(transfer_id), tier, self._count(tier))
            case c.Move(transfer, position):
                moved = self._transfer(transfer)
                self._place(moved, moved.tier, position)
            case c.Cancel(transfer):
                self._cancelled[transfer] = self._transfer(transfer)
                self.publish(gone_transfers=(transfer,))
            case c.UndoCancel(transfer):
                if transfer not in self._cancelled:
                    raise NotFound("It is too late to undo.")
                self.publish(transfers=(self._cancelled.pop(transfer),))
            case c.ClearFinished():
                finished = [t for t in self._view.transfers.values() if t.finished_at is not None]
                self.publish(transfers=[dataclasses.replace(t, cleared=True) for t in finished])
            case c.SetTransferLimits(transfer, down, up):
                self.change(transfer, limit_down=down, limit_up=up)
            case c.Watch(transfer):
                self._watched = transfer
                self.publish()
            case c.VerifyPackage(ref):
                found = self._entry(ref)
                self.publish(library=(dataclasses.replace(found, damaged=False),))
                bad = ("data/terrain.bin",) if found.damaged else ()
                return c.VerifyReport(found.files, bad, repaired=bool(bad) and command.repair)
            case c.PlanUpdate(package):
                return self._plan_update(package)
            case c.RemovePackage(ref, force):
                self._remove(ref, force)
            case c.UndoRemove(ref):
                if ref not in self._removed:
                    raise NotFound("It is too late to undo.")
                self.publish(library=(self._removed.pop(ref),))
            case c.SetPackageSharing(ref, sharing):
                self.publish(library=(dataclasses.replace(self._entry(ref), sharing=sharing),))
            case c.Pin(ref, pinned):
                self.publish(library=(dataclasses.replace(self._entry(ref), pinned=pinned),))
            case c.CleanUp(dry_run):
                going = [e for e in self._view.library.values() if e.hold is Hold.UNUSED]
                if not dry_run:
                    self.publish(gone_library=[entry.ref for entry in going])
                rows = tuple((entry.ref, entry.unique) for entry in going)
                return c.CleanUpReport(packages=rows, freed=sum(freed for _ref, freed in rows))
            case c.Subscribe(kind, id):
                if all(row.id != id for row in self._view.subscriptions):
                    self.follow(*self._view.subscriptions, SubscriptionSnapshot(kind=kind, id=id, title=id))
            case c.Unsubscribe(kind, id):
                if all((row.kind, row.id) != (kind, id) for row in self._view.subscriptions):
                    raise NotFound(f"You do not follow {id}.")
                self.follow(*(row for row in self._view.subscriptions if (row.kind, row.id) != (kind, id)))
            case c.CheckSubscriptions():
                return ()
            case c.ActivateStaged(refs):
                chosen = refs or tuple(ref for row in self._view.subscriptions for ref in row.waiting)
                return tuple(self._add(c.Install(ref.package, ref.version)) for ref in chosen)
            case c.SetSetting(key, value):
                self._set(key, value)
            case c.SetSharing(on):
                self.publish(sharing=on, settings=(("workshop.p2p.sharing", str(on).lower()),))
            case c.SetSlowMode(on):
                cause = LimitCause.SLOW if on else LimitCause.SETTINGS
                keys = (
                    ("slow_download_speed", "slow_upload_speed") if on else ("max_download_speed", "max_upload_speed")
                )
                down, up = (self._rate(f"workshop.p2p.{key}") for key in keys)
                self.publish(
                    limit_down=down,
                    limit_up=up,
                    limit_cause=cause,
                    limit_slow=on,
                    settings=(("workshop.p2p.slow_mode", str(on).lower()),),
                )
            case c.AddSource(url):
                self._add_source(url)
            case c.CheckSources():
                return self._view.totals.sources
            case c.MoveSource(url, position):
                moved = [s for s in self._view.totals.sources if s.url == url]
                rest = [s for s in self._view.totals.sources if s.url != url]
                self.publish(sources=(*rest[:position], *moved, *rest[position:]))
            case c.RemoveSource(url):
                self.publish(sources=tuple(s for s in self._view.totals.sources if s.url != url))
            case _:
                raise WorkshopError(f"unknown command {command!r}")
        return None

    def follow(self, *rows: SubscriptionSnapshot) -> None:
        """These, and no others, are followed."""
        self.push(SnapshotDelta(totals=self._view.totals, detail=self._view.detail, subscriptions=rows))

    def _everything(self) -> SnapshotDelta:
        return SnapshotDelta(
            totals=self._view.totals,
            transfers=tuple(self._view.transfers.values()),
            library=tuple(self._view.library.values()),
            settings=tuple(self._view.settings.items()),
            detail=self._view.detail,
            subscriptions=self._view.subscriptions,
        )

    def _transfer(self, transfer_id: TransferId) -> TransferSnapshot:
        if transfer_id not in self._view.transfers:
            raise NotFound(f"There is no transfer {transfer_id}.")
        return self._view.transfers[transfer_id]

    def _entry(self, ref: PackageRef) -> LibraryEntry:
        if ref not in self._view.library:
            raise NotFound(f"{ref} is not installed.")
        return self._view.library[ref]

    def _summary(self, package: object) -> PackageSummary:
        for summary in self.catalog:
            if summary.package == package:
                return summary
        raise NotFound(f"There is no package {package}.")

    def _count(self, tier: Tier) -> int:
        return sum(t.tier is tier for t in self._view.transfers.values())

    def _each(self, transfers: tuple[TransferId, ...], **changes: Any) -> None:
        chosen = [self._transfer(t) for t in transfers] or [
            t for t in self._view.transfers.values() if t.finished_at is None
        ]
        everything = {} if transfers else {"paused_all": changes["state"] is TransferState.PAUSED}
        self.publish(transfers=[dataclasses.replace(t, **changes) for t in chosen], **everything)

    def _place(self, moved: TransferSnapshot, tier: Tier, position: int) -> None:
        others = [t for t in self._view.transfers.values() if t.tier is tier and t.id != moved.id]
        others.sort(key=lambda t: (t.position, t.id))
        others.insert(max(0, min(position, len(others))), moved)
        self.publish(transfers=[dataclasses.replace(t, tier=tier, position=i) for i, t in enumerate(others)])

    def _add(self, command: c.Install | c.AddTorrent) -> TransferId:
        self._serial += 1
        transfer_id = TransferId(f"new-{self._serial}")
        if isinstance(command, c.Install):
            summary = self._summary(command.package)
            name, ref, size, category = summary.title, summary.ref, summary.size, summary.category
            state = TransferState.DOWNLOADING
        else:
            try:
                info = bencode2.bdecode(command.metainfo)[b"info"]
                name, size = info[b"name"].decode(), info[b"length"]
            except Exception as error:
                raise FormatError("not a torrent") from error
            ref, category = None, ""
            state = TransferState.PAUSED if command.paused else TransferState.DOWNLOADING
        if any(t.name == name and t.finished_at is None for t in self._view.transfers.values()):
            raise Conflict(f"{name} is on its way already.")
        self.publish(
            transfers=(
                sample.transfer(
                    name,
                    id=transfer_id,
                    ref=ref,
                    size=size,
                    category=category,
                    tier=command.tier,
                    position=self._count(command.tier),
                    state=state,
                    reason=Reason.USER if state is TransferState.PAUSED else Reason.NONE,
                ),
            )
        )
        self.tell(TransferAdded(id=transfer_id, name=name))
        return transfer_id

    def _remove(self, ref: PackageRef, force: bool) -> None:
        found = self._entry(ref)
        if found.needed_by and not force:
            raise Conflict(f"{', '.join(found.needed_by)} need {found.title}.")
        self._removed[ref] = found
        self.publish(gone_library=(ref,))
        self.tell(PackageRemoved(ref=ref, title=found.title, freed=found.unique))

    def _rate(self, key: str) -> int | None:
        return parse_rate(self._view.settings.get(key, BY_KEY[key].default))

    def _set(self, key: str, value: str) -> None:
        if key not in BY_KEY:
            raise NotFound(f"There is no setting {key}.")
        try:
            parsed = BY_KEY[key].parse(value)
        except ValueError as error:
            raise UserError(str(error)) from None
        totals: dict[str, Any] = {_RATES[key]: parsed} if key in _RATES else {}
        if key == "workshop.p2p.sharing":
            totals["sharing"] = parsed
        self.publish(settings=((key, value),), **totals)

    def _add_source(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UserError("A source is a web address that starts with http:// or https://.")
        sources = tuple(s for s in self._view.totals.sources if s.url != url)
        self.publish(sources=(*sources, SourceState(url=url, name="New Workshop", ok=True)))

    def _search(self, query: SearchQuery) -> SearchPage:
        words = query.text.lower().split()
        rows = [
            row
            for row in self.catalog
            if all(word in f"{row.title} {row.summary} {row.package}".lower() for word in words)
            and query.category in ("", row.category)
            and query.publisher in ("", row.package.publisher)
            and all(tag in row.tags for tag in query.tags)
            and (not query.licenses or row.license in query.licenses)
        ]
        keys: dict[Sort, Callable[[PackageSummary], Any]] = {
            Sort.NAME: lambda row: row.title.lower(),
            Sort.AUTHOR: lambda row: row.package.publisher,
            Sort.SIZE: lambda row: row.size,
            Sort.NEWEST: lambda row: -row.published_at,
            Sort.UPDATED: lambda row: -row.updated_at,
        }
        rows.sort(key=keys.get(query.sort, lambda row: -row.downloads))
        start = int(query.cursor or "0")
        end = start + query.limit
        return SearchPage(
            items=tuple(rows[start:end]),
            total=len(rows),
            next_cursor=str(end) if end < len(rows) else "",
            categories=_facets(row.category for row in rows),
            tags=_facets(tag for row in rows for tag in row.tags),
            licenses=_facets(row.license for row in rows),
        )
