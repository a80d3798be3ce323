"""The pane at the right of the catalog: the chosen package at a glance, and its one button."""

from __future__ import annotations

import time
from collections import OrderedDict

import shiboken6
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageSummary
from icworkshop_gui.engine.api.commands import GetPackage
from icworkshop_gui.gui.format import ago, clipped, count, size
from icworkshop_gui.gui.licenses import license_words
from icworkshop_gui.gui.models.package_state import PackageState
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import IconButton, Kind
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.facts import FactsCard, NoteLine
from icworkshop_gui.gui.widgets.install_button import InstallButton
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label
from icworkshop_gui.gui.widgets.picture import PictureBox

DETAIL_DELAY_MS = 150
"""The selection rests this long before the package's page is asked for."""
DETAILS_KEPT = 64
NAMES_SHOWN = 3


def sources_words(players: int) -> str:
    """Who can give it: also who has only a part gives that."""
    return f"{count(players, 'player', 'players')}, web" if players else "web"


class PreviewPane(Card):
    """Signals:
    wanted(str, object): the wish of the button and the package.
    opened(object): the package whose page the player wants.
    """

    wanted = Signal(str, object)
    opened = Signal(object)

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self._shell = shell
        self._row: PackageSummary | None = None
        self._details: OrderedDict[tuple[PackageId, str], PackageDetail] = OrderedDict()
        self.setFixedWidth(Measure.PREVIEW)
        self.setAccessibleName("Preview")
        self._picture = PictureBox(shell.pictures, 160)
        self._title = Label("", Text.HEADING, wrap=True)
        self._line = ElidedLabel("", Text.SECOND, Token.MUTED)
        self._summary = Label("", Text.SECOND, wrap=True)
        self._facts = FactsCard()
        self.button = InstallButton()
        self.button.wanted.connect(self._wish)
        self._more = IconButton("info", "Details", kind=Kind.SECONDARY)
        self._more.clicked.connect(self._open)
        self._needs = NoteLine("git-branch")
        self._checked = NoteLine("shield-check", "checked byte by byte against the Workshop")
        self._updated = NoteLine("calendar")
        column = QVBoxLayout(self)
        column.setContentsMargins(15, 15, 15, 15)
        column.setSpacing(4)
        column.addWidget(self._picture)
        column.addSpacing(8)
        column.addWidget(self._title)
        column.addWidget(self._line)
        column.addSpacing(6)
        column.addWidget(self._summary)
        column.addSpacing(8)
        column.addWidget(self._facts)
        column.addSpacing(6)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.button, 1)
        buttons.addWidget(self._more)
        column.addLayout(buttons)
        column.addSpacing(8)
        for note in (self._needs, self._checked, self._updated):
            column.addWidget(note)
            column.addSpacing(4)
        column.addStretch(1)
        self._parts = [self._picture, self._facts, self.button, self._more, self._checked, self._updated]
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DETAIL_DELAY_MS)
        self._timer.timeout.connect(self._ask)
        self.show_package(None, PackageState())

    @property
    def package(self) -> PackageId | None:
        return self._row.package if self._row is not None else None

    def show_package(self, row: PackageSummary | None, state: PackageState) -> None:
        """Another package, or nothing."""
        self._row = row
        for part in self._parts:
            part.setVisible(row is not None)
        self._needs.set_text("")
        if row is None:
            for label in (self._title, self._line, self._summary):
                label.setText("")
            return
        self._picture.show_package(row.package, row.category, row.version, row.preview_sha256)
        self._title.setText(row.title)
        words = (row.package.publisher, row.version, license_words(row.license).name)
        self._line.setText(" · ".join(words))
        self._summary.setText(row.summary)
        self._summary.setVisible(bool(row.summary))
        if row.updated_at:
            self._updated.set_text(f"updated {ago(row.updated_at, time.time())}")
        self.show_state(state)
        kept = self._details.get((row.package, row.version))
        if kept is not None:
            self._show_detail(kept)
        else:
            self._timer.start()

    def show_state(self, state: PackageState) -> None:
        """Its standing changed."""
        row = self._row
        if row is None:
            return
        self.button.show_state(state, row.size, row.version)
        facts = [("To fetch", size(row.size))]
        transfer = state.transfer
        if transfer is not None:
            facts = [("To fetch", size(max(0, transfer.size - transfer.done))), ("Already here", size(transfer.done))]
        elif state.entry is not None:
            facts = [("Installed", state.entry.ref.version), ("On disk", size(state.entry.size))]
            if state.action:
                facts.insert(0, ("New version", size(row.size)))
        self._facts.set_facts([*facts, ("Sources", sources_words(row.seeders + row.leechers))])

    def _ask(self) -> None:
        row = self._row
        if row is not None and self.isVisible():
            self._shell.bridge.ask(GetPackage(row.package, row.version), self._got, self._missed)

    def _got(self, detail: PackageDetail) -> None:
        if not shiboken6.isValid(self):
            return
        ref = detail.release.ref
        self._details[(ref.package, ref.version)] = detail
        while len(self._details) > DETAILS_KEPT:
            self._details.popitem(last=False)
        if self._row is not None and self._row.ref == ref:
            self._show_detail(detail)

    def _missed(self, _error: Exception) -> None:
        """The list's own words stay; installing still works."""

    def _show_detail(self, detail: PackageDetail) -> None:
        needed = [clipped(need.package.name) for need in detail.release.dependencies if not need.optional]
        words = ", ".join(needed[:NAMES_SHOWN])
        if len(needed) > NAMES_SHOWN:
            words += f" and {len(needed) - NAMES_SHOWN} more"
        self._needs.set_text(f"needs {words}" if words else "")

    def _wish(self, wish: str) -> None:
        if self._row is not None:
            self.wanted.emit(wish, self._row)

    def _open(self) -> None:
        if self._row is not None:
            self.opened.emit(self._row)
