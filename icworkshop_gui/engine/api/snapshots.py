"""Facts, frozen at one moment. The window holds these and never the living objects (style rule 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from icworkshop_gui.core.address import PeerSource, TransportKind
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.core.subscription import SubscriptionKind


class TransferState(StrEnum):
    """The state vocabulary of gui.md B0.2, as far as transfers go."""

    QUEUED = "queued"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    """All pieces are here; files and package are checked by SHA-256."""
    INSTALLING = "installing"
    PAUSED = "paused"
    SEEDING = "seeding"
    FINISHED = "finished"
    """Complete and not sharing."""
    ERROR = "error"


class Reason(StrEnum):
    """Why an item makes no progress; exactly one of gui.md B0.3. NONE while it does."""

    NONE = ""
    SLOT = "slot"
    LOBBY_FIRST = "lobby_first"
    TIER = "tier"
    USER = "user"
    OFFLINE = "offline"
    METADATA = "metadata"
    """Of a magnet link only the hash is known: peers are asked for the list of files."""
    NO_SOURCE = "no_source"
    DISK = "disk"
    """`reason_data`: need, free (bytes), path; or only path and fault."""
    DEP = "dep"
    """`reason_data`: package."""
    HASH = "hash"
    """`reason_data`: attempt, of."""
    METERED = "metered"
    """`reason_data`: network, its name as far as known."""
    GAME = "game"
    SCHEDULE = "schedule"
    """`reason_data`: until, wall clock seconds; empty when unknown."""
    LOCKED = "locked"
    """`reason_data`: path."""
    TURN = "turn"
    """Complete: other packages need our sharing more."""
    GOAL = "goal"
    """Complete: it has been shared as much as was wanted."""
    SHARING_OFF = "sharing_off"
    """Complete: the player shares nothing here and now."""
    LIMIT = "limit"
    """The download limit is set to Paused (0 B/s)."""
    FAILED = "failed"
    """Nothing more will happen by itself; `reason_data`: message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSnapshot:
    """One row of Downloads."""

    id: TransferId
    name: str
    """Title for people."""
    ref: PackageRef | None = None
    """None for a plain torrent."""
    category: str = ""
    preview_sha256: str = ""
    """Hex; empty when the author gave no picture."""
    info_hash: str = ""
    state: TransferState
    reason: Reason = Reason.NONE
    reason_data: tuple[tuple[str, str], ...] = ()
    retry_at: float | None = None
    """Engine clock seconds of the next try by itself; compare with EngineTotals.now."""
    tier: Tier = Tier.USER_REQUESTED
    position: int = 0
    """In its tier, from 0."""
    size: int = 0
    """Bytes in all."""
    done: int = 0
    """Bytes verified."""
    reused: int = 0
    """Bytes of `done` that were on this disk already."""
    from_peers: int = 0
    """Payload bytes received from peers."""
    from_http: int = 0
    """Payload bytes received over HTTP."""
    uploaded: int = 0
    wasted: int = 0
    """Received and thrown away: duplicates, corrupt pieces."""
    rate_down: int = 0
    """Payload bytes a second, smoothed."""
    rate_up: int = 0
    eta: float | None = None
    """Seconds; None when unknown."""
    peers: int = 0
    """Connected."""
    seeds: int = 0
    """Of those, how many have everything."""
    known_peers: int = 0
    http_active: bool = False
    limit_down: int | None = None
    limit_up: int | None = None
    added_at: float = 0.0
    """Wall clock."""
    finished_at: float | None = None
    """Wall clock."""
    cleared: bool = False
    """Finished and taken off the Downloads list."""
    goal: SeedGoal | None = None
    """When sharing it is enough; None: as the settings say."""
    staged: bool = False
    """A subscription brought it: complete, it waits for the player's click and is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSnapshot:
    """One row of the Peers tab."""

    address: str
    client: str
    transport: TransportKind
    source: PeerSource
    progress: float
    """0..1."""
    rate_down: int
    rate_up: int
    downloaded: int
    uploaded: int
    flags: str
    """Letters: D we download, d we are choked, U we upload, u we choke, O optimistic, S snubbed, I incoming,
    L waits in our lobby."""
    connected_for: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSnapshot:
    """One row of the Sources tab: a tracker, a web server, or the DHT."""

    kind: str
    """`tracker`, `http` or `dht`."""
    url: str
    """Without secrets."""
    ok: bool
    message: str
    """Ours; safe to show."""
    peers: int = 0
    downloaded: int = 0
    rate_down: int = 0
    next_in: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSnapshot:
    path: str
    size: int
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferDetail:
    """What the detail pane of the watched transfer shows."""

    id: TransferId
    piece_count: int
    piece_length: int
    have: bytes
    """Packed bits, piece 0 in the top bit of byte 0."""
    in_flight: tuple[int, ...]
    """Pieces with blocks asked for or received, not verified yet."""
    availability: bytes
    """Per piece: how many connected peers have it, capped at 255."""
    peers: tuple[PeerSnapshot, ...] = ()
    sources: tuple[SourceSnapshot, ...] = ()
    files: tuple[FileSnapshot, ...] = ()
    """At most 5,000."""


class Hold(StrEnum):
    """Why a package is here."""

    KEPT = "kept"
    """The player asked for it, or pinned it."""
    NEEDED = "needed"
    """Something that is kept needs it."""
    TEMPORARY = "temporary"
    """It came for a while, or something that did needs it."""
    UNUSED = "unused"
    """It came along, and nothing needs it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryEntry:
    """One installed package."""

    ref: PackageRef
    title: str
    category: str
    summary: str = ""
    license: str = ""
    preview_sha256: str = ""
    """Hex; empty when the author gave no picture."""
    size: int
    """Bytes of its files."""
    unique: int
    """Bytes that removing it would free."""
    files: int = 0
    folder: str = ""
    """Where its files are for the game."""
    how: str = "link"
    """How the files were made: `reflink`, `link` or `copy`."""
    why_copied: str = ""
    """Why files take space of their own (`store.clone.WhyCopy`); empty where they do not."""
    installed_at: float = 0.0
    sharing: bool = True
    rate_up: int = 0
    uploaded: int = 0
    update_to: str = ""
    """A newer version the registry has; empty when none."""
    update_bytes: int | None = None
    """What must be fetched for it, after what is here; None while that was not measured."""
    damaged: bool = False
    needed_by: tuple[str, ...] = ()
    """Installed packages that depend on it, as publisher/name."""
    hold: Hold = Hold.KEPT
    """Why it is here."""
    pinned: bool = False
    staged: str = ""
    """A newer version that a subscription has fetched: it waits for the player's click (ActivateStaged)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSnapshot:
    """One thing that the player follows."""

    kind: SubscriptionKind
    id: str
    """`publisher/name`, or a publisher's name."""
    title: str = ""
    since: float = 0.0
    """Wall clock."""
    checked_at: float = 0.0
    """Wall clock of the last look that was answered; 0 before the first."""
    message: str = ""
    """Why the last look brought nothing, or not all; empty when it went well."""
    waiting: tuple[PackageRef, ...] = ()
    """Fetched and verified: they wait for the player's click."""
    coming: tuple[PackageRef, ...] = ()
    """On their way, with what they need."""


