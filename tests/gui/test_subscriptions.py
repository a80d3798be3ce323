"""What is followed, what is pinned, what can go: the bell, the list, the row, the clean-up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtTest import QTest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import NotFound, RegistryError
from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import ReleaseStaged
from icworkshop_gui.engine.api.snapshots import Hold, SubscriptionSnapshot, TransferState
from icworkshop_gui.gui.dialogs.review import ReviewSheet
from icworkshop_gui.gui.format import status_line
from icworkshop_gui.gui.models.library import LibraryRow
from icworkshop_gui.gui.models.subscriptions import state_of
from icworkshop_gui.gui.screens.library.clean_up import CleanUpSheet, summary
from icworkshop_gui.gui.screens.library.rows import Part, parts_of
from icworkshop_gui.gui.widgets.buttons import Button
from tests.gui.conftest import Desk
from tests.helpers import sample_content as sample
from tests.helpers.desk import choose
from tests.helpers.sample_content import MB

DUNES = PackageRef("mapsmith", "iron-dunes", "1.1.0")
NEWS = PackageRef("mapsmith", "iron-dunes", "1.2.0")
CAMPAIGN = PackageId("workshop", "starter-campaign")
AUTHOR = SubscriptionSnapshot(
    kind=SubscriptionKind.PUBLISHER, id="mapsmith", title="mapsmith", checked_at=1000.0, waiting=(NEWS,)
)
POLAR = SubscriptionSnapshot(kind=SubscriptionKind.PACKAGE, id="frostbyte/polar-ui", title="Polar UI")


def sent(desk: Desk, kind: type) -> list[object]:
    return [command for command in desk.engine.commands if isinstance(command, kind)]


def toasts(desk: Desk) -> list[str]:
    return [toast.text for toast in desk.window.toasts.toasts()]


# --- following ------------------------------------------------------------------------------------------------


def test_in_words() -> None:
    assert state_of(AUTHOR, 2000.0) == "everything of this author · iron-dunes 1.2.0 waiting"
    assert state_of(replace(AUTHOR, waiting=(NEWS,) * 5), 0).endswith("and 2 more waiting")
    assert state_of(replace(POLAR, coming=(NEWS,)), 0) == "package · 1 package on the way"
    assert state_of(POLAR, 0) == "package · not looked at yet"
    assert state_of(replace(POLAR, checked_at=1000.0), 1000.0 + 1200) == "package · nothing new, looked 20 min ago"
    assert state_of(replace(POLAR, message="It does\nnot answer."), 0) == "package · It does not answer."


def test_the_bell_follows_and_follows_no_longer(desk: Desk) -> None:
    page = desk.go("package", CAMPAIGN)
    assert not page.bell.isChecked()
    page.bell.click()
    desk.settle()
    assert desk.engine.last(c.Subscribe) == c.Subscribe(SubscriptionKind.PACKAGE, str(CAMPAIGN))
    assert page.bell.isChecked()
    assert page.bell.accessibleName().startswith("Followed")
    page.bell.click()
    desk.settle()
    assert desk.engine.last(c.Unsubscribe) == c.Unsubscribe(SubscriptionKind.PACKAGE, str(CAMPAIGN))
    assert not page.bell.isChecked()


def test_a_bell_that_is_refused_stays_off_and_says_why(desk: Desk) -> None:
    desk.engine.refuse(c.Subscribe, NotFound("No source knows it."))
    page = desk.go("package", CAMPAIGN)
    page.bell.click()
    desk.settle()
    assert not page.bell.isChecked()
    assert toasts(desk) == ["No source knows it."]


def test_nothing_is_followed_yet(desk: Desk) -> None:
    page = desk.go("library", "subscriptions")
    assert page.subscriptions._stack.currentIndex() == 1
    browse = next(b for b in page.subscriptions.findChildren(Button) if b.text() == "Browse")
    browse.click()
    assert desk.window.current == "browse"


def test_what_waits_is_installed_by_a_click(desk: Desk) -> None:
    desk.engine.follow(AUTHOR, POLAR)
    page = desk.go("library")
    assert page.tabs.pill("subscriptions").text() == "Subscriptions · 1 waiting"
    page.tabs.pill("subscriptions").click()
    panel = page.subscriptions
    panel.list.setCurrentIndex(panel.list.rows.index(0))
    QTest.keyClick(panel.list, Qt.Key.Key_Return)
    assert desk.engine.last(c.ActivateStaged) == c.ActivateStaged((NEWS,))
    panel.activate.click()
    assert desk.engine.last(c.ActivateStaged) == c.ActivateStaged()


def test_following_ends_and_can_be_taken_back(desk: Desk) -> None:
    desk.engine.follow(AUTHOR, POLAR)
    panel = desk.go("library", "subscriptions").subscriptions
    choose(panel.menu_of("publisher:mapsmith"), "Follow no longer")
    desk.settle()
    assert desk.engine.last(c.Unsubscribe) == c.Unsubscribe(SubscriptionKind.PUBLISHER, "mapsmith")
    assert panel.list.rows.rowCount() == 1
    QTest.keyClick(desk.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    desk.settle()
    assert desk.engine.last(c.Subscribe) == c.Subscribe(SubscriptionKind.PUBLISHER, "mapsmith")


def test_the_dots_of_a_row_open_its_menu(desk: Desk) -> None:
    desk.engine.follow(AUTHOR, POLAR)
    panel = desk.go("library", "subscriptions").subscriptions
    wanted: list[str] = []
    panel.list.menuWanted.disconnect()
    panel.list.menuWanted.connect(lambda key, _at: wanted.append(key))
    rect = panel.list.visualRect(panel.list.rows.index(1))
    at = QPoint(rect.right() - 20, rect.center().y())
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert wanted == ["package:frostbyte/polar-ui"]
    QTest.keyClick(panel.list, Qt.Key.Key_Menu)


def test_looking_now(desk: Desk) -> None:
    desk.engine.follow(AUTHOR)
    panel = desk.go("library", "subscriptions").subscriptions
    desk.engine.hold(c.CheckSubscriptions)
    panel.check.click()
    assert not panel.check.isEnabled()
    desk.engine.release(c.CheckSubscriptions)
    desk.settle()
    assert panel.check.isEnabled()
    desk.engine.refuse(c.CheckSubscriptions, RegistryError("unreachable", "x"))
    panel.check.click()
    desk.settle()
    assert panel.check.isEnabled()
    assert toasts(desk)[0] == "Nothing new."
    assert "cannot be reached" in toasts(desk)[1]


def test_an_author_leads_to_browse_a_package_to_its_page(desk: Desk) -> None:
    desk.engine.follow(AUTHOR, POLAR)
    panel = desk.go("library", "subscriptions").subscriptions
    panel.list.opened.emit("package:frostbyte/polar-ui")
    assert desk.window.current == "package"
    panel.list.opened.emit("publisher:mapsmith")
    assert desk.window.current == "browse"


def test_what_has_come_is_told_once(desk: Desk) -> None:
    desk.engine.tell(ReleaseStaged(ref=NEWS, title="Iron Dunes"))
    desk.settle()
    assert toasts(desk) == ["Iron Dunes 1.2.0 is here and waits for your click."]


def test_a_download_that_waits_says_so() -> None:
    waits = sample.transfer("Iron Dunes", state=TransferState.SEEDING, staged=True, size=6 * MB, done=6 * MB)
    assert status_line(waits, 0.0) == "Waits for your click in Library, Subscriptions · 6.0 MB"


def test_the_row_of_what_waits_has_a_button(desk: Desk) -> None:
    desk.engine.publish(library=[replace(desk.engine.view.library[DUNES], staged="1.2.0")])
    page = desk.go("library")
    index = page.model.index_of(DUNES)
    row = page.model.row_at(index)
    assert row.state == "1.2.0 is here and waits for your click"
    page.list.scrollTo(index)
    button = parts_of(row, QRectF(page.list.visualRect(index)))[Part.BUTTON]
    QTest.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=button.center().toPoint())
    assert desk.engine.last(c.ActivateStaged) == c.ActivateStaged((NEWS,))


# --- keeping ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "Installed"),
        ({"pinned": True}, "Installed, stays"),
        ({"hold": Hold.NEEDED}, "Installed"),
        ({"hold": Hold.TEMPORARY}, "Temporary"),
        ({"hold": Hold.UNUSED}, "Nothing needs it any more"),
        ({"hold": Hold.TEMPORARY, "pinned": True}, "Installed, stays"),
    ],
)
def test_why_a_package_is_here(fields: dict[str, object], state: str) -> None:
    entry = sample.entry("a/b@1.0.0", "B", "map", MB, **fields)
    assert LibraryRow(entry=entry).state == state
    assert LibraryRow(entry=entry, outcome="all good").state == f"{state} · all good"


def test_pinning_and_no_longer(desk: Desk) -> None:
    page = desk.go("library")
    for pinned in (True, False):
        choose(page.actions_.menu(desk.engine.view.library[DUNES], page), "Keep it, whatever is cleaned up")
        desk.settle()
        assert desk.engine.last(c.Pin) == c.Pin(DUNES, pinned)


# --- cleaning up --------------------------------------------------------------------------------------------------


def sheet_of(desk: Desk) -> CleanUpSheet:
    (sheet,) = (s for s in desk.window.findChildren(CleanUpSheet) if s.isVisible())
    assert not isinstance(sheet, ReviewSheet)
    return sheet


def test_what_can_go_is_listed_before_it_goes(desk: Desk) -> None:
    desk.engine.publish(library=[replace(desk.engine.view.library[DUNES], hold=Hold.UNUSED)])
    page = desk.go("library")
    assert page.selection.clean_up.text() == "Clean up · frees 6.1 MB"
    assert page.selection.clean_up.toolTip() == "1 package that nothing needs"
    page.selection.clean_up.click()
    sheet = sheet_of(desk)
    assert sheet.cancel.hasFocus()
    assert [sheet.list.rows.index(at).data() for at in range(sheet.list.rows.rowCount())] == ["Iron Dunes 1.1.0"]
    assert [command.dry_run for command in sent(desk, c.CleanUp)] == [True]  # type: ignore[attr-defined]
    sheet.go.click()
    desk.settle()
    assert DUNES not in desk.engine.view.library
    assert "Freed 6.1 MB." in toasts(desk)
    desk.settle()
    assert page.selection.clean_up.isHidden()


def test_nothing_can_go_and_a_count_that_fails_shows_no_button(desk: Desk) -> None:
    page = desk.go("library")
    assert page.selection.clean_up.isHidden()
    desk.engine.refuse(c.CleanUp, RegistryError("x", "x"))
    page.clean_ups.count()
    desk.settle()
    assert page.selection.clean_up.isHidden()
    assert not toasts(desk)


def test_a_clean_up_that_fails_says_why(desk: Desk) -> None:
    desk.engine.publish(library=[replace(desk.engine.view.library[DUNES], hold=Hold.UNUSED)])
    page = desk.go("library")
    page.selection.clean_up.click()
    desk.engine.refuse(c.CleanUp, NotFound("The game is using it."))
    sheet_of(desk).go.click()
    desk.settle()
    assert toasts(desk) == ["It could not be cleaned up. The game is using it."]


def test_left_overs_are_told_apart() -> None:
    library = {DUNES: sample.entry(str(DUNES), "Iron Dunes", "map", MB, hold=Hold.TEMPORARY)}
    report = c.CleanUpReport(packages=((DUNES, MB),), freed=3 * MB)
    assert summary(report, library) == "1 temporary package, left-overs of downloads"
    sheet = CleanUpSheet(report, library)
    assert [sheet.list.rows.index(at).data() for at in range(2)] == ["Iron Dunes 1.1.0", "Left-overs"]
    sheet.deleteLater()
