"""What a page says when there is nothing: one picture, what it means, the ways out."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.gui import icons
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import Button
from icworkshop_gui.gui.widgets.labels import Label

TEXT_WIDTH_MAX = 440


class _Medal(QWidget):
    def __init__(self, icon: str) -> None:
        super().__init__()
        self.icon = icon
        self.setFixedSize(64, 64)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        look = theme()
        line = look.color(Token.LINE)
        paint.panel(painter, QRectF(self.rect()), 32, look.color(Token.SURFACE), line)
        icons.draw(painter, self.icon, QPointF(19, 19).x(), 19, 26, look.color(Token.MUTED))


class EmptyState(QWidget):
    """Centred; `set` changes what it says, `add_action` adds a way out."""

    def __init__(self, icon: str, title: str, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._medal = _Medal(icon)
        self.title = Label(title, Text.HEADING)
        # A child from the start: shown without a parent it would flash up as a window of its own.
        self.text = Label(text, Text.BODY, Token.MUTED, wrap=True, parent=self)
        self.text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._set_text(text)
        self._actions = QHBoxLayout()
        self._actions.setSpacing(10)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addStretch(2)
        column.addWidget(self._medal, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(4)
        column.addWidget(self.title, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self.text, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(6)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addLayout(self._actions)
        buttons.addStretch(1)
        column.addLayout(buttons)
        column.addStretch(3)

    def set(self, icon: str, title: str, text: str = "") -> None:
        """Other words; takes all actions away."""
        self._medal.icon = icon
        self._medal.update()
        self.title.setText(title)
        self._set_text(text)
        while (item := self._actions.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _set_text(self, text: str) -> None:
        self.text.setText(text)
        self.text.setVisible(bool(text))
        width = min(TEXT_WIDTH_MAX, round(paint.width_of(text, self.text.font()) + 4))
        # A centred label with broken lines must know its width, or the layout gives it one line's height.
        self.text.setFixedWidth(width)
        self.text.setFixedHeight(self.text.heightForWidth(width) if text else 0)

    def add_action(self, button: Button) -> Button:
        """A way out; returns the button."""
        self._actions.addWidget(button)
        return button
