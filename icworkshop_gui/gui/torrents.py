"""Torrents by drag, paste, file and command line: read, shown, and added when the player agrees, one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject, QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from icworkshop_gui.engine.api.commands import AddTorrent, ReadTorrent, TorrentFacts
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.dialogs.add_torrent import AddTorrentSheet
from icworkshop_gui.gui.format import clipped, error_sentence
from icworkshop_gui.gui.links import torrent_files
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
    """`open` takes anything; what is no torrent file of this computer is left out."""

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._desk = desk
        self._waiting: deque[Path] = deque()
        self._busy = False
        downloads = QStandardPaths.StandardLocation.DownloadLocation
        self._folder = Path(QStandardPaths.writableLocation(downloads) or Path.home())
        self.sheet: AddTorrentSheet | None = None

    def open(self, texts: Iterable[str]) -> bool:
        """Paths, `file:` addresses, pasted lines. False when none of it is a torrent file."""
        paths = torrent_files(texts)
        self._waiting += [path for path in paths if path not in self._waiting]
        self._next()
        return bool(paths)

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
        path = self._waiting.popleft()
        self._desk.bridge.ask(ReadTorrent(path), self._read, partial(self._unreadable, path))

    def _unreadable(self, path: Path, error: Exception) -> None:
        words = f"{clipped(path.name)} could not be added. {error_sentence(error)}"
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
        wish = AddTorrent(metainfo=facts.metainfo, folder=folder, paused=not start)
        self._desk.bridge.ask(wish, partial(self._desk.go, "downloads"), partial(self._refused, facts))

    def _refused(self, facts: TorrentFacts, error: Exception) -> None:
        words = f"{clipped(facts.name)} could not be added. {error_sentence(error)}"
        self._desk.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))

    def _over(self) -> None:
        self.sheet = None
        self._busy = False
        self._next()
