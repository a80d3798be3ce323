"""Words about what was just done, bottom right, at most three; with Undo where there is one (gui.md B0.5, B0.7)."""

from __future__ import annotations

from collections.abc import Callable

import shiboken6
from PySide6.QtCore import QEvent, QObject, QRectF, QTimer
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QEnterEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import IconButton, LinkButton
from icworkshop_gui.gui.widgets.card import lift
from icworkshop_gui.gui.widgets.labels import IconLabel, Label
from icworkshop_gui.gui.widgets.paint import width_of

SHOWN_MS = 10_000
"""Also the time in which Undo is offered; it stands still while the pointer or the focus is on the toast."""
STACK_MAX = 3
WORDS_WIDTH_MAX = 320
SHADOW = 24


class Toast(QWidget):
    """One message; goes by itself."""

    def __init__(
        self,
        text: str,
        *,
        icon: str = "check",
        token: Token = Token.OK,
        action: str = "",
        on_action: Callable[[], object] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.on_action = on_action
        self._words = Label(text, Text.SECOND, wrap=True)
        self._words.setFixedWidth(min(WORDS_WIDTH_MAX, round(width_of(text, self._words.font()) + 2)))
        self._words.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 8, 8)
        row.setSpacing(10)
        row.addWidget(IconLabel(icon, 17, token))
        row.addWidget(self._words, 1)
        self.action: LinkButton | None = None
        if action and on_action is not None:
            self.action = LinkButton(action)
            self.action.clicked.connect(self._act)
            row.addWidget(self.action)
        close = IconButton("x", "Dismiss", small=True)
        close.setFixedSize(26, 26)
        close.clicked.connect(self.dismiss)
        row.addWidget(close)
        lift(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SHOWN_MS)
        self._timer.timeout.connect(self._time_is_up)
        self._timer.start()

    @property
    def text(self) -> str:
        return self._words.text()

    def _act(self) -> None:
        action, self.on_action = self.on_action, None
        self.dismiss()
        if action is not None:
            action()

    def act(self) -> bool:
        """Do what the link says, as Ctrl+Z does; False when it was done already."""
        if self.on_action is None:
            return False
        self._act()
        return True

    def dismiss(self) -> None:
        self._timer.stop()
        self.hide()
        self.deleteLater()

    def _time_is_up(self) -> None:
        if self.underMouse() or _inside(self, QApplication.focusWidget()):
            self._timer.start(1000)
        else:
            self.dismiss()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._timer.stop()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._timer.start(SHOWN_MS // 2)
        super().leaveEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        look = theme()
        paint.panel(painter, QRectF(self.rect()), Measure.RADIUS_ROW, look.color(Token.RAISED), look.color(Token.LINE))


def _inside(outer: QWidget, inner: QWidget | None) -> bool:
    return inner is not None and outer.isAncestorOf(inner)


class ToastStack(QWidget):
    """Sits over the lower right corner of its parent; as large as its toasts and no larger."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._host = parent
        self._toasts: list[Toast] = []
        self._column = QVBoxLayout(self)
        # The shadows of the toasts need room around them.
        self._column.setContentsMargins(SHADOW, SHADOW, SHADOW, SHADOW)
        self._column.setSpacing(8)
        self._bottom = Measure.STATUS + 14
        parent.installEventFilter(self)
        self.hide()

    def toasts(self) -> list[Toast]:
        """Oldest first; only those that are still there."""
        return [toast for toast in self._toasts if shiboken6.isValid(toast) and not toast.isHidden()]

    def add(self, toast: Toast) -> None:
        """Show one more; the oldest makes room."""
        for old in self.toasts()[: -(STACK_MAX - 1) or None]:
            if len(self.toasts()) >= STACK_MAX:
                old.dismiss()
        toast.setParent(self)
        self._toasts = [*self.toasts(), toast]
        self._column.addWidget(toast)
        toast.installEventFilter(self)
        toast.show()
        self.show()
        self._place()
        self.raise_()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, toast.text))

    def undo(self) -> bool:
        """Ctrl+Z: the action of the newest toast that has one."""
        return any(toast.act() for toast in reversed(self.toasts()) if toast.on_action is not None)

    def _place(self) -> None:
        if not self.toasts():
            self.hide()
            return
        host = self._host
        self._column.activate()
        size = self._column.sizeHint()
        self.setGeometry(
            host.width() - size.width() - Measure.MARGIN + SHADOW,
            host.height() - size.height() - self._bottom + SHADOW,
            size.width(),
            size.height(),
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Hide, QEvent.Type.LayoutRequest):
            QTimer.singleShot(0, self, self._place)
        return super().eventFilter(watched, event)
