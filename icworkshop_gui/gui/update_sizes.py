"""Has updates measured as soon as they are known of, so that their buttons say what must be fetched."""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.engine.api.commands import PlanUpdate
from icworkshop_gui.engine.api.snapshots import LibraryEntry, Network
from icworkshop_gui.gui.bridge import EngineBridge, LibraryDelta

log = logging.getLogger("icw.gui")


class UpdateSizes(QObject):
    """Each update is asked for once; the answer comes with the library's entry. Not where bytes cost money."""

    def __init__(self, bridge: EngineBridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._asked: set[tuple[PackageRef, str]] = set()
        bridge.libraryChanged.connect(self._library)
        for entry in tuple(bridge.view.library.values()):
            self._look(entry)

    def _library(self, delta: LibraryDelta) -> None:
        for entry in delta.changed:
            self._look(entry)

    def _look(self, entry: LibraryEntry) -> None:
        key = entry.ref, entry.update_to
        if not entry.update_to or entry.update_bytes is not None or key in self._asked:
            return
        if self._bridge.view.totals.network is Network.UNMETERED:
            self._asked.add(key)
            self._bridge.send(PlanUpdate(entry.ref.package), self._failed)

    def _failed(self, error: Exception) -> None:
        """The button goes without a number then."""
        log.info("event=update-not-measured: %s", error)
