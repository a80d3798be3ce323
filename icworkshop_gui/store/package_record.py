"""What the store remembers of one package, besides its content."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import BlobId

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """One package in the store."""

    ref: PackageRef
    sha256: BlobId
    """Of the whole package."""
    size: int
    """Bytes of the package."""
    added_at: float
    """Wall clock."""
    folder: str = ""
    """Where its files are for the game, or shall be; empty when nobody asked for that."""
    how: str = ""
    """`reflink`, `link` or `copy`; empty while the files are not all there."""
    why_copied: str = ""
    """Why files could not share the store's bytes (`store.clone.WhyCopy`); empty where all do."""
    copied: int = 0
    """Bytes that its installed files take besides the store's."""
    installed_at: float | None = None
    removed_at: float | None = None
    """Taken out of the library; undone or purged later."""
    sharing: bool = True
    damaged: bool = False
    """A blob of it was found wrong and is gone: it must be downloaded again."""
    asked: bool = True
    """The player asked for it; False: it came along with something that needs it."""
    pinned: bool = False
    """It stays, whatever nobody needs any more."""
    temporary: bool = False
    """It came for a while, for a game that was joined."""
    used_at: float = 0.0
    """Wall clock: installed, or needed by an installation last."""
    uploaded: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    """What the engine wants to know of it without asking the registry: title, category and the like."""

    @property
    def is_installed(self) -> bool:
        return bool(self.how)

    def to_json(self) -> bytes:
        body: dict[str, Any] = asdict(self)
        body.update(version=RECORD_VERSION, ref=str(self.ref), sha256=self.sha256.hex())
        return json.dumps(body, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> PackageRecord:
        """ValueError, KeyError or TypeError for anything that `to_json` did not write."""
        body = json.loads(raw)
        if not isinstance(body, dict) or body.pop("version", None) != RECORD_VERSION:
            raise ValueError("not a package record that is known here")
        body.update(ref=PackageRef.parse(body["ref"]), sha256=BlobId.from_hex(body["sha256"]))
        for name, kind in (("size", int), ("folder", str), ("how", str), ("sharing", bool), ("facts", dict)):
            if not isinstance(body[name], kind):
                raise ValueError(f"a package record with a wrong {name}")
        names = set(cls.__dataclass_fields__)
        return cls(**{name: value for name, value in body.items() if name in names})
