"""The table of screens: one line each. The window builds a screen on its first visit."""

from __future__ import annotations

from typing import NamedTuple


class ScreenEntry(NamedTuple):
    """A row of the table."""

    key: str
    word: str
    """In the rail; empty for a page that is only reached from others."""
    icon: str
    where: str
    """`module:Class`, loaded on the first visit; the class is built with the Shell alone."""
    at_bottom: bool = False


SCREENS = (
    ScreenEntry("browse", "Browse", "compass", "icworkshop_gui.gui.screens.browse:BrowseScreen"),
    ScreenEntry("downloads", "Downloads", "arrow-down-to-line", "icworkshop_gui.gui.screens.downloads:DownloadsScreen"),
    ScreenEntry("library", "Library", "library", "icworkshop_gui.gui.screens.library:LibraryScreen"),
    ScreenEntry("settings", "Settings", "settings", "icworkshop_gui.gui.screens.settings:SettingsScreen", True),
    ScreenEntry("package", "", "package", "icworkshop_gui.gui.screens.package:PackageScreen"),
    ScreenEntry("connection", "", "network", "icworkshop_gui.gui.screens.connection:ConnectionScreen"),
)
