"""Wishes. Each is a frozen dataclass whose generic argument is the type of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.catalog import (
    PackageDetail,
    PackageId,
    PackageRef,
    SearchPage,
    SearchQuery,
)
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api.changes import ChangeSet
from icworkshop_gui.engine.api.profiles import ProfileComparison, ProfileReport, ProfileSnapshot
from icworkshop_gui.engine.api.snapshots import Network, SourceState

R_co = TypeVar("R_co", covariant=True)


class Command(Generic[R_co]):
    """A wish whose answer is an `R_co`. Raises a WorkshopError through the future when it cannot be."""

    __slots__ = ()


# --- catalog -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search(Command[SearchPage]):
    """One page of the catalog, from every configured source; offline: from what was seen before."""

    query: SearchQuery


@dataclass(frozen=True, slots=True)
class GetPackage(Command[PackageDetail]):
    """The page of one package; `version` empty means the newest."""

    package: PackageId
    version: str = ""


@dataclass(frozen=True, slots=True)
class GetPreview(Command[bytes]):
    """The encoded picture with this SHA-256 (hex), checked against it. NotFound when there is none."""

    package: PackageId
    version: str
    sha256: str


# --- transfers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Install(Command[TransferId]):
    """Fetch a release and what it needs, verify, put into the library. `version` empty: the newest."""

    package: PackageId
    version: str = ""
    tier: Tier = Tier.USER_REQUESTED


@dataclass(frozen=True, slots=True)
class PlanInstall(Command[ChangeSet]):
    """What installing these would change: `(package, version)`, version empty for the newest that goes. Changes
    nothing. Conflict says in words why they do not go together.
    """

    packages: tuple[tuple[PackageId, str], ...]


@dataclass(frozen=True, slots=True)
class PlanRemove(Command[ChangeSet]):
    """What removing these would change: what needs them goes too, and what came along with them. Changes nothing.
    `keep`: of that, what stays all the same. NotFound.
    """

    refs: tuple[PackageRef, ...]
    keep: tuple[PackageRef, ...] = ()


@dataclass(frozen=True, slots=True)
class InstallAll(Command[tuple[TransferId, ...]]):
    """As Install, for several whose versions are chosen together. The ids of those that were asked for, in order."""

    packages: tuple[tuple[PackageId, str], ...]
    tier: Tier = Tier.USER_REQUESTED
    temporary: bool = False
    """They come for a while, and go when nobody has used them for long (settings `workshop.storage`)."""


@dataclass(frozen=True, slots=True)
class Pin(Command[None]):
    """It stays, whatever nobody needs any more; or no longer. NotFound."""

    ref: PackageRef
    pinned: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUpReport:
    """What went, or would go."""

    packages: tuple[tuple[PackageRef, int], ...] = ()
    """With the bytes that each frees; equal files of two of them count for the last."""
    freed: int = 0
    """Bytes in all, left-overs included."""


@dataclass(frozen=True, slots=True)
class CleanUp(Command[CleanUpReport]):
    """Removes for good what came along and nothing needs any more, temporary packages whose time is over, and
    left-overs in the store. `dry_run`: only says so.
    """

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class WriteLock(Command[bytes]):
    """An `ic.lock` of these installed packages and what they need; empty: of everything. NotFound, UserError."""

    packages: tuple[PackageId, ...] = ()


@dataclass(frozen=True, slots=True)
class InstallLocked(Command[tuple[TransferId, ...]]):
    """Exactly what an `ic.lock` names, from the sources that it names. The ids of what is not here yet.

    FormatError for what is no lock file; IntegrityError when a source has other content under the same name.
    """

    lock: bytes
    tier: Tier = Tier.USER_REQUESTED


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePlan:
    """What an update would bring; `ref` is `installed` when there is nothing newer."""

    installed: PackageRef
    ref: PackageRef
    size: int
    """Bytes of the new package."""
    to_fetch: int
    """Bytes of it that must be fetched."""
    here: int
    """Bytes of it that are on this computer, by all appearances."""


@dataclass(frozen=True, slots=True)
class PlanUpdate(Command[UpdatePlan]):
    """Look at what is here and say what an update would fetch. NotFound when the package is not installed.

    `version` empty: the newest, when it is newer than what is installed.
    """

    package: PackageId
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentFacts:
    """What a torrent file or a magnet link says of itself. All text in it comes from a stranger."""

    metainfo: bytes = b""
    """The whole file, for AddTorrent; empty for a link."""
    link: str = ""
    """For AddMagnet; empty for a file. A link knows neither size nor files."""
    name: str = ""
    size: int = 0
    """Bytes of its files."""
    files: tuple[tuple[str, int], ...] = ()
    """Path and bytes; at most 5,000, of `file_count`."""
    file_count: int = 0
    info_hash: str = ""
    """Hex; of version 1, else of version 2."""
    private: bool = False
    trackers: int = 0
    web_seeds: int = 0
    peers: int = 0
    """Peers that a link names by their addresses."""
    running: TransferId | None = None
    """It is on the list already."""


@dataclass(frozen=True, slots=True)
class ReadTorrent(Command[TorrentFacts]):
    """Read a `.torrent` file and say what is in it; nothing is added. UserError when it cannot be read, FormatError
    when it is none.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class ReadMagnet(Command[TorrentFacts]):
    """What a magnet link says; nobody is asked, nothing is added. FormatError when it is none."""

    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTorrent(Command[TransferId]):
    """Any torrent, into or from a plain folder. Conflict when its info-hash is running already."""

    metainfo: bytes
    """A whole .torrent file."""
    folder: Path
    """Files go to `folder/name…` as the torrent says."""
    tier: Tier = Tier.USER_REQUESTED
    seed_only: bool = False
    """Check what is there and share it; never write, never download."""
    trust_existing: bool = False
    """With `seed_only`: the caller has just verified the files, so do not read them again."""
    paused: bool = False
    use_trackers: bool = True
    peers: tuple[Endpoint, ...] = ()
    web_seeds: tuple[str, ...] = ()
    """Web servers that the user named beside those that the torrent lists (BEP 19); only these may be private."""
    extra_trackers: tuple[str, ...] = ()
    limit_down: int | None = None
    limit_up: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMagnet(Command[TransferId]):
    """What a magnet link names, into a plain folder; peers are asked what that is. FormatError, Conflict."""

    link: str
    folder: Path
    tier: Tier = Tier.USER_REQUESTED
    paused: bool = False
    use_trackers: bool = True
    peers: tuple[Endpoint, ...] = ()
    """Beside those in the link."""
    web_seeds: tuple[str, ...] = ()
    """As in AddTorrent."""


@dataclass(frozen=True, slots=True)
class AddPeers(Command[None]):
    """Peers that the caller knows of."""

    transfer: TransferId
    peers: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class AddWebSeeds(Command[None]):
    """Web servers that the user names for a torrent (BEP 19); these may be in a private network. Not for packages."""

    transfer: TransferId
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pause(Command[None]):
    """Paused by the user until Resume. Empty `transfers`: all."""

    transfers: tuple[TransferId, ...] = ()


@dataclass(frozen=True, slots=True)
class Resume(Command[None]):
    """Go on. Empty `transfers`: all."""

    transfers: tuple[TransferId, ...] = ()


@dataclass(frozen=True, slots=True)
class StartNow(Command[None]):
    """Past the queue: a slot is made, whatever the number of running transfers."""

    transfer: TransferId


@dataclass(frozen=True, slots=True)
class SetTier(Command[None]):
    transfers: tuple[TransferId, ...]
    tier: Tier


@dataclass(frozen=True, slots=True)
class Move(Command[None]):
    """To this position (0 = first) within its tier."""

    transfer: TransferId
    position: int


@dataclass(frozen=True, slots=True)
class Cancel(Command[None]):
    """Stop and take off the list. Bytes already here stay for a while, for UndoCancel, unless `delete`."""

    transfer: TransferId
    delete: bool = False


@dataclass(frozen=True, slots=True)
class UndoCancel(Command[None]):
    """Within the undo window (60 s) after Cancel."""

    transfer: TransferId


@dataclass(frozen=True, slots=True)
class ClearFinished(Command[None]):
    """Take finished transfers off the list of downloads; they stay in the library and go on sharing."""


@dataclass(frozen=True, slots=True)
class Recheck(Command[None]):
    """Read everything again and verify it."""

    transfer: TransferId


@dataclass(frozen=True, slots=True)
class SetTransferLimits(Command[None]):
    """Bytes per second; None is unlimited, 0 is nothing."""

    transfer: TransferId
    down: int | None
    up: int | None


@dataclass(frozen=True, slots=True)
class SetSeedGoal(Command[None]):
    """When sharing these is enough; None: as the settings say. NotFound."""

    transfers: tuple[TransferId, ...]
    goal: SeedGoal | None


@dataclass(frozen=True, slots=True)
class Watch(Command[None]):
    """Whose `TransferDetail` snapshots shall carry; None for nobody's."""

    transfer: TransferId | None


# --- library -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification of an installed package found."""

    files: int
    bad: tuple[str, ...] = ()
    """Paths whose bytes are missing or wrong."""
    repaired: bool = False
    """A repair download was started."""


@dataclass(frozen=True, slots=True)
class VerifyPackage(Command[VerifyReport]):
    """Hash every file of an installed package; start a download of what is bad when `repair`."""

    ref: PackageRef
    repair: bool = True


@dataclass(frozen=True, slots=True)
class RemovePackage(Command[None]):
    """Take it out of the library at once; its bytes go after the undo window (60 s).

    Conflict, with the names, when another installed package needs it and `force` is False.
    """

    ref: PackageRef
    force: bool = False


@dataclass(frozen=True, slots=True)
class UndoRemove(Command[None]):
    ref: PackageRef


@dataclass(frozen=True, slots=True)
class SetPackageSharing(Command[None]):
    """Share this package with others, or do not."""

    ref: PackageRef
    sharing: bool


# --- subscriptions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe(Command[None]):
    """Follow a package, a publisher or a collection: new releases are fetched in the background and wait for the
    player's click. NotFound when no source knows it. Does nothing when it is followed already.
    """

    kind: SubscriptionKind
    id: str
    """`publisher/name`, or a publisher's name."""


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command[None]):
    """Follow it no longer; what it brought and nobody activated is deleted. NotFound."""

    kind: SubscriptionKind
    id: str


@dataclass(frozen=True, slots=True)
class CheckSubscriptions(Command[tuple[TransferId, ...]]):
    """Ask for news now. The transfers that were begun; what failed stands in the subscriptions' snapshots."""


@dataclass(frozen=True, slots=True)
class ActivateStaged(Command[tuple[TransferId, ...]]):
    """Install these releases that wait, with what they need; empty: all that wait. NotFound for one that does not."""

    refs: tuple[PackageRef, ...] = ()


# --- bundles -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledPackage:
    """One package of a bundle."""

    ref: PackageRef
    title: str
    license: str
    size: int
    """Bytes."""
    sha256: str
    """Hex, as the bundle names it."""
    source: str
    """Where whoever made the bundle had it from, as the bundle says."""
    here: bool
    """It is installed, with the same content."""
    vouched: bool
    """Its source has named the same content to this computer before; False: only the bundle says so."""


@dataclass(frozen=True, slots=True)
class BundleView:
    """What a bundle holds."""

    packages: tuple[BundledPackage, ...]


@dataclass(frozen=True, slots=True)
class CreateBundle(Command[BundleView]):
    """Write these installed packages and what they need into one file; empty: everything. The file appears whole or not
    at all; BundleProgress tells how far it is, StopBundle stops it. NotFound, UserError, StorageError.
    """

    path: Path
    packages: tuple[PackageId, ...] = ()


@dataclass(frozen=True, slots=True)
class InspectBundle(Command[BundleView]):
    """What a bundle holds; `verify`: with every byte hashed. FormatError says what is wrong with it."""

    path: Path
    verify: bool = False


@dataclass(frozen=True, slots=True)
class ImportBundle(Command[tuple[TransferId, ...]]):
    """Install what a bundle holds and is not here, without a network, once all of it was checked. FormatError for what
    is no bundle; IntegrityError when it contradicts what is here, or what its sources said.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class StopBundle(Command[None]):
    """Stop what goes on with this file. What was there before stays."""

    path: Path


# --- settings and life ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetSetting(Command[None]):
    """One setting of the table, from its text form; UserError with the reason when it does not fit."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class SetSharing(Command[None]):
    """The seeding switch: when off, nothing is uploaded that is not part of a running download."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetSlowMode(Command[None]):
    """The alternative limits by hand. Off ends those of the schedule too, until that would change by itself."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetNetwork(Command[None]):
    """This computer is on another network now, or the same one has become another kind."""

    network: Network
    name: str = ""
    """For people; may be empty."""


@dataclass(frozen=True, slots=True)
class SetLobby(Command[None]):
    """The lobby we are in now; an empty `room`: none. Its members are served before others, once they prove it.

    UserError when something does not fit together.
    """

    room: bytes = b""
    """16 bytes."""
    issuers: tuple[bytes, ...] = ()
    """Ed25519 keys that may sign tickets for it: the host's, its server's."""
    tickets: tuple[bytes, ...] = ()
    """Ours, one for each torrent."""
    secret: bytes = field(default=b"", repr=False)
    """The seed of the key that our tickets name; best a new one for each lobby."""


@dataclass(frozen=True, slots=True)
class SetGameRunning(Command[None]):
    """The game began or ended; what waits for that is up to the settings."""

    on: bool


# --- profiles ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListProfiles(Command[tuple[ProfileSnapshot, ...]]):
    """All profiles; first the one that is always there: everything that is installed."""


@dataclass(frozen=True, slots=True)
class SaveProfile(Command[None]):
    """Make a profile, or give one other content. FormatError, Conflict."""

    name: str
    sources: tuple[PackageRef, ...]
    """In load order: later ones win."""
    choices: tuple[tuple[str, PackageId], ...] = ()
    """Paths that several bring -> whose it shall be."""
    game_module: str = ""


@dataclass(frozen=True, slots=True)
class DeleteProfile(Command[None]):
    """The set, not its packages. `RestoreProfile` undoes it. NotFound; Conflict for the one that is always there."""

    name: str


@dataclass(frozen=True, slots=True)
class RestoreProfile(Command[None]):
    name: str


@dataclass(frozen=True, slots=True)
class InspectProfile(Command[ProfileReport]):
    """What the game would see of it."""

    name: str


@dataclass(frozen=True, slots=True)
class ActivateProfile(Command[str]):
    """Show the game this set from now on, in one step; the name of what it saw before (empty: nothing).

    Conflict when packages of it are missing: install them first. Nothing changes then.
    """

    name: str


@dataclass(frozen=True, slots=True)
class CompareProfiles(Command[ProfileComparison]):
    """What differs between two."""

    one: str
    other: str


@dataclass(frozen=True, slots=True)
class ExportProfile(Command[bytes]):
    """As a file that others can import."""

    name: str


@dataclass(frozen=True, slots=True)
class ImportProfile(Command[ProfileSnapshot]):
    """From such a file. What it names and is not installed is told, and can be fetched. FormatError, Conflict."""

    data: bytes
    name: str = ""
    """Another name than the file says."""


@dataclass(frozen=True, slots=True)
class AddSource(Command[None]):
    """A Workshop server or an index by URL, or a folder; checked by asking it, and the last in order. UserError when it
    does not answer as one.
    """

    url: str


@dataclass(frozen=True, slots=True)
class RemoveSource(Command[None]):
    """What it said before is forgotten, too."""

    url: str


@dataclass(frozen=True, slots=True)
class CheckSources(Command[tuple[SourceState, ...]]):
    """Ask every source now whether it is there and can be believed; what they answered, the most important first."""


@dataclass(frozen=True, slots=True)
class MoveSource(Command[None]):
    """To this place in the order, 0 being the most important. NotFound."""

    url: str
    position: int
