"""The one button of a package: Install, its progress, Installed, Update. The same object all the way (gui.md B0.8)."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from icworkshop_gui.gui.format import size
from icworkshop_gui.gui.models.package_state import PackageState, Standing
from icworkshop_gui.gui.widgets.buttons import Button, Kind


class InstallButton(Button):
    """Full width. `show_state` puts a state into words.

    Signals:
        wanted(str): `install`, `update`, `resume`, or `show` (its row in Downloads), or `library`.
    """

    wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Install", kind=Kind.PRIMARY, parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._wish = "install"
        self.clicked.connect(self._clicked)

    def show_state(self, state: PackageState, bytes_to_fetch: int, newest: str) -> None:
        """`bytes_to_fetch` of the release that pressing would bring."""
        icon, kind, progress = "", Kind.SECONDARY, None
        match state.standing:
            case Standing.ABSENT:
                words, self._wish, kind, icon = f"Install {size(bytes_to_fetch)}", "install", Kind.PRIMARY, "download"
            case Standing.UPDATE:
                words, self._wish, kind, icon = _update_words(state, newest), "update", Kind.PRIMARY, "refresh-cw"
            case Standing.QUEUED:
                words, self._wish, icon = "Queued", "show", "clock"
            case Standing.RUNNING:
                words, self._wish = f"{state.percent} % · {state.time_left}", "show"
                progress = state.share
            case Standing.PAUSED:
                words, self._wish, icon = f"Resume · {state.percent} %", "resume", "play"
                progress = state.share
            case Standing.FAILED:
                words, self._wish, icon, kind = "Needs attention", "show", "triangle-alert", Kind.DANGER
            case Standing.INSTALLED:
                words, self._wish, icon = "Installed", "library", "check"
        self.setText(words)
        self.set_icon(icon)
        self.set_kind(kind)
        self.set_progress(progress)
        self.setAccessibleName(words)

    def _clicked(self) -> None:
        self.wanted.emit(self._wish)


def _update_words(state: PackageState, newest: str) -> str:
    """What must be fetched, once that was measured; till then the version alone."""
    entry = state.entry
    if entry is None or entry.update_bytes is None or entry.update_to != newest:
        return f"Update to {newest}"
    return f"Update {size(entry.update_bytes)}" if entry.update_bytes else "Update – all of it is here"
