"""Connection: whether others reach this computer, through what, and what to do about it."""

from __future__ import annotations

from icworkshop_gui.gui.screens.connection.screen import ConnectionScreen

__all__ = ["ConnectionScreen"]
