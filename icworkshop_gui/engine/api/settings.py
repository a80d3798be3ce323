"""The settings table: one row a setting, from which file, screen, switch and manual come (DESIGN §6).

A value travels as text (`1 MB/s`, `unlimited`, `true`), so that the file, the command line and the window
show the same thing; `Setting.parse` turns it into the value that the engine uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from icworkshop_gui.core.schedule import Rule, parse_schedule


class Kind(StrEnum):
    """What a setting's text means, and so which control edits it."""

    BOOL = "bool"
    INT = "int"
    RATE = "rate"
    """Bytes a second; `unlimited` is None, `0 B/s` is off (DESIGN §4.13)."""
    SIZE = "size"
    """Bytes."""
    RATIO = "ratio"
    """Bytes given per byte of the package, as percent; `unlimited` is None."""
    DURATION = "duration"
    """Seconds; `unlimited` is None, `0` is not at all."""
    SCHEDULE = "schedule"
    """Rules of `core.schedule`; empty is none."""
    HOSTS = "hosts"
    """`host:port` of several computers, with commas between them; may be empty."""
    FOLDER = "folder"
    """A path; empty means the default place."""


Value = bool | int | str | tuple[Rule, ...] | tuple[tuple[str, int], ...] | None

HOSTS_MAX = 20
_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):(\d{1,5})")


def parse_hosts(text: str) -> tuple[tuple[str, int], ...]:
    """Host and port of each in `a.example:6881, [2001:db8::1]:6881`. ValueError otherwise."""
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = _HOST.fullmatch(item)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ValueError(f"not a host and port: {item[:40]!r}")
        found.append((match[1].strip("[]"), int(match[2])))
    if len(found) > HOSTS_MAX:
        raise ValueError(f"more than {HOSTS_MAX} hosts")
    return tuple(found)


_UNITS = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_AMOUNT = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([kKmMgG]?[iI]?[bB])?\s*(/s)?\s*")


