"""Where bytes come from: the Sources tab (trackers, web servers), and the short list in the side column."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from PySide6.QtCore import QObject

from icworkshop_gui.core.address import PeerSource, TransportKind
from icworkshop_gui.engine.api.snapshots import SourceSnapshot, TransferDetail
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.rows import Column, SortedRowsModel

_KINDS = {"tracker": "Tracker", "http": "Web server", "dht": "DHT"}


def _next(source: SourceSnapshot) -> str:
    return words.duration(source.next_in) if source.next_in is not None else ""


COLUMNS: tuple[Column[SourceSnapshot], ...] = (
    Column("Source", lambda s: words.clipped(s.url), lambda s: s.url, width=330),
    Column("Kind", lambda s: _KINDS.get(s.kind, s.kind), lambda s: s.kind, width=92),
    Column("State", lambda s: words.clipped(s.message) or ("Works" if s.ok else "Fails"), lambda s: s.ok, width=170),
    Column("Players", lambda s: str(s.peers) if s.peers else "", lambda s: s.peers, number=True, width=70),
    Column(
        "Got", lambda s: words.size(s.downloaded) if s.downloaded else "", lambda s: s.downloaded, number=True, width=80
    ),
    Column(
        "Down", lambda s: words.rate(s.rate_down) if s.rate_down else "", lambda s: s.rate_down, number=True, width=84
    ),
    Column("Next in", _next, lambda s: s.next_in if s.next_in is not None else 1e18, number=True, width=86),
)


class SourcesModel(SortedRowsModel[SourceSnapshot]):
    """By address, until the player sorts otherwise."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, 0, False, parent)

    def key(self, row: SourceSnapshot) -> Hashable:
        return (row.kind, row.url)


@dataclass(frozen=True, slots=True)
class Helpers:
    """One line of the side column: who, and how fast."""

    icon: str
    """Lucide name."""
    label: str
    rate: int
    """Bytes a second."""


def helpers(detail: TransferDetail) -> list[Helpers]:
    """Who sends us this transfer, grouped in the player's words, in a fixed order so that lines do not jump."""
    groups: dict[str, list[int]] = {"lobby": [], "player": [], "browser": []}
    for peer in detail.peers:
        if peer.source is PeerSource.LOBBY:
            groups["lobby"].append(peer.rate_down)
        elif peer.transport is TransportKind.WEBRTC:
            groups["browser"].append(peer.rate_down)
        else:
            groups["player"].append(peer.rate_down)
    shapes = (
        ("lobby", "swords", "lobby player", "lobby players"),
        ("player", "users", "player", "players"),
        ("browser", "globe", "browser", "browsers"),
    )
    found = [
        Helpers(icon, words.count(len(groups[name]), one, many), sum(groups[name]))
        for name, icon, one, many in shapes
        if groups[name]
    ]
    web = [source for source in detail.sources if source.kind == "http" and (source.ok or source.rate_down)]
    if web:
        label = "web server" if len(web) == 1 else f"{len(web)} web servers"
        found.append(Helpers("server", label, sum(source.rate_down for source in web)))
    return found
