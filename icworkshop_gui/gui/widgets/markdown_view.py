"""A stranger's words: rendered from our whitelist, never loading anything, links only after a look at the host."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QByteArray, Qt, QUrl
from PySide6.QtGui import (
    QDesktopServices,
    QGuiApplication,
    QPalette,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtWidgets import QHBoxLayout, QTextBrowser, QVBoxLayout, QWidget

from icworkshop_gui.gui.markdown import link_host, to_rich_text
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, IconButton, Kind
from icworkshop_gui.gui.widgets.card import Card, slim_bars
from icworkshop_gui.gui.widgets.labels import ElidedLabel, IconLabel

LINE_HEIGHT = 145.0
"""Per cent."""


_HEADINGS = {1: Text.SHEET, 2: Text.HEADING}
_BOLD = 600


def _dress(document: QTextDocument) -> None:
    """Headings and bold words in the weights of the type scale: a style sheet cannot name a variable axis."""
    block = document.begin()
    while block.isValid():
        level = block.blockFormat().headingLevel()
        pieces = block.begin()
        while not pieces.atEnd():
            piece = pieces.fragment()
            if level or piece.charFormat().fontWeight() >= _BOLD:
                dress = QTextCharFormat()
                dress.setFont(theme().font(_HEADINGS.get(level, Text.ITEM)))
                dress.setProperty(QTextFormat.Property.FontSizeAdjustment, 0)
                cursor = QTextCursor(document)
                cursor.setPosition(piece.position())
                cursor.setPosition(piece.position() + piece.length(), QTextCursor.MoveMode.KeepAnchor)
                cursor.mergeCharFormat(dress)
            pieces += 1
        block = block.next()


class _Browser(QTextBrowser):
    def loadResource(self, kind: int, name: QUrl | str) -> QByteArray:
        # Nothing that a text names is ever fetched, from the net or from this disk.
        return QByteArray()


class MarkdownView(QWidget):
    """`set_markdown` shows a text; pressing a link shows a line with its host and an Open button."""

    def __init__(
        self,
        name: str = "Text",
        *,
        parent: QWidget | None = None,
        open_url: Callable[[QUrl], object] = QDesktopServices.openUrl,
    ) -> None:
        """`name`: what a screen reader calls it."""
        super().__init__(parent)
        self._open_url = open_url
        self._markdown = ""
        self._pending = ""
        self.browser = _Browser()
        self.browser.setOpenLinks(False)
        self.browser.setReadOnly(True)
        self.browser.setAccessibleName(name)
        self.browser.setFont(theme().font(Text.BODY))
        self.browser.document().setDocumentMargin(2)
        self.browser.document().setIndentWidth(22)
        self.browser.document().setUndoRedoEnabled(False)
        self.browser.viewport().setAutoFillBackground(False)
        self.browser.anchorClicked.connect(self._clicked)
        slim_bars(self.browser)
        self.line = Card(ground=Token.RAISED, radius=8)
        self._host = ElidedLabel("", Text.SECOND)
        self._go = Button("Open", kind=Kind.PRIMARY, small=True)
        self._go.clicked.connect(self._confirmed)
        copy = Button("Copy link", small=True)
        copy.clicked.connect(self._copy)
        close = IconButton("x", "Do not open", small=True)
        close.clicked.connect(self.line.hide)
        row = QHBoxLayout(self.line)
        row.setContentsMargins(12, 6, 8, 6)
        row.setSpacing(8)
        row.addWidget(IconLabel("external-link", 16))
        row.addWidget(self._host, 1)
        row.addWidget(copy)
        row.addWidget(self._go)
        row.addWidget(close)
        self.line.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.browser, 1)
        column.addWidget(self.line)
        theme().changed.connect(self._render)

    def set_markdown(self, text: str, title: str = "") -> None:
        """Another text, from its top. A first heading that only repeats `title` is left out."""
        first, _newline, rest = text.lstrip().partition("\n")
        self._markdown = rest if title and first.strip("# \r").casefold() == title.casefold() else text
        self.line.hide()
        self._render()

    def text(self) -> str:
        """What can be read."""
        return self.browser.toPlainText()

    def _render(self) -> None:
        look = theme()
        palette = QPalette(self.browser.palette())
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, look.color(Token.TEXT))
        self.browser.setPalette(palette)
        document = self.browser.document()
        document.setDefaultStyleSheet(
            f"a{{color:{look.hex(Token.ACCENT)};text-decoration:none}}"
            f"code{{background:{look.hex(Token.RAISED)};font-family:monospace;font-size:13px}}"
            f"pre{{background:{look.hex(Token.RAISED)};font-family:monospace;font-size:13px;margin:6px 0}}"
            f"blockquote{{color:{look.hex(Token.MUTED)};margin-left:12px}}"
            "h1{margin-top:6px;margin-bottom:6px}h2{margin-top:14px;margin-bottom:4px}"
            "h3,h4{margin-top:10px;margin-bottom:2px}"
            "p{margin-top:4px;margin-bottom:8px}li{margin-bottom:3px}"
            f"th{{padding:4px 12px 4px 0}}td{{padding:4px 12px 4px 0;color:{look.hex(Token.TEXT)}}}"
        )
        self.browser.setHtml(to_rich_text(self._markdown))
        _dress(document)
        cursor = QTextCursor(document)
        cursor.select(QTextCursor.SelectionType.Document)
        spacing = QTextBlockFormat()
        spacing.setLineHeight(LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor.mergeBlockFormat(spacing)
        self.browser.moveCursor(QTextCursor.MoveOperation.Start)

    def _clicked(self, url: QUrl) -> None:
        text = url.toString()
        host = link_host(text)
        if not host:
            return
        self._pending = text
        self._host.setText(f"This leads out of the program, to {host}")
        self.line.show()
        self._go.setFocus(Qt.FocusReason.OtherFocusReason)

    def _confirmed(self) -> None:
        self.line.hide()
        self._open_url(QUrl(self._pending))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._pending)
        self.line.hide()
