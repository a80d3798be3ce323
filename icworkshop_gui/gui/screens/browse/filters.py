"""What the player filters by: chosen in a sheet with counts, shown as chips, sent as a SearchQuery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from icworkshop_gui.core.catalog import Facet, SearchPage, SearchQuery, Sort
from icworkshop_gui.gui import icons
from icworkshop_gui.gui.categories import tab_word
from icworkshop_gui.gui.format import clipped
from icworkshop_gui.gui.licenses import license_words
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import Button, Kind, LinkButton
from icworkshop_gui.gui.widgets.card import slim_bars
from icworkshop_gui.gui.widgets.focus import shows_ring
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.sheet import Sheet, Side

PAGE = 100
"""Rows of a page."""
GROUP_TOP = 8
"""Values of a group that are shown before "Show all"."""
GROUP_MAX = 60

SORT_WORDS = {
    Sort.RELEVANCE: "Best match",
    Sort.POPULAR: "Popular",
    Sort.NEWEST: "Newest",
    Sort.UPDATED: "Recently updated",
    Sort.NAME: "Name",
    Sort.SIZE: "Size",
    Sort.AUTHOR: "Author",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Everything but the words and the order."""

    category: str = ""
    tags: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    hide_installed: bool = False

    def query(self, text: str, sort: Sort) -> SearchQuery:
        """As the engine is asked. Relevance without words means nothing, and words are ranked by it."""
        order = sort if text or sort is not Sort.RELEVANCE else Sort.POPULAR
        return SearchQuery(
            text=text, category=self.category, tags=self.tags, licenses=self.licenses, sort=order, limit=PAGE
        )

    def chips(self) -> list[tuple[str, Filters]]:
        """The words of each active filter, and the filters without it. The category has its tabs."""
        found: list[tuple[str, Filters]] = []
        if self.hide_installed:
            found.append(("Installed hidden", replace(self, hide_installed=False)))
        tags = [(clipped(tag), replace(self, tags=_toggled(self.tags, tag, False))) for tag in self.tags]
        licenses = [
            (license_words(spdx).name, replace(self, licenses=_toggled(self.licenses, spdx, False)))
            for spdx in self.licenses
        ]
        return [*found, *tags, *licenses]

    @property
    def active(self) -> int:
        return len(self.tags) + len(self.licenses) + self.hide_installed


class CheckRow(QAbstractButton):
    """A tick box with words and a count."""

    def __init__(self, value: str, words: str, rows: int | None, *, checked: bool, one_of: bool = False) -> None:
        """`one_of`: at most one of its group, and so round."""
        super().__init__()
        self._radius = 9 if one_of else 5
        self.value = value
        self._rows = "" if rows is None else f"{rows:,}"
        self._ring = False
        self.setText(words)
        self.setAccessibleName(f"{words}, {self._rows}" if self._rows else words)
        self.setCheckable(True)
        self.setChecked(checked)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self.underMouse():
            paint.panel(painter, rect, 6, look.color(Token.RAISED))
        box = QRectF(8, rect.center().y() - 9, 18, 18)
        if self.isChecked():
            paint.panel(painter, box, self._radius, look.color(Token.ACCENT))
            icons.draw(painter, "check", box.x() + 2, box.y() + 2, 14, look.color(Token.ON_ACCENT))
        else:
            paint.panel(painter, box, self._radius, look.color(Token.SURFACE), look.color(Token.MUTED), 1.25)
        font = look.font(Text.SECOND)
        words = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width() - 96)
        paint.text(painter, rect.adjusted(36, 0, 0, 0), words, font, look.color(Token.TEXT))
        muted, right = look.color(Token.MUTED), int(Qt.AlignmentFlag.AlignRight)
        paint.text(painter, rect.adjusted(0, 0, -10, 0), self._rows, look.font(Text.CAPTION), muted, right)
        if self._ring and self.hasFocus():
            paint.ring(painter, rect, 6)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)


