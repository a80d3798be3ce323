"""What a screen is to the window, and what the window is to a screen."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtWidgets import QWidget

from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.pictures import Pictures
from icworkshop_gui.gui.reviews import Reviews
from icworkshop_gui.gui.widgets.header import PageHeader
from icworkshop_gui.gui.widgets.notice_bar import Notice
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import Toast


class Shell(Protocol):
    """The window, as far as screens may use it."""

    @property
    def bridge(self) -> EngineBridge:
        """The door to the engine."""
        ...

    @property
    def pictures(self) -> Pictures:
        """Thumbnails: authors' pictures, or drawn art."""
        ...

    @property
    def reviews(self) -> Reviews:
        """What would change, shown before it does."""
        ...

    def go(self, key: str, argument: object = None) -> None:
        """Show a screen of the SCREENS table; `argument` goes to its `visit`."""
        ...

    def back(self) -> None:
        """To the page before this one."""
        ...

    def add_torrent(self) -> None:
        """Let the player choose torrent files."""
        ...

    def toast(self, toast: Toast) -> None:
        """Say what was just done."""
        ...

    def set_notice(self, key: str, notice: Notice | None) -> None:
        """A standing condition, or None when it is over."""
        ...

    def open_sheet(self, sheet: Sheet, focus: QWidget | None = None) -> None:
        """Show a sheet over the whole window."""
        ...


class Screen(QWidget):
    """One page. Built on the first visit, kept from then on; `header` is shown above it by the window."""

    def __init__(self, shell: Shell, title: str) -> None:
        super().__init__()
        self.shell = shell
        self.header = PageHeader(title)
        self.setAccessibleName(title)

    def visit(self, argument: object) -> None:
        """Shown, by the rail or by `shell.go`. `argument` is what the caller named, None from the rail."""

    def leave(self) -> None:
        """Hidden: stop refreshing."""

    def refresh(self) -> None:
        """F5."""

    def focus_search(self) -> bool:
        """Ctrl+F: focus the page's search; False when it has none."""
        return False
