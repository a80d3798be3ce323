"""A small card beside the control that opened it, inside the window; a click elsewhere or Escape closes it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from icworkshop_gui.gui.widgets.card import Card, lift
from icworkshop_gui.gui.widgets.focus import hand_on


class Popover(Card):
    """Put content into `column`, then `open_at`. Kept and reused; closing only hides it."""

    def __init__(self, host: QWidget, width: int = 300) -> None:
        super().__init__(host)
        self._host = host
        self._anchor: QWidget | None = None
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 14, 16, 14)
        self.column.setSpacing(12)
        self.setFixedWidth(width)
        lift(self)
        self.hide()

    def open_at(self, anchor: QWidget) -> None:
        """Above the anchor when it is in the lower half of the window, else below it. Again: close."""
        if self.isVisible() and self._anchor is anchor:
            self.close_popover()
            return
        self._anchor = anchor
        self._place(anchor)
        self.show()
        self.raise_()
        app = QApplication.instance()
        if app is not None:
            app.installEventFilter(self)
        for child in self.findChildren(QWidget):
            if child.focusPolicy() & Qt.FocusPolicy.TabFocus and child.isVisible():
                child.setFocus(hand_on(anchor))
                break

    def _place(self, anchor: QWidget) -> None:
        host = self._host
        self.adjustSize()
        layout_height = self.column.totalHeightForWidth(self.width()) if self.column.hasHeightForWidth() else 0
        height = max(self.sizeHint().height(), layout_height)
        at = anchor.mapTo(host, QPoint(0, 0))
        x = max(8, min(at.x(), host.width() - self.width() - 8))
        above = at.y() > host.height() / 2
        y = at.y() - height - 8 if above else at.y() + anchor.height() + 8
        self.setGeometry(x, max(8, y), self.width(), height)

    def close_popover(self, *, give_back: bool = True) -> None:
        """Hide; the focus goes back to the control that opened it."""
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self)
        self.hide()
        if give_back and self._anchor is not None:
            self._anchor.setFocus(hand_on(self._anchor))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Resize and watched is self._host and self._anchor is not None:
            QTimer.singleShot(0, self, self._follow)
        if event.type() is QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            inside = self.rect().contains(self.mapFromGlobal(event.globalPosition().toPoint()))
            anchor = self._anchor
            on_anchor = anchor is not None and anchor.rect().contains(
                anchor.mapFromGlobal(event.globalPosition().toPoint())
            )
            if not inside and not on_anchor and isinstance(watched, QWidget):
                self.close_popover(give_back=False)
        return super().eventFilter(watched, event)

    def _follow(self) -> None:
        if self.isVisible() and self._anchor is not None:
            self._place(self._anchor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_popover()
            return
        super().keyPressEvent(event)
