"""The column at the right of a package's page: the button, what it costs, and what it may be used for."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout

from icworkshop_gui.core.catalog import PackageDetail
from icworkshop_gui.gui.format import clipped, count, date, size, tally
from icworkshop_gui.gui.licenses import license_words
from icworkshop_gui.gui.models.package_state import PackageState
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.card import Card, Line
from icworkshop_gui.gui.widgets.facts import FactsCard, NoteLine
from icworkshop_gui.gui.widgets.install_button import InstallButton

GAMES = {"ra": "Red Alert", "ra1": "Red Alert", "red-alert": "Red Alert", "td": "Tiberian Dawn"}
"""Game modules by their names for people; others are shown as written."""


class FactsColumn(Card):
    """Signals:
    wanted(str): the wish of the button.
    """

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(Measure.SIDE)
        self.setAccessibleName("Facts")
        self.button = InstallButton()
        self.button.wanted.connect(self.wanted)
        self._facts = FactsCard()
        self._license = NoteLine("scale")
        self._sources = NoteLine("users")
        self._game = NoteLine("gamepad-2")
        self._checked = NoteLine("shield-check", "Every byte is checked against the Workshop before it is installed")
        self._withdrawn = NoteLine("triangle-alert", "", Token.WARN)
        column = QVBoxLayout(self)
        column.setContentsMargins(15, 15, 15, 15)
        column.setSpacing(12)
        column.addWidget(self.button)
        column.addWidget(self._facts)
        column.addWidget(self._withdrawn)
        column.addWidget(Line())
        for note in (self._license, self._sources, self._game, self._checked):
            column.addWidget(note)
        column.addStretch(1)

    def words(self) -> str:
        """All facts, in one line."""
        notes = (self._license, self._sources, self._game, self._withdrawn)
        return ", ".join([self._facts.words(), *(note.words.text() for note in notes if not note.isHidden())])

    def show_size(self, bytes_to_fetch: int, newest: str, state: PackageState, free: int) -> None:
        """What is known before the page is here."""
        self.button.show_state(state, bytes_to_fetch, newest)
        self._facts.set_facts(
            [*self._progress_facts(state, bytes_to_fetch), ("Free space", size(free) if free else "—")]
        )
        for note in (self._license, self._sources, self._game, self._withdrawn):
            note.set_text("")

    def show_detail(self, detail: PackageDetail, state: PackageState, free: int) -> None:
        """Everything."""
        release = detail.release
        newest = detail.versions[0].ref.version if detail.versions else release.ref.version
        self.button.show_state(state, release.size, newest)
        facts = self._progress_facts(state, release.size)
        if release.installed_size and state.entry is None:
            facts.append(("On disk", size(release.installed_size)))
        facts.append(("Free space", size(free) if free else "—"))
        facts.append(("Downloads", tally(release.downloads)))
        facts.append(("Published", date(release.published_at) if release.published_at else "—"))
        self._facts.set_facts(facts)
        words = license_words(release.license)
        self._license.set_text(f"{words.name} – {words.meaning[:1].lower()}{words.meaning[1:]}")
        players = (
            count(detail.seeders, "player has it", "players have it") if detail.seeders else "No player has it now"
        )
        fetching = f", {detail.leechers} are fetching it" if detail.leechers else ""
        self._sources.set_text(f"{players}{fetching}; the web server helps")
        self._game.set_text(
            f"Made for {GAMES.get(release.game_module, clipped(release.game_module))}" if release.game_module else ""
        )
        withdrawn = "Withdrawn by its author: it stays where it is installed, and is not offered any more"
        self._withdrawn.set_text(withdrawn if release.yanked else "")

    def _progress_facts(self, state: PackageState, bytes_to_fetch: int) -> list[tuple[str, str]]:
        transfer, entry = state.transfer, state.entry
        if transfer is not None:
            left = max(0, transfer.size - transfer.done)
            return [("To fetch", size(left)), ("Already here", size(transfer.done))]
        if entry is not None:
            facts = [("Installed", entry.ref.version), ("On disk", size(entry.size))]
            return [("New version", size(bytes_to_fetch)), *facts] if state.action else facts
        return [("To fetch", size(bytes_to_fetch))]
