"""A plain painted list: picture, one or two lines, a word at the right, maybe a button. For versions, needs, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QContextMenuEvent, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from icworkshop_gui.gui import icons
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.card import slim_bars

Index = QModelIndex | QPersistentModelIndex
_NONE = QModelIndex()
TALL = 54
LOW = 36
MORE = 30
KEY_ROLE = Qt.ItemDataRole.UserRole + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RowItem:
    """One row; `key` comes back in the signals."""

    key: str
    title: str
    second: str = ""
    right: str = ""
    right_token: Token = Token.MUTED
    icon: str = ""
    button: str = ""
    more: bool = False
    """It has a menu."""

    @property
    def spoken(self) -> str:
        return ", ".join(part for part in (self.title, self.second, self.right, self.button) if part)


class RowModel(QAbstractListModel):
    """Frozen rows; replaced as a whole."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[RowItem, ...] = ()

    def set_rows(self, rows: Sequence[RowItem]) -> None:
        rows = tuple(rows)
        if rows == self._rows:
            return
        if [row.key for row in rows] == [row.key for row in self._rows]:
            self._rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def row(self, index: Index) -> RowItem | None:
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def rowCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row(index)
        if row is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.title
            case Qt.ItemDataRole.AccessibleTextRole:
                return row.spoken
            case Qt.ItemDataRole.UserRole:
                return row
            case _ if role == KEY_ROLE:
                return row.key
        return None


