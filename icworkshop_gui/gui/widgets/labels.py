"""Words on a page: a step of the type scale in the colour of a job. Always plain text: strangers write titles."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from icworkshop_gui.gui.icons import pixmap
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token


class Label(QLabel):
    """A plain text label. `wrap` breaks lines."""

    def __init__(
        self,
        text: str = "",
        style: Text = Text.BODY,
        token: Token = Token.TEXT,
        *,
        wrap: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._token = token
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(theme().font(style))
        self.setWordWrap(wrap)
        self.setText(text)
        self._recolor()
        theme().changed.connect(self._recolor)

    @property
    def token(self) -> Token:
        return self._token

    def set_token(self, token: Token) -> None:
        """Another colour."""
        if token is not self._token:
            self._token = token
            self._recolor()

    def set_style(self, style: Text) -> None:
        """Another step of the type scale."""
        self.setFont(theme().font(style))

    def _recolor(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.WindowText, theme().color(self._token))
        self.setPalette(palette)


class Paragraph(Label):
    """Words that break into lines and are exactly as high as those: Qt's own label keeps the height that its
    preferred width would need, and leaves a gap where it got more room."""

    def __init__(self, text: str = "", style: Text = Text.BODY, token: Token = Token.TEXT) -> None:
        super().__init__(text, style, token, wrap=True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit(event.size().width())

    def setText(self, text: str) -> None:
        super().setText(text)
        self._fit(self.width())

    def _fit(self, width: int) -> None:
        height = self.heightForWidth(width)  # -1 for no words
        if height >= 0:
            self.setFixedHeight(height)


class ElidedLabel(Label):
    """One line that ends in an ellipsis when there is no room; the whole text is its tooltip then."""

    def __init__(self, text: str = "", style: Text = Text.BODY, token: Token = Token.TEXT) -> None:
        super().__init__(text, style, token)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        shown = QFontMetrics(self.font()).elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        self.setToolTip(self.text() if shown != self.text() else "")
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(self.rect(), int(self.alignment() | Qt.AlignmentFlag.AlignVCenter), shown)


class IconLabel(QLabel):
    """A small picture beside words; says nothing to a screen reader."""

    def __init__(self, name: str, size: int = 16, token: Token = Token.MUTED, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._size = size
        self._token = token
        self.setFixedSize(size, size)
        theme().changed.connect(self.update)

    def set_icon(self, name: str, token: Token | None = None) -> None:
        """Another picture or colour."""
        self._name = name
        self._token = token or self._token
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, pixmap(self._name, self._size, theme().color(self._token), self.devicePixelRatioF()))
