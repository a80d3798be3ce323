"""The shortcuts of the window (gui.md B0.1), one line each: what to press, what it is called, what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


class ActionSpec(NamedTuple):
    """One shortcut."""

    keys: tuple[str, ...]
    word: str
    run: Callable[[], object]


def install_actions(window: QWidget, specs: Sequence[ActionSpec]) -> dict[str, QAction]:
    """Make the actions on the window; returns them by word."""
    actions = {}
    for spec in specs:
        action = QAction(spec.word, window)
        action.setShortcuts([QKeySequence(keys) for keys in spec.keys])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(lambda _checked=False, run=spec.run: run())
        window.addAction(action)
        actions[spec.word] = action
    return actions
