"""Colours and measures as data, without Qt: what `design/LOOK.md` calls tokens, and the pairs that must be legible."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Token(StrEnum):
    """A colour by its job. Widgets name jobs, never hex values."""

    BG = "bg"
    """Page."""
    RAIL = "rail"
    """Navigation rail, status strip."""
    SURFACE = "surface"
    """Cards, inputs, sheets."""
    RAISED = "raised"
    """Chips, tracks, hovered rows."""
    LINE = "line"
    """1 px borders."""
    TEXT = "text"
    MUTED = "muted"
    """Second line, labels."""
    ACCENT = "accent"
    """Primary action, selection, progress, lobby tier."""
    ON_ACCENT = "on_accent"
    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    INFO = "info"
    """States; also the user tier."""
    QUIET = "quiet"
    """The background tier."""


class Scheme(StrEnum):
    """A complete set of colours."""

    DARK = "dark"
    LIGHT = "light"
    CONTRAST_DARK = "contrast-dark"
    CONTRAST_LIGHT = "contrast-light"

    @property
    def is_dark(self) -> bool:
        return self in (Scheme.DARK, Scheme.CONTRAST_DARK)

    @property
    def is_contrast(self) -> bool:
        return self in (Scheme.CONTRAST_DARK, Scheme.CONTRAST_LIGHT)


COLORS: Mapping[Scheme, Mapping[Token, str]] = {
    Scheme.DARK: {
        Token.BG: "#0F1216",
        Token.RAIL: "#0B0D10",
        Token.SURFACE: "#171B21",
        Token.RAISED: "#1F252D",
        Token.LINE: "#2A313B",
        Token.TEXT: "#E9ECF1",
        Token.MUTED: "#98A2B1",
        Token.ACCENT: "#FF7A45",
        Token.ON_ACCENT: "#1A0E07",
        Token.OK: "#4CC38A",
        Token.WARN: "#F0B94A",
        Token.ERROR: "#FF6369",
        Token.INFO: "#6EA8FF",
        Token.QUIET: "#7C8797",
    },
    Scheme.LIGHT: {
        Token.BG: "#F4F6F8",
        Token.RAIL: "#FFFFFF",
        Token.SURFACE: "#FFFFFF",
        Token.RAISED: "#F0F3F6",
        Token.LINE: "#DCE2E9",
        Token.TEXT: "#14181D",
        Token.MUTED: "#586373",
        Token.ACCENT: "#C2410C",
        Token.ON_ACCENT: "#FFFFFF",
        Token.OK: "#17784A",
        Token.WARN: "#8A5A00",
        Token.ERROR: "#C4262E",
        Token.INFO: "#1D5FD0",
        Token.QUIET: "#586373",
    },
    Scheme.CONTRAST_DARK: {
        Token.BG: "#000000",
        Token.RAIL: "#000000",
        Token.SURFACE: "#06080A",
        Token.RAISED: "#14181D",
        Token.LINE: "#A9B4C2",
        Token.TEXT: "#FFFFFF",
        Token.MUTED: "#D3DAE3",
        Token.ACCENT: "#FF9D73",
        Token.ON_ACCENT: "#000000",
        Token.OK: "#74E0AC",
        Token.WARN: "#FFD170",
        Token.ERROR: "#FFA3A7",
        Token.INFO: "#A8CBFF",
        Token.QUIET: "#C2CBD7",
    },
    Scheme.CONTRAST_LIGHT: {
        Token.BG: "#FFFFFF",
        Token.RAIL: "#FFFFFF",
        Token.SURFACE: "#FFFFFF",
        Token.RAISED: "#F3F4F6",
        Token.LINE: "#48525E",
        Token.TEXT: "#000000",
        Token.MUTED: "#333B45",
        Token.ACCENT: "#842A03",
        Token.ON_ACCENT: "#FFFFFF",
        Token.OK: "#0A4B2C",
        Token.WARN: "#553700",
        Token.ERROR: "#870D15",
        Token.INFO: "#0C3A86",
        Token.QUIET: "#333B45",
    },
}

TINT = 0.09
"""Share of the accent in the ground of a selected row or the active page of the rail. LOOK.md says 10 %;
the accent written on it would then miss 4.5:1 in the light scheme by two hundredths."""
TINT_GROUNDS = (Token.RAIL, Token.SURFACE)
"""What may be tinted."""

GROUNDS = (Token.BG, Token.RAIL, Token.SURFACE, Token.RAISED)
INKS = (Token.TEXT, Token.MUTED, Token.ACCENT, Token.OK, Token.WARN, Token.ERROR, Token.INFO, Token.QUIET)
"""Every one of these is written or drawn on every ground somewhere."""
TINT_INKS = (Token.TEXT, Token.MUTED, Token.ACCENT)
"""What is written on a ground tinted with the accent."""


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def luminance(color: str) -> float:
    """Relative luminance of `#RRGGBB`, 0..1 (WCAG 2.1, "relative luminance")."""

    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(channel) for channel in _channels(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1..21 (WCAG 2.1, "contrast ratio")."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mix(over: str, under: str, share: float) -> str:
    """`share` of `over` laid on `under`, as an opaque `#RRGGBB`."""
    pairs = zip(_channels(over), _channels(under), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02X}" for a, b in pairs)


AREAS = ("#B4502B", "#3E6FB5", "#5C4E9A", "#2F7350", "#5B6675")
"""Grounds of the storage picture: the same in every scheme, as in the drawings. The last is the quiet one."""
AREA_INK = "#FFFFFF"
"""Written on them; 4.5:1 on each."""
AREA_SHADE = 0.6
"""Share of such a ground on black where the scheme promises 7:1."""


def area_color(index: int, scheme: Scheme) -> str:
    """The ground of a part of the storage picture, `#RRGGBB`; `index` counts through AREAS and begins again."""
    chosen = AREAS[index % len(AREAS)]
    return mix(chosen, "#000000", AREA_SHADE) if scheme.is_contrast else chosen


class Measure:
    """Lengths in device-independent pixels, from `design/LOOK.md`, "Measures"."""

    RAIL = 76
    RAIL_ICON = 22
    HEADER = 60
    STATUS = 30
    MARGIN = 20
    GAP = 14
    RADIUS_PART = 12
    RADIUS_ROW = 10
    RADIUS_CONTROL = 8
    RADIUS_THUMB = 6
    BUTTON = 36
    BUTTON_SMALL = 30
    BUTTON_TOUCH = 48
    CATALOG_ROW = 74
    CATALOG_THUMB = (88, 56)
    DOWNLOAD_ROW = 78
    DOWNLOAD_THUMB = (64, 42)
    LIBRARY_ROW = 64
    LIBRARY_THUMB = (68, 44)
    PREVIEW = 300
    SIDE = 300
    SHEET = 520
    TRACK = 6
    TRACK_SHEET = 10
    WINDOW_MIN = (1024, 640)
    WINDOW = (1280, 800)
