"""What the player can do to installed packages: each action is a frozen command; removing can be undone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import LibraryEntry
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.library import LibraryModel, report_words
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import Toast


def with_dependants(entries: Sequence[LibraryEntry], everything: Sequence[LibraryEntry]) -> list[LibraryEntry]:
    """These and all that needs them, in the end; those that nothing needs come first, so that each can go in turn."""
    by_name: dict[PackageId, LibraryEntry] = {entry.ref.package: entry for entry in everything}
    found: dict[PackageRef, LibraryEntry] = {}

    def add(entry: LibraryEntry) -> None:
        if entry.ref in found:
            return
        found[entry.ref] = entry
        for name in entry.needed_by:
            other = by_name.get(PackageId.parse(name))
            if other is not None:
                add(other)

    for entry in entries:
        add(entry)
    return list(reversed(found.values()))


class LibraryActions(QObject):
    """Signals: checked(): a verification has ended."""

    checked = Signal()

    def __init__(self, shell: Shell, model: LibraryModel, parent: QObject) -> None:
        super().__init__(parent)
        self._shell = shell
        self._model = model
        self._waiting: deque[PackageRef] = deque()
        self._checking: PackageRef | None = None

    # --- verify --------------------------------------------------------------------------------------

    def verify(self, refs: Sequence[PackageRef]) -> None:
        """One after the other: the disk is the narrow place."""
        for ref in refs:
            if ref not in self._waiting and ref != self._checking:
                self._waiting.append(ref)
                self._model.set_checking(ref)
        self._verify_next()

    @property
    def is_checking(self) -> bool:
        return self._checking is not None

    def _verify_next(self) -> None:
        if self._checking is not None or not self._waiting:
            return
        ref = self._checking = self._waiting.popleft()

        def done(report: c.VerifyReport) -> None:
            self._verified(ref, report_words(report))

        def failed(error: Exception) -> None:
            self._verified(ref, "")
            self._complain(error)

        self._shell.bridge.ask(c.VerifyPackage(ref), done, failed)

    def _verified(self, ref: PackageRef, outcome: str) -> None:
        self._checking = None
        self._model.set_outcome(ref, outcome)
        self.checked.emit()
        self._verify_next()

    # --- remove --------------------------------------------------------------------------------------

    def remove(self, entries: Sequence[LibraryEntry]) -> None:
        """At once, with Undo; asks first when something that stays needs one of them."""
        going = {entry.ref.package for entry in entries}
        needed = {name for entry in entries for name in entry.needed_by if PackageId.parse(name) not in going}
        if needed:
            self._shell.open_sheet(self._ask_sheet(entries))
        elif entries:
            self._remove_now(with_dependants(entries, entries))

    def _ask_sheet(self, entries: Sequence[LibraryEntry]) -> Sheet:
        everything = with_dependants(entries, self._model.entries)
        asked = {entry.ref for entry in entries}
        others = [entry.title for entry in everything if entry.ref not in asked]
        what = entries[0].title if len(entries) == 1 else words.count(len(entries), "package", "packages")
        verb = "needs" if len(others) == 1 else "need"
        sheet = Sheet(f"Remove {what}?", width=460)
        text = f"{', '.join(others)} {verb} it and will not work without it."
        sheet.body.addWidget(Label(text, Text.BODY, Token.MUTED, wrap=True))
        cancel = sheet.add_button(Button("Cancel"))
        cancel.clicked.connect(sheet.close_sheet)

        def agreed(chosen: Sequence[LibraryEntry]) -> Callable[[], None]:
            def act() -> None:
                sheet.close_sheet()
                self._remove_now(chosen, force=True)

            return act

        only = sheet.add_button(Button("Remove only this" if len(entries) == 1 else "Remove only these"))
        only.clicked.connect(agreed(entries))
        freed = sum(entry.unique for entry in everything)
        whole = sheet.add_button(Button(f"Remove all {len(everything)} · frees {words.size(freed)}", kind=Kind.DANGER))
        whole.clicked.connect(agreed(everything))
        return sheet

    def _remove_now(self, entries: Sequence[LibraryEntry], *, force: bool = False) -> None:
        bridge = self._shell.bridge
        for entry in entries:
            self._model.set_hidden(entry.ref, True)
            bridge.send(c.RemovePackage(entry.ref, force), self._unhide(entry.ref))
        what = entries[0].title if len(entries) == 1 else words.count(len(entries), "package", "packages")
        freed = sum(entry.unique for entry in entries)

        def undo() -> None:
            for entry in reversed(entries):
                bridge.send(c.UndoRemove(entry.ref))
                self._model.set_hidden(entry.ref, False)

        text = f"Removed {what} – frees {words.size(freed)}"
        self._shell.toast(Toast(text, icon="trash-2", token=Token.MUTED, action="Undo", on_action=undo))

    def _unhide(self, ref: PackageRef) -> Callable[[Exception], None]:
        def failed(error: Exception) -> None:
            self._model.set_hidden(ref, False)
            self._complain(error)

        return failed

    def _complain(self, error: Exception) -> None:
        self._shell.toast(Toast(words.error_sentence(error), icon="triangle-alert", token=Token.ERROR))

    # --- the rest ------------------------------------------------------------------------------------

    def set_sharing(self, entry: LibraryEntry, sharing: bool) -> None:
        self._shell.bridge.send(c.SetPackageSharing(entry.ref, sharing))

    def open_folder(self, entry: LibraryEntry) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(entry.folder))

    def show_package(self, entry: LibraryEntry) -> None:
        self._shell.go("package", entry.ref.package)

    def update(self, entry: LibraryEntry) -> None:
        """Fetch what is new of the newer version."""
        self._shell.bridge.send(c.Install(entry.ref.package, entry.update_to), self._complain)

    def menu(self, entry: LibraryEntry, parent: QWidget) -> Menu:
        """What can be done to one package."""
        menu = Menu(parent)
        if entry.update_to:
            cost = "" if entry.update_bytes is None else f" · {words.size(entry.update_bytes)}"
            menu.entry(f"Update to {entry.update_to}{cost}", lambda: self.update(entry), icon_name="refresh-cw")
        menu.entry("Show package", lambda: self.show_package(entry), icon_name="package")
        menu.entry("Open folder", lambda: self.open_folder(entry), icon_name="folder-open", enabled=bool(entry.folder))
        menu.entry("Verify files", lambda: self.verify([entry.ref]), icon_name="shield-check")
        menu.entry(
            "Share with others",
            lambda: self.set_sharing(entry, not entry.sharing),
            icon_name="sprout",
            checked=entry.sharing,
        )
        menu.addSeparator()
        freed = f"Remove · frees {words.size(entry.unique)}"
        menu.entry(freed, lambda: self.remove([entry]), icon_name="trash-2", token=Token.ERROR)
        return menu
