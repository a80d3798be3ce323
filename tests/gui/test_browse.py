"""Browse: click to command, fact to words; empty, loading, error, full; with the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from icworkshop_gui.core.catalog import PackageId, PackageSummary, Sort
from icworkshop_gui.core.errors import RegistryError, UserError
from icworkshop_gui.engine.api.commands import GetPackage, InstallAll, Resume, Search
from icworkshop_gui.engine.api.snapshots import EngineTotals, SourceState
from icworkshop_gui.gui.models.catalog import CatalogRole
from icworkshop_gui.gui.models.package_state import Standing
from icworkshop_gui.gui.screens.browse.filters import CheckRow, Filters, FilterSheet
from icworkshop_gui.gui.widgets.buttons import Button, Chip
from tests.gui.conftest import Desk
from tests.helpers.fake_engine import FakeEngine
from tests.helpers.sample_content import CATALOG, TOTALS

ABSENT = PackageId("workshop", "starter-campaign")


def button_point(view: Any, package: PackageId) -> QPoint:
    index = view.model.index_of(package)
    view.list.scrollTo(index)
    rect = view.list.visualRect(index)
    delegate = view.list.itemDelegate()
    return delegate.button_rect(rect, index.data(CatalogRole.STATE)).center().toPoint()  # type: ignore[no-any-return]


def titles(view: Any) -> list[str]:
    return [view.model.index(row).data() for row in range(view.model.rowCount())]


def buttons(widget: Any) -> list[str]:
    return [button.text() for button in widget.findChildren(Button) if not button.isHidden()]


def last_query(desk: Desk) -> Any:
    return desk.engine.last(Search).query


def test_first_visit_asks_once_and_shows_all_rows(desk: Desk) -> None:
    view = desk.go("browse")
    assert len(titles(view)) == len(CATALOG)
    assert sum(isinstance(command, Search) for command in desk.engine.commands) == 1
    assert view.results.text() == f"{len(CATALOG)} results"
    assert view.stack.currentWidget() is view.list


def test_painted_button_installs_and_turns_into_progress(desk: Desk) -> None:
    view = desk.go("browse")
    QTest.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=button_point(view, ABSENT))
    desk.settle()
    desk.settle()
    assert desk.engine.last(InstallAll).packages[0][0] == ABSENT
    state = view.model.index_of(ABSENT).data(CatalogRole.STATE)
    assert state.standing is Standing.RUNNING
    assert "downloading" in view.model.index_of(ABSENT).data(Qt.ItemDataRole.AccessibleTextRole)


def test_press_beside_the_button_only_selects(desk: Desk) -> None:
    view = desk.go("browse")
    index = view.model.index_of(ABSENT)
    QTest.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=view.list.visualRect(index).center())
    assert not any(isinstance(command, InstallAll) for command in desk.engine.commands)
    assert view.list.currentIndex() == index


def test_press_that_leaves_the_button_does_nothing(desk: Desk) -> None:
    view = desk.go("browse")
    at = button_point(view, ABSENT)
    QTest.mousePress(view.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    QTest.mouseRelease(view.list.viewport(), Qt.MouseButton.LeftButton, pos=at - QPoint(300, 0))
    assert not any(isinstance(command, InstallAll) for command in desk.engine.commands)


def test_paused_row_resumes(desk: Desk) -> None:
    view = desk.go("browse")
    paused = next(t for t in desk.engine.view.transfers.values() if t.ref and t.ref.name == "polar-tiles-hd")
    QTest.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=button_point(view, paused.ref.package))
    assert desk.engine.last(Resume).transfers == (paused.id,)


def test_refused_install_says_why(desk: Desk) -> None:
    desk.engine.refuse(InstallAll, UserError("There is no room."))
    view = desk.go("browse")
    QTest.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=button_point(view, ABSENT))
    desk.settle()
    assert [toast.text for toast in desk.window.toasts.toasts()] == [
        "Starter Campaign could not be installed. There is no room."
    ]


def test_install_with_the_keyboard_alone(desk: Desk) -> None:
    view = desk.go("browse")
    QTest.keyClick(desk.window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    desk.bot.waitUntil(view.search.edit.hasFocus)
    QTest.keyClicks(view.search.edit, "starter")
    desk.bot.waitUntil(lambda: titles(view) == ["Starter Campaign"])
    QTest.keyClick(view.search.edit, Qt.Key.Key_Down)
    assert view.list.hasFocus()
    QTest.keyClick(view.list, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    desk.settle()
    assert desk.engine.last(InstallAll).packages[0][0] == ABSENT
    QTest.keyClick(view.list, Qt.Key.Key_Return)
    assert desk.window.current == "package"


def test_search_waits_for_typing_to_rest(desk: Desk) -> None:
    view = desk.go("browse")
    QTest.keyClicks(view.search.edit, "dune")
    desk.bot.waitUntil(lambda: titles(view) == ["Iron Dunes"])
    assert sum(isinstance(command, Search) for command in desk.engine.commands) == 2
    assert last_query(desk).sort is Sort.RELEVANCE


def test_answer_to_an_older_search_is_dropped(desk: Desk) -> None:
    view = desk.go("browse")
    desk.engine.hold(Search)
    view.search.set_text("dunes")
    view.search.set_text("balance")
    desk.engine.release(Search)
    desk.settle()
    assert titles(view) == ["Balance"]


def test_tab_asks_for_its_category(desk: Desk) -> None:
    view = desk.go("browse")
    QTest.mouseClick(view.tabs.pill("music"), Qt.MouseButton.LeftButton)
    desk.settle()
    assert last_query(desk).category == "music"
    assert titles(view) == ["Synthwave Front"]


def test_tabs_are_those_the_catalog_has(desk: Desk) -> None:
    view = desk.go("browse")
    assert view.tabs.pill("script").isHidden()
    assert not view.tabs.pill("total-conversion").isHidden()


def test_filter_sheet_with_counts_and_chips(desk: Desk) -> None:
    view = desk.go("browse")
    view.filter_button.click()
    sheet = desk.window.findChild(FilterSheet)
    row = next(row for row in sheet.findChildren(CheckRow) if row.value == "CC0-1.0")
    expected = sum(summary.license == "CC0-1.0" for summary in CATALOG)
    assert row.accessibleName() == f"CC0, {expected}"
    row.click()
    desk.settle()
    assert last_query(desk).licenses == ("CC0-1.0",)
    assert view.filter_button.text() == "Filters (1)"
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    chip = next(chip for chip in view.findChildren(Chip) if not chip.isHidden())
    assert chip.text() == "CC0"
    chip.click()
    desk.settle()
    assert last_query(desk).licenses == ()


def test_backspace_in_the_empty_search_takes_the_last_filter(desk: Desk) -> None:
    view = desk.go("browse")
    view._set_filters(Filters(tags=("classic", "map")))
    view.search.setFocus()
    QTest.keyClick(view.search.edit, Qt.Key.Key_Backspace)
    desk.settle()
    assert last_query(desk).tags == ("classic",)


def test_hide_what_i_have(desk: Desk) -> None:
    view = desk.go("browse")
    installed = {ref.package for ref in desk.engine.view.library}
    view._set_filters(Filters(hide_installed=True))
    shown = {view.model.summary(view.model.index(row)).package for row in range(view.model.rowCount())}
    assert shown
    assert not shown & installed


def test_sort_menu_asks_again(desk: Desk) -> None:
    view = desk.go("browse")
    view._set_sort(Sort.NAME)
    desk.settle()
    assert last_query(desk).sort is Sort.NAME
    assert view.sort_button.text() == "Name"
    assert titles(view) == sorted(titles(view), key=str.lower)


def test_nothing_found_offers_ways_out(desk: Desk) -> None:
    view = desk.go("browse")
    view._set_filters(Filters(category="music", tags=("classic",)))
    view.search.set_text("zeppelin")
    desk.settle()
    assert view.stack.currentWidget() is view.empty
    assert view.empty.title.text() == "Nothing for “zeppelin” in Music"
    assert buttons(view.empty) == ["Search all categories", "Clear filters", "Clear search"]
    next(b for b in view.empty.findChildren(Button) if b.text() == "Search all categories" and not b.isHidden()).click()
    desk.settle()
    assert last_query(desk).category == ""


def test_no_source_offers_to_add_one(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(FakeEngine(totals=EngineTotals()))
    view = desk.go("browse")
    assert view.empty.title.text() == "No Workshop yet"
    assert buttons(view.empty) == ["Add a Workshop"]


def test_unreachable_catalog_says_so_and_tries_again(desk: Desk) -> None:
    desk.engine.refuse(Search, RegistryError("unreachable", "x"))
    view = desk.go("browse")
    assert view.empty.title.text() == "The catalog could not be loaded"
    assert "cannot be reached" in view.empty.text.text()
    desk.engine.accept(Search)
    next(b for b in view.empty.findChildren(Button) if b.text() == "Try again").click()
    desk.settle()
    assert view.stack.currentWidget() is view.list


def test_failed_refresh_keeps_the_old_rows(desk: Desk) -> None:
    view = desk.go("browse")
    desk.engine.refuse(Search, RegistryError("unreachable", "x"))
    QTest.keyClick(desk.window, Qt.Key.Key_F5)
    desk.settle()
    assert view.stack.currentWidget() is view.list
    assert "Could not refresh" in view.results.text()


def test_skeleton_only_after_a_moment(desk: Desk) -> None:
    desk.engine.hold(Search)
    view = desk.go("browse")
    assert view.stack.currentWidget() is not view.skeleton
    desk.bot.waitUntil(lambda: view.stack.currentWidget() is view.skeleton)
    desk.engine.release(Search)
    desk.settle()
    assert view.stack.currentWidget() is view.list


def test_broken_source_is_a_chip_not_an_error(desk: Desk) -> None:
    view = desk.go("browse")
    bad = SourceState(url="http://x", name="Community", ok=False, message="timed out")
    desk.engine.publish(sources=(*TOTALS.sources[:1], bad))
    desk.settle()
    assert buttons(view.faults) == ["Community does not answer"]
    desk.engine.publish(sources=TOTALS.sources[:1])
    desk.settle()
    assert buttons(view.faults) == []


def many(count: int) -> list[PackageSummary]:
    base = CATALOG[0]
    return [
        replace(base, package=PackageId("author", f"package-{n}"), title=f"Package {n}", downloads=count - n)
        for n in range(count)
    ]


def test_endless_paging_by_cursor(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(FakeEngine(catalog=many(180), totals=TOTALS))
    view = desk.go("browse")
    assert view.model.rowCount() < 180
    for _ in range(8):
        view.list.scrollToBottom()
        desk.settle()
    assert view.model.rowCount() == 180
    assert len({row.package for row in view.model._rows}) == 180
    assert view.results.text() == "180 results"


def test_failed_page_is_asked_for_again(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(FakeEngine(catalog=many(120), totals=TOTALS))
    view = desk.go("browse")
    desk.engine.refuse(Search, RegistryError("unreachable", "x"))
    view.list.scrollToBottom()
    desk.settle()
    desk.engine.accept(Search)
    for _ in range(6):
        view.list.scrollToTop()
        view.list.scrollToBottom()
        desk.settle()
    assert view.model.rowCount() == 120


def test_refresh_keeps_the_selection(desk: Desk) -> None:
    view = desk.go("browse")
    index = view.model.index_of(ABSENT)
    view.list.setCurrentIndex(index)
    view.refresh()
    desk.settle()
    assert view.model.summary(view.list.currentIndex()).package == ABSENT


def test_preview_tells_what_it_needs_and_costs(desk: Desk) -> None:
    view = desk.go("browse")
    view.list.setCurrentIndex(view.model.index_of(PackageId("combined-arms", "combined-arms")))
    desk.bot.waitUntil(lambda: any(isinstance(command, GetPackage) for command in desk.engine.commands))
    desk.bot.waitUntil(lambda: view.preview._needs.words.text() == "needs balance")
    desk.settle()
    assert "11 MB" in view.preview._facts.words()


def test_preview_button_is_one_object_through_its_states(desk: Desk) -> None:
    view = desk.go("browse")
    view.list.setCurrentIndex(view.model.index_of(ABSENT))
    button = view.preview.button
    assert button.text() == "Install 33 MB"
    button.click()
    desk.settle()
    assert button.text().startswith("0 % · ")
    transfer = next(t for t in desk.engine.view.transfers.values() if t.ref and t.ref.package == ABSENT)
    desk.engine.change(transfer.id, done=transfer.size // 2, eta=8.0)
    desk.settle()
    assert button.text() == "50 % · 8 s left"
    assert view.preview.button is button


def test_preview_gives_way_in_a_narrow_window(desk: Desk) -> None:
    view = desk.go("browse")
    assert view.preview.isVisible()
    desk.window.resize(1024, 640)
    desk.settle()
    assert not view.preview.isVisible()


@pytest.mark.parametrize("standing", ["not installed", "installed", "paused", "queued"])
def test_rows_speak(desk: Desk, standing: str) -> None:
    view = desk.go("browse")
    spoken = [view.model.index(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(view.model.rowCount())]
    assert any(words.endswith(standing) for words in spoken)


def test_escape_clears_the_search(desk: Desk) -> None:
    view = desk.go("browse", "dunes")
    view.search.setFocus()
    QTest.keyClick(view.search.edit, Qt.Key.Key_Escape)
    desk.settle()
    assert len(titles(view)) == len(CATALOG)
    assert QApplication.focusWidget() is view.search.edit
