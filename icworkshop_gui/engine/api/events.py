"""Things that happened, told at once. Whoever needs the standing facts reads snapshots instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.snapshots import Reason


class Event:
    """Root of all events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAdded(Event):
    id: TransferId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFinished(Event):
    """All is here and verified; for a package: installed."""

    id: TransferId
    name: str
    ref: PackageRef | None
    folder: str
    """Where the files are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStaged(Event):
    """A subscription brought a new release: it is whole and waits for the player's click."""

    ref: PackageRef
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleProgress(Event):
    """A bundle is being written or checked."""

    path: Path
    done: int
    """Bytes."""
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStalled(Event):
    """It stopped moving, with a reason; it goes on by itself unless the reason is FAILED."""

    id: TransferId
    name: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerBanned(Event):
    """A peer sent a bad block and is not spoken to again."""

    id: TransferId
    address: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRemoved(Event):
    ref: PackageRef
    title: str
    freed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening(Event):
    """The peer port is open."""

    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFault(Event):
    """Something broke that should not have. The engine goes on as far as it can."""

    message: str
    detail: str
    """For the Logs; may hold paths, never secrets."""
