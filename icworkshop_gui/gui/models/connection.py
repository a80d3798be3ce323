"""How this computer stands to the others, in plain words, each with what to do about it. Without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from icworkshop_gui.engine.api.snapshots import Connection, EngineTotals, Network
from icworkshop_gui.gui.format import ago, clipped, count

PORT = "workshop.p2p.listen_port"
DHT = "workshop.p2p.dht"


class Health(Enum):
    """How good a fact is."""

    GOOD = auto()
    UNKNOWN = auto()
    """Nothing is wrong, and nothing is proven."""
    WATCH = auto()
    BAD = auto()
    OFF = auto()
    """As the player wished."""


class Way(Enum):
    """What the button beside a fact does."""

    SOURCES = auto()
    PORT = auto()
    SHARE = auto()
    DHT_ON = auto()
    NETWORK = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the page."""

    key: str
    icon: str
    health: Health
    title: str
    words: str
    button: str = ""
    way: Way | None = None


def facts(totals: EngineTotals, settings: Mapping[str, str], now: float) -> tuple[Fact, ...]:
    """`now`: wall clock."""
    found = [_servers(totals), _port(totals, settings, now), _dht(totals), _players(totals), _sharing(totals)]
    if totals.network is not Network.UNMETERED:
        found.append(_network(totals))
    return tuple(found)


def verdict(totals: EngineTotals, now: float) -> Fact:
    """All of it in one sentence."""
    if totals.network is Network.OFFLINE:
        words = "This computer has no network. What is installed keeps working; downloads go on by themselves later."
        return Fact(key="verdict", icon="wifi-off", health=Health.BAD, title="No network", words=words)
    if not totals.listen_port:
        words = "You fetch from others, but nobody can connect to you. Sharing is slower for everybody."
        return Fact(key="verdict", icon="plug", health=Health.BAD, title="No port is open", words=words)
    if totals.reached_at is not None:
        words = f"Somebody connected to you {ago(totals.reached_at, now)} without being asked. There is nothing to do."
        return Fact(key="verdict", icon="check", health=Health.GOOD, title="Others can reach you", words=words)
    if totals.peers:
        words = (
            "You reach other players, and nobody has reached you by themselves yet. That works; where your router lets "
            "them in, it works better."
        )
        return Fact(key="verdict", icon="users", health=Health.UNKNOWN, title="You reach others", words=words)
    words = "Nobody is connected. As soon as something is fetched or shared, players are looked for."
    return Fact(key="verdict", icon="circle-dashed", health=Health.UNKNOWN, title="Nobody to talk to now", words=words)


def _servers(totals: EngineTotals) -> Fact:
    answering = sum(source.ok for source in totals.sources)
    title = "Workshop servers"
    if not totals.sources:
        words = "None is set up. Add one, and Browse shows what it offers."
        return Fact(
            key="servers", icon="server", health=Health.WATCH, title=title, words=words, button="Add a server",
            way=Way.SOURCES,
        )  # fmt: skip
    if totals.connection is Connection.STARTING:
        return Fact(key="servers", icon="server", health=Health.UNKNOWN, title=title, words="They are being asked.")
    if answering == len(totals.sources):
        words = "It answers." if answering == 1 else f"All {answering} answer."
        return Fact(key="servers", icon="server", health=Health.GOOD, title=title, words=words)
    silent = [clipped(source.name or source.url) for source in totals.sources if not source.ok]
    words = f"{answering} of {len(totals.sources)} answer. Silent: {', '.join(silent[:3])}."
    return Fact(
        key="servers", icon="server", health=Health.WATCH if answering else Health.BAD, title=title, words=words,
        button="Show servers", way=Way.SOURCES,
    )  # fmt: skip


def _port(totals: EngineTotals, settings: Mapping[str, str], now: float) -> Fact:
    wished, port = settings.get(PORT, ""), totals.listen_port
    title = f"Port {port}" if port else "Port"
    if not port:
        words = f"Port {wished} could not be opened. Another program may use it: choose another one and start again."
        return Fact(
            key="port", icon="plug", health=Health.BAD, title=title, words=words, button="Choose a port", way=Way.PORT
        )
    if wished not in ("", "0", str(port)):
        words = f"Port {wished} was taken, so this one is used for now. A port that your router forwards must be free."
        return Fact(
            key="port", icon="plug", health=Health.WATCH, title=title, words=words, button="Choose a port", way=Way.PORT
        )
    if totals.reached_at is not None:
        words = f"Open: the last one who connected by themselves did so {ago(totals.reached_at, now)}."
        return Fact(key="port", icon="plug", health=Health.GOOD, title=title, words=words)
    words = (
        f"Open on this computer; nobody from the Internet has come in yet. If your router has a page for port "
        f"forwarding, forward {port}, TCP and UDP, to this computer. A firewall must let the program in."
    )
    return Fact(key="port", icon="plug", health=Health.UNKNOWN, title=title, words=words)


def _dht(totals: EngineTotals) -> Fact:
    title = "Finding players without a tracker"
    if totals.dht_nodes is None:
        words = "Switched off: when a package’s tracker is down, its players are not found."
        return Fact(
            key="dht", icon="waypoints", health=Health.OFF, title=title, words=words, button="Switch on", way=Way.DHT_ON
        )
    if not totals.dht_nodes:
        words = "Nobody in the directory (DHT) is known yet. It is asked once something is fetched or shared."
        return Fact(key="dht", icon="waypoints", health=Health.UNKNOWN, title=title, words=words)
    words = f"{count(totals.dht_nodes, 'computer', 'computers')} of the directory (DHT) known."
    return Fact(key="dht", icon="waypoints", health=Health.GOOD, title=title, words=words)


def _players(totals: EngineTotals) -> Fact:
    if not totals.peers:
        words = "None connected now."
        return Fact(key="players", icon="users", health=Health.UNKNOWN, title="Players", words=words)
    words = (
        f"{count(totals.peers, 'player', 'players')} connected, {totals.uploading_to or 'none'} being sent something."
    )
    return Fact(key="players", icon="users", health=Health.GOOD, title="Players", words=words)


def _sharing(totals: EngineTotals) -> Fact:
    if totals.sharing:
        words = "Packages that you have are passed on to other players, within your limits."
        return Fact(key="sharing", icon="sprout", health=Health.GOOD, title="Sharing", words=words)
    words = "Switched off: you fetch from others and pass nothing on."
    return Fact(
        key="sharing", icon="sprout", health=Health.OFF, title="Sharing", words=words, button="Share", way=Way.SHARE
    )


def _network(totals: EngineTotals) -> Fact:
    name = clipped(totals.network_name) or "This network"
    words = {
        Network.METERED: f"{name} has a data limit: what that holds back stands in the settings.",
        Network.NO_SHARING: f"{name} is somebody else’s: you fetch, and share nothing.",
        Network.OFFLINE: "There is no network. Everything goes on by itself once there is one.",
    }[totals.network]
    health = Health.BAD if totals.network is Network.OFFLINE else Health.WATCH
    return Fact(
        key="network", icon="globe", health=health, title="Network", words=words, button="Network settings",
        way=Way.NETWORK,
    )  # fmt: skip
