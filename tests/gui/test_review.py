"""The review of a change set: in words, on the sheet, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import RegistryError, VersionConflict, WayOut
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.changes import Caution, Change, ChangeKind, ChangeSet, Why, Worry
from icworkshop_gui.gui.dialogs.review import ReviewSheet
from icworkshop_gui.gui.models.review import ONE_CLICK_MAX, needs_review, review
from tests.gui.conftest import Desk
from tests.helpers import sample_content as sample
from tests.helpers.sample_content import MB

CAMPAIGN = PackageId("workshop", "starter-campaign")
POLAR = PackageRef("frostbyte", "polar-tiles-hd", "1.3.0")
ARMS = PackageRef("combined-arms", "combined-arms", "2.0.0")
DUNES = PackageRef("mapsmith", "iron-dunes", "1.1.0")


def change(name: str, kind: ChangeKind = ChangeKind.ADD, size: int = MB, **fields: object) -> Change:
    ref = PackageRef("a", name, "2.0.0")
    return Change(kind=kind, ref=ref, title=name.title(), license="CC0-1.0", size=size, disk=size, **fields)  # type: ignore[arg-type]


def made(*changes: Change, cautions: tuple[Caution, ...] = (), free: int = 500 * MB) -> ChangeSet:
    return ChangeSet(changes=changes, cautions=cautions, disk_free=free)


def needed(name: str, by: str, **fields: object) -> Change:
    return change(name, why=Why.NEEDED, needed_by=(PackageId("a", by),), **fields)


# --- what needs one -------------------------------------------------------------------------------------------


def test_what_one_click_may_do() -> None:
    kept = replace(needed("tiles", "map"), kind=ChangeKind.KEEP)
    assert not needs_review(made(kept, change("map")))
    assert not needs_review(made(change("map", kind=ChangeKind.REMOVE)))
    limits = Caution(worry=Worry.LICENSE_LIMITS, ref=change("map").ref, detail="CC-BY-NC-4.0")
    assert not needs_review(made(change("map"), cautions=(limits,)))


def test_what_should_be_seen_first() -> None:
    assert needs_review(made(change("map", size=ONE_CLICK_MAX)))
    assert not needs_review(made(change("map", size=ONE_CLICK_MAX, reused=1)))
    assert needs_review(made(needed("tiles", "map"), change("map")))
    assert needs_review(made(change("map"), change("mod")))
    assert needs_review(made(change("map"), cautions=(Caution(worry=Worry.DISK),)))
    unused = change("tiles", kind=ChangeKind.REMOVE, why=Why.UNUSED)
    assert needs_review(made(change("map", kind=ChangeKind.REMOVE), unused))
    assert needs_review(made(change("map", kind=ChangeKind.REMOVE), replace(unused, kind=ChangeKind.KEEP)))


# --- in words -------------------------------------------------------------------------------------------------


def test_rows_stand_below_what_they_came_for_each_once() -> None:
    base = replace(needed("base", "tiles"), needed_by=(PackageId("a", "map"), PackageId("a", "tiles")))
    shown = review(made(base, needed("tiles", "map"), change("map")))
    assert [(row.title, row.depth) for row in shown.rows] == [("Map", 0), ("Base", 1), ("Tiles", 1)]
    assert shown.rows[1].why == "CC0 · needed by Map and Tiles"
    assert [words for _kind, words in shown.counts] == ["3 added"]
    assert (shown.title, shown.cost, shown.agree) == ("Install Map", "3.0 MB to fetch", "Install 3.0 MB")
    assert shown.disk == "3.0 MB more on the disk · 497 MB free afterwards"


def test_a_chain_longer_than_the_stack_of_the_interpreter() -> None:
    chain = [needed(f"p{at}", f"p{at + 1}") for at in range(3000)]
    shown = review(made(*chain, change("p3000")))
    assert [row.title for row in shown.rows[:2]] == ["P3000", "P2999"]
    assert len(shown.rows) == 3001


def test_what_is_here_already() -> None:
    kept = replace(needed("tiles", "map"), kind=ChangeKind.KEEP)
    update = change("map", kind=ChangeKind.UPDATE, before="1.0.0", size=10 * MB, reused=8 * MB)
    shown = review(made(kept, update))
    assert [(row.version, row.cost, row.here) for row in shown.rows] == [
        ("1.0.0 → 2.0.0", "2.0 MB", "8.0 MB already here")
    ]
    assert shown.disk.startswith("1 package that it needs is here already")
    assert (shown.title, shown.agree) == ("Update Map", "Update 2.0 MB")
    nothing = review(made(change("map", reused=MB)))
    assert (nothing.cost, nothing.agree) == ("Nothing to fetch: all of it is on this computer", "Install")


def test_cautions_are_sentences() -> None:
    worries = (
        Caution(worry=Worry.WITHDRAWN, ref=change("map").ref),
        Caution(worry=Worry.LICENSE_CHANGED, ref=change("map").ref, detail="MIT"),
        Caution(worry=Worry.LICENSE_LIMITS, ref=change("map").ref, detail="CC-BY-NC-4.0"),
        Caution(worry=Worry.LICENSE_LIMITS, ref=change("mod").ref, detail="CC-BY-NC-4.0"),
        Caution(worry=Worry.DISK),
    )
    shown = review(made(change("map", newer="3.0.0"), change("mod"), cautions=worries, free=1000))
    assert shown.cautions == (
        "Map 2.0.0: its author has taken this version back",
        "Map has another licence: MIT became CC0 – free for every use",
        "The disk has no room: 2.0 MB needed, 1 KB free",
        "Licence of Map and Mod: CC BY-NC 4.0 – share and change it, name the author, not for money",
        "and 1 more note",
    )
    assert shown.stops
    assert all(row.caution for row in shown.rows)


def test_strangers_titles_are_one_line() -> None:
    shown = review(made(replace(change("map"), title="Bad\u202etitle\n" * 400)))
    assert "\u202e" not in shown.title
    assert "\n" not in shown.rows[0].title
    assert len(shown.rows[0].title) <= 300


# --- on the sheet -----------------------------------------------------------------------------------------------


def sheet_of(desk: Desk) -> ReviewSheet:
    sheet = desk.window.reviews.sheet
    assert isinstance(sheet, ReviewSheet)
    return sheet


def two(desk: Desk) -> ReviewSheet:
    """The review of two updates."""
    wishes = ((ARMS.package, "2.1.0"), (POLAR.package, "1.4.0"))
    desk.window.reviews.install(wishes, "2 updates")
    desk.settle()
    return sheet_of(desk)


def test_a_small_package_is_one_click(desk: Desk) -> None:
    desk.window.reviews.install(((CAMPAIGN, ""),), "Starter Campaign")
    desk.settle()
    assert desk.window.reviews.sheet is None
    assert desk.engine.last(c.InstallAll).packages == ((CAMPAIGN, "1.2.0"),)


def test_enter_agrees_to_exactly_what_was_shown(desk: Desk) -> None:
    sheet = two(desk)
    assert sheet.title.text() == "Review 2 changes"
    assert sheet.go.hasFocus()
    QTest.keyClick(sheet.go, Qt.Key.Key_Return)
    desk.settle()
    assert desk.engine.last(c.InstallAll).packages == ((ARMS.package, "2.1.0"), (POLAR.package, "1.4.0"))
    assert desk.window.reviews.sheet is None


def test_escape_changes_nothing(desk: Desk) -> None:
    sheet = two(desk)
    QTest.keyClick(sheet.list, Qt.Key.Key_Escape)
    desk.settle()
    assert desk.window.reviews.sheet is None
    assert not [command for command in desk.engine.commands if isinstance(command, c.InstallAll)]


def test_a_row_that_is_not_ticked_stays_out_and_in_its_place(desk: Desk) -> None:
    sheet = two(desk)
    sheet.list.choose(sheet.list.rows.rows[0].ref)
    QTest.keyClick(sheet.list, Qt.Key.Key_Space)
    desk.settle()
    assert [(row.title, row.ticked) for row in sheet.list.rows.rows] == [
        ("Combined Arms", False),
        ("Polar Tiles HD", True),
    ]
    QTest.keyClick(sheet.list, Qt.Key.Key_Return)
    desk.settle()
    assert desk.engine.last(c.InstallAll).packages == ((POLAR.package, "1.4.0"),)


def test_ticking_again_brings_it_back_and_the_last_one_stays(desk: Desk) -> None:
    sheet = two(desk)
    first, second = (row.ref for row in sheet.list.rows.rows)
    for ref, on in ((first, False), (second, False), (first, True)):
        sheet.list.toggled.emit(ref, on)
        desk.settle()
    assert [row.ticked for row in sheet.list.rows.rows] == [True, True]


def test_waiting_is_said_and_a_late_answer_that_needs_no_sheet_goes_on(desk: Desk) -> None:
    desk.engine.hold(c.PlanInstall)
    desk.window.reviews.install(((CAMPAIGN, ""),), "Starter Campaign")
    assert desk.window.reviews.sheet is None
    desk.window.reviews.install(((CAMPAIGN, ""),), "Starter Campaign")
    assert len([command for command in desk.engine.commands if isinstance(command, c.PlanInstall)]) == 1
    desk.bot.waitUntil(lambda: desk.window.reviews.sheet is not None)
    sheet = sheet_of(desk)
    assert not sheet.go.isEnabled()
    assert sheet.cancel.hasFocus()
    desk.engine.release(c.PlanInstall)
    desk.settle()
    assert desk.engine.last(c.InstallAll).packages == ((CAMPAIGN, "1.2.0"),)
    desk.bot.waitUntil(lambda: desk.window.reviews.sheet is None)


def test_an_answer_after_cancel_does_nothing(desk: Desk) -> None:
    desk.engine.hold(c.PlanInstall)
    desk.window.reviews.install(((CAMPAIGN, ""),), "Starter Campaign")
    desk.bot.waitUntil(lambda: desk.window.reviews.sheet is not None)
    sheet_of(desk).cancel.click()
    desk.settle()
    desk.engine.release(c.PlanInstall)
    desk.settle()
    assert not [command for command in desk.engine.commands if isinstance(command, c.InstallAll)]


def test_a_warning_takes_the_focus_to_the_safe_side(desk: Desk) -> None:
    withdrawn = made(change("map"), cautions=(Caution(worry=Worry.WITHDRAWN, ref=change("map").ref),))
    desk.engine.answer(c.PlanInstall, withdrawn)
    desk.window.reviews.install(((PackageId("a", "map"), ""),), "Map")
    desk.settle()
    assert sheet_of(desk).cancel.hasFocus()


def test_trouble_is_told_and_can_be_tried_again(desk: Desk) -> None:
    desk.engine.refuse(c.PlanInstall, RegistryError("unreachable", "x"))
    desk.window.reviews.install(((CAMPAIGN, ""),), "Starter Campaign")
    desk.settle()
    sheet = sheet_of(desk)
    assert "cannot be reached" in sheet.trouble.text.text()
    assert not sheet.go.isVisible()
    desk.engine.accept(c.PlanInstall)
    sheet.retried.emit()
    desk.settle()
    assert desk.engine.last(c.InstallAll).packages == ((CAMPAIGN, "1.2.0"),)


def conflict(*ways: WayOut) -> VersionConflict:
    return VersionConflict("…", headline="Not all of this works together.", chains=("You want it",), helps=ways)


def test_a_way_out_of_a_conflict_is_taken(desk: Desk) -> None:
    ways = (WayOut("Take another", ARMS.package, "2.0.5"), WayOut("Leave out polar", POLAR.package))
    desk.engine.refuse(c.PlanInstall, conflict(*ways))
    sheet = two(desk)
    assert sheet.title.text() == "This does not go together"
    desk.engine.accept(c.PlanInstall)
    focused = desk.window.focusWidget()
    assert focused is not None
    assert focused.accessibleName() == "Take another"
    QTest.keyClick(focused, Qt.Key.Key_Return)
    desk.settle()
    assert desk.engine.last(c.PlanInstall).packages == ((ARMS.package, "2.0.5"), (POLAR.package, "1.4.0"))
    desk.engine.refuse(c.PlanInstall, conflict(ways[1]))
    sheet.retried.emit()
    desk.settle()
    desk.engine.accept(c.PlanInstall)
    sheet.go.click()
    desk.settle()
    assert desk.engine.last(c.PlanInstall).packages == ((ARMS.package, "2.0.5"),)


def test_a_conflict_without_a_way_out_can_only_be_left(desk: Desk) -> None:
    desk.engine.refuse(c.PlanInstall, conflict(WayOut("Ask the author.")))
    sheet = two(desk)
    assert not sheet.go.isVisible()
    assert sheet.cancel.hasFocus()


# --- removing ---------------------------------------------------------------------------------------------------


def remove(desk: Desk, press: Callable[[ReviewSheet], object], *refs: PackageRef) -> list[PackageRef]:
    page = desk.go("library")
    page.actions_.remove([desk.engine.view.library[ref] for ref in refs])
    desk.settle()
    press(sheet_of(desk))
    desk.settle()
    return [command.ref for command in desk.engine.commands if isinstance(command, c.RemovePackage)]


def test_what_needs_it_goes_first_and_all_can_be_undone(desk: Desk) -> None:
    assert remove(desk, lambda sheet: sheet.go.click(), POLAR) == [ARMS, POLAR]
    QTest.keyClick(desk.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    desk.settle()
    undone = [command.ref for command in desk.engine.commands if isinstance(command, c.UndoRemove)]
    assert undone == [POLAR, ARMS]


def test_what_stays_all_the_same_is_said_to_break(desk: Desk) -> None:
    def keep(sheet: ReviewSheet) -> None:
        assert sheet.cancel.hasFocus()
        sheet.list.toggled.emit(ARMS, False)
        desk.settle()
        assert sheet.list.rows.rows[-1].why == "will not work without Polar Tiles HD"
        sheet.go.click()

    assert remove(desk, keep, POLAR) == [POLAR]


def test_what_nothing_needs_goes_at_once(desk: Desk) -> None:
    page = desk.go("library")
    page.actions_.remove([desk.engine.view.library[DUNES]])
    desk.settle()
    assert desk.window.reviews.sheet is None
    assert desk.engine.last(c.RemovePackage).ref == DUNES


def test_update_all_from_the_library(desk: Desk) -> None:
    page = desk.go("library")
    assert page.update_all.text().startswith("Update · ")
    desk.engine.publish(library=[replace(sample.LIBRARY[1], update_to="1.4.0")])
    desk.settle()
    assert page.update_all.text().startswith("Update all 2")
    page.update_all.click()
    desk.settle()
    assert {package for package, _version in desk.engine.last(c.PlanInstall).packages} == {ARMS.package, POLAR.package}
    assert sheet_of(desk).title.text() == "Review 2 changes"
