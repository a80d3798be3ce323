"""Every pair of colours that is used is legible, in all four schemes (gui.md B0.9)."""

from __future__ import annotations

import pytest

from icworkshop_gui.gui.tokens import COLORS, GROUNDS, INKS, TINT, TINT_GROUNDS, TINT_INKS, Scheme, Token, contrast, mix

TEXT_MIN = 4.5
CONTRAST_MIN = 7.0
RING_MIN = 3.0


def least(scheme: Scheme) -> float:
    return CONTRAST_MIN if scheme.is_contrast else TEXT_MIN


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("ink", INKS)
def test_text_on_ground(scheme: Scheme, ground: Token, ink: Token) -> None:
    colors = COLORS[scheme]
    # The background tier's grey is a label and an icon on pages and cards, never on chips.
    if ink is Token.QUIET and ground is Token.RAISED:
        pytest.skip("not used")
    assert contrast(colors[ink], colors[ground]) >= least(scheme)


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("ground", TINT_GROUNDS)
@pytest.mark.parametrize("ink", TINT_INKS)
def test_text_on_tint(scheme: Scheme, ground: Token, ink: Token) -> None:
    colors = COLORS[scheme]
    assert contrast(colors[ink], mix(colors[Token.ACCENT], colors[ground], TINT)) >= least(scheme)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_text_on_accent(scheme: Scheme) -> None:
    colors = COLORS[scheme]
    assert contrast(colors[Token.ON_ACCENT], colors[Token.ACCENT]) >= least(scheme)


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("ground", GROUNDS)
def test_focus_ring_shows(scheme: Scheme, ground: Token) -> None:
    colors = COLORS[scheme]
    assert contrast(colors[Token.ACCENT], colors[ground]) >= RING_MIN


@pytest.mark.parametrize("scheme", [Scheme.CONTRAST_DARK, Scheme.CONTRAST_LIGHT])
@pytest.mark.parametrize("ground", GROUNDS)
def test_high_contrast_lines(scheme: Scheme, ground: Token) -> None:
    colors = COLORS[scheme]
    assert contrast(colors[Token.LINE], colors[ground]) >= CONTRAST_MIN


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
