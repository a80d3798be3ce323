"""Both limits, slow mode, and why they are what they are: beside the downloads and in the bar at the bottom."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.engine.api.commands import SetSetting, SetSlowMode
from icworkshop_gui.engine.api.settings import format_rate
from icworkshop_gui.engine.api.snapshots import EngineTotals, LimitCause
from icworkshop_gui.gui import limits
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import LinkButton
from icworkshop_gui.gui.widgets.labels import IconLabel, Label
from icworkshop_gui.gui.widgets.rate_slider import RateSlider
from icworkshop_gui.gui.widgets.switch import Switch


class LimitsPanel(QWidget):
    """Shows what is in force. In slow mode the sliders change its limits; those of a rule are changed in Settings."""

    def __init__(self, bridge: EngineBridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.down = RateSlider("arrow-down", "Download limit")
        self.up = RateSlider("arrow-up", "Share with others")
        self.slow = Switch("Slow mode")
        self.reason = Label("", Text.CAPTION, Token.MUTED)
        self.ignore = LinkButton("Ignore", style=Text.CAPTION_STRONG)
        self.ignore.setAccessibleName("Ignore the schedule this time")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(IconLabel("gauge", 15, Token.TEXT))
        head.addWidget(Label("Slow mode", Text.SECOND))
        head.addStretch(1)
        head.addWidget(self.slow)
        self._note = QWidget()
        note = QHBoxLayout(self._note)
        note.setContentsMargins(23, 0, 0, 0)
        note.setSpacing(6)
        note.addWidget(self.reason)
        note.addStretch(1)
        note.addWidget(self.ignore)
        switch = QVBoxLayout()
        switch.setSpacing(3)
        switch.addLayout(head)
        switch.addWidget(self._note)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.down)
        column.addWidget(self.up)
        column.addLayout(switch)
        self.down.rateChosen.connect(lambda rate: self._set(0, rate))
        self.up.rateChosen.connect(lambda rate: self._set(1, rate))
        self.slow.clicked.connect(lambda on: bridge.send(SetSlowMode(on)))
        self.ignore.clicked.connect(lambda: bridge.send(SetSlowMode(False)))

    def show_totals(self, totals: EngineTotals) -> None:
        self.down.set_rate(totals.limit_down)
        self.up.set_rate(totals.limit_up)
        self.slow.setChecked(totals.limit_slow)
        mine = limits.keys(totals) is not None
        self.down.setEnabled(mine)
        self.up.setEnabled(mine and totals.sharing)
        why = limits.why(totals)
        self._note.setVisible(bool(why))
        self.reason.setText(why)
        self.ignore.setVisible(totals.limit_cause is LimitCause.SCHEDULE)

    def _set(self, which: int, rate: int | None) -> None:
        keys = limits.keys(self._bridge.view.totals)
        if keys is not None:
            self._bridge.send(SetSetting(keys[which], format_rate(rate)))
