"""The tray: a menu that is never the only way to anything, and an icon that may come late or never (gui.md B9)."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import Event, TransferFinished
from icworkshop_gui.engine.api.snapshots import EngineTotals
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.resources import resource

LOOK_MS = 5000
LOOKS_MAX = 24
"""For two minutes after the start: a desktop may bring its tray up after us."""
QUIET_MS = 10_000
"""Finished downloads are told together once none has finished for this long."""


def speeds(totals: EngineTotals) -> str:
    """The title line of the menu."""
    line = f"↓ {words.rate(totals.rate_down)}  ↑ {words.rate(totals.rate_up)}"
    if totals.uploading_to:
        line += f" – {words.count(totals.uploading_to, 'player', 'players')}"
    return line


class Tray(QObject):
    """Signals: openWanted(str): show the window, on this page when not empty. quitWanted()."""

    openWanted = Signal(str)
    quitWanted = Signal()

    def __init__(
        self,
        bridge: EngineBridge,
        *,
        is_available: Callable[[], bool] = QSystemTrayIcon.isSystemTrayAvailable,
        in_front: Callable[[], bool] = lambda: False,
        may_tell: Callable[[], bool] = lambda: True,
        parent: QObject | None = None,
    ) -> None:
        """`in_front`: is our window the active one? `may_tell`: does the player want to hear of finished downloads?"""
        super().__init__(parent)
        self._bridge = bridge
        self._is_available = is_available
        self._in_front = in_front
        self._may_tell = may_tell
        self._icon: QSystemTrayIcon | None = None
        self._finished: dict[TransferId, str] = {}
        self._looks = 0
        self.menu = QMenu()
        self._build_menu()
        bridge.totalsChanged.connect(self._totals)
        bridge.eventHappened.connect(self._event)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(QUIET_MS)
        self._quiet.timeout.connect(self._tell_finished)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()
        self._totals(bridge.view.totals)
        self.look()

    @property
    def is_shown(self) -> bool:
        """Is there an icon that the player can find us by?"""
        return self._icon is not None and self._is_available()

    def _build_menu(self) -> None:
        self.speed_line = self._entry("", lambda: None)
        self.speed_line.setEnabled(False)
        self.menu.addSeparator()
        self._entry("Open", lambda: self.openWanted.emit(""))
        self.pause = self._entry("Pause all", self._toggle_pause)
        self.sharing = self._entry("Share my packages", self._toggle_sharing)
        self.sharing.setCheckable(True)
        self.slow = self._entry("Slow mode", self._toggle_slow)
        self.slow.setCheckable(True)
        self.menu.addSeparator()
        self._entry("Downloads", lambda: self.openWanted.emit("downloads"))
        self._entry("Settings", lambda: self.openWanted.emit("settings"))
        self.menu.addSeparator()
        self._entry("Quit", self.quitWanted.emit)

    def _entry(self, text: str, run: Callable[[], object]) -> QAction:
        action = self.menu.addAction(text)
        action.triggered.connect(lambda _checked=False: run())
        return action

    def look(self) -> None:
        """Is there a tray by now? Makes the icon when there is, and looks again for two minutes when not."""
        self._looks += 1
        if self._icon is None and self._is_available():
            self._icon = QSystemTrayIcon(_picture(paused=False, working=False), self)
            self._icon.setContextMenu(self.menu)
            self._icon.activated.connect(self._activated)
            self._totals(self._bridge.view.totals)
            self._icon.show()
        if self._icon is not None or self._looks >= LOOKS_MAX:
            self._timer.stop()

    def tell(self, title: str, text: str) -> None:
        """A notification of the system, where there is an icon to send it."""
        if self._icon is not None:
            self._icon.showMessage(title, text, self._icon.icon(), QUIET_MS)

    def close(self) -> None:
        self._timer.stop()
        self._quiet.stop()
        if self._icon is not None:
            self._icon.hide()
        self.menu.deleteLater()

    def _totals(self, totals: EngineTotals) -> None:
        self.speed_line.setText(speeds(totals))
        self.pause.setText("Resume all" if totals.paused_all else "Pause all")
        self.sharing.setChecked(totals.sharing)
        self.slow.setChecked(totals.limit_slow)
        if self._icon is not None:
            self._icon.setIcon(_picture(paused=totals.paused_all, working=totals.rate_down > 0))
            self._icon.setToolTip(f"IC Workshop\n{speeds(totals)}")

    def _toggle_pause(self) -> None:
        self._bridge.send(c.Resume() if self._bridge.view.totals.paused_all else c.Pause())

    def _toggle_sharing(self) -> None:
        self._bridge.send(c.SetSharing(not self._bridge.view.totals.sharing))

    def _toggle_slow(self) -> None:
        self._bridge.send(c.SetSlowMode(not self._bridge.view.totals.limit_slow))

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.openWanted.emit("")

    def _event(self, event: Event) -> None:
        if isinstance(event, TransferFinished) and not self._in_front() and self._may_tell():
            transfer = self._bridge.view.transfers.get(event.id)
            if transfer is None or transfer.tier is not Tier.BACKGROUND:
                self._finished[event.id] = words.clipped(event.name)
                self._quiet.start()

    def _tell_finished(self) -> None:
        names, self._finished = list(self._finished.values()), {}
        if names and not self._in_front():
            first = ", ".join(names[:3])
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            self.tell("Downloads finished", first + more)


_kept: dict[tuple[bool, bool], QIcon] = {}


def _picture(*, paused: bool, working: bool) -> QIcon:
    """The program's icon; with two bars while all is paused, with a dot while bytes come in. Never animated."""
    found = _kept.get((paused, working))
    if found is not None:
        return found
    base = QIcon(str(resource("app-icon.svg")))
    icon = QIcon()
    for size in (16, 22, 24, 32, 48, 64):
        pixmap = QPixmap(base.pixmap(size, size))
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if paused:
            painter.fillRect(pixmap.rect(), QColor(0, 0, 0, 90))
            bar = size // 6
            for x in (size // 2 - bar - bar // 2, size // 2 + bar // 2):
                painter.fillRect(x, size // 4, bar, size // 2, QColor("#FFFFFF"))
        elif working:
            painter.setPen(QColor("#0F1216"))
            painter.setBrush(QColor("#4CC38A"))
            dot = size * 0.42
            painter.drawEllipse(int(size - dot), int(size - dot), int(dot) - 1, int(dot) - 1)
        painter.end()
        icon.addPixmap(pixmap)
    _kept[(paused, working)] = icon
    return icon
