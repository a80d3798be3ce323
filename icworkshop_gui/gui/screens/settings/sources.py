"""The Workshop servers: which answer, adding one with a check, removing one with Undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import SourceState
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Dot, IconButton, Kind
from icworkshop_gui.gui.widgets.card import Card, Line
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label
from icworkshop_gui.gui.widgets.search_field import Field
from icworkshop_gui.gui.widgets.toast import Toast

URL_MAX = 500
"""Characters of an address that may be typed."""


class _SourceRow(QWidget):
    def __init__(self, state: SourceState) -> None:
        super().__init__()
        self.state = state
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 11, 12, 11)
        row.setSpacing(12)
        row.addWidget(Dot(Token.OK if state.ok else Token.WARN))
        text = QVBoxLayout()
        text.setSpacing(2)
        text.addWidget(ElidedLabel(words.clipped(state.name) or state.url, Text.ITEM))
        self.note = ElidedLabel(f"{state.url} · {self.condition}", Text.SECOND, Token.MUTED)
        text.addWidget(self.note)
        row.addLayout(text, 1)
        self.remove = IconButton("trash-2", f"Remove {state.url}")
        row.addWidget(self.remove)

    @property
    def condition(self) -> str:
        """How it is, in words."""
        return words.clipped(self.state.message) or ("connected" if self.state.ok else "does not answer")


class SourcesCard(Card):
    """One row a server, and a field for one more."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self._shell = shell
        self._states: tuple[SourceState, ...] = ()
        self.rows: list[_SourceRow] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        self._none = Label("No Workshop server yet. Add one to see what there is to install.", Text.SECOND, Token.MUTED)
        self._none.setContentsMargins(16, 14, 16, 14)
        self.url = Field("https://workshop.example", "Address of a Workshop server")
        self.url.setMaxLength(URL_MAX)
        self.add = Button("Add", icon="plus", kind=Kind.PRIMARY)
        self.error = Label("", Text.SECOND, Token.ERROR, wrap=True)
        self.error.setContentsMargins(16, 0, 16, 12)
        self.error.hide()
        entry = QHBoxLayout()
        entry.setContentsMargins(16, 12, 16, 12)
        entry.setSpacing(10)
        entry.addWidget(self.url, 1)
        entry.addWidget(self.add)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._none)
        column.addLayout(self._list)
        column.addWidget(Line())
        column.addLayout(entry)
        column.addWidget(self.error)
        self.add.clicked.connect(self._add)
        self.url.returnPressed.connect(self._add)
        self.url.textEdited.connect(lambda _text: self._complain(""))

    def show_sources(self, states: Sequence[SourceState]) -> None:
        """Rebuilds only when something differs, so that the focus stays where it is."""
        if tuple(states) == self._states:
            return
        self._states = tuple(states)
        self._none.setVisible(not states)
        while (item := self._list.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.rows = []
        for at, state in enumerate(states):
            if at:
                self._list.addWidget(Line())
            row = _SourceRow(state)
            row.remove.clicked.connect(self._remover(state))
            self._list.addWidget(row)
            self.rows.append(row)

    def _add(self) -> None:
        url = self.url.text().strip()
        if not url or not self.add.isEnabled():
            return
        if "://" not in url:
            url = f"https://{url}"
        self.add.setEnabled(False)
        self.add.setText("Checking…")
        self._shell.bridge.ask(c.AddSource(url), self._added, self._refused)

    def _added(self, _nothing: object) -> None:
        self._rest()
        self.url.clear()
        self._complain("")

    def _refused(self, error: Exception) -> None:
        self._rest()
        self._complain(words.error_sentence(error))

    def _rest(self) -> None:
        self.add.setEnabled(True)
        self.add.setText("Add")

    def _complain(self, text: str) -> None:
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def _remover(self, state: SourceState) -> Callable[[], None]:
        def remove() -> None:
            bridge = self._shell.bridge
            bridge.send(c.RemoveSource(state.url))
            self._shell.toast(
                Toast(
                    f"Removed {words.clipped(state.name) or state.url}",
                    icon="trash-2",
                    token=Token.MUTED,
                    action="Undo",
                    on_action=lambda: bridge.send(c.AddSource(state.url)),
                )
            )

        return remove
