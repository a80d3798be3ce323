"""The one window: rail, header, notice bar, pages, status strip, toasts. It constructs and connects; no business."""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QMimeData, QSize, Qt, QUrl, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QIcon
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.events import EngineFault, Event, ReleaseStaged, TransferFinished
from icworkshop_gui.engine.api.snapshots import Connection, EngineTotals, TransferState
from icworkshop_gui.gui.actions import ActionSpec, install_actions
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.dialogs.shortcuts import ShortcutsSheet
from icworkshop_gui.gui.format import clipped
from icworkshop_gui.gui.links import links
from icworkshop_gui.gui.pictures import Pictures
from icworkshop_gui.gui.resources import resource
from icworkshop_gui.gui.reviews import Reviews
from icworkshop_gui.gui.screens import SCREENS, ScreenEntry
from icworkshop_gui.gui.screens.base import Screen
from icworkshop_gui.gui.theme import theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.torrents import Torrents
from icworkshop_gui.gui.update_sizes import UpdateSizes
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.notice_bar import Notice, NoticeBar, Urgency
from icworkshop_gui.gui.widgets.rail import Rail
from icworkshop_gui.gui.widgets.sheet import Sheet, confirm_sheet
from icworkshop_gui.gui.widgets.status_strip import StatusStrip
from icworkshop_gui.gui.widgets.toast import Toast, ToastStack

log = logging.getLogger("icw.gui.window")

HISTORY_MAX = 100
ACTIVE = frozenset(
    {TransferState.CHECKING, TransferState.DOWNLOADING, TransferState.VERIFYING, TransferState.INSTALLING}
)
"""States that the badge of Downloads counts."""


