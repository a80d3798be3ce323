"""A bandwidth limit as a slider whose ends are words: Paused … Unlimited (DESIGN §4.13)."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSlider, QWidget

from icworkshop_gui.gui.format import limit
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.focus import shows_ring
from icworkshop_gui.gui.widgets.labels import IconLabel, Label

STEPS: tuple[int | None, ...] = (
    0,
    *(kb * 1000 for kb in (20, 50, 100, 150, 200, 300, 400, 500, 640, 750)),
    *(mb * 1_000_000 for mb in (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 75, 100)),
    None,
)
"""Bytes per second of each stop. None is unlimited."""
TELL_AFTER_MS = 180
"""A drag tells its last stop, not each one it passes."""


def nearest_step(rate: int | None) -> int:
    """Index of the stop next to a rate."""
    if rate is None:
        return len(STEPS) - 1
    if rate <= 0:
        return 0
    return min(range(1, len(STEPS) - 1), key=lambda index: abs((STEPS[index] or 0) - rate))


class Slider(QSlider):
    """A painted horizontal slider that jumps to where it is clicked."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setAccessibleName(name)
        self.setFixedHeight(22)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._ring = False

    def sizeHint(self) -> QSize:
        return QSize(180, 22)

    def _share(self) -> float:
        return (self.value() - self.minimum()) / max(1, self.maximum() - self.minimum())

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.45)
        rail = QRectF(0, self.height() / 2 - Measure.TRACK / 2, self.width(), Measure.TRACK)
        paint.panel(painter, rail, Measure.TRACK / 2, look.color(Token.RAISED))
        at = self._knob()
        filled = QRectF(rail.x(), rail.y(), at.x(), rail.height())
        paint.panel(painter, filled, Measure.TRACK / 2, look.color(Token.ACCENT))
        paint.panel(
            painter, QRectF(at.x() - 9, at.y() - 9, 18, 18), 9, look.color(Token.SURFACE), look.color(Token.ACCENT), 2
        )
        if self._ring and self.hasFocus():
            paint.dot(painter, at, 4, look.color(Token.ACCENT))
            paint.ring(painter, QRectF(at.x() - 11, at.y() - 11, 22, 22), 11, look.color(Token.TEXT))

    def _knob(self) -> QPointF:
        margin = 11.0
        return QPointF(margin + self._share() * (self.width() - 2 * margin), self.height() / 2)

    def _to(self, x: float) -> None:
        share = (x - 11) / max(1.0, self.width() - 22.0)
        self.setValue(round(self.minimum() + min(1.0, max(0.0, share)) * (self.maximum() - self.minimum())))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(True)
        self._to(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self._to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)

    def wheelEvent(self, event: QWheelEvent) -> None:
        # A wheel that scrolls the page must not change a limit on its way.
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._ring = True
        super().keyPressEvent(event)


class RateSlider(QWidget):
    """Icon, name, the limit in words, and the slider.

    Signals:
        rateChosen(object): bytes per second, 0 for Paused, None for Unlimited; by the player, once a drag rests.
    """

    rateChosen = Signal(object)

    def __init__(self, icon: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rate: int | None = None
        self.slider = Slider(name)
        self.slider.setRange(0, len(STEPS) - 1)
        self.slider.setPageStep(3)
        self._words = Label("", Text.SECOND_STRONG)
        title = Label(name, Text.SECOND)
        title.setBuddy(self.slider)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(IconLabel(icon, 15, Token.TEXT))
        top.addWidget(title)
        top.addStretch(1)
        top.addWidget(self._words)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addLayout(top, 0, 0, 1, 2)
        grid.addWidget(self.slider, 1, 0, 1, 2)
        grid.addWidget(Label("Paused", Text.CAPTION, Token.MUTED), 2, 0, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(Label("Unlimited", Text.CAPTION, Token.MUTED), 2, 1, Qt.AlignmentFlag.AlignRight)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TELL_AFTER_MS)
        self._timer.timeout.connect(self._tell)
        self._quiet = False
        self.slider.valueChanged.connect(self._moved)
        self.set_rate(None)

    @property
    def rate(self) -> int | None:
        return self._rate

    def set_rate(self, rate: int | None) -> None:
        """Show a limit that was set elsewhere; ignored while the player drags."""
        if self.slider.isSliderDown() or self._timer.isActive():
            return
        self._rate = rate
        self._quiet = True
        self.slider.setValue(nearest_step(rate))
        self._quiet = False
        self._show()

    def _moved(self, index: int) -> None:
        if self._quiet:
            return
        self._rate = STEPS[index]
        self._show()
        self._timer.start()

    def _tell(self) -> None:
        self.rateChosen.emit(self._rate)

    def _show(self) -> None:
        self._words.setText(limit(self._rate))
        self.slider.setAccessibleDescription(limit(self._rate))
