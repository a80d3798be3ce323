"""Cyclic garbage is collected on the window's thread alone.

Python collects on whichever thread crosses its threshold, so the engine's thread could destroy the wrappers of
widgets, which Qt allows on the window's thread only: a crash that comes once in a great many hours.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 500
"""Between two looks at how much garbage there may be."""


class GarbageCollector(QObject):
    """Switches automatic collection off while it lives; `stop` leaves it as it was found."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._automatic = gc.isenabled()
        gc.disable()
        # What was made at start stays for ever: not looking through it again keeps every later pause short.
        gc.collect()
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def look(self) -> None:
        """Collect the oldest generation that is over its threshold, as Python would."""
        for generation in (2, 1, 0):
            if gc.get_count()[generation] > gc.get_threshold()[generation] > 0:
                gc.collect(generation)
                return

    def stop(self) -> None:
        self._timer.stop()
        gc.unfreeze()
        if self._automatic:
            gc.enable()
