"""Live state turned into frozen deltas: only what changed, at most four a second, nothing when nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.snapshots import (
    EngineTotals,
    LibraryEntry,
    SnapshotDelta,
    TransferDetail,
    TransferSnapshot,
)

INTERVAL = 0.25
"""Seconds between two deltas (DESIGN §7: what crosses to the GUI is batched, at most 4 times a second)."""


class View(Protocol):
    """What the publisher may ask of the session."""

    def totals(self) -> EngineTotals: ...

    def transfer_snapshots(self) -> Iterable[TransferSnapshot]: ...

    def library_entries(self) -> Iterable[LibraryEntry]: ...

    def setting_texts(self) -> tuple[tuple[str, str], ...]: ...

    def watched_detail(self) -> TransferDetail | None: ...


class Publisher:
    """Compares what is with what was told. Driven by the session's tick; holds no timer of its own."""

    def __init__(self, view: View, tell: Callable[[SnapshotDelta | Event], None]) -> None:
        self._view = view
        self._tell = tell
        self._transfers: dict[TransferId, TransferSnapshot] = {}
        self._library: dict[PackageRef, LibraryEntry] = {}
        self._settings: dict[str, str] = {}
        self._totals: EngineTotals | None = None
        self._detail: TransferDetail | None = None

    def everything(self) -> SnapshotDelta:
        """The first delta of a new subscriber."""
        self.publish()
        return SnapshotDelta(
            totals=self._totals or self._view.totals(),
            transfers=tuple(self._transfers.values()),
            library=tuple(self._library.values()),
            settings=tuple(self._settings.items()),
            detail=self._detail,
        )

    def publish(self) -> None:
        """Tell what changed since the last time, if anything did."""
        transfers = {snapshot.id: snapshot for snapshot in self._view.transfer_snapshots()}
        library = {entry.ref: entry for entry in self._view.library_entries()}
        settings = dict(self._view.setting_texts())
        totals = self._view.totals()
        detail = self._view.watched_detail()
        delta = SnapshotDelta(
            totals=totals,
            transfers=tuple(s for key, s in transfers.items() if self._transfers.get(key) != s),
            gone_transfers=tuple(key for key in self._transfers if key not in transfers),
            library=tuple(e for key, e in library.items() if self._library.get(key) != e),
            gone_library=tuple(key for key in self._library if key not in library),
            settings=tuple(item for item in settings.items() if self._settings.get(item[0]) != item[1]),
            detail=detail,
        )
        changed = bool(
            delta.transfers
            or delta.gone_transfers
            or delta.library
            or delta.gone_library
            or delta.settings
            or detail != self._detail
            or self._totals is None
            or _facts(totals) != _facts(self._totals)
        )
        self._transfers, self._library, self._settings = transfers, library, settings
        self._totals, self._detail = totals, detail
        if changed:
            self._tell(delta)

    def tell(self, event: Event) -> None:
        """An event goes out at once, after the facts that led to it."""
        self.publish()
        self._tell(event)


def _facts(totals: EngineTotals) -> tuple[object, ...]:
    """Everything but the clock, which always changes."""
    return tuple(getattr(totals, name) for name in EngineTotals.__dataclass_fields__ if name != "now")
