"""The strip at the foot of the window: connection, speeds, free space. Each is a real button with a popover."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QWidget

from icworkshop_gui.engine.api.commands import SetSharing
from icworkshop_gui.engine.api.snapshots import Connection, EngineTotals
from icworkshop_gui.gui import icons, limits
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.format import clipped, count, rate, size
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import Button, Dot
from icworkshop_gui.gui.widgets.card import Line
from icworkshop_gui.gui.widgets.focus import shows_ring
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label
from icworkshop_gui.gui.widgets.limits_panel import LimitsPanel
from icworkshop_gui.gui.widgets.popover import Popover
from icworkshop_gui.gui.widgets.switch import Switch


class StripButton(QAbstractButton):
    """A picture or a dot, a strong word, a quiet word."""

    def __init__(self, name: str, icon: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._icon = icon
        self._dot: Token | None = None
        self._strong = ""
        self._quiet = ""
        self._ring = False
        self.setAccessibleName(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(Measure.STATUS - 4)

    @property
    def words(self) -> str:
        """What it says, in one line."""
        return f"{self._strong} {self._quiet}".strip()

    def set_words(self, strong: str, quiet: str = "", dot: Token | None = None) -> None:
        if (strong, quiet, dot) == (self._strong, self._quiet, self._dot):
            return
        self._strong, self._quiet, self._dot = strong, quiet, dot
        self.setAccessibleName(f"{self._name}: {self.words}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        look = theme()
        wide = paint.width_of(self._strong, look.font(Text.CAPTION_STRONG)) + 22
        if self._quiet:
            wide += paint.width_of(self._quiet, look.font(Text.CAPTION)) + 4
        return QSize(round(wide + 7), Measure.STATUS - 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self.underMouse():
            paint.panel(painter, rect, 6, look.color(Token.RAISED))
        middle = rect.center().y()
        if self._dot is not None:
            paint.dot(painter, QPointF(10, middle), 4, look.color(self._dot))
        else:
            icons.draw(painter, self._icon, 3, middle - 7, 14, look.color(Token.MUTED))
        x = 20.0
        strong, quiet = look.font(Text.CAPTION_STRONG), look.font(Text.CAPTION)
        paint.text(painter, QRectF(x, 0, rect.width(), rect.height()), self._strong, strong, look.color(Token.TEXT))
        x += paint.width_of(self._strong, strong) + 4
        paint.text(painter, QRectF(x, 0, rect.width(), rect.height()), self._quiet, quiet, look.color(Token.MUTED))
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


def connection_words(totals: EngineTotals) -> tuple[str, str, Token]:
    """Strong word, quiet words, colour of the dot."""
    if totals.connection is Connection.STARTING:
        return "Starting", "", Token.WARN
    if totals.connection is Connection.OFFLINE:
        players = f"· {count(totals.peers, 'player', 'players')}" if totals.peers else "· no server answers"
        return "Offline", players, Token.WARN
    servers = sum(source.ok for source in totals.sources)
    return "Connected", f"· {count(totals.peers, 'player', 'players')}, {count(servers, 'server', 'servers')}", Token.OK


class StatusStrip(QWidget):
    """Fed with EngineTotals; opens its popovers over `host`."""

    def __init__(
        self,
        bridge: EngineBridge,
        host: QWidget,
        show_connection: Callable[[], object],
        show_storage: Callable[[], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._host = host
        self._show_connection = show_connection
        self.setFixedHeight(Measure.STATUS)
        self.connection = StripButton("Connection")
        self.down = StripButton("Download speed", "arrow-down")
        self.up = StripButton("Upload speed", "arrow-up")
        self.disk = StripButton("Free space", "hard-drive")
        row = QHBoxLayout(self)
        row.setContentsMargins(Measure.MARGIN - 6, 1, Measure.MARGIN - 6, 0)
        row.setSpacing(10)
        for button in (self.connection, self.down, self.up):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.disk)
        self._speeds = _SpeedPopover(bridge, host)
        self._status = _ConnectionPopover(host, self._to_connection)
        self.connection.clicked.connect(self._open_status)
        self.down.clicked.connect(self._open_speeds)
        self.up.clicked.connect(self._open_speeds)
        self.disk.clicked.connect(show_storage)
        bridge.totalsChanged.connect(self.show_totals)
        self.show_totals(bridge.view.totals)

    def show_totals(self, totals: EngineTotals) -> None:
        """Put the facts into words."""
        self.connection.set_words(*connection_words(totals))
        down = "Paused" if totals.paused_all or totals.limit_down == 0 else rate(totals.rate_down)
        self.down.set_words(down, limits.short(totals))
        if not totals.sharing:
            self.up.set_words("Sharing is off")
        else:
            receivers = f"to {count(totals.uploading_to, 'player', 'players')}" if totals.uploading_to else ""
            self.up.set_words(rate(totals.rate_up), receivers)
        self.disk.set_words(size(totals.disk_free), "free")
        if self._speeds.isVisible():
            self._speeds.show_totals(totals)
        if self._status.isVisible():
            self._status.show_totals(totals)

    def _open_status(self) -> None:
        self._status.show_totals(self._bridge.view.totals)
        self._status.open_at(self.connection)

    def _open_speeds(self) -> None:
        anchor = self.sender()
        self._speeds.show_totals(self._bridge.view.totals)
        self._speeds.open_at(anchor if isinstance(anchor, QWidget) else self.down)

    def _to_connection(self) -> None:
        self._status.close_popover()
        self._show_connection()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme().color(Token.RAIL))
        painter.fillRect(0, 0, self.width(), 1, theme().color(Token.LINE))


class _SpeedPopover(Popover):
    """Both limits and the sharing switch."""

    def __init__(self, bridge: EngineBridge, host: QWidget) -> None:
        super().__init__(host, 300)
        self._bridge = bridge
        self.setAccessibleName("Speed limits")
        self.panel = LimitsPanel(bridge)
        self.down, self.up = self.panel.down, self.panel.up
        self.sharing = Switch("Share with others")
        self.column.addWidget(self.panel)
        self.column.addWidget(Line())
        row = QHBoxLayout()
        row.addWidget(Label("Share what I have", Text.SECOND), 1)
        row.addWidget(self.sharing)
        self.column.addLayout(row)
        self.sharing.clicked.connect(self._set_sharing)

    def show_totals(self, totals: EngineTotals) -> None:
        self.panel.show_totals(totals)
        self.sharing.setChecked(totals.sharing)

    def _set_sharing(self, on: bool) -> None:
        self._bridge.send(SetSharing(on))


class _ConnectionPopover(Popover):
    """Plain words about the connection, the sources one by one, one action."""

    def __init__(self, host: QWidget, show_connection: Callable[[], object]) -> None:
        super().__init__(host, 320)
        self.setAccessibleName("Connection")
        self._title = Label("", Text.ITEM)
        self._text = Label("", Text.SECOND, Token.MUTED, wrap=True)
        self._rows: list[QWidget] = []
        self.column.addWidget(self._title)
        self.column.addWidget(self._text)
        self._action = Button("More about the connection", small=True)
        self._action.clicked.connect(show_connection)
        self.column.addWidget(self._action)

    def show_totals(self, totals: EngineTotals) -> None:
        strong, _quiet, _dot = connection_words(totals)
        self._title.setText(strong)
        port = f"Others find you at port {totals.listen_port}." if totals.listen_port else "No port is open for others."
        dht = f" {totals.dht_nodes} nodes of the DHT are known." if totals.dht_nodes else ""
        match totals.connection:
            case Connection.OFFLINE:
                words = "No Workshop server answers. What you have keeps working, and downloads go on by themselves."
            case Connection.STARTING:
                words = "Asking the Workshop servers."
            case _:
                words = f"Bytes come from players first, the server helps. {port}{dht}"
        self._text.setText(words)
        for row in self._rows:
            row.deleteLater()
        self._rows = []
        for place, source in enumerate(totals.sources[:6]):
            row = QWidget()
            line = QHBoxLayout(row)
            line.setContentsMargins(0, 0, 0, 0)
            line.setSpacing(8)
            line.addWidget(Dot(Token.OK if source.ok else Token.WARN))
            line.addWidget(ElidedLabel(clipped(source.name or source.url), Text.SECOND), 1)
            state = "answers" if source.ok else clipped(source.message) or "not reachable"
            line.addWidget(Label(state[:40], Text.CAPTION, Token.MUTED))
            self.column.insertWidget(2 + place, row)
            self._rows.append(row)
