"""Library: what is installed, what it costs on disk, whether it is whole, and who gets it from us."""

from __future__ import annotations

from icworkshop_gui.gui.screens.library.screen import LibraryScreen

__all__ = ["LibraryScreen"]
