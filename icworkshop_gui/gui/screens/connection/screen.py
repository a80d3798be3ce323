"""The page: one verdict, and the facts behind it, each with its way out. Reached from the strip at the foot."""

from __future__ import annotations

import time
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from icworkshop_gui.engine.api.commands import SetSetting, SetSharing
from icworkshop_gui.engine.api.snapshots import EngineTotals
from icworkshop_gui.gui.models.connection import DHT, Fact, Health, Way, facts, verdict
from icworkshop_gui.gui.screens.base import Screen, Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Button, Dot, IconButton
from icworkshop_gui.gui.widgets.card import Card, Line, slim_bars
from icworkshop_gui.gui.widgets.labels import IconLabel, Label, Paragraph
from icworkshop_gui.gui.widgets.toast import Toast

WIDTH_MAX = 860
_TOKENS = {
    Health.GOOD: Token.OK,
    Health.UNKNOWN: Token.INFO,
    Health.WATCH: Token.WARN,
    Health.BAD: Token.ERROR,
    Health.OFF: Token.QUIET,
}
_SPOKEN = {
    Health.GOOD: "good",
    Health.UNKNOWN: "not known",
    Health.WATCH: "look at this",
    Health.BAD: "does not work",
    Health.OFF: "off",
}


class _FactRow(QWidget):
    """One fact; the same widgets whatever it says."""

    def __init__(self) -> None:
        super().__init__()
        self._dot = Dot(Token.OK)
        self._icon = IconLabel("plug", 18)
        self.title = Label("", Text.ITEM)
        self.words = Paragraph("", Text.SECOND, Token.MUTED)
        self.button = Button("", small=True)
        text = QVBoxLayout()
        text.setSpacing(3)
        text.addWidget(self.title)
        text.addWidget(self.words)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 12, 16, 12)
        row.setSpacing(14)
        row.addWidget(self._dot, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(text, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_fact(self, fact: Fact) -> None:
        self._dot.set_token(_TOKENS[fact.health])
        self._dot.setAccessibleName(_SPOKEN[fact.health])
        self._icon.set_icon(fact.icon)
        self.title.setText(fact.title)
        self.words.setText(fact.words)
        self.button.setText(fact.button)
        self.button.setVisible(bool(fact.button))
        self.setAccessibleName(f"{fact.title}, {_SPOKEN[fact.health]}. {fact.words}")


class ConnectionScreen(Screen):
    """Follows the engine's totals while it is shown."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Connection")
        back = IconButton("arrow-left", "Back")
        back.clicked.connect(shell.back)
        self.header.lead(back)
        self.copy = Button("Copy for support", icon="copy")
        self.copy.clicked.connect(self._copy)
        self.header.add(self.copy)
        self._facts: dict[str, Fact] = {}
        self.rows: dict[str, _FactRow] = {}
        self._verdict_icon = IconLabel("check", 26, Token.OK)
        self.verdict = Label("", Text.TITLE)
        self.words = Paragraph("", Text.BODY, Token.MUTED)
        self._build()
        shell.bridge.totalsChanged.connect(self._totals)
        shell.bridge.settingsChanged.connect(self._settings)
        self._show()

    def _build(self) -> None:
        top = Card()
        row = QHBoxLayout(top)
        row.setContentsMargins(20, 18, 20, 18)
        row.setSpacing(18)
        row.addWidget(self._verdict_icon, 0, Qt.AlignmentFlag.AlignVCenter)
        text = QVBoxLayout()
        text.setSpacing(4)
        text.addWidget(self.verdict)
        text.addWidget(self.words)
        row.addLayout(text, 1)
        self._card = Card()
        self._column = QVBoxLayout(self._card)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        holder = QWidget()
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(Measure.MARGIN, 14, Measure.MARGIN, 14)
        inside.setSpacing(Measure.GAP)
        for card in (top, self._card):
            card.setMaximumWidth(WIDTH_MAX)
            inside.addWidget(card)
        inside.addStretch(1)
        area = QScrollArea()
        slim_bars(area)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.viewport().setAutoFillBackground(False)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(holder)
        holder.setAutoFillBackground(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(area)

    def visit(self, argument: object) -> None:
        self._show()

    def _totals(self, _totals: EngineTotals) -> None:
        if self.isVisible():
            self._show()

    def _settings(self, _changed: object) -> None:
        if self.isVisible():
            self._show()

    def _show(self) -> None:
        view, now = self.shell.bridge.view, time.time()
        whole = verdict(view.totals, now)
        self._verdict_icon.set_icon(whole.icon, _TOKENS[whole.health])
        self.verdict.setText(whole.title)
        self.words.setText(whole.words)
        found = {fact.key: fact for fact in facts(view.totals, view.settings, now)}
        for key, fact in found.items():
            if fact != self._facts.get(key):
                self._row(key).show_fact(fact)
        for key, row in self.rows.items():
            row.setVisible(key in found)
        self._facts = found

    def _row(self, key: str) -> _FactRow:
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = _FactRow()
            if len(self.rows) > 1:
                self._column.addWidget(Line())
            row.button.clicked.connect(partial(self._act, key))
            self._column.addWidget(row)
        return row

    def _act(self, key: str) -> None:
        match self._facts[key].way:
            case Way.SOURCES:
                self.shell.go("settings", "sources")
            case Way.PORT | Way.NETWORK:
                self.shell.go("settings", "network")
            case Way.SHARE:
                self.shell.bridge.send(SetSharing(True))
            case Way.DHT_ON:
                self.shell.bridge.send(SetSetting(DHT, "true"))
            case None:
                pass

    def _copy(self) -> None:
        """All of it in a few lines, for whoever helps; no addresses but those of servers that the player set up."""
        lines = [f"{self.verdict.text()}: {self.words.text()}"]
        lines += [f"- {fact.title} ({_SPOKEN[fact.health]}): {fact.words}" for fact in self._facts.values()]
        QGuiApplication.clipboard().setText("\n".join(lines))
        self.shell.toast(Toast("Copied.", icon="copy", token=Token.MUTED))