class FilterSheet(Sheet):
    """Signals:
    changed(object): the Filters as they are ticked now, at once.
    """

    changed = Signal(object)

    def __init__(self, filters: Filters, page: SearchPage | None) -> None:
        super().__init__("Filters", side=Side.RIGHT, width=360)
        self._filters = filters
        inside = QWidget()
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 6, 0)
        self._column.setSpacing(2)
        self._group("Show", [("", "Hide what I have", None, filters.hide_installed)], self._tick_hide)
        facets = page if page is not None else SearchPage(items=(), total=0)
        categories = [
            (facet.value, tab_word(facet.value), facet.rows, facet.value == filters.category)
            for facet in facets.categories
        ]
        self._categories = self._group("Category", categories, self._tick_category)
        self._group("Tags", _entries(facets.tags, filters.tags), self._tick_tag)
        licenses = [
            (value, license_words(value).name, rows, on)
            for value, _w, rows, on in _entries(facets.licenses, filters.licenses)
        ]
        self._group("Licence", licenses, self._tick_license)
        self._column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inside)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        slim_bars(area)
        self.body.addWidget(area, 1)
        clear = self.add_button(Button("Clear all"))
        clear.clicked.connect(self._clear)
        done = self.add_button(Button("Show results", kind=Kind.PRIMARY))
        done.clicked.connect(self.close_sheet)

    def _group(self, title: str, entries: Sequence[tuple[str, str, int | None, bool]], tick: object) -> list[CheckRow]:
        if not entries:
            return []
        label = Label(title, Text.CAPTION_STRONG, Token.MUTED)
        label.setContentsMargins(8, 10, 0, 2)
        self._column.addWidget(label)
        rows: list[CheckRow] = []
        for value, words, count, on in entries[:GROUP_MAX]:
            row = CheckRow(value, words, count, checked=on, one_of=title == "Category")
            row.toggled.connect(tick)
            row.setVisible(len(rows) < GROUP_TOP or on)
            self._column.addWidget(row)
            rows.append(row)
        hidden = [row for row in rows if row.isHidden()]
        if hidden:
            more = LinkButton(f"Show all {len(rows)}")
            self._column.addWidget(more)

            def reveal() -> None:
                for row in hidden:
                    row.show()
                hidden[0].setFocus(Qt.FocusReason.OtherFocusReason)
                more.hide()

            more.clicked.connect(reveal)
        return rows

    def _set(self, filters: Filters) -> None:
        self._filters = filters
        self.changed.emit(filters)

    def _tick_hide(self, on: bool) -> None:
        self._set(replace(self._filters, hide_installed=on))

    def _tick_category(self, on: bool) -> None:
        row = self.sender()
        if not isinstance(row, CheckRow):
            return
        for other in self._categories:
            if other is not row and on:
                other.blockSignals(True)
                other.setChecked(False)
                other.blockSignals(False)
        self._set(replace(self._filters, category=row.value if on else ""))

    def _tick_tag(self, on: bool) -> None:
        row = self.sender()
        if isinstance(row, CheckRow):
            self._set(replace(self._filters, tags=_toggled(self._filters.tags, row.value, on)))

    def _tick_license(self, on: bool) -> None:
        row = self.sender()
        if isinstance(row, CheckRow):
            self._set(replace(self._filters, licenses=_toggled(self._filters.licenses, row.value, on)))

    def _clear(self) -> None:
        self._set(Filters())
        self.close_sheet()


def _entries(facets: Sequence[Facet], chosen: Sequence[str]) -> list[tuple[str, str, int | None, bool]]:
    """Facets, most rows first; what is chosen is listed even when nothing has it any more."""
    found: list[tuple[str, str, int | None, bool]] = [
        (facet.value, clipped(facet.value), facet.rows, facet.value in chosen) for facet in facets
    ]
    known = {facet.value for facet in facets}
    return [*found, *((value, clipped(value), 0, True) for value in chosen if value not in known)]


def _toggled(values: tuple[str, ...], value: str, on: bool) -> tuple[str, ...]:
    rest = tuple(other for other in values if other != value)
    return (*rest, value) if on else rest
