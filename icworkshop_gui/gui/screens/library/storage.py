"""The top of the library: what takes how much room, and what the ticked packages would give back."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.engine.api.snapshots import EngineTotals, LibraryEntry
from icworkshop_gui.gui import categories
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.categories import Motif
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind, LinkButton
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.labels import ElidedLabel, IconLabel, Label
from icworkshop_gui.gui.widgets.treemap import REST, Cell, Treemap

HEIGHT = 184


_FILLS = {Motif.RIDGES: 0, Motif.PIXELS: 1, Motif.WAVES: 2, Motif.TILES: 3}


def color_of(category: str) -> int:
    """One colour for what looks alike; the rest shares the quiet one."""
    return _FILLS.get(categories.motif(category), REST)


def storage_words(entries: Sequence[LibraryEntry], store_bytes: int) -> str:
    """What is installed costs, and what sharing files saves. The engine looks at the disk every few seconds only: a
    figure that is smaller than what the packages hold alone is from before the last one came, and is not told."""
    whole = sum(entry.size for entry in entries)
    alone = sum(entry.unique for entry in entries)
    if store_bytes < alone:
        return f"{words.size(whole)} installed"
    line = f"{words.size(store_bytes)} in one copy"
    return f"{line} · would be {words.size(whole)} without sharing files" if whole > store_bytes else line


class StorageCard(Card):
    """Treemap of what is installed."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT)
        column = QVBoxLayout(self)
        column.setContentsMargins(15, 13, 15, 15)
        column.setSpacing(10)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(Label("Storage", Text.ITEM))
        self.words = ElidedLabel("", Text.SECOND, Token.MUTED)
        top.addWidget(self.words, 1)
        column.addLayout(top)
        self.map = Treemap("Storage by package")
        column.addWidget(self.map, 1)

    def show_facts(self, entries: Sequence[LibraryEntry], totals: EngineTotals) -> None:
        self.words.setText(storage_words(entries, totals.store_bytes))
        self.map.set_cells([Cell(entry.ref, entry.title, entry.size, color_of(entry.category)) for entry in entries])


class SelectionCard(Card):
    """The disk; or, once packages are ticked, what they would free.

    Signals:
        removeWanted(), verifyWanted(), clearWanted(): for the ticked packages.
        cleanUpWanted(): of what can go.
    """

    cleanUpWanted = Signal()
    removeWanted = Signal()
    verifyWanted = Signal()
    clearWanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(270, HEIGHT)
        self._stack = QStackedWidget()
        column = QVBoxLayout(self)
        column.setContentsMargins(15, 13, 15, 15)
        column.addWidget(self._stack)
        self._stack.addWidget(self._disk_page())
        self._stack.addWidget(self._ticked_page())

    def _disk_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(IconLabel("hard-drive", 16, Token.TEXT))
        top.addWidget(Label("Disk", Text.ITEM), 1)
        column.addLayout(top)
        self.free = Label("", Text.HERO)
        self.note = Label("", Text.SECOND, Token.MUTED, wrap=True)
        column.addWidget(self.free)
        column.addWidget(self.note)
        column.addStretch(1)
        self.clean_up = Button("Clean up", icon="sparkles", small=True)
        self.clean_up.clicked.connect(self.cleanUpWanted)
        self.clean_up.hide()
        column.addWidget(self.clean_up)
        return page

    def _ticked_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        top = QHBoxLayout()
        self.ticked = Label("", Text.ITEM)
        top.addWidget(self.ticked, 1)
        clear = LinkButton("Clear")
        clear.clicked.connect(self.clearWanted)
        top.addWidget(clear)
        column.addLayout(top)
        self.frees = Label("", Text.HERO)
        column.addWidget(self.frees)
        column.addStretch(1)
        row = QHBoxLayout()
        row.setSpacing(8)
        verify = Button("Verify", icon="shield-check", small=True)
        verify.clicked.connect(self.verifyWanted)
        self.remove = Button("Remove", icon="trash-2", kind=Kind.DANGER, small=True)
        self.remove.clicked.connect(self.removeWanted)
        row.addWidget(verify, 1)
        row.addWidget(self.remove, 1)
        column.addLayout(row)
        return page

    def show_clean_up(self, freed: int, what: str) -> None:
        """`freed`: bytes that cleaning up frees; `what` would go."""
        self.clean_up.setText(f"Clean up · frees {words.size(freed)}")
        self.clean_up.setToolTip(what)
        self.clean_up.setVisible(freed > 0)

    def show_facts(self, ticked: Sequence[LibraryEntry], totals: EngineTotals, shared: int) -> None:
        """`shared`: how many packages are shared with others."""
        self._stack.setCurrentIndex(1 if ticked else 0)
        self.ticked.setText(f"{len(ticked)} selected")
        self.frees.setText(f"frees {words.size(sum(entry.unique for entry in ticked))}")
        self.free.setText(f"{words.size(totals.disk_free)} free")
        sharing = words.count(shared, "package is", "packages are")
        shared_words = f"{sharing} shared with other players." if totals.sharing else "Sharing is switched off."
        self.note.setText(f"The Workshop uses {words.size(totals.store_bytes)}. {shared_words}")