def parse_amount(text: str) -> int:
    """Bytes in `5 MB`, `1.5 GiB`, `300 kB/s` or a bare number. ValueError otherwise."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"not an amount of bytes: {text[:40]!r}")
    number, unit, _per_second = match.groups()
    return int(float(number) * _UNITS[(unit or "b").lower()])


def parse_rate(text: str) -> int | None:
    """Bytes a second; None for `unlimited`. ValueError otherwise."""
    if text.strip().lower() == "unlimited":
        return None
    return parse_amount(text)


def parse_ratio(text: str) -> int | None:
    """Percent in `1.5`; None for `unlimited`. ValueError otherwise."""
    if text.strip().lower() == "unlimited":
        return None
    if not re.fullmatch(r"\s*\d{1,4}(\.\d{1,2})?\s*", text):
        raise ValueError(f"not a ratio: {text[:40]!r}")
    return round(float(text) * 100)


_DURATION = re.compile(
    r"\s*(?:(\d{1,4})\s*d)?\s*(?:(\d{1,5})\s*h)?\s*(?:(\d{1,6})\s*m(?:in)?)?\s*(?:(\d{1,8})\s*s)?\s*"
)


def parse_duration(text: str) -> int | None:
    """Seconds in `30m`, `1 h 30 min`, `2 d` or `0`; None for `unlimited`. ValueError otherwise."""
    if text.strip().lower() == "unlimited":
        return None
    if text.strip() == "0":
        return 0
    match = _DURATION.fullmatch(text.lower())
    if match is None or not any(match.groups()):
        raise ValueError(f"not a time: {text[:40]!r}")
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def format_duration(seconds: int | None) -> str:
    """The shortest text that `parse_duration` reads back as `seconds`."""
    if seconds is None:
        return "unlimited"
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0"


def format_ratio(percent: int | None) -> str:
    """The shortest text that `parse_ratio` reads back as `percent`."""
    return "unlimited" if percent is None else f"{percent / 100:g}"


def format_rate(rate: int | None) -> str:
    """The shortest text that `parse_rate` reads back as `rate`."""
    if rate is None:
        return "unlimited"
    for name, size in (("GB", 1000**3), ("MB", 1000**2), ("kB", 1000)):
        if rate >= size and rate % (size // 10) == 0:
            return f"{rate / size:g} {name}/s"
    return f"{rate} B/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row."""

    key: str
    kind: Kind
    default: str
    category: str
    label: str
    help: str
    minimum: int | None = None
    maximum: int | None = None
    unit: str = ""
    needs_restart: bool = False
    synonyms: str = ""
    """Other words that a person may search for."""

    def parse(self, text: str) -> Value:
        """The value of `text`; ValueError with a sentence for people when it does not fit."""
        value: Value
        match self.kind:
            case Kind.BOOL:
                if text.lower() not in ("true", "false"):
                    raise ValueError(f"{self.label}: true or false, not {text[:40]!r}.")
                return text.lower() == "true"
            case Kind.FOLDER:
                return text
            case Kind.HOSTS:
                try:
                    return parse_hosts(text)
                except ValueError as error:
                    raise ValueError(
                        f"{self.label}: such as node.example:6881, with commas between several. This is {error}."
                    ) from None
            case Kind.SCHEDULE:
                try:
                    return parse_schedule(text, parse_rate)
                except ValueError as error:
                    raise ValueError(f"{self.label}: {error}") from None
            case Kind.INT:
                if not re.fullmatch(r"\d{1,9}", text.strip()):
                    raise ValueError(f"{self.label}: a whole number, not {text[:40]!r}.")
                value = int(text)
            case Kind.RATE:
                try:
                    value = parse_rate(text)
                except ValueError:
                    raise ValueError(
                        f"{self.label}: a speed such as 500 kB/s or unlimited, not {text[:40]!r}."
                    ) from None
            case Kind.SIZE:
                try:
                    value = parse_amount(text)
                except ValueError:
                    raise ValueError(f"{self.label}: a size such as 5 MB, not {text[:40]!r}.") from None
            case Kind.RATIO:
                try:
                    value = parse_ratio(text)
                except ValueError:
                    raise ValueError(f"{self.label}: a number such as 1.5 or unlimited, not {text[:40]!r}.") from None
            case Kind.DURATION:
                try:
                    value = parse_duration(text)
                except ValueError:
                    raise ValueError(
                        f"{self.label}: a time such as 30m, 2 h or unlimited, not {text[:40]!r}."
                    ) from None
        if isinstance(value, int) and self.minimum is not None and value < self.minimum:
            raise ValueError(f"{self.label}: at least {self.minimum} {self.unit}".rstrip() + ".")
        if isinstance(value, int) and self.maximum is not None and value > self.maximum:
            raise ValueError(f"{self.label}: at most {self.maximum} {self.unit}".rstrip() + ".")
        return value


