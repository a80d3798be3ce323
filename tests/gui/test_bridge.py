from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
import qasync
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from icworkshop_gui.core.catalog import SearchQuery
from icworkshop_gui.core.errors import NotFound, UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import Listening
from icworkshop_gui.engine.api.snapshots import SnapshotDelta
from icworkshop_gui.gui.bridge import FLUSH_INTERVAL_MS, EngineBridge, TransfersDelta
from tests.helpers.fake_engine import FakeEngine
from tests.helpers.sample_content import TRANSFERS, transfer


class Heard:
    """Everything a signal said."""

    def __init__(self, signal: Any) -> None:
        self.said: list[Any] = []
        signal.connect(self.said.append)


def settle(bridge: EngineBridge) -> None:
    """Deliver what is queued, merged or not."""
    QApplication.processEvents()
    bridge.flush()


def test_first_facts_arrive_on_the_gui_thread(qtbot: QtBot) -> None:
    bridge = EngineBridge(FakeEngine.full())
    heard = Heard(bridge.transfersChanged)
    assert not heard.said
    settle(bridge)
    assert len(heard.said) == 1
    assert set(heard.said[0].changed) == set(TRANSFERS)
    assert bridge.view.totals.peers == 14


def test_a_burst_is_told_once_and_last_word_wins(qtbot: QtBot) -> None:
    engine = FakeEngine.full()
    bridge = EngineBridge(engine)
    settle(bridge)
    heard = Heard(bridge.transfersChanged)
    first = TRANSFERS[0].id
    for done in range(100):
        engine.change(first, done=done)
    engine.publish(gone_transfers=(TRANSFERS[1].id,))
    QApplication.processEvents()
    assert not heard.said, "less than a quarter of a second has passed"
    assert bridge.view.transfers[first].done == 99
    with qtbot.waitSignal(bridge.transfersChanged, timeout=5 * FLUSH_INTERVAL_MS):
        pass
    assert heard.said == [TransfersDelta((replace(TRANSFERS[0], done=99),), (TRANSFERS[1].id,))]


def test_gone_and_back_is_no_contradiction(qtbot: QtBot) -> None:
    engine = FakeEngine.full()
    bridge = EngineBridge(engine)
    settle(bridge)
    heard = Heard(bridge.transfersChanged)
    engine.publish(gone_transfers=(TRANSFERS[0].id,))
    engine.publish(transfers=(TRANSFERS[0],))
    engine.publish(transfers=(transfer("New"),))
    engine.publish(gone_transfers=(TransferId("t-new"),))
    settle(bridge)
    assert heard.said == [TransfersDelta((TRANSFERS[0],), (TransferId("t-new"),))]


def test_events_come_at_once_after_the_facts_before_them(qtbot: QtBot) -> None:
    engine = FakeEngine.full()
    bridge = EngineBridge(engine)
    settle(bridge)
    seen: list[int] = []
    bridge.eventHappened.connect(lambda event: seen.append(bridge.view.totals.listen_port))
    engine.publish(listen_port=4242)
    engine.tell(Listening(port=4242))
    QApplication.processEvents()
    assert seen == [4242]


def test_only_what_changed_is_told(qtbot: QtBot) -> None:
    engine = FakeEngine.full()
    bridge = EngineBridge(engine)
    settle(bridge)
    library, settings, totals = (
        Heard(bridge.libraryChanged),
        Heard(bridge.settingsChanged),
        Heard(bridge.totalsChanged),
    )
    engine.publish(rate_down=5)
    settle(bridge)
    assert (library.said, settings.said) == ([], [])
    assert totals.said[-1].rate_down == 5


def test_a_wish_that_fails_becomes_words(qtbot: QtBot) -> None:
    bridge = EngineBridge(FakeEngine.full())
    failed, own = Heard(bridge.failed), []
    bridge.send(c.Cancel(TransferId("none")))
    bridge.send(c.Cancel(TransferId("none")), own.append)
    settle(bridge)
    assert failed.said == ["There is no transfer none."]
    assert isinstance(own[0], NotFound)


def test_answers_of_widgets_that_are_gone_are_dropped(qtbot: QtBot) -> None:
    class Page(QObject):
        def answered(self, page: object) -> None:
            raise AssertionError("called after its end")

    engine = FakeEngine.full()
    engine.hold(c.Search)
    bridge = EngineBridge(engine)
    page = Page()
    bridge.ask(c.Search(SearchQuery()), page.answered, page.answered)
    page.deleteLater()
    page.destroyed.connect(lambda: engine.release(c.Search))
    with qtbot.waitSignal(page.destroyed):
        pass
    settle(bridge)


def test_an_answer_can_be_awaited(qapp: QApplication) -> None:
    engine = FakeEngine.full()
    bridge = EngineBridge(engine)

    async def ask() -> int:
        page = await bridge.submit(c.Search(SearchQuery(text="dunes")))
        with pytest.raises(NotFound):
            await bridge.submit(c.Cancel(TransferId("none")))
        return page.total

    loop = qasync.QEventLoop(qapp)
    with loop:
        assert loop.run_until_complete(ask()) == 1


def test_nothing_is_lost_at_the_end(qapp: QApplication) -> None:
    """The engine talks from its own thread up to its last breath; all of it is delivered."""

    class Chatty(FakeEngine):
        def close(self, timeout: float = 10.0) -> None:
            talker = threading.Thread(target=self._last_words)
            talker.start()
            talker.join()
            super().close(timeout)

        def _last_words(self) -> None:
            for port in range(1, 2001):
                self.tell(Listening(port=port))
                self.push(SnapshotDelta(totals=replace(self.view.totals, listen_port=port)))

    engine = Chatty.full()
    bridge = EngineBridge(engine)
    ports: list[int] = []
    bridge.eventHappened.connect(lambda event: ports.append(event.port))
    loop = qasync.QEventLoop(qapp)
    with loop:
        loop.run_until_complete(bridge.aclose())
    assert ports == list(range(1, 2001))
    assert bridge.view.totals.listen_port == 2000
    assert isinstance(engine.submit(c.SetSharing(True)).exception(), UserError)


def test_one_broken_receiver_does_not_cost_the_others(qtbot: QtBot) -> None:
    bridge = EngineBridge(FakeEngine.full())
    answers: list[object] = []

    def broken(page: object) -> None:
        raise ZeroDivisionError

    with qtbot.captureExceptions() as caught:
        bridge.ask(c.Search(SearchQuery()), broken)
        bridge.ask(c.Search(SearchQuery()), answers.append)
        settle(bridge)
    assert [kind for kind, _value, _trace in caught] == [ZeroDivisionError]
    assert len(answers) == 1


def test_asyncio_loop_is_not_needed_for_signals(qtbot: QtBot) -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    bridge = EngineBridge(FakeEngine.full())
    bridge.send(c.SetSharing(False))
    settle(bridge)
    assert not bridge.view.totals.sharing
