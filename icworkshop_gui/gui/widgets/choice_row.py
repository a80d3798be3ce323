"""One of several ways, told in a sentence: a round mark and words that may break into lines."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetrics, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.focus import shows_ring

LEFT, RIGHT, ABOVE = 40, 14, 11
_FLAGS = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextWordWrap)


class ChoiceRow(QAbstractButton):
    """Put several into a QButtonGroup; Space and a click choose, Enter chooses and goes on.

    Signals:
        submitted(): Enter.
    """

    submitted = Signal()

    def __init__(self, text: str, *, checked: bool = False) -> None:
        super().__init__()
        self._ring = False
        self.setText(text)
        self.setAccessibleName(text)
        self.setCheckable(True)
        self.setChecked(checked)
        self.setFont(theme().font(Text.BODY))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def heightForWidth(self, width: int) -> int:
        room = QRect(0, 0, max(80, width - LEFT - RIGHT), 10_000)
        return QFontMetrics(self.font()).boundingRect(room, _FLAGS, self.text()).height() + 2 * ABOVE

    def sizeHint(self) -> QSize:
        return QSize(300, self.heightForWidth(self.width() if self.width() > LEFT else 300))

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        on = self.isChecked()
        fill = look.tint(Token.ACCENT, Token.SURFACE) if on else look.color(Token.SURFACE)
        line = look.color(Token.ACCENT if on else Token.LINE)
        paint.panel(painter, rect, Measure.RADIUS_CONTROL, fill, line, 1.5 if on else 1.0)
        mark = QRectF(13, rect.center().y() - 8, 16, 16)
        paint.panel(painter, mark, 8, look.color(Token.SURFACE), look.color(Token.ACCENT if on else Token.MUTED), 1.5)
        if on:
            paint.dot(painter, mark.center(), 4, look.color(Token.ACCENT))
        painter.setFont(self.font())
        painter.setPen(look.color(Token.TEXT))
        painter.drawText(self.rect().adjusted(LEFT, 0, -RIGHT, 0), _FLAGS, self.text())
        if self._ring and self.hasFocus():
            paint.ring(painter, rect, Measure.RADIUS_CONTROL)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.setChecked(True)
            self.submitted.emit()
            return
        super().keyPressEvent(event)
