"""The last minute of speed, down and up, on one honest scale."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets import paint

SPAN = 60.0
"""Seconds shown."""
SAMPLES_MAX = 400
"""More than 60 s at four a second; a limit, should the clock stand still."""
FLOOR = 100_000
"""Bytes per second: the scale never gets finer, or idle noise would look like work."""


class Sample(NamedTuple):
    """Speed at a moment."""

    at: float
    down: int
    up: int


class RateHistory:
    """What was measured in the last minute. Pure."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return tuple(self._samples)

    def add(self, at: float, down: int, up: int) -> None:
        """`at` in engine seconds; a clock that goes back starts a new history."""
        if self._samples and at < self._samples[-1].at:
            self._samples.clear()
        self._samples.append(Sample(at, max(0, down), max(0, up)))
        # One sample older than the span stays, so that the line reaches the left edge.
        while len(self._samples) > 1 and self._samples[1].at < at - SPAN:
            self._samples.popleft()

    @property
    def top(self) -> int:
        """The upper end of the scale: 1, 2 or 5 times a power of ten, at least FLOOR."""
        highest = max((max(sample.down, sample.up) for sample in self._samples), default=0)
        if highest <= FLOOR:
            return FLOOR
        power = 10 ** math.floor(math.log10(highest))
        return next(int(step * power) for step in (1, 2, 5, 10) if step * power >= highest)


class RateGraph(QWidget):
    """Painted; its words are its accessible description."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = RateHistory()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Speed in the last minute")

    def sizeHint(self) -> QSize:
        return QSize(270, 108)

    def add(self, at: float, down: int, up: int) -> None:
        """One more measurement."""
        self.history.add(at, down, up)
        if self.isVisible():
            self.update()

    @property
    def description(self) -> str:
        """The picture in words."""
        samples = self.history.samples
        if not samples:
            return "Nothing measured yet"
        last = samples[-1]
        highest = max(sample.down for sample in samples)
        return f"Down {words.rate(last.down)}, up {words.rate(last.up)}, highest {words.rate(highest)}"

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(0, 8, 0, -2)
        top = self.history.top
        grid = QPen(look.color(Token.LINE), 1, Qt.PenStyle.DotLine)
        painter.setPen(grid)
        for share in (0.0, 0.5):
            y = area.y() + area.height() * share
            painter.drawLine(QPointF(area.x(), y), QPointF(area.right(), y))
        painter.setPen(QPen(look.color(Token.LINE), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        samples = self.history.samples
        if len(samples) > 1:
            painter.setClipRect(QRectF(self.rect()))
            self._draw(painter, area, [(s.at, s.down) for s in samples], top, look.color(Token.ACCENT), filled=True)
            self._draw(painter, area, [(s.at, s.up) for s in samples], top, look.color(Token.INFO), filled=False)
            painter.setClipping(False)
        label = words.rate(top)
        font = look.font(Text.TINY)
        # On a patch of ground, so that the line cannot cross the figures.
        patch = QRectF(area.x(), area.y() - 8, paint.width_of(label, font) + 6, 16)
        painter.fillRect(patch, look.color(Token.SURFACE))
        paint.text(painter, patch, label, font, look.color(Token.MUTED))
        self.setAccessibleDescription(self.description)

    @staticmethod
    def _draw(
        painter: QPainter, area: QRectF, points: list[tuple[float, int]], top: int, color: QColor, *, filled: bool
    ) -> None:
        now = points[-1][0]
        line = QPolygonF(
            [
                QPointF(area.right() - (now - at) / SPAN * area.width(), area.bottom() - rate / top * area.height())
                for at, rate in points
            ]
        )
        if filled:
            ground = QPolygonF(line)
            ground.append(QPointF(line.last().x(), area.bottom()))
            ground.append(QPointF(line.first().x(), area.bottom()))
            shade = QColor(color)
            shade.setAlphaF(0.14)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            painter.drawPolygon(ground)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
        painter.drawPolyline(line)
