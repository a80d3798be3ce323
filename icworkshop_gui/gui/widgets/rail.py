"""The navigation rail: a picture and a word per page, a badge where something is going on."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QVBoxLayout, QWidget

from icworkshop_gui.gui import icons
from icworkshop_gui.gui.resources import resource
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import Badge
from icworkshop_gui.gui.widgets.focus import shows_ring


class Logo(QAbstractButton):
    """The program's mark, in the accent of the scheme; a button for the program's own menu."""

    def __init__(self, size: int = 36, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ring = False
        self.setFixedSize(size, size)
        self.setAccessibleName("Program menu")
        self.setToolTip("Program menu")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._svg = resource("app-icon.svg").read_text(encoding="utf-8")

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        svg = self._svg.replace("#FF7A45", look.hex(Token.ACCENT)).replace("#1A0E07", look.hex(Token.ON_ACCENT))
        painter = QPainter(self)
        QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(self.rect()))
        if self._ring and self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint.ring(painter, QRectF(self.rect()).adjusted(2, 2, -2, -2), 7, look.color(Token.ON_ACCENT))

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)


class RailButton(QAbstractButton):
    """One page of the rail."""

    def __init__(self, icon: str, word: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = icon
        self._ring = False
        self.setText(word)
        self.setAccessibleName(word)
        self.setCheckable(True)
        self.setFixedSize(self.sizeHint())
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.badge = Badge(self)
        self.badge.move(37, 6)

    def sizeHint(self) -> QSize:
        return QSize(64, 58)

    def set_count(self, count: int, of: str) -> None:
        """The badge, also in the accessible name: "Downloads, 3 active"."""
        self.badge.set_count(count)
        self.setAccessibleName(f"{self.text()}, {count} {of}" if count else self.text())

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        chosen, pointed = self.isChecked(), self.underMouse()
        if chosen:
            line = look.color(Token.ACCENT) if look.scheme.is_contrast else None
            paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.tint(Token.ACCENT, Token.RAIL), line)
        elif pointed:
            paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.color(Token.RAISED))
        ink = look.color(Token.ACCENT if chosen else Token.TEXT if pointed else Token.MUTED)
        side = Measure.RAIL_ICON
        icons.draw(painter, self._icon, (self.width() - side) / 2, 8, side, ink)
        painter.setFont(look.font(Text.TINY_STRONG if chosen else Text.TINY))
        painter.setPen(ink)
        painter.drawText(QRectF(-4, 33, self.width() + 8, 17), int(Qt.AlignmentFlag.AlignCenter), self.text())
        if self._ring and self.hasFocus():
            paint.ring(painter, rect, Measure.RADIUS_CONTROL)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self.focusNextPrevChild(event.key() == Qt.Key.Key_Down)
            return
        super().keyPressEvent(event)


class Rail(QWidget):
    """Signals:
    chosen(str): the key of the page that the player wants.
    """

    chosen = Signal(str)

    def __init__(self, entries: Sequence[tuple[str, str, str, bool]], parent: QWidget | None = None) -> None:
        """`entries`: key, word, icon, at the bottom?"""
        super().__init__(parent)
        self.setFixedWidth(Measure.RAIL)
        self.setAccessibleName("Pages")
        self._buttons: dict[str, RailButton] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 14, 6, 11)
        column.setSpacing(4)
        self.logo = Logo()
        column.addWidget(self.logo, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(15)
        middle_done = False
        for key, word, icon, at_bottom in entries:
            if at_bottom and not middle_done:
                column.addStretch(1)
                middle_done = True
            button = RailButton(icon, word, self)
            self._buttons[key] = button
            self._group.addButton(button)
            button.clicked.connect(self._clicked)
            column.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        if not middle_done:
            column.addStretch(1)

    def _clicked(self) -> None:
        pressed = self.sender()
        for key, button in self._buttons.items():
            if button is pressed:
                self.chosen.emit(key)

    def button(self, key: str) -> RailButton:
        return self._buttons[key]

    def choose(self, key: str) -> None:
        """Mark a page without telling; a page that is not in the rail leaves the mark where it is."""
        if key in self._buttons:
            self._buttons[key].setChecked(True)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme().color(Token.RAIL))
        painter.fillRect(self.width() - 1, 0, 1, self.height(), theme().color(Token.LINE))
