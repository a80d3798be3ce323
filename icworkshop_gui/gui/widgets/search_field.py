"""A search box: magnifier, words, its shortcut while empty, a cross while not. Tells words once typing rests."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSizePolicy, QWidget

from icworkshop_gui.gui import icons
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import IconButton

TEXT_MAX = 200
"""Longest search text in characters; the registry's own limit is not lower."""


class Field(QLineEdit):
    """A painted one-line input."""

    def __init__(self, placeholder: str = "", name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(name or placeholder)
        self.setFont(theme().font(Text.BODY))
        self.setFrame(False)
        self.setFixedHeight(Measure.BUTTON)
        self.setTextMargins(10, 0, 10, 0)
        self._plain()
        theme().changed.connect(self._plain)

    def _plain(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, theme().color(Token.TEXT))
        palette.setColor(QPalette.ColorRole.PlaceholderText, theme().color(Token.MUTED))
        self.setPalette(palette)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focused = self.hasFocus()
        line = theme().color(Token.ACCENT if focused else Token.LINE)
        rect = QRectF(self.rect())
        paint.panel(painter, rect, Measure.RADIUS_CONTROL, theme().color(Token.SURFACE), line, 1.5 if focused else 1)
        painter.end()
        super().paintEvent(event)


class SearchField(QWidget):
    """Signals:
    searched(str): the stripped text, `delay` ms after the last key, at once on Enter or when cleared.
    downPressed(): the arrow that enters the list below.
    backspaceOnEmpty(): take the last filter away.
    """

    searched = Signal(str)
    downPressed = Signal()
    backspaceOnEmpty = Signal()

    def __init__(
        self, placeholder: str, *, hint: str = "Ctrl F", delay: int = 80, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._hint = hint
        self._told = ""
        self.edit = QLineEdit()
        self.edit.setFrame(False)
        self.edit.setMaxLength(TEXT_MAX)
        self.edit.setPlaceholderText(placeholder)
        self.edit.setAccessibleName(placeholder.rstrip(" .…"))
        self.edit.setFont(theme().font(Text.BODY))
        self.edit.installEventFilter(self)
        self._clear = IconButton("x", "Clear search", small=True)
        self._clear.setFixedSize(26, 26)
        self._clear.hide()
        row = QHBoxLayout(self)
        row.setContentsMargins(36, 0, 6, 0)
        row.setSpacing(4)
        row.addWidget(self.edit, 1)
        row.addWidget(self._clear)
        self.setFixedHeight(Measure.BUTTON)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusProxy(self.edit)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(delay)
        self._timer.timeout.connect(self._tell)
        self.edit.textChanged.connect(self._typed)
        self.edit.returnPressed.connect(self._tell)
        self._clear.clicked.connect(self.clear)
        self._plain()
        theme().changed.connect(self._plain)

    def sizeHint(self) -> QSize:
        return QSize(520, Measure.BUTTON)

    def text(self) -> str:
        return self.edit.text().strip()

    def set_text(self, text: str) -> None:
        """Put words in and search them at once."""
        self.edit.setText(text)
        self._tell()

    def clear(self) -> None:
        """Empty it, tell, and keep the focus."""
        self.edit.clear()
        self._tell()
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _plain(self) -> None:
        palette = QPalette(self.edit.palette())
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, theme().color(Token.TEXT))
        palette.setColor(QPalette.ColorRole.PlaceholderText, theme().color(Token.MUTED))
        self.edit.setPalette(palette)

    def _typed(self, text: str) -> None:
        self._clear.setVisible(bool(text))
        self._timer.start()
        self.update()

    def _tell(self) -> None:
        self._timer.stop()
        if self.text() != self._told:
            self._told = self.text()
            self.searched.emit(self._told)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut) and isinstance(event, QFocusEvent):
            self.update()
        if event.type() is QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            match event.key():
                case Qt.Key.Key_Down:
                    self.downPressed.emit()
                    return True
                case Qt.Key.Key_Escape if self.edit.text():
                    self.clear()
                    return True
                case Qt.Key.Key_Backspace if not self.edit.text() and not event.isAutoRepeat():
                    self.backspaceOnEmpty.emit()
                    return True
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focused = self.edit.hasFocus()
        rect = QRectF(self.rect())
        line = look.color(Token.ACCENT if focused else Token.LINE)
        paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.color(Token.SURFACE), line, 1.5 if focused else 1.0)
        icons.draw(painter, "search", 13, (self.height() - 17) / 2, 17, look.color(Token.MUTED))
        if self._hint and not self.edit.text() and not focused:
            font = look.font(Text.TINY_STRONG)
            width = paint.width_of(self._hint, font) + 14
            key = QRectF(rect.right() - width - 12, rect.center().y() - 10, width, 20)
            paint.panel(painter, key, 5, None, look.color(Token.MUTED), 1)
            paint.text(painter, key.adjusted(7, 0, 0, 0), self._hint, font, look.color(Token.MUTED))
