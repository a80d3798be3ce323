"""Engine settings and window wishes as one list: categories, words, search. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from icworkshop_gui.engine.api.settings import SETTINGS, Kind, Setting, parse_amount, parse_rate
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.prefs import PREFS, Pref, shown

SOURCES = "Sources"
"""The category whose rows are Workshop servers, not settings."""
_ORDER = ("General", "Downloads", "Sharing", "Speed", "Network", "Storage", SOURCES, "Appearance")
_ICONS = {
    "General": "settings",
    "Downloads": "download",
    "Sharing": "sprout",
    "Speed": "gauge",
    "Network": "globe",
    "Storage": "hard-drive",
    SOURCES: "server",
    "Appearance": "sun",
}
SOURCE_WORDS = "sources workshop server add url community registry"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the page: a setting of the engine, or a wish of the window."""

    row: Setting | Pref

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def category(self) -> str:
        return self.row.category

    @property
    def label(self) -> str:
        return self.row.label

    @property
    def help(self) -> str:
        text = self.row.help
        if isinstance(self.row, Setting) and self.row.needs_restart:
            text += " Takes effect at the next start."
        return text

    def default_words(self) -> str:
        """The default as the row would show it."""
        return value_words(self.row, self.row.default)

    def matches(self, asked: Sequence[str]) -> bool:
        """Does every word occur in label, help, synonyms, category or key?"""
        row = self.row
        text = f"{row.label} {row.help} {row.synonyms} {row.category} {row.key}".casefold()
        return all(word in text for word in asked)


def value_words(row: Setting | Pref, value: str) -> str:
    """A value for people: `On`, `1.0 MB/s`, `Unlimited`, `As the system`."""
    if isinstance(row, Pref):
        return dict(row.choices).get(value, "On" if value == "true" else "Off")
    try:
        match row.kind:
            case Kind.BOOL:
                return "On" if value == "true" else "Off"
            case Kind.RATE:
                return words.limit(parse_rate(value))
            case Kind.SIZE:
                return words.size(parse_amount(value))
            case Kind.SCHEDULE:
                return value or "no rules"
            case Kind.FOLDER:
                return value or "in the program's data"
            case Kind.HOSTS:
                return value or "none"
            case Kind.INT:
                return value
            case Kind.RATIO | Kind.DURATION:
                return "Unlimited" if value == "unlimited" else value
    except ValueError:
        return value


def entries() -> list[Entry]:
    """Every row that the player sees, category by category."""
    rows: list[Setting | Pref] = [*shown(PREFS), *SETTINGS]
    found = [Entry(row) for row in rows]
    found.sort(key=lambda entry: rank(entry.category))
    return found


def categories() -> list[str]:
    """In the order of the page."""
    return sorted({*(entry.category for entry in entries()), SOURCES}, key=rank)


def rank(category: str) -> int:
    """Those we do not know come last, before nothing."""
    return _ORDER.index(category) if category in _ORDER else len(_ORDER)


def icon(category: str) -> str:
    return _ICONS.get(category, "sliders-horizontal")


def find(text: str) -> tuple[list[Entry], bool]:
    """Rows that hold every word of `text`, and whether the sources do."""
    asked = text.casefold().split()
    return [entry for entry in entries() if entry.matches(asked)], all(word in SOURCE_WORDS for word in asked)
