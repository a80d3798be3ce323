"""Buttons: primary, secondary, ghost, danger; with icons, a trailing icon, or progress inside. Links and chips."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QEnterEvent, QFocusEvent, QFont, QKeyEvent, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from icworkshop_gui.gui import icons
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.focus import shows_ring


class Kind(Enum):
    """How loud a button is. One PRIMARY at most per group."""

    PRIMARY = auto()
    SECONDARY = auto()
    GHOST = auto()
    """No ground until it is pointed at."""
    DANGER = auto()


class Button(QPushButton):
    """A painted push button. Space and Enter press it.

    The same object may change its words, kind and progress while it keeps the focus (gui.md B0.8).
    """

    def __init__(
        self,
        text: str = "",
        *,
        icon: str = "",
        kind: Kind = Kind.SECONDARY,
        small: bool = False,
        trailing: str = "",
        name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """`icon` and `trailing` are Lucide names; `name` is the accessible name, and the tooltip where no text is."""
        super().__init__(text, parent)
        self._icon = icon
        self._trailing = trailing
        self._kind = kind
        self._small = small
        self._progress: float | None = None
        self._hover = False
        self._ring = False
        self.setFont(theme().font(Text.BUTTON_SMALL if small else Text.BUTTON))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAutoDefault(False)
        if name:
            self.setAccessibleName(name)
            if not text:
                self.setToolTip(name)

    @property
    def kind(self) -> Kind:
        return self._kind

    def set_kind(self, kind: Kind) -> None:
        """Louder or quieter."""
        self._kind = kind
        self.update()

    def set_icon(self, name: str) -> None:
        """Another icon; empty for none."""
        self._icon = name
        self.updateGeometry()
        self.update()

    def set_progress(self, share: float | None) -> None:
        """A filled share (0..1) behind the words; None for none."""
        self._progress = share
        self.update()

    def _height(self) -> int:
        return Measure.BUTTON_SMALL if self._small else Measure.BUTTON

    def _icon_size(self) -> int:
        return 16 if self._small else 17

    def sizeHint(self) -> QSize:
        side = 13 if self._small else 14
        width = 2.0 * side
        if self.text():
            width += paint.width_of(self.text(), self.font())
        for part in (self._icon, self._trailing):
            if part:
                width += self._icon_size() + (7 if self.text() else 0)
        if not self.text():
            width = float(self._height())
        return QSize(round(width + 0.5), self._height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _ground(self) -> tuple[QColor | None, QColor | None, QColor]:
        """Fill, border, ink."""
        look = theme()
        pressed = self.isDown()
        match self._kind:
            case Kind.PRIMARY if self._progress is None:
                fill = QColor(look.color(Token.ACCENT))
                if pressed:
                    fill = fill.darker(112)
                elif self._hover:
                    fill = fill.lighter(106)
                return fill, None, look.color(Token.ON_ACCENT)
            case Kind.DANGER:
                fill = look.color(Token.RAISED if self._hover or pressed else Token.SURFACE)
                return fill, look.color(Token.LINE), look.color(Token.ERROR)
            case Kind.GHOST:
                shade = look.color(Token.RAISED) if self._hover or pressed or self.isChecked() else None
                return shade, None, look.color(Token.TEXT if self._hover or self.text() else Token.MUTED)
            case _:
                fill = look.color(Token.RAISED if self._hover or pressed or self.isChecked() else Token.SURFACE)
                return fill, look.color(Token.LINE), look.color(Token.TEXT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.45)
        rect = QRectF(self.rect())
        radius = float(Measure.RADIUS_CONTROL)
        fill, line, ink = self._ground()
        paint.panel(painter, rect, radius, fill, line)
        if self._progress is not None:
            clip = QPainterPath()
            clip.addRoundedRect(rect.adjusted(1, 1, -1, -1), radius - 1, radius - 1)
            painter.setClipPath(clip)
            done = QRectF(rect.x(), rect.y(), rect.width() * min(1.0, max(0.0, self._progress)), rect.height())
            painter.fillRect(done, theme().tint(Token.ACCENT, Token.SURFACE, 0.28))
            painter.setClipping(False)
        self._paint_content(painter, rect, ink)
        if self._ring and self.hasFocus():
            if self._kind is Kind.PRIMARY and self._progress is None:
                inner = rect.adjusted(2, 2, -2, -2)
                paint.ring(painter, inner, radius - 2, theme().color(Token.ON_ACCENT))
            else:
                paint.ring(painter, rect, radius)

    def _paint_content(self, painter: QPainter, rect: QRectF, ink: QColor) -> None:
        size = self._icon_size()
        gap = 7.0
        words = self.text()
        room = rect.width() - 16
        for part in (self._icon, self._trailing):
            room -= (size + gap) if part and words else 0
        metrics_width = paint.width_of(words, self.font()) if words else 0.0
        if metrics_width > room:
            words = self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, int(room))
            metrics_width = paint.width_of(words, self.font())
        whole = metrics_width
        for part in (self._icon, self._trailing):
            if part:
                whole += size + (gap if words else 0)
        x = rect.x() + (rect.width() - whole) / 2
        y = rect.y() + (rect.height() - size) / 2
        if self._icon:
            icons.draw(painter, self._icon, x, y, size, ink)
            x += size + gap
        if words:
            paint.text(painter, QRectF(x, rect.y(), metrics_width + 2, rect.height()), words, self.font(), ink)
            x += metrics_width + gap
        if self._trailing:
            icons.draw(painter, self._trailing, x, y, size, ink)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._hover = True
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = False
        self.update()
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.click()
            return
        super().keyPressEvent(event)


class IconButton(Button):
    """A square button with a picture alone; `name` is what it does, in words."""

    def __init__(
        self, icon: str, name: str, *, kind: Kind = Kind.GHOST, small: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__("", icon=icon, kind=kind, small=small, name=name, parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)


class LinkButton(QPushButton):
    """Words in the accent colour that do something: "Show all", "Clear"."""

    def __init__(self, text: str, *, style: Text = Text.SECOND_STRONG, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._ring = False
        self._hover = False
        self.setFont(theme().font(style))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAutoDefault(False)

    def sizeHint(self) -> QSize:
        return QSize(round(paint.width_of(self.text(), self.font()) + 8.5), self.fontMetrics().height() + 8)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.45)
        font = QFont(self.font())
        font.setUnderline(self._hover)
        paint.text(painter, QRectF(self.rect()).adjusted(4, 0, 0, 0), self.text(), font, theme().color(Token.ACCENT))
        if self._ring and self.hasFocus():
            paint.ring(painter, QRectF(self.rect()), 5)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._hover = True
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = False
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)


class Chip(QPushButton):
    """An active filter; pressing it (or Delete) removes it: connect `clicked`."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._ring = False
        self._hover = False
        self.setFont(theme().font(Text.CAPTION))
        self.setAccessibleName(f"Remove filter {text}")
        self.setToolTip(f"Remove filter {text}")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAutoDefault(False)

    def sizeHint(self) -> QSize:
        return QSize(round(paint.width_of(self.text(), self.font()) + 40), 22)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        look = theme()
        light = not look.scheme.is_dark
        line = look.color(Token.LINE) if light or look.scheme.is_contrast or self._hover else None
        paint.panel(painter, rect, rect.height() / 2, look.color(Token.SURFACE if light else Token.RAISED), line)
        paint.text(painter, rect.adjusted(11, 0, 0, 0), self.text(), self.font(), look.color(Token.TEXT))
        icons.draw(painter, "x", rect.right() - 23, rect.center().y() - 6, 12, look.color(Token.TEXT))
        if self._ring and self.hasFocus():
            paint.ring(painter, rect, rect.height() / 2)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._hover = True
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = False
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = shows_ring(event)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
        if event.key() in keys:
            self.click()
            return
        super().keyPressEvent(event)


class Badge(QWidget):
    """A small count in a pill, painted over a corner; hidden at zero."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def set_count(self, count: int) -> None:
        self._text = "99+" if count > 99 else str(count)
        self.setFixedSize(max(17, round(paint.width_of(self._text, theme().font(Text.TINY_STRONG)) + 10)), 17)
        self.setVisible(count > 0)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        paint.panel(painter, rect, rect.height() / 2, theme().color(Token.ACCENT))
        painter.setFont(theme().font(Text.TINY_STRONG))
        painter.setPen(theme().color(Token.ON_ACCENT))
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), self._text)


class Dot(QWidget):
    """A state in one small circle; its meaning stands beside it in words."""

    def __init__(self, token: Token, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token = token
        self.setFixedSize(8, 8)

    def set_token(self, token: Token) -> None:
        self._token = token
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint.dot(painter, QPointF(4, 4), 4, theme().color(self._token))
