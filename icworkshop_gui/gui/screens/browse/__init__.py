"""Browse: the catalog (gui.md B1)."""

from __future__ import annotations

from icworkshop_gui.gui.screens.browse.view import BrowseScreen

__all__ = ["BrowseScreen"]