class Network(StrEnum):
    """What kind of network this computer is on, as far as the desktop or the user knows."""

    UNMETERED = "unmetered"
    METERED = "metered"
    """Bytes cost money."""
    OFFLINE = "offline"
    NO_SHARING = "no_sharing"
    """Somebody else's: fetch, but share nothing."""


class Connection(StrEnum):
    STARTING = "starting"
    CONNECTED = "connected"
    """At least one source answers."""
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One configured source, most important first."""

    url: str
    """Its address: `https://…` a Workshop server, `git+https://…` and `git+file:///…` an index, `path+file:///…` a
    folder of packages.
    """
    name: str = ""
    ok: bool = False
    message: str = ""
    """Why it is not asked just now; for people."""
    place: str = ""
    """The address as a person would write it."""
    distrusted: bool = False
    """It answers, but what it says cannot be true: `message` says why."""


class LimitCause(StrEnum):
    """Why the limits in force are what they are."""

    SETTINGS = "settings"
    """The ordinary ones."""
    SLOW = "slow"
    """Slow mode, switched on by hand."""
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTotals:
    """The status strip."""

    now: float = 0.0
    """Engine clock, seconds."""
    connection: Connection = Connection.STARTING
    sources: tuple[SourceState, ...] = ()
    rate_down: int = 0
    rate_up: int = 0
    downloaded: int = 0
    """Payload bytes since start."""
    uploaded: int = 0
    peers: int = 0
    uploading_to: int = 0
    """Peers that are being sent something."""
    disk_free: int = 0
    """Bytes, where the store is."""
    store_bytes: int = 0
    """Bytes of blobs in the store."""
    listen_port: int = 0
    """0 when not listening."""
    reached_at: float | None = None
    """Wall clock of the last time that somebody from the open Internet connected to us by themselves; None: never
    since the start.
    """
    dht_nodes: int | None = None
    """Nodes of the DHT that are known; None while it is off."""
    sharing: bool = True
    limit_down: int | None = None
    """In force now, as `limit_up`: bytes a second, 0 is nothing, None is no limit."""
    limit_up: int | None = None
    limit_cause: LimitCause = LimitCause.SETTINGS
    limit_slow: bool = False
    """The limits in force are those of slow mode, by hand or by the schedule."""
    limit_until: float | None = None
    """Wall clock seconds at which the schedule says otherwise; None: it never does."""
    paused_all: bool = False
    network: Network = Network.UNMETERED
    network_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDelta:
    """What changed since the last one; the first holds everything. At most 4 a second."""

    totals: EngineTotals
    transfers: tuple[TransferSnapshot, ...] = ()
    """New or changed."""
    gone_transfers: tuple[TransferId, ...] = ()
    library: tuple[LibraryEntry, ...] = ()
    """New or changed."""
    gone_library: tuple[PackageRef, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    """New or changed, in text form."""
    detail: TransferDetail | None = None
    """Of the watched transfer."""
    subscriptions: tuple[SubscriptionSnapshot, ...] | None = None
    """All of them, when any changed; None: none did."""


@dataclass(slots=True)
class EngineView:
    """The sum of all deltas: what a subscriber keeps. Not thread-safe; one subscriber, one view."""

    totals: EngineTotals = field(default_factory=EngineTotals)
    transfers: dict[TransferId, TransferSnapshot] = field(default_factory=dict)
    library: dict[PackageRef, LibraryEntry] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    detail: TransferDetail | None = None
    subscriptions: tuple[SubscriptionSnapshot, ...] = ()

    def apply(self, delta: SnapshotDelta) -> None:
        self.totals = delta.totals
        for transfer in delta.transfers:
            self.transfers[transfer.id] = transfer
        for transfer_id in delta.gone_transfers:
            self.transfers.pop(transfer_id, None)
        for entry in delta.library:
            self.library[entry.ref] = entry
        for ref in delta.gone_library:
            self.library.pop(ref, None)
        self.settings.update(delta.settings)
        self.detail = delta.detail
        if delta.subscriptions is not None:
            self.subscriptions = delta.subscriptions
