"""The window itself: pages and history, strip and notices, toasts and undo, closing and quitting."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

import icworkshop_gui.gui
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.commands import SetSetting, SetSharing
from icworkshop_gui.engine.api.events import EngineFault, TransferFinished
from icworkshop_gui.engine.api.snapshots import Connection, TransferState
from icworkshop_gui.gui.dialogs.shortcuts import LISTS
from icworkshop_gui.gui.resources import resource
from icworkshop_gui.gui.screens import SCREENS
from icworkshop_gui.gui.theme import Mode, Text, theme
from icworkshop_gui.gui.tokens import COLORS, Scheme, Token
from icworkshop_gui.gui.widgets.notice_bar import Notice, Urgency
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import STACK_MAX, Toast
from tests.gui.conftest import Desk
from tests.helpers.fake_engine import FakeEngine

GUI = Path(icworkshop_gui.gui.__file__).parent


def lobby_engine() -> FakeEngine:
    engine = FakeEngine.full()
    assert any(t.tier is Tier.LOBBY_URGENT for t in engine.view.transfers.values())
    return engine


def test_pages_are_built_on_the_first_visit_and_kept(desk: Desk) -> None:
    assert desk.window._screens == {}
    page = desk.go("browse")
    desk.go("package", desk.engine.catalog[0])
    assert desk.go("browse") is page
    assert set(desk.window._screens) == {"browse", "package"}


@pytest.mark.parametrize(("number", "key"), list(enumerate([e.key for e in SCREENS if e.word], 1)))
def test_numbers_choose_pages(desk: Desk, number: int, key: str) -> None:
    desk.go("package", desk.engine.catalog[0])
    QTest.keyClick(desk.window, getattr(Qt.Key, f"Key_{number}"), Qt.KeyboardModifier.ControlModifier)
    assert desk.window.current == key
    assert desk.window.rail.button(key).isChecked()


@pytest.mark.parametrize("keys", [("browse", "library"), ("settings", "downloads")])
def test_tab_reaches_every_part_in_the_order_of_the_eye(desk: Desk, keys: tuple[str, str]) -> None:
    for key in keys:
        page = desk.go(key)
        strip = desk.window.strip
        desk.window.rail.logo.setFocus(Qt.FocusReason.TabFocusReason)
        seen: list[QWidget] = []
        while (inside := desk.window.focusWidget()) not in seen:
            assert inside is not None
            seen.append(inside)
            QTest.keyClick(inside, Qt.Key.Key_Tab)
        assert seen[-4:] == [strip.connection, strip.down, strip.up, strip.disk]
        parts = [
            "header" if page.header.isAncestorOf(widget) else "page"
            for widget in seen
            if page.isAncestorOf(widget) or page.header.isAncestorOf(widget)
        ]
        assert parts == sorted(parts)
        assert set(parts) == {"header", "page"}
        for widget in seen:
            assert widget.accessibleName() or getattr(widget, "text", lambda: "")()


def test_shortcuts_are_listed(desk: Desk) -> None:
    desk.go("browse")
    QTest.keyClick(desk.window, Qt.Key.Key_F1)
    sheet = desk.window._shortcuts
    assert sheet is not None
    listed = {key for keys, _word in sheet.lines for key in keys}
    for action in desk.window.actions():
        for keys in action.shortcuts():
            assert keys.toString() in listed
    QTest.keyClick(desk.window, Qt.Key.Key_F1)
    assert desk.window._shortcuts is sheet
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    assert desk.window._shortcuts is None


def test_every_page_shortcut_is_listed(desk: Desk) -> None:
    for entry in SCREENS:
        desk.go(entry.key, desk.engine.catalog[0] if not entry.word else None)
    listed = {key for _title, lines in LISTS for keys, _word in lines for key in keys}
    found = {shortcut.key().toString() for shortcut in desk.window.findChildren(QShortcut)}
    assert found
    assert found <= listed


def test_settings_are_searched_from_anywhere(desk: Desk) -> None:
    desk.go("browse")
    QTest.keyClick(desk.window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert desk.window.current == "settings"
    assert desk.window.focusWidget() is desk.window.page("settings").search.edit


def test_the_window_fits_the_screen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        def availableGeometry(self) -> QRect:
            return QRect(0, 0, 1280, 700)

    monkeypatch.setattr(desk.window, "screen", Small)
    desk.window._fit_screen()
    assert desk.window.size() == QSize(1280, 700)


def test_history_goes_back_and_forward(desk: Desk) -> None:
    desk.go("browse")
    desk.go("package", desk.engine.catalog[0])
    desk.go("package", desk.engine.catalog[1])
    alt = Qt.KeyboardModifier.AltModifier
    QTest.keyClick(desk.window, Qt.Key.Key_Left, alt)
    assert desk.window.page("package").header.title.text() == desk.engine.catalog[0].title
    QTest.keyClick(desk.window, Qt.Key.Key_Left, alt)
    assert desk.window.current == "browse"
    QTest.keyClick(desk.window, Qt.Key.Key_Right, alt)
    assert desk.window.current == "package"
    desk.go("browse")
    QTest.keyClick(desk.window, Qt.Key.Key_Right, alt)
    assert desk.window.current == "browse"


def test_badge_counts_what_is_under_way(desk: Desk) -> None:
    button = desk.window.rail.button("downloads")
    assert button.accessibleName() == "Downloads, 2 active"
    desk.engine.publish(gone_transfers=list(desk.engine.view.transfers))
    desk.settle()
    assert button.accessibleName() == "Downloads"
    assert button.badge.isHidden()


def test_strip_in_words(desk: Desk) -> None:
    strip = desk.window.strip
    assert strip.connection.words == "Connected · 14 players, 1 server"
    assert strip.down.words == "9.4 MB/s"
    assert strip.up.words == "640 KB/s to 5 players"
    assert strip.disk.words == "118 GB free"
    desk.engine.publish(sharing=False, limit_down=0)
    desk.settle()
    assert strip.up.words == "Sharing is off"
    assert strip.down.words == "Paused"
    assert strip.down.accessibleName() == "Download speed: Paused"


def test_speed_popover_sets_limits(desk: Desk) -> None:
    strip = desk.window.strip
    strip.down.click()
    popover = strip._speeds
    assert popover.isVisible()
    popover.down.slider.setValue(0)
    desk.bot.waitUntil(lambda: any(isinstance(command, SetSetting) for command in desk.engine.commands))
    assert desk.engine.last(SetSetting) == SetSetting("workshop.p2p.max_download_speed", "0 B/s")
    popover.down.slider.setValue(popover.down.slider.maximum())
    desk.bot.waitUntil(lambda: desk.engine.last(SetSetting).value == "unlimited")
    popover.sharing.click()
    assert desk.engine.last(SetSharing) == SetSharing(False)
    QTest.keyClick(popover, Qt.Key.Key_Escape)
    assert not popover.isVisible()


def test_connection_popover_names_the_sources(desk: Desk) -> None:
    desk.window.strip.connection.click()
    popover = desk.window.strip._status
    assert popover.isVisible()
    QTest.mouseClick(desk.window.strip, Qt.MouseButton.LeftButton, pos=desk.window.strip.rect().center())
    assert not popover.isVisible()


def test_offline_is_a_notice_and_goes_again(desk: Desk) -> None:
    desk.engine.publish(connection=Connection.OFFLINE)
    desk.settle()
    assert desk.window.notices.isVisible()
    assert "No Workshop server answers" in desk.window.notices.words.text()
    assert desk.window.strip.connection.words.startswith("Offline")
    desk.engine.publish(connection=Connection.CONNECTED)
    desk.settle()
    assert not desk.window.notices.isVisible()


def test_most_important_notice_wins(desk: Desk) -> None:
    bar = desk.window.notices
    done: list[str] = []
    desk.window.set_notice("a", Notice(urgency=Urgency.TIP, text="tip"))
    disk = Notice(urgency=Urgency.DISK, text="disk", action="Free", on_action=lambda: done.append("disk"))
    desk.window.set_notice("b", disk)
    desk.window.set_notice("c", Notice(urgency=Urgency.METERED, text="metered", closable=True))
    assert bar.words.text() == "disk"
    assert bar._count.text() == "1 of 3"
    bar.action.click()
    assert done == ["disk"]
    bar._next.click()
    assert bar.words.text() == "metered"
    bar._close.click()
    assert bar.words.text() == "disk"
    desk.window.set_notice("b", None)
    assert bar.words.text() == "tip"


def test_finished_download_is_told(desk: Desk) -> None:
    ref = PackageRef("mapsmith", "iron-dunes", "1.0.0")
    desk.engine.tell(TransferFinished(id=TransferId("x"), name="Iron Dunes", ref=ref, folder="f"))
    desk.settle()
    assert [toast.text for toast in desk.window.toasts.toasts()] == ["Iron Dunes is installed."]


def test_fault_of_the_engine_is_told(desk: Desk) -> None:
    desk.engine.tell(EngineFault(message="The list could not be saved.", detail="x"))
    desk.settle()
    assert [toast.text for toast in desk.window.toasts.toasts()] == ["The list could not be saved."]


def test_toasts_are_few_and_the_newest_undo_goes_first(desk: Desk) -> None:
    undone: list[int] = []
    for n in range(STACK_MAX + 2):
        desk.window.toast(Toast(f"Removed {n}", action="Undo", on_action=lambda n=n: undone.append(n)))
    assert [toast.text for toast in desk.window.toasts.toasts()] == [f"Removed {n}" for n in range(2, STACK_MAX + 2)]
    QTest.keyClick(desk.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(desk.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == [STACK_MAX + 1, STACK_MAX]


def test_toast_goes_by_itself_but_not_under_the_pointer(desk: Desk) -> None:
    toast = Toast("Removed", action="Undo", on_action=lambda: None)
    desk.window.toast(toast)
    assert toast.action is not None
    toast.action.setFocus()
    toast._time_is_up()
    assert not toast.isHidden()
    desk.window.rail.button("browse").setFocus()
    toast._time_is_up()
    assert toast.isHidden()


def test_closing_hides_where_there_is_a_tray(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(stays_in_tray=lambda: True)
    hidden: list[bool] = []
    quits: list[bool] = []
    desk.window.hidden.connect(lambda: hidden.append(True))
    desk.window.quitRequested.connect(lambda: quits.append(True))
    QTest.keyClick(desk.window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert not desk.window.isVisible()
    assert (hidden, quits) == ([True], [])
    desk.window.bring_up()
    assert desk.window.isVisible()


def test_closing_quits_without_a_tray(new_desk: Callable[..., Desk]) -> None:
    engine = FakeEngine()
    desk = new_desk(engine)
    with desk.bot.waitSignal(desk.window.quitRequested):
        desk.window.close()


def test_quitting_asks_while_a_lobby_waits(desk: Desk) -> None:
    quits: list[bool] = []
    desk.window.quitRequested.connect(lambda: quits.append(True))
    desk.go("browse")
    QTest.keyClick(desk.window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    sheet = desk.window.findChild(Sheet)
    assert quits == []
    assert QApplication.focusWidget().text() == "Stay"  # type: ignore[attr-defined]
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    assert quits == []
    lobby = next(t for t in desk.engine.view.transfers.values() if t.tier is Tier.LOBBY_URGENT)
    desk.engine.change(lobby.id, state=TransferState.SEEDING)
    desk.settle()
    QTest.keyClick(desk.window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert quits == [True]


def test_size_is_remembered(new_desk: Callable[..., Desk], tmp_path: Path) -> None:
    memory = tmp_path / "deep" / "window.json"
    first = new_desk(FakeEngine(), memory=memory)
    first.window.resize(1024, 700)
    first.window.close()
    assert new_desk(FakeEngine(), memory=memory).window.size() == first.window.size()


@pytest.mark.parametrize("content", ["", "[]", '{"geometry": 3}', '{"geometry": "%%"}', "\x00"])
def test_broken_memory_is_forgotten(new_desk: Callable[..., Desk], tmp_path: Path, content: str) -> None:
    memory = tmp_path / "window.json"
    memory.write_text(content, encoding="utf-8")
    assert new_desk(FakeEngine(), memory=memory).window.width() >= 1024


def test_sheet_keeps_the_focus_inside_and_gives_it_back(desk: Desk) -> None:
    view = desk.go("browse")
    view.filter_button.setFocus()
    view.filter_button.click()
    sheet = desk.window.findChild(Sheet)
    seen = set()
    for _ in range(60):
        inside = QApplication.focusWidget()
        assert sheet.isAncestorOf(inside)
        seen.add(inside)
        QTest.keyClick(inside, Qt.Key.Key_Tab)
    assert len(seen) > 5
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    assert view.filter_button.hasFocus()


@pytest.mark.parametrize(("mode", "scheme"), [(Mode.DARK, Scheme.DARK), (Mode.LIGHT, Scheme.LIGHT)])
def test_theme_changes_at_run_time(desk: Desk, mode: Mode, scheme: Scheme) -> None:
    theme().set_mode(mode)
    desk.settle()
    assert theme().scheme is scheme
    assert desk.window.palette().window().color().name().upper() == COLORS[scheme][Token.BG]


def test_high_contrast_follows_the_system(desk: Desk) -> None:
    theme().set_mode(Mode.CONTRAST)
    assert theme().scheme.is_contrast


def test_reduced_motion_takes_no_time(desk: Desk) -> None:
    theme().set_reduced_motion(True)
    assert theme().duration(150) == 0
    theme().set_reduced_motion(False)
    assert theme().duration(150) == 150
    assert theme().duration(900) == 200


def test_bundled_font_is_there(desk: Desk) -> None:
    assert theme().family == "Inter Variable"
    assert theme().font(Text.TITLE).pointSizeF() > theme().font(Text.BODY).pointSizeF()


# --- rules of the house ---------------------------------------------------------------------------


def sources() -> list[tuple[Path, str]]:
    return [(path.relative_to(GUI), path.read_text(encoding="utf-8")) for path in sorted(GUI.rglob("*.py"))]


def test_no_nested_event_loops() -> None:
    offenders = [str(path) for path, text in sources() if re.search(r"\.exec\(|\.exec_\(|processEvents\(", text)]
    assert offenders == []


def test_every_icon_is_used_and_there() -> None:
    text = "\n".join(text for _path, text in sources())
    folder = resource("icons", "search.svg").parent
    names = {path.stem for path in folder.glob("*.svg")}
    assert {name for name in names if f'"{name}"' not in text} == set()
    asked = set(re.findall(r'icon(?:_name)?="([a-z0-9-]+)"', text))
    assert asked - names == set()
    assert (folder / "LICENSE-Lucide.txt").is_file()
    assert (folder.parent / "fonts" / "LICENSE-Inter.txt").is_file()


def test_no_hex_colours_in_widgets() -> None:
    # The rail replaces the two colours of the mark's own file by those of the scheme.
    rooms = ("widgets", "screens", "dialogs")
    offenders = [
        path.name
        for path, text in sources()
        if any(room in path.parts for room in rooms) and re.search(r'"#[0-9A-Fa-f]{6}"', text)
    ]
    assert offenders == ["rail.py"]


def hungry(root: QWidget) -> list[QWidget]:
    """Visible widgets that take the focus."""
    return [
        widget
        for widget in root.findChildren(QWidget)
        if widget.isVisibleTo(root.window()) and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]


@pytest.mark.parametrize("key", ["browse", "package"])
def test_everything_focusable_has_a_name(desk: Desk, key: str) -> None:
    desk.go(key, desk.engine.catalog[0] if key == "package" else None)
    nameless = [
        repr(widget)
        for widget in hungry(desk.window)
        if not widget.accessibleName() and not getattr(widget, "text", lambda: "")()
    ]
    assert nameless == []


@pytest.mark.parametrize("key", ["browse", "package"])
def test_tab_reaches_everything(desk: Desk, key: str) -> None:
    desk.go(key, desk.engine.catalog[0] if key == "package" else None)
    desk.window.activateWindow()
    desk.window.rail.button("browse").setFocus()
    reached = set()
    for _ in range(80):
        inside = QApplication.focusWidget()
        reached.add(inside)
        QTest.keyClick(inside, Qt.Key.Key_Tab)
    missed = [repr(widget) for widget in hungry(desk.window) if widget not in reached]
    assert missed == []


@pytest.mark.parametrize("size", [(1024, 640), (1280, 720), (1280, 800), (1920, 1080)])
@pytest.mark.parametrize("key", ["browse", "package"])
def test_nothing_is_cut_off(desk: Desk, key: str, size: tuple[int, int]) -> None:
    desk.go(key, desk.engine.catalog[1] if key == "package" else None)
    desk.window.resize(*size)
    desk.settle()
    for widget in hungry(desk.window):
        rect = widget.rect().translated(widget.mapTo(desk.window, widget.rect().topLeft()))
        assert desk.window.rect().contains(rect), (widget, rect)
        if hasattr(widget, "text"):
            assert widget.width() >= widget.minimumSizeHint().width(), (widget, widget.text())
