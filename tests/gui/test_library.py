"""Library: click to frozen command, undo, search, verification outcomes, empty, normal, error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF, Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import IntegrityError, UserError
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.dialogs.review import ReviewSheet
from icworkshop_gui.gui.models.library import Look, Order
from icworkshop_gui.gui.models.package_state import PackageState, Standing
from icworkshop_gui.gui.screens.library import LibraryScreen
from icworkshop_gui.gui.screens.library.rows import Part, parts_of
from icworkshop_gui.gui.screens.library.storage import color_of, storage_words
from icworkshop_gui.gui.tokens import AREA_INK, AREAS, Scheme, area_color, contrast
from icworkshop_gui.gui.widgets.install_button import InstallButton
from icworkshop_gui.gui.widgets.treemap import CELLS_MAX, Cell, merged, squarify
from tests.helpers.desk import Desk, choose, texts
from tests.helpers.fake_engine import FakeEngine
from tests.helpers.sample_content import LIBRARY, MB, TOTALS, entry

REFS = {e.title: e.ref for e in LIBRARY}
ARMS, POLAR, DESERT, DUNES, VOICES = (
    REFS[name] for name in ("Combined Arms", "Polar Tiles HD", "Desert Showdown", "Iron Dunes", "Classic Voices")
)


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    made = Desk(FakeEngine.full())
    yield made
    made.close()


@pytest.fixture
def page(desk: Desk) -> LibraryScreen:
    return desk.page("library", LibraryScreen)


def press(desk: Desk, page: LibraryScreen, ref: PackageRef, part: Part) -> None:
    index = page.model.index_of(ref)
    page.list.scrollTo(index)
    row = page.model.row_at(index)
    assert row is not None
    desk.press_part(page.list, index, parts_of(row, QRectF(page.list.visualRect(index)))[part])


def look(page: LibraryScreen, ref: PackageRef) -> tuple[Look, str]:
    row = page.model.row_at(page.model.index_of(ref))
    assert row is not None
    return row.look, row.state


def test_everything_installed_is_there(desk: Desk, page: LibraryScreen) -> None:
    assert page.header.subtitle.text() == "6 packages"
    assert set(texts(page.model)) == set(REFS)
    assert page.storage.words.text().startswith("1.87 GB in one copy")
    assert page.selection.free.text() == "118 GB free"


def test_remove_is_at_once_and_can_be_undone(desk: Desk, page: LibraryScreen) -> None:
    desk.engine.hold(c.RemovePackage)
    page.list.choose(DESERT)
    desk.key(page.list, Qt.Key.Key_Delete)
    assert desk.engine.last(c.RemovePackage) == c.RemovePackage(DESERT, False)
    assert not page.model.index_of(DESERT).isValid(), "gone before the engine has answered"
    assert desk.toasts == ["Removed Desert Showdown – frees 4.2 MB"]
    desk.engine.release(c.RemovePackage)
    desk.settle()
    desk.undo()
    assert desk.engine.last(c.UndoRemove) == c.UndoRemove(DESERT)
    assert page.model.index_of(DESERT).isValid()


def test_remove_that_fails_brings_the_row_back(desk: Desk, page: LibraryScreen) -> None:
    desk.engine.refuse(c.RemovePackage, UserError("The game is using it."))
    choose(page.actions_.menu(page._entry(DESERT), page), "Remove · frees 4.2 MB")  # type: ignore[arg-type]
    desk.settle()
    assert page.model.index_of(DESERT).isValid()
    assert "The game is using it." in desk.toasts


def test_what_others_need_is_asked_about(desk: Desk, page: LibraryScreen) -> None:
    page.list.choose(POLAR)
    desk.key(page.list, Qt.Key.Key_Delete)
    sheet = desk.sheet()
    assert isinstance(sheet, ReviewSheet)
    assert [row.why for row in sheet.list.rows.rows] == ["asked for by you", "needs Polar Tiles HD"]
    assert not any(isinstance(command, c.RemovePackage) for command in desk.engine.commands)
    desk.press(sheet, "Cancel")
    desk.key(page.list, Qt.Key.Key_Delete)
    desk.press(desk.sheet(), "Remove all 2 · frees 310 MB")
    asked = [command for command in desk.engine.commands if isinstance(command, c.RemovePackage)]
    assert asked == [c.RemovePackage(ARMS, True), c.RemovePackage(POLAR, True)]
    desk.undo()
    back = [command for command in desk.engine.commands if isinstance(command, c.UndoRemove)]
    assert back == [c.UndoRemove(POLAR), c.UndoRemove(ARMS)]


def test_several_at_once(desk: Desk, page: LibraryScreen) -> None:
    press(desk, page, DESERT, Part.TICK)
    page.list.choose(DUNES)
    desk.key(page.list, Qt.Key.Key_Space)
    assert (page.selection.ticked.text(), page.selection.frees.text()) == ("2 selected", "frees 10 MB")
    desk.press(page.selection, "Remove")
    asked = {command.ref for command in desk.engine.commands if isinstance(command, c.RemovePackage)}
    assert asked == {DESERT, DUNES}
    assert desk.toasts == ["Removed 2 packages – frees 10 MB"]


def test_ticks_can_be_cleared(desk: Desk, page: LibraryScreen) -> None:
    press(desk, page, DESERT, Part.TICK)
    desk.press(page.selection, "Clear")
    assert not page.model.ticked
    press(desk, page, DESERT, Part.TICK)
    press(desk, page, DESERT, Part.TICK)
    assert not page.model.ticked


def test_verify_shows_work_and_outcome(desk: Desk, page: LibraryScreen) -> None:
    desk.engine.hold(c.VerifyPackage)
    choose(page.actions_.menu(page._entry(DESERT), page), "Verify files")  # type: ignore[arg-type]
    assert desk.engine.last(c.VerifyPackage) == c.VerifyPackage(DESERT)
    assert look(page, DESERT) == (Look.CHECKING, "Checking files")
    desk.engine.release(c.VerifyPackage)
    desk.settle()
    assert look(page, DESERT) == (Look.INSTALLED, "Installed · 12 files checked, all good")


def test_a_damaged_package_is_repaired(desk: Desk, page: LibraryScreen) -> None:
    assert look(page, VOICES)[0] is Look.DAMAGED
    press(desk, page, VOICES, Part.BUTTON)
    assert desk.engine.last(c.VerifyPackage) == c.VerifyPackage(VOICES, True)
    desk.settle()
    assert look(page, VOICES) == (Look.INSTALLED, "Installed · 1 file was damaged, being repaired")


def test_verify_all_goes_one_after_the_other(desk: Desk, page: LibraryScreen) -> None:
    desk.engine.hold(c.VerifyPackage)
    desk.press(page.header, "Verify all")
    assert sum(isinstance(command, c.VerifyPackage) for command in desk.engine.commands) == 1
    assert not page.verify_all.isEnabled()
    desk.engine.release(c.VerifyPackage)
    for _ in LIBRARY:
        desk.settle()
    assert {command.ref for command in desk.engine.commands if isinstance(command, c.VerifyPackage)} == set(
        REFS.values()
    )
    assert page.verify_all.isEnabled()


def test_a_check_that_fails_says_so(desk: Desk, page: LibraryScreen) -> None:
    desk.engine.refuse(c.VerifyPackage, IntegrityError("manifest"))
    page.actions_.verify([DESERT])
    desk.settle()
    assert look(page, DESERT) == (Look.INSTALLED, "Installed")
    assert desk.toasts == ["The data is not what the Workshop promised: manifest"]


def test_sharing_of_one_package(desk: Desk, page: LibraryScreen) -> None:
    choose(page.actions_.menu(page._entry(DUNES), page), "Share with others")  # type: ignore[arg-type]
    assert desk.engine.last(c.SetPackageSharing) == c.SetPackageSharing(DUNES, True)


def test_search_and_its_two_empty_pages(desk: Desk, page: LibraryScreen) -> None:
    page.search.set_text("dunes")
    assert texts(page.model) == ["Iron Dunes"]
    page.search.set_text("no such thing")
    desk.settle()
    shown = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    assert "Nothing installed matches" in shown
    desk.press(page, "Clear search")
    assert page.model.rowCount() == 6
    desk.engine.publish(gone_library=tuple(REFS.values()))
    desk.settle()
    shown = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    assert "Nothing installed yet" in shown
    assert not page.storage.isVisible()


def test_order(desk: Desk, page: LibraryScreen) -> None:
    page.model.set_order(Order.FREES)
    assert texts(page.model)[:2] == ["Combined Arms", "Classic Voices"]
    page.model.set_order(Order.NAME)
    assert texts(page.model)[0] == "Balance"


def test_visit_selects_a_package(desk: Desk, page: LibraryScreen) -> None:
    desk.window.go("library", DUNES)
    assert page.list.chosen() == DUNES


def test_enter_opens_the_package_page(desk: Desk, page: LibraryScreen, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[tuple[str, object]] = []
    monkeypatch.setattr(desk.window, "go", lambda key, argument=None: gone.append((key, argument)))
    page.list.choose(DUNES)
    desk.key(page.list, Qt.Key.Key_Return)
    assert gone == [("package", PackageId("mapsmith", "iron-dunes"))]


def test_a_cell_of_the_map_leads_to_its_row(desk: Desk, page: LibraryScreen) -> None:
    page.storage.map.setFocus()
    desk.key(page.storage.map, Qt.Key.Key_Right)
    desk.key(page.storage.map, Qt.Key.Key_Return)
    assert page.list.chosen() == ARMS


def test_every_row_paints_at_every_width(desk: Desk, page: LibraryScreen) -> None:
    page.model.set_checking(DESERT)
    for width in (1024, 1280, 1920):
        desk.window.resize(width, 640)
        desk.settle()
        page.grab()
        for at in range(page.model.rowCount()):
            row = page.model.rows[at]
            rect = QRectF(page.list.visualRect(page.model.index(at, 0)))
            places = list(parts_of(row, rect).values())
            assert all(rect.contains(place) for place in places)
            assert not any(a.intersects(b) for a in places for b in places if a is not b)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=40), st.integers(1, 2000), st.integers(1, 400))
def test_the_map_fills_its_area_in_proportion(sizes: list[int], width: int, height: int) -> None:
    sizes.sort(reverse=True)
    rects = squarify([float(size) for size in sizes], 0, 0, width, height)
    whole = sum(sizes)
    for size, rect in zip(sizes, rects, strict=True):
        assert rect.width() * rect.height() == pytest.approx(size / whole * width * height, rel=1e-6, abs=1e-6)
        assert rect.x() >= -1e-6
        assert rect.right() <= width + 1e-6
        assert rect.bottom() <= height + 1e-6
    for at, rect in enumerate(rects):
        for other in rects[at + 1 :]:
            shared = rect.intersected(other)
            assert shared.width() * shared.height() <= 1e-3


@given(st.lists(st.integers(0, 10**9), max_size=60))
def test_small_cells_become_one(sizes: list[int]) -> None:
    cells = merged([Cell(at, f"p{at}", size) for at, size in enumerate(sizes)])
    assert len(cells) <= CELLS_MAX
    assert sum(cell.size for cell in cells) == sum(sizes)


def test_words_on_the_map_are_legible(qapp: QApplication) -> None:
    for color in range(len(AREAS)):
        assert contrast(AREA_INK, area_color(color, Scheme.LIGHT)) >= 4.5
        assert contrast(AREA_INK, area_color(color, Scheme.CONTRAST_DARK)) >= 7
    assert {color_of(category) for category in ("map", "mod", "music", "voice-pack", "sprites", "what")} <= set(
        range(5)
    )


def test_a_figure_from_before_the_last_install_is_not_told() -> None:
    both = [entry("a/b@1.0.0", "B", "map", 300 * MB), entry("a/c@1.0.0", "C", "map", 300 * MB, unique=100 * MB)]
    assert storage_words(both, 1 * MB) == "600 MB installed"
    assert storage_words(both, 400 * MB) == "400 MB in one copy · would be 600 MB without sharing files"
    assert storage_words(both, 700 * MB) == "700 MB in one copy"


def test_totals_without_a_library(qtbot: QtBot) -> None:
    desk = Desk(FakeEngine(library=[entry("a/b@1.0.0", "B", "map", 300 * MB)] * 1, totals=TOTALS))
    page = desk.page("library", LibraryScreen)
    assert page.header.subtitle.text() == "1 package"
    desk.engine.publish(sharing=False)
    desk.settle()
    assert page.selection.note.text().endswith("Sharing is switched off.")
    desk.close()


def test_an_update_says_what_must_be_fetched(desk: Desk, page: LibraryScreen) -> None:
    ref = REFS["Combined Arms"]
    assert [wish for wish in desk.engine.commands if isinstance(wish, c.PlanUpdate)] == [c.PlanUpdate(ref.package)]
    found = page._entry(ref)
    assert found is not None
    assert found.update_bytes == found.size // 3
    choose(page.actions_.menu(found, page), f"Update to 2.1.0 · {words.size(found.size // 3)}")
    desk.settle()
    assert desk.engine.last(c.PlanInstall).packages == ((ref.package, "2.1.0"),)
    desk.sheet().close_sheet()
    button = InstallButton()
    button.show_state(PackageState(Standing.UPDATE, None, found), found.size, "2.1.0")
    assert button.text() == f"Update {words.size(found.size // 3)}"
    button.show_state(PackageState(Standing.UPDATE, None, found), found.size, "2.2.0")
    assert button.text() == "Update to 2.2.0"
