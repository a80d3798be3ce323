"""Before any torrent is fetched: what it is, how big, and where it goes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout

from icworkshop_gui.engine.api.commands import TorrentFacts
from icworkshop_gui.gui.format import clipped, count, size
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.facts import FactsCard, NoteLine
from icworkshop_gui.gui.widgets.labels import ElidedLabel, IconLabel, Label
from icworkshop_gui.gui.widgets.row_list import RowItem, RowList
from icworkshop_gui.gui.widgets.sheet import Sheet, Side
from icworkshop_gui.gui.widgets.switch import Switch


class AddTorrentSheet(Sheet):
    """Signals:
    agreed(Path, bool): fetch it into this folder; at once, or paused.
    showWanted(): it is on the list already, show it there.
    """

    agreed = Signal(object, bool)
    showWanted = Signal()

    def __init__(self, facts: TorrentFacts, folder: Path, free: int) -> None:
        super().__init__("Add download", side=Side.RIGHT, width=Measure.SHEET)
        self._facts = facts
        self._folder = folder
        self.name = Label(clipped(facts.name) or "Name not known yet", Text.HEADING, wrap=True)
        self.numbers = FactsCard()
        self.numbers.set_facts(self._numbers(free))
        self.files = RowList("Files", tall=False)
        self.files.set_rows(
            [
                RowItem(key=str(at), title=clipped(path), right=size(length), icon="file")
                for at, (path, length) in enumerate(facts.files)
            ]
        )
        self.body.addWidget(self.name)
        self.body.addWidget(self.numbers)
        left_out = facts.file_count - len(facts.files)
        if left_out:
            more = count(left_out, "more file is", "more files are")
            self.body.addWidget(Label(f"{more} not listed here.", Text.SECOND, Token.MUTED))
        self.body.addWidget(self.files if facts.files else self._unknown(), 1)
        self.body.addWidget(self._place_card())
        self.start = Switch("Start now")
        self.start.setChecked(True)
        self.body.addLayout(self._start_row())
        note = "Anybody can make a torrent. No Workshop has checked this one: open only what you trust."
        self.body.addWidget(NoteLine("info", note))
        cancel = self.add_button(Button("Cancel"))
        cancel.clicked.connect(self.close_sheet)
        fetch = f"Download {size(facts.size)}" if facts.metainfo else "Download"
        words = "Show it in Downloads" if facts.running is not None else fetch
        self.go = self.add_button(Button(words, kind=Kind.PRIMARY))
        self.go.clicked.connect(self._go)

    @staticmethod
    def _unknown() -> EmptyState:
        """A link names a content and says nothing of it."""
        words = "A magnet link does not say what it brings. Other players are asked; Downloads shows it then."
        return EmptyState("magnet", "Size and files are not known yet", words)

    def _numbers(self, free: int) -> list[tuple[str, str]]:
        facts = self._facts
        helpers = [count(facts.trackers, "tracker", "trackers")] if facts.trackers else []
        if facts.web_seeds:
            helpers.append(count(facts.web_seeds, "web server", "web servers"))
        if facts.peers:
            helpers.append(count(facts.peers, "player", "players"))
        numbers = [("Sources it names", ", ".join(helpers) or "none")]
        if facts.file_count:
            numbers.insert(0, ("Size", f"{size(facts.size)} in {count(facts.file_count, 'file', 'files')}"))
        if facts.private:
            numbers.append(("Private", "only its own trackers are asked for players"))
        if free and facts.link:
            numbers.append(("Free space", size(free)))
        elif free:
            room = free - facts.size
            numbers.append(("Free afterwards", size(room) if room > 0 else f"not enough: {size(free)} free"))
        numbers.append(("Info-hash", facts.info_hash))
        if facts.running is not None:
            numbers.append(("State", "it is in Downloads already"))
        return numbers

    def _place_card(self) -> Card:
        card = Card(ground=Token.RAISED, line=None, radius=Measure.RADIUS_ROW)
        row = QHBoxLayout(card)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(10)
        row.addWidget(IconLabel("folder-open", 16))
        row.addWidget(Label("Goes to", Text.SECOND, Token.MUTED))
        self.place = ElidedLabel(str(self._folder), Text.SECOND_STRONG)
        row.addWidget(self.place, 1)
        change = Button("Change…", small=True, name="Change the folder")
        change.clicked.connect(self._ask_folder)
        row.addWidget(change)
        if self._facts.running is not None:
            card.hide()
        return card

    def _start_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        label = Label("Start now", Text.BODY)
        label.setBuddy(self.start)
        row.addWidget(label, 1)
        row.addWidget(self.start)
        if self._facts.running is not None:
            label.hide()
            self.start.hide()
        return row

    def _ask_folder(self) -> None:
        dialog = QFileDialog(self.window(), "Choose a folder", str(self._folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.set_folder)
        dialog.open()

    def set_folder(self, folder: str) -> None:
        """Where it goes."""
        self._folder = Path(folder)
        self.place.setText(folder)

    def _go(self) -> None:
        if self._facts.running is not None:
            self.showWanted.emit()
        else:
            self.agreed.emit(self._folder, self.start.isChecked())
        self.close_sheet()
