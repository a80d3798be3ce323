"""Torrent files and magnet links by drag, paste, file and command line: shown, and added when the player agrees."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject, QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from icworkshop_gui.engine.api.commands import AddMagnet, AddTorrent, ReadMagnet, ReadTorrent, TorrentFacts
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.dialogs.add_torrent import AddTorrentSheet
from icworkshop_gui.gui.format import clipped, error_sentence
from icworkshop_gui.gui.links import Link, links
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import Toast


class Desk(Protocol):
    """The window, as far as this needs it."""

    @property
    def bridge(self) -> EngineBridge: ...

    def toast(self, toast: Toast) -> None: ...

    def open_sheet(self, sheet: Sheet, focus: QWidget | None = None) -> None: ...

    def go(self, key: str, argument: object = None) -> None: ...


class Torrents(QObject):
    """`open` takes anything; what means no download is left out. One is asked about after the other."""

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._desk = desk
        self._waiting: deque[Link] = deque()
        self._busy = False
        downloads = QStandardPaths.StandardLocation.DownloadLocation
        self._folder = Path(QStandardPaths.writableLocation(downloads) or Path.home())
        self.sheet: AddTorrentSheet | None = None

    def open(self, texts: Iterable[str]) -> bool:
        """Paths, `file:` addresses, magnet links, pasted lines. False when none of it means a download."""
        found = links(texts)
        self._waiting += [link for link in found if link not in self._waiting]
        self._next()
        return bool(found)

    def ask_for_file(self, parent: QWidget) -> None:
        """With the system's dialog."""
        dialog = QFileDialog(parent, "Choose torrent files", str(self._folder), "Torrents (*.torrent)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.open)
        dialog.open()

    def _next(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        link = self._waiting.popleft()
        wish = ReadTorrent(link) if isinstance(link, Path) else ReadMagnet(link)
        self._desk.bridge.ask(wish, self._read, partial(self._unreadable, link))

    def _unreadable(self, link: Link, error: Exception) -> None:
        name = clipped(link.name) if isinstance(link, Path) else "This magnet link"
        words = f"{name} could not be added. {error_sentence(error)}"
        self._desk.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))
        self._over()

    def _read(self, facts: TorrentFacts) -> None:
        sheet = self.sheet = AddTorrentSheet(facts, self._folder, self._desk.bridge.view.totals.disk_free)
        sheet.agreed.connect(partial(self._add, facts))
        sheet.showWanted.connect(partial(self._desk.go, "downloads", facts.running))
        sheet.closed.connect(self._over)
        self._desk.open_sheet(sheet, sheet.go)

    def _add(self, facts: TorrentFacts, folder: Path, start: bool) -> None:
        self._folder = folder
        wish: AddTorrent | AddMagnet
        if facts.link:
            wish = AddMagnet(link=facts.link, folder=folder, paused=not start)
        else:
            wish = AddTorrent(metainfo=facts.metainfo, folder=folder, paused=not start)
        self._desk.bridge.ask(wish, partial(self._desk.go, "downloads"), partial(self._refused, facts))

    def _refused(self, facts: TorrentFacts, error: Exception) -> None:
        words = f"{clipped(facts.name) or 'It'} could not be added. {error_sentence(error)}"
        self._desk.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))

    def _over(self) -> None:
        self.sheet = None
        self._busy = False
        self._next()
