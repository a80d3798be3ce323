"""How a row of the library looks, and which of its parts is under the pointer. Paints; decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from PySide6.QtCore import QLineF, QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from icworkshop_gui.engine.api.snapshots import LibraryEntry
from icworkshop_gui.gui import categories, icons
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.library import LibraryModel, LibraryRow, Look
from icworkshop_gui.gui.models.rows import ROW_ROLE
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint

ART = QSize(*Measure.LIBRARY_THUMB)
BUTTONS = {Look.DAMAGED: "Repair", Look.STAGED: "Install"}
SIZE_END = 70
"""How far before the right edge the sizes end: room for the menu."""
SIZE_WIDTH = 190
SHARING_WIDTH = 150
ABOUT_WIDTH = 158
_LOOKS = {
    Look.INSTALLED: ("check", Token.OK),
    Look.UPDATE: ("refresh-cw", Token.ACCENT),
    Look.STAGED: ("bell-ring", Token.ACCENT),
    Look.PINNED: ("pin", Token.OK),
    Look.TEMPORARY: ("hourglass", Token.INFO),
    Look.UNUSED: ("circle-dashed", Token.MUTED),
    Look.DAMAGED: ("triangle-alert", Token.ERROR),
    Look.CHECKING: ("scan-search", Token.INFO),
}


class Part(StrEnum):
    """What of a row can be pressed."""

    TICK = "tick"
    BUTTON = "button"
    MENU = "menu"


def parts_of(row: LibraryRow, rect: QRectF) -> dict[Part, QRectF]:
    """Where each part of a row lies, for painting and for the pointer alike."""
    middle = rect.center().y()
    found = {
        Part.TICK: QRectF(rect.x() + 12, middle - ART.height() / 2, ART.width(), ART.height()),
        Part.MENU: QRectF(rect.right() - 49, middle - 15, 30, 30),
    }
    word = BUTTONS.get(row.look)
    if word is not None:
        width = paint.width_of(word, theme().font(Text.BUTTON_SMALL)) + 26
        right = rect.right() - SIZE_END - SIZE_WIDTH
        found[Part.BUTTON] = QRectF(right - width, middle - 15, width, 30)
    return found


class LibraryDelegate(QStyledItemDelegate):
    """Paints packages from tokens. `art` gives the picture of one."""

    def __init__(self, model: LibraryModel, art: Callable[[LibraryEntry, QSize, float], QPixmap]) -> None:
        super().__init__(model)
        self._model = model
        self._art = art
        self.hot: tuple[QPersistentModelIndex, Part | None] | None = None
        """The row under the pointer, and its part."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(300, Measure.LIBRARY_ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = index.data(ROW_ROLE)
        if not isinstance(row, LibraryRow):
            return
        look = theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(option.rect)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
        self._paint_card(painter, rect, index.row() == 0, index.row() == index.model().rowCount() - 1)
        hovered = self.hot is not None and self.hot[0] == index
        hot = self.hot[1] if self.hot is not None and hovered else None
        if selected or row.ticked:
            tint = look.tint(Token.ACCENT, Token.SURFACE)
            line = look.color(Token.ACCENT) if selected else None
            inside = rect.adjusted(4, 3, -4, -3)
            paint.panel(painter, inside, Measure.RADIUS_CONTROL, tint, line, 2.0 if focused else 1.5)
        self._paint_row(painter, rect, row, hot, hovered=hovered)
        painter.restore()

    @staticmethod
    def _paint_card(painter: QPainter, rect: QRectF, first: bool, last: bool) -> None:
        look = theme()
        painter.setClipRect(rect)
        card = rect.adjusted(0, 0 if first else -30, 0, 0 if last else 30)
        paint.panel(painter, card, Measure.RADIUS_ROW, look.color(Token.SURFACE), look.color(Token.LINE))
        if not first:
            painter.setPen(QPen(look.color(Token.LINE), 1))
            painter.drawLine(QLineF(rect.x() + 1, rect.y() + 0.5, rect.right() - 1, rect.y() + 0.5))
        painter.setClipping(False)

    def _paint_row(self, painter: QPainter, rect: QRectF, row: LibraryRow, hot: Part | None, *, hovered: bool) -> None:
        entry = row.entry
        parts = parts_of(row, rect)
        art = self._art(entry, ART, painter.device().devicePixelRatioF())
        painter.drawPixmap(QPointF(parts[Part.TICK].topLeft()), art)
        if row.ticked or hovered:
            self._paint_tick(painter, parts[Part.TICK], row.ticked, hot is Part.TICK)
        left = rect.x() + 94
        right = rect.right() - SIZE_END
        middle = rect.center().y()
        self._paint_sizes(painter, QRectF(right - SIZE_WIDTH, middle - 18, SIZE_WIDTH, 36), row)
        self._icon_button(painter, parts[Part.MENU], hot is Part.MENU)
        edge = right - SIZE_WIDTH - 12
        if Part.BUTTON in parts:
            self._button(painter, parts[Part.BUTTON], BUTTONS[row.look], hot is Part.BUTTON)
            edge = parts[Part.BUTTON].x() - 12
        else:
            edge = self._paint_columns(painter, row, left, edge, middle)
        self._paint_words(painter, QRectF(left, middle - 19, edge - left - 8, 38), row)

    @staticmethod
    def _paint_columns(painter: QPainter, row: LibraryRow, left: float, edge: float, middle: float) -> float:
        """Who gets it from us, and what it is; the words that there is no room for go first."""
        look = theme()
        second = look.font(Text.SECOND)
        room = edge - left
        if room > 380:
            x = edge - SHARING_WIDTH
            token = Token.OK if row.entry.rate_up and row.entry.sharing else Token.MUTED
            line = QRectF(x, middle - 10, SHARING_WIDTH, 20)
            paint.text(painter, line, row.sharing, second, look.color(token))
            edge = x - 8
        if room > 600:
            x = edge - ABOUT_WIDTH
            about = f"{categories.word(row.entry.category)} {row.entry.ref.version}".strip()
            about = QFontMetricsF(second).elidedText(about, Qt.TextElideMode.ElideRight, ABOUT_WIDTH)
            paint.text(painter, QRectF(x, middle - 10, ABOUT_WIDTH, 20), about, second, look.color(Token.MUTED))
            edge = x - 8
        return edge

    @staticmethod
    def _paint_words(painter: QPainter, rect: QRectF, row: LibraryRow) -> None:
        look = theme()
        font = look.font(Text.ITEM)
        title = QFontMetricsF(font).elidedText(row.entry.title, Qt.TextElideMode.ElideRight, rect.width())
        paint.text(painter, QRectF(rect.x(), rect.y(), rect.width(), 20), title, font, look.color(Token.TEXT))
        icon, token = _LOOKS[row.look]
        below = QRectF(rect.x(), rect.y() + 20, rect.width(), 18)
        icons.draw(painter, icon, below.x(), below.center().y() - 7, 14, look.color(token))
        second = look.font(Text.SECOND)
        state = QFontMetricsF(second).elidedText(row.state, Qt.TextElideMode.ElideRight, below.width() - 20)
        paint.text(painter, below.adjusted(20, 0, 0, 0), state, second, look.color(token))

    @staticmethod
    def _paint_sizes(painter: QPainter, rect: QRectF, row: LibraryRow) -> None:
        look = theme()
        flag = int(Qt.AlignmentFlag.AlignRight.value)
        size = words.size(row.entry.size)
        top = QRectF(rect.x(), rect.y(), rect.width(), 19)
        paint.text(painter, top, size, look.font(Text.SECOND_STRONG), look.color(Token.TEXT), flag)
        below = QRectF(rect.x(), rect.y() + 17, rect.width(), 18)
        second = look.font(Text.SECOND)
        frees = QFontMetricsF(second).elidedText(row.frees, Qt.TextElideMode.ElideRight, rect.width())
        paint.text(painter, below, frees, second, look.color(Token.MUTED), flag)

    @staticmethod
    def _paint_tick(painter: QPainter, art: QRectF, ticked: bool, hot: bool) -> None:
        """A tick box over the picture: shown on the row under the pointer, and where it is ticked."""
        look = theme()
        box = QRectF(art.x() + 5, art.y() + 5, 20, 20)
        fill = look.color(Token.ACCENT if ticked else Token.SURFACE)
        line = look.color(Token.ACCENT if ticked or hot else Token.MUTED)
        paint.panel(painter, box, 5, fill, line, 1.5)
        if ticked:
            icons.draw(painter, "check", box.x() + 3, box.y() + 3, 14, look.color(Token.ON_ACCENT))

    @staticmethod
    def _icon_button(painter: QPainter, rect: QRectF, hot: bool) -> None:
        look = theme()
        if hot:
            paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.color(Token.RAISED))
        ink = look.color(Token.TEXT if hot else Token.MUTED)
        icons.draw(painter, "ellipsis", rect.center().x() - 8, rect.center().y() - 8, 16, ink)

    @staticmethod
    def _button(painter: QPainter, rect: QRectF, word: str, hot: bool) -> None:
        look = theme()
        fill = look.color(Token.RAISED if hot else Token.SURFACE)
        paint.panel(painter, rect, Measure.RADIUS_CONTROL, fill, look.color(Token.LINE))
        font = look.font(Text.BUTTON_SMALL)
        paint.text(painter, rect.adjusted(13, 0, 0, 0), word, font, look.color(Token.TEXT))
