"""The surfaces of a page: a card with a border, a hair line, slim scroll bars."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QGraphicsDropShadowEffect, QScroller, QWidget

from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint


class Card(QWidget):
    """A raised part of a page: surface, 1 px line, radius 12. Give it a layout."""

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        ground: Token = Token.SURFACE,
        line: Token | None = Token.LINE,
        radius: int = Measure.RADIUS_PART,
    ) -> None:
        super().__init__(parent)
        self._card_ground = ground
        self._card_line = line
        self._card_radius = radius

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = theme().color(self._card_line) if self._card_line else None
        paint.panel(painter, QRectF(self.rect()), self._card_radius, theme().color(self._card_ground), line)


def lift(widget: QWidget) -> None:
    """A soft shadow under what floats over a page."""
    shadow = QGraphicsDropShadowEffect(widget)
    shadow.setBlurRadius(28)
    shadow.setOffset(0, 6)
    shadow.setColor(QColor(0, 0, 0, 90))
    widget.setGraphicsEffect(shadow)


class Line(QFrame):
    """A hair line, 1 px; horizontal unless `vertical`."""

    def __init__(self, *, vertical: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if vertical:
            self.setFixedWidth(1)
        else:
            self.setFixedHeight(1)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), theme().color(Token.LINE))


class _SlimBars(QObject):
    """Keeps the style of one area's scroll bars in step with the theme. Only the bars: a style sheet on an
    item view would cost every row (gui.md B0.9)."""

    def __init__(self, area: QAbstractScrollArea) -> None:
        super().__init__(area)
        self._area = area
        theme().changed.connect(self._restyle)
        self._restyle()

    def _restyle(self) -> None:
        handle = theme().tint(Token.MUTED, Token.BG, 0.35).name()
        hover = theme().hex(Token.MUTED)
        sheet = (
            "QScrollBar{background:transparent;border:0;margin:0}"
            "QScrollBar:vertical{width:10px}QScrollBar:horizontal{height:10px}"
            f"QScrollBar::handle{{background:{handle};border-radius:3px;margin:2px}}"
            f"QScrollBar::handle:hover{{background:{hover}}}"
            "QScrollBar::handle:vertical{min-height:36px}QScrollBar::handle:horizontal{min-width:36px}"
            "QScrollBar::add-line,QScrollBar::sub-line{width:0;height:0}"
            "QScrollBar::add-page,QScrollBar::sub-page{background:transparent}"
        )
        self._area.verticalScrollBar().setStyleSheet(sheet)
        self._area.horizontalScrollBar().setStyleSheet(sheet)


def slim_bars(area: QAbstractScrollArea) -> None:
    """Narrow scroll bars without arrows, no frame around the area, and a finger may drag it."""
    area.setFrameShape(QFrame.Shape.NoFrame)
    QScroller.grabGesture(area.viewport(), QScroller.ScrollerGestureType.TouchGesture)
    _SlimBars(area)
