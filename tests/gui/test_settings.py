"""Settings: every row found, every kind edited, what does not fit said beside it, sources with a check."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from icworkshop_gui.core.errors import RegistryError, UserError
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.settings import SETTINGS
from icworkshop_gui.engine.api.snapshots import SourceState
from icworkshop_gui.gui import prefs as window_prefs
from icworkshop_gui.gui.prefs import BY_KEY, FIRST_RUN_DONE, PREFS, PREFS_BYTES_MAX, THEME, Prefs, prefs, shown
from icworkshop_gui.gui.screens.settings import SettingsScreen, entries
from icworkshop_gui.gui.screens.settings.rows import ChoiceControl, RateControl, SwitchControl, TextControl
from icworkshop_gui.gui.tokens import Token
from tests.helpers.desk import Desk
from tests.helpers.fake_engine import FakeEngine

UP = "workshop.p2p.max_upload_speed"
SLOTS = "workshop.p2p.upload_slots"
SHARING = "workshop.p2p.sharing"
SMALL = "workshop.p2p.http_below"


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    window_prefs.install(None)
    made = Desk(FakeEngine.full())
    yield made
    made.close()


@pytest.fixture
def page(desk: Desk) -> SettingsScreen:
    return desk.page("settings", SettingsScreen)


def visible_rows(page: SettingsScreen) -> set[str]:
    return {key for key, row in page.rows.items() if row.isVisibleTo(page)}


def type_into(control: TextControl, text: str) -> None:
    control.field.setFocus()
    control.field.selectAll()
    QTest.keyClicks(control.field, text)
    QTest.keyClick(control.field, Qt.Key.Key_Return)


def test_every_setting_has_a_row_in_its_category(desk: Desk, page: SettingsScreen) -> None:
    assert set(page.rows) == {row.key for row in SETTINGS} | {pref.key for pref in shown()}
    seen: set[str] = set()
    for category in entries.categories():
        page.choose(category)
        desk.settle()
        found = visible_rows(page)
        assert all(page.rows[key].entry.category == category for key in found)
        seen |= found
    assert seen == set(page.rows)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("bandwidth upload", UP),
        ("throttle", UP),
        ("unchoke", SLOTS),
        ("dark", THEME),
        ("fewer players", SLOTS),
        (UP, UP),
    ],
)
def test_found_by_label_help_synonym_and_key(desk: Desk, page: SettingsScreen, text: str, key: str) -> None:
    page.search.set_text(text)
    assert key in visible_rows(page)


def test_search_without_a_hit(desk: Desk, page: SettingsScreen) -> None:
    page.search.set_text("flux capacitor")
    desk.settle()
    assert not visible_rows(page)
    assert "No setting matches" in [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    page.search.clear()
    assert visible_rows(page)


def test_a_switch_acts_at_once(desk: Desk, page: SettingsScreen) -> None:
    control = page.rows[SHARING].control
    assert isinstance(control, SwitchControl)
    control.switch.click()
    assert desk.engine.last(c.SetSetting) == c.SetSetting(SHARING, "false")
    desk.settle()
    assert page.rows[SHARING].value == "false"


def test_a_changed_value_says_its_default_and_goes_back(desk: Desk, page: SettingsScreen) -> None:
    page.choose("Sharing")
    row = page.rows[UP]
    assert not row.reset.isVisibleTo(row)
    desk.engine.publish(settings=((UP, "5 MB/s"),))
    desk.settle()
    assert row.default.text() == "Default: 1.0 MB/s"
    assert row.reset.isVisibleTo(row)
    row.reset.click()
    assert desk.engine.last(c.SetSetting) == c.SetSetting(UP, "1 MB/s")
    desk.settle()
    assert not row.reset.isVisibleTo(row)


def test_a_number_that_does_not_fit_is_said_beside_it(desk: Desk, page: SettingsScreen) -> None:
    page.choose("Sharing")
    row = page.rows[SLOTS]
    assert isinstance(row.control, TextControl)
    type_into(row.control, "900")
    assert row.error.text() == "Players served at once, per package: at most 100."
    assert row.value == "8"
    assert not any(isinstance(command, c.SetSetting) for command in desk.engine.commands)
    QTest.keyClick(row.control.field, Qt.Key.Key_Escape)
    assert row.control.field.text() == "8"
    type_into(row.control, "12")
    assert desk.engine.last(c.SetSetting) == c.SetSetting(SLOTS, "12")
    desk.settle()
    assert row.error.text() == ""


def test_what_the_engine_refuses_is_said_beside_it(desk: Desk, page: SettingsScreen) -> None:
    desk.engine.refuse(c.SetSetting, UserError("The file cannot be written."))
    control = page.rows[SHARING].control
    assert isinstance(control, SwitchControl)
    control.switch.click()
    desk.settle()
    assert page.rows[SHARING].error.text() == "The file cannot be written."
    assert control.switch.isChecked(), "the last good value holds"


def test_slider_and_figure_stay_in_step(desk: Desk, page: SettingsScreen, qtbot: QtBot) -> None:
    control = page.rows[UP].control
    assert isinstance(control, RateControl)
    with qtbot.waitSignal(control.edited):
        control.slider.setValue(control.slider.maximum())
    assert desk.engine.last(c.SetSetting) == c.SetSetting(UP, "unlimited")
    desk.settle()
    page.choose("Sharing")
    type_into(control, "250 kB/s")
    assert desk.engine.last(c.SetSetting) == c.SetSetting(UP, "250 kB/s")
    desk.settle()
    assert 0 < control.slider.value() < control.slider.maximum()
    with qtbot.waitSignal(control.edited):
        control.slider.setValue(0)
    assert desk.engine.last(c.SetSetting) == c.SetSetting(UP, "0 B/s")


def test_typing_is_not_disturbed_by_news(desk: Desk, page: SettingsScreen) -> None:
    page.choose("Downloads")
    control = page.rows[SMALL].control
    assert isinstance(control, TextControl)
    desk.window.activateWindow()
    control.field.setFocus()
    QApplication.processEvents()
    control.field.selectAll()
    QTest.keyClicks(control.field, "7 M")
    desk.engine.publish(settings=((SMALL, "9 MB"),))
    desk.settle()
    assert control.field.text() == ("7 M" if control.field.hasFocus() else "9 MB")


def test_theme_is_a_wish_of_the_window(desk: Desk, page: SettingsScreen) -> None:
    control = page.rows[THEME].control
    assert isinstance(control, ChoiceControl)
    control.tabs.pill("light").click()
    assert prefs().get(THEME) == "light"
    assert page.rows[THEME].value == "light"
    assert not any(isinstance(command, c.SetSetting) for command in desk.engine.commands)


def test_visit_opens_a_category(desk: Desk, page: SettingsScreen) -> None:
    desk.window.go("settings", "sources")
    desk.settle()
    assert page.sources.isVisible()
    assert [row.note.text() for row in page.sources.rows] == [
        "http://127.0.0.1:19710 · 1,284 packages",
        "https://mirror.example · does not answer",
    ]


def test_a_source_is_checked_before_it_is_added(desk: Desk, page: SettingsScreen) -> None:
    page.visit("sources")
    sources = page.sources
    desk.engine.hold(c.AddSource)
    sources.url.setText("workshop.example")
    sources.add.click()
    assert desk.engine.last(c.AddSource) == c.AddSource("https://workshop.example")
    assert (sources.add.text(), sources.add.isEnabled()) == ("Checking…", False)
    desk.engine.release(c.AddSource)
    desk.settle()
    assert [row.state.url for row in sources.rows][-1] == "https://workshop.example"
    assert sources.url.text() == ""
    desk.engine.refuse(c.AddSource, RegistryError("unreachable", "no answer"))
    sources.url.setText("http://nowhere.example")
    QTest.keyClick(sources.url, Qt.Key.Key_Return)
    desk.settle()
    assert sources.error.text().startswith("The Workshop cannot be reached.")
    assert sources.url.text() == "http://nowhere.example", "to be put right, not typed again"


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("workshop.example", "https://workshop.example"),
        ("git+https://index.example", "git+https://index.example"),
        ("/media/stick/packages", "/media/stick/packages"),
    ],
)
def test_servers_indexes_and_folders(desk: Desk, page: SettingsScreen, typed: str, asked: str) -> None:
    page.visit("sources")
    page.sources.url.setText(typed)
    QTest.keyClick(page.sources.url, Qt.Key.Key_Return)
    assert desk.engine.last(c.AddSource) == c.AddSource(asked)


def test_sources_have_an_order(desk: Desk, page: SettingsScreen) -> None:
    page.visit("sources")
    first, second = page.sources.rows
    assert (first.up.isEnabled(), first.down.isEnabled()) == (False, True)
    assert (second.up.isEnabled(), second.down.isEnabled()) == (True, False)
    second.up.click()
    desk.settle()
    assert desk.engine.last(c.MoveSource) == c.MoveSource("https://mirror.example", 0)
    assert [row.state.url for row in page.sources.rows] == ["https://mirror.example", "http://127.0.0.1:19710"]


def test_sources_are_asked_again(desk: Desk, page: SettingsScreen) -> None:
    page.visit("sources")
    desk.engine.hold(c.CheckSources)
    page.sources.check.click()
    assert (page.sources.check.text(), page.sources.check.isEnabled()) == ("Checking…", False)
    desk.engine.release(c.CheckSources)
    desk.settle()
    assert (page.sources.check.text(), page.sources.check.isEnabled()) == ("Check all", True)


def test_a_source_that_cannot_be_believed(desk: Desk, page: SettingsScreen) -> None:
    page.visit("sources")
    liar = SourceState(url="https://liar.example", name="Liar", message="it took a release back", distrusted=True)
    desk.engine.publish(sources=(liar,))
    desk.settle()
    (row,) = page.sources.rows
    assert row.note.text() == "https://liar.example · not believed: it took a release back"
    assert row.note.token is Token.ERROR
    assert row.up.isHidden()


def test_a_source_is_removed_with_undo(desk: Desk, page: SettingsScreen) -> None:
    page.visit("sources")
    page.sources.rows[1].remove.click()
    assert desk.engine.last(c.RemoveSource) == c.RemoveSource("https://mirror.example")
    desk.settle()
    assert len(page.sources.rows) == 1
    desk.undo()
    assert desk.engine.last(c.AddSource) == c.AddSource("https://mirror.example")


def test_no_source_at_all(qtbot: QtBot) -> None:
    desk = Desk(FakeEngine())
    page = desk.page("settings", SettingsScreen, "Sources")
    shown_words = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    assert "No source yet. Add one to see what there is to install." in shown_words
    desk.close()


def test_values_in_words() -> None:
    rows = {row.key: row for row in SETTINGS}
    assert entries.value_words(rows[UP], "unlimited") == "Unlimited"
    assert entries.value_words(rows[UP], "0 B/s") == "Paused"
    assert entries.value_words(rows[SMALL], "5 MB") == "5.0 MB"
    assert entries.value_words(rows[SMALL], "nonsense") == "nonsense"
    assert entries.value_words(BY_KEY[THEME], "system") == "As the system"


# --- prefs -----------------------------------------------------------------------------------------


def test_prefs_survive_a_restart(qapp: QApplication, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "window.json"
    first = Prefs(path)
    said: list[str] = []
    first.changed.connect(said.append)
    first.set(THEME, "light")
    first.set(THEME, "light")
    assert said == [THEME]
    assert Prefs(path).get(THEME) == "light"
    with pytest.raises(ValueError, match="cannot be"):
        first.set(THEME, "pink")


@pytest.mark.parametrize("bad", [b"{", b"[]", b"\xff\xfe", b'{"a":' * 5000, b'"' + b"x" * PREFS_BYTES_MAX + b'"'])
def test_an_unreadable_file_is_set_aside(qapp: QApplication, tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "window.json"
    path.write_bytes(bad)
    found = Prefs(path)
    assert found.set_aside
    assert found.get(THEME) == "system"
    assert path.with_suffix(".bad").read_bytes() == bad
    found.set(FIRST_RUN_DONE, "true")
    assert Prefs(path).on(FIRST_RUN_DONE)


def test_foreign_values_are_ignored(qapp: QApplication, tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    path.write_text('{"ui.theme": "pink", "ui.reduced_motion": true, "else": "x", "ui.close_to_tray": "false"}')
    found = Prefs(path)
    assert (found.get(THEME), found.on("ui.reduced_motion"), found.on("ui.close_to_tray")) == ("system", False, False)
    assert all(pref.fits(pref.default) for pref in PREFS)
