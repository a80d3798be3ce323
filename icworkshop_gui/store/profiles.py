"""The player's profiles: one TOML file each, which may be edited by hand; deleted ones can be brought back."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Final

from icworkshop_gui.core.errors import Conflict, FormatError, NotFound
from icworkshop_gui.formats.paths import collision_key
from icworkshop_gui.formats.profile import PROFILE_MAX, Profile
from icworkshop_gui.store.durable import disk_errors, replace_file, sync_folder

log = logging.getLogger("icw.store")

SUFFIX: Final = ".toml"
PROFILES_MAX: Final = 500


class Profiles:
    """Thread-safe. Methods raise StorageError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trash = folder / ".deleted"
        self._lock = threading.Lock()

    def all(self) -> list[Profile]:
        """All that can be read, by name, PROFILES_MAX at most. Whoever renames a file renames the profile."""
        found = []
        with disk_errors():
            names = sorted(os.listdir(self._folder)) if self._folder.is_dir() else []
        for name in names:
            if not name.endswith(SUFFIX) or name.startswith("."):
                continue
            try:
                found.append(self._read(self._folder / name))
            except FormatError as error:
                log.warning("event=profile-unreadable name=%s: %s", name, error)
        return sorted(found, key=lambda profile: collision_key([profile.name]))[:PROFILES_MAX]

    def get(self, name: str) -> Profile:
        """NotFound, FormatError."""
        for path in self._paths():
            if collision_key([path.stem]) == collision_key([name]):
                return self._read(path)
        raise NotFound(f"There is no profile {name!r}. `icworkshop profile list` shows those that are there.")

    def save(self, profile: Profile) -> None:
        """Make it, or write it anew. FormatError; Conflict when it would be one too many."""
        data = profile.dump()
        with self._lock:
            taken = [path for path in self._paths() if collision_key([path.stem]) == collision_key([profile.name])]
            if not taken and len(self._paths()) >= PROFILES_MAX:
                raise Conflict(f"There are {PROFILES_MAX} profiles already. Delete one first.")
            with disk_errors():
                self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{profile.name}{SUFFIX}"
            replace_file(path, data)
            for other in taken:
                if other.name != path.name:  # only its spelling changed
                    with disk_errors():
                        if not other.samefile(path):
                            other.unlink()

    def delete(self, name: str) -> None:
        """It can be brought back until another of its name is deleted. NotFound."""
        with self._lock:
            profile = self.get(name)
            with disk_errors():
                self._trash.mkdir(exist_ok=True)
                os.replace(self._folder / f"{profile.name}{SUFFIX}", self._trash / f"{profile.name}{SUFFIX}")
                sync_folder(self._folder)

    def restore(self, name: str) -> None:
        """Back again. NotFound; Conflict when another has its name meanwhile."""
        with self._lock:
            deleted = self._trash / f"{name}{SUFFIX}"
            if not deleted.is_file():
                raise NotFound(f"There is no deleted profile {name!r}.")
            if any(collision_key([path.stem]) == collision_key([name]) for path in self._paths()):
                raise Conflict(f"Another profile is called {name!r} by now. Rename that first.")
            with disk_errors():
                os.replace(deleted, self._folder / deleted.name)
                sync_folder(self._folder)

    def _paths(self) -> list[Path]:
        with disk_errors():
            if not self._folder.is_dir():
                return []
            return sorted(
                path for path in self._folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith(".")
            )

    def _read(self, path: Path) -> Profile:
        with disk_errors(), open(path, "rb") as file:
            profile = Profile.parse(file.read(PROFILE_MAX + 1))
        if profile.name != path.stem:
            profile = Profile(
                name=path.stem, game_module=profile.game_module, sources=profile.sources, choices=profile.choices
            )
            profile.check()
        return profile
