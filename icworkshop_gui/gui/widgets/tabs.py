"""Pills in a row of which one is chosen: categories, tabs of a page, segments."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QHBoxLayout, QSizePolicy, QWidget

from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.focus import shows_ring


class _Pill(QAbstractButton):
    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setText(text)
        self.setCheckable(True)
        self.setFont(theme().font(Text.TAB))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._ring = False

    def sizeHint(self) -> QSize:
        return QSize(round(paint.width_of(self.text(), theme().font(Text.ITEM)) + 24.5), 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        chosen = self.isChecked()
        if chosen or self.underMouse():
            # A white page's pill would vanish on it: there, chosen means a border too.
            line = look.color(Token.LINE) if chosen and (look.scheme.is_contrast or not look.scheme.is_dark) else None
            ground = Token.SURFACE if chosen and not look.scheme.is_dark else Token.RAISED
            paint.panel(painter, rect, rect.height() / 2, look.color(ground), line)
        painter.setFont(look.font(Text.ITEM if chosen else Text.TAB))
        painter.setPen(look.color(Token.TEXT if chosen or self.underMouse() else Token.MUTED))
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), self.text())
        if self._ring and self.hasFocus():
            paint.ring(painter, rect, rect.height() / 2)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)
        self.update()


class PillTabs(QWidget):
    """One Tab stop; the arrow keys choose.

    Signals:
        chosen(str): the key of the pill that the player picked.
    """

    chosen = Signal(str)

    def __init__(self, entries: Sequence[tuple[str, str]], name: str, parent: QWidget | None = None) -> None:
        """`entries` are (key, word); the first one is chosen."""
        super().__init__(parent)
        self.setAccessibleName(name)
        self._keys: list[str] = []
        self._group = QButtonGroup(self)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(5)
        self._row.addStretch(1)
        for key, word in entries:
            self.add(key, word)
        self._group.idClicked.connect(self._clicked)

    def add(self, key: str, word: str) -> None:
        """One more pill at the end."""
        pill = _Pill(word, self)
        pill.setAccessibleName(word)
        self._keys.append(key)
        self._group.addButton(pill, len(self._keys) - 1)
        self._row.insertWidget(len(self._keys) - 1, pill)
        if len(self._keys) == 1:
            pill.setChecked(True)
            self.setFocusProxy(pill)
        self._one_stop()

    @property
    def current(self) -> str:
        return self._keys[self._group.checkedId()]

    def choose(self, key: str) -> None:
        """Choose without telling."""
        if key in self._keys:
            self._group.button(self._keys.index(key)).setChecked(True)
            self._one_stop()

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys, in order."""
        return tuple(self._keys)

    def has(self, key: str) -> bool:
        return key in self._keys

    def pill(self, key: str) -> QAbstractButton:
        """The button of a key."""
        return self._group.button(self._keys.index(key))

    def set_word(self, key: str, word: str) -> None:
        """Another word on a pill."""
        pill = self.pill(key)
        if pill.text() != word:
            pill.setText(word)
            pill.setAccessibleName(word)
            pill.updateGeometry()
            pill.update()

    def set_shown(self, key: str, shown: bool) -> None:
        """Hide a pill that means nothing here."""
        self.pill(key).setVisible(shown)

    def _clicked(self, index: int) -> None:
        self._one_stop()
        self.chosen.emit(self._keys[index])

    def _one_stop(self) -> None:
        for index in range(len(self._keys)):
            button = self._group.button(index)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus if button.isChecked() else Qt.FocusPolicy.ClickFocus)
            if button.isChecked():
                self.setFocusProxy(button)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event.key() not in steps:
            super().keyPressEvent(event)
            return
        step = steps[Qt.Key(event.key())]
        if self.layoutDirection() is Qt.LayoutDirection.RightToLeft:
            step = -step
        index = self._group.checkedId() + step
        while 0 <= index < len(self._keys) and self._group.button(index).isHidden():
            index += step
        if 0 <= index < len(self._keys):
            button = self._group.button(index)
            button.setChecked(True)
            self._one_stop()
            button.setFocus(Qt.FocusReason.TabFocusReason)
            self.chosen.emit(self._keys[index])
