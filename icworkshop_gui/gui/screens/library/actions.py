"""What the player can do to installed packages: each action is a frozen command; removing can be undone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.changes import ChangeSet
from icworkshop_gui.engine.api.snapshots import LibraryEntry
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.library import LibraryModel, report_words
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.toast import Toast


class LibraryActions(QObject):
    """Signals:
    checked(): a verification has ended.
    bundleWanted(PackageId): it shall go into a file.
    """

    checked = Signal()
    bundleWanted = Signal(object)

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
        """At once, with Undo; reviewed first when something that stays needs one of them, or came along with it."""
        if not entries:
            return
        what = entries[0].title if len(entries) == 1 else words.count(len(entries), "package", "packages")
        self._shell.reviews.remove([entry.ref for entry in entries], what, self._remove_now)

    def _remove_now(self, changes: ChangeSet) -> None:
        bridge, going = self._shell.bridge, changes.going
        # Several are removed at once; and what is kept although it will not work was agreed to.
        force = len(going) > 1 or bool(changes.cautions)
        for change in going:
            self._model.set_hidden(change.ref, True)
            bridge.send(c.RemovePackage(change.ref, force), self._unhide(change.ref))
        what = words.clipped(going[0].title) if len(going) == 1 else words.count(len(going), "package", "packages")
        freed = -sum(change.disk for change in going)

        def undo() -> None:
            for change in reversed(going):
                bridge.send(c.UndoRemove(change.ref))
                self._model.set_hidden(change.ref, False)

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
        self.update_all([entry])

    def update_all(self, entries: Sequence[LibraryEntry]) -> None:
        """All of these that have a newer version; their versions are chosen together."""
        newer = [entry for entry in entries if entry.update_to]
        if newer:
            what = newer[0].title if len(newer) == 1 else words.count(len(newer), "update", "updates")
            self._shell.reviews.install([(entry.ref.package, entry.update_to) for entry in newer], what)

    def pin(self, entry: LibraryEntry) -> None:
        """It stays, whatever nobody needs any more; or no longer."""
        self._shell.bridge.send(c.Pin(entry.ref, not entry.pinned), self._complain)

    def activate(self, entry: LibraryEntry) -> None:
        """Install the release that a subscription has fetched."""
        self._shell.bridge.send(c.ActivateStaged((entry.ref._replace(version=entry.staged),)), self._complain)

    def menu(self, entry: LibraryEntry, parent: QWidget) -> Menu:
        """What can be done to one package."""
        menu = Menu(parent)
        if entry.staged:
            menu.entry(f"Install {entry.staged}, it is here", lambda: self.activate(entry), icon_name="check-check")
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
        menu.entry("Keep it, whatever is cleaned up", lambda: self.pin(entry), icon_name="pin", checked=entry.pinned)
        menu.entry("Put into a bundle…", lambda: self.bundleWanted.emit(entry.ref.package), icon_name="package")
        menu.addSeparator()
        freed = f"Remove · frees {words.size(entry.unique)}"
        menu.entry(freed, lambda: self.remove([entry]), icon_name="trash-2", token=Token.ERROR)
        return menu
