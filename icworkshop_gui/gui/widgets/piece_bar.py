"""The pieces of a transfer as one bar: what is here, what is on its way, what nobody near has."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from icworkshop_gui.engine.api.snapshots import TransferDetail
from icworkshop_gui.gui.models.pieces import Stripe, Stripes, describe, overview, piece_at
from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets import paint

STRIPE = 3
"""Least width of a stripe in px."""


def stripe_count(width: float) -> int:
    return max(1, int(width) // STRIPE)


def draw_stripes(painter: QPainter, rect: QRectF, found: tuple[Stripe, ...], color: QColor) -> None:
    """Stripes on a rounded track: solid where all is here, lighter where some is, a fine line where it is coming."""
    radius = min(rect.height() / 2, 4.0)
    paint.panel(painter, rect, radius, theme().color(Token.RAISED))
    if not found:
        return
    painter.save()
    clip = QPainterPath()
    clip.addRoundedRect(rect, radius, radius)
    painter.setClipPath(clip)
    partly = QColor(color)
    partly.setAlphaF(0.55)
    coming = QColor(color)
    coming.setAlphaF(0.3)
    # A hair between stripes keeps "many pieces" legible; where stripes are as wide as a hair there is none.
    step = rect.width() / len(found)
    gap = 1.0 if step >= STRIPE else 0.0
    for at, stripe in enumerate(found):
        if stripe.have >= 1:
            fill = color
        elif stripe.have > 0:
            fill = partly
        elif stripe.in_flight:
            fill = coming
        else:
            continue
        painter.fillRect(QRectF(rect.x() + at * step, rect.y(), step - gap, rect.height()), fill)
    painter.restore()


class PieceBar(QWidget):
    """The Pieces tab. Left and right walk along it; the pointer and the keys tell what stands where."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._detail: TransferDetail | None = None
        self._stripes = Stripes()
        self._at: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Pieces")

    def sizeHint(self) -> QSize:
        return QSize(300, 30)

    def set_detail(self, detail: TransferDetail | None) -> None:
        """Whose pieces to show; None for nobody's."""
        if detail is None or self._detail is None or detail.id != self._detail.id:
            self._at = None
        self._detail = detail
        self.setAccessibleDescription(self.description)
        self.update()

    @property
    def description(self) -> str:
        """The bar in words."""
        return overview(self._detail) if self._detail is not None else ""

    def words_at(self, x: float) -> str:
        """What stands at a place."""
        return self._describe(self._stripe_at(x))

    def _count(self) -> int:
        return min(stripe_count(self.width()), self._detail.piece_count) if self._detail is not None else 0

    def _stripe_at(self, x: float) -> int:
        return int(x * self._count() / max(1, self.width()))

    def _describe(self, stripe: int) -> str:
        detail = self._detail
        if detail is None or self._count() == 0 or not self._stripes.of(detail, self._count()):
            return ""
        return describe(detail, *piece_at(detail, self._count(), stripe))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        found = self._stripes.of(self._detail, self._count()) if self._detail is not None else ()
        draw_stripes(painter, rect, found, theme().color(Token.ACCENT))
        if self.hasFocus():
            paint.ring(painter, QRectF(self.rect()), 5)
            if self._at is not None and found:
                x = rect.x() + (self._at + 0.5) * rect.width() / len(found)
                paint.dot(painter, QPointF(x, rect.center().y()), 4, theme().color(Token.TEXT))

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.words_at(event.pos().x()), self)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -(10**6), Qt.Key.Key_End: 10**6}
        step = steps.get(Qt.Key(event.key()))
        if step is None or not self._count():
            super().keyPressEvent(event)
            return
        self._at = max(0, min((self._at if self._at is not None else -1) + step, self._count() - 1))
        self.setAccessibleDescription(self._describe(self._at))
        at = self.mapToGlobal(QPointF((self._at + 0.5) * self.width() / self._count(), self.height())).toPoint()
        QToolTip.showText(at, self._describe(self._at), self)
        self.update()
