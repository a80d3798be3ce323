"""What can go wrong, by guilty side. Errors carry data; the words for people are made at the edge.

WorkshopError
├── LocalProtocolError     we asked for something illegal: a bug of ours
├── RemoteProtocolError    a peer, tracker or server sent something illegal
├── FormatError            bytes at rest (torrent, package, manifest) are not what they claim
├── StorageError           the disk refused
├── RegistryError          the Workshop server refused or could not be reached
└── UserError              the wish cannot be carried out; says why and what to do
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from icworkshop_gui.core.catalog import PackageId


class WorkshopError(Exception):
    """Root of every error this program raises on purpose."""


class LocalProtocolError(WorkshopError):
    """We tried something the protocol does not allow in this state."""


class RemoteProtocolError(WorkshopError):
    """A stranger broke the protocol; the connection is over.

    `reason` is ours and safe to show; `untrusted_text` is theirs and is not.
    """

    def __init__(self, reason: str, *, untrusted_text: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.untrusted_text = untrusted_text


class FormatError(WorkshopError):
    """Bytes at rest are malformed or cross a named limit. The message is ours and safe to show."""


class StorageFault(StrEnum):
    """Why the disk refused; the transfer waits and goes on by itself when the cause is gone."""

    FULL = "full"
    """ENOSPC or EDQUOT."""
    GONE = "gone"
    """The folder or the whole disk vanished (ENOENT, ENODEV, EROFS after it had been writable)."""
    IO = "io"
    """EIO and whatever else the disk says."""
    DENIED = "denied"
    """No permission."""
    CHANGED = "changed"
    """A file or blob changed behind our back: its bytes must be verified again."""


class StorageError(WorkshopError):
    """A disk operation failed. `path` is where, `fault` is why."""

    def __init__(self, fault: StorageFault, path: str = "", detail: str = "") -> None:
        super().__init__(f"{fault.value}: {path} {detail}".strip())
        self.fault = fault
        self.path = path
        self.detail = detail


DISTRUST = frozenset({"contradiction", "frozen", "from_the_future", "lied", "rolled_back"})
"""Codes of a RegistryError that says: the source answered, and cannot be believed."""


class RegistryError(WorkshopError):
    """The Workshop server refused or is out of reach. `code` as in the REST error body, "unreachable", or one of
    `DISTRUST`."""

    def __init__(self, code: str, message: str, *, retry_after: float | None = None, untrusted_text: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.untrusted_text = untrusted_text


class NotFound(WorkshopError):
    """There is no such package, version, transfer or file."""


class Conflict(WorkshopError):
    """It is there already, or contradicts what is there."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """What would help; `package` with another `version`, or without any: left out. No package: a piece of advice."""

    text: str
    package: PackageId | None = None
    version: str = ""


class VersionConflict(Conflict):
    """Versions that do not go together. The message holds all of it; the parts are for who shows them apart."""

    def __init__(self, message: str, *, headline: str, chains: tuple[str, ...], helps: tuple[WayOut, ...]) -> None:
        """`chains`: how each side comes to what it needs. `helps`: what would help."""
        super().__init__(message)
        self.headline = headline
        self.chains = chains
        self.helps = helps


class IntegrityError(WorkshopError):
    """Bytes arrived, were checked, and are not what the registry promised."""


class UserError(WorkshopError):
    """A wish that cannot be carried out. The message says what happened and what to do next."""
