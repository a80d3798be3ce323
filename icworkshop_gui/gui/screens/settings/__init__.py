"""Settings: every row of the engine's table and of the window's own, found by words, acting at once."""

from __future__ import annotations

from icworkshop_gui.gui.screens.settings.screen import SettingsScreen

__all__ = ["SettingsScreen"]
