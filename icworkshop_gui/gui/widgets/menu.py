"""Context menus and drop-downs in the program's own look. Shown with `popup`, never with `exec`."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from icworkshop_gui.gui.icons import icon
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token


class Menu(QMenu):
    """A menu that frees itself once it is closed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        look = theme()
        self.setFont(look.font(Text.SECOND))
        self.setStyleSheet(
            f"QMenu{{background:{look.hex(Token.RAISED)};border:1px solid {look.hex(Token.LINE)};padding:5px}}"
            f"QMenu::item{{padding:7px 26px 7px 10px;border-radius:5px;color:{look.hex(Token.TEXT)}}}"
            f"QMenu::item:selected{{background:{look.tint(Token.ACCENT, Token.SURFACE).name()}}}"
            f"QMenu::item:disabled{{color:{look.hex(Token.MUTED)}}}"
            f"QMenu::separator{{height:1px;background:{look.hex(Token.LINE)};margin:4px 6px}}"
            "QMenu::icon{padding-left:8px}"
        )
        self.aboutToHide.connect(self.deleteLater)

    def entry(
        self,
        text: str,
        on_click: Callable[[], object],
        *,
        icon_name: str = "",
        checked: bool | None = None,
        enabled: bool = True,
        token: Token = Token.TEXT,
    ) -> QAction:
        """One line; `checked` makes it a choice that is on or off."""
        action = self.addAction(text)
        if icon_name:
            action.setIcon(icon(icon_name, token))
        if checked is not None:
            action.setCheckable(True)
            action.setChecked(checked)
            if checked:
                action.setIcon(icon("check", Token.ACCENT))
        action.setEnabled(enabled)
        action.triggered.connect(lambda _checked=False: on_click())
        return action

    def open_below(self, anchor: QWidget) -> None:
        """Under a button."""
        self.popup(anchor.mapToGlobal(QPoint(0, anchor.height() + 4)))
