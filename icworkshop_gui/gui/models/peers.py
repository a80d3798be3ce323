"""The Peers tab: one row a connected peer."""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QObject

from icworkshop_gui.core.address import PeerSource, TransportKind
from icworkshop_gui.engine.api.snapshots import PeerSnapshot
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.rows import Column, SortedRowsModel

FLAGS_LEGEND = (
    "D we fetch from it · d it makes us wait · U we send to it · u we make it wait · "
    "O tried by chance · S stopped delivering · I it came to us · L waits in our lobby"
)
_TRANSPORTS = {
    TransportKind.TCP: "TCP",
    TransportKind.UTP: "uTP",
    TransportKind.WEBRTC: "Browser",
    TransportKind.HTTP: "Web",
}
_SOURCES = {
    PeerSource.TRACKER: "tracker",
    PeerSource.MANUAL: "by hand",
    PeerSource.INCOMING: "came to us",
    PeerSource.PEX: "another peer",
    PeerSource.DHT: "DHT",
    PeerSource.LSD: "local network",
    PeerSource.LOBBY: "lobby",
    PeerSource.RESUME: "last time",
}


def _rate(rate: int) -> str:
    return words.rate(rate) if rate else ""


COLUMNS: tuple[Column[PeerSnapshot], ...] = (
    Column("Address", lambda p: p.address, lambda p: p.address, width=170),
    Column("Program", lambda p: words.clipped(p.client), lambda p: p.client.casefold(), width=150),
    Column("Over", lambda p: _TRANSPORTS[p.transport], lambda p: p.transport, width=64),
    Column("Known from", lambda p: _SOURCES[p.source], lambda p: p.source, width=94),
    Column("Has", lambda p: f"{int(p.progress * 100)} %", lambda p: p.progress, number=True, width=58),
    Column("Down", lambda p: _rate(p.rate_down), lambda p: p.rate_down, number=True, width=84),
    Column("Up", lambda p: _rate(p.rate_up), lambda p: p.rate_up, number=True, width=84),
    Column("Got", lambda p: words.size(p.downloaded), lambda p: p.downloaded, number=True, width=76),
    Column("Given", lambda p: words.size(p.uploaded), lambda p: p.uploaded, number=True, width=76),
    Column("Flags", lambda p: p.flags, lambda p: p.flags, width=58, tip=FLAGS_LEGEND),
    Column("For", lambda p: words.duration(p.connected_for), lambda p: p.connected_for, number=True, width=86),
)
DOWN = 5


class PeersModel(SortedRowsModel[PeerSnapshot]):
    """Fastest first, until the player sorts otherwise."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, DOWN, True, parent)

    def key(self, row: PeerSnapshot) -> Hashable:
        return (row.address, row.transport)
