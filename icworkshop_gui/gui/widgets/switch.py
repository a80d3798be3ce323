"""A switch: on or off, at once."""

from __future__ import annotations

from PySide6.QtCore import QEasingCurve, QPointF, QRectF, QSize, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QWidget

from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Token, mix
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.focus import shows_ring


class Switch(QAbstractButton):
    """Checkable; `name` is what it switches. Connect `toggled` (any change) or `clicked` (the player's)."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setAccessibleName(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedSize(self.sizeHint())
        self._ring = False
        self._place = 0.0
        self._slide = QVariantAnimation(self)
        self._slide.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._slide.valueChanged.connect(self._move)
        self.toggled.connect(self._start)

    def sizeHint(self) -> QSize:
        return QSize(40, 24)

    def _start(self, on: bool) -> None:
        self._slide.stop()
        target = 1.0 if on else 0.0
        length = theme().duration(120)
        if length == 0 or not self.isVisible():
            self._move(target)
            return
        self._slide.setDuration(length)
        self._slide.setStartValue(self._place)
        self._slide.setEndValue(target)
        self._slide.start()

    def _move(self, place: float) -> None:
        self._place = place
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.45)
        rect = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        ground = QColor(mix(look.hex(Token.ACCENT), look.hex(Token.MUTED), self._place))
        paint.panel(painter, rect, rect.height() / 2, ground)
        travel = rect.width() - rect.height()
        at = QPointF(rect.x() + rect.height() / 2 + travel * self._place, rect.center().y())
        paint.dot(painter, at, rect.height() / 2 - 2.5, QColor(Qt.GlobalColor.white))
        if self._ring and self.hasFocus():
            paint.ring(painter, QRectF(self.rect()), 12, look.color(Token.TEXT))

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)