class _RowDelegate(QStyledItemDelegate):
    pressed = Signal(str)
    moreWanted = Signal(str)

    def __init__(self, height: int, parent: QObject) -> None:
        super().__init__(parent)
        self._height = height
        self.hot: tuple[int, str] | None = None
        """The row under the pointer, and what of it would be pressed."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(240, self._height)

    def button_rect(self, rect: QRect, row: RowItem) -> QRectF:
        if not row.button:
            return QRectF()
        width = paint.width_of(row.button, theme().font(Text.BUTTON_SMALL)) + 26
        top = rect.center().y() - Measure.BUTTON_SMALL / 2 + 1
        right = rect.right() + 1 - 10 - (MORE + 6 if row.more else 0)
        return QRectF(right - width, top, width, Measure.BUTTON_SMALL)

    def more_rect(self, rect: QRect, row: RowItem) -> QRectF:
        """Where the three dots lie; empty when there is no menu."""
        if not row.more:
            return QRectF()
        return QRectF(rect.right() + 1 - 10 - MORE, rect.center().y() - MORE / 2 + 1, MORE, MORE)

    def hit(self, rect: QRect, index: Index, at: QPoint) -> str:
        """What of a row is there to be pressed: `button`, `more`, or nothing."""
        row = index.data(Qt.ItemDataRole.UserRole)
        if self.button_rect(rect, row).contains(at):
            return "button"
        return "more" if self.more_rect(rect, row).contains(at) else ""

    def editorEvent(self, event: QEvent, model: QObject, option: QStyleOptionViewItem, index: Index) -> bool:
        if not isinstance(event, QMouseEvent) or event.button() is not Qt.MouseButton.LeftButton:
            return False
        hit = self.hit(option.rect, index, event.position().toPoint())
        if not hit:
            return False
        if event.type() is QEvent.Type.MouseButtonRelease:
            (self.pressed if hit == "button" else self.moreWanted).emit(index.data(Qt.ItemDataRole.UserRole).key)
        return True

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: RowItem = index.data(Qt.ItemDataRole.UserRole)
        look = theme()
        rect = QRectF(option.rect)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inner = rect.adjusted(0, 1, 0, -1)
        if option.state & QStyle.StateFlag.State_Selected and option.state & QStyle.StateFlag.State_HasFocus:
            ground, line = look.tint(Token.ACCENT, Token.SURFACE), look.color(Token.ACCENT)
            paint.panel(painter, inner, Measure.RADIUS_CONTROL, ground, line, 1.5)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            paint.panel(painter, inner, Measure.RADIUS_CONTROL, look.color(Token.RAISED))
        left, right = rect.left() + 10, rect.right() - 10
        if row.icon:
            icons.draw(painter, row.icon, left, rect.center().y() - 8, 16, look.color(Token.MUTED))
            left += 28
        hot = self.hot[1] if self.hot is not None and self.hot[0] == index.row() else ""
        more = self.more_rect(option.rect, row)
        if not more.isEmpty():
            if hot == "more":
                paint.panel(painter, more, Measure.RADIUS_CONTROL, look.color(Token.RAISED))
            ink = look.color(Token.TEXT if hot == "more" else Token.MUTED)
            icons.draw(painter, "ellipsis", more.center().x() - 8, more.center().y() - 8, 16, ink)
            right = more.left() - 8
        button = self.button_rect(option.rect, row)
        if not button.isEmpty():
            fill = look.color(Token.RAISED if hot == "button" else Token.SURFACE)
            paint.panel(painter, button, Measure.RADIUS_CONTROL, fill, look.color(Token.LINE))
            paint.text(
                painter, button.adjusted(13, 0, 0, 0), row.button, look.font(Text.BUTTON_SMALL), look.color(Token.TEXT)
            )
            right = button.left() - 14
        if row.right:
            font = look.font(Text.SECOND)
            align = int(Qt.AlignmentFlag.AlignRight)
            paint.text(
                painter,
                QRectF(left, rect.top(), right - left, rect.height()),
                row.right,
                font,
                look.color(row.right_token),
                align,
            )
            right -= paint.width_of(row.right, font) + 16
        two = bool(row.second)
        title = (row.title, Text.ITEM if two else Text.SECOND, Token.TEXT, -9.0 if two else 0.0)
        second = (row.second, Text.SECOND, Token.MUTED, 10.0)
        lines = (title, second) if two else (title,)
        for words, style, token, shift in lines:
            font = look.font(style)
            shown = QFontMetricsF(font).elidedText(words, Qt.TextElideMode.ElideMiddle, right - left)
            paint.text(
                painter, QRectF(left, rect.top() + shift, right - left, rect.height()), shown, font, look.color(token)
            )


class RowList(QListView):
    """Signals:
    pressed(str): the button of a row, or Enter on a row that has one.
    opened(str): Enter or a double click on a row without a button.
    menuWanted(str, QPoint): the menu of a row, at this global place.
    """

    pressed = Signal(str)
    opened = Signal(str)
    menuWanted = Signal(str, QPoint)

    def __init__(self, name: str, *, tall: bool = True) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.rows = RowModel(self)
        self.setModel(self.rows)
        self._delegate = _RowDelegate(TALL if tall else LOW, self)
        self.setItemDelegate(self._delegate)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.viewport().setAutoFillBackground(False)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        slim_bars(self)
        self._delegate.pressed.connect(self.pressed)
        self._delegate.moreWanted.connect(self._menu)
        self.doubleClicked.connect(self._open)

    def set_rows(self, rows: Sequence[RowItem]) -> None:
        """Show these rows; the current one stays where its key stays."""
        current = self.rows.row(self.currentIndex())
        self.rows.set_rows(rows)
        for at, row in enumerate(rows):
            if current is not None and row.key == current.key:
                self.setCurrentIndex(self.rows.index(at))

    def _open(self, index: QModelIndex) -> None:
        row = self.rows.row(index)
        if row is not None:
            (self.pressed if row.button else self.opened).emit(row.key)

    def _menu(self, key: str = "") -> None:
        """Of this row, else of the current one; below its dots."""
        at = next((at for at in range(self.rows.rowCount()) if key and self.rows.index(at).data(KEY_ROLE) == key), -1)
        index = self.rows.index(at) if at >= 0 else self.currentIndex()
        row = self.rows.row(index)
        if row is not None and row.more:
            place = self._delegate.more_rect(self.visualRect(index), row).bottomLeft().toPoint()
            self.menuWanted.emit(row.key, self.viewport().mapToGlobal(place))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        index = self.indexAt(event.pos())
        if event.reason() is not QContextMenuEvent.Reason.Keyboard and index.isValid():
            self.setCurrentIndex(index)
        self._menu()
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        index = self.indexAt(at)
        hot = self._delegate.hit(self.visualRect(index), index, at) if index.isValid() else ""
        self._delegate.hot = (index.row(), hot) if hot else None
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if hot else Qt.CursorShape.ArrowCursor)
        if index.isValid():
            self.viewport().update(self.visualRect(index))
        super().mouseMoveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
            return
        super().keyPressEvent(event)
