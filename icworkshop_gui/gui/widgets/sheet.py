"""Dialogs inside the window: a panel over a veil. Never a nested event loop, never a second window (gui.md B0.10)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Button, IconButton, Kind
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.focus import hand_on
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label

VEIL = QColor(0, 0, 0, 128)
"""50 % (LOOK.md, "Measures")."""


class Side(Enum):
    """Where the panel stands."""

    CENTER = auto()
    RIGHT = auto()


class Sheet(QWidget):
    """A panel over a veil; Escape, the cross and a click beside it close it. Put content into `body`.

    Opened over a host widget with `open_over`; gives the focus back where it was.

    Signals:
        closed(): it is gone; a decision, if there was one, was told before by the sheet's own means.
    """

    closed = Signal()

    def __init__(self, title: str, *, side: Side = Side.CENTER, width: int = 460) -> None:
        super().__init__()
        self._side = side
        self._before: QWidget | None = None
        self.setAccessibleName(title)
        self.panel = Card(self)
        self.panel.setFixedWidth(width)
        column = QVBoxLayout(self.panel)
        column.setContentsMargins(22, 16, 22, 20)
        column.setSpacing(12)
        top = QHBoxLayout()
        self.title = ElidedLabel(title, Text.SHEET)
        top.addWidget(self.title, 1)
        self.cross = IconButton("x", "Close")
        self.cross.clicked.connect(self.close_sheet)
        top.addWidget(self.cross)
        column.addLayout(top)
        self.body = QVBoxLayout()
        self.body.setSpacing(12)
        column.addLayout(self.body, 1)
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(10)
        self.buttons.addStretch(1)
        column.addLayout(self.buttons)
        self.hide()

    def set_title(self, title: str) -> None:
        """Another title, also for a screen reader."""
        self.title.setText(title)
        self.setAccessibleName(title)

    def add_button(self, button: Button) -> Button:
        """At the lower right, in order."""
        self.buttons.addWidget(button)
        return button

    def open_over(self, host: QWidget, focus: QWidget | None = None) -> None:
        """Cover `host`; `focus` (default: the first widget that takes it) gets the focus."""
        self._before = host.window().focusWidget()
        self.setParent(host)
        host.installEventFilter(self)
        self.setGeometry(host.rect())
        self._place()
        self.show()
        self.raise_()
        target = focus or self._stops()[0]
        target.setFocus(hand_on(self._before))

    def close_sheet(self) -> None:
        """Go, and give the focus back."""
        if self.isHidden():
            return
        self.hide()
        host = self.parentWidget()
        if host is not None:
            host.removeEventFilter(self)
        if self._before is not None and self._before.isVisible():
            self._before.setFocus(hand_on(self._before))
        self.closed.emit()
        self.deleteLater()

    def _place(self) -> None:
        width = min(self.panel.width(), self.width() - 2 * Measure.MARGIN)
        if self._side is Side.RIGHT:
            # As in the drawing of the lobby's sheet: clear of the edges and of the status strip.
            height = self.height() - 2 * Measure.MARGIN - Measure.STATUS
            self.panel.setGeometry(self.width() - width - Measure.MARGIN, Measure.MARGIN, width, height)
            return
        height = min(max(self.panel.sizeHint().height(), self._wrapped_height(width)), self.height() - 2 * Measure.GAP)
        self.panel.setGeometry((self.width() - width) // 2, max(14, (self.height() - height) * 2 // 5), width, height)

    def _wrapped_height(self, width: int) -> int:
        layout = self.panel.layout()
        return layout.totalHeightForWidth(width) if layout is not None and layout.hasHeightForWidth() else 0

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()

    def _stops(self) -> list[QWidget]:
        """Everything inside that takes the focus, in Tab order."""
        found: list[QWidget] = []
        widget = self.nextInFocusChain()
        while widget is not None and widget is not self:
            takes_tab = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus) and widget.isEnabled()
            if takes_tab and self.isAncestorOf(widget) and widget.isVisibleTo(self):
                found.append(widget)
            widget = widget.nextInFocusChain()
        first = [stop for stop in found if stop is not self.cross]
        return [*first, self.cross]

    def focusNextPrevChild(self, forward: bool) -> bool:
        stops = self._stops()
        inside = self.window().focusWidget()
        at = stops.index(inside) if inside in stops else -1
        stops[(at + (1 if forward else -1)) % len(stops)].setFocus(
            Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
        )
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_sheet()
            return
        # Nothing gets through to the page below.
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self.panel.geometry().contains(event.position().toPoint()):
            self.close_sheet()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Resize and watched is self.parent():
            host = self.parentWidget()
            if host is not None:
                self.setGeometry(host.rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(QRectF(self.rect()), VEIL)


def confirm_sheet(
    title: str, text: str, yes: str, on_yes: Callable[[], object], *, danger: bool = False, no: str = "Cancel"
) -> Sheet:
    """A question whose safe answer has the focus. The caller opens it."""
    sheet = Sheet(title, width=420)
    sheet.body.addWidget(Label(text, Text.BODY, Token.MUTED, wrap=True))
    cancel = sheet.add_button(Button(no))
    cancel.clicked.connect(sheet.close_sheet)
    go = sheet.add_button(Button(yes, kind=Kind.DANGER if danger else Kind.PRIMARY))

    def agreed() -> None:
        sheet.close_sheet()
        on_yes()

    go.clicked.connect(agreed)
    return sheet
