"""The pane under the list: everything about one transfer, in the protocol's words."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QScrollArea,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from icworkshop_gui.engine.api.snapshots import TransferDetail, TransferSnapshot
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.files import FilesModel
from icworkshop_gui.gui.models.peers import DOWN, FLAGS_LEGEND, PeersModel
from icworkshop_gui.gui.models.rows import SortedRowsModel
from icworkshop_gui.gui.models.sources import SourcesModel
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import IconButton
from icworkshop_gui.gui.widgets.card import Card, slim_bars
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label
from icworkshop_gui.gui.widgets.piece_bar import PieceBar
from icworkshop_gui.gui.widgets.tabs import PillTabs

TABS = (
    ("overview", "Overview"),
    ("sources", "Sources"),
    ("peers", "Peers"),
    ("pieces", "Pieces"),
    ("files", "Files"),
)
ROW = 26


def facts_of(
    transfer: TransferSnapshot, detail: TransferDetail | None, now: float, wall: float
) -> list[tuple[str, str]]:
    """Label and value, in reading order. `now` is the engine's clock, `wall` the epoch's."""
    done, total = words.fetched(transfer)
    facts = [
        ("State", words.status_line(transfer, now)),
        ("Progress", f"{words.percent(done, total)} % of {words.size(total)}"),
        ("From players", words.size(transfer.from_peers)),
        ("From web server", words.size(transfer.from_http)),
        ("Already here", words.size(transfer.reused)),
        ("Shared", words.size(transfer.uploaded)),
        ("Thrown away", words.size(transfer.wasted)),
        ("Peers", f"{transfer.peers} here, {transfer.seeds} complete, {transfer.known_peers} known"),
        ("Limits", f"↓ {words.limit(transfer.limit_down)} · ↑ {words.limit(transfer.limit_up)}"),
        ("Added", words.ago(transfer.added_at, wall)),
    ]
    if detail is not None:
        facts.append(("Pieces", f"{detail.piece_count} of {words.size(detail.piece_length)}"))
    if transfer.ref is not None:
        facts.append(("Package", str(transfer.ref)))
    if transfer.info_hash:
        facts.append(("Info-hash", transfer.info_hash))
    return facts


class _Facts(QScrollArea):
    """Two columns of label and value; the same labels stay, so that nothing flickers."""

    def __init__(self) -> None:
        super().__init__()
        slim_bars(self)
        self.setWidgetResizable(True)
        self.viewport().setAutoFillBackground(False)
        inner = QWidget()
        self._grid = QGridLayout(inner)
        self._grid.setContentsMargins(16, 4, 16, 10)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(7)
        self._grid.setColumnStretch(1, 3)
        self._grid.setColumnStretch(3, 2)
        self._cells: list[tuple[Label, ElidedLabel]] = []
        self.setWidget(inner)
        inner.setAutoFillBackground(False)  # `setWidget` switches it on; the card's own ground shall show

    def show_facts(self, facts: list[tuple[str, str]]) -> None:
        half = -(-len(facts) // 2)
        while len(self._cells) < len(facts):
            self._cells.append((Label("", Text.SECOND, Token.MUTED), ElidedLabel("", Text.SECOND)))
        for at, (label, value) in enumerate(self._cells):
            label.setVisible(at < len(facts))
            value.setVisible(at < len(facts))
            if at < len(facts):
                label.setText(facts[at][0])
                if value.text() != facts[at][1]:
                    value.setText(facts[at][1])
                    value.setAccessibleName(f"{facts[at][0]}: {facts[at][1]}")
                column = 0 if at < half else 2
                self._grid.addWidget(label, at % half, column)
                self._grid.addWidget(value, at % half, column + 1)
        self._grid.setRowStretch(half, 1)

    @property
    def text(self) -> str:
        """Everything it says."""
        return "\n".join(f"{a.text()}: {b.text()}" for a, b in self._cells if not a.isHidden())


class _Table(QTableView):
    """A quiet table: no grid, fixed row height, columns that keep their width."""

    def __init__(self, model: SortedRowsModel, name: str) -> None:  # type: ignore[type-arg]
        super().__init__()
        slim_bars(self)
        self.setModel(model)
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setFont(theme().font(Text.CAPTION))
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setCornerWidget(QWidget())
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW)
        header = self.horizontalHeader()
        header.setFont(theme().font(Text.TINY_STRONG))
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        for at, column in enumerate(model.columns):
            header.resizeSection(at, column.width)
        self._recolor()
        theme().changed.connect(self._recolor)

    def sort_from(self, column: int, order: Qt.SortOrder) -> None:
        """Sorted so at first; a click on a title sorts otherwise."""
        self.horizontalHeader().setSortIndicator(column, order)
        self.setSortingEnabled(True)

    def _recolor(self) -> None:
        look = theme()
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Highlight, look.tint(Token.ACCENT, Token.SURFACE, 0.2))
        palette.setColor(QPalette.ColorRole.HighlightedText, look.color(Token.TEXT))
        self.setPalette(palette)
        # Only the header: a style sheet on the view itself would cost every cell (gui.md B0.9).
        self.horizontalHeader().setStyleSheet(
            f"QHeaderView{{background:{look.hex(Token.SURFACE)};border:0}}"
            f"QHeaderView::section{{background:{look.hex(Token.SURFACE)};color:{look.hex(Token.MUTED)};"
            f"border:0;border-bottom:1px solid {look.hex(Token.LINE)};padding:4px 16px 4px 6px}}"
        )


class DetailsPane(Card):
    """Signals: closed(): the cross was pressed."""

    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._transfer: TransferSnapshot | None = None
        self.tabs = PillTabs(TABS, "Details")
        self.name = ElidedLabel("", Text.SECOND, Token.MUTED)
        close = IconButton("x", "Close details", small=True)
        close.clicked.connect(self.closed)
        top = QHBoxLayout()
        top.setContentsMargins(8, 6, 8, 0)
        top.addWidget(self.tabs)
        top.addWidget(self.name, 1)
        top.addWidget(close)
        self.facts = _Facts()
        self.peers, self.sources, self.files = PeersModel(self), SourcesModel(self), FilesModel(self)
        self.peer_table = _Table(self.peers, "Peers")
        self.peer_table.sort_from(DOWN, Qt.SortOrder.DescendingOrder)
        self.source_table = _Table(self.sources, "Sources")
        self.source_table.sort_from(0, Qt.SortOrder.AscendingOrder)
        self.file_table = _Table(self.files, "Files")
        self.file_table.sort_from(0, Qt.SortOrder.AscendingOrder)
        self.pieces = PieceBar()
        self.piece_words = Label("", Text.SECOND, Token.MUTED, wrap=True)
        self._stack = QStackedWidget()
        for page in (self.facts, self.source_table, self._peer_page(), self._piece_page(), self.file_table):
            self._stack.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self._stack, 1)
        self.tabs.chosen.connect(self.show_tab)
        self.setMinimumHeight(150)

    def _peer_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.peer_table, 1)
        legend = ElidedLabel(FLAGS_LEGEND, Text.TINY, Token.MUTED)
        legend.setContentsMargins(10, 0, 0, 0)
        column.addWidget(legend)
        return page

    def _piece_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 12, 12, 10)
        column.setSpacing(10)
        column.addWidget(self.pieces)
        column.addWidget(self.piece_words)
        column.addStretch(1)
        return page

    def show_tab(self, key: str) -> None:
        keys = [name for name, _word in TABS]
        self.tabs.choose(key)
        self._stack.setCurrentIndex(keys.index(key))

    def show_transfer(self, transfer: TransferSnapshot | None, detail: TransferDetail | None, now: float) -> None:
        """Facts of one transfer; `detail` when the engine has sent it. Keeps sort order, selection, scroll."""
        self._transfer = transfer
        self.name.setText(transfer.name if transfer is not None else "")
        fits = detail if detail is not None and transfer is not None and detail.id == transfer.id else None
        facts = facts_of(transfer, fits, now, time.time()) if transfer is not None else []
        self.facts.show_facts(facts or [("", "Nothing is selected.")])
        self.peers.show_rows(fits.peers if fits is not None else ())
        self.sources.show_rows(fits.sources if fits is not None else ())
        self.files.show_rows(fits.files if fits is not None else ())
        self.pieces.set_detail(fits)
        self.piece_words.setText(self.pieces.description or "Nothing is known about its pieces yet.")
