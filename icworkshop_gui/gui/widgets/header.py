"""The 60 px at the top of a page: title, a quiet word beside it, and the page's own actions at the right."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label


class PageHeader(QWidget):
    """`add` puts widgets to the right, in order. `lead` (a back button) stands before the title."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(Measure.HEADER)
        self.title = Label(title, Text.TITLE)
        self.subtitle = ElidedLabel("", Text.SECOND, Token.MUTED)
        self.subtitle.setMinimumWidth(0)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(Measure.MARGIN, 0, Measure.MARGIN, 1)
        self._row.setSpacing(12)
        self._row.addWidget(self.title)
        self._row.addWidget(self.subtitle, 1)

    def set_title(self, title: str) -> None:
        self.title.setText(title)

    def set_subtitle(self, text: str) -> None:
        """The quiet word beside the title: `3 active, 2 waiting`."""
        self.subtitle.setText(text)

    def lead(self, widget: QWidget) -> None:
        """Before the title."""
        self._row.insertWidget(0, widget)

    def add(self, widget: QWidget, stretch: int = 0) -> None:
        """At the right end."""
        self._row.addWidget(widget, stretch, Qt.AlignmentFlag.AlignVCenter)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(0, self.height() - 1, self.width(), 1, theme().color(Token.LINE))
