"""Whether a focus ring is due: after the keyboard brought the focus, not after a click or by itself."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QWidget

_BY_KEYBOARD = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.ShortcutFocusReason)


def shows_ring(event: QFocusEvent) -> bool:
    """For `focusInEvent`: True when a key brought the focus."""
    return event.reason() in _BY_KEYBOARD


def hand_on(before: QWidget | None) -> Qt.FocusReason:
    """With which reason the program itself moves the focus: rings go on where there was one."""
    by_key = bool(getattr(before, "_ring", False))
    return Qt.FocusReason.TabFocusReason if by_key else Qt.FocusReason.OtherFocusReason
