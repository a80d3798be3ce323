"""Where packages come from: which source answers, their order, adding one with a check, removing one with Undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

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
    def __init__(self, state: SourceState, *, first: bool, last: bool) -> None:
        super().__init__()
        self.state = state
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 11, 12, 11)
        row.setSpacing(12)
        row.addWidget(Dot(Token.ERROR if state.distrusted else Token.OK if state.ok else Token.WARN))
        text = QVBoxLayout()
        text.setSpacing(2)
        text.addWidget(ElidedLabel(words.clipped(state.name) or state.url, Text.ITEM))
        token = Token.ERROR if state.distrusted else Token.MUTED
        self.note = ElidedLabel(f"{state.url} · {self.condition}", Text.SECOND, token)
        text.addWidget(self.note)
        row.addLayout(text, 1)
        self.up = IconButton("chevron-up", f"More important: {state.url}", small=True)
        self.down = IconButton("chevron-down", f"Less important: {state.url}", small=True)
        self.remove = IconButton("trash-2", f"Remove {state.url}")
        self.up.setEnabled(not first)
        self.down.setEnabled(not last)
        for button in (self.up, self.down):
            button.setVisible(not (first and last))
            row.addWidget(button)
        row.addWidget(self.remove)

    @property
    def condition(self) -> str:
        """How it is, in words."""
        if self.state.distrusted:
            return f"not believed: {words.clipped(self.state.message)}"
        return words.clipped(self.state.message) or ("connected" if self.state.ok else "does not answer")


class SourcesCard(Card):
    """One row a source, the most important first, and a field for one more."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self._shell = shell
        self._states: tuple[SourceState, ...] = ()
        self.rows: list[_SourceRow] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        self._none = Label("No source yet. Add one to see what there is to install.", Text.SECOND, Token.MUTED)
        self._none.setContentsMargins(16, 14, 16, 14)
        self.url = Field("https://workshop.example, git+https://… or a folder", "Address of a source")
        self.url.setMaxLength(URL_MAX)
        self.add = Button("Add", icon="plus", kind=Kind.PRIMARY)
        self.folder = Button("Folder…", icon="folder-open")
        self.check = Button("Check all", icon="refresh-cw")
        self.error = Label("", Text.SECOND, Token.ERROR, wrap=True)
        self.error.setContentsMargins(16, 0, 16, 12)
        self.error.hide()
        entry = QHBoxLayout()
        entry.setContentsMargins(16, 12, 16, 12)
        entry.setSpacing(10)
        entry.addWidget(self.url, 1)
        for button in (self.add, self.folder, self.check):
            entry.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._none)
        column.addLayout(self._list)
        column.addWidget(Line())
        column.addLayout(entry)
        column.addWidget(self.error)
        self.add.clicked.connect(self._add)
        self.folder.clicked.connect(self._ask_folder)
        self.check.clicked.connect(self._check)
        self.url.returnPressed.connect(self._add)
        self.url.textEdited.connect(lambda _text: self._complain(""))

    def show_sources(self, states: Sequence[SourceState]) -> None:
        """Rebuilds only when something differs, so that the focus stays where it is."""
        if tuple(states) == self._states:
            return
        self._states = tuple(states)
        self._none.setVisible(not states)
        self.check.setVisible(bool(states))
        while (item := self._list.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.rows = []
        for at, state in enumerate(states):
            if at:
                self._list.addWidget(Line())
            row = _SourceRow(state, first=at == 0, last=at == len(states) - 1)
            row.remove.clicked.connect(self._remover(state))
            row.up.clicked.connect(partial(self._move, state.url, at - 1))
            row.down.clicked.connect(partial(self._move, state.url, at + 1))
            self._list.addWidget(row)
            self.rows.append(row)

    def _add(self) -> None:
        url = self.url.text().strip()
        if not url or not self.add.isEnabled():
            return
        if "://" not in url and not Path(url).is_absolute():
            url = f"https://{url}"
        self._add_this(url)

    def _add_this(self, url: str) -> None:
        self.add.setEnabled(False)
        self.add.setText("Checking…")
        self._shell.bridge.ask(c.AddSource(url), self._added, self._refused)

    def _ask_folder(self) -> None:
        dialog = QFileDialog(self.window(), "Choose a folder of packages")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._add_this)
        dialog.open()

    def _move(self, url: str, position: int) -> None:
        self._shell.bridge.send(c.MoveSource(url, position))

    def _check(self) -> None:
        self.check.setEnabled(False)
        self.check.setText("Checking…")
        self._shell.bridge.ask(c.CheckSources(), self._checked, self._check_failed)

    def _checked(self, _states: object) -> None:
        self.check.setEnabled(True)
        self.check.setText("Check all")

    def _check_failed(self, error: Exception) -> None:
        self._checked(None)
        self._complain(words.error_sentence(error))

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
