"""One line under the header about a standing condition; the most important one, with "1 of 3" when there are more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Button, IconButton
from icworkshop_gui.gui.widgets.labels import ElidedLabel, IconLabel, Label


class Urgency(IntEnum):
    """Which notice wins; higher first (gui.md B0.1)."""

    TIP = 0
    UPDATE = 1
    METERED = 2
    OFFLINE = 3
    DISK = 4
    BLOCK = 5


_LOOKS = {
    Urgency.TIP: ("info", Token.INFO),
    Urgency.UPDATE: ("circle-arrow-up", Token.ACCENT),
    Urgency.METERED: ("gauge", Token.WARN),
    Urgency.OFFLINE: ("wifi-off", Token.WARN),
    Urgency.DISK: ("hard-drive", Token.ERROR),
    Urgency.BLOCK: ("octagon-x", Token.ERROR),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A standing condition and, where there is one, what to do about it."""

    urgency: Urgency
    text: str
    action: str = ""
    on_action: Callable[[], object] | None = None
    closable: bool = False


class NoticeBar(QWidget):
    """Notices by key; hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notices: dict[str, Notice] = {}
        self._at = 0
        self.setFixedHeight(40)
        self._icon = IconLabel("info", 17, Token.INFO)
        self.words = ElidedLabel("", Text.SECOND)
        self._count = Label("", Text.CAPTION, Token.MUTED)
        self._next = IconButton("chevron-right", "Next notice", small=True)
        self._next.clicked.connect(self._turn)
        self.action = Button("", small=True)
        self.action.clicked.connect(self._act)
        self._close = IconButton("x", "Dismiss", small=True)
        self._close.clicked.connect(self._dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(Measure.MARGIN, 0, Measure.MARGIN, 0)
        row.setSpacing(10)
        row.addWidget(self._icon)
        row.addWidget(self.words, 1)
        row.addWidget(self.action)
        row.addWidget(self._count)
        row.addWidget(self._next)
        row.addWidget(self._close)
        self.hide()

    def set_notice(self, key: str, notice: Notice | None) -> None:
        """Add, replace, or with None take away."""
        if notice is None:
            self._notices.pop(key, None)
        else:
            self._notices[key] = notice
        self._at = 0
        self._show()

    @property
    def current(self) -> Notice | None:
        """The notice that is shown."""
        ranked = self._ranked()
        return ranked[self._at][1] if ranked else None

    def _ranked(self) -> list[tuple[str, Notice]]:
        return sorted(self._notices.items(), key=lambda item: -item[1].urgency)

    def _show(self) -> None:
        ranked = self._ranked()
        self.setVisible(bool(ranked))
        if not ranked:
            return
        notice = ranked[self._at][1]
        self._icon.set_icon(*_LOOKS[notice.urgency])
        self.words.setText(notice.text)
        self.action.setText(notice.action)
        self.action.setVisible(bool(notice.action))
        self._count.setText(f"{self._at + 1} of {len(ranked)}")
        self._count.setVisible(len(ranked) > 1)
        self._next.setVisible(len(ranked) > 1)
        self._close.setVisible(notice.closable)
        self.update()

    def _turn(self) -> None:
        self._at = (self._at + 1) % max(1, len(self._notices))
        self._show()

    def _act(self) -> None:
        notice = self.current
        if notice is not None and notice.on_action is not None:
            notice.on_action()

    def _dismiss(self) -> None:
        ranked = self._ranked()
        if ranked:
            self.set_notice(ranked[self._at][0], None)

    def paintEvent(self, event: QPaintEvent) -> None:
        notice = self.current
        if notice is None:
            return
        look = theme()
        painter = QPainter(self)
        ink = _LOOKS[notice.urgency][1]
        painter.fillRect(self.rect(), look.tint(ink, Token.SURFACE, 0.08))
        painter.fillRect(0, self.height() - 1, self.width(), 1, look.color(Token.LINE))
