"""The page: categories at the left, rows at the right, one search over all. Constructs and connects."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.settings import Setting
from icworkshop_gui.engine.api.snapshots import EngineTotals
from icworkshop_gui.gui import icons
from icworkshop_gui.gui.format import error_sentence
from icworkshop_gui.gui.prefs import prefs
from icworkshop_gui.gui.screens.base import Screen, Shell
from icworkshop_gui.gui.screens.settings import entries as table
from icworkshop_gui.gui.screens.settings.rows import SettingRow
from icworkshop_gui.gui.screens.settings.sources import SourcesCard
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.card import Card, Line, slim_bars
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.focus import shows_ring
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.search_field import SearchField

NAV_WIDTH = 190
PAGE_WIDTH = 820


class _NavButton(QAbstractButton):
    """One category; the chosen one carries the accent."""

    def __init__(self, category: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setText(category)
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._ring = False

    def sizeHint(self) -> QSize:
        return QSize(NAV_WIDTH, 38)

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect()).adjusted(0, 1, 0, -1)
        chosen = self.isChecked()
        if chosen:
            paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.tint(Token.ACCENT, Token.SURFACE))
        elif self.underMouse():
            paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.color(Token.RAISED))
        ink = look.color(Token.ACCENT if chosen else Token.MUTED)
        icons.draw(painter, table.icon(self.text()), rect.x() + 12, rect.center().y() - 8, 17, ink)
        font = look.font(Text.ITEM if chosen else Text.TAB)
        words = rect.adjusted(40, 0, 0, 0)
        paint.text(painter, words, self.text(), font, look.color(Token.ACCENT if chosen else Token.TEXT))
        if self._ring and self.hasFocus():
            paint.ring(painter, rect, Measure.RADIUS_CONTROL)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)


class SettingsScreen(Screen):
    """`visit("Downloads")` opens that category, whatever its case."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Settings")
        self.rows: dict[str, SettingRow] = {}
        self._lines: dict[str, Line] = {}
        self._groups: dict[str, tuple[Label, Card]] = {}
        self._category = table.categories()[0]
        self.search = SearchField("Search settings", hint="Ctrl K")
        self.search.setFixedWidth(320)
        self.header.add(self.search)
        self.sources = SourcesCard(shell)
        self._nav: dict[str, _NavButton] = {}
        self._build()
        self._connect()
        self._settings(shell.bridge.view.settings)
        self._totals(shell.bridge.view.totals)
        self._show()

    # --- construction --------------------------------------------------------------------------------

    def _build(self) -> None:
        nav = QVBoxLayout()
        nav.setSpacing(2)
        nav.setContentsMargins(0, 14, 0, 14)
        for category in table.categories():
            button = self._nav[category] = _NavButton(category, self)
            button.clicked.connect(partial(self.choose, category))
            nav.addWidget(button)
        nav.addStretch(1)
        page = QWidget()
        page.setAutoFillBackground(False)
        self._page = QVBoxLayout(page)
        self._page.setContentsMargins(0, 14, Measure.MARGIN, 20)
        self._page.setSpacing(8)
        for category in table.categories():
            self._build_group(category)
        self._empty = EmptyState("search", "No setting matches", "Try other words.")
        self._page.addWidget(self._empty)
        self._page.addStretch(1)
        page.setMaximumWidth(PAGE_WIDTH)
        self._scroll = QScrollArea()
        slim_bars(self._scroll)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.viewport().setAutoFillBackground(False)
        self._scroll.setWidget(page)
        row = QHBoxLayout(self)
        row.setContentsMargins(Measure.MARGIN, 0, 0, 0)
        row.setSpacing(24)
        holder = QWidget()
        holder.setFixedWidth(NAV_WIDTH)
        holder.setLayout(nav)
        row.addWidget(holder)
        row.addWidget(self._scroll, 1)

    def _build_group(self, category: str) -> None:
        title = Label(category, Text.HEADING)
        title.setContentsMargins(2, 6, 0, 2)
        card = self.sources if category == table.SOURCES else Card()
        if card is not self.sources:
            column = QVBoxLayout(card)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(0)
            for entry in table.entries():
                if entry.category == category:
                    row = self.rows[entry.key] = SettingRow(entry)
                    line = self._lines[entry.key] = Line()
                    row.wanted.connect(self._wanted)
                    column.addWidget(line)
                    column.addWidget(row)
        self._groups[category] = (title, card)
        self._page.addWidget(title)
        self._page.addWidget(card)

    def _connect(self) -> None:
        bridge = self.shell.bridge
        bridge.settingsChanged.connect(self._settings)
        bridge.totalsChanged.connect(self._totals)
        self.search.searched.connect(self._search)
        prefs().changed.connect(self._pref_changed)

    # --- the window ----------------------------------------------------------------------------------

    def visit(self, argument: object) -> None:
        if isinstance(argument, str):
            found = next((name for name in self._nav if name.casefold() == argument.casefold()), None)
            if found is not None:
                self.choose(found)

    def focus_search(self) -> bool:
        self.search.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return True

    # --- what is shown -------------------------------------------------------------------------------

    def choose(self, category: str) -> None:
        """Show one category."""
        self._category = category
        self.search.edit.clear()
        self._show()
        self._scroll.verticalScrollBar().setValue(0)

    def _search(self, _text: str) -> None:
        self._show()

    def _show(self) -> None:
        text = self.search.text()
        if text:
            found, sources = table.find(text)
            keys = {entry.key for entry in found}
        else:
            keys = {entry.key for entry in table.entries() if entry.category == self._category}
            sources = self._category == table.SOURCES
        shown = {self.rows[key].entry.category for key in keys} | ({table.SOURCES} if sources else set())
        for category, (title, card) in self._groups.items():
            title.setVisible(category in shown)
            card.setVisible(category in shown)
        first: set[str] = set()
        for key, row in self.rows.items():
            row.setVisible(key in keys)
            category = row.entry.category
            # No line above the first row of a card.
            self._lines[key].setVisible(key in keys and category in first)
            if key in keys:
                first.add(category)
        self._empty.setVisible(not shown)
        for category, button in self._nav.items():
            button.setAutoExclusive(False)
            button.setChecked(not text and category == self._category)
            button.setAutoExclusive(not text)

    def _settings(self, changed: dict[str, str]) -> None:
        for key, value in changed.items():
            if key in self.rows:
                self.rows[key].set_value(value)
        for key, row in self.rows.items():
            if not isinstance(row.entry.row, Setting):
                row.set_value(prefs().get(key))

    def _pref_changed(self, key: str) -> None:
        if key in self.rows:
            self.rows[key].set_value(prefs().get(key))

    def _totals(self, totals: EngineTotals) -> None:
        self.sources.show_sources(totals.sources)

    # --- wishes --------------------------------------------------------------------------------------

    def _wanted(self, key: str, value: str) -> None:
        row = self.rows[key]
        if isinstance(row.entry.row, Setting):
            self.shell.bridge.ask(c.SetSetting(key, value), None, partial(self._refused, key))
        else:
            prefs().set(key, value)

    def _refused(self, key: str, error: Exception) -> None:
        row = self.rows[key]
        row.show_error(error_sentence(error))
        # Bring it into view: the player may have scrolled on.
        QTimer.singleShot(0, row, lambda: self._scroll.ensureWidgetVisible(row, 0, 40))
