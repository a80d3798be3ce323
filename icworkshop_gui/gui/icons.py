"""Lucide icons, tinted: SVG text in, crisp pixmaps out. Stroke 1.75 px at 24 px (LOOK.md, "Icons")."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from icworkshop_gui.gui.resources import resource
from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Token

STROKE = "1.75"
_KEPT = 512
"""Pixmaps kept in memory; one is at most 48 × 48 × 4 × DPR² bytes, so a few MB."""


@lru_cache(maxsize=256)
def _renderer(name: str, color: str) -> QSvgRenderer:
    svg = resource("icons", f"{name}.svg").read_text(encoding="utf-8")
    svg = svg.replace('stroke-width="2"', f'stroke-width="{STROKE}"').replace("currentColor", color)
    return QSvgRenderer(QByteArray(svg.encode()))


@lru_cache(maxsize=_KEPT)
def _pixmap(name: str, size: int, color: str, dpr: float) -> QPixmap:
    pixmap = QPixmap(QSize(round(size * dpr), round(size * dpr)))
    pixmap.setDevicePixelRatio(dpr)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    _renderer(name, color).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap


def pixmap(name: str, size: int, color: QColor, dpr: float = 1.0) -> QPixmap:
    """An icon by its Lucide name, `size` px square, in one colour. Cached."""
    return _pixmap(name, size, color.name(), dpr)


def draw(painter: QPainter, name: str, x: float, y: float, size: int, color: QColor) -> None:
    """Paint an icon with its top left corner at x, y, snapped to device pixels."""
    device = painter.device()
    dpr = device.devicePixelRatioF() if device is not None else 1.0
    painter.drawPixmap(round(x), round(y), pixmap(name, size, color, dpr))


class _TintedEngine(QIconEngine):
    """Draws in the colour of a token of the running scheme, so an icon survives a change of theme."""

    def __init__(self, name: str, token: Token) -> None:
        super().__init__()
        self._name = name
        self._token = token

    def paint(self, painter, rect, mode, state):  # type: ignore[no-untyped-def]
        self._draw(painter, QRectF(rect), mode)

    def _draw(self, painter: QPainter, rect: QRectF, mode: QIcon.Mode) -> None:
        painter.setOpacity(0.45 if mode is QIcon.Mode.Disabled else 1.0)
        _renderer(self._name, theme().hex(self._token)).render(painter, rect)

    def pixmap(self, size, mode, state):  # type: ignore[no-untyped-def]
        picture = QPixmap(size)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        self._draw(painter, QRectF(picture.rect()), mode)
        painter.end()
        return picture

    def clone(self):  # type: ignore[no-untyped-def]
        return _TintedEngine(self._name, self._token)


def icon(name: str, token: Token = Token.TEXT) -> QIcon:
    """For menus, actions and the tray: an icon that follows the theme."""
    return QIcon(_TintedEngine(name, token))
