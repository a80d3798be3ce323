"""One catalog row, painted: picture, words, numbers, and the state or its button, which is hit-tested."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from icworkshop_gui.core.catalog import PackageSummary
from icworkshop_gui.gui import icons
from icworkshop_gui.gui.format import size, tally
from icworkshop_gui.gui.models.catalog import CatalogRole
from icworkshop_gui.gui.models.package_state import PackageState, Standing
from icworkshop_gui.gui.pictures import Pictures
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint

Index = QModelIndex | QPersistentModelIndex

PAD = 12
BAR = 10
"""Width of a slim scroll bar."""
STATE_WIDTH = 138
SIZE_WIDTH = 74
DOWNLOADS_WIDTH = 78
PLAYERS_WIDTH = 62
WORDS_MIN = 220
"""Columns of numbers give way before the words get narrower than this."""
CUT_KEPT = 2000
"""Elided strings kept; scrolling paints the same ones again and again."""


class CatalogDelegate(QStyledItemDelegate):
    """Signals:
    pressed(QModelIndex): the painted button of this row.
    """

    pressed = Signal(object)

    def __init__(self, pictures: Pictures, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._hot: int | None = None
        """Row whose button is under the pointer."""
        self._down = False
        self._cut: dict[tuple[str, Text, int], str] = {}

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(360, Measure.CATALOG_ROW)

    # --- the button ------------------------------------------------------------------------------

    def button_rect(self, row: QRect, state: PackageState) -> QRectF:
        """Where the button of a row is; empty when it has none."""
        words = state.action
        if not words:
            return QRectF()
        width = paint.width_of(words, theme().font(Text.BUTTON_SMALL)) + 26
        if state.standing is Standing.UPDATE:
            width += 23
        height = Measure.BUTTON_SMALL
        return QRectF(row.right() + 1 - PAD - width, row.center().y() - height / 2 + 1, width, height)

    def hit(self, row: QRect, index: Index, at: QPoint) -> bool:
        """Is this point on the row's button?"""
        state: PackageState = index.data(CatalogRole.STATE)
        return self.button_rect(row, state).contains(at)

    def set_hot(self, row: int | None) -> None:
        self._hot = row

    def editorEvent(self, event: QEvent, model: QObject, option: QStyleOptionViewItem, index: Index) -> bool:
        if not isinstance(event, QMouseEvent) or event.button() is not Qt.MouseButton.LeftButton:
            return False
        on_button = self.hit(option.rect, index, event.position().toPoint())
        if event.type() is QEvent.Type.MouseButtonPress:
            self._down = on_button
            return on_button
        if event.type() is QEvent.Type.MouseButtonRelease:
            pressed, self._down = self._down and on_button, False
            if pressed:
                self.pressed.emit(index)
            return pressed
        # A double click on the button is two presses, never "open the page".
        return event.type() is QEvent.Type.MouseButtonDblClick and on_button

    # --- painting --------------------------------------------------------------------------------

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: PackageSummary = index.data(CatalogRole.SUMMARY)
        state: PackageState = index.data(CatalogRole.STATE)
        look = theme()
        rect = QRectF(option.rect)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected:
            ring = 2.0 if option.state & QStyle.StateFlag.State_HasFocus else 1.5
            ground = look.tint(Token.ACCENT, Token.RAIL)
            paint.panel(painter, rect, Measure.RADIUS_ROW, ground, look.color(Token.ACCENT), ring)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            paint.panel(painter, rect, Measure.RADIUS_ROW, look.color(Token.RAISED))
        self._paint_picture(painter, rect, row)
        right = rect.right() - PAD - STATE_WIDTH
        left = rect.left() + PAD + Measure.CATALOG_THUMB[0] + Measure.GAP
        right = self._paint_numbers(painter, rect, row, left, right)
        self._paint_words(painter, rect, row, str(index.data(CatalogRole.LINE)), left, right - 16)
        self._paint_state(painter, option.rect, state, hot=self._hot == index.row())

    def _paint_picture(self, painter: QPainter, rect: QRectF, row: PackageSummary) -> None:
        width, height = Measure.CATALOG_THUMB
        device = painter.device()
        picture = self._pictures.pixmap(
            row.package,
            row.category,
            QSize(width, height),
            version=row.version,
            sha256=row.preview_sha256,
            radius=Measure.RADIUS_THUMB,
            dpr=device.devicePixelRatioF() if device is not None else 1.0,
        )
        painter.drawPixmap(round(rect.left()) + PAD, round(rect.top() + (rect.height() - height) / 2), picture)

    def _paint_numbers(self, painter: QPainter, rect: QRectF, row: PackageSummary, left: float, right: float) -> float:
        """The columns that there is room for, from the right; returns where they begin."""
        look = theme()
        muted = look.color(Token.MUTED)
        font = look.font(Text.SECOND)
        columns = (
            (SIZE_WIDTH, "", size(row.size)),
            (DOWNLOADS_WIDTH, "download", tally(row.downloads)),
            (PLAYERS_WIDTH, "users", tally(row.seeders + row.leechers)),
        )
        for width, icon, words in columns:
            if right - width - left < WORDS_MIN:
                break
            cell = QRectF(right - width, rect.top(), width - 8, rect.height())
            paint.text(painter, cell, words, font, muted, int(Qt.AlignmentFlag.AlignRight))
            if icon:
                x = cell.right() - paint.width_of(words, font) - 19
                icons.draw(painter, icon, x, cell.center().y() - 7, 14, muted)
            right -= width
        return right

    def _paint_words(
        self, painter: QPainter, rect: QRectF, row: PackageSummary, line: str, left: float, right: float
    ) -> None:
        look = theme()
        width = max(20, int(right - left))
        lines = (
            (row.title, Text.ITEM, Token.TEXT, 8.0),
            (row.summary, Text.SECOND, Token.MUTED, 28.0),
            (line, Text.CAPTION, Token.MUTED, 46.0),
        )
        for words, style, token, top in lines:
            font = look.font(style)
            cell = QRectF(left, rect.top() + top, width, 19)
            paint.text(painter, cell, self._elided(words, font, style, width), font, look.color(token))

    def _elided(self, words: str, font: QFont, style: Text, width: int) -> str:
        key = (words, style, width)
        found = self._cut.get(key)
        if found is None:
            if len(self._cut) > CUT_KEPT:
                self._cut.clear()
            found = QFontMetricsF(font).elidedText(words, Qt.TextElideMode.ElideRight, width)
            self._cut[key] = found
        return found

    def _paint_state(self, painter: QPainter, row: QRect, state: PackageState, *, hot: bool) -> None:
        button = self.button_rect(row, state)
        zone = QRectF(row.right() + 1 - PAD - STATE_WIDTH, row.top(), STATE_WIDTH, row.height())
        if state.standing is Standing.RUNNING:
            self._paint_progress(painter, zone, state)
        elif state.standing is Standing.INSTALLED:
            _paint_note(painter, zone, "check", "Installed", Token.OK)
        elif state.standing is Standing.QUEUED:
            _paint_note(painter, zone, "clock", "Queued", Token.MUTED)
        elif not button.isEmpty():
            paint_button(painter, button, state, hot=hot)

    def _paint_progress(self, painter: QPainter, zone: QRectF, state: PackageState) -> None:
        look = theme()
        bar = QRectF(zone.right() - 112, zone.center().y() + 8, 112, Measure.TRACK)
        words = QRectF(bar.left(), bar.top() - 25, bar.width(), 20)
        strong, accent = look.font(Text.CAPTION_STRONG), look.color(Token.ACCENT)
        paint.text(painter, words, f"{state.percent} %", strong, accent)
        right = int(Qt.AlignmentFlag.AlignRight)
        paint.text(painter, words, state.time_left, look.font(Text.CAPTION), look.color(Token.MUTED), right)
        paint.track(painter, bar, state.share, accent)


