"""The first page a newcomer sees: what sharing means, with the switches, before anything is shared (DESIGN §4.12)."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.settings import BY_KEY, format_rate, parse_rate
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.prefs import BY_KEY as PREF_BY_KEY
from icworkshop_gui.gui.prefs import FIRST_RUN_DONE, THEME, prefs
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.card import Line
from icworkshop_gui.gui.widgets.labels import IconLabel, Label
from icworkshop_gui.gui.widgets.rate_slider import RateSlider
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.switch import Switch
from icworkshop_gui.gui.widgets.tabs import PillTabs

UPLOAD = "workshop.p2p.max_upload_speed"


class FirstRunSheet(Sheet):
    """Asked once. Closing it any other way than by `Start` keeps sharing off, and asks again at the next start.

    Signals:
        decided(bool): the player pressed Start; True when packages will be shared.
    """

    decided = Signal(bool)

    def __init__(self, bridge: EngineBridge) -> None:
        super().__init__("Welcome to the Workshop", width=520)
        self._bridge = bridge
        self._section("sprout", "Sharing")
        self.body.addWidget(
            Label(
                "While this program runs it can pass packages that you have installed on to other players, "
                "so that everyone gets them faster. Nothing else on this computer is shared, and nothing is "
                "shared until you press Start.",
                Text.BODY,
                Token.MUTED,
                wrap=True,
            )
        )
        row = QHBoxLayout()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(Label("Share my packages", Text.ITEM))
        words.addWidget(
            Label("Ends when you quit. Each package can be switched in the library.", Text.SECOND, Token.MUTED)
        )
        row.addLayout(words, 1)
        self.sharing = Switch("Share my packages")
        self.sharing.setChecked(True)
        row.addWidget(self.sharing)
        self.body.addLayout(row)
        self.limit = RateSlider("arrow-up", "Share at most")
        self.limit.set_rate(parse_rate(BY_KEY[UPLOAD].default))
        self.body.addWidget(self.limit)
        self.sharing.toggled.connect(self.limit.setEnabled)
        self.body.addWidget(Line())
        self._section("sun", "Colours")
        self.colors = PillTabs(PREF_BY_KEY[THEME].choices, "Colours")
        self.colors.choose(prefs().get(THEME))
        self.colors.chosen.connect(lambda value: prefs().set(THEME, value))
        self.body.addWidget(self.colors)
        self.start = self.add_button(Button("Start", kind=Kind.PRIMARY))
        self.start.clicked.connect(self._decide)

    def _section(self, icon: str, title: str) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(IconLabel(icon, 17, Token.ACCENT))
        row.addWidget(Label(title, Text.ITEM), 1)
        self.body.addLayout(row)

    def _decide(self) -> None:
        share = self.sharing.isChecked()
        self._bridge.send(c.SetSetting(UPLOAD, format_rate(self.limit.rate)))
        self._bridge.send(c.SetSharing(share))
        prefs().set(FIRST_RUN_DONE, "true")
        self.decided.emit(share)
        self.close_sheet()
