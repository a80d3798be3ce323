"""The program's limits: for each direction a tree of program, tiers and transfers, with the classes across it."""

from __future__ import annotations

from typing import Final

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BytesPerSecond
from icworkshop_gui.engine.net.limiter import ConnectionClass, Limiter, LimiterTicker
from icworkshop_gui.engine.settings_file import Settings

WEIGHTS: Final = {Tier.LOBBY_URGENT: 16.0, Tier.USER_REQUESTED: 4.0, Tier.BACKGROUND: 1.0}
"""Shares of a limited line while more is wanted than there is (DESIGN §4.2)."""

NO_CLASSES: Final[frozenset[ConnectionClass]] = frozenset()
LAN_ONLY: Final = frozenset({ConnectionClass.LAN})


class LimitTree:
    """One direction."""

    def __init__(self) -> None:
        self.root = Limiter(None)
        self.classes = {name: self.root.add_class(name) for name in ConnectionClass}
        self.tiers = {tier: self.root.child(weight=weight) for tier, weight in WEIGHTS.items()}
        """Whose weight and rate may be set while they work."""
        self.chatter = self.root.child().budget(_nothing)
        """What is neither a peer nor a web seed: it never waits, and the others wait for what it took."""

    def transfer(self, tier: Tier, rate: BytesPerSecond | None) -> Limiter:
        """The limiter of a new transfer."""
        return self.tiers[tier].child(rate)


class Bandwidth:
    """Both directions."""

    def __init__(self) -> None:
        self.down = LimitTree()
        self.up = LimitTree()

    def tickers(self, clock: Clock) -> list[LimiterTicker]:
        """What drives both on the running loop; to be closed by the caller."""
        return [LimiterTicker(tree.root, clock) for tree in (self.down, self.up)]

    def apply(self, settings: Settings, down: BytesPerSecond | None, up: BytesPerSecond | None, now: float) -> None:
        """`down`, `up`: the limits of the whole program in force now; all others are as the settings say."""
        exempt = LAN_ONLY if settings.flag("workshop.p2p.lan_exempt") else NO_CLASSES
        for tree, rate, word in ((self.down, down, "download"), (self.up, up, "upload")):
            tree.root.set_rate(rate, now)
            tree.root.set_exempt(exempt)
            tree.root.count_headers(settings.flag("workshop.p2p.count_overhead"))
            tree.tiers[Tier.BACKGROUND].set_rate(settings.rate(f"workshop.p2p.background_max_{word}_speed"), now)
            tree.classes[ConnectionClass.TCP].set_rate(settings.rate(f"workshop.p2p.tcp_max_{word}_speed"), now)


def _nothing() -> None:
    """Chatter never waits."""
