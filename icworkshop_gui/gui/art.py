"""Package art where an author gave none: drawn from the package's id and category, the same every time.

Colours are the art's own and the same in every scheme: it is a picture, not a part of the window.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable
from random import Random

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from icworkshop_gui.gui.categories import Motif, motif


def _hsl(hue: float, saturation: float, lightness: float) -> QColor:
    return QColor.fromHslF(hue % 1.0, saturation, lightness)


def _tiles(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """An isometric field, seen from above."""
    hue = chance.choice((0.29, 0.31, 0.10, 0.55, 0.33))
    painter.fillRect(rect, _hsl(hue, 0.38, 0.12))
    wide = rect.width() / 7.5
    tall = wide / 2
    center = QPointF(rect.center().x(), rect.center().y())
    side = 9
    painter.setPen(QPen(_hsl(hue, 0.4, 0.16), 0.6))
    for row in range(side):
        for column in range(side):
            x = center.x() + (column - row) * wide / 2
            y = center.y() + (column + row - side + 1) * tall / 2
            water = chance.random() < 0.08
            shade = _hsl(hue + chance.uniform(-0.03, 0.05), 0.36, chance.uniform(0.24, 0.44))
            painter.setBrush(_hsl(0.55, 0.35, 0.34) if water else shade)
            points = (
                QPointF(x, y - tall / 2),
                QPointF(x + wide / 2, y),
                QPointF(x, y + tall / 2),
                QPointF(x - wide / 2, y),
            )
            painter.drawPolygon(QPolygonF(points))


def _waves(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """A wave form in bars."""
    hue = chance.choice((0.80, 0.74, 0.58, 0.93, 0.48))
    painter.fillRect(rect, _hsl(hue, 0.45, 0.12))
    bars = 22
    step = rect.width() * 0.9 / bars
    phase = chance.uniform(0, math.tau)
    painter.setPen(Qt.PenStyle.NoPen)
    for index in range(bars):
        swell = 0.35 + 0.3 * abs(math.sin(index * 0.41 + phase)) + chance.uniform(-0.2, 0.3)
        height = rect.height() * max(0.08, min(0.9, swell))
        x = rect.x() + rect.width() * 0.05 + index * step
        painter.setBrush(_hsl(hue + index / bars * 0.12, 0.58, 0.58))
        bar = QRectF(x, rect.center().y() - height / 2, step * 0.5, height)
        painter.drawRoundedRect(bar, step * 0.25, step * 0.25)


def _rings(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """A voice that spreads."""
    hue = chance.choice((0.51, 0.47, 0.09, 0.60, 0.36))
    painter.fillRect(rect, _hsl(hue, 0.45, 0.13))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    center = QPointF(rect.center().x() + rect.width() * chance.uniform(-0.06, 0.06), rect.center().y())
    step = rect.height() * chance.uniform(0.085, 0.105)
    for index in range(1, 7):
        color = _hsl(hue + index * 0.006, 0.5, 0.58)
        color.setAlphaF(max(0.15, 1.05 - index * 0.13))
        painter.setPen(QPen(color, max(1.0, rect.height() / 42)))
        painter.drawEllipse(center, step * index, step * index)


def _pixels(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """A sheet of sprites."""
    hue = chance.choice((0.12, 0.16, 0.03, 0.60, 0.40))
    painter.fillRect(rect, _hsl(hue, 0.5, 0.12))
    columns = 9
    cell = rect.width() / columns
    rows = math.ceil(rect.height() / cell)
    painter.setPen(Qt.PenStyle.NoPen)
    for row in range(rows):
        for column in range(columns):
            if chance.random() < 0.22:
                continue
            painter.setBrush(
                _hsl(hue + chance.uniform(-0.06, 0.06), chance.uniform(0.4, 0.6), chance.uniform(0.26, 0.58))
            )
            inset = cell * 0.06
            painter.drawRect(
                QRectF(rect.x() + column * cell, rect.y() + row * cell, cell, cell).adjusted(
                    inset, inset, -inset, -inset
                )
            )


def _ridges(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """Hills under a low sun."""
    hue = chance.choice((0.09, 0.12, 0.05, 0.58, 0.70))
    painter.fillRect(rect, _hsl(hue - 0.08, 0.45, 0.13))
    sun = QPointF(
        rect.x() + rect.width() * chance.uniform(0.18, 0.82), rect.y() + rect.height() * chance.uniform(0.26, 0.38)
    )
    layers = 3
    for layer in range(layers):
        base = rect.y() + rect.height() * (0.28 + layer * 0.22)
        points = [QPointF(rect.left(), rect.bottom() + 1)]
        count = 7
        for index in range(count + 1):
            height = chance.uniform(-0.15, 0.13) * rect.height() * (1 - layer * 0.22)
            points.append(QPointF(rect.left() + rect.width() * index / count, base + height))
        points.append(QPointF(rect.right() + 1, rect.bottom() + 1))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_hsl(hue + layer * 0.01, 0.40, 0.30 + layer * 0.085))
        painter.drawPolygon(QPolygonF(points))
        if layer == 0:
            painter.setBrush(_hsl(0.045, 0.85, 0.66))
            painter.drawEllipse(sun, rect.height() * 0.10, rect.height() * 0.10)


def _bands(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """Slanted stripes: a look."""
    hue = chance.random()
    painter.fillRect(rect, _hsl(hue, 0.35, 0.14))
    painter.setPen(Qt.PenStyle.NoPen)
    x = rect.left() - rect.height()
    while x < rect.right():
        width = rect.width() * chance.uniform(0.05, 0.16)
        painter.setBrush(_hsl(hue + chance.uniform(-0.07, 0.07), 0.42, chance.uniform(0.24, 0.5)))
        slope = rect.height() * 0.8
        points = (
            QPointF(x, rect.bottom()),
            QPointF(x + slope, rect.top()),
            QPointF(x + slope + width, rect.top()),
            QPointF(x + width, rect.bottom()),
        )
        painter.drawPolygon(QPolygonF(points))
        x += width * chance.uniform(1.2, 1.9)


def _graph(painter: QPainter, rect: QRectF, chance: Random) -> None:
    """Nodes that lead to nodes: a plan."""
    hue = chance.choice((0.62, 0.55, 0.42, 0.76))
    painter.fillRect(rect, _hsl(hue, 0.35, 0.13))
    columns = 4
    layers = [
        [
            QPointF(
                rect.left() + rect.width() * (0.14 + 0.24 * column),
                rect.top() + rect.height() * (index + 1) / (count + 1),
            )
            for index in range(count)
        ]
        for column, count in enumerate((1, chance.randint(2, 3), chance.randint(2, 3), chance.randint(1, 2))[:columns])
    ]
    painter.setPen(QPen(_hsl(hue, 0.3, 0.42), max(1.0, rect.height() / 50)))
    for left, right in itertools.pairwise(layers):
        for start in left:
            for end in right:
                if chance.random() < 0.8:
                    painter.drawLine(start, end)
    painter.setPen(Qt.PenStyle.NoPen)
    radius = rect.height() * 0.065
    for nodes in layers:
        for node in nodes:
            painter.setBrush(_hsl(hue + chance.uniform(-0.08, 0.08), 0.6, 0.64))
            painter.drawEllipse(node, radius, radius)


_PAINTERS: dict[Motif, Callable[[QPainter, QRectF, Random], None]] = {
    Motif.TILES: _tiles,
    Motif.WAVES: _waves,
    Motif.RINGS: _rings,
    Motif.PIXELS: _pixels,
    Motif.RIDGES: _ridges,
    Motif.BANDS: _bands,
    Motif.GRAPH: _graph,
}


def draw_art(package: str, category: str, size: QSize) -> QImage:
    """The art of a package (`publisher/name`) at `size` device pixels."""
    image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.black)
    seed = hashlib.sha256(package.encode("utf-8", "replace")).digest()
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _PAINTERS[motif(category)](painter, QRectF(0, 0, size.width(), size.height()), Random(seed))
    painter.end()
    return image
