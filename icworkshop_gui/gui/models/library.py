"""The library as rows: found by words, sorted, and what a check of a package is up to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from PySide6.QtCore import QObject, Qt

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.engine.api.commands import VerifyReport
from icworkshop_gui.engine.api.snapshots import Hold, LibraryEntry
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.bridge import LibraryDelta
from icworkshop_gui.gui.models.rows import ROW_ROLE, Index, RowsModel


class Order(StrEnum):
    """How the library is sorted; the value is what the page says."""

    NEWEST = "Newest first"
    NAME = "Name"
    SIZE = "Largest first"
    FREES = "Frees most"


_ORDERS: dict[Order, Callable[[LibraryEntry], Any]] = {
    Order.NEWEST: lambda entry: -entry.installed_at,
    Order.NAME: lambda entry: entry.title.casefold(),
    Order.SIZE: lambda entry: -entry.size,
    Order.FREES: lambda entry: -entry.unique,
}


class Look(StrEnum):
    """The state of an installed package, as icon and colour know it (gui.md B0.2)."""

    INSTALLED = "installed"
    UPDATE = "update"
    STAGED = "staged"
    PINNED = "pinned"
    TEMPORARY = "temporary"
    UNUSED = "unused"
    DAMAGED = "damaged"
    CHECKING = "checking"


_HOLDS = {Hold.TEMPORARY: Look.TEMPORARY, Hold.UNUSED: Look.UNUSED}
_WORDS = {
    Look.INSTALLED: "Installed",
    Look.PINNED: "Installed, stays",
    Look.TEMPORARY: "Temporary",
    Look.UNUSED: "Nothing needs it any more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryRow:
    """One installed package on the page."""

    entry: LibraryEntry
    checking: bool = False
    outcome: str = ""
    """What the last check found, in words."""
    ticked: bool = False

    @property
    def look(self) -> Look:
        if self.checking:
            return Look.CHECKING
        if self.entry.damaged:
            return Look.DAMAGED
        if self.entry.staged:
            return Look.STAGED
        if self.entry.update_to:
            return Look.UPDATE
        if self.entry.pinned:
            return Look.PINNED
        return _HOLDS.get(self.entry.hold, Look.INSTALLED)

    @property
    def state(self) -> str:
        """The state in words."""
        match self.look:
            case Look.CHECKING:
                return "Checking files"
            case Look.DAMAGED:
                return self.outcome or "Needs attention – files are missing or changed"
            case Look.UPDATE:
                cost = self.entry.update_bytes
                fetch = "" if cost is None else f" · {words.size(cost)} to fetch"
                return f"Update available {self.entry.ref.version} → {self.entry.update_to}{fetch}"
            case Look.STAGED:
                return f"{self.entry.staged} is here and waits for your click"
            case _:
                word = _WORDS[self.look]
                return f"{word} · {self.outcome}" if self.outcome else word

    @property
    def sharing(self) -> str:
        """Who gets it from us, in words; empty when it is shared and nobody asks."""
        if not self.entry.sharing:
            return "Not shared"
        return f"Sharing ↑ {words.rate(self.entry.rate_up)}" if self.entry.rate_up else ""

    @property
    def frees(self) -> str:
        """What removing it gives back."""
        if self.entry.needed_by:
            return f"frees {words.size(self.entry.unique)} – needed by {len(self.entry.needed_by)}"
        return f"frees {words.size(self.entry.unique)}"


def report_words(report: VerifyReport) -> str:
    """What a check found."""
    if not report.bad:
        return f"{words.count(report.files, 'file', 'files')} checked, all good"
    bad = words.count(len(report.bad), "file was damaged", "files were damaged")
    return f"{bad}, being repaired" if report.repaired else bad


def arrange(entries: Iterable[LibraryEntry], text: str, order: Order) -> list[LibraryEntry]:
    """Those that hold every word of `text`, sorted."""
    asked = text.casefold().split()
    found = [
        entry
        for entry in entries
        if all(
            word in f"{entry.title} {entry.ref.publisher} {entry.ref.name} {entry.category}".casefold()
            for word in asked
        )
    ]
    found.sort(key=lambda entry: (entry.title.casefold(), str(entry.ref)))
    found.sort(key=_ORDERS[order])
    return found


class LibraryModel(RowsModel[LibraryRow]):
    """The library page's rows. Feed it the bridge's deltas."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent=parent)
        self._entries: dict[PackageRef, LibraryEntry] = {}
        self._hidden: set[PackageRef] = set()
        self._checking: set[PackageRef] = set()
        self._outcomes: dict[PackageRef, str] = {}
        self._ticked: set[PackageRef] = set()
        self._text = ""
        self._order = Order.NEWEST

    @property
    def entries(self) -> list[LibraryEntry]:
        """Everything installed, whatever the search says, without what was removed a moment ago."""
        return [entry for ref, entry in self._entries.items() if ref not in self._hidden]

    @property
    def ticked(self) -> list[LibraryEntry]:
        return [entry for entry in self.entries if entry.ref in self._ticked]

    @property
    def order(self) -> Order:
        return self._order

    def apply(self, delta: LibraryDelta) -> None:
        for entry in delta.changed:
            self._entries[entry.ref] = entry
        for ref in delta.gone:
            self._entries.pop(ref, None)
            for kept in (self._hidden, self._checking, self._ticked):
                kept.discard(ref)
            self._outcomes.pop(ref, None)
        self._arrange()

    def search(self, text: str) -> None:
        self._text = text
        self._arrange()

    def set_order(self, order: Order) -> None:
        self._order = order
        self._arrange()

    def set_hidden(self, ref: PackageRef, hidden: bool) -> None:
        """Take a row off the page at once, before the engine has answered; or bring it back."""
        (self._hidden.add if hidden else self._hidden.discard)(ref)
        if hidden:
            self._ticked.discard(ref)
        self._arrange()

    def set_checking(self, ref: PackageRef) -> None:
        self._checking.add(ref)
        self._outcomes.pop(ref, None)
        self._arrange()

    def set_outcome(self, ref: PackageRef, outcome: str) -> None:
        """A check has ended; `outcome` in words."""
        self._checking.discard(ref)
        self._outcomes[ref] = outcome
        self._arrange()

    def set_ticked(self, ref: PackageRef, ticked: bool) -> None:
        (self._ticked.add if ticked else self._ticked.discard)(ref)
        self._arrange()

    def clear_ticks(self) -> None:
        self._ticked.clear()
        self._arrange()

    def _arrange(self) -> None:
        found = arrange(self.entries, self._text, self._order)
        self.set_rows(
            [
                LibraryRow(
                    entry=entry,
                    checking=entry.ref in self._checking,
                    outcome=self._outcomes.get(entry.ref, ""),
                    ticked=entry.ref in self._ticked,
                )
                for entry in found
            ]
        )

    def key(self, row: LibraryRow) -> Hashable:
        return row.entry.ref

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row_at(index)
        if row is None:
            return None
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            parts = [row.entry.title, row.entry.category, row.state, words.size(row.entry.size), row.frees, row.sharing]
            return ", ".join(part for part in parts if part)
        if role == Qt.ItemDataRole.ToolTipRole:
            needed = f"\nNeeded by {', '.join(row.entry.needed_by)}" if row.entry.needed_by else ""
            return f"{row.entry.ref}\n{row.state}\n{row.frees}{needed}"
        return None
