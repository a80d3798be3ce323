"""Grey shapes where rows will be: shown only when the first answer takes longer than a blink, and standing still."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint

ROWS = 8
DELAY_MS = 150


class Skeleton(QWidget):
    """Eight rows of nothing yet."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Loading the catalog")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        grey = theme().color(Token.RAISED if theme().scheme.is_dark else Token.LINE)
        width, height = Measure.CATALOG_THUMB
        right = float(self.width())
        if right > Measure.PREVIEW * 3:
            right -= Measure.PREVIEW + Measure.GAP
            pane = QRectF(right + Measure.GAP, 6, Measure.PREVIEW, self.height() - 6)
            paint.panel(painter, pane, Measure.RADIUS_PART, theme().color(Token.SURFACE), theme().color(Token.LINE))
        for row in range(ROWS):
            top = row * Measure.CATALOG_ROW
            painter.setOpacity(1.0 - row * 0.1)
            paint.panel(painter, QRectF(12, top + 9, width, height), Measure.RADIUS_THUMB, grey)
            left = 12 + width + Measure.GAP
            for place, share in enumerate((0.24, 0.42, 0.3)):
                bar = QRectF(left, top + 13 + place * 19, right * share, 9)
                paint.panel(painter, bar, 4.5, grey)
            button = QRectF(right - 12 - 66, top + 22, 66, Measure.BUTTON_SMALL)
            paint.panel(painter, button, Measure.RADIUS_CONTROL, grey)
