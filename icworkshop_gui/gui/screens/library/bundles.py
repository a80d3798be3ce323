"""Packages in one file, out and in: for a stick, a LAN party, a computer without a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import BundleProgress, Event
from icworkshop_gui.gui.dialogs.bundle import BundleSheet, WorkSheet
from icworkshop_gui.gui.format import clipped, count, error_sentence
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.toast import Toast

ALL = "All files (*)"


class Bundles(QObject):
    """One at a time; the sheet of what goes on says how far it is and can stop it."""

    def __init__(self, shell: Shell, parent: QObject) -> None:
        super().__init__(parent)
        self._shell = shell
        self._path: Path | None = None
        self.work: WorkSheet | None = None
        shell.bridge.eventHappened.connect(self._event)

    # --- out -----------------------------------------------------------------------------------------

    def ask_where(self, packages: Sequence[PackageId], parent: QWidget) -> None:
        """With the system's dialog; no packages: everything."""
        name = packages[0].name if len(packages) == 1 else "workshop"
        dialog = QFileDialog(parent, "Put into a bundle", f"{name}.icbundle", ALL)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.write(Path(path), tuple(packages)))
        dialog.open()

    def write(self, path: Path, packages: tuple[PackageId, ...]) -> None:
        """These and what they need."""
        self._begin(path, f"Writing {clipped(path.name)}")
        self._shell.bridge.ask(c.CreateBundle(path, packages), partial(self._written, path), self._failed)

    def _written(self, path: Path, view: c.BundleView) -> None:
        self._end()
        words = f"{count(len(view.packages), 'package is', 'packages are')} in {clipped(path.name)}."
        self._shell.toast(Toast(words, icon="package", token=Token.OK))

    # --- in ------------------------------------------------------------------------------------------

    def ask_which(self, parent: QWidget) -> None:
        """With the system's dialog."""
        dialog = QFileDialog(parent, "Install from a bundle", "", ALL)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.look(Path(path)))
        dialog.open()

    def look(self, path: Path) -> None:
        """Show what it holds."""
        self._shell.bridge.ask(c.InspectBundle(path), partial(self._seen, path), self._failed)

    def _seen(self, path: Path, view: c.BundleView) -> None:
        sheet = BundleSheet(path, view)
        sheet.agreed.connect(partial(self._install, path))
        self._shell.open_sheet(sheet, sheet.go if sheet.go.isEnabled() else None)

    def _install(self, path: Path) -> None:
        self._begin(path, f"Checking {clipped(path.name)}")
        self._shell.bridge.ask(c.ImportBundle(path), self._installed, self._failed)

    def _installed(self, transfers: tuple[object, ...]) -> None:
        self._end()
        words = (
            f"{count(len(transfers), 'package is', 'packages are')} being installed." if transfers else "All is here."
        )
        self._shell.toast(Toast(words, icon="package", token=Token.OK))

    # --- what goes on --------------------------------------------------------------------------------

    def _begin(self, path: Path, title: str) -> None:
        self._end()
        self._path = path
        self.work = WorkSheet(title)
        self.work.stopped.connect(self._stop)
        self._shell.open_sheet(self.work)

    def _end(self) -> None:
        sheet, self.work, self._path = self.work, None, None
        if sheet is not None:
            sheet.finish()

    def _stop(self) -> None:
        path, self.work, self._path = self._path, None, None
        if path is not None:
            self._shell.bridge.send(c.StopBundle(path))

    def _failed(self, error: Exception) -> None:
        stopped = self._path is None and self.work is None
        self._end()
        icon, token = ("info", Token.MUTED) if stopped else ("triangle-alert", Token.ERROR)
        self._shell.toast(Toast(error_sentence(error), icon=icon, token=token))

    def _event(self, event: Event) -> None:
        if isinstance(event, BundleProgress) and event.path == self._path and self.work is not None:
            self.work.show_progress(event.done, event.total)
