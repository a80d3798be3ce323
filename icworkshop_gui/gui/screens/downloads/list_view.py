"""The list of Downloads as a view: presses on parts of rows, keys, dragging within and across sections."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRectF, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QScroller, QToolTip, QWidget

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.gui.models.transfers import TitleRow, TransferRow, TransfersModel
from icworkshop_gui.gui.screens.downloads.rows import DownloadsDelegate, Part, part_name, parts_of
from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.card import slim_bars


class DownloadsList(QListView):
    """Signals:
    partPressed(Part, TransferId): a button inside a row was pressed with the pointer.
    keyPressed(str): `pause`, `cancel`, `open`, `up`, `down`, `top`, `bottom` for the selection.
    menuWanted(QPoint): the context menu at this global place, for the selection.
    dropped(list of TransferId, Tier, TransferId or None): put them before that one, or at the end of the tier.
    """

    partPressed = Signal(object, str)
    keyPressed = Signal(str)
    menuWanted = Signal(QPoint)
    dropped = Signal(object, object, object)

    def __init__(self, model: TransfersModel, delegate: DownloadsDelegate, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = model
        self._delegate = delegate
        self._pressed: tuple[QPersistentModelIndex, Part] | None = None
        self._drop_line: tuple[int, int, int] | None = None
        self.setModel(model)
        self.setItemDelegate(delegate)
        self.setAccessibleName("Downloads")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDropIndicatorShown(False)
        self.setAutoScroll(True)
        self.setMouseTracking(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        QScroller.grabGesture(self.viewport(), QScroller.ScrollerGestureType.TouchGesture)
        slim_bars(self)
        self._clear_ground()
        theme().changed.connect(self._clear_ground)

    def _clear_ground(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Base, theme().color(Token.BG))
        self.setPalette(palette)

    # --- what is chosen ----------------------------------------------------------------------------

    def chosen(self) -> list[TransferId]:
        """The selected transfers, top to bottom."""
        found: list[TransferId] = []
        for index in sorted(self.selectedIndexes(), key=lambda index: index.row()):
            row = self._rows.row_at(index)
            if isinstance(row, TransferRow):
                found.append(row.transfer.id)
        return found

    def choose(self, transfer: TransferId) -> None:
        """Make this one the selection, and show it."""
        index = self._rows.index_of(transfer)
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def height_of_rows(self) -> int:
        """Pixels that all rows take together."""
        return sum(self.sizeHintForRow(row) for row in range(self._rows.rowCount())) + 2 * self.frameWidth()

    # --- pointer -----------------------------------------------------------------------------------

    def _part_at(self, at: QPoint) -> tuple[QModelIndex, Part] | None:
        index = self.indexAt(at)
        row = self._rows.row_at(index)
        if row is None:
            return None
        for part, rect in parts_of(row, QRectF(self.visualRect(index)), self._rows.engine_now).items():
            if rect.contains(at.toPointF()):
                return index, part
        return None

    def _heat(self, at: QPoint | None) -> None:
        found = self._part_at(at) if at is not None else None
        before = self._delegate.hot
        now = (QPersistentModelIndex(found[0]), found[1]) if found is not None else None
        if before == now:
            return
        self._delegate.hot = now
        for place in (before, now):
            if place is not None and place[0].isValid():
                self.update(self._rows.index(place[0].row(), 0))
        if found is None:
            self.viewport().unsetCursor()
        elif found[1] is Part.GRIP:
            self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._part_at(event.position().toPoint())
        if found is not None and found[1] is not Part.GRIP and event.button() is Qt.MouseButton.LeftButton:
            # A press on a button neither drags nor changes the selection.
            self._pressed = (QPersistentModelIndex(found[0]), found[1])
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            return
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._heat(event.position().toPoint())
        if self._pressed is None:
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            super().mouseReleaseEvent(event)
            return
        found = self._part_at(event.position().toPoint())
        if found is not None and (QPersistentModelIndex(found[0]), found[1]) == pressed:
            self._press(found[0], found[1])

    def _press(self, index: QModelIndex, part: Part) -> None:
        row = self._rows.row_at(index)
        if isinstance(row, TitleRow):
            self._rows.toggle(row.section)
        elif isinstance(row, TransferRow):
            self.partPressed.emit(part, row.transfer.id)

    def leaveEvent(self, event: QEvent) -> None:
        self._heat(None)
        super().leaveEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            found = self._part_at(event.pos())
            row = self._rows.row_at(found[0]) if found is not None else None
            if found is not None and row is not None:
                QToolTip.showText(event.globalPos(), part_name(found[1], row, self._rows.engine_now), self)
                return True
        return super().viewportEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            rect = self.visualRect(self.currentIndex())
            self.menuWanted.emit(self.viewport().mapToGlobal(QPoint(rect.right() - 60, rect.center().y())))
        else:
            index = self.indexAt(event.pos())
            if isinstance(self._rows.row_at(index), TransferRow):
                if not self.selectionModel().isSelected(index):
                    self.setCurrentIndex(index)
                self.menuWanted.emit(event.globalPos())
        event.accept()

    # --- keys --------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        row = self._rows.row_at(self.currentIndex())
        if isinstance(row, TitleRow) and key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._rows.toggle(row.section)
            return
        moves = {
            Qt.Key.Key_Up: "up",
            Qt.Key.Key_Down: "down",
            Qt.Key.Key_Home: "top",
            Qt.Key.Key_End: "bottom",
        }
        plain = {
            Qt.Key.Key_Space: "pause",
            Qt.Key.Key_Delete: "cancel",
            Qt.Key.Key_Return: "open",
            Qt.Key.Key_Enter: "open",
        }
        word = moves.get(key) if control else plain.get(key)
        if word is not None:
            self.keyPressed.emit(word)
            return
        super().keyPressEvent(event)

    # --- dragging ----------------------------------------------------------------------------------

    def _target(self, at: QPoint) -> tuple[Tier, TransferId | None, int] | None:
        """Where a drop would go: tier, the transfer it goes before, and the y of the line to show."""
        index = self.indexAt(at)
        rows = self._rows.rows
        if not index.isValid():
            last = next((i for i in reversed(range(len(rows))) if rows[i].section.tier is not None), None)
            if last is None:
                return None
            index = self._rows.index(last, 0)
            at = self.visualRect(index).bottomLeft()
        row = rows[index.row()]
        tier = row.section.tier
        if tier is None:
            return None
        rect = self.visualRect(index)
        if isinstance(row, TransferRow) and at.y() <= rect.center().y():
            return tier, row.transfer.id, rect.top()
        after = rows[index.row() + 1] if index.row() + 1 < len(rows) else None
        if isinstance(after, TransferRow) and after.section is row.section:
            return tier, after.transfer.id, rect.bottom() + 1
        return tier, None, rect.bottom() + 1

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.source() is self:
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        target = self._target(event.position().toPoint()) if event.source() is self else None
        self._show_line(target)
        super().dragMoveEvent(event)  # scrolls at the edges
        event.setAccepted(target is not None)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._show_line(None)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        self._show_line(None)
        target = self._target(event.position().toPoint())
        if event.source() is not self or target is None:
            event.ignore()
            return
        # A copy, as far as Qt is concerned: the engine moves the rows, the view must not remove them.
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.dropped.emit(self.chosen(), target[0], target[1])

    def _show_line(self, target: tuple[Tier, TransferId | None, int] | None) -> None:
        margin = 4
        line = (margin, target[2], self.viewport().width() - margin) if target is not None else None
        if line != self._drop_line:
            self._drop_line = line
            self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._drop_line is not None:
            left, y, right = self._drop_line
            painter = QPainter(self.viewport())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().color(Token.ACCENT))
            painter.drawRoundedRect(QRectF(left, y - 1.5, right - left, 3), 1.5, 1.5)
