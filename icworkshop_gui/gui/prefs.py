"""What the window remembers about itself: one row a wish, kept as text in one small file.

The engine's settings are not here; they travel through its door.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

log = logging.getLogger("icw.gui.prefs")

PREFS_BYTES_MAX = 64 * 1024
"""A larger file is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pref:
    """One row. Without `label` the player never sees it: the window's own memory."""

    key: str
    default: str
    choices: tuple[tuple[str, str], ...] = ()
    """Value and word; empty means a switch (`true`, `false`)."""
    category: str = ""
    label: str = ""
    help: str = ""
    synonyms: str = ""

    def fits(self, value: str) -> bool:
        return value in ([name for name, _word in self.choices] or ["true", "false"])


THEME = "ui.theme"
REDUCED_MOTION = "ui.reduced_motion"
CLOSE_TO_TRAY = "ui.close_to_tray"
NOTIFY_FINISHED = "ui.notify_finished"
TOLD_ABOUT_TRAY = "ui.told_about_tray"
FIRST_RUN_DONE = "ui.first_run_done"

PREFS: tuple[Pref, ...] = (
    Pref(
        key=CLOSE_TO_TRAY,
        default="true",
        category="General",
        label="Keep running in the tray",
        help="Closing the window leaves downloads and sharing at work. Without a tray, closing ends the program.",
        synonyms="close minimise background quit",
    ),
    Pref(
        key=NOTIFY_FINISHED,
        default="true",
        category="General",
        label="Tell me when downloads are done",
        help="A notification while the window is not in front. Several at once become one.",
        synonyms="notification popup message",
    ),
    Pref(
        key=THEME,
        default="system",
        choices=(
            ("system", "As the system"),
            ("light", "Light"),
            ("dark", "Dark"),
            ("high-contrast", "High contrast"),
        ),
        category="Appearance",
        label="Colours",
        help="High contrast is dark or light, as the system is.",
        synonyms="theme dark light mode style color scheme accessibility",
    ),
    Pref(
        key=REDUCED_MOTION,
        default="false",
        category="Appearance",
        label="Reduce motion",
        help="Nothing slides or fades.",
        synonyms="animation accessibility",
    ),
    Pref(key=TOLD_ABOUT_TRAY, default="false"),
    Pref(key=FIRST_RUN_DONE, default="false"),
)
BY_KEY = {pref.key: pref for pref in PREFS}


class Prefs(QObject):
    """Values by key, written at once. A file that cannot be read is set aside, never in the way of the start.

    Signals:
        changed(str): this key has another value now.
    """

    changed = Signal(str)

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        """`path` None: kept in memory alone."""
        super().__init__(parent)
        self._path = path
        self._values: dict[str, str] = {}
        self.set_aside = False
        """The file was unreadable and now has the ending `.bad`."""
        self._load()

    def get(self, key: str) -> str:
        return self._values.get(key, BY_KEY[key].default)

    def on(self, key: str) -> bool:
        """The value of a switch."""
        return self.get(key) == "true"

    def set(self, key: str, value: str) -> None:
        """ValueError for a value that is not among the choices."""
        if not BY_KEY[key].fits(value):
            raise ValueError(f"{key} cannot be {value!r}")
        if self.get(key) != value:
            self._values[key] = value
            self._save()
            self.changed.emit(key)

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("rb") as file:
                raw = file.read(PREFS_BYTES_MAX + 1)
            if len(raw) > PREFS_BYTES_MAX:
                raise ValueError("too large")
            kept = json.loads(raw)
            if not isinstance(kept, dict):
                raise TypeError("not an object")
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, RecursionError) as error:
            log.info("window settings unreadable, defaults are used: %s", error)
            self._put_aside()
            return
        self._values = {
            key: value
            for key, value in kept.items()
            if key in BY_KEY and isinstance(value, str) and BY_KEY[key].fits(value)
        }

    def _put_aside(self) -> None:
        assert self._path is not None
        self.set_aside = True
        try:
            self._path.replace(self._path.with_suffix(".bad"))
        except OSError as error:
            log.info("cannot set %s aside: %s", self._path, error)

    def _save(self) -> None:
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(self._values, indent=1, sort_keys=True), encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            log.info("window settings not saved: %s", error)


def shown(prefs: Sequence[Pref] = PREFS) -> list[Pref]:
    """Those that Settings shows."""
    return [pref for pref in prefs if pref.label]


def prefs() -> Prefs:
    """The running program's; in memory until `install` names a file. QApplication must exist."""
    global _prefs
    app = QApplication.instance()
    if _prefs is None or _prefs.parent() is not app:
        _prefs = Prefs(None, app)
    return _prefs


def install(path: Path | None) -> Prefs:
    """Make the running program keep its wishes in this file."""
    global _prefs
    _prefs = Prefs(path, QApplication.instance())
    return _prefs


_prefs: Prefs | None = None
