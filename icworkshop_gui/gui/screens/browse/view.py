"""Browse: search as you type, categories, filters, the painted list, and the pane beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import shiboken6
from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.core.catalog import PackageId, PackageSummary, SearchPage, Sort
from icworkshop_gui.engine.api.commands import Search
from icworkshop_gui.engine.api.snapshots import EngineTotals
from icworkshop_gui.gui.categories import TABS, rank, tab_word
from icworkshop_gui.gui.format import clipped, count, error_sentence
from icworkshop_gui.gui.models.catalog import CatalogModel
from icworkshop_gui.gui.models.package_state import PackageState
from icworkshop_gui.gui.package_actions import carry_out, wish_of
from icworkshop_gui.gui.screens.base import Screen, Shell
from icworkshop_gui.gui.screens.browse.delegate import BAR, CatalogList
from icworkshop_gui.gui.screens.browse.filters import SORT_WORDS, Filters, FilterSheet
from icworkshop_gui.gui.screens.browse.preview import PreviewPane
from icworkshop_gui.gui.screens.browse.skeleton import DELAY_MS, Skeleton
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Button, Chip, Kind
from icworkshop_gui.gui.widgets.card import slim_bars
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.search_field import SearchField
from icworkshop_gui.gui.widgets.tabs import PillTabs

PREVIEW_FROM = 1100
"""Width of the page in px from which the pane has room."""
SEARCH_WIDTH_MAX = 520

_NO_STATE = PackageState()


class BrowseScreen(Screen):
    """The catalog. One search is under way at a time; an answer to an older one is dropped."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Browse")
        self.model = CatalogModel(self)
        self._filters = Filters()
        self._sort = Sort.POPULAR
        self._serial = 0
        self._asked_once = False
        self._asked_text = ""
        self._first_page: SearchPage | None = None
        self._all_page: SearchPage | None = None
        """The unfiltered first page: its facets make the tabs."""
        self._build_header()
        self._build_body()
        self._loading = QTimer(self)
        self._loading.setSingleShot(True)
        self._loading.setInterval(DELAY_MS)
        self._loading.timeout.connect(self._show_skeleton)
        self._connect()

    def _build_header(self) -> None:
        self.search = SearchField("Search maps, mods, music …")
        self.search.setMaximumWidth(SEARCH_WIDTH_MAX)
        self.filter_button = Button("Filters", icon="sliders-horizontal")
        self.sort_button = Button(SORT_WORDS[self._sort], trailing="chevron-down", name="Sort")
        self.header.add(self.search, 4)
        self.header.add(self.filter_button)
        self.header.add(self.sort_button)

    def _build_body(self) -> None:
        self.tabs = PillTabs(TABS, "Categories")
        self._chips = QWidget()
        self._chip_row = QHBoxLayout(self._chips)
        self._chip_row.setContentsMargins(0, 0, 0, 0)
        self._chip_row.setSpacing(8)
        self.results = Label("", Text.CAPTION, Token.MUTED)
        self.faults = QWidget()
        self._fault_row = QHBoxLayout(self.faults)
        self._fault_row.setContentsMargins(0, 0, 0, 0)
        self._fault_row.setSpacing(8)
        chip_line = QHBoxLayout()
        chip_line.setContentsMargins(10, 0, 0, 0)
        chip_line.setSpacing(8)
        chip_line.addStrut(23)
        chip_line.addWidget(self._chips)
        chip_line.addWidget(self.results)
        chip_line.addStretch(1)
        chip_line.addWidget(self.faults)
        self._chips.hide()
        self.list = CatalogList(self.shell.pictures)
        self.list.setAccessibleName("Packages")
        self.list.setModel(self.model)
        slim_bars(self.list)
        self.empty = EmptyState("package", "")
        self.skeleton = Skeleton()
        self.stack = QStackedWidget()
        self._blank = QWidget()
        for page in (self._blank, self.skeleton, self.list, self.empty):
            self.stack.addWidget(page)
        self.preview = PreviewPane(self.shell)
        tab_line = QHBoxLayout()
        tab_line.setContentsMargins(10, 0, 0, 0)
        tab_line.addWidget(self.tabs)
        left = QVBoxLayout()
        left.setSpacing(0)
        left.addWidget(self.stack, 1)
        middle = QHBoxLayout()
        middle.setSpacing(Measure.GAP - BAR)
        middle.addLayout(left, 1)
        pane = QVBoxLayout()
        pane.setContentsMargins(0, 6, 0, 0)
        pane.addWidget(self.preview)
        middle.addLayout(pane)
        column = QVBoxLayout(self)
        column.setContentsMargins(Measure.MARGIN - 10, 10, Measure.MARGIN, 14)
        column.setSpacing(0)
        column.addLayout(tab_line)
        column.addSpacing(9)
        column.addLayout(chip_line)
        column.addSpacing(9)
        column.addLayout(middle, 1)

    def _connect(self) -> None:
        bridge = self.shell.bridge
        self.search.searched.connect(self._searched)
        self.search.downPressed.connect(self._enter_list)
        self.search.backspaceOnEmpty.connect(self._drop_last_filter)
        self.filter_button.clicked.connect(self._open_filters)
        self.sort_button.clicked.connect(self._open_sort)
        self.tabs.chosen.connect(self._tab)
        self.model.moreWanted.connect(self._ask_more)
        self.model.dataChanged.connect(self._preview_state)
        self.list.actioned.connect(self._act)
        self.list.opened.connect(self._open)
        self.list.menuWanted.connect(self._menu)
        self.list.selectionModel().currentChanged.connect(self._selected)
        self.preview.wanted.connect(self._wish)
        self.preview.opened.connect(self._open_row)
        self.shell.pictures.arrived.connect(self._pictures_arrived)
        bridge.transfersChanged.connect(self._facts_changed)
        bridge.libraryChanged.connect(self._facts_changed)
        bridge.totalsChanged.connect(self._totals)
        self.model.update_states(bridge.view)
        self._totals(bridge.view.totals)

    # --- Screen ----------------------------------------------------------------------------------

    def visit(self, argument: object) -> None:
        """`argument`: words to search for, or None."""
        if isinstance(argument, str):
            self.search.set_text(argument)
        if not self._asked_once:
            self._ask_first()
        self.model.update_states(self.shell.bridge.view)

    def refresh(self) -> None:
        self._ask_first(keep=True)

    def focus_search(self) -> bool:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.edit.selectAll()
        return True

    # --- asking ----------------------------------------------------------------------------------

    def _ask_first(self, *, keep: bool = False) -> None:
        """Ask for the first page. Old rows stay until the answer is there, unless there are none."""
        self._asked_once = True
        self._serial += 1
        query = self._filters.query(self.search.text(), self._order())
        if self._first_page is None:
            self._loading.start()
        if keep:
            self.results.setText("Refreshing …")
        # Other words are another question: its best answer is chosen, not what an earlier one left behind.
        chosen = self.preview.package if keep or query.text == self._asked_text else None
        self._asked_text = query.text
        self.shell.bridge.ask(
            Search(query), partial(self._got_first, self._serial, chosen), partial(self._failed_first, self._serial)
        )

    def _order(self) -> Sort:
        """While words are looked for, the best match comes first unless the player said otherwise."""
        return Sort.RELEVANCE if self.search.text() and self._sort is Sort.POPULAR else self._sort

    def _ask_more(self, cursor: str) -> None:
        query = self._filters.query(self.search.text(), self._order())
        got, failed = partial(self._got_more, self._serial), partial(self._failed_more, self._serial)
        self.shell.bridge.ask(Search(replace(query, cursor=cursor)), got, failed)

    def _stale(self, serial: int) -> bool:
        return serial != self._serial or not shiboken6.isValid(self)

    def _got_first(self, serial: int, chosen: PackageId | None, page: SearchPage) -> None:
        if self._stale(serial):
            return
        self._loading.stop()
        self._first_page = page
        if not self.search.text() and not self._filters.active and not self._filters.category:
            self._all_page = page
            self._fill_tabs(page)
        self.model.show_first(page)
        self._restore(chosen)
        self._show_counts(page)
        self._show_rows()

    def _failed_first(self, serial: int, error: Exception) -> None:
        if self._stale(serial):
            return
        self._loading.stop()
        if self.model.rowCount() and not self.search.text():
            # What was seen before is better than an apology.
            self.results.setText("Could not refresh – showing what was here before")
            return
        self.empty.set("wifi-off", "The catalog could not be loaded", error_sentence(error))
        retry = self.empty.add_action(Button("Try again", icon="rotate-ccw", kind=Kind.PRIMARY))
        retry.clicked.connect(self.refresh)
        self.results.setText("")
        self._select_nothing()
        self.stack.setCurrentWidget(self.empty)

    def _got_more(self, serial: int, page: SearchPage) -> None:
        if not self._stale(serial):
            self.model.show_more(page)
            self._show_rows()

    def _failed_more(self, serial: int, _error: Exception) -> None:
        if not self._stale(serial):
            self.model.more_failed()

    # --- showing ---------------------------------------------------------------------------------

    def _show_skeleton(self) -> None:
        if not self.model.rowCount():
            self.stack.setCurrentWidget(self.skeleton)

    def _show_rows(self) -> None:
        """The list, or the reason why there is none."""
        if self.model.rowCount():
            self.stack.setCurrentWidget(self.list)
            return
        if self.model.canFetchMore(QModelIndex()):
            # All rows of this page are hidden by "Hide what I have": go on.
            self.model.fetchMore(QModelIndex())
            return
        self._select_nothing()
        self._fill_empty()
        self.stack.setCurrentWidget(self.empty)

    def _fill_empty(self) -> None:
        text, category = self.search.text(), self._filters.category
        if not self.shell.bridge.view.totals.sources:
            words = "A Workshop is a server that a community runs. Add the address of one to see what it has."
            self.empty.set("server", "No Workshop yet", words)
            add = self.empty.add_action(Button("Add a Workshop", icon="plus", kind=Kind.PRIMARY))
            add.clicked.connect(self._to_sources)
            return
        if self.model.hidden:
            self.empty.set("check-check", "You have everything here", "All results are installed already.")
            show = self.empty.add_action(Button("Show installed"))
            show.clicked.connect(self._show_installed)
            return
        if not text and not self._filters.active and not category:
            self.empty.set("package", "This Workshop is empty", "Nothing has been published here yet.")
            again = self.empty.add_action(Button("Look again", icon="rotate-ccw"))
            again.clicked.connect(self.refresh)
            return
        looked = f"Nothing for “{clipped(text)}”" if text else "Nothing matches these filters"
        where = f" in {tab_word(category)}" if category else ""
        self.empty.set("search", looked + where, "Try fewer letters or other words.")
        if category:
            button = self.empty.add_action(Button("Search all categories", kind=Kind.PRIMARY))
            button.clicked.connect(self._all_categories)
        if self._filters.active:
            button = self.empty.add_action(Button("Clear filters"))
            button.clicked.connect(self._clear_filters)
        if text:
            button = self.empty.add_action(Button("Clear search"))
            button.clicked.connect(self.search.clear)

    def _show_counts(self, page: SearchPage) -> None:
        words = count(page.total, "result", "results") if page.total else ""
        if page.close_matches:
            words = f"Nothing is called “{clipped(self.search.text())}” – showing {words} close to it"
        if page.stale:
            words = f"{words} seen before – not every source answers".lstrip()
        self.results.setText(words)

    def _show_filters(self) -> None:
        active = self._filters.active
        self.filter_button.setText(f"Filters ({active})" if active else "Filters")
        self.tabs.choose(self._filters.category)
        while (item := self._chip_row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for words, without in self._filters.chips():
            chip = Chip(words)
            chip.clicked.connect(partial(self._chip_removed, without))
            self._chip_row.addWidget(chip)
        self._chips.setVisible(bool(active))

    def _fill_tabs(self, page: SearchPage) -> None:
        known = {key for key, _word in TABS}
        for facet in sorted(page.categories, key=lambda facet: rank(facet.value)):
            if facet.value not in known and not self.tabs.has(facet.value):
                # The catalog's own spelling of a category takes the place of ours.
                self.tabs.add(facet.value, clipped(tab_word(facet.value))[:24])
        have = {facet.value for facet in page.categories}
        if have:
            for key in self.tabs.keys:
                self.tabs.set_shown(key, not key or key in have)

    def _totals(self, totals: EngineTotals) -> None:
        broken = [source for source in totals.sources if not source.ok and source.message]
        wanted = tuple(
            f"{clipped(source.name or source.place or source.url)[:28]} "
            f"{'cannot be believed' if source.distrusted else 'does not answer'}"
            for source in broken[:2]
        )
        if wanted == self.faults.property("shown"):
            return
        self.faults.setProperty("shown", wanted)
        while (item := self._fault_row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for text in wanted:
            chip = Button(text, icon="triangle-alert", kind=Kind.GHOST, small=True)
            chip.setFixedHeight(24)
            chip.clicked.connect(self._to_sources)
            self._fault_row.addWidget(chip)

    def _facts_changed(self, _delta: object) -> None:
        self.model.update_states(self.shell.bridge.view)

    def _pictures_arrived(self, pictures: set[str]) -> None:
        for row in self.model.rows_with_picture(pictures):
            self.list.update(self.model.index(row))

    # --- selection -------------------------------------------------------------------------------

    def _selected(self, current: QModelIndex, _before: QModelIndex) -> None:
        row = self.model.summary(current)
        self.preview.show_package(row, self.model.state_of(row) if row else _NO_STATE)
        self._place_preview()

    def _preview_state(self, first: QModelIndex, last: QModelIndex) -> None:
        current = self.list.currentIndex()
        if current.isValid() and first.row() <= current.row() <= last.row():
            row = self.model.summary(current)
            if row is not None:
                self.preview.show_state(self.model.state_of(row))

    def _restore(self, package: PackageId | None) -> None:
        """The same package as before where it is still there, else the first one."""
        index = self.model.index_of(package) if package is not None else QModelIndex()
        if not index.isValid():
            index = self.model.index(0)
            self.list.scrollToTop()
        if index.isValid():
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.list.selectionModel().setCurrentIndex(index, flag)
        else:
            self._select_nothing()

    def _select_nothing(self) -> None:
        self.preview.show_package(None, _NO_STATE)
        self.preview.hide()

    def _enter_list(self) -> None:
        if self.model.rowCount():
            self.list.setFocus(Qt.FocusReason.TabFocusReason)

    # --- wishes ----------------------------------------------------------------------------------

    def _searched(self, _text: str) -> None:
        self._show_sort()
        self._ask_first()

    def _tab(self, key: str) -> None:
        self._set_filters(replace(self._filters, category=key))

    def _set_filters(self, filters: Filters) -> None:
        if filters == self._filters:
            return
        before, self._filters = self._filters, filters
        self._show_filters()
        self.model.set_hide_installed(filters.hide_installed)
        if replace(before, hide_installed=False) != replace(filters, hide_installed=False):
            self._ask_first()
        else:
            self._show_rows()
            self._restore(self.preview.package)

    def _chip_removed(self, filters: Filters) -> None:
        self._set_filters(filters)
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _drop_last_filter(self) -> None:
        chips = self._filters.chips()
        if chips:
            self._set_filters(chips[-1][1])

    def _open_filters(self) -> None:
        sheet = FilterSheet(self._filters, self._all_page or self._first_page)
        sheet.changed.connect(self._set_filters)
        self.shell.open_sheet(sheet)

    def _open_sort(self) -> None:
        menu = Menu(self)
        for sort, words in SORT_WORDS.items():
            if sort is Sort.RELEVANCE:
                continue
            menu.entry(words, partial(self._set_sort, sort), checked=sort is self._sort)
        menu.open_below(self.sort_button)

    def _set_sort(self, sort: Sort) -> None:
        if sort is not self._sort:
            self._sort = sort
            self._show_sort()
            self._ask_first()

    def _show_sort(self) -> None:
        self.sort_button.setText(SORT_WORDS[self._order()])
        self.sort_button.updateGeometry()

    def _all_categories(self) -> None:
        self._set_filters(replace(self._filters, category=""))

    def _clear_filters(self) -> None:
        self._set_filters(Filters(category=self._filters.category))

    def _show_installed(self) -> None:
        self._set_filters(replace(self._filters, hide_installed=False))

    def _to_sources(self) -> None:
        self.shell.go("settings", "sources")

    def _act(self, index: QModelIndex) -> None:
        row = self.model.summary(index)
        if row is not None:
            self._wish(wish_of(self.model.state_of(row)), row)

    def _wish(self, wish: str, row: PackageSummary) -> None:
        carry_out(self.shell, wish, row.package, row.title, self.model.state_of(row))

    def _open(self, index: QModelIndex) -> None:
        row = self.model.summary(index)
        if row is not None:
            self._open_row(row)

    def _open_row(self, row: PackageSummary) -> None:
        self.shell.go("package", row)

    def _menu(self, index: QModelIndex, at: QPoint) -> None:
        row = self.model.summary(index)
        if row is None:
            return
        state = self.model.state_of(row)
        menu = Menu(self)
        if state.action:
            menu.entry(state.action, partial(self._wish, wish_of(state), row), icon_name="download")
        menu.entry("Details", partial(self._open_row, row), icon_name="info")
        menu.entry("More by this author", partial(self._by_author, row), icon_name="user")
        menu.entry("Copy name", _copier(str(row.package)), icon_name="copy")
        menu.popup(at)

    def _by_author(self, row: PackageSummary) -> None:
        self.search.set_text(row.package.publisher)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place_preview()
        super().resizeEvent(event)

    def _place_preview(self) -> None:
        room = self.width() + Measure.RAIL >= PREVIEW_FROM
        self.preview.setVisible(room and self.preview.package is not None)


def _copier(text: str) -> Callable[[], None]:
    return lambda: QGuiApplication.clipboard().setText(text)