def _paint_note(painter: QPainter, zone: QRectF, icon: str, words: str, token: Token) -> None:
    look = theme()
    font = look.font(Text.SECOND_STRONG if token is Token.OK else Text.SECOND)
    color = look.color(token)
    paint.text(painter, zone, words, font, color, int(Qt.AlignmentFlag.AlignRight))
    icons.draw(painter, icon, zone.right() - paint.width_of(words, font) - 21, zone.center().y() - 7.5, 15, color)


def paint_button(painter: QPainter, rect: QRectF, state: PackageState, *, hot: bool) -> None:
    """The button of a row: loud for Install, quiet for the rest."""
    look = theme()
    words = state.action
    font = look.font(Text.BUTTON_SMALL)
    if state.standing is Standing.ABSENT:
        fill = look.color(Token.ACCENT)
        paint.panel(painter, rect, Measure.RADIUS_CONTROL, fill.lighter(108) if hot else fill)
        ink = look.color(Token.ON_ACCENT)
    else:
        fill = look.color(Token.RAISED if hot else Token.SURFACE)
        paint.panel(painter, rect, Measure.RADIUS_CONTROL, fill, look.color(Token.LINE))
        ink = look.color(Token.ERROR if state.standing is Standing.FAILED else Token.TEXT)
    inner = rect.adjusted(13, 0, 0, 0)
    if state.standing is Standing.UPDATE:
        icons.draw(painter, "refresh-cw", inner.left(), rect.center().y() - 7.5, 15, ink)
        inner.adjust(23, 0, 0, 0)
    paint.text(painter, inner, words, font, ink)


class CatalogList(QListView):
    """The view around the delegate: pointer shapes, Ctrl+Enter, the menu key.

    Signals:
        opened(QModelIndex): Enter or a double click: the package's page.
        actioned(QModelIndex): the button, or Ctrl+Enter.
        menuWanted(QModelIndex, QPoint): right click or the menu key, with a global position.
    """

    opened = Signal(object)
    actioned = Signal(object)
    menuWanted = Signal(object, object)

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self._delegate = CatalogDelegate(pictures, self)
        self.setItemDelegate(self._delegate)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.viewport().setAutoFillBackground(False)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._delegate.pressed.connect(self.actioned)
        self.verticalScrollBar().rangeChanged.connect(self._reserve)
        self.doubleClicked.connect(self.opened.emit)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._reserve()

    def _reserve(self) -> None:
        # The room of the scroll bar stays empty without it, so that columns do not jump when it comes.
        needed = self.verticalScrollBar().maximum() > 0
        self.setViewportMargins(0, 0, 0 if needed else BAR, 0)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        index = self.indexAt(at)
        hot = index.isValid() and self._delegate.hit(self.visualRect(index), index, at)
        self._delegate.set_hot(index.row() if hot else None)
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if hot else Qt.CursorShape.ArrowCursor)
        if index.isValid():
            self.viewport().update(self.visualRect(index))
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._delegate.set_hot(None)
        self.viewport().update()
        super().leaveEvent(event)

    def keyPressEvent(self, event) -> None:  # type: ignore[no-untyped-def]
        index = self.currentIndex()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid():
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self.actioned.emit(index)
            else:
                self.opened.emit(index)
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event) -> None:  # type: ignore[no-untyped-def]
        index = self.indexAt(event.pos())
        if event.reason() is event.Reason.Keyboard:
            index = self.currentIndex()
        if index.isValid():
            at = self.visualRect(index).center() if event.reason() is event.Reason.Keyboard else event.pos()
            self.menuWanted.emit(index, self.viewport().mapToGlobal(at))