SETTINGS: tuple[Setting, ...] = (
    Setting(
        key="workshop.p2p.max_download_speed",
        kind=Kind.RATE,
        default="unlimited",
        category="Downloads",
        label="Download limit",
        help="The most that all downloads together may take.",
        synonyms="bandwidth speed throttle limit slow",
    ),
    Setting(
        key="workshop.p2p.background_max_download_speed",
        kind=Kind.RATE,
        default="unlimited",
        category="Downloads",
        label="Limit of background downloads",
        help="What subscriptions and prefetching together may take of the download limit.",
        synonyms="bandwidth speed throttle limit background tier",
    ),
    Setting(
        key="workshop.p2p.max_active_downloads",
        kind=Kind.INT,
        default="5",
        category="Downloads",
        label="Downloads at the same time",
        help="The others wait in the order you gave them. A lobby download never waits.",
        minimum=1,
        maximum=100,
        synonyms="queue slots parallel",
    ),
    Setting(
        key="workshop.p2p.max_active",
        kind=Kind.INT,
        default="5000",
        category="Downloads",
        label="Active in all",
        help="Downloads and shared packages together, idle ones counted too. Downloads go first.",
        minimum=1,
        maximum=5000,
        synonyms="queue slots limit transfers",
    ),
    Setting(
        key="workshop.subscription_check_interval",
        kind=Kind.DURATION,
        default="1d",
        category="Downloads",
        label="Look for news of subscriptions",
        help="How often. What is new is fetched in the background and waits for your click. "
        "For example 12 h, 1 d or unlimited for never.",
        minimum=900,
        maximum=365 * 86400,
        unit="seconds",
        synonyms="subscribe follow bell update check interval",
    ),
    Setting(
        key="workshop.p2p.download_on_metered",
        kind=Kind.BOOL,
        default="false",
        category="Downloads",
        label="Download where data is limited",
        help="On a network with a data limit. Off: only lobby downloads run there, and what you start by hand.",
        synonyms="metered mobile hotspot cellular data limit network",
    ),
    Setting(
        key="workshop.p2p.pause_in_game",
        kind=Kind.BOOL,
        default="false",
        category="Downloads",
        label="Pause while the game runs",
        help="Downloads and sharing go on when the game ends. A lobby download never waits.",
        synonyms="playing background game",
    ),
    Setting(
        key="workshop.p2p.prefer_p2p",
        kind=Kind.BOOL,
        default="true",
        category="Downloads",
        label="Fetch from other players",
        help="Off: everything comes from the web server alone, which is slower when many want the same.",
        synonyms="torrent bittorrent p2p peers http",
    ),
    Setting(
        key="workshop.p2p.http_below",
        kind=Kind.SIZE,
        default="5 MB",
        category="Downloads",
        label="Small packages from the web server",
        help="Packages smaller than this do not go through other players at all.",
        minimum=0,
        maximum=1000**3,
        unit="bytes",
        synonyms="threshold http",
    ),
    Setting(
        key="webseed.enabled",
        kind=Kind.BOOL,
        default="true",
        category="Downloads",
        label="Web servers beside other players",
        help="Off: a web server is asked only for packages that no other player sends.",
        synonyms="webseed http mirror url-list",
    ),
    Setting(
        key="webseed.prefer_bt_peers",
        kind=Kind.BOOL,
        default="true",
        category="Downloads",
        label="Other players first",
        help="While players send well, web servers are asked only for what none of them has. "
        "A lobby download takes from both.",
        synonyms="webseed http mirror peers",
    ),
    Setting(
        key="webseed.bt_peer_rate_threshold",
        kind=Kind.RATE,
        default="51200 B/s",
        category="Downloads",
        label="Speed of a player that sends well",
        help="From two such players on, web servers step back.",
        minimum=1000,
        maximum=1000**3,
        unit="B/s",
        synonyms="webseed http mirror healthy",
    ),
    Setting(
        key="webseed.max_bandwidth_percent",
        kind=Kind.INT,
        default="80",
        category="Downloads",
        label="Share of web servers",
        help="The most of a download that comes from web servers while players send well.",
        minimum=0,
        maximum=100,
        unit="percent",
        synonyms="webseed http mirror fraction",
    ),
    Setting(
        key="webseed.max_requests_per_seed",
        kind=Kind.INT,
        default="4",
        category="Network",
        label="Requests to one web server",
        help="How many parts of a download one web server is asked for at once.",
        minimum=1,
        maximum=8,
        synonyms="webseed http mirror parallel ranges",
    ),
    Setting(
        key="webseed.max_requests_global",
        kind=Kind.INT,
        default="16",
        category="Network",
        label="Requests to web servers in all",
        help="Of all downloads together.",
        minimum=1,
        maximum=32,
        synonyms="webseed http mirror parallel",
    ),
    Setting(
        key="workshop.p2p.sharing",
        kind=Kind.BOOL,
        default="true",
        category="Sharing",
        label="Share my packages",
        help="Other players fetch pieces of what you have installed from you.",
        synonyms="seed seeding upload",
    ),
    Setting(
        key="workshop.p2p.max_upload_speed",
        kind=Kind.RATE,
        default="1 MB/s",
        category="Sharing",
        label="Sharing limit",
        help="The most that sharing may take of your connection.",
        synonyms="bandwidth upload seed speed throttle limit",
    ),
    Setting(
        key="workshop.p2p.background_max_upload_speed",
        kind=Kind.RATE,
        default="unlimited",
        category="Sharing",
        label="Limit of sharing background packages",
        help="What packages that came in the background may take of the sharing limit.",
        synonyms="bandwidth speed throttle limit background tier",
    ),
    Setting(
        key="workshop.p2p.seed_after_download",
        kind=Kind.BOOL,
        default="true",
        category="Sharing",
        label="Share new packages",
        help="What you install is shared from then on. Each package can be switched in the library.",
        synonyms="seed seeding",
    ),
    Setting(
        key="workshop.p2p.seed_duration_after_exit",
        kind=Kind.DURATION,
        default="30m",
        category="Sharing",
        label="Share after closing",
        help="How long the program goes on in the tray once its window is closed; downloads are always finished first. "
        "For example 30m, 2 h, 0 or unlimited.",
        maximum=30 * 86400,
        unit="seconds",
        synonyms="seed exit quit tray time",
    ),
    Setting(
        key="workshop.p2p.share_on_metered",
        kind=Kind.BOOL,
        default="false",
        category="Sharing",
        label="Share where data is limited",
        help="On a network with a data limit.",
        synonyms="metered mobile hotspot cellular data limit network",
    ),
    Setting(
        key="workshop.p2p.max_active_seeds",
        kind=Kind.INT,
        default="100",
        category="Sharing",
        label="Packages shared at the same time",
        help="Those that nobody fetches do not count. Beyond it, the ones that fewest others have go first.",
        minimum=1,
        maximum=5000,
        synonyms="seed seeding queue slots",
    ),
    Setting(
        key="workshop.p2p.seed_goal_ratio",
        kind=Kind.RATIO,
        default="unlimited",
        category="Sharing",
        label="Enough: shared so many times",
        help="A package is not shared further once it has gone out so many times. For example 1.5 or unlimited.",
        synonyms="seed ratio goal stop",
    ),
    Setting(
        key="workshop.p2p.seed_goal_time",
        kind=Kind.DURATION,
        default="unlimited",
        category="Sharing",
        label="Enough: shared for so long",
        help="A package is not shared further once it was for so long. For example 7 d or unlimited.",
        synonyms="seed time goal stop",
    ),
    Setting(
        key="workshop.p2p.seed_goal_seeds",
        kind=Kind.INT,
        default="0",
        category="Sharing",
        label="Enough: so many others share it",
        help="A package is not shared while so many others have all of it. 0: however many there are.",
        minimum=0,
        maximum=10000,
        synonyms="seed availability goal stop copies",
    ),
    Setting(
        key="workshop.p2p.upload_slots",
        kind=Kind.INT,
        default="8",
        category="Sharing",
        label="Players served at once, per package",
        help="Fewer players get more speed each.",
        minimum=1,
        maximum=100,
        synonyms="unchoke slots",
    ),
    Setting(
        key="workshop.p2p.slow_mode",
        kind=Kind.BOOL,
        default="false",
        category="Speed",
        label="Slow mode",
        help="Other limits for a while, for a game or a call. Also in the tray and in the bar at the bottom.",
        synonyms="alternative limits turtle throttle bandwidth",
    ),
    Setting(
        key="workshop.p2p.slow_download_speed",
        kind=Kind.RATE,
        default="200 kB/s",
        category="Speed",
        label="Download limit in slow mode",
        help="Instead of the ordinary one.",
        synonyms="alternative limits turtle throttle bandwidth",
    ),
    Setting(
        key="workshop.p2p.slow_upload_speed",
        kind=Kind.RATE,
        default="50 kB/s",
        category="Speed",
        label="Sharing limit in slow mode",
        help="Instead of the ordinary one.",
        synonyms="alternative limits turtle throttle bandwidth",
    ),
    Setting(
        key="workshop.p2p.schedule",
        kind=Kind.SCHEDULE,
        default="",
        category="Speed",
        label="Schedule",
        help="Days and hours with limits of their own. Where several rules hold, the narrowest wins.",
        synonyms="alternative limits time hours days night evening plan timetable",
    ),
    Setting(
        key="workshop.p2p.listen_port",
        kind=Kind.INT,
        default="19711",
        category="Network",
        label="Port for other players",
        help="If it is taken, the program uses another one for now.",
        minimum=0,
        maximum=65535,
        needs_restart=True,
        synonyms="tcp port forwarding router",
    ),
    Setting(
        key="workshop.p2p.dht",
        kind=Kind.BOOL,
        default="true",
        category="Network",
        label="Find players without a tracker",
        help="Through the DHT, a directory that all BitTorrent programs keep together. Others can then see that you "
        "have a package. Private torrents never use it.",
        synonyms="dht distributed hash table trackerless nodes kademlia privacy",
    ),
    Setting(
        key="workshop.p2p.pex",
        kind=Kind.BOOL,
        default="true",
        category="Network",
        label="Find players through other players",
        help="Those who exchange a package with you name others who have it (PEX), and hear of them from you. Applies "
        "to what starts from now on. Private torrents never do it.",
        synonyms="pex peer exchange privacy",
    ),
    Setting(
        key="workshop.p2p.lsd",
        kind=Kind.BOOL,
        default="true",
        category="Network",
        label="Find players on your own network",
        help="Asks the computers around you (local service discovery), so that a package comes from the next room and "
        "not over the Internet. They can then see that you have it. Private torrents never do it.",
        synonyms="lsd local service discovery lan multicast wlan party privacy",
    ),
    Setting(
        key="workshop.p2p.dht_nodes",
        kind=Kind.HOSTS,
        default="",
        category="Network",
        label="Computers of your community in the DHT",
        help="Asked for the way into the DHT before the public ones: host:port, with commas between several. Your "
        "Workshop servers are asked without being listed here.",
        synonyms="dht bootstrap nodes community",
    ),
    Setting(
        key="workshop.p2p.dht_routers",
        kind=Kind.HOSTS,
        default="dht.libtorrent.org:25401, router.bittorrent.com:6881, router.utorrent.com:6881, "
        "dht.transmissionbt.com:6881",
        category="Network",
        label="Public ways into the DHT",
        help="Asked only when nobody else answers and a download or shared package looks for players. Empty: never.",
        synonyms="dht bootstrap routers public",
    ),
    Setting(
        key="workshop.p2p.max_connections",
        kind=Kind.INT,
        default="200",
        category="Network",
        label="Connections in all",
        help="Old routers get into trouble with many.",
        minimum=2,
        maximum=2000,
        synonyms="peers",
    ),
    Setting(
        key="workshop.p2p.max_connections_per_package",
        kind=Kind.INT,
        default="50",
        category="Network",
        label="Connections per package",
        help="How many players one package talks to at once.",
        minimum=1,
        maximum=500,
        synonyms="peers",
    ),
    Setting(
        key="workshop.p2p.tcp_max_download_speed",
        kind=Kind.RATE,
        default="unlimited",
        category="Network",
        label="Download limit of TCP",
        help="All connections over TCP together, web servers too. The download limit holds beside it.",
        synonyms="bandwidth speed throttle transport protocol",
    ),
    Setting(
        key="workshop.p2p.tcp_max_upload_speed",
        kind=Kind.RATE,
        default="unlimited",
        category="Network",
        label="Sharing limit of TCP",
        help="All connections over TCP together. The sharing limit holds beside it.",
        synonyms="bandwidth speed throttle transport protocol",
    ),
    Setting(
        key="workshop.p2p.lan_exempt",
        kind=Kind.BOOL,
        default="false",
        category="Network",
        label="No limits in your own network",
        help="Players in the same house or at the same LAN party do not use your line to the Internet.",
        synonyms="lan local private party limit",
    ),
    Setting(
        key="workshop.p2p.count_overhead",
        kind=Kind.BOOL,
        default="true",
        category="Network",
        label="Limits count packet headers",
        help="The network adds some 3 percent to what is sent. On: limits hold for what your line really carries.",
        synonyms="overhead protocol tcp ip",
    ),
    Setting(
        key="workshop.storage.install_folder",
        kind=Kind.FOLDER,
        default="",
        category="Storage",
        label="Folder for installed packages",
        help="Where the game looks. On the same disk as the program's data nothing is stored twice. "
        "Packages already installed stay where they are.",
        synonyms="location path mods directory",
    ),
    Setting(
        key="workshop.storage.transient_ttl_days",
        kind=Kind.INT,
        default="30",
        category="Storage",
        label="Keep temporary packages",
        help="Packages that came for a game you joined go when nobody has used them for so long.",
        minimum=1,
        maximum=3650,
        unit="days",
        synonyms="lobby ttl expire clean",
    ),
    Setting(
        key="workshop.storage.budget_gb",
        kind=Kind.INT,
        default="10",
        category="Storage",
        label="Room for temporary packages",
        help="When it is full, those that were not used for the longest time go. 0 is no limit.",
        maximum=100_000,
        unit="GB",
        synonyms="lobby budget limit clean",
    ),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}
