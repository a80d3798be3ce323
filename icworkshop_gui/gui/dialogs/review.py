"""The review sheet: what comes, goes and changes, why and at what cost, before anything happens (gui.md B2.2).

One component for install, update and remove. It shows what it is given and says what the
player decided; who asks and who acts is `gui/reviews.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.core.errors import VersionConflict, WayOut
from icworkshop_gui.gui.format import clipped
from icworkshop_gui.gui.models.review import Review
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.card import Card, Line, slim_bars
from icworkshop_gui.gui.widgets.change_list import ROW, SIGNS, Art, ChangeList
from icworkshop_gui.gui.widgets.choice_row import ChoiceRow
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.facts import NoteLine
from icworkshop_gui.gui.widgets.labels import IconLabel, Label, Paragraph
from icworkshop_gui.gui.widgets.sheet import Sheet, Side

SKELETON_ROWS = 4


class _Skeleton(QWidget):
    """Grey shapes where the rows will be, standing still."""

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        grey = theme().color(Token.RAISED if theme().scheme.is_dark else Token.LINE)
        for row in range(SKELETON_ROWS):
            top = row * ROW
            painter.setOpacity(1.0 - row * 0.2)
            paint.panel(painter, QRectF(8, top + 11, 56, 36), Measure.RADIUS_THUMB, grey)
            paint.panel(painter, QRectF(78, top + 16, self.width() * 0.34, 9), 4.5, grey)
            paint.panel(painter, QRectF(78, top + 34, self.width() * 0.5, 9), 4.5, grey)


class _Cautions(Card):
    """Sentences that should be read, each with its sign."""

    def __init__(self) -> None:
        super().__init__(ground=Token.RAISED, line=None, radius=Measure.RADIUS_ROW)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(12, 10, 12, 10)
        self._column.setSpacing(6)
        self._lines: list[NoteLine] = []

    def show_words(self, words: Sequence[str]) -> None:
        while len(self._lines) < len(words):
            self._lines.append(NoteLine("triangle-alert", "", Token.WARN))
            self._column.addWidget(self._lines[-1])
        for at, line in enumerate(self._lines):
            line.set_text(words[at] if at < len(words) else "")
        self.setVisible(bool(words))


class ReviewSheet(Sheet):
    """Signals:
    agreed(): go ahead with what is shown.
    toggled(PackageRef, bool): a row was ticked or not.
    chosen(WayOut): out of a conflict.
    retried(): ask once more.
    """

    agreed = Signal()
    toggled = Signal(object, bool)
    chosen = Signal(object)
    retried = Signal()

    def __init__(self, title: str, art: Art) -> None:
        super().__init__(title, side=Side.RIGHT, width=Measure.SHEET)
        self._ways: list[WayOut] = []
        self._stack = QStackedWidget()
        self.list = ChangeList(art)
        self._pages = {
            "loading": self._loading_page(),
            "changes": self._changes_page(),
            "conflict": self._conflict_page(),
        }
        self.trouble = EmptyState("wifi-off", "")
        self._pages["trouble"] = self.trouble
        for page in self._pages.values():
            self._stack.addWidget(page)
        self.body.addWidget(self._stack, 1)
        self.cancel = self.add_button(Button("Cancel"))
        self.cancel.clicked.connect(self.close_sheet)
        self.go = self.add_button(Button("Install", kind=Kind.PRIMARY))
        self.go.clicked.connect(self._go)
        self.list.toggled.connect(self.toggled)
        self.list.agreed.connect(self.go.click)
        self.show_loading()

    # --- pages ---------------------------------------------------------------------------------------

    def _loading_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(Label("Looking up what it needs, and what of it is here already …", Text.SECOND, Token.MUTED))
        column.addWidget(_Skeleton(), 1)
        return page

    def _changes_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        self._counts = QHBoxLayout()
        self._counts.setSpacing(6)
        self._counts_holder = QWidget()
        self._counts_holder.setLayout(self._counts)
        self._counts.setContentsMargins(0, 0, 0, 0)
        self.cautions = _Cautions()
        self.cost = Label("", Text.HEADING)
        self.disk = Paragraph("", Text.SECOND, Token.MUTED)
        column.addWidget(self._counts_holder)
        column.addWidget(self.list, 1)
        column.addWidget(self.cautions)
        column.addWidget(Line())
        column.addWidget(self.cost)
        column.addWidget(self.disk)
        return page

    def _conflict_page(self) -> QWidget:
        holder = QWidget()
        self._conflict = QVBoxLayout(holder)
        self._conflict.setContentsMargins(0, 0, 8, 0)
        self._conflict.setSpacing(10)
        self._ways_group = QButtonGroup(self)
        area = QScrollArea()
        slim_bars(area)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.viewport().setAutoFillBackground(False)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(holder)
        holder.setAutoFillBackground(False)
        return area

    # --- states --------------------------------------------------------------------------------------

    def show_loading(self) -> None:
        """The question is under way. What was shown before stays, if there was anything."""
        if self._stack.currentWidget() is not self._pages["changes"]:
            self._show("loading")
        self.go.setEnabled(False)

    def show_review(self, review: Review) -> None:
        """What would happen."""
        first = self._stack.currentWidget() is not self._pages["changes"]
        self.set_title(review.title)
        self._show_counts(review)
        self.list.show_rows(review.rows)
        self.cautions.show_words(review.cautions)
        self.cost.setText(review.cost)
        self.disk.setText(review.disk)
        self.disk.setVisible(bool(review.disk))
        self.go.setText(review.agree or "Install")
        self.go.set_kind(Kind.DANGER if review.danger else Kind.PRIMARY)
        self.go.setVisible(True)
        self.go.setEnabled(bool(review.agree))
        self._show("changes")
        if first and self.isVisible():
            self._take_focus(self.cancel if review.stops or review.danger else self.go)

    def show_conflict(self, conflict: VersionConflict) -> None:
        """Why it does not go together, and the ways out that were tried and work."""
        self.set_title("This does not go together")
        while (item := self._conflict.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._conflict.addWidget(Paragraph(clipped(conflict.headline), Text.BODY))
        if conflict.chains:
            self._conflict.addWidget(Label("How it comes to this", Text.CAPTION_STRONG, Token.MUTED))
            for chain in conflict.chains:
                self._conflict.addWidget(NoteLine("git-branch", clipped(chain)))
        self._ways = [way for way in conflict.helps if way.package is not None]
        advice = [way for way in conflict.helps if way.package is None]
        if conflict.helps:
            self._conflict.addSpacing(6)
            self._conflict.addWidget(Label("What would help", Text.CAPTION_STRONG, Token.MUTED))
        for at, way in enumerate(self._ways):
            row = ChoiceRow(clipped(way.text), checked=at == 0)
            self._ways_group.addButton(row, at)
            row.submitted.connect(self.go.click)
            self._conflict.addWidget(row)
        for way in advice:
            self._conflict.addWidget(NoteLine("info", clipped(way.text)))
        self._conflict.addStretch(1)
        self.go.setText("Continue with this")
        self.go.set_kind(Kind.PRIMARY)
        self.go.setVisible(bool(self._ways))
        self.go.setEnabled(bool(self._ways))
        self._show("conflict")
        if self.isVisible():
            self._take_focus(self._ways_group.button(0) if self._ways else self.cancel)

    def show_trouble(self, words: str) -> None:
        """It could not be found out."""
        self.trouble.set("wifi-off", "This could not be looked up", words)
        retry = self.trouble.add_action(Button("Try again", icon="rotate-ccw"))
        retry.clicked.connect(self.retried)
        self.go.setVisible(False)
        self._show("trouble")
        if self.isVisible():
            self._take_focus(retry)

    def _show(self, page: str) -> None:
        self._stack.setCurrentWidget(self._pages[page])

    def _show_counts(self, review: Review) -> None:
        while (item := self._counts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for kind, words in review.counts:
            icon, token = SIGNS[kind]
            self._counts.addWidget(IconLabel(icon, 14, token))
            self._counts.addWidget(Label(words, Text.SECOND_STRONG))
            self._counts.addSpacing(12)
        self._counts.addStretch(1)
        self._counts_holder.setVisible(bool(review.counts))

    def _take_focus(self, widget: QWidget) -> None:
        inside = self.window().focusWidget()
        by_key = bool(getattr(inside, "_ring", False))
        widget.setFocus(Qt.FocusReason.TabFocusReason if by_key else Qt.FocusReason.OtherFocusReason)

    def _go(self) -> None:
        if self._stack.currentWidget() is self._pages["conflict"]:
            self.chosen.emit(self._ways[self._ways_group.checkedId()])
        else:
            self.agreed.emit()
