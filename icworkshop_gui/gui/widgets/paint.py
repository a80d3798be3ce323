"""Strokes that several painters share: panels, tracks, pills, focus rings. All take logical pixels."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Token

RING = 2.0
"""Width of a focus ring in px (gui.md B0.9)."""


def panel(
    painter: QPainter, rect: QRectF, radius: float, fill: QColor | None, line: QColor | None = None, width: float = 1.0
) -> None:
    """A rounded rectangle whose border lies inside `rect`."""
    painter.setBrush(fill if fill is not None else Qt.BrushStyle.NoBrush)
    if line is None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(rect, radius, radius)
    else:
        painter.setPen(QPen(line, width))
        half = width / 2
        painter.drawRoundedRect(rect.adjusted(half, half, -half, -half), radius - half, radius - half)


def ring(painter: QPainter, rect: QRectF, radius: float, color: QColor | None = None) -> None:
    """A focus ring just inside `rect`."""
    panel(painter, rect, radius, None, color or theme().color(Token.ACCENT), RING)


def track(painter: QPainter, rect: QRectF, share: float, color: QColor) -> None:
    """A progress track: `share` (0..1) of it filled."""
    radius = rect.height() / 2
    panel(painter, rect, radius, theme().color(Token.RAISED))
    share = min(1.0, max(0.0, share))
    if share > 0:
        width = max(rect.height(), rect.width() * share)
        panel(painter, QRectF(rect.x(), rect.y(), width, rect.height()), radius, color)


def text(painter: QPainter, rect: QRectF, words: str, font: QFont, color: QColor, flags: int = 0) -> None:
    """One line, vertically centred; `flags` adds Qt.AlignmentFlag values (left by default). Not elided."""
    painter.setFont(font)
    painter.setPen(color)
    painter.drawText(rect, int(Qt.AlignmentFlag.AlignVCenter) | flags | int(Qt.TextFlag.TextSingleLine), words)


def width_of(words: str, font: QFont) -> float:
    """How wide one line is."""
    return QFontMetricsF(font).horizontalAdvance(words)


def dot(painter: QPainter, center: QPointF, radius: float, color: QColor) -> None:
    """A filled circle."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(center, radius, radius)
