"""The sheet that lists what the keyboard can do (gui.md B0.1): the window's own shortcuts, and those of its lists."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from icworkshop_gui.gui.actions import ActionSpec
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.card import Line, slim_bars
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.sheet import Sheet

LISTS: Sequence[tuple[str, Sequence[tuple[tuple[str, ...], str]]]] = (
    (
        "In Browse",
        (
            (("Down",), "From the search into the list"),
            (("Return",), "Open the package's page"),
            (("Ctrl+Return",), "Install, pause or resume"),
            (("Backspace",), "Take the last filter away, in an empty search"),
        ),
    ),
    (
        "In Downloads",
        (
            (("Space",), "Pause or resume"),
            (("Ctrl+Up", "Ctrl+Down"), "Earlier or later in the queue"),
            (("Ctrl+Home", "Ctrl+End"), "First or last in the queue"),
            (("Return", "Ctrl+I"), "Details"),
            (("Del",), "Cancel"),
        ),
    ),
    (
        "In the library",
        (
            (("Space",), "Tick"),
            (("Return",), "Open the package's page"),
            (("Del",), "Remove"),
        ),
    ),
    ("Everywhere", ((("Tab", "Shift+Tab"), "Next or previous part"), (("Esc",), "Close what is open on top"))),
)
"""Keys that a list or the toolkit understands itself; the window's own come from its table of actions."""
CAP_PADDING = 7.0
CAP_GAP = 5.0
CAP_HEIGHT = 22.0
ROW_HEIGHT = 32


class _Keys(QWidget):
    """Key caps in a row, at the right."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__()
        self._caps = [QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys]
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(" or ".join(self._caps))

    def _widths(self) -> list[float]:
        font = theme().font(Text.CAPTION_STRONG)
        return [paint.width_of(cap, font) + 2 * CAP_PADDING for cap in self._caps]

    def sizeHint(self) -> QSize:
        widths = self._widths()
        return QSize(round(sum(widths) + CAP_GAP * (len(widths) - 1)) + 2, round(CAP_HEIGHT) + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x = 1.0
        for cap, width in zip(self._caps, self._widths(), strict=True):
            rect = QRectF(x, 1, width, CAP_HEIGHT)
            paint.panel(painter, rect, 5, look.color(Token.RAISED), look.color(Token.LINE))
            font = look.font(Text.CAPTION_STRONG)
            paint.text(painter, rect, cap, font, look.color(Token.TEXT), int(Qt.AlignmentFlag.AlignCenter))
            x += width + CAP_GAP


class ShortcutsSheet(Sheet):
    """Opened by F1, Ctrl+? and the program's menu."""

    def __init__(self, specs: Sequence[ActionSpec]) -> None:
        super().__init__("Keyboard shortcuts", width=Measure.SHEET)
        self.lines: list[tuple[tuple[str, ...], str]] = []
        holder = QWidget()
        self._column = QVBoxLayout(holder)
        self._column.setContentsMargins(0, 0, 14, 0)
        self._column.setSpacing(0)
        self._group("Anywhere in the window", [(spec.keys, spec.word) for spec in specs])
        for title, lines in LISTS:
            self._group(title, lines)
        self._column.addStretch(1)
        self.area = QScrollArea()
        slim_bars(self.area)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.viewport().setAutoFillBackground(False)
        self.area.setAccessibleName("Keyboard shortcuts")
        self.area.setWidget(holder)
        holder.setAutoFillBackground(False)  # the area fills its widget's ground unless told afterwards
        self.area.setMinimumHeight(Measure.WINDOW_MIN[1] - 160)
        self.body.addWidget(self.area, 1)

    def _group(self, title: str, lines: Sequence[tuple[tuple[str, ...], str]]) -> None:
        if self.lines:
            self._column.addSpacing(14)
        self._column.addWidget(Label(title, Text.CAPTION_STRONG, Token.MUTED))
        self._column.addSpacing(4)
        for at, (keys, word) in enumerate(lines):
            self.lines.append((keys, word))
            if at:
                self._column.addWidget(Line())
            row = QHBoxLayout()
            row.setContentsMargins(0, 0, 0, 0)
            label = Label(word, Text.BODY)
            label.setFixedHeight(ROW_HEIGHT)
            row.addWidget(label, 1)
            row.addWidget(_Keys(keys))
            self._column.addLayout(row)
