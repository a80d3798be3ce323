"""The category vocabulary of the Workshop in the window: words, order of tabs, and which art stands for it.

A category is free text in a manifest; what is not known here is shown as written, after the known ones.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Motif(Enum):
    """What package art shows."""

    TILES = auto()
    WAVES = auto()
    RINGS = auto()
    PIXELS = auto()
    RIDGES = auto()
    BANDS = auto()
    GRAPH = auto()


class _Category(NamedTuple):
    slugs: tuple[str, ...]
    one: str
    many: str
    motif: Motif


_TABLE = (
    _Category(("map", "maps"), "map", "Maps", Motif.TILES),
    _Category(("mod", "mods", "full-mods"), "mod", "Mods", Motif.RIDGES),
    _Category(("total-conversion", "total-conversions"), "total conversion", "Total conversions", Motif.RIDGES),
    _Category(("campaign", "campaigns", "missions", "campaign-chapters"), "campaign", "Campaigns", Motif.RIDGES),
    _Category(("theme", "themes", "ui-themes"), "theme", "Themes", Motif.BANDS),
    _Category(("ai-preset", "ai-presets", "balance-presets"), "AI preset", "AI presets", Motif.GRAPH),
    _Category(("music",), "music", "Music", Motif.WAVES),
    _Category(
        ("sprites", "sprite", "textures", "texture", "sprite-pack", "hd-assets"), "sprites", "Sprites", Motif.PIXELS
    ),
    _Category(
        ("voice-pack", "voice-packs", "voice", "voices", "voice-lines"), "voice pack", "Voice packs", Motif.RINGS
    ),
    _Category(("sound-effects", "sounds"), "sounds", "Sounds", Motif.WAVES),
    _Category(("script", "scripts", "script-libraries"), "script", "Scripts", Motif.GRAPH),
    _Category(("tutorial", "tutorials"), "tutorial", "Tutorials", Motif.BANDS),
)
_BY_SLUG = {slug: (rank, entry) for rank, entry in enumerate(_TABLE) for slug in entry.slugs}

TABS = (
    ("", "All"),
    *(
        (entry.slugs[0], entry.many)
        for entry in _TABLE
        if entry.many not in ("Total conversions", "Sounds", "Tutorials")
    ),
)
"""Shown before the catalog says which categories it has."""


def _slug(category: str) -> str:
    return category.strip().lower().replace(" ", "-").replace("_", "-")


def word(category: str) -> str:
    """One package of it, in a line: `map`, `voice pack`."""
    found = _BY_SLUG.get(_slug(category))
    return found[1].one if found else category


def tab_word(category: str) -> str:
    """All of it, on a tab: `Maps`, `Voice packs`."""
    found = _BY_SLUG.get(_slug(category))
    return found[1].many if found else category[:1].upper() + category[1:]


def rank(category: str) -> tuple[int, str]:
    """Sort key of a tab."""
    found = _BY_SLUG.get(_slug(category))
    return (found[0] if found else len(_TABLE), category)


def motif(category: str) -> Motif:
    """What its art shows; ridges for what is not known."""
    found = _BY_SLUG.get(_slug(category))
    return found[1].motif if found else Motif.RIDGES
