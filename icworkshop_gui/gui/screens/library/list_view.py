"""The library's list as a view: presses on parts of rows, keys, the context menu."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent, QPalette
from PySide6.QtWidgets import QAbstractItemView, QListView, QScroller, QWidget

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.gui.models.library import LibraryModel
from icworkshop_gui.gui.screens.library.rows import LibraryDelegate, Part, parts_of
from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.card import slim_bars


class LibraryList(QListView):
    """Signals:
    partPressed(Part, PackageRef): a button inside a row was pressed with the pointer.
    keyPressed(str): `tick`, `remove`, `open` for the current row.
    menuWanted(QPoint): the context menu at this global place, for the current row.
    """

    partPressed = Signal(object, object)
    keyPressed = Signal(str)
    menuWanted = Signal(QPoint)

    def __init__(self, model: LibraryModel, delegate: LibraryDelegate, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = model
        self._delegate = delegate
        self._pressed: tuple[QPersistentModelIndex, Part] | None = None
        self.setModel(model)
        self.setItemDelegate(delegate)
        self.setAccessibleName("Installed packages")
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMouseTracking(True)
        QScroller.grabGesture(self.viewport(), QScroller.ScrollerGestureType.TouchGesture)
        slim_bars(self)
        self._clear_ground()
        theme().changed.connect(self._clear_ground)

    def _clear_ground(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Base, theme().color(Token.BG))
        self.setPalette(palette)

    def chosen(self) -> PackageRef | None:
        """The current row's package."""
        row = self._rows.row_at(self.currentIndex())
        return row.entry.ref if row is not None else None

    def choose(self, ref: PackageRef) -> None:
        """Make this one current, and show it."""
        index = self._rows.index_of(ref)
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def _place_at(self, at: QPoint) -> tuple[QModelIndex, Part | None] | None:
        index = self.indexAt(at)
        row = self._rows.row_at(index)
        if row is None:
            return None
        rect = QRectF(self.visualRect(index))
        found = next((part for part, place in parts_of(row, rect).items() if place.contains(at.toPointF())), None)
        return index, found

    def _heat(self, at: QPoint | None) -> None:
        found = self._place_at(at) if at is not None else None
        before = self._delegate.hot
        now = (QPersistentModelIndex(found[0]), found[1]) if found is not None else None
        if before == now:
            return
        self._delegate.hot = now
        for place in (before, now):
            if place is not None and place[0].isValid():
                self.update(self._rows.index(place[0].row(), 0))
        hand = now is not None and now[1] is not None
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._place_at(event.position().toPoint())
        if found is not None and found[1] is not None and event.button() is Qt.MouseButton.LeftButton:
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
        found = self._place_at(event.position().toPoint())
        row = self._rows.row_at(found[0]) if found is not None else None
        if found is not None and row is not None and (QPersistentModelIndex(found[0]), found[1]) == pressed:
            self.partPressed.emit(found[1], row.entry.ref)

    def leaveEvent(self, event: QEvent) -> None:
        self._heat(None)
        super().leaveEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            rect = self.visualRect(self.currentIndex())
            self.menuWanted.emit(self.viewport().mapToGlobal(QPoint(rect.right() - 60, rect.center().y())))
        else:
            index = self.indexAt(event.pos())
            if index.isValid():
                self.setCurrentIndex(index)
                self.menuWanted.emit(event.globalPos())
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        found = self._place_at(event.position().toPoint())
        if found is not None and found[1] is None:
            self.keyPressed.emit("open")
            return
        super().mouseDoubleClickEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        words = {
            Qt.Key.Key_Space: "tick",
            Qt.Key.Key_Delete: "remove",
            Qt.Key.Key_Return: "open",
            Qt.Key.Key_Enter: "open",
        }
        word = words.get(Qt.Key(event.key()))
        if word is not None and self.chosen() is not None:
            self.keyPressed.emit(word)
            return
        super().keyPressEvent(event)
