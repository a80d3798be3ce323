"""Colours, fonts and motion of the running program: one Theme per QApplication, reached through `theme()`.

Painted widgets ask `theme().color(Token.…)` and `theme().font(Text.…)` while painting: a change of the
scheme sets the application's palette, which repaints everything. What caches colours listens to `changed`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum, StrEnum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QToolTip

from icworkshop_gui.gui.resources import resource
from icworkshop_gui.gui.tokens import COLORS, TINT, Scheme, Token, mix

_log = logging.getLogger("icw.gui")

FAMILY = "Inter Variable"


class Mode(StrEnum):
    """What the player chose in Settings (key `ui.theme`)."""

    SYSTEM = "system"
    DARK = "dark"
    LIGHT = "light"
    CONTRAST = "high-contrast"
    """High contrast, dark or light as the system is."""


@dataclass(frozen=True, slots=True)
class _Face:
    pixels: float
    weight: int


class Text(Enum):
    """The type scale of LOOK.md, each as size in px and weight."""

    TITLE = _Face(20, 650)
    SHEET = _Face(18, 650)
    HERO = _Face(22, 650)
    HEADING = _Face(16, 620)
    ITEM = _Face(14, 600)
    BODY = _Face(14, 400)
    TAB = _Face(14, 500)
    BUTTON = _Face(14, 600)
    BUTTON_SMALL = _Face(13, 600)
    SECOND = _Face(12.5, 400)
    SECOND_STRONG = _Face(12.5, 620)
    CAPTION = _Face(12, 400)
    CAPTION_STRONG = _Face(12, 620)
    TINY = _Face(11, 450)
    TINY_STRONG = _Face(11, 650)


class Theme(QObject):
    """The look of the running program.

    Signals:
        changed(): other colours or other motion; painted widgets repaint by themselves.
    """

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._app = app
        self._mode = Mode.SYSTEM
        self._scheme = Scheme.DARK
        self._colors: dict[Token, QColor] = {}
        self._fonts: dict[Text, QFont] = {}
        self._reduced_motion = False
        self._family = _load_family()
        app.styleHints().colorSchemeChanged.connect(self._follow_system)
        self._apply()

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def scheme(self) -> Scheme:
        return self._scheme

    @property
    def family(self) -> str:
        """The bundled family, or the system's when the font file could not be read."""
        return self._family

    @property
    def reduced_motion(self) -> bool:
        return self._reduced_motion

    def set_mode(self, mode: Mode) -> None:
        """Dark, light, high contrast, or what the system says."""
        if mode is not self._mode:
            self._mode = mode
            self._apply()

    def set_reduced_motion(self, reduced: bool) -> None:
        """True: every animation lasts 0 ms."""
        if reduced != self._reduced_motion:
            self._reduced_motion = reduced
            self.changed.emit()

    def duration(self, milliseconds: int) -> int:
        """How long an animation may take: at most 200 ms, and nothing under reduced motion."""
        return 0 if self._reduced_motion else min(milliseconds, 200)

    def color(self, token: Token) -> QColor:
        """The colour of a job in the running scheme. Do not modify it."""
        return self._colors[token]

    def hex(self, token: Token) -> str:
        """The same as `#RRGGBB`."""
        return COLORS[self._scheme][token]

    def tint(self, ink: Token, ground: Token, share: float = TINT) -> QColor:
        """An opaque ground with a share of ink in it: selection, active page, soft badges."""
        return QColor(mix(self.hex(ink), self.hex(ground), share))

    def font(self, text: Text) -> QFont:
        """The font of a step of the type scale, with tabular figures. Do not modify it; copy first."""
        font = self._fonts.get(text)
        if font is None:
            font = self._fonts[text] = self._make_font(text.value)
        return font

    def _make_font(self, face: _Face) -> QFont:
        screen = QGuiApplication.primaryScreen()
        dots = screen.logicalDotsPerInch() if screen is not None else 96.0
        font = QFont(self._family)
        # Points, not pixels: QFont.setPixelSize takes whole numbers, and the scale has 12.5.
        font.setPointSizeF(face.pixels * 72.0 / dots)
        font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
        font.setFeature(QFont.Tag("tnum"), 1)
        if self._family == FAMILY:
            font.setVariableAxis(QFont.Tag("wght"), float(face.weight))
            # Named weight for the system's fonts that stand in for other scripts. Not bold: Qt would
            # embolden the variable face once more.
            font.setWeight(QFont.Weight.DemiBold if face.weight >= 600 else QFont.Weight.Normal)
        else:
            font.setWeight(QFont.Weight.DemiBold if face.weight >= 600 else QFont.Weight.Normal)
        return font

    def _follow_system(self) -> None:
        if self._mode in (Mode.SYSTEM, Mode.CONTRAST):
            self._apply()

    def _wanted_scheme(self) -> Scheme:
        hints = self._app.styleHints()
        # Unknown (no desktop says anything) reads as dark: the program's own character.
        system_dark = hints.colorScheme() is not Qt.ColorScheme.Light
        if self._mode is Mode.DARK:
            return Scheme.DARK
        if self._mode is Mode.LIGHT:
            return Scheme.LIGHT
        wants_contrast = self._mode is Mode.CONTRAST
        if not wants_contrast and hasattr(hints, "accessibility"):
            wants_contrast = hints.accessibility().contrastPreference() is Qt.ContrastPreference.HighContrast
        if wants_contrast:
            return Scheme.CONTRAST_DARK if system_dark else Scheme.CONTRAST_LIGHT
        return Scheme.DARK if system_dark else Scheme.LIGHT

    def _apply(self) -> None:
        self._scheme = self._wanted_scheme()
        self._colors = {token: QColor(value) for token, value in COLORS[self._scheme].items()}
        if self._app.style().objectName() != "fusion":
            self._app.setStyle("Fusion")
        self._app.setFont(self.font(Text.BODY))
        palette = self._palette()
        self._app.setPalette(palette)
        QToolTip.setPalette(palette)
        QToolTip.setFont(self.font(Text.CAPTION))
        self.changed.emit()

    def _palette(self) -> QPalette:
        role = QPalette.ColorRole
        jobs = {
            role.Window: Token.BG,
            role.WindowText: Token.TEXT,
            role.Base: Token.SURFACE,
            role.AlternateBase: Token.RAISED,
            role.Text: Token.TEXT,
            role.Button: Token.SURFACE,
            role.ButtonText: Token.TEXT,
            role.BrightText: Token.ERROR,
            role.ToolTipBase: Token.RAISED,
            role.ToolTipText: Token.TEXT,
            role.PlaceholderText: Token.MUTED,
            role.Highlight: Token.ACCENT,
            role.HighlightedText: Token.ON_ACCENT,
            role.Link: Token.ACCENT,
            role.LinkVisited: Token.ACCENT,
            role.Accent: Token.ACCENT,
            role.Mid: Token.LINE,
            role.Dark: Token.LINE,
            role.Light: Token.RAISED,
            role.Midlight: Token.RAISED,
            role.Shadow: Token.RAIL,
        }
        palette = QPalette()
        for where, token in jobs.items():
            palette.setColor(where, self._colors[token])
        faded = QColor(mix(self.hex(Token.TEXT), self.hex(Token.BG), 0.45))
        for where in (role.WindowText, role.Text, role.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, where, faded)
        return palette


def _load_family() -> str:
    try:
        path = resource("fonts", "InterVariable.ttf")
    except FileNotFoundError as error:
        _log.warning("font %s", error)
        return QGuiApplication.font().family()
    number = QFontDatabase.addApplicationFont(str(path))
    families = QFontDatabase.applicationFontFamilies(number) if number >= 0 else []
    return FAMILY if FAMILY in families else QGuiApplication.font().family()


def theme() -> Theme:
    """The running program's theme; made on first use, and QApplication must exist by then."""
    global _theme
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        raise RuntimeError("there is no QApplication yet")
    if _theme is None or _theme.parent() is not app:
        _theme = Theme(app)
    return _theme


_theme: Theme | None = None
