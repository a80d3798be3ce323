"""How a row of Downloads looks, and which of its parts is under the pointer. Paints; decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from PySide6.QtCore import QLineF, QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPen, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import Reason, TransferSnapshot, TransferState
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui import icons
from icworkshop_gui.gui.models.pieces import Stripes
from icworkshop_gui.gui.models.rows import ROW_ROLE
from icworkshop_gui.gui.models.transfers import Section, TitleRow, TransferRow, TransfersModel
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.piece_bar import draw_stripes, stripe_count

TITLE_HEIGHT = 38
SLIM_ROW = 62
"""A row without a bar: sharing, finished."""
ART = QSize(*Measure.DOWNLOAD_THUMB)
BAR_END = 269
"""How far before the right edge the bar ends: room for speed or a button, pause, and the menu."""
SPEED_END = 105
NARROW = 560
"""Below this width the bar reaches closer to the right."""

TIER_TOKENS = {Tier.LOBBY_URGENT: Token.ACCENT, Tier.USER_REQUESTED: Token.INFO, Tier.BACKGROUND: Token.QUIET}
_TITLE_LOOKS = {
    Section.LOBBY: ("swords", Token.ACCENT),
    Section.USER: ("user", Token.INFO),
    Section.BACKGROUND: ("moon", Token.QUIET),
    Section.SHARING: ("sprout", Token.OK),
    Section.FINISHED: ("history", Token.MUTED),
}
_STATE_ICONS = {TransferState.ERROR: ("triangle-alert", Token.ERROR)}
_AT_WORK = (TransferState.CHECKING, TransferState.VERIFYING, TransferState.INSTALLING)


class Part(StrEnum):
    """What of a row can be pressed."""

    GRIP = "grip"
    PAUSE = "pause"
    """Pause, or resume what the player paused."""
    CANCEL = "cancel"
    REMEDY = "remedy"
    MENU = "menu"
    TOGGLE = "toggle"


class Face(NamedTuple):
    """What the right end of a row holds, left to right."""

    button: str
    """Words of the remedy; empty for none."""
    words: str
    """Speed or hint; empty for none."""
    loud: bool
    """`words` is a number that matters."""
    icon: str
    """Of the button beside the menu: pause, play, x; empty for none."""
    part: Part


def face_of(row: TransferRow, now: float) -> Face:
    """What a transfer offers at its right end. `now` is the engine's clock."""
    transfer = row.transfer
    if row.section.tier is None:
        rate = words.rate(transfer.rate_up) if transfer.rate_up else ""
        return Face("", f"↑ {rate}" if rate else "", bool(rate), "", Part.PAUSE)
    why = words.explanation(transfer, now)
    if why is None:
        rate = words.rate(transfer.rate_down) if transfer.state is TransferState.DOWNLOADING else ""
        return Face("", rate, True, "pause", Part.PAUSE)
    if transfer.reason is Reason.USER:
        return Face(why.button, "", False, "x", Part.CANCEL)
    waits = transfer.state is TransferState.QUEUED or transfer.reason is Reason.FAILED
    return Face(why.button, "" if why.button else why.hint, False, "x" if waits else "pause", _beside(waits))


def _beside(waits: bool) -> Part:
    return Part.CANCEL if waits else Part.PAUSE


def parts_of(row: TransferRow | TitleRow, rect: QRectF, now: float) -> dict[Part, QRectF]:
    """Where each part of a row lies, for painting and for the pointer alike."""
    if isinstance(row, TitleRow):
        return {Part.TOGGLE: rect} if row.more else {}
    right = rect.right()
    middle = rect.center().y()
    found = {Part.MENU: QRectF(right - 46, middle - 15, 30, 30)}
    if row.section.tier is not None:
        found[Part.GRIP] = QRectF(rect.x(), rect.y(), 40, rect.height())
    face = face_of(row, now)
    if face.icon:
        found[face.part] = QRectF(right - 91, middle - 15, 30, 30)
    if face.button:
        width = paint.width_of(face.button, theme().font(Text.BUTTON_SMALL)) + 26
        found[Part.REMEDY] = QRectF(right - SPEED_END - width, middle - 15, width, 30)
    return found


