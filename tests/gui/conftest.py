"""A window with a fake engine behind it, and nothing left over afterwards."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.theme import Mode, theme
from icworkshop_gui.gui.tokens import Measure
from icworkshop_gui.gui.window import MainWindow
from tests.helpers.fake_engine import FakeEngine


class Desk:
    """A shown window, its bridge and its engine."""

    def __init__(self, engine: FakeEngine, bot: QtBot, **options: Any) -> None:
        self.engine = engine
        self.bot = bot
        self.bridge = EngineBridge(engine)
        self.window = MainWindow(self.bridge, **options)
        if "memory" not in options:
            self.window.resize(*Measure.WINDOW)  # the offscreen screen is smaller
        with bot.waitActive(self.window):
            self.window.show()
            self.window.activateWindow()
        self.settle()

    def go(self, key: str, argument: object = None) -> Any:
        """Visit a page and wait until what it asked for is there."""
        self.window.go(key, argument)
        self.settle()
        return self.window.page(key)

    def settle(self) -> None:
        """Deliver all queued answers and facts."""
        for _ in range(4):
            QCoreApplication.processEvents()
            self.bridge.flush()

    def close(self) -> None:
        self.window.shut_down()
        self.bridge.detach()
        self.window.close()
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QCoreApplication.processEvents()


@pytest.fixture
def new_desk(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Make windows: `new_desk()`, `new_desk(engine, memory=…)`. All are closed at the end."""
    theme().set_mode(Mode.DARK)
    theme().set_reduced_motion(True)
    desks: list[Desk] = []

    def make(engine: FakeEngine | None = None, **options: Any) -> Desk:
        desks.append(Desk(engine or FakeEngine.full(), qtbot, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """One window with the canned world of the drawings."""
    return new_desk()


@pytest.fixture(scope="package", autouse=True)
def garbage_stays_on_this_thread() -> None:
    """From the first window on, no other thread may collect: it would destroy widgets and timers, which crashes Qt.

    The program does the same (`gui/garbage.py`). It stays so for the rest of this process, because a failed test's
    traceback keeps its widgets long after; `tests/conftest.py` collects between tests.
    """
    gc.collect()
    gc.disable()
