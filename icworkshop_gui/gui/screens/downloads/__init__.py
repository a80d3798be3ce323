"""Downloads: what is on its way, in the order in which it comes, and why something waits."""

from __future__ import annotations

from icworkshop_gui.gui.screens.downloads.screen import DownloadsScreen

__all__ = ["DownloadsScreen"]
