"""The rows of a change set: tick, picture with a sign, what and why, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPixmap
from PySide6.QtWidgets import QListView, QScroller, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.engine.api.changes import ChangeKind
from icworkshop_gui.gui import icons
from icworkshop_gui.gui.models.review import ReviewRow
from icworkshop_gui.gui.models.rows import ROW_ROLE, Index, RowsModel
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.card import slim_bars

ROW = 58
ART = QSize(56, 36)
INDENT = 16
TICK = 18
Art = Callable[[ReviewRow, QSize, float], QPixmap]

SIGNS = {
    ChangeKind.ADD: ("plus", Token.OK),
    ChangeKind.UPDATE: ("refresh-cw", Token.ACCENT),
    ChangeKind.DOWNGRADE: ("history", Token.WARN),
    ChangeKind.REMOVE: ("trash-2", Token.ERROR),
    ChangeKind.KEEP: ("check", Token.MUTED),
}


class _Rows(RowsModel[ReviewRow]):
    def key(self, row: ReviewRow) -> Hashable:
        return row.ref

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row_at(index)
        if row is None:
            return None
        match role:
            case Qt.ItemDataRole.UserRole:
                return row
            case Qt.ItemDataRole.DisplayRole:
                return row.title
            case Qt.ItemDataRole.AccessibleTextRole:
                return row.spoken
            case Qt.ItemDataRole.ToolTipRole:
                return f"{row.ref}\n{row.why}"
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, art: Art, parent: QObject) -> None:
        super().__init__(parent)
        self._art = art
        self.has_ticks = False

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(240, ROW)

    def tick_rect(self, rect: QRect, row: ReviewRow) -> QRectF:
        """Where the tick box lies; empty when there is no choice."""
        if row.ticked is None:
            return QRectF()
        return QRectF(rect.x() + 8, rect.center().y() - TICK / 2 + 0.5, TICK, TICK)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: ReviewRow = index.data(ROW_ROLE)
        look = theme()
        rect = QRectF(option.rect)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected and option.state & QStyle.StateFlag.State_HasFocus:
            ground, line = look.tint(Token.ACCENT, Token.SURFACE), look.color(Token.ACCENT)
            paint.panel(painter, rect.adjusted(0, 1, 0, -1), Measure.RADIUS_CONTROL, ground, line, 1.5)
        left = rect.x() + 8
        if self.has_ticks:
            self._paint_tick(painter, self.tick_rect(option.rect, row), row)
            left += TICK + 12
        left += row.depth * INDENT
        painter.setOpacity(0.5 if row.ticked is False else 1.0)
        self._paint_art(painter, QRectF(left, rect.center().y() - ART.height() / 2, ART.width(), ART.height()), row)
        left += ART.width() + 14
        right = self._paint_cost(painter, rect, row)
        self._paint_words(painter, QRectF(left, rect.center().y() - 19, right - left - 12, 38), row)
        painter.setOpacity(1.0)

    @staticmethod
    def _paint_tick(painter: QPainter, box: QRectF, row: ReviewRow) -> None:
        look = theme()
        if row.ticked is None:
            return
        if row.ticked:
            paint.panel(painter, box, 5, look.color(Token.ACCENT))
            icons.draw(painter, "check", box.x() + 2, box.y() + 2, 14, look.color(Token.ON_ACCENT))
        else:
            paint.panel(painter, box, 5, look.color(Token.SURFACE), look.color(Token.MUTED), 1.25)

    def _paint_art(self, painter: QPainter, rect: QRectF, row: ReviewRow) -> None:
        look = theme()
        painter.drawPixmap(rect.topLeft(), self._art(row, ART, painter.device().devicePixelRatioF()))
        icon, token = SIGNS[row.kind]
        centre = QPointF(rect.right() - 1, rect.bottom() - 3)
        paint.dot(painter, centre, 10, look.color(Token.SURFACE))
        paint.panel(
            painter, QRectF(centre.x() - 9, centre.y() - 9, 18, 18), 9, look.color(Token.RAISED), look.color(Token.LINE)
        )
        icons.draw(painter, icon, centre.x() - 6, centre.y() - 6, 12, look.color(token))

    @staticmethod
    def _paint_cost(painter: QPainter, rect: QRectF, row: ReviewRow) -> float:
        """At the right; returns where it begins."""
        look = theme()
        strong, caption = look.font(Text.SECOND_STRONG), look.font(Text.CAPTION)
        align = int(Qt.AlignmentFlag.AlignRight)
        edge = rect.right() - 10
        width = max(paint.width_of(row.cost, strong), paint.width_of(row.here, caption)) + 2
        area = QRectF(edge - width, rect.center().y() - 10, width, 20)
        if row.here:
            area.translate(0, -9)
            below = area.translated(0, 18)
            paint.text(painter, below, row.here, caption, look.color(Token.MUTED), align)
        paint.text(painter, area, row.cost, strong, look.color(Token.TEXT), align)
        return edge - width

    @staticmethod
    def _paint_words(painter: QPainter, rect: QRectF, row: ReviewRow) -> None:
        look = theme()
        font, second = look.font(Text.ITEM), look.font(Text.SECOND)
        elide = Qt.TextElideMode.ElideRight
        top = QRectF(rect.x(), rect.y(), rect.width(), 20)
        room = rect.width() - paint.width_of(f" {row.version}", second) - 6
        title = QFontMetricsF(font).elidedText(row.title, elide, max(60.0, room))
        paint.text(painter, top, title, font, look.color(Token.TEXT))
        used = paint.width_of(title, font) + 7
        version = QFontMetricsF(second).elidedText(row.version, elide, max(0.0, rect.width() - used))
        paint.text(painter, top.adjusted(used, 0, 0, 0), version, second, look.color(Token.MUTED))
        below = QRectF(rect.x(), rect.y() + 20, rect.width(), 18)
        token = Token.MUTED
        if row.caution:
            token = Token.WARN
            icons.draw(painter, "triangle-alert", below.x(), below.center().y() - 7, 14, look.color(token))
            below.adjust(20, 0, 0, 0)
        why = QFontMetricsF(second).elidedText(row.why, elide, below.width())
        paint.text(painter, below, why, second, look.color(token))


class ChangeList(QListView):
    """Signals:
    toggled(PackageRef, bool): a tick was set or taken.
    agreed(): Enter.
    """

    toggled = Signal(object, bool)
    agreed = Signal()

    def __init__(self, art: Art) -> None:
        super().__init__()
        self.setAccessibleName("Changes")
        self.rows = _Rows(parent=self)
        self._delegate = _Delegate(art, self)
        self.setModel(self.rows)
        self.setItemDelegate(self._delegate)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.viewport().setAutoFillBackground(False)
        QScroller.grabGesture(self.viewport(), QScroller.ScrollerGestureType.TouchGesture)
        slim_bars(self)

    def show_rows(self, rows: tuple[ReviewRow, ...]) -> None:
        """Replace what is shown."""
        self._delegate.has_ticks = any(row.ticked is not None for row in rows)
        self.rows.set_rows(rows)
        if not self.currentIndex().isValid() and rows:
            self.setCurrentIndex(self.rows.index(0, 0))
        self.viewport().update()

    def _toggle(self, index: Index) -> bool:
        row = self.rows.row_at(index)
        if row is None or row.ticked is None:
            return False
        self.toggled.emit(row.ref, not row.ticked)
        return True

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() is Qt.MouseButton.LeftButton:
            self._toggle(self.indexAt(event.position().toPoint()))

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            row = self.rows.row_at(self.indexAt(event.position().toPoint()))
            hand = row is not None and row.ticked is not None
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Space:
                self._toggle(self.currentIndex())
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.agreed.emit()
            case Qt.Key.Key_Escape:
                event.ignore()
            case _:
                super().keyPressEvent(event)

    def choose(self, ref: PackageRef) -> None:
        """Make this row current."""
        self.setCurrentIndex(self.rows.index_of(ref))
