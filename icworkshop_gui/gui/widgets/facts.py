"""Label and value, line by line: the facts of a package, a release, a transfer."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.labels import ElidedLabel, IconLabel, Label


class FactsCard(Card):
    """Rows of (label, value) on a raised ground; `set_facts` replaces them without new widgets where it can."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, ground=Token.RAISED, line=None, radius=Measure.RADIUS_ROW)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(12, 9, 12, 9)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[Label, ElidedLabel]] = []

    def set_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        for at, (label, value) in enumerate(facts):
            if at == len(self._rows):
                left = Label("", Text.SECOND, Token.MUTED)
                right = ElidedLabel("", Text.SECOND_STRONG)
                right.setAlignment(Qt.AlignmentFlag.AlignRight)
                self._grid.addWidget(left, at, 0)
                self._grid.addWidget(right, at, 1)
                self._rows.append((left, right))
            self._rows[at][0].setText(label)
            self._rows[at][1].setText(value)
        for at, row in enumerate(self._rows):
            for cell in row:
                cell.setVisible(at < len(facts))

    def words(self) -> str:
        """All that is shown, in one line."""
        return ", ".join(f"{left.text()} {right.text()}" for left, right in self._rows if not left.isHidden())


class NoteLine(QWidget):
    """A small picture and a sentence."""

    def __init__(self, icon: str, text: str = "", token: Token = Token.MUTED, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = Label(text, Text.SECOND, token, wrap=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(IconLabel(icon, 15, token), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.words, 1)

    def set_text(self, text: str) -> None:
        """Empty hides the line."""
        self.words.setText(text)
        self.setVisible(bool(text))
