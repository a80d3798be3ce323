"""One suite for every EngineFacade: the window's tests may trust the fake because it passes what the engine passes."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import bencode2
import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound, UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.facade import EngineFacade
from icworkshop_gui.engine.api.snapshots import EngineView, LimitCause, Reason, SnapshotDelta, TransferState
from tests.helpers.fake_engine import FakeEngine

PATIENCE = 10.0
UPLOAD = "workshop.p2p.max_upload_speed"


def _fake(_folder: Path) -> EngineFacade:
    return FakeEngine()


def _real(folder: Path) -> EngineFacade:
    host = importlib.import_module("icworkshop_gui.engine.host")
    settings = {"workshop.p2p.listen_port": "0"}
    engine: EngineFacade = host.EngineHost(data_dir=folder / "data", settings=settings, listen_host="127.0.0.1").start()
    return engine


FACTORIES: list[Any] = [pytest.param(_fake, id="fake")]
if importlib.util.find_spec("icworkshop_gui.engine.session") is not None:
    FACTORIES.append(pytest.param(_real, id="host"))


@pytest.fixture(params=FACTORIES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineFacade]:
    made: EngineFacade = request.param(tmp_path)
    yield made
    made.close(PATIENCE)


class Listener:
    """A subscriber that keeps everything, in order."""

    def __init__(self, engine: EngineFacade) -> None:
        self.heard: list[SnapshotDelta | Event] = []
        self.stop = engine.subscribe(self.heard.append)

    @property
    def view(self) -> EngineView:
        view = EngineView()
        for item in tuple(self.heard):
            if isinstance(item, SnapshotDelta):
                view.apply(item)
        return view

    def until(self, true: Callable[[EngineView], bool]) -> EngineView:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            view = self.view
            if true(view):
                return view
            time.sleep(0.01)
        raise AssertionError(f"never came true: {self.view}")


def answer(future: Future[Any]) -> Any:
    return future.result(PATIENCE)


def torrent(name: str = "file.bin") -> bytes:
    return bytes(
        bencode2.bencode({"info": {"length": 40000, "name": name, "piece length": 16384, "pieces": b"\x07" * 60}})
    )


def add(engine: EngineFacade, folder: Path, name: str = "file.bin") -> TransferId:
    wish = c.AddTorrent(metainfo=torrent(name), folder=folder, paused=True, use_trackers=False)
    added: TransferId = answer(engine.submit(wish))
    return added


def test_first_delta_holds_everything(engine: EngineFacade, tmp_path: Path) -> None:
    added = add(engine, tmp_path)
    early = Listener(engine)
    early.until(lambda view: added in view.transfers)
    late = Listener(engine)
    late.until(lambda view: bool(view.settings))
    first = late.heard[0]
    assert isinstance(first, SnapshotDelta)
    assert added in {transfer.id for transfer in first.transfers}
    assert UPLOAD in dict(first.settings)


def test_two_subscribers_arrive_at_the_same_view(engine: EngineFacade, tmp_path: Path) -> None:
    first = Listener(engine)
    added = add(engine, tmp_path)
    answer(engine.submit(c.SetTier((added,), Tier.BACKGROUND)))
    first.until(lambda view: added in view.transfers and view.transfers[added].tier is Tier.BACKGROUND)
    second = Listener(engine)
    view = second.until(lambda view: added in view.transfers)
    assert view.transfers[added].tier is Tier.BACKGROUND
    assert view.settings == first.view.settings


def test_unsubscribed_hears_nothing_more(engine: EngineFacade, tmp_path: Path) -> None:
    gone, here = Listener(engine), Listener(engine)
    here.until(lambda view: bool(view.settings))
    gone.stop()
    gone.stop()
    before = len(gone.heard)
    added = add(engine, tmp_path)
    here.until(lambda view: added in view.transfers)
    assert len(gone.heard) == before


def test_pause_and_resume_carry_their_reason(engine: EngineFacade, tmp_path: Path) -> None:
    listener = Listener(engine)
    added = add(engine, tmp_path)
    view = listener.until(lambda view: added in view.transfers)
    assert view.transfers[added].state is TransferState.PAUSED
    assert view.transfers[added].reason is Reason.USER
    answer(engine.submit(c.Resume((added,))))
    listener.until(lambda view: view.transfers[added].reason is not Reason.USER)


def test_move_changes_the_position(engine: EngineFacade, tmp_path: Path) -> None:
    listener = Listener(engine)
    first, second = add(engine, tmp_path, "a.bin"), add(engine, tmp_path, "b.bin")
    answer(engine.submit(c.Move(second, 0)))
    listener.until(
        lambda view: (
            {first, second} <= view.transfers.keys()
            and view.transfers[second].position < view.transfers[first].position
        )
    )


def test_cancel_and_undo(engine: EngineFacade, tmp_path: Path) -> None:
    listener = Listener(engine)
    added = add(engine, tmp_path)
    listener.until(lambda view: added in view.transfers)
    answer(engine.submit(c.Cancel(added)))
    listener.until(lambda view: added not in view.transfers)
    answer(engine.submit(c.UndoCancel(added)))
    listener.until(lambda view: added in view.transfers)


def test_setting_travels_as_text(engine: EngineFacade) -> None:
    listener = Listener(engine)
    answer(engine.submit(c.SetSetting(UPLOAD, "250 kB/s")))
    view = listener.until(lambda view: view.settings.get(UPLOAD) == "250 kB/s")
    listener.until(lambda view: view.totals.limit_up == 250_000)
    assert view.settings.keys() >= {UPLOAD}


def test_slow_mode_says_what_is_in_force_and_why(engine: EngineFacade) -> None:
    listener = Listener(engine)
    answer(engine.submit(c.SetSlowMode(True)))
    view = listener.until(lambda view: view.totals.limit_slow)
    assert (view.totals.limit_down, view.totals.limit_up) == (200_000, 50_000)
    assert view.totals.limit_cause is LimitCause.SLOW
    answer(engine.submit(c.SetSlowMode(False)))
    listener.until(lambda view: view.totals.limit_cause is LimitCause.SETTINGS and not view.totals.limit_slow)


def test_sharing_switch(engine: EngineFacade) -> None:
    listener = Listener(engine)
    answer(engine.submit(c.SetSharing(False)))
    listener.until(lambda view: not view.totals.sharing)
    answer(engine.submit(c.SetSharing(True)))
    listener.until(lambda view: view.totals.sharing)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (c.SetSetting(UPLOAD, "very fast"), UserError),
        (c.SetTier((TransferId("none"),), Tier.BACKGROUND), NotFound),
        (c.Move(TransferId("none"), 0), NotFound),
        (c.Cancel(TransferId("none")), NotFound),
        (c.UndoCancel(TransferId("none")), NotFound),
        (c.VerifyPackage(PackageRef("a", "b", "1.0.0")), NotFound),
        (c.RemovePackage(PackageRef("a", "b", "1.0.0")), NotFound),
        (c.UndoRemove(PackageRef("a", "b", "1.0.0")), NotFound),
        (c.GetPackage(PackageId("a", "b")), UserError),  # no source is set up
        (c.AddSource("not an address"), UserError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, c.Command) else "",
)
def test_what_cannot_be_comes_back_in_the_future(
    engine: EngineFacade, wish: c.Command[Any], error: type[Exception]
) -> None:
    future = engine.submit(wish)
    assert isinstance(future.exception(PATIENCE), error)


def test_garbage_is_a_format_error(engine: EngineFacade, tmp_path: Path) -> None:
    future = engine.submit(c.AddTorrent(metainfo=b"rubbish", folder=tmp_path))
    assert isinstance(future.exception(PATIENCE), FormatError)


def test_the_same_torrent_twice_is_a_conflict(engine: EngineFacade, tmp_path: Path) -> None:
    add(engine, tmp_path)
    future = engine.submit(c.AddTorrent(metainfo=torrent(), folder=tmp_path, paused=True))
    assert isinstance(future.exception(PATIENCE), Conflict)


def test_after_close_every_wish_is_refused(engine: EngineFacade) -> None:
    engine.close(PATIENCE)
    engine.close(PATIENCE)
    assert isinstance(engine.submit(c.SetSharing(True)).exception(PATIENCE), UserError)