class MainWindow(QMainWindow):
    """Implements `screens.base.Shell`.

    Signals:
        quitRequested(): the player wants the program to end; whoever owns the engine shuts down in order.
        hidden(): the window went to the tray.
    """

    quitRequested = Signal()
    hidden = Signal()

    def __init__(
        self,
        bridge: EngineBridge,
        *,
        memory: Path | None = None,
        stays_in_tray: Callable[[], bool] = lambda: False,
        screens: Sequence[ScreenEntry] = SCREENS,
    ) -> None:
        """`memory`: the file that keeps size and page. `stays_in_tray`: does closing only hide the window?"""
        super().__init__()
        theme()
        self._bridge = bridge
        self._memory = memory
        self._stays_in_tray = stays_in_tray
        self._entries = {entry.key: entry for entry in screens}
        self._screens: dict[str, Screen] = {}
        self._history: list[tuple[str, object]] = []
        self._at = -1
        self._quitting = False
        self._shortcuts: ShortcutsSheet | None = None
        self._pictures = Pictures(bridge, self)
        self._reviews = Reviews(self, self)
        self.torrents = Torrents(self, self)
        self._update_sizes = UpdateSizes(bridge, self)
        self._body = QWidget()
        self.setWindowTitle("IC Workshop")
        self.setWindowIcon(QIcon(str(resource("app-icon.svg"))))
        self.setMinimumSize(*Measure.WINDOW_MIN)
        self.setAcceptDrops(True)
        self._fit_screen()
        self._build([entry for entry in screens if entry.word])
        self._connect()
        self._remember()

    def _build(self, railed: Sequence[ScreenEntry]) -> None:
        body = self._body
        self.setCentralWidget(body)
        self.rail = Rail([(entry.key, entry.word, entry.icon, entry.at_bottom) for entry in railed])
        self._headers = QStackedWidget()
        self._headers.setFixedHeight(Measure.HEADER)
        self.notices = NoticeBar()
        self._pages = QStackedWidget()
        self.strip = StatusStrip(
            self._bridge, body, lambda: self.go("connection"), lambda: self.go("library", "installed")
        )
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        column = QVBoxLayout()
        column.setSpacing(0)
        row.addWidget(self.rail)
        row.addLayout(column, 1)
        column.addWidget(self._headers)
        column.addWidget(self.notices)
        column.addWidget(self._pages, 1)
        column.addWidget(self.strip)
        self.toasts = ToastStack(body)
        pages = [
            ActionSpec((f"Ctrl+{number}",), entry.word, partial(self.go, entry.key))
            for number, entry in enumerate(railed, 1)
        ]
        self._specs = [
            *pages,
            ActionSpec(("Ctrl+F", "/"), "Search", self._focus_search),
            ActionSpec(("Ctrl+K",), "Search settings", self._search_settings),
            ActionSpec(("Ctrl+,",), "Open settings", lambda: self.go("settings")),
            ActionSpec(("F5",), "Refresh", self._refresh),
            ActionSpec(("Ctrl+Z",), "Undo", self._undo),
            ActionSpec(("Ctrl+O",), "Add a torrent file", self.add_torrent),
            ActionSpec(("Ctrl+V",), "Add what was copied", self._paste),
            ActionSpec(("Alt+Left",), "Back", self.back),
            ActionSpec(("Alt+Right",), "Forward", self.forward),
            ActionSpec(("F1", "Ctrl+?"), "This list", self._show_shortcuts),
            ActionSpec(("Ctrl+W",), "Close window", self.close),
            ActionSpec(("Ctrl+Q",), "Quit", self.request_quit),
        ]
        self.actions_by_word = install_actions(self, self._specs)

    def _connect(self) -> None:
        self.rail.chosen.connect(self.go)
        self.rail.logo.clicked.connect(self._open_program_menu)
        self._bridge.totalsChanged.connect(self._totals)
        self._bridge.transfersChanged.connect(self._count_transfers)
        self._bridge.eventHappened.connect(self._event)
        self._bridge.failed.connect(self._failed)
        self._count_transfers()
        self._totals(self._bridge.view.totals)

    # --- Shell -----------------------------------------------------------------------------------

    @property
    def bridge(self) -> EngineBridge:
        return self._bridge

    @property
    def pictures(self) -> Pictures:
        return self._pictures

    @property
    def reviews(self) -> Reviews:
        return self._reviews

    @property
    def current(self) -> str:
        """Key of the page that is shown; empty before the first one."""
        return self._history[self._at][0] if self._at >= 0 else ""

    def page(self, key: str) -> Screen:
        """The page, built now if it was never visited."""
        found = self._screens.get(key)
        if found is None:
            module, _colon, name = self._entries[key].where.partition(":")
            found = self._screens[key] = getattr(importlib.import_module(module), name)(self)
            self._headers.addWidget(found.header)
            self._pages.addWidget(found)
            self._put_strip_last()
        return found

    def _put_strip_last(self) -> None:
        """Tab goes as the eye does: rail, header, page, status strip; a page that is built later would come last."""
        before = self.previousInFocusChain()
        while before is not None and before is not self and before.focusPolicy() == Qt.FocusPolicy.NoFocus:
            before = before.previousInFocusChain()  # Qt takes no such widget as the one to come after
        assert before is not None
        for button in (self.strip.connection, self.strip.down, self.strip.up, self.strip.disk):
            QWidget.setTabOrder(before, button)
            before = button

    def go(self, key: str, argument: object = None) -> None:
        """Show a page and note it in the history."""
        if (key, argument) != (self._history[self._at] if self._at >= 0 else None):
            del self._history[self._at + 1 :]
            self._history.append((key, argument))
            del self._history[:-HISTORY_MAX]
            self._at = len(self._history) - 1
        self._show()

    def back(self) -> None:
        """To the page before; from the first one, to the first screen of the table."""
        if self._at > 0:
            self._at -= 1
            self._show()
        elif self.current != next(iter(self._entries)):
            self.go(next(iter(self._entries)))

    def forward(self) -> None:
        """Undo `back`."""
        if self._at + 1 < len(self._history):
            self._at += 1
            self._show()

    def _show(self) -> None:
        key, argument = self._history[self._at]
        before = self._pages.currentWidget()
        page = self.page(key)
        if isinstance(before, Screen) and before is not page:
            before.leave()
        self._headers.setCurrentWidget(page.header)
        self._pages.setCurrentWidget(page)
        # A page that is only reached from others belongs to Browse.
        self.rail.choose(key if self._entries[key].word else next(iter(self._entries)))
        page.visit(argument)

    def toast(self, toast: Toast) -> None:
        self.toasts.add(toast)

    def set_notice(self, key: str, notice: Notice | None) -> None:
        self.notices.set_notice(key, notice)

    def open_sheet(self, sheet: Sheet, focus: QWidget | None = None) -> None:
        sheet.open_over(self._body, focus)

    # --- facts -----------------------------------------------------------------------------------

    def _totals(self, totals: EngineTotals) -> None:
        offline = totals.connection is Connection.OFFLINE and bool(totals.sources)
        notice = Notice(
            urgency=Urgency.OFFLINE,
            text="No Workshop server answers. You see what was seen before; downloads go on by themselves.",
            action="Show sources",
            on_action=lambda: self.go("settings", "sources"),
        )
        self.set_notice("offline", notice if offline else None)

    def _count_transfers(self, _delta: object = None) -> None:
        active = sum(t.state in ACTIVE and not t.cleared for t in self._bridge.view.transfers.values())
        self.rail.button("downloads").set_count(active, "active")

    def _event(self, event: Event) -> None:
        match event:
            case TransferFinished(name=name, ref=ref):
                word = "installed" if ref is not None else "complete"
                action = "Show" if ref is not None else ""
                self.toast(
                    Toast(f"{clipped(name)} is {word}.", action=action, on_action=lambda: self.go("library", ref))
                )
            case ReleaseStaged(ref=ref, title=title):
                self.toast(
                    Toast(
                        f"{clipped(title)} {ref.version} is here and waits for your click.",
                        icon="bell-ring",
                        token=Token.ACCENT,
                        action="Show",
                        on_action=lambda: self.go("library", "subscriptions"),
                    )
                )
            case EngineFault(message=message):
                self.toast(Toast(clipped(message), icon="triangle-alert", token=Token.ERROR))

    def _failed(self, words: str) -> None:
        self.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))

    # --- shortcuts -------------------------------------------------------------------------------

    def _current_screen(self) -> Screen | None:
        return self._screens.get(self.current)

    def _focus_search(self) -> None:
        page = self._current_screen()
        if page is None or not page.focus_search():
            self.go("browse")
            self.page("browse").focus_search()

    def _search_settings(self) -> None:
        self.go("settings")
        self.page("settings").focus_search()

    def _show_shortcuts(self) -> None:
        if self._shortcuts is None:
            self._shortcuts = ShortcutsSheet(self._specs)
            self._shortcuts.closed.connect(self._shortcuts_closed)
            self.open_sheet(self._shortcuts, self._shortcuts.area)

    def _shortcuts_closed(self) -> None:
        self._shortcuts = None

    def _refresh(self) -> None:
        page = self._current_screen()
        if page is not None:
            page.refresh()

    def _undo(self) -> None:
        inside = QApplication.focusWidget()
        if isinstance(inside, QLineEdit) and inside.isUndoAvailable():
            inside.undo()
        else:
            self.toasts.undo()

    def add_torrent(self) -> None:
        self.torrents.ask_for_file(self)

    def _paste(self) -> None:
        if not self.torrents.open(_texts(QApplication.clipboard().mimeData())):
            words = "What was copied is neither a torrent file nor a magnet link."
            self.toast(Toast(words, icon="info", token=Token.MUTED))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if links(_texts(event.mimeData())):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        self.torrents.open(_texts(event.mimeData()))
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()

    def _open_program_menu(self) -> None:
        """Where there is no title bar (a console's game mode), this is the way out."""
        menu = Menu(self)
        menu.entry("Settings", partial(self.go, "settings"), icon_name="settings")
        menu.entry("Keyboard shortcuts", self._show_shortcuts, icon_name="keyboard")
        menu.entry("Close window", self.close, icon_name="x")
        menu.entry("Quit", self.request_quit, icon_name="power")
        menu.open_below(self.rail.logo)

    # --- life ------------------------------------------------------------------------------------

    def request_quit(self) -> None:
        """End the program; asks first while a lobby waits for a download."""
        lobby = [
            transfer
            for transfer in self._bridge.view.transfers.values()
            if transfer.tier is Tier.LOBBY_URGENT and transfer.state in (*ACTIVE, TransferState.QUEUED)
        ]
        if not lobby or self._quitting:
            self._quit_now()
            return
        self.bring_up()
        text = f"{clipped(lobby[0].name)} is still on its way, and a lobby waits for it."
        self.open_sheet(confirm_sheet("Quit now?", text, "Quit", self._quit_now, danger=True, no="Stay"))

    def _quit_now(self) -> None:
        self._quitting = True
        self._save()
        self.hide()
        self.quitRequested.emit()

    def bring_up(self) -> None:
        """Show the window to the player, from the tray or from behind."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._save()
        if self._quitting:
            event.accept()
            return
        event.ignore()
        if self._stays_in_tray():
            self.hide()
            self.hidden.emit()
        else:
            self.request_quit()

    def shut_down(self) -> None:
        """After the engine is closed: let go of threads."""
        self._quitting = True
        self._pictures.close()

    def _fit_screen(self) -> None:
        """The size of the drawings, or what the screen has room for: a handheld's panel takes its share."""
        screen = self.screen()
        room = screen.availableGeometry().size() if screen is not None else QSize(*Measure.WINDOW)
        self.resize(QSize(*Measure.WINDOW).boundedTo(room))

    def _remember(self) -> None:
        if self._memory is None:
            return
        try:
            kept = json.loads(self._memory.read_text(encoding="utf-8"))
            self.restoreGeometry(QByteArray(base64.b64decode(kept["geometry"], validate=True)))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
            log.info("window memory unreadable, defaults are used: %s", error)

    def _save(self) -> None:
        if self._memory is None:
            return
        geometry = base64.b64encode(bytes(self.saveGeometry().data())).decode("ascii")
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            self._memory.write_text(json.dumps({"geometry": geometry}), encoding="utf-8")
        except OSError as error:
            log.info("window memory not saved: %s", error)


def _texts(data: QMimeData) -> list[str]:
    """What was dropped or copied: addresses as they are, else lines of text."""
    return [url.toString(QUrl.ComponentFormattingOption.FullyEncoded) for url in data.urls()] or [data.text()]
