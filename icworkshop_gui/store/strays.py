"""What the player or the game put into a folder of ours: it moves along when the folder is made anew."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from pathlib import Path

Parts = tuple[str, ...]


def move_along(old: Path, target: Path, ours: Set[Parts]) -> list[Parts]:
    """Move what is not ours from the old folder into the new one; what stays since its place is taken. OSError."""
    stays = []
    for path in list(files_below(old)):
        if path in ours:
            continue
        place = target.joinpath(*path)
        if os.path.lexists(place) or not _make_folder(place.parent):
            stays.append(path)
        else:
            os.replace(old.joinpath(*path), place)
    return stays


def files_below(folder: Path) -> Iterator[Parts]:
    """Every file, and every link whatever it points at."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                for path in files_below(Path(entry.path)):
                    yield (entry.name, *path)
            else:
                yield (entry.name,)


def _make_folder(folder: Path) -> bool:
    """False: a file of the new set stands where it would have to be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return True
