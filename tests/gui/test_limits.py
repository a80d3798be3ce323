"""Limits in the window: what is in force, why, slow mode, and the schedule rule by rule."""

from __future__ import annotations

import time
from typing import Any

from icworkshop_gui.core.schedule import RULES_MAX, Mode
from icworkshop_gui.engine.api.commands import SetSetting, SetSlowMode
from icworkshop_gui.engine.api.snapshots import EngineTotals, LimitCause
from icworkshop_gui.gui import limits
from icworkshop_gui.gui.screens.settings.schedule import ScheduleEditor
from icworkshop_gui.gui.tray import Tray

SCHEDULE = "workshop.p2p.schedule"


def sent(desk: Any, kind: type) -> list[Any]:
    return [command for command in desk.engine.commands if isinstance(command, kind)]


def test_slow_mode_from_the_side_column_and_its_sliders(desk: Any) -> None:
    panel = desk.go("downloads").side.limits.panel
    panel.slow.click()
    desk.settle()
    assert sent(desk, SetSlowMode) == [SetSlowMode(True)]
    assert (panel.down.rate, panel.up.rate, panel.reason.text()) == (200_000, 50_000, "Switched on by hand")
    assert not panel.ignore.isVisible()
    assert desk.window.strip.down.words.endswith("slow mode")
    panel.down.rateChosen.emit(100_000)
    desk.settle()
    assert sent(desk, SetSetting) == [SetSetting("workshop.p2p.slow_download_speed", "100 kB/s")]
    panel.slow.click()
    desk.settle()
    assert sent(desk, SetSlowMode)[-1] == SetSlowMode(False)
    assert not panel.reason.isVisible()


def test_a_rule_of_the_schedule_says_so_and_can_be_ignored(desk: Any) -> None:
    panel = desk.go("downloads").side.limits.panel
    desk.engine.publish(limit_down=7000, limit_up=0, limit_cause=LimitCause.SCHEDULE, limit_until=time.time() + 3600)
    desk.settle()
    assert panel.reason.text().startswith("By schedule until ")
    assert not panel.down.isEnabled()
    assert desk.window.strip.down.words.endswith("by schedule")
    panel.ignore.click()
    desk.settle()
    assert sent(desk, SetSlowMode) == [SetSlowMode(False)]


def test_the_tray_has_slow_mode(desk: Any) -> None:
    tray = Tray(desk.bridge, is_available=lambda: False)
    tray.slow.trigger()
    desk.settle()
    assert sent(desk, SetSlowMode) == [SetSlowMode(True)]
    assert tray.slow.isChecked()
    tray.close()


def test_which_settings_the_sliders_change() -> None:
    assert limits.keys(EngineTotals()) == limits.ORDINARY
    assert limits.keys(EngineTotals(limit_cause=LimitCause.SLOW, limit_slow=True)) == limits.SLOW
    assert limits.keys(EngineTotals(limit_cause=LimitCause.SCHEDULE)) is None
    assert limits.until(None) == ""
    assert len(limits.until(time.time() + 3 * 86400).split()) == 3


def test_a_rule_is_added_changed_and_removed(desk: Any) -> None:
    page = desk.go("settings", "Speed")
    row = page.rows[SCHEDULE]
    editor = row.control.editor
    editor.add.click()
    desk.settle()
    assert row.value == "mon-fri 18:00-23:00 slow"
    rule = editor.editors[0]
    rule._days[5].click()
    rule.start.setText("9:30")
    rule.start.editingFinished.emit()
    rule.mode.pill(Mode.RATES).click()
    rule.down.setText("2 MB/s")
    rule.down.editingFinished.emit()
    desk.settle()
    assert row.value == "mon-sat 09:30-23:00 down 2 MB/s up unlimited"
    assert editor.editors[0] is rule
    rule.end.setText("25:00")
    rule.end.editingFinished.emit()
    assert rule.end.text() == "23:00"
    editor.add.click()
    editor.editors[0].removed.emit()
    desk.settle()
    assert row.value == "mon-fri 18:00-23:00 slow"
    row.reset.click()
    desk.settle()
    assert (row.value, editor.editors, editor.none.isVisible()) == ("", [], True)


def test_a_rule_keeps_a_day(qtbot: Any) -> None:
    editor = ScheduleEditor()
    qtbot.addWidget(editor)
    editor.set_text("tue 1:00-2:00 paused")
    told: list[str] = []
    editor.edited.connect(told.append)
    editor.editors[0]._days[1].click()
    assert editor.rules[0].days == {1}
    assert editor.editors[0]._days[1].isChecked()
    assert told == []


def test_there_are_only_so_many_rules(qtbot: Any) -> None:
    editor = ScheduleEditor()
    qtbot.addWidget(editor)
    editor.set_text("; ".join(["daily 1:00-2:00 slow"] * RULES_MAX))
    assert not editor.add.isEnabled()
