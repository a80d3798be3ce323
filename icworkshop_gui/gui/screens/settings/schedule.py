"""The schedule, rule by rule: days, hours, and what holds then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.core.schedule import RULES_MAX, Mode, Rule, clock, format_schedule, parse_schedule
from icworkshop_gui.engine.api.settings import format_rate, parse_rate
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, IconButton
from icworkshop_gui.gui.widgets.buttons import Kind as ButtonKind
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.search_field import Field
from icworkshop_gui.gui.widgets.tabs import PillTabs

DAY_WORDS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIRST = Rule(days=frozenset(range(5)), start=18 * 60, end=23 * 60, mode=Mode.SLOW)
"""What a new rule says until it is changed."""


class RuleEditor(QWidget):
    """Signals: changed(): the player wants another rule. removed()."""

    changed = Signal()
    removed = Signal()

    def __init__(self, rule: Rule, number: int) -> None:
        super().__init__()
        self.rule = rule
        self._days: list[Button] = []
        days = QHBoxLayout()
        days.setSpacing(3)
        for day, word in enumerate(DAY_WORDS):
            button = Button(word, small=True, name=f"Rule {number}: {DAY_NAMES[day]}")
            button.setCheckable(True)
            button.setFixedWidth(41)
            button.clicked.connect(self._days_changed)
            self._days.append(button)
            days.addWidget(button)
        self.start = self._time(f"Rule {number}: from")
        self.end = self._time(f"Rule {number}: to")
        self.mode = PillTabs(
            ((Mode.SLOW, "Slow"), (Mode.PAUSED, "Paused"), (Mode.RATES, "Own limits")), f"Rule {number}"
        )
        self.mode.chosen.connect(self._mode_changed)
        remove = IconButton("trash-2", f"Remove rule {number}", small=True)
        remove.clicked.connect(self.removed)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addLayout(days)
        row.addSpacing(4)
        row.addWidget(self.start)
        row.addWidget(Label("–", Text.SECOND, Token.MUTED))
        row.addWidget(self.end)
        row.addStretch(1)
        row.addWidget(remove)
        self.down = self._rate(f"Rule {number}: download limit")
        self.up = self._rate(f"Rule {number}: sharing limit")
        self._rates = QWidget()
        rates = QHBoxLayout(self._rates)
        rates.setContentsMargins(0, 0, 0, 0)
        rates.setSpacing(8)
        for word, field in (("Download", self.down), ("Sharing", self.up)):
            rates.addWidget(Label(word, Text.SECOND, Token.MUTED))
            rates.addWidget(field)
        # When, and below it what: one line of both is wider than a small window.
        what = QHBoxLayout()
        what.setSpacing(16)
        what.addWidget(self.mode)
        what.addWidget(self._rates)
        what.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addLayout(what)
        self._show()

    def _time(self, name: str) -> Field:
        field = Field("", name)
        field.setFixedWidth(66)
        field.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        field.editingFinished.connect(self._text_changed)
        return field

    def _rate(self, name: str) -> Field:
        field = Field("", name)
        field.setFixedWidth(104)
        field.editingFinished.connect(self._text_changed)
        return field

    def _show(self) -> None:
        for day, button in enumerate(self._days):
            on = day in self.rule.days
            button.setChecked(on)
            button.set_kind(ButtonKind.PRIMARY if on else ButtonKind.SECONDARY)
        self.start.setText(clock(self.rule.start))
        self.end.setText(clock(self.rule.end))
        self.mode.choose(self.rule.mode)
        self.down.setText(format_rate(self.rule.down))
        self.up.setText(format_rate(self.rule.up))
        self._rates.setVisible(self.rule.mode is Mode.RATES)

    def _to(self, rule: Rule) -> None:
        if rule == self.rule:
            self._show()
            return
        self.rule = rule
        self._show()
        self.changed.emit()

    def _days_changed(self) -> None:
        days = frozenset(day for day, button in enumerate(self._days) if button.isChecked())
        # A rule without a day is no rule: to take it away is what the bin is for.
        self._to(replace(self.rule, days=days or self.rule.days))

    def _mode_changed(self, mode: str) -> None:
        self._to(replace(self.rule, mode=Mode(mode), down=None, up=None))

    def _text_changed(self) -> None:
        what = self.rule.mode.value
        if self.rule.mode is Mode.RATES:
            what = f"down {self.down.text()} up {self.up.text()}"
        try:
            rule = parse_schedule(f"daily {self.start.text()}-{self.end.text()} {what}", parse_rate)[0]
        except (ValueError, IndexError):
            # What cannot be read goes back to what holds.
            self._show()
            return
        self._to(replace(rule, days=self.rule.days))


class ScheduleEditor(QWidget):
    """Signals: edited(str): the player wants this schedule."""

    edited = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.editors: list[RuleEditor] = []
        self._text: str | None = None
        self.none = Label("No rules: the ordinary limits always hold.", Text.SECOND, Token.MUTED)
        self.add = Button("Add a rule", icon="plus", small=True)
        self.add.clicked.connect(self._add)
        self._list = QVBoxLayout()
        self._list.setSpacing(16)
        foot = QHBoxLayout()
        foot.addWidget(self.add)
        foot.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.none)
        column.addLayout(self._list)
        column.addLayout(foot)
        self.set_text("")

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(editor.rule for editor in self.editors)

    def set_text(self, text: str) -> None:
        """Show a schedule; never tells."""
        if text == self._text:
            return
        self._text = text
        try:
            rules = parse_schedule(text, parse_rate)
        except ValueError:
            rules = ()
        if rules != self.rules or not rules:
            self._fill(rules)

    def _fill(self, rules: tuple[Rule, ...]) -> None:
        for editor in self.editors:
            self._list.removeWidget(editor)
            editor.hide()
            editor.deleteLater()
        self.editors = []
        for number, rule in enumerate(rules, 1):
            editor = RuleEditor(rule, number)
            editor.changed.connect(self._tell)
            editor.removed.connect(self._remover(editor))
            self.editors.append(editor)
            self._list.addWidget(editor)
        self.none.setVisible(not rules)
        self.add.setEnabled(len(rules) < RULES_MAX)

    def _remover(self, editor: RuleEditor) -> Callable[[], None]:
        def remove() -> None:
            self._fill(tuple(other.rule for other in self.editors if other is not editor))
            self._tell()

        return remove

    def _add(self) -> None:
        self._fill((*self.rules, FIRST))
        self._tell()

    def _tell(self) -> None:
        self._text = format_schedule(self.rules, format_rate)
        self.edited.emit(self._text)
