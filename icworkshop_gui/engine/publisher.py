"""Live state turned into frozen deltas: only what changed, at most four a second, nothing when nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.snapshots import (
    EngineTotals,
    LibraryEntry,
    SnapshotDelta,
    SubscriptionSnapshot,
    TransferDetail,
    TransferSnapshot,
)

K = TypeVar("K")
V = TypeVar("V")

INTERVAL = 0.25
"""Seconds between two deltas (DESIGN §7: what crosses to the GUI is batched, at most 4 times a second)."""


class View(Protocol):
    """What the publisher may ask of the session."""

    def totals(self) -> EngineTotals: ...

    def lively_transfers(self) -> Iterable[TransferId]:
        """Those that change by themselves and are to be looked at now."""
        ...

    def transfer_snapshot(self, transfer_id: TransferId) -> TransferSnapshot | None:
        """None when it is gone."""
        ...

    def library_refs(self) -> Iterable[PackageRef]: ...

    def library_entry(self, ref: PackageRef) -> LibraryEntry | None:
        """None when it is gone."""
        ...

    def setting_texts(self) -> tuple[tuple[str, str], ...]: ...

    def watched_detail(self) -> TransferDetail | None: ...

    def subscription_snapshots(self) -> tuple[SubscriptionSnapshot, ...]: ...


class Publisher:
    """Compares what is with what was told. Driven by the session's tick; holds no timer of its own.

    Looks only at what was touched and at what changes by itself: a thousand packages at rest cost nothing.
    """

    def __init__(self, view: View, tell: Callable[[SnapshotDelta | Event], None]) -> None:
        self._view = view
        self._tell = tell
        self._transfers: dict[TransferId, TransferSnapshot] = {}
        self._library: dict[PackageRef, LibraryEntry] = {}
        self._settings: dict[str, str] = {}
        self._totals: EngineTotals | None = None
        self._detail: TransferDetail | None = None
        # Ordered, unlike sets: runs must repeat exactly.
        self._touched: dict[TransferId, None] = {}
        self._touched_entries: dict[PackageRef, None] = {}
        self._touched_settings = True
        self._subscriptions: tuple[SubscriptionSnapshot, ...] = ()
        self._touched_subscriptions = True

    def touch(self, transfer: TransferId) -> None:
        """Something of it may have changed, or it came or went."""
        self._touched[transfer] = None

    def touch_entry(self, ref: PackageRef) -> None:
        self._touched_entries[ref] = None

    def touch_library(self) -> None:
        """Any of it may have changed."""
        self._touched_entries.update(dict.fromkeys(self._library))
        self._touched_entries.update(dict.fromkeys(self._view.library_refs()))

    def touch_settings(self) -> None:
        self._touched_settings = True

    def touch_subscriptions(self) -> None:
        self._touched_subscriptions = True

    def everything(self) -> SnapshotDelta:
        """The first delta of a new subscriber."""
        self.publish()
        return SnapshotDelta(
            totals=self._totals or self._view.totals(),
            transfers=tuple(self._transfers.values()),
            library=tuple(self._library.values()),
            settings=tuple(self._settings.items()),
            detail=self._detail,
            subscriptions=self._subscriptions,
        )

    def publish(self) -> None:
        """Tell what changed since the last time, if anything did."""
        self._touched.update(dict.fromkeys(self._view.lively_transfers()))
        transfers, gone_transfers = _news(self._touched, self._view.transfer_snapshot, self._transfers)
        # An entry of the library shows what its transfer has given.
        self._touched_entries.update(dict.fromkeys(item.ref for item in transfers if item.ref is not None))
        library, gone_library = _news(self._touched_entries, self._view.library_entry, self._library)
        self._touched, self._touched_entries = {}, {}
        settings: tuple[tuple[str, str], ...] = ()
        if self._touched_settings:
            self._touched_settings = False
            settings = tuple(item for item in self._view.setting_texts() if self._settings.get(item[0]) != item[1])
            self._settings.update(settings)
        subscriptions = self._news_of_subscriptions()
        totals = self._view.totals()
        detail = self._view.watched_detail()
        changed = bool(
            transfers
            or gone_transfers
            or library
            or gone_library
            or settings
            or subscriptions is not None
            or detail != self._detail
            or self._totals is None
            or _facts(totals) != _facts(self._totals)
        )
        self._totals, self._detail = totals, detail
        if changed:
            self._tell(
                SnapshotDelta(
                    totals=totals,
                    transfers=transfers,
                    gone_transfers=gone_transfers,
                    library=library,
                    gone_library=gone_library,
                    settings=settings,
                    detail=detail,
                    subscriptions=subscriptions,
                )
            )

    def _news_of_subscriptions(self) -> tuple[SubscriptionSnapshot, ...] | None:
        """None when they are as they were."""
        if not self._touched_subscriptions:
            return None
        self._touched_subscriptions = False
        now = self._view.subscription_snapshots()
        if now == self._subscriptions:
            return None
        self._subscriptions = now
        return now

    def tell(self, event: Event) -> None:
        """An event goes out at once, after the facts that led to it."""
        self.publish()
        self._tell(event)


def _news(
    touched: Iterable[K], look: Callable[[K], V | None], known: dict[K, V]
) -> tuple[tuple[V, ...], tuple[K, ...]]:
    """What is new or changed among `touched`, and what is gone; `known` is brought up to date."""
    changed: list[V] = []
    gone: list[K] = []
    for key in touched:
        now = look(key)
        if now is None:
            if known.pop(key, None) is not None:
                gone.append(key)
        elif known.get(key) != now:
            known[key] = now
            changed.append(now)
    return tuple(changed), tuple(gone)


def _facts(totals: EngineTotals) -> tuple[object, ...]:
    """Everything but the clock, which always changes."""
    return tuple(getattr(totals, name) for name in EngineTotals.__dataclass_fields__ if name != "now")
