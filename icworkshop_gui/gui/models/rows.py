"""A list of frozen rows with keys, as a Qt model that tells its views the least that changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

Row = TypeVar("Row")
Index = QModelIndex | QPersistentModelIndex

ROW_ROLE = Qt.ItemDataRole.UserRole
"""The frozen row itself, for delegates."""
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_NONE = QModelIndex()


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column: its title, what it shows, what it sorts by."""

    title: str
    text: Callable[[Row], str]
    sort: Callable[[Row], Any]
    number: bool = False
    """Right-aligned."""
    width: int = 100
    """Pixels at first."""
    tip: str = ""


class RowsModel(QAbstractTableModel, Generic[Row]):
    """Rows by key. `set_rows` keeps selection, current row and scroll position of every view.

    A subclass says what the key of a row is, and what it shows: by columns, or by `data` of its own.
    """

    def __init__(self, columns: Sequence[Column[Row]] = (), parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._rows: list[Row] = []
        self._at: dict[Hashable, int] = {}

    def key(self, row: Row) -> Hashable:
        """What makes it that row. Each model says; Qt's metaclass rules out `abc` here."""
        raise NotImplementedError

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._rows)

    def row_at(self, index: Index) -> Row | None:
        """The row of an index; None for an invalid one."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def index_of(self, key: Hashable) -> QModelIndex:
        """The first cell of the row with this key; invalid when there is none."""
        at = self._at.get(key)
        return QModelIndex() if at is None else self.index(at, 0)

    # --- Qt ----------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() else max(1, len(self.columns))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row_at(index)
        if row is None:
            return None
        if role == ROW_ROLE:
            return row
        if not self.columns:
            return None
        column = self.columns[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return column.text(row)
        if role == Qt.ItemDataRole.TextAlignmentRole and column.number:
            return RIGHT
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.tip or None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if column.number else Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    # --- change ------------------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Become exactly these rows, in this order. Keys must be unique."""
        keys = [self.key(row) for row in rows]
        wanted = dict(zip(keys, rows, strict=True))
        if len(wanted) != len(keys):
            raise ValueError("two rows with one key")
        self._remove_all_but(wanted)
        self._reorder([key for key in keys if key in self._at])
        self._insert(keys, wanted)
        self._refresh(rows)

    def _reindex(self) -> None:
        self._at = {self.key(row): at for at, row in enumerate(self._rows)}

    def _remove_all_but(self, wanted: dict[Hashable, Row]) -> None:
        last = len(self._rows) - 1
        while last >= 0:
            if self.key(self._rows[last]) in wanted:
                last -= 1
                continue
            first = last
            while first > 0 and self.key(self._rows[first - 1]) not in wanted:
                first -= 1
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self._reindex()
            self.endRemoveRows()
            last = first - 1

    def _reorder(self, order: list[Hashable]) -> None:
        before = [self.key(row) for row in self._rows]
        if before == order:
            return
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        held = [before[index.row()] for index in old]
        by_key = dict(zip(before, self._rows, strict=True))
        self._rows = [by_key[key] for key in order]
        self._reindex()
        moved = [self.index(self._at[key], index.column()) for key, index in zip(held, old, strict=True)]
        self.changePersistentIndexList(old, moved)
        self.layoutChanged.emit()

    def _insert(self, keys: list[Hashable], wanted: dict[Hashable, Row]) -> None:
        at = 0
        while at < len(keys):
            if keys[at] in self._at:
                at += 1
                continue
            end = at
            while end + 1 < len(keys) and keys[end + 1] not in self._at:
                end += 1
            self.beginInsertRows(QModelIndex(), at, end)
            self._rows[at:at] = [wanted[key] for key in keys[at : end + 1]]
            self._reindex()
            self.endInsertRows()
            at = end + 1

    def _refresh(self, rows: Sequence[Row]) -> None:
        changed = [at for at, row in enumerate(rows) if self._rows[at] is not row and self._rows[at] != row]
        self._rows = list(rows)
        if not changed:
            return
        last_column = self.columnCount() - 1
        if len(changed) * 2 > len(rows):
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], last_column))
            return
        first = previous = changed[0]
        for at in [*changed[1:], -1]:
            if at != previous + 1:
                self.dataChanged.emit(self.index(first, 0), self.index(previous, last_column))
                first = at
            previous = at


class SortedRowsModel(RowsModel[Row]):
    """Rows in the order of a column that the player chose; unsorted ties keep their place by key."""

    def __init__(
        self, columns: Sequence[Column[Row]], sort_by: int = 0, descending: bool = False, parent: QObject | None = None
    ) -> None:
        super().__init__(columns, parent)
        self._sort_by = sort_by
        self._descending = descending

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Become these rows, sorted."""
        column = self.columns[self._sort_by]
        ordered = sorted(rows, key=lambda row: str(self.key(row)))
        ordered.sort(key=column.sort, reverse=self._descending)
        self.set_rows(ordered)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self.columns):
            self._sort_by, self._descending = column, order is Qt.SortOrder.DescendingOrder
            self.show_rows(self._rows)
