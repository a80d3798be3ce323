"""The page: storage, list, search. Constructs and connects; the rules live in the model and the actions."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.engine.api.commands import CleanUpReport
from icworkshop_gui.engine.api.snapshots import EngineTotals, LibraryEntry
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.bridge import LibraryDelta
from icworkshop_gui.gui.models.library import LibraryModel, Order
from icworkshop_gui.gui.screens.base import Screen, Shell
from icworkshop_gui.gui.screens.library.actions import LibraryActions
from icworkshop_gui.gui.screens.library.bundles import Bundles
from icworkshop_gui.gui.screens.library.clean_up import CleanUps, summary
from icworkshop_gui.gui.screens.library.list_view import LibraryList
from icworkshop_gui.gui.screens.library.rows import LibraryDelegate, Part
from icworkshop_gui.gui.screens.library.storage import SelectionCard, StorageCard
from icworkshop_gui.gui.screens.library.subscriptions import SubscriptionsPanel
from icworkshop_gui.gui.tokens import Measure
from icworkshop_gui.gui.widgets.buttons import Button, IconButton, Kind
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.search_field import SearchField
from icworkshop_gui.gui.widgets.tabs import PillTabs


class LibraryScreen(Screen):
    """`visit(PackageRef)` selects that package; `visit("subscriptions")` shows what the player follows."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Library")
        bridge = shell.bridge
        self.model = LibraryModel(self)
        self.model.apply(LibraryDelta(tuple(bridge.view.library.values()), ()))
        self.actions_ = LibraryActions(shell, self.model, self)
        self.list = LibraryList(self.model, LibraryDelegate(self.model, self._art))
        self.storage, self.selection = StorageCard(), SelectionCard()
        self.clean_ups = CleanUps(shell, self)
        self.bundles = Bundles(shell, self)
        self.subscriptions = SubscriptionsPanel(shell)
        self.tabs = PillTabs((("installed", "Installed"), ("subscriptions", "Subscriptions")), "Parts of the library")
        self._build_header()
        self._build()
        self._connect()
        self._show_facts()

    # --- construction --------------------------------------------------------------------------------

    def _build_header(self) -> None:
        self.search = SearchField("Search installed")
        self.search.setFixedWidth(300)
        self.order = Button(self.model.order.value, trailing="chevron-down", name="Sort")
        self.verify_all = Button("Verify all", icon="shield-check")
        self.update_all = Button("Update all", icon="refresh-cw", kind=Kind.PRIMARY)
        self.more = IconButton("ellipsis", "More")
        for widget in (self.search, self.order, self.verify_all, self.update_all, self.more):
            self.header.add(widget)

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(Measure.GAP)
        top.addWidget(self.storage, 1)
        top.addWidget(self.selection)
        self._nothing = EmptyState("library", "Nothing installed yet", "Find something to play in Browse.")
        browse = self._nothing.add_action(Button("Browse", kind=Kind.PRIMARY, icon="compass"))
        browse.clicked.connect(lambda: self.shell.go("browse"))
        self._no_match = EmptyState("search", "Nothing installed matches", "Try other words.")
        clear = self._no_match.add_action(Button("Clear search"))
        clear.clicked.connect(self.search.clear)
        self._stack = QStackedWidget()
        for page in (self.list, self._nothing, self._no_match):
            self._stack.addWidget(page)
        installed = QWidget()
        inside = QVBoxLayout(installed)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(Measure.GAP)
        inside.addLayout(top)
        inside.addWidget(self._stack, 1)
        self._parts = {"installed": installed, "subscriptions": self.subscriptions}
        self._pages = QStackedWidget()
        for part in self._parts.values():
            self._pages.addWidget(part)
        column = QVBoxLayout(self)
        column.setContentsMargins(Measure.MARGIN, 10, Measure.MARGIN, 14)
        column.setSpacing(10)
        column.addWidget(self.tabs)
        column.addWidget(self._pages, 1)

    def _connect(self) -> None:
        bridge = self.shell.bridge
        bridge.libraryChanged.connect(self._library)
        bridge.totalsChanged.connect(self._totals)
        self.search.searched.connect(self._search)
        self.search.downPressed.connect(self._enter_list)
        self.order.clicked.connect(self._order_menu)
        self.verify_all.clicked.connect(self._verify_all)
        self.update_all.clicked.connect(lambda: self.actions_.update_all(self.model.entries))
        self.list.partPressed.connect(self._part)
        self.list.keyPressed.connect(self._key)
        self.list.menuWanted.connect(self._menu_at)
        self.storage.map.chosen.connect(self._from_map)
        self.selection.removeWanted.connect(lambda: self.actions_.remove(self.model.ticked))
        self.selection.verifyWanted.connect(lambda: self.actions_.verify([entry.ref for entry in self.model.ticked]))
        self.selection.clearWanted.connect(self._clear_ticks)
        self.actions_.checked.connect(self._show_facts)
        self.model.rowsRemoved.connect(self._show_facts)
        self.model.rowsInserted.connect(self._show_facts)
        self.shell.pictures.arrived.connect(self._repaint)
        self.tabs.chosen.connect(self.show_part)
        self.more.clicked.connect(lambda: self.header_menu().open_below(self.more))
        self.actions_.bundleWanted.connect(lambda package: self.bundles.ask_where((package,), self))
        self.subscriptions.counted.connect(self._count_waiting)
        self._count_waiting(sum(len(row.waiting) for row in bridge.view.subscriptions))
        self.clean_ups.counted.connect(self._show_clean_up)
        self.selection.cleanUpWanted.connect(self.clean_ups.review)

    def _art(self, entry: LibraryEntry, size: QSize, dpr: float) -> QPixmap:
        return self.shell.pictures.pixmap(
            entry.ref.package,
            entry.category,
            size,
            version=entry.ref.version,
            sha256=entry.preview_sha256,
            radius=Measure.RADIUS_THUMB,
            dpr=dpr,
        )

    # --- the window ----------------------------------------------------------------------------------

    def visit(self, argument: object) -> None:
        if isinstance(argument, PackageRef):
            self.show_part("installed")
            self.list.choose(argument)
        elif isinstance(argument, str) and self.tabs.has(argument):
            self.show_part(argument)
        self.clean_ups.count()

    def show_part(self, key: str) -> None:
        """Installed packages, or what is followed."""
        self.tabs.choose(key)
        self._pages.setCurrentWidget(self._parts[key])
        for widget in (self.search, self.order, self.verify_all):
            widget.setVisible(key == "installed")
        self._show_facts()

    def _count_waiting(self, waiting: int) -> None:
        self.tabs.set_word("subscriptions", f"Subscriptions · {waiting} waiting" if waiting else "Subscriptions")

    def _show_clean_up(self, report: CleanUpReport) -> None:
        self.selection.show_clean_up(report.freed, summary(report, self.shell.bridge.view.library))

    def focus_search(self) -> bool:
        self.show_part("installed")
        self.search.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return True

    # --- facts ---------------------------------------------------------------------------------------

    def _library(self, delta: LibraryDelta) -> None:
        self.model.apply(delta)
        self._show_facts()
        if self.isVisible():
            self.clean_ups.count_soon()

    def _totals(self, totals: EngineTotals) -> None:
        if self.isVisible():
            self._show_facts()

    def _show_facts(self, *_ignored: object) -> None:
        totals = self.shell.bridge.view.totals
        entries = self.model.entries
        self.header.set_subtitle(words.count(len(entries), "package", "packages"))
        self.storage.show_facts(entries, totals)
        self.selection.show_facts(self.model.ticked, totals, sum(entry.sharing for entry in entries))
        for widget in (self.storage, self.selection):
            widget.setVisible(bool(entries))
        self._show_updates(entries)
        self.verify_all.setEnabled(bool(entries) and not self.actions_.is_checking)
        self._stack.setCurrentIndex(0 if self.model.rows else 2 if entries else 1)

    def _show_updates(self, entries: Sequence[LibraryEntry]) -> None:
        """How many, and what they would fetch once all were measured."""
        newer = [entry for entry in entries if entry.update_to]
        sizes = [entry.update_bytes for entry in newer if entry.update_bytes is not None]
        what = "Update" if len(newer) == 1 else f"Update all {len(newer)}"
        self.update_all.setText(f"{what} · {words.size(sum(sizes))}" if len(sizes) == len(newer) else what)
        self.update_all.setVisible(bool(newer) and self.tabs.current == "installed")

    def _search(self, text: str) -> None:
        self.model.search(text)
        self._show_facts()

    def _repaint(self, _pictures: object) -> None:
        self.list.viewport().update()

    # --- wishes --------------------------------------------------------------------------------------

    def _entry(self, ref: PackageRef | None) -> LibraryEntry | None:
        row = self.model.row_at(self.model.index_of(ref)) if ref is not None else None
        return row.entry if row is not None else None

    def _part(self, part: Part, ref: PackageRef) -> None:
        match part:
            case Part.TICK:
                self._toggle_tick(ref)
            case Part.BUTTON:
                entry = self._entry(ref)
                if entry is not None and not entry.damaged:
                    self.actions_.activate(entry)
                else:
                    self.actions_.verify([ref])
            case Part.MENU:
                self.list.choose(ref)
                rect = self.list.visualRect(self.model.index_of(ref))
                self._menu_at(self.list.viewport().mapToGlobal(QPoint(rect.right() - 49, rect.center().y() + 18)))

    def _toggle_tick(self, ref: PackageRef) -> None:
        row = self.model.row_at(self.model.index_of(ref))
        if row is not None:
            self.model.set_ticked(ref, not row.ticked)
            self._show_facts()

    def _clear_ticks(self) -> None:
        self.model.clear_ticks()
        self._show_facts()
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _key(self, word: str) -> None:
        entry = self._entry(self.list.chosen())
        if entry is None:
            return
        match word:
            case "tick":
                self._toggle_tick(entry.ref)
            case "remove":
                self.actions_.remove(self.model.ticked or [entry])
            case "open":
                self.actions_.show_package(entry)

    def _menu_at(self, at: QPoint) -> None:
        entry = self._entry(self.list.chosen())
        if entry is not None:
            self.actions_.menu(entry, self.list).popup(at)

    def header_menu(self) -> Menu:
        """What the library as a whole can do beside verifying."""
        menu = Menu(self)
        menu.entry("Install from a bundle…", lambda: self.bundles.ask_which(self), icon_name="download")
        menu.entry(
            "Put everything into a bundle…",
            lambda: self.bundles.ask_where((), self),
            icon_name="package",
            enabled=bool(self.model.entries),
        )
        return menu

    def _order_menu(self) -> None:
        menu = Menu(self)
        for order in Order:
            self._order_entry(menu, order)
        menu.open_below(self.order)

    def _order_entry(self, menu: Menu, order: Order) -> None:
        def choose() -> None:
            self.model.set_order(order)
            self.order.setText(order.value)

        menu.entry(order.value, choose, checked=order is self.model.order)

    def _verify_all(self) -> None:
        self.actions_.verify([entry.ref for entry in self.model.entries])
        self._show_facts()

    def _enter_list(self) -> None:
        if self.model.rows:
            if self.list.chosen() is None:
                self.list.setCurrentIndex(self.model.index(0, 0))
            self.list.setFocus(Qt.FocusReason.TabFocusReason)

    def _from_map(self, ref: PackageRef | None) -> None:
        if ref is not None:
            self.search.clear()
            self.list.choose(ref)
            self.list.setFocus(Qt.FocusReason.TabFocusReason)
