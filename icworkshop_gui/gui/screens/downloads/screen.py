"""The page: list, side column, details. Constructs and connects; the rules live in models and actions."""

from __future__ import annotations

import time

from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QSplitter, QVBoxLayout, QWidget

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import EngineTotals, TransferDetail, TransferSnapshot
from icworkshop_gui.gui.bridge import TransfersDelta
from icworkshop_gui.gui.models.transfers import TransferRow, TransfersModel, summary
from icworkshop_gui.gui.screens.base import Screen, Shell
from icworkshop_gui.gui.screens.downloads.actions import TransferActions
from icworkshop_gui.gui.screens.downloads.details import DetailsPane
from icworkshop_gui.gui.screens.downloads.list_view import DownloadsList
from icworkshop_gui.gui.screens.downloads.rows import DownloadsDelegate, Part
from icworkshop_gui.gui.screens.downloads.side import SideColumn
from icworkshop_gui.gui.tokens import Measure
from icworkshop_gui.gui.widgets.buttons import Button, IconButton, Kind
from icworkshop_gui.gui.widgets.card import slim_bars
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.menu import Menu

QWIDGETSIZE_MAX = (1 << 24) - 1
"""Qt's own: no limit."""


class DownloadsScreen(Screen):
    """`visit(TransferId)` selects that transfer."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Downloads")
        bridge = shell.bridge
        self.model = TransfersModel(time.time, self)
        self.model.apply(TransfersDelta(tuple(bridge.view.transfers.values()), ()))
        self.actions_ = TransferActions(shell, self.model, self)
        self.list = DownloadsList(self.model, DownloadsDelegate(self.model, self._art))
        self.side = SideColumn(shell)
        self.details = DetailsPane()
        self._watched: TransferId | None = None
        self._open = False
        self._build_header()
        self._build()
        self._connect()
        self._totals(bridge.view.totals)
        self._show_emptiness()

    # --- construction --------------------------------------------------------------------------------

    def _build_header(self) -> None:
        self.pause_all = Button("Pause all", icon="pause")
        self.more = IconButton("ellipsis", "More")
        self.header.add(self.pause_all)
        self.header.add(self.more)

    def _build(self) -> None:
        self._empty = EmptyState(
            "download", "Nothing is downloading", "Find something in Browse, or drop a torrent file here."
        )
        browse = self._empty.add_action(Button("Browse", kind=Kind.PRIMARY, icon="compass"))
        browse.clicked.connect(lambda: self.shell.go("browse"))
        torrent = self._empty.add_action(Button("Add a torrent file…", icon="plus"))
        torrent.clicked.connect(self.shell.add_torrent)
        self._page = QWidget()
        column = QVBoxLayout(self._page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.list, 1)
        column.addWidget(self._empty, 1)
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setHandleWidth(10)
        self._splitter.addWidget(self._page)
        self._splitter.addWidget(self.details)
        self._splitter.setSizes([420, 250])
        self._splitter.setStretchFactor(0, 1)
        self.details.hide()
        scroll = QScrollArea()
        slim_bars(scroll)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFixedWidth(Measure.SIDE)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.viewport().setAutoFillBackground(False)
        holder = QWidget()
        holder.setAutoFillBackground(False)
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(0, 14, 0, 14)
        inside.addWidget(self.side)
        scroll.setWidget(holder)
        left = QVBoxLayout()
        left.setContentsMargins(0, 2, 0, 14)
        left.addWidget(self._splitter)
        row = QHBoxLayout(self)
        row.setContentsMargins(Measure.MARGIN, 0, 0, 0)
        row.setSpacing(16)
        row.addLayout(left, 1)
        row.addWidget(scroll)

    def _connect(self) -> None:
        bridge = self.shell.bridge
        bridge.transfersChanged.connect(self._transfers)
        bridge.totalsChanged.connect(self._totals)
        bridge.detailChanged.connect(self._detail)
        self.list.partPressed.connect(self._part)
        self.list.keyPressed.connect(self._key)
        self.list.menuWanted.connect(self._menu_at)
        self.list.dropped.connect(self._dropped)
        self.list.selectionModel().selectionChanged.connect(self._watch)
        self.actions_.detailsWanted.connect(self.show_details)
        self.actions_.limitsWanted.connect(self._to_limits)
        self.details.closed.connect(self._close_details)
        self.pause_all.clicked.connect(self._pause_all)
        self.more.clicked.connect(lambda: self.header_menu().open_below(self.more))
        toggle = QShortcut(QKeySequence("Ctrl+I"), self)
        toggle.activated.connect(self._toggle_details)
        self.model.rowsInserted.connect(self._show_emptiness)
        self.model.rowsRemoved.connect(self._show_emptiness)
        self.shell.pictures.arrived.connect(self._repaint)

    def _art(self, transfer: TransferSnapshot, size: QSize, dpr: float) -> QPixmap:
        package = transfer.ref.package if transfer.ref is not None else PackageId("torrent", transfer.name)
        return self.shell.pictures.pixmap(
            package,
            transfer.category,
            size,
            version="" if transfer.ref is None else transfer.ref.version,
            sha256=transfer.preview_sha256,
            radius=Measure.RADIUS_THUMB,
            dpr=dpr,
        )

    # --- the window ----------------------------------------------------------------------------------

    def visit(self, argument: object) -> None:
        self._open = True
        if isinstance(argument, str):
            self.list.choose(TransferId(argument))
        self._watch()

    def leave(self) -> None:
        self._open = False
        self._watch()

    # --- facts ---------------------------------------------------------------------------------------

    def _transfers(self, delta: TransfersDelta) -> None:
        self.model.engine_now = self.shell.bridge.view.totals.now
        self.model.apply(delta)
        self._show_emptiness()
        self._watch()
        self._refresh_details()

    def _show_emptiness(self) -> None:
        transfers = self.model.visible
        self.header.set_subtitle(summary(transfers, time.time()))
        running = [row for row in self.model.rows if isinstance(row, TransferRow) and row.section.tier is not None]
        self.pause_all.setEnabled(bool(running))
        # Titles of what is finished or shared may stand above the way out; unfolded, they take the page.
        idle = not any(isinstance(row, TransferRow) for row in self.model.rows)
        self.list.setVisible(bool(self.model.rows))
        self.list.setMaximumHeight(self.list.height_of_rows() if idle else QWIDGETSIZE_MAX)
        self._empty.setVisible(idle)

    def _totals(self, totals: EngineTotals) -> None:
        self.model.engine_now = totals.now
        self.side.set_totals(totals)
        self.pause_all.setText("Resume all" if totals.paused_all else "Pause all")
        self.pause_all.set_icon("play" if totals.paused_all else "pause")

    def _detail(self, detail: TransferDetail | None) -> None:
        self.model.set_detail(detail)
        self._refresh_details()

    def _refresh_details(self) -> None:
        shown = self._shown()
        detail = self.model.details
        fits = detail if detail is not None and shown is not None and detail.id == shown.id else None
        self.side.sources.set_detail(fits, shown.name if shown is not None else "")
        if self.details.isVisible():
            self.details.show_transfer(shown, fits, self.model.engine_now)

    def _shown(self) -> TransferSnapshot | None:
        """The transfer that side column and details speak of: the selected one, else the first on the page."""
        chosen = self.list.chosen()
        if chosen:
            return self.model.transfers.get(chosen[0])
        for row in self.model.rows:
            if isinstance(row, TransferRow) and row.section.tier is not None:
                return row.transfer
        return None

    def _watch(self) -> None:
        """Ask the engine for details of what is shown, and of nothing while the page is hidden."""
        shown = self._shown() if self._open else None
        wanted = shown.id if shown is not None else None
        if wanted != self._watched:
            self._watched = wanted
            self.shell.bridge.send(c.Watch(wanted))
        self._refresh_details()

    def _repaint(self, _pictures: object) -> None:
        self.list.viewport().update()

    # --- wishes --------------------------------------------------------------------------------------

    def _part(self, part: Part, transfer: TransferId) -> None:
        match part:
            case Part.PAUSE:
                self.actions_.toggle([transfer])
            case Part.CANCEL:
                self.actions_.cancel([transfer])
            case Part.REMEDY:
                self.list.choose(transfer)
                self.actions_.remedy(transfer)
            case Part.MENU:
                self.list.choose(transfer)
                rect = self.list.visualRect(self.model.index_of(transfer))
                self._menu_at(self.list.viewport().mapToGlobal(QPoint(rect.right() - 46, rect.center().y() + 18)))
            case Part.GRIP | Part.TOGGLE:
                pass

    def _key(self, word: str) -> None:
        chosen = self.list.chosen()
        if not chosen:
            return
        match word:
            case "pause":
                self.actions_.toggle(chosen)
            case "cancel":
                self.actions_.cancel(chosen)
            case "open":
                self.show_details(self.details.tabs.current)
            case _:
                self.actions_.step(chosen, word)

    def _menu_at(self, at: QPoint) -> None:
        menu = self.actions_.menu(self.list.chosen(), self.list)
        if menu is not None:
            menu.popup(at)

    def _dropped(self, transfers: list[TransferId], tier: Tier, before: TransferId | None) -> None:
        self.actions_.place(transfers, tier, before)

    def _pause_all(self) -> None:
        bridge = self.shell.bridge
        bridge.send(c.Resume() if bridge.view.totals.paused_all else c.Pause())

    def header_menu(self) -> Menu:
        """What the page as a whole can do beside pausing."""
        menu = Menu(self)
        menu.entry("Add a torrent file…", self.shell.add_torrent, icon_name="plus")
        menu.entry("Show details", self._toggle_details, icon_name="info", checked=self.details.isVisible())
        menu.entry("Clear finished", lambda: self.shell.bridge.send(c.ClearFinished()), icon_name="check-check")
        menu.entry("Settings for downloads", lambda: self.shell.go("settings", "Downloads"), icon_name="settings")
        return menu

    def show_details(self, tab: str) -> None:
        """Open the details pane on a tab."""
        self.details.show()
        self.details.show_tab(tab)
        self._refresh_details()

    def _close_details(self) -> None:
        self.details.hide()
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _toggle_details(self) -> None:
        if self.details.isVisible():
            self._close_details()
        else:
            self.show_details(self.details.tabs.current)

    def _to_limits(self) -> None:
        self.side.limits.down.slider.setFocus(Qt.FocusReason.TabFocusReason)
