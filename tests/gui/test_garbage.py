"""Garbage of widgets is collected on the window's thread, whoever makes it."""

from __future__ import annotations

import gc
import threading

import pytest
from pytestqt.qtbot import QtBot

from icworkshop_gui.gui.garbage import GarbageCollector


class Loop:
    """Garbage that only the collector finds; says on which thread it went."""

    gone_on: list[str] = []

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        self.gone_on.append(threading.current_thread().name)


def test_only_the_windows_thread_collects(qtbot: QtBot) -> None:
    Loop.gone_on.clear()
    collector = GarbageCollector()
    try:
        Loop()
        # Another thread crosses every threshold many times.
        other = threading.Thread(target=lambda: [[[]] for _ in range(200_000)], name="engine")
        other.start()
        other.join()
        assert Loop.gone_on == []
        kept = [[[]] for _ in range(5_000)]
        assert kept
        collector.look()
        assert set(Loop.gone_on) == {threading.current_thread().name}
    finally:
        collector.stop()


@pytest.mark.parametrize("automatic", [True, False])
def test_it_leaves_collection_as_it_found_it(qtbot: QtBot, automatic: bool) -> None:
    before = gc.isenabled()
    (gc.enable if automatic else gc.disable)()
    try:
        collector = GarbageCollector()
        assert not gc.isenabled()
        collector.stop()
        assert gc.isenabled() is automatic
    finally:
        (gc.enable if before else gc.disable)()
