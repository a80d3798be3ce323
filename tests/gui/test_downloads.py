"""Downloads: click to frozen command, event to visible words, order by keys and drops, empty, normal, error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.gui.models.transfers import Section, TransferRow
from icworkshop_gui.gui.screens.downloads import DownloadsScreen
from icworkshop_gui.gui.screens.downloads.actions import magnet
from icworkshop_gui.gui.screens.downloads.details import TABS
from icworkshop_gui.gui.screens.downloads.rows import Part, face_of, part_name, parts_of
from icworkshop_gui.gui.widgets.rate_graph import FLOOR, SAMPLES_MAX, SPAN, RateHistory
from icworkshop_gui.gui.widgets.rate_slider import RateSlider
from tests.helpers.desk import Desk, choose
from tests.helpers.fake_engine import FakeEngine
from tests.helpers.sample_content import MB, TOTALS, TRANSFERS, transfer

IDS = {t.name: t.id for t in TRANSFERS}
LOBBY, SYNTH, ARMS, POLAR = (
    IDS["Tournament Pack 7"],
    IDS["Synthwave Front"],
    IDS["Combined Arms 2.1"],
    IDS["Polar Tiles HD 1.4"],
)


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    today = [replace(t, finished_at=time.time()) if t.finished_at else t for t in TRANSFERS]
    made = Desk(FakeEngine(transfers=today, totals=TOTALS))
    yield made
    made.close()


@pytest.fixture
def page(desk: Desk) -> DownloadsScreen:
    return desk.page("downloads", DownloadsScreen)


def press(desk: Desk, page: DownloadsScreen, transfer_id: TransferId, part: Part) -> None:
    index = page.model.index_of(transfer_id)
    row = page.model.row_at(index)
    assert row is not None
    page.list.scrollTo(index)
    rect = QRectF(page.list.visualRect(index))
    desk.press_part(page.list, index, parts_of(row, rect, page.model.engine_now)[part])


def test_header_counts(desk: Desk, page: DownloadsScreen) -> None:
    assert page.header.subtitle.text() == "2 active, 2 waiting"
    desk.engine.change(SYNTH, state=TransferState.ERROR, reason=Reason.FAILED)
    desk.settle()
    assert page.header.subtitle.text() == "1 active, 2 waiting, 1 needs attention"


def test_pause_button_of_a_row(desk: Desk, page: DownloadsScreen) -> None:
    press(desk, page, SYNTH, Part.PAUSE)
    assert desk.engine.last(c.Pause) == c.Pause((SYNTH,))
    row = page.model.row_at(page.model.index_of(SYNTH))
    assert isinstance(row, TransferRow)
    assert face_of(row, 0).button == "Resume"
    press(desk, page, SYNTH, Part.REMEDY)
    assert desk.engine.last(c.Resume) == c.Resume((SYNTH,))


def test_start_now_goes_past_the_queue(desk: Desk, page: DownloadsScreen) -> None:
    press(desk, page, ARMS, Part.REMEDY)
    assert desk.engine.last(c.StartNow) == c.StartNow(ARMS)


def test_a_press_that_ends_elsewhere_does_nothing(desk: Desk, page: DownloadsScreen, qtbot: QtBot) -> None:
    row = page.model.row_at(page.model.index_of(SYNTH))
    assert row is not None
    rect = QRectF(page.list.visualRect(page.model.index_of(SYNTH)))
    place = parts_of(row, rect, 0.0)[Part.PAUSE].center().toPoint()
    qtbot.mousePress(page.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseRelease(page.list.viewport(), Qt.MouseButton.LeftButton, pos=place - QPoint(300, 0))
    assert not any(isinstance(command, c.Pause) for command in desk.engine.commands)


@pytest.mark.parametrize(
    ("changes", "button", "command"),
    [
        (
            {"state": TransferState.QUEUED, "reason": Reason.TIER},
            "Download now",
            c.SetTier((POLAR,), Tier.USER_REQUESTED),
        ),
        ({"state": TransferState.ERROR, "reason": Reason.FAILED}, "Try again", c.Resume((POLAR,))),
        ({"state": TransferState.PAUSED, "reason": Reason.USER}, "Resume", c.Resume((POLAR,))),
    ],
)
def test_every_remedy_is_a_command(
    desk: Desk, page: DownloadsScreen, changes: dict[str, object], button: str, command: c.Command[None]
) -> None:
    desk.engine.change(POLAR, **changes)
    desk.settle()
    row = page.model.row_at(page.model.index_of(POLAR))
    assert row is not None
    assert part_name(Part.REMEDY, row, 0.0) == button
    press(desk, page, POLAR, Part.REMEDY)
    assert desk.engine.last(type(command)) == command


def test_remedies_that_lead_somewhere(desk: Desk, page: DownloadsScreen) -> None:
    desk.engine.change(SYNTH, reason=Reason.NO_SOURCE)
    desk.settle()
    press(desk, page, SYNTH, Part.REMEDY)
    assert page.details.isVisible()
    assert page.details.tabs.current == "sources"
    desk.engine.change(SYNTH, reason=Reason.LIMIT)
    desk.settle()
    page.activateWindow()
    press(desk, page, SYNTH, Part.REMEDY)
    assert page.window().focusWidget() is page.side.limits.down.slider


def test_cancel_hides_at_once_and_undo_brings_it_back(desk: Desk, page: DownloadsScreen) -> None:
    desk.engine.hold(c.Cancel)
    page.list.choose(SYNTH)
    desk.key(page.list, Qt.Key.Key_Delete)
    assert desk.engine.last(c.Cancel) == c.Cancel(SYNTH)
    assert not page.model.index_of(SYNTH).isValid(), "gone before the engine has answered"
    assert desk.toasts == ["Cancelled Synthwave Front – 40 MB kept for a minute"]
    desk.engine.release(c.Cancel)
    desk.settle()
    desk.undo()
    assert desk.engine.last(c.UndoCancel) == c.UndoCancel(SYNTH)
    assert page.model.index_of(SYNTH).isValid()


def test_cancel_that_fails_brings_the_row_back(desk: Desk, page: DownloadsScreen) -> None:
    desk.engine.refuse(c.Cancel, UserError("Not now."))
    press(desk, page, ARMS, Part.CANCEL)
    assert page.model.index_of(ARMS).isValid()
    assert "Not now." in desk.toasts


@pytest.mark.parametrize(
    ("key", "chosen", "position"),
    [
        (Qt.Key.Key_Up, ARMS, 0),
        (Qt.Key.Key_Home, ARMS, 0),
        (Qt.Key.Key_Down, SYNTH, 1),
        (Qt.Key.Key_End, SYNTH, 1),
    ],
)
def test_order_by_keys(desk: Desk, page: DownloadsScreen, key: Qt.Key, chosen: TransferId, position: int) -> None:
    page.list.choose(chosen)
    desk.key(page.list, key, control=True)
    assert desk.engine.last(c.Move).transfer == chosen
    shown = [row.transfer.id for row in page.model.rows if isinstance(row, TransferRow) and row.section is Section.USER]
    assert shown.index(chosen) == position
    assert page.list.chosen() == [chosen], "the selection goes with its row"
    desk.key(page.list, key, control=True)
    assert sum(isinstance(command, c.Move) for command in desk.engine.commands) == 1, "at the end it stays"


def drop(page: DownloadsScreen, at: QPoint) -> None:
    event = QDropEvent(
        QPointF(at),
        Qt.DropAction.MoveAction,
        QMimeData(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    target = page.list._target(at)
    assert target is not None
    page.list.dropped.emit(page.list.chosen(), target[0], target[1])
    assert not event.isAccepted()


def test_drop_within_a_section_is_a_move(desk: Desk, page: DownloadsScreen) -> None:
    page.list.choose(ARMS)
    rect = page.list.visualRect(page.model.index_of(SYNTH))
    drop(page, rect.topLeft() + QPoint(50, 5))
    desk.settle()
    shown = [row.transfer.id for row in page.model.rows if isinstance(row, TransferRow) and row.section is Section.USER]
    assert shown == [ARMS, SYNTH]
    assert not any(isinstance(command, c.SetTier) for command in desk.engine.commands)


def test_drop_into_another_section_changes_the_tier_and_offers_undo(desk: Desk, page: DownloadsScreen) -> None:
    page.list.choose(ARMS)
    rect = page.list.visualRect(page.model.index_of(POLAR))
    drop(page, rect.topLeft() + QPoint(50, 5))
    assert desk.engine.last(c.SetTier) == c.SetTier((ARMS,), Tier.BACKGROUND)
    assert desk.engine.last(c.Move) == c.Move(ARMS, 0)
    desk.settle()
    assert desk.toasts == ["Combined Arms 2.1 moved to Background"]
    desk.undo()
    assert desk.engine.last(c.SetTier) == c.SetTier((ARMS,), Tier.USER_REQUESTED)
    assert desk.engine.view.transfers[ARMS].tier is Tier.USER_REQUESTED


def test_drop_below_everything_goes_to_the_last_tier(desk: Desk, page: DownloadsScreen) -> None:
    target = page.list._target(QPoint(200, page.list.viewport().height() - 4))
    assert target is not None
    assert target[:2] == (Tier.BACKGROUND, None)


def test_menu_of_a_row(desk: Desk, page: DownloadsScreen) -> None:
    actions = page.actions_
    choose(actions.menu([SYNTH], page), "Pause")
    assert desk.engine.last(c.Pause) == c.Pause((SYNTH,))
    choose(actions.menu([SYNTH], page), "Priority: Lobby")
    assert desk.engine.last(c.SetTier) == c.SetTier((SYNTH,), Tier.LOBBY_URGENT)
    choose(actions.menu([SYNTH], page), "Verify files")
    assert desk.engine.last(c.Recheck) == c.Recheck(SYNTH)
    choose(actions.menu([SYNTH, ARMS], page), "Cancel")
    assert {command.transfer for command in desk.engine.commands if isinstance(command, c.Cancel)} == {SYNTH, ARMS}


def test_limit_of_one_transfer(desk: Desk, page: DownloadsScreen, qtbot: QtBot) -> None:
    choose(page.actions_.menu([SYNTH], page), "Limit…")
    down, _up = desk.sheet().findChildren(RateSlider)
    with qtbot.waitSignal(down.rateChosen):
        down.slider.setValue(0)
    assert desk.engine.last(c.SetTransferLimits) == c.SetTransferLimits(SYNTH, 0, None)
    desk.press(desk.sheet(), "Done")


def test_copy_link(desk: Desk, page: DownloadsScreen) -> None:
    desk.engine.change(SYNTH, info_hash="cd" * 20)
    desk.settle()
    choose(page.actions_.menu([SYNTH], page), "Copy link")
    link = f"magnet:?xt=urn:btih:{'cd' * 20}&dn=Synthwave%20Front"
    assert QGuiApplication.clipboard().text() == link
    assert magnet(transfer("x")) == ""


def test_pause_all_and_back(desk: Desk, page: DownloadsScreen) -> None:
    desk.press(page.header, "Pause all")
    assert desk.engine.last(c.Pause) == c.Pause(())
    assert page.pause_all.text() == "Resume all"
    desk.press(page.header, "Resume all")
    assert desk.engine.last(c.Resume) == c.Resume(())


def test_limits_and_sharing_of_the_side_column(desk: Desk, page: DownloadsScreen, qtbot: QtBot) -> None:
    limits = page.side.limits
    with qtbot.waitSignal(limits.up.rateChosen):
        limits.up.slider.setValue(limits.up.slider.maximum())
    assert desk.engine.last(c.SetSetting) == c.SetSetting("workshop.p2p.max_upload_speed", "unlimited")
    with qtbot.waitSignal(limits.down.rateChosen):
        limits.down.slider.setValue(0)
    assert desk.engine.last(c.SetSetting) == c.SetSetting("workshop.p2p.max_download_speed", "0 B/s")
    limits.sharing.click()
    assert desk.engine.last(c.SetSharing) == c.SetSharing(False)


def test_only_the_shown_transfer_is_watched(desk: Desk, page: DownloadsScreen) -> None:
    assert desk.engine.last(c.Watch) == c.Watch(LOBBY), "nothing selected: the first on the page"
    desk.settle()
    assert page.side.sources.lines[0].startswith("6 lobby players")
    page.list.choose(SYNTH)
    desk.settle()
    assert desk.engine.last(c.Watch) == c.Watch(SYNTH)
    desk.window.go("settings")
    assert desk.engine.last(c.Watch) == c.Watch(None)


def test_details_of_every_tab(desk: Desk, page: DownloadsScreen) -> None:
    page.list.choose(LOBBY)
    desk.settle()
    for key, _word in TABS:
        page.show_details(key)
        desk.settle()
    assert "From players: 34 MB" in page.details.facts.text
    assert page.details.peers.rowCount() == 9
    assert page.details.sources.rowCount() == 2
    assert page.details.files.rowCount() == 2
    assert "of 206 pieces here" in page.details.pieces.description
    assert page.details.pieces.words_at(1).startswith("Piece")
    desk.engine.publish(gone_transfers=(LOBBY,))
    desk.settle()
    assert page.details.name.text() == "Synthwave Front", "the next one on the page"


def test_details_open_with_the_keyboard(desk: Desk, page: DownloadsScreen) -> None:
    page.list.choose(SYNTH)
    page.list.setFocus()
    desk.key(page.list, Qt.Key.Key_Return)
    assert page.details.isVisible()
    page._toggle_details()
    assert not page.details.isVisible()


def test_finished_section_unfolds_by_key(desk: Desk, page: DownloadsScreen) -> None:
    rows = page.model.rowCount()
    page.list.setCurrentIndex(page.model.index(rows - 1, 0))
    desk.key(page.list, Qt.Key.Key_Return)
    assert page.model.opened == {Section.FINISHED}
    assert page.model.rowCount() == rows + 2


def test_clear_finished(desk: Desk, page: DownloadsScreen) -> None:
    choose(page.header_menu(), "Clear finished")
    assert desk.engine.last(c.ClearFinished) == c.ClearFinished()
    desk.settle()
    assert [type(row).__name__ for row in page.model.rows][-1] == "TitleRow"
    assert page.model.rows[-1].section is Section.SHARING


def test_lobby_turns_the_others_within_one_delta(desk: Desk, page: DownloadsScreen) -> None:
    desk.engine.change(SYNTH, state=TransferState.PAUSED, reason=Reason.LOBBY_FIRST)
    desk.settle()
    row = page.model.row_at(page.model.index_of(SYNTH))
    assert isinstance(row, TransferRow)
    assert face_of(row, 0).words == "resumes by itself"


def test_nothing_at_all(qtbot: QtBot) -> None:
    desk = Desk(FakeEngine())
    page = desk.page("downloads", DownloadsScreen)
    shown = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    assert "Nothing is downloading" in shown
    assert not page.pause_all.isEnabled()
    desk.press(page, "Browse")
    assert desk.window.current == "browse"
    desk.close()


def test_only_finished_ones_leave_a_way_to_browse(qtbot: QtBot) -> None:
    engine = FakeEngine.full()
    desk = Desk(engine)
    page = desk.page("downloads", DownloadsScreen)
    sections = {row.section for row in page.model.rows}
    assert not page._empty.isVisible()
    engine.publish(
        gone_transfers=[
            row.transfer.id for row in page.model.rows if isinstance(row, TransferRow) and row.section.tier is not None
        ]
    )
    desk.settle()
    assert {row.section for row in page.model.rows} == sections - {Section.LOBBY, Section.USER, Section.BACKGROUND}
    assert page._empty.isVisible()
    assert page.list.isVisible()
    assert page.list.height() == page.list.height_of_rows()
    assert page._empty.y() >= page.list.geometry().bottom()
    page.list.setCurrentIndex(page.model.index(page.model.rowCount() - 1, 0))
    desk.key(page.list, Qt.Key.Key_Return)
    desk.settle()
    assert not page._empty.isVisible()
    desk.close()


def test_every_row_paints_in_every_state(desk: Desk, page: DownloadsScreen) -> None:
    for state in TransferState:
        for reason in (Reason.NONE, Reason.DISK, Reason.FAILED):
            desk.engine.change(SYNTH, state=state, reason=reason, finished_at=None)
            desk.settle()
            page.grab()


def test_rows_fit_a_small_window(desk: Desk, page: DownloadsScreen) -> None:
    desk.window.resize(1024, 640)
    desk.settle()
    for at in range(page.model.rowCount()):
        index = page.model.index(at, 0)
        row = page.model.row_at(index)
        assert row is not None
        rect = QRectF(page.list.visualRect(index))
        places = list(parts_of(row, rect, 0.0).values())
        assert all(rect.contains(place) for place in places)
        assert not any(a.intersects(b) for a in places for b in places if a is not b)


def test_history_of_rates() -> None:
    history = RateHistory()
    assert history.top == FLOOR
    for step in range(SAMPLES_MAX * 2):
        history.add(step * 0.25, step * 1000, 0)
    assert history.samples[0].at <= history.samples[-1].at - SPAN
    assert history.samples[1].at >= history.samples[-1].at - SPAN
    assert history.top == 1_000_000
    history.add(0.0, 9 * MB, 0)
    assert len(history.samples) == 1, "a clock that goes back starts anew"
    assert history.top == 10 * MB


def test_graph_says_what_it_shows(desk: Desk, page: DownloadsScreen) -> None:
    assert page.side.speed.graph.description == "Down 9.4 MB/s, up 640 KB/s, highest 9.4 MB/s"


def test_one_signal_for_one_changed_row(desk: Desk, page: DownloadsScreen) -> None:
    said: list[tuple[int, int]] = []
    page.model.dataChanged.connect(lambda first, last, _roles: said.append((first.row(), last.row())))
    desk.engine.change(SYNTH, done=41 * MB)
    QApplication.processEvents()
    desk.bridge.flush()
    at = page.model.index_of(SYNTH).row()
    assert [pair for pair in said if pair == (at, at)] == [(at, at)]
