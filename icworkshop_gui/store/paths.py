"""Where things lie on this machine (spec: on-disk layout of the data directory)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

PORTABLE_MARKER = "portable.marker"
"""A file of this name beside the program makes it portable."""


def data_dir(
    override: str | os.PathLike[str] | None = None,
    *,
    portable: bool = False,
    environment: Mapping[str, str] | None = None,
    program: Path | None = None,
) -> Path:
    """The data directory, absolute; not created.

    First that applies: `override` (`--data-dir`), `IC_DATA_DIR`, `data` beside the program when portable
    (`--portable`, `IC_PORTABLE=1` or the marker file), what the system prescribes.
    """
    env = os.environ if environment is None else environment
    chosen = override or env.get("IC_DATA_DIR", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    beside = (program or Path(sys.executable if getattr(sys, "frozen", False) else sys.argv[0])).absolute().parent
    if portable or env.get("IC_PORTABLE", "") == "1" or (beside / PORTABLE_MARKER).is_file():
        return beside / "data"
    # The game spells its folder the Unix way where XDG rules, and as a product name elsewhere.
    if sys.platform in ("win32", "darwin"):
        return Path(platformdirs.user_data_dir("IronCurtain", appauthor=False, roaming=True))
    root = env.get("XDG_DATA_HOME", "")
    # XDG Base Directory, "a relative path is invalid and must be ignored".
    return (Path(root) if os.path.isabs(root) else Path.home() / ".local" / "share") / "iron-curtain"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePaths:
    """The folders of one store, all on one file system except `install`, which a player may move."""

    root: Path
    """`<data_dir>/workshop`."""
    blobs: Path
    packages: Path
    staging: Path
    transfers: Path
    quarantine: Path
    """Blobs that were found damaged."""
    cache: Path
    """Rebuildable: catalogs, pictures."""
    index: Path
    """SQLite; rebuildable."""
    gate: Path
    """Lock file between programs that share the store."""
    switch: Path
    """Journal of the change that is being made; there only meanwhile."""
    install: Path
    """`<data_dir>/mods`: installed files for the game."""
    profiles: Path
    """`<data_dir>/profiles`: named sets."""
    active: Path
    """`<data_dir>/active`: one of them as one tree, for the game."""

    @classmethod
    def below(cls, data: Path, *, install: Path | None = None) -> StorePaths:
        """The standard places below a data directory."""
        root = data / "workshop"
        return cls(
            root=root,
            blobs=root / "blobs",
            packages=root / "packages",
            staging=root / "staging",
            transfers=root / "transfers",
            quarantine=root / "quarantine",
            cache=root / "cache",
            index=root / "store.db",
            gate=root / "store.lock",
            switch=root / "switch.json",
            install=install or data / "mods",
            profiles=data / "profiles",
            active=data / "active",
        )

    def create(self) -> None:
        """Make every folder that is missing. OSError when that cannot be."""
        for folder in (self.blobs, self.packages, self.staging, self.transfers, self.quarantine, self.cache):
            folder.mkdir(parents=True, exist_ok=True)
