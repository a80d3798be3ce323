"""What takes how much room, as areas. The layout is pure: squarified rows after Bruls, Huizing and van Wijk (2000)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import AREA_INK, AREAS, Token, area_color
from icworkshop_gui.gui.widgets import paint

CELLS_MAX = 12
"""The smallest ones become one cell "and 31 more": nobody reads a hundred slivers."""
SHARE_MIN = 0.012
"""A cell below this share of the whole goes into that one, too."""
GAP = 4.0
REST = len(AREAS) - 1
"""Index of the quiet colour."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One area. `key` None: all that is too small."""

    key: Hashable
    label: str
    size: int
    color: int = 0
    """Index into AREAS."""


def merged(cells: Sequence[Cell]) -> list[Cell]:
    """Largest first, the small ones as one."""
    ranked = sorted((cell for cell in cells if cell.size > 0), key=lambda cell: (-cell.size, cell.label))
    whole = sum(cell.size for cell in ranked)
    kept = [cell for at, cell in enumerate(ranked) if at < CELLS_MAX - 1 and cell.size >= whole * SHARE_MIN]
    rest = ranked[len(kept) :]
    if len(rest) == 1 and len(kept) < CELLS_MAX:
        return ranked
    if rest:
        kept.append(Cell(None, f"{len(rest)} more", sum(cell.size for cell in rest), REST))
    return kept


def squarify(sizes: Sequence[float], x: float, y: float, width: float, height: float) -> list[QRectF]:
    """A rectangle for every size, in order (largest first), that together fill the area and are as square as can be."""
    found: list[QRectF] = []
    total = sum(sizes)
    if total <= 0 or width <= 0 or height <= 0:
        return [QRectF(x, y, 0, 0) for _ in sizes]
    scale = width * height / total
    areas = [size * scale for size in sizes]
    at = 0
    while at < len(areas):
        side = min(width, height)
        if side <= 0:
            found += [QRectF(x, y, 0, 0) for _ in areas[at:]]
            break
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        row = sum(areas[at:end])
        thick = row / side
        along = 0.0
        for area in areas[at:end]:
            length = area / thick
            if width >= height:
                found.append(QRectF(x, y + along, thick, length))
            else:
                found.append(QRectF(x + along, y, length, thick))
            along += length
        if width >= height:
            x, width = x + thick, max(0.0, width - thick)
        else:
            y, height = y + thick, max(0.0, height - thick)
        at = end
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """The worst aspect ratio of a row laid along `side`."""
    total = sum(row)
    return max(max(side**2 * area / total**2, total**2 / (side**2 * area)) if area else float("inf") for area in row)


class Treemap(QWidget):
    """Painted; arrows walk from cell to cell, Enter and a click choose one.

    Signals:
        chosen(object): the key of a cell; None for "more".
    """

    chosen = Signal(object)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cells: list[Cell] = []
        self._at = -1
        self._hot = -1
        self.setAccessibleName(name)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(400, 124)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 60)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What is drawn, largest first."""
        return tuple(self._cells)

    def set_cells(self, cells: Sequence[Cell]) -> None:
        """Become these; the order is by size."""
        found = merged(cells)
        if found != self._cells:
            self._cells = found
            self._at = min(self._at, len(found) - 1)
            self.setAccessibleDescription(", ".join(f"{cell.label} {words.size(cell.size)}" for cell in found))
            self.update()

    def _rects(self) -> list[QRectF]:
        # The gap is taken from the right and lower side of every cell, and given to the whole.
        sizes = [float(cell.size) for cell in self._cells]
        rects = squarify(sizes, 0.0, 0.0, self.width() + GAP, self.height() + GAP)
        return [rect.adjusted(0, 0, -GAP, -GAP) for rect in rects]

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._cells:
            paint.panel(painter, QRectF(self.rect()), 6, look.color(Token.RAISED))
            return
        for at, (cell, rect) in enumerate(zip(self._cells, self._rects(), strict=True)):
            line = look.color(Token.LINE) if look.scheme.is_contrast else None
            ground = QColor(area_color(cell.color, look.scheme))
            paint.panel(painter, rect, 6, ground.lighter(112) if at == self._hot else ground, line)
            self._write(painter, rect, cell)
            if at == self._at and self.hasFocus():
                paint.ring(painter, rect, 6, look.color(Token.TEXT))

    @staticmethod
    def _write(painter: QPainter, rect: QRectF, cell: Cell) -> None:
        """The label, and the size below it, as far as they fit."""
        look = theme()
        inside = rect.adjusted(10, 7, -6, -5)
        if inside.width() < 34 or inside.height() < 14:
            return
        strong, plain = look.font(Text.CAPTION_STRONG), look.font(Text.CAPTION)
        label = QFontMetricsF(strong).elidedText(cell.label, Qt.TextElideMode.ElideRight, inside.width())
        top = QRectF(inside.x(), inside.y(), inside.width(), 16)
        paint.text(painter, top, label, strong, QColor(AREA_INK))
        size = words.size(cell.size)
        if inside.height() >= 32 and paint.width_of(size, plain) <= inside.width():
            paint.text(painter, top.translated(0, 17), size, plain, QColor(AREA_INK))

    def _cell_at(self, event: QMouseEvent) -> int:
        return next((at for at, rect in enumerate(self._rects()) if rect.contains(event.position())), -1)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        hot = self._cell_at(event)
        if hot != self._hot:
            self._hot = hot
            self.setCursor(Qt.CursorShape.PointingHandCursor if hot >= 0 else Qt.CursorShape.ArrowCursor)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hot = -1
        self.update()
        super().leaveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._choose(self._cell_at(event))

    def _choose(self, at: int) -> None:
        if 0 <= at < len(self._cells):
            self._at = at
            self.update()
            self.chosen.emit(self._cells[at].key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1}
        step = steps.get(Qt.Key(event.key()))
        if step is not None and self._cells:
            self._at = max(0, min(self._at + step, len(self._cells) - 1))
            cell = self._cells[self._at]
            self.setAccessibleDescription(f"{cell.label} {words.size(cell.size)}")
            self.update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._choose(self._at)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            rects = self._rects()
            at = next((i for i, rect in enumerate(rects) if rect.contains(event.pos().toPointF())), -1)
            if at >= 0:
                cell = self._cells[at]
                QToolTip.showText(event.globalPos(), f"{cell.label} · {words.size(cell.size)}", self)
            return True
        return super().event(event)
