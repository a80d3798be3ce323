"""The page of one package (gui.md B2.1)."""

from __future__ import annotations

from icworkshop_gui.gui.screens.package.view import PackageScreen

__all__ = ["PackageScreen"]
