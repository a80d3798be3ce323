"""What the player follows: what waits for a click, what is on its way, and how to stop."""

from __future__ import annotations

import time
from functools import partial

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import SubscriptionSnapshot
from icworkshop_gui.gui.format import count, error_sentence
from icworkshop_gui.gui.models.subscriptions import ICONS, key_of, state_of, title_of
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.row_list import RowItem, RowList
from icworkshop_gui.gui.widgets.toast import Toast

WORDS = "New releases are fetched in the background and wait here. Nothing is installed without your click."


class SubscriptionsPanel(QWidget):
    """Signals:
    counted(int): so many releases wait.
    """

    counted = Signal(int)

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self._shell = shell
        self._rows: dict[str, SubscriptionSnapshot] = {}
        self.check = Button("Look now", icon="refresh-cw")
        self.activate = Button("Install all", icon="check-check", kind=Kind.PRIMARY)
        self.list = RowList("Subscriptions")
        self._build()
        self.check.clicked.connect(self._check)
        self.activate.clicked.connect(self._activate_all)
        self.list.pressed.connect(self._activate)
        self.list.opened.connect(self._open)
        self.list.menuWanted.connect(self._menu)
        shell.bridge.subscriptionsChanged.connect(self._show)
        self._show(shell.bridge.view.subscriptions)

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(Label(WORDS, Text.SECOND, Token.MUTED, wrap=True), 1)
        top.addWidget(self.check)
        top.addWidget(self.activate)
        self._top = QWidget()
        self._top.setLayout(top)
        top.setContentsMargins(2, 0, 0, 0)
        card = Card()
        inside = QVBoxLayout(card)
        inside.setContentsMargins(8, 8, 8, 8)
        inside.addWidget(self.list)
        text = "Press the bell on a package’s page: new releases then come by themselves and wait for your click."
        nothing = EmptyState("bell", "You follow nothing yet", text)
        browse = nothing.add_action(Button("Browse", kind=Kind.PRIMARY, icon="compass"))
        browse.clicked.connect(lambda: self._shell.go("browse"))
        self._stack = QStackedWidget()
        self._stack.addWidget(card)
        self._stack.addWidget(nothing)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self._top)
        column.addWidget(self._stack, 1)

    def _show(self, rows: tuple[SubscriptionSnapshot, ...]) -> None:
        self._rows = {key_of(row): row for row in rows}
        now = time.time()
        self.list.set_rows(
            [
                RowItem(
                    key=key,
                    title=title_of(row),
                    second=state_of(row, now),
                    icon=ICONS[row.kind],
                    button=f"Install {len(row.waiting)}" if row.waiting else "",
                    more=True,
                )
                for key, row in self._rows.items()
            ]
        )
        waiting = sum(len(row.waiting) for row in rows)
        self.activate.setText(f"Install all {waiting}")
        self.activate.setVisible(waiting > 0)
        self._top.setVisible(bool(rows))
        self._stack.setCurrentIndex(0 if rows else 1)
        self.counted.emit(waiting)

    # --- wishes --------------------------------------------------------------------------------------

    def _check(self) -> None:
        self.check.setEnabled(False)
        self._shell.bridge.ask(c.CheckSubscriptions(), self._checked, self._check_failed)

    def _checked(self, begun: tuple[object, ...]) -> None:
        self.check.setEnabled(True)
        words = f"{count(len(begun), 'release is', 'releases are')} on the way." if begun else "Nothing new."
        self._shell.toast(Toast(words, icon="bell", token=Token.MUTED))

    def _check_failed(self, error: Exception) -> None:
        self.check.setEnabled(True)
        self._complain(error)

    def _activate(self, key: str) -> None:
        self._shell.bridge.send(c.ActivateStaged(self._rows[key].waiting), self._complain)

    def _activate_all(self) -> None:
        self._shell.bridge.send(c.ActivateStaged(), self._complain)

    def _open(self, key: str) -> None:
        row = self._rows[key]
        if row.kind is SubscriptionKind.PUBLISHER:
            self._shell.go("browse", row.id)
        else:
            self._shell.go("package", PackageId.parse(row.id))

    def _menu(self, key: str, at: QPoint) -> None:
        self.menu_of(key).popup(at)

    def menu_of(self, key: str) -> Menu:
        """What can be done with one."""
        row = self._rows[key]
        menu = Menu(self)
        if row.waiting:
            menu.entry(f"Install {len(row.waiting)}", partial(self._activate, key), icon_name="check-check")
        word = "Show packages" if row.kind is SubscriptionKind.PUBLISHER else "Show package"
        menu.entry(word, partial(self._open, key), icon_name=ICONS[row.kind])
        menu.addSeparator()
        menu.entry("Follow no longer", partial(self._end, row), icon_name="x", token=Token.ERROR)
        return menu

    def _end(self, row: SubscriptionSnapshot) -> None:
        bridge = self._shell.bridge

        def undo() -> None:
            bridge.send(c.Subscribe(row.kind, row.id), self._complain)

        bridge.send(c.Unsubscribe(row.kind, row.id), self._complain)
        words = f"You no longer follow {title_of(row)}."
        self._shell.toast(Toast(words, icon="bell", token=Token.MUTED, action="Undo", on_action=undo))

    def _complain(self, error: Exception) -> None:
        self._shell.toast(Toast(error_sentence(error), icon="triangle-alert", token=Token.ERROR))
