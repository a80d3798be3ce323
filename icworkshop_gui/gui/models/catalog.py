"""The catalog as a list model: pages of a search, appended; a search that was overtaken is dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from icworkshop_gui.core.catalog import PackageId, PackageSummary, SearchPage
from icworkshop_gui.engine.api.snapshots import EngineView
from icworkshop_gui.gui.categories import word
from icworkshop_gui.gui.format import ago, clipped, size
from icworkshop_gui.gui.models.package_state import PackageState, PackageStates

Index = QModelIndex | QPersistentModelIndex
_NONE = QModelIndex()
ROWS_MAX = 100_000
"""Rows kept of one search; an endless catalog stops here."""


class CatalogRole(IntEnum):
    """What the delegate asks for beside the text."""

    SUMMARY = Qt.ItemDataRole.UserRole
    STATE = Qt.ItemDataRole.UserRole + 1
    LINE = Qt.ItemDataRole.UserRole + 2
    """`author · category · updated`."""


class CatalogModel(QAbstractListModel):
    """Signals:
    moreWanted(str): the view came near the end; the cursor of the page to ask for.
    """

    moreWanted = Signal(str)

    def __init__(self, parent: QObject | None = None, wall: Callable[[], float] = time.time) -> None:
        super().__init__(parent)
        self._wall = wall
        self._all: list[PackageSummary] = []
        self._rows: list[PackageSummary] = []
        self._at: dict[PackageId, int] = {}
        self._lines: dict[PackageId, str] = {}
        self._cursor = ""
        self._asked = False
        self._hide_installed = False
        self.total = 0
        self.states = PackageStates()

    # --- content ---------------------------------------------------------------------------------

    def show_first(self, page: SearchPage) -> None:
        """The first page of a new search replaces everything."""
        self.beginResetModel()
        self._all = []
        self._rows = []
        self._at = {}
        self._lines = {}
        self._take(page)
        self._index_rows(self._visible(page.items))
        self.endResetModel()

    def show_more(self, page: SearchPage) -> None:
        """A further page of the same search."""
        known = {row.package for row in self._all}
        fresh = self._take(page, known)
        rows = self._visible(fresh)
        if rows:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(rows) - 1)
            self._index_rows(rows)
            self.endInsertRows()

    def more_failed(self) -> None:
        """The asked page did not come: it may be asked for again."""
        self._asked = False

    def _take(self, page: SearchPage, known: set[PackageId] | None = None) -> tuple[PackageSummary, ...]:
        # A catalog that changes between two pages may tell a row twice.
        fresh = tuple(row for row in page.items if known is None or row.package not in known)
        self._all.extend(fresh)
        self.total = page.total
        self._cursor = page.next_cursor if page.items and len(self._all) < ROWS_MAX else ""
        self._asked = False
        return fresh

    def _visible(self, rows: tuple[PackageSummary, ...] | list[PackageSummary]) -> list[PackageSummary]:
        if not self._hide_installed:
            return list(rows)
        installed = self.states.installed
        return [row for row in rows if row.package not in installed]

    def _index_rows(self, rows: list[PackageSummary]) -> None:
        for row in rows:
            self._at[row.package] = len(self._rows)
            self._rows.append(row)

    def set_hide_installed(self, hide: bool) -> None:
        """Leave out what is installed already."""
        if hide == self._hide_installed:
            return
        self._hide_installed = hide
        self.beginResetModel()
        self._rows = []
        self._at = {}
        self._index_rows(self._visible(self._all))
        self.endResetModel()

    def update_states(self, view: EngineView) -> None:
        """Downloads or the library changed: only the rows whose state changed are told."""
        changed = sorted(self._at[package] for package in self.states.update(view) if package in self._at)
        for first, last in _runs(changed):
            self.dataChanged.emit(self.index(first), self.index(last), [CatalogRole.STATE])

    # --- questions -------------------------------------------------------------------------------

    def summary(self, index: Index) -> PackageSummary | None:
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def index_of(self, package: PackageId) -> QModelIndex:
        at = self._at.get(package)
        return QModelIndex() if at is None else self.index(at)

    def state_of(self, row: PackageSummary) -> PackageState:
        return self.states.of(row.package, row.version)

    @property
    def hidden(self) -> int:
        """Rows left out because they are installed."""
        return len(self._all) - len(self._rows)

    def rows_with_picture(self, pictures: set[str]) -> list[int]:
        """Rows that show one of these pictures."""
        return [at for at, row in enumerate(self._rows) if row.preview_sha256 in pictures]

    # --- QAbstractItemModel ----------------------------------------------------------------------

    def rowCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        match role:
            case CatalogRole.SUMMARY:
                return row
            case CatalogRole.STATE:
                return self.states.of(row.package, row.version)
            case CatalogRole.LINE:
                return self._line(row)
            case Qt.ItemDataRole.DisplayRole:
                return row.title
            case Qt.ItemDataRole.AccessibleTextRole:
                state = self.states.of(row.package, row.version)
                parts = (row.title, word(row.category), f"by {row.package.publisher}", size(row.size), state.spoken)
                return ", ".join(part for part in parts if part)
        return None

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and bool(self._cursor) and not self._asked

    def fetchMore(self, parent: Index) -> None:
        if self.canFetchMore(parent):
            self._asked = True
            self.moreWanted.emit(self._cursor)

    def _line(self, row: PackageSummary) -> str:
        found = self._lines.get(row.package)
        if found is None:
            parts = (row.package.publisher, clipped(word(row.category)), self._updated(row))
            found = self._lines[row.package] = " · ".join(part for part in parts if part)
        return found

    def _updated(self, row: PackageSummary) -> str:
        return ago(row.updated_at, self._wall()) if row.updated_at else ""


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Neighbouring row numbers as first and last of each run."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs
