"""What one package is to this player: not here, on its way, here, or here in an older version. Without Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from icworkshop_gui.core.catalog import PackageId, is_version, version_key
from icworkshop_gui.engine.api.snapshots import EngineView, LibraryEntry, TransferSnapshot, TransferState
from icworkshop_gui.gui.format import duration, percent


class Standing(Enum):
    """In the words of gui.md B0.2."""

    ABSENT = auto()
    QUEUED = auto()
    RUNNING = auto()
    PAUSED = auto()
    FAILED = auto()
    UPDATE = auto()
    INSTALLED = auto()


@dataclass(frozen=True, slots=True)
class PackageState:
    """The standing, and the facts behind it."""

    standing: Standing = Standing.ABSENT
    transfer: TransferSnapshot | None = None
    entry: LibraryEntry | None = None

    @property
    def share(self) -> float:
        """How much is here, 0..1."""
        transfer = self.transfer
        return transfer.done / transfer.size if transfer is not None and transfer.size else 0.0

    @property
    def percent(self) -> int:
        return percent(self.transfer.done, self.transfer.size) if self.transfer is not None else 0

    @property
    def time_left(self) -> str:
        """`20 s left`; a word for what it is doing when nobody knows how long."""
        transfer = self.transfer
        if transfer is None:
            return ""
        match transfer.state:
            case TransferState.CHECKING:
                return "checking"
            case TransferState.VERIFYING:
                return "verifying"
            case TransferState.INSTALLING:
                return "installing"
        return f"{_about(transfer.eta)} left" if transfer.eta is not None else "starting"

    @property
    def action(self) -> str:
        """What the button says; empty when there is nothing to press."""
        return _ACTIONS[self.standing]

    @property
    def spoken(self) -> str:
        """For a screen reader."""
        if self.standing is Standing.RUNNING:
            return f"downloading, {self.percent} percent, {self.time_left}"
        return _SPOKEN[self.standing]


_ACTIONS = {
    Standing.ABSENT: "Install",
    Standing.QUEUED: "",
    Standing.RUNNING: "",
    Standing.PAUSED: "Resume",
    Standing.FAILED: "Show",
    Standing.UPDATE: "Update",
    Standing.INSTALLED: "",
}
_SPOKEN = {
    Standing.ABSENT: "not installed",
    Standing.QUEUED: "queued",
    Standing.PAUSED: "paused",
    Standing.FAILED: "needs attention",
    Standing.UPDATE: "update available",
    Standing.INSTALLED: "installed",
}
_ABSENT = PackageState()
_DONE = frozenset({TransferState.SEEDING, TransferState.FINISHED})


class PackageStates:
    """The states of all packages that are not simply absent. Rebuilt from the facts with `update`."""

    def __init__(self) -> None:
        self._transfers: dict[PackageId, TransferSnapshot] = {}
        self._library: dict[PackageId, LibraryEntry] = {}

    def update(self, view: EngineView) -> set[PackageId]:
        """Take the facts as they are now; returns whose changed."""
        old_transfers, old_library = self._transfers, self._library
        self._transfers = _by_package(view.transfers.values())
        library: dict[PackageId, LibraryEntry] = {}
        for entry in view.library.values():
            other = library.get(entry.ref.package)
            if other is None or _newer(entry.ref.version, other.ref.version):
                library[entry.ref.package] = entry
        self._library = library
        return _differences(old_transfers, self._transfers) | _differences(old_library, library)

    @property
    def installed(self) -> frozenset[PackageId]:
        return frozenset(self._library)

    def of(self, package: PackageId, newest: str = "") -> PackageState:
        """The state of a package; `newest` is the version that the catalog offers."""
        transfer = self._transfers.get(package)
        entry = self._library.get(package)
        if transfer is None and entry is None:
            return _ABSENT
        if transfer is not None:
            return PackageState(_standing(transfer), transfer, entry)
        if entry is not None and (entry.update_to or (newest and _newer(newest, entry.ref.version))):
            return PackageState(Standing.UPDATE, None, entry)
        return PackageState(Standing.INSTALLED, None, entry)

    def has(self, package: PackageId, version: str) -> bool:
        """Is exactly this release installed?"""
        entry = self._library.get(package)
        return entry is not None and entry.ref.version == version


def _by_package(transfers: Iterable[TransferSnapshot]) -> dict[PackageId, TransferSnapshot]:
    return {t.ref.package: t for t in transfers if t.ref is not None and t.state not in _DONE}


def _about(seconds: float) -> str:
    """The largest unit alone: a row has no room for two."""
    if seconds <= 60:
        return duration(seconds)
    unit = 60 if seconds <= 3600 else 3600
    return duration(math.ceil(seconds / unit) * unit)


def _differences(before: Mapping[PackageId, object], after: Mapping[PackageId, object]) -> set[PackageId]:
    # Identity is enough: facts are frozen, and an unchanged one is the same object.
    return {key for key in before.keys() | after.keys() if before.get(key) is not after.get(key)}


def _standing(transfer: TransferSnapshot) -> Standing:
    match transfer.state:
        case TransferState.QUEUED:
            return Standing.QUEUED
        case TransferState.PAUSED:
            return Standing.PAUSED
        case TransferState.ERROR:
            return Standing.FAILED
        case _:
            return Standing.RUNNING


def _newer(one: str, other: str) -> bool:
    """Is `one` a later version? Texts that are no versions never are."""
    return is_version(one) and is_version(other) and bool(version_key(one) > version_key(other))
