"""The small shared widgets, each by what a player does to it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from icworkshop_gui.gui.icons import icon
from icworkshop_gui.gui.licenses import license_words
from icworkshop_gui.gui.requirements import requirement_words
from icworkshop_gui.gui.theme import Mode, theme
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Chip, IconButton, Kind, LinkButton
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.labels import ElidedLabel, Label
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.rate_slider import STEPS, RateSlider, nearest_step
from icworkshop_gui.gui.widgets.row_list import RowItem, RowList
from icworkshop_gui.gui.widgets.search_field import TEXT_MAX, SearchField
from icworkshop_gui.gui.widgets.sheet import confirm_sheet
from icworkshop_gui.gui.widgets.switch import Switch
from icworkshop_gui.gui.widgets.tabs import PillTabs


@pytest.fixture(autouse=True)
def _look(qapp: object) -> None:
    theme().set_mode(Mode.DARK)
    theme().set_reduced_motion(True)


def shown(bot: QtBot, widget: QWidget) -> None:
    bot.addWidget(widget)
    with bot.waitActive(widget):
        widget.show()
        widget.activateWindow()


def host_with(bot: QtBot, *children: QWidget) -> QWidget:
    host = QWidget()
    column = QVBoxLayout(host)
    for child in children:
        column.addWidget(child)
    shown(bot, host)
    return host


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter])
@pytest.mark.parametrize(
    "make", [lambda: Button("Go"), lambda: IconButton("x", "Close"), lambda: LinkButton("All"), lambda: Chip("a")]
)
def test_buttons_by_keyboard(qtbot: QtBot, make: object, key: Qt.Key) -> None:
    button = make()  # type: ignore[operator]
    shown(qtbot, button)
    with qtbot.waitSignal(button.clicked):
        QTest.keyClick(button, key)


def test_picture_button_has_a_name_and_a_tooltip(qtbot: QtBot) -> None:
    button = IconButton("x", "Close")
    qtbot.addWidget(button)
    assert (button.accessibleName(), button.toolTip()) == ("Close", "Close")


def test_button_keeps_its_room_for_words_and_icons(qtbot: QtBot) -> None:
    plain, rich = Button("Update"), Button("Update", icon="refresh-cw", trailing="chevron-down")
    for button in (plain, rich):
        qtbot.addWidget(button)
    assert rich.sizeHint().width() > plain.sizeHint().width() + 30
    assert plain.sizeHint().height() == 36
    assert Button("x", small=True).sizeHint().height() == 30


def test_button_paints_its_kinds_apart(qtbot: QtBot) -> None:
    pictures: list[QImage] = []
    for kind in Kind:
        button = Button("Go", kind=kind)
        qtbot.addWidget(button)
        button.resize(button.sizeHint())
        pictures.append(button.grab().toImage())
    assert len({bytes(picture.constBits()) for picture in pictures}) == len(Kind)


def test_ring_is_for_the_keyboard(qtbot: QtBot) -> None:
    first, second = Button("One"), Button("Two")
    _host = host_with(qtbot, first, second)
    first.setFocus(Qt.FocusReason.MouseFocusReason)
    assert not first._ring
    QTest.keyClick(first, Qt.Key.Key_Tab)
    assert second.hasFocus()
    assert second._ring


def test_switch(qtbot: QtBot) -> None:
    switch = Switch("Sharing")
    shown(qtbot, switch)
    QTest.mouseClick(switch, Qt.MouseButton.LeftButton)
    assert switch.isChecked()
    assert switch._place == 1.0
    QTest.keyClick(switch, Qt.Key.Key_Return)
    assert not switch.isChecked()


@pytest.mark.parametrize(
    ("rate", "words"), [(None, "Unlimited"), (0, "Paused"), (1_000_000, "1.0 MB/s"), (20_000, "20 KB/s")]
)
def test_rate_slider_speaks_words(qtbot: QtBot, rate: int | None, words: str) -> None:
    slider = RateSlider("arrow-down", "Download limit")
    qtbot.addWidget(slider)
    slider.set_rate(rate)
    assert slider.slider.accessibleDescription() == words
    assert STEPS[slider.slider.value()] == rate


def test_rate_slider_tells_once_after_a_drag(qtbot: QtBot) -> None:
    slider = RateSlider("arrow-down", "Download limit")
    shown(qtbot, slider)
    told: list[int | None] = []
    slider.rateChosen.connect(told.append)
    for value in (5, 4, 3):
        slider.slider.setValue(value)
    slider.set_rate(None)
    qtbot.waitUntil(lambda: told == [STEPS[3]])
    assert slider.rate == STEPS[3]


def test_rate_slider_jumps_to_the_pointer_and_ignores_a_passing_wheel(qtbot: QtBot) -> None:
    slider = RateSlider("arrow-down", "Download limit")
    shown(qtbot, slider)
    QTest.mouseClick(slider.slider, Qt.MouseButton.LeftButton, pos=QPoint(2, 11))
    assert slider.rate == 0
    slider.slider.clearFocus()
    assert slider.slider.value() == 0


@pytest.mark.parametrize(("rate", "step"), [(1, 1), (10**12, len(STEPS) - 2), (-5, 0), (640_000, STEPS.index(640_000))])
def test_nearest_step(rate: int, step: int) -> None:
    assert nearest_step(rate) == step


def test_search_field_tells_after_a_rest_and_at_once_on_enter(qtbot: QtBot) -> None:
    field = SearchField("Search", delay=30)
    shown(qtbot, field)
    told: list[str] = []
    field.searched.connect(told.append)
    QTest.keyClicks(field.edit, "abc")
    assert told == []
    qtbot.waitUntil(lambda: told == ["abc"])
    QTest.keyClicks(field.edit, "d")
    QTest.keyClick(field.edit, Qt.Key.Key_Return)
    assert told == ["abc", "abcd"]
    QTest.keyClick(field.edit, Qt.Key.Key_Escape)
    assert told[-1] == ""


def test_search_text_is_bounded(qtbot: QtBot) -> None:
    field = SearchField("Search")
    qtbot.addWidget(field)
    field.edit.setText("x" * (TEXT_MAX + 50))
    assert len(field.text()) == TEXT_MAX


def test_tabs_are_one_stop_and_arrows_choose(qtbot: QtBot) -> None:
    tabs = PillTabs([("a", "A"), ("b", "B"), ("c", "C")], "Letters")
    after = Button("after")
    _host = host_with(qtbot, tabs, after)
    chosen: list[str] = []
    tabs.chosen.connect(chosen.append)
    tabs.pill("a").setFocus()
    tabs.set_shown("b", False)
    QTest.keyClick(tabs.pill("a"), Qt.Key.Key_Right)
    assert (chosen, tabs.current) == (["c"], "c")
    QTest.keyClick(tabs.pill("c"), Qt.Key.Key_Right)
    assert tabs.current == "c"
    QTest.keyClick(tabs.pill("c"), Qt.Key.Key_Tab)
    assert after.hasFocus()


def test_tabs_follow_the_writing_direction(qtbot: QtBot) -> None:
    tabs = PillTabs([("a", "A"), ("b", "B")], "Letters")
    tabs.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    _host = host_with(qtbot, tabs)
    QTest.keyClick(tabs.pill("a"), Qt.Key.Key_Left)
    assert tabs.current == "b"


def test_confirm_sheet_has_a_safe_default(qtbot: QtBot) -> None:
    host = host_with(qtbot, Button("below"))
    host.resize(800, 600)
    done: list[str] = []
    sheet = confirm_sheet("Sure?", "It is gone then.", "Delete", lambda: done.append("yes"), danger=True)
    sheet.open_over(host)
    focused = sheet.window().focusWidget()
    assert isinstance(focused, Button)
    assert focused.text() == "Cancel"
    QTest.keyClick(focused, Qt.Key.Key_Tab)
    yes = sheet.window().focusWidget()
    assert isinstance(yes, Button)
    QTest.keyClick(yes, Qt.Key.Key_Return)
    assert done == ["yes"]
    assert sheet.isHidden()


def test_click_on_the_veil_closes(qtbot: QtBot) -> None:
    host = host_with(qtbot, Button("below"))
    host.resize(800, 600)
    sheet = confirm_sheet("Sure?", "Really.", "Yes", lambda: pytest.fail("agreed"))
    sheet.open_over(host)
    QTest.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=sheet.panel.geometry().center())
    assert sheet.isVisible()
    QTest.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    assert sheet.isHidden()


def test_row_list_by_mouse_and_keyboard(qtbot: QtBot) -> None:
    rows = RowList("Versions")
    shown(qtbot, rows)
    rows.resize(500, 300)
    rows.set_rows([RowItem(key="1", title="1.0", button="Install"), RowItem(key="2", title="0.9", right="Installed")])
    pressed: list[str] = []
    opened: list[str] = []
    rows.pressed.connect(pressed.append)
    rows.opened.connect(opened.append)
    first = rows.visualRect(rows.rows.index(0))
    delegate = rows.itemDelegate()
    button = delegate.button_rect(first, rows.rows.row(rows.rows.index(0)))  # type: ignore[attr-defined]
    QTest.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=first.center())
    assert pressed == []
    QTest.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=button.center().toPoint())
    QTest.keyClick(rows, Qt.Key.Key_Down)
    QTest.keyClick(rows, Qt.Key.Key_Return)
    assert (pressed, opened) == (["1"], ["2"])


def test_row_list_keeps_the_current_row(qtbot: QtBot) -> None:
    rows = RowList("Versions")
    qtbot.addWidget(rows)
    rows.set_rows([RowItem(key=key, title=key) for key in "abc"])
    rows.setCurrentIndex(rows.rows.index(1))
    rows.set_rows([RowItem(key=key, title=key) for key in "xxabc"[1:]])
    assert rows.rows.row(rows.currentIndex()).key == "b"  # type: ignore[union-attr]


def test_row_model_keeps_the_rules(qtmodeltester: object) -> None:
    rows = RowList("Versions")
    qtmodeltester.check(rows.rows)  # type: ignore[attr-defined]
    for keys in ("ab", "abc", "", "c"):
        rows.set_rows([RowItem(key=key, title=key) for key in keys])
        assert rows.rows.rowCount() == len(keys)


def test_empty_state_replaces_its_actions(qtbot: QtBot) -> None:
    state = EmptyState("package", "Nothing", "")
    shown(qtbot, state)
    state.add_action(Button("One"))
    state.set("search", "Other", "words " * 30)
    state.add_action(Button("Two"))
    qtbot.waitUntil(lambda: [b.text() for b in state.findChildren(Button) if not b.isHidden()] == ["Two"])
    assert state.text.height() >= state.text.heightForWidth(state.text.width())


def test_elided_label_shows_all_in_its_tooltip(qtbot: QtBot) -> None:
    label = ElidedLabel("a long title that cannot fit")
    shown(qtbot, label)
    label.resize(60, 20)
    label.grab()
    assert label.toolTip() == label.text()
    label.resize(900, 20)
    label.grab()
    assert label.toolTip() == ""


def test_labels_never_read_markup(qtbot: QtBot) -> None:
    label = Label("<b>x</b>")
    qtbot.addWidget(label)
    assert label.textFormat() is Qt.TextFormat.PlainText


def test_labels_follow_the_theme(qtbot: QtBot) -> None:
    label = Label("x", token=Token.MUTED)
    qtbot.addWidget(label)
    theme().set_mode(Mode.LIGHT)
    assert label.palette().windowText().color() == theme().color(Token.MUTED)


def test_icons_follow_the_theme(qtbot: QtBot) -> None:
    picture = icon("check", Token.TEXT)
    dark = picture.pixmap(24).toImage()
    theme().set_mode(Mode.LIGHT)
    assert picture.pixmap(24).toImage() != dark


@pytest.mark.qt_log_ignore("grabbing the keyboard", extend=True)
def test_menu_frees_itself(qtbot: QtBot) -> None:
    host = host_with(qtbot, Button("x"))
    menu = Menu(host)
    done: list[int] = []
    action = menu.entry("Do", lambda: done.append(1), icon_name="check", checked=True)
    gone = qtbot.waitSignal(menu.destroyed)
    with gone:
        menu.popup(QPoint(10, 10))
        action.trigger()
        menu.hide()
        host.event(QEvent(QEvent.Type.None_))
    assert done == [1]


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("^2.1", "2.1 or newer, below 3"),
        ("1.2.3", "1.2.3 or newer, below 2"),
        ("^0.3", "0.3 or newer, below 0.4"),
        ("^0.0.3", "0.0.3 or newer, below 0.0.4"),
        ("^0", "0 or newer, below 1"),
        ("~1.2.3", "1.2.3 or newer, below 1.3"),
        ("~1", "1 or newer, below 2"),
        ("=1.0.0", "exactly 1.0.0"),
        (">=1.5", "1.5 or newer"),
        ("*", "any version"),
        (">1, <2", ">1, <2"),
        ("\u202e^1", "^1"),
    ],
)
def test_requirements_in_words(requirement: str, words: str) -> None:
    assert requirement_words(requirement) == words


def test_licences_in_words() -> None:
    assert license_words("CC0-1.0").meaning == "Free for every use"
    assert license_words("").name == "Not stated"
    assert license_words("LicenseRef-Odd").name == "LicenseRef-Odd"
