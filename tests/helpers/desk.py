"""A window on a fake engine, for tests of screens: press, tell, look."""

from __future__ import annotations

from typing import Any, TypeVar

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QRectF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QListView, QMenu, QWidget

from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.screens.base import Screen
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.window import MainWindow
from tests.helpers.fake_engine import FakeEngine

S = TypeVar("S", bound=Screen)
W = TypeVar("W", bound=QWidget)


class Desk:
    """One window with its engine. `close` at the end."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.bridge = EngineBridge(engine)
        self.window = MainWindow(self.bridge)
        self.window.resize(1280, 800)
        self.window.show()
        self.settle()

    def close(self) -> None:
        self.settle()
        self.window.shut_down()
        self.bridge.detach()
        self.window.close()
        self.window.deleteLater()

    def settle(self) -> None:
        """Deliver everything that is under way."""
        for _ in range(3):
            QApplication.processEvents()
            self.bridge.flush()

    def page(self, key: str, kind: type[S], argument: object = None) -> S:
        """Go there."""
        self.window.go(key, argument)
        self.settle()
        found = self.window.page(key)
        assert isinstance(found, kind)
        return found

    @property
    def toasts(self) -> list[str]:
        return [toast.text for toast in self.window.toasts.toasts()]

    def undo(self) -> None:
        """Ctrl+Z."""
        assert self.window.toasts.undo()
        self.settle()

    def press_part(self, view: QListView, index: QModelIndex, part: QRectF) -> None:
        """Click into a part of a painted row."""
        assert index.isValid()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=part.center().toPoint())
        self.settle()

    def key(self, widget: QWidget, key: Qt.Key, control: bool = False) -> None:
        modifier = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(widget, key, modifier)
        self.settle()

    def sheet(self) -> Sheet:
        """The sheet that is open."""
        found = [sheet for sheet in self.window.findChildren(Sheet) if sheet.isVisible()]
        assert len(found) == 1
        return found[0]

    def press(self, parent: QWidget, text: str) -> None:
        """Click the button with this text."""
        found = [b for b in parent.findChildren(QAbstractButton) if b.text() == text and b.isVisibleTo(parent)]
        assert found, [b.text() for b in parent.findChildren(QAbstractButton)]
        found[0].click()
        self.settle()


def choose(menu: Menu | QMenu | None, text: str) -> None:
    """Pick an entry of a menu by its words."""
    assert menu is not None
    for action in menu.actions():
        if action.text() == text:
            action.trigger()
            return
    raise AssertionError(f"{text!r} is not in {[action.text() for action in menu.actions()]}")


def texts(model: QAbstractItemModel) -> list[Any]:
    return [model.index(row, 0).data() for row in range(model.rowCount())]