def part_name(part: Part, row: TransferRow | TitleRow, now: float) -> str:
    """What pressing a part does, for its tooltip."""
    if isinstance(row, TitleRow):
        return row.more
    face = face_of(row, now)
    return {
        Part.GRIP: "Drag to change the order",
        Part.PAUSE: "Pause",
        Part.CANCEL: "Cancel",
        Part.REMEDY: face.button,
        Part.MENU: "More",
        Part.TOGGLE: "",
    }[part]


class DownloadsDelegate(QStyledItemDelegate):
    """Paints titles and transfers from tokens. `art` gives the picture of a transfer."""

    def __init__(self, model: TransfersModel, art: Callable[[TransferSnapshot, QSize, float], QPixmap]) -> None:
        super().__init__(model)
        self._model = model
        self._art = art
        self._stripes: dict[TransferId, Stripes] = {}
        self.hot: tuple[QPersistentModelIndex, Part] | None = None
        """The part under the pointer."""
        self.pressed = False

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        row = self._model.row_at(index)
        if isinstance(row, TransferRow):
            return QSize(300, Measure.DOWNLOAD_ROW if row.section.tier is not None else SLIM_ROW)
        return QSize(300, TITLE_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = index.data(ROW_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(option.rect)
        state = option.state
        focused = bool(state & QStyle.StateFlag.State_HasFocus)
        hot = self.hot[1] if self.hot is not None and self.hot[0] == index else None
        if isinstance(row, TitleRow):
            self._paint_title(painter, rect, row, focused, hot)
        elif isinstance(row, TransferRow):
            self._paint_card(painter, rect, row)
            if state & QStyle.StateFlag.State_Selected:
                self._paint_selection(painter, rect, focused)
            self._paint_transfer(painter, rect, row, hot)
        painter.restore()

    # --- pieces of a row ---------------------------------------------------------------------------

    @staticmethod
    def _paint_title(painter: QPainter, rect: QRectF, row: TitleRow, focused: bool, hot: Part | None) -> None:
        look = theme()
        icon, token = _TITLE_LOOKS[row.section]
        line = QRectF(rect.x(), rect.bottom() - 27, rect.width(), 24)
        icons.draw(painter, icon, line.x() + 4, line.center().y() - 8, 16, look.color(token))
        quiet = row.section is Section.FINISHED
        font = look.font(Text.SECOND if quiet else Text.BUTTON_SMALL)
        x = line.x() + 28
        title = f"{row.title}:" if quiet else row.title
        width = paint.width_of(title, font)
        ink = look.color(Token.MUTED if quiet else token)
        paint.text(painter, QRectF(x, line.y(), width + 2, line.height()), title, font, ink)
        x += width + (4 if quiet else 8)
        more_font = look.font(Text.SECOND_STRONG)
        more_width = paint.width_of(row.more, more_font) if row.more else 0.0
        alert = words.count(row.attention, "needs attention", "need attention") if row.attention else ""
        alert_width = paint.width_of(alert, more_font) + 24 if alert else 0.0
        font = look.font(Text.SECOND)
        room = line.right() - x - more_width - alert_width - 20
        hint = QFontMetricsF(font).elidedText(row.hint, Qt.TextElideMode.ElideRight, room)
        width = paint.width_of(hint, font)
        paint.text(painter, QRectF(x, line.y(), width + 2, line.height()), hint, font, look.color(Token.MUTED))
        x += width + 8
        if alert:
            icons.draw(painter, "triangle-alert", x, line.center().y() - 7, 14, look.color(Token.ERROR))
            paint.text(
                painter,
                QRectF(x + 19, line.y(), alert_width, line.height()),
                alert,
                more_font,
                look.color(Token.ERROR),
            )
            x += alert_width + 8
        if row.more:
            if hot is Part.TOGGLE:
                more_font = type(more_font)(more_font)
                more_font.setUnderline(True)
            place = QRectF(x, line.y(), more_width + 2, line.height())
            paint.text(painter, place, row.more, more_font, look.color(Token.ACCENT))
        if focused:
            paint.ring(painter, line.adjusted(0, 0, 0, 0), 6)

    @staticmethod
    def _paint_card(painter: QPainter, rect: QRectF, row: TransferRow) -> None:
        """The row's part of its section's card: corners where it begins and ends, a hair line between rows."""
        look = theme()
        painter.setClipRect(rect)
        card = rect.adjusted(0, 0 if row.first else -30, 0, 0 if row.last else 30)
        paint.panel(painter, card, Measure.RADIUS_ROW, look.color(Token.SURFACE), look.color(Token.LINE))
        if not row.first:
            painter.setPen(QPen(look.color(Token.LINE), 1))
            y = rect.y() + 0.5
            painter.drawLine(QLineF(rect.x() + 1, y, rect.right() - 1, y))
        painter.setClipping(False)

    @staticmethod
    def _paint_selection(painter: QPainter, rect: QRectF, focused: bool) -> None:
        look = theme()
        inside = rect.adjusted(4, 4, -4, -4)
        tint = look.tint(Token.ACCENT, Token.SURFACE)
        width = 2.0 if focused else 1.5
        paint.panel(painter, inside, Measure.RADIUS_CONTROL, tint, look.color(Token.ACCENT), width)

    def _paint_transfer(self, painter: QPainter, rect: QRectF, row: TransferRow, hot: Part | None) -> None:
        look = theme()
        transfer = row.transfer
        now = self._model.engine_now
        dpr = painter.device().devicePixelRatioF()
        middle = rect.center().y()
        slim = row.section.tier is None
        if not slim:
            grip = look.color(Token.TEXT if hot is Part.GRIP else Token.MUTED)
            icons.draw(painter, "grip-vertical", rect.x() + 15, middle - 9, 16, grip)
        art = self._art(transfer, ART, dpr)
        painter.drawPixmap(QPointF(rect.x() + 45, middle - ART.height() / 2), art)
        left = rect.x() + 123
        face = face_of(row, now)
        parts = parts_of(row, rect, now)
        end = self._paint_right(painter, rect, row, face, parts, hot)
        bar_end = max(left + 80, rect.right() - BAR_END if rect.width() > NARROW else end - 14)
        text_top = rect.y() + (11 if not slim else 12)
        self._paint_name(painter, QRectF(left, text_top, end - 14 - left, 22), row)
        if slim:
            second = QRectF(left, rect.y() + 33, end - 14 - left, 18)
        else:
            bar = QRectF(left, middle, bar_end - left, Measure.TRACK)
            self._paint_bar(painter, bar, transfer)
            second = QRectF(left, middle + 9, end - 14 - left, 20)
        self._paint_second(painter, second, transfer, now)

    @staticmethod
    def _paint_name(painter: QPainter, rect: QRectF, row: TransferRow) -> None:
        look = theme()
        font = look.font(Text.ITEM)
        tag = "in a lobby" if row.transfer.tier is Tier.LOBBY_URGENT and row.section is Section.LOBBY else ""
        tag_font = look.font(Text.TINY_STRONG)
        tag_width = paint.width_of(tag, tag_font) + 14 if tag else 0.0
        name = QFontMetricsF(font).elidedText(
            row.transfer.name, Qt.TextElideMode.ElideRight, rect.width() - tag_width - 8
        )
        paint.text(painter, rect, name, font, look.color(Token.TEXT))
        if tag:
            place = QRectF(rect.x() + paint.width_of(name, font) + 8, rect.center().y() - 9, tag_width, 19)
            paint.panel(painter, place, 5, None, look.color(Token.ACCENT), 1)
            paint.text(painter, place.adjusted(7, 0, 0, 0), tag, tag_font, look.color(Token.ACCENT))

    def _paint_bar(self, painter: QPainter, rect: QRectF, transfer: TransferSnapshot) -> None:
        color = theme().color(TIER_TOKENS[transfer.tier])
        detail = self._model.details
        if transfer.tier is Tier.LOBBY_URGENT and detail is not None and detail.id == transfer.id:
            if transfer.id not in self._stripes:
                self._stripes = {transfer.id: Stripes()}
            found = self._stripes[transfer.id].of(detail, min(stripe_count(rect.width()), max(1, detail.piece_count)))
            draw_stripes(painter, rect, found, color)
            return
        done, total = words.fetched(transfer)
        share = done / total if total else 0.0
        paint.track(painter, rect, share, color)
        if transfer.state in _AT_WORK:
            _hatch(painter, rect, share, color)

    @staticmethod
    def _paint_second(painter: QPainter, rect: QRectF, transfer: TransferSnapshot, now: float) -> None:
        look = theme()
        font = look.font(Text.SECOND)
        token = Token.MUTED
        icon = _STATE_ICONS.get(transfer.state)
        if icon is not None:
            icons.draw(painter, icon[0], rect.x(), rect.center().y() - 7, 14, look.color(icon[1]))
            rect = rect.adjusted(20, 0, 0, 0)
            token = icon[1]
        elif transfer.state is TransferState.SEEDING and transfer.rate_up:
            token = Token.OK
        line = QFontMetricsF(font).elidedText(
            words.status_line(transfer, now), Qt.TextElideMode.ElideRight, rect.width()
        )
        paint.text(painter, rect, line, font, look.color(token))

    def _paint_right(
        self,
        painter: QPainter,
        rect: QRectF,
        row: TransferRow,
        face: Face,
        parts: dict[Part, QRectF],
        hot: Part | None,
    ) -> float:
        """Speed, hint or button, then the picture buttons. Returns where they begin."""
        look = theme()
        begin = rect.right() - SPEED_END
        self._icon_button(painter, parts[Part.MENU], "ellipsis", hot is Part.MENU)
        if face.icon:
            self._icon_button(painter, parts[face.part], face.icon, hot is face.part)
        if face.button:
            place = parts[Part.REMEDY]
            fill = look.color(Token.RAISED if hot is Part.REMEDY else Token.SURFACE)
            paint.panel(painter, place, Measure.RADIUS_CONTROL, fill, look.color(Token.LINE))
            font = look.font(Text.BUTTON_SMALL)
            paint.text(painter, place.adjusted(13, 0, 0, 0), face.button, font, look.color(Token.TEXT))
            begin = place.x()
        elif face.words:
            font = look.font(Text.SECOND_STRONG if face.loud else Text.SECOND)
            lobby = row.section is Section.LOBBY and face.loud
            ink = look.color(Token.ACCENT if lobby else Token.TEXT if face.loud else Token.MUTED)
            end = begin if face.icon else rect.right() - 60
            begin = end - paint.width_of(face.words, font)
            place = QRectF(begin - 2, rect.center().y() - 12, end - begin + 2, 24)
            paint.text(painter, place, face.words, font, ink, int(Qt.AlignmentFlag.AlignRight.value))
        elif not face.icon:
            begin = rect.right() - 60
        return begin

    def _icon_button(self, painter: QPainter, rect: QRectF, icon: str, hot: bool) -> None:
        look = theme()
        if hot:
            paint.panel(painter, rect, Measure.RADIUS_CONTROL, look.color(Token.RAISED))
        ink = look.color(Token.TEXT if hot else Token.MUTED)
        icons.draw(painter, icon, rect.center().x() - 8, rect.center().y() - 8, 16, ink)


def _hatch(painter: QPainter, rect: QRectF, share: float, color: QColor) -> None:
    """Slanted stripes over the part that is being checked."""
    painter.save()
    clip = QPainterPath()
    clip.addRoundedRect(rect, rect.height() / 2, rect.height() / 2)
    painter.setClipPath(clip)
    shade = QColor(color)
    shade.setAlphaF(0.5)
    painter.setPen(QPen(shade, 2))
    x = rect.x() + rect.width() * share
    while x < rect.right() + rect.height():
        painter.drawLine(QLineF(x, rect.bottom(), x + rect.height(), rect.y()))
        x += 7
    painter.restore()
