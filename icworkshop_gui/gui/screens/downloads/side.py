"""The column beside the list: speed, limits, who sends the selected transfer."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.engine.api.commands import SetSharing
from icworkshop_gui.engine.api.snapshots import EngineTotals, TransferDetail
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.sources import Helpers, helpers
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Dot
from icworkshop_gui.gui.widgets.card import Card, Line
from icworkshop_gui.gui.widgets.labels import ElidedLabel, IconLabel, Label
from icworkshop_gui.gui.widgets.limits_panel import LimitsPanel
from icworkshop_gui.gui.widgets.rate_graph import RateGraph
from icworkshop_gui.gui.widgets.switch import Switch

_PAD = (15, 12, 15, 14)


def _column(card: Card, spacing: int) -> QVBoxLayout:
    column = QVBoxLayout(card)
    column.setContentsMargins(*_PAD)
    column.setSpacing(spacing)
    return column


class SpeedCard(Card):
    """The last minute as a graph, and now in figures."""

    def __init__(self) -> None:
        super().__init__()
        column = _column(self, 6)
        top = QHBoxLayout()
        top.addWidget(Label("Speed", Text.ITEM))
        top.addStretch(1)
        top.addWidget(Label("last minute", Text.CAPTION, Token.MUTED))
        column.addLayout(top)
        self.graph = RateGraph()
        column.addWidget(self.graph)
        legend = QHBoxLayout()
        legend.setSpacing(6)
        self.down, self.up = Label("", Text.SECOND, Token.ACCENT), Label("", Text.SECOND, Token.INFO)
        legend.addWidget(Dot(Token.ACCENT))
        legend.addWidget(self.down)
        legend.addSpacing(10)
        legend.addWidget(Dot(Token.INFO))
        legend.addWidget(self.up)
        legend.addStretch(1)
        column.addLayout(legend)

    def set_totals(self, totals: EngineTotals) -> None:
        self.graph.add(totals.now, totals.rate_down, totals.rate_up)
        self.down.setText(f"Down {words.rate(totals.rate_down)}")
        self.up.setText(f"Up {words.rate(totals.rate_up)}")


class LimitsCard(Card):
    """The limits, slow mode and the sharing switch; they act at once."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self._shell = shell
        column = _column(self, 12)
        self.panel = LimitsPanel(shell.bridge)
        self.down, self.up = self.panel.down, self.panel.up
        column.addWidget(self.panel)
        column.addWidget(Line())
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(IconLabel("sprout", 15, Token.TEXT))
        row.addWidget(Label("Share my packages", Text.SECOND))
        row.addStretch(1)
        self.sharing = Switch("Share my packages")
        row.addWidget(self.sharing)
        column.addLayout(row)
        self.sharing.clicked.connect(self._set_sharing)

    def set_totals(self, totals: EngineTotals) -> None:
        self.panel.show_totals(totals)
        self.sharing.setChecked(totals.sharing)

    def _set_sharing(self, on: bool) -> None:
        self._shell.bridge.send(SetSharing(on))


class SourcesCard(Card):
    """Who sends the selected transfer, in the player's words. Signals: detailsWanted(): a click asks for more."""

    detailsWanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = _column(self, 8)
        top = QHBoxLayout()
        top.setSpacing(7)
        top.addWidget(Label("Sources", Text.ITEM))
        self.name = ElidedLabel("", Text.SECOND, Token.MUTED)
        top.addWidget(self.name, 1)
        column.addLayout(top)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        column.addLayout(self._grid)
        self._shown: list[Helpers] = []
        self._lines: list[tuple[IconLabel, Label, Label]] = []
        self._nobody = Label("", Text.SECOND, Token.MUTED, wrap=True)
        column.addWidget(self._nobody)
        self.set_detail(None, "")

    @property
    def lines(self) -> list[str]:
        """What it says, line by line."""
        return [f"{line[1].text()} {line[2].text()}".strip() for line in self._lines if not line[1].isHidden()]

    def set_detail(self, detail: TransferDetail | None, name: str) -> None:
        self.name.setText(name)
        self._shown = helpers(detail) if detail is not None else []
        while len(self._lines) < len(self._shown):
            line = (IconLabel("users", 15), Label("", Text.SECOND, Token.MUTED), Label("", Text.SECOND_STRONG))
            at = len(self._lines)
            for column, widget in enumerate(line):
                self._grid.addWidget(widget, at, column)
            self._grid.setAlignment(line[2], Qt.AlignmentFlag.AlignRight)
            self._lines.append(line)
        for at, (icon, label, rate) in enumerate(self._lines):
            shown = self._shown[at] if at < len(self._shown) else None
            for widget in (icon, label, rate):
                widget.setVisible(shown is not None)
            if shown is not None:
                icon.set_icon(shown.icon)
                label.setText(shown.label)
                rate.setText(words.rate(shown.rate) if shown.rate else "–")
        self._nobody.setVisible(not self._shown)
        self._nobody.setText("Nobody is connected." if name else "Select a download to see who sends it.")


class SideColumn(QWidget):
    """300 px, as high as its cards."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self.setFixedWidth(Measure.SIDE - 20)
        self.speed, self.limits, self.sources = SpeedCard(), LimitsCard(shell), SourcesCard()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        for card in (self.speed, self.limits, self.sources):
            column.addWidget(card)
        column.addStretch(1)

    def set_totals(self, totals: EngineTotals) -> None:
        self.speed.set_totals(totals)
        self.limits.set_totals(totals)
