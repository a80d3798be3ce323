"""What the game sees of a set of packages: each path once, and where it comes from (ic-workshop.md §1.9). Pure.

Sources stand in load order: of what several bring, the last one's counts, unless the player chose another. Two
spellings that one operating system takes for the same file are the same file on all of them, or the same set would not
be the same game everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.formats.paths import collision_key

PAPERS: Final = frozenset(
    {"manifest.yaml", "readme.md", "changelog.md", "preview.png", "license", "license.md", "license.txt"}
)
"""What speaks of a package and not to the game, at its top: never part of a set."""

LOOKS: Final = frozenset(
    {
        ".aac",
        ".aud",
        ".avi",
        ".bik",
        ".bmp",
        ".dds",
        ".flac",
        ".fnt",
        ".fon",
        ".ftl",
        ".gif",
        ".ico",
        ".jpeg",
        ".jpg",
        ".m4a",
        ".mid",
        ".mkv",
        ".mp3",
        ".mp4",
        ".ogg",
        ".opus",
        ".otf",
        ".pal",
        ".pcx",
        ".png",
        ".po",
        ".pot",
        ".psd",
        ".shp",
        ".svg",
        ".tga",
        ".tif",
        ".tiff",
        ".ttf",
        ".vqa",
        ".wav",
        ".webm",
        ".webp",
        ".woff",
        ".woff2",
        ".wsa",
        ".xm",
    }
)
"""Endings of what is only seen or heard: two players may differ in it and play the same game."""

PERSONAL: Final = "player-config"
"""Category of what is a player's own: in no fingerprint."""


class Why(StrEnum):
    """Why a path is what it is."""

    UNIQUE = "unique"
    LAST_WINS = "last_wins"
    CHOSEN = "chosen"
    """The profile says whose it is."""


class SourceFile(NamedTuple):
    """One file of a package."""

    path: str
    """With `/`."""
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One package of a set."""

    ref: PackageRef
    files: Sequence[SourceFile]
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of the set."""

    file: SourceFile
    source: PackageRef
    why: Why
    over: tuple[PackageRef, ...] = ()
    """Who brings it too, in load order."""
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Namespace:
    """Sorted by path, bytewise."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.file.size for entry in self.entries)

    @property
    def contested(self) -> tuple[Entry, ...]:
        """What several sources bring."""
        return tuple(entry for entry in self.entries if entry.over)

    def gameplay(self) -> str:
        """Fingerprint, hex, of what decides how the game plays: two who play together must have the same."""
        return self._fingerprint(looks=False)

    def presentation(self) -> str:
        """Fingerprint, hex, of what is seen and heard; players may differ in it."""
        return self._fingerprint(looks=True)

    def _fingerprint(self, *, looks: bool) -> str:
        """SHA-256 of a line `path TAB sha256` for each file (ic-workshop.md §7, C25)."""
        whole = hashlib.sha256()
        for entry in self.entries:
            if not entry.personal and _is_look(entry.file.path) is looks:
                whole.update(f"{entry.file.path}\t{entry.file.sha256.hex()}\n".encode())
        return whole.hexdigest()


def _is_look(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    stem, dot, ending = name.rpartition(".")
    return bool(stem) and dot + ending in LOOKS


def key_of(path: str) -> str:
    """The same for every spelling of one file."""
    return collision_key(path.split("/"))


def build(sources: Iterable[Source], choices: Mapping[str, PackageId] | None = None) -> Namespace:
    """`sources` in load order. `choices`: path -> whose file it shall be; one that names nobody who has it is void."""
    chosen = {key_of(path): package for path, package in (choices or {}).items()}
    held: dict[str, list[tuple[Source, SourceFile]]] = {}
    folders: dict[str, int] = {}
    """Key of every folder -> how many held files lie below it."""

    def lift(key: str, by: int) -> None:
        at = key.rfind("/")
        while at > 0:
            folder = key[:at]
            folders[folder] = folders.get(folder, 0) + by
            at = key.rfind("/", 0, at)

    for source in sources:
        for file in source.files:
            if file.path.lower() in PAPERS:
                continue
            key = key_of(file.path)
            if folders.get(key):
                # It was a folder so far: the last one's file takes its place.
                for other in [name for name in held if name.startswith(key + "/")]:
                    del held[other]
                    lift(other, -1)
            at = key.find("/")
            while at > 0:
                if held.pop(key[:at], None) is not None:
                    lift(key[:at], -1)
                at = key.find("/", at + 1)
            if key not in held:
                lift(key, 1)
            held.setdefault(key, []).append((source, file))
    entries = [_entry(holders, chosen.get(key)) for key, holders in held.items()]
    return Namespace(tuple(sorted(entries, key=lambda entry: entry.file.path.encode())))


def _entry(holders: list[tuple[Source, SourceFile]], chosen: PackageId | None) -> Entry:
    winner, why = holders[-1], Why.LAST_WINS if len(holders) > 1 else Why.UNIQUE
    if chosen is not None and len(holders) > 1:
        for holder in reversed(holders):
            if holder[0].ref.package == chosen:
                winner, why = holder, Why.CHOSEN
                break
    source, file = winner
    return Entry(
        file=file,
        source=source.ref,
        why=why,
        over=tuple(other.ref for other, _file in holders if other is not source),
        personal=source.category == PERSONAL,
    )
