"""What a Workshop catalog says about packages: the words that registry, server, engine and window share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

SEGMENT = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
SEGMENT_MAX = 64
VERSION_MAX = 100
"""Longest version text in characters: a limit against hostile manifests, far above any real one."""
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


def is_segment(text: str) -> bool:
    """Is this a legal publisher or package name? (DESIGN §4.16)"""
    return len(text) <= SEGMENT_MAX and SEGMENT.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Is this a strict SemVer 2.0.0 version?"""
    return len(text) <= VERSION_MAX and _SEMVER.fullmatch(text) is not None


def version_key(text: str) -> tuple[object, ...]:
    """Sort key with SemVer precedence; build metadata is ignored. ValueError for no version."""
    match = _SEMVER.fullmatch(text)
    if match is None or len(text) > VERSION_MAX:
        raise ValueError(f"not a version: {text[:80]!r}")
    major, minor, patch, pre, _build = match.groups()
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (pre.split(".") if pre else ()))
    return (int(major), int(minor), int(patch), pre is None, parts)


class PackageId(NamedTuple):
    """`publisher/name`."""

    publisher: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `publisher/name`; ValueError that says what is wrong."""
        publisher, slash, name = text.partition("/")
        if not slash or not is_segment(publisher) or not is_segment(name):
            raise ValueError(f"a package is written publisher/name, not {text[:140]!r}")
        return cls(publisher, name)

    def __str__(self) -> str:
        return f"{self.publisher}/{self.name}"


class PackageRef(NamedTuple):
    """`publisher/name@version`: one immutable release."""

    publisher: str
    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `publisher/name@version`; ValueError that says what is wrong."""
        left, at, version = text.partition("@")
        package = PackageId.parse(left)
        if not at or not is_version(version):
            raise ValueError(f"a release is written publisher/name@1.2.3, not {text[:250]!r}")
        return cls(package.publisher, package.name, version)

    @property
    def package(self) -> PackageId:
        return PackageId(self.publisher, self.name)

    @property
    def file_name(self) -> str:
        """Name of the package file, and `name` in its torrent."""
        return f"{self.publisher}-{self.name}-{self.version}.icpkg"

    @property
    def folder_name(self) -> str:
        """Name of its folder in the store: cannot be ambiguous, unlike `file_name`."""
        return f"{self.publisher}--{self.name}-{self.version}"

    def __str__(self) -> str:
        return f"{self.publisher}/{self.name}@{self.version}"


class Sort(StrEnum):
    """Orders of the catalog; RELEVANCE only means something with a text."""

    RELEVANCE = "relevance"
    POPULAR = "popular"
    NEWEST = "newest"
    UPDATED = "updated"
    NAME = "name"
    SIZE = "size"
    AUTHOR = "author"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What the player looks for. Empty fields do not filter."""

    text: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    publisher: str = ""
    game_module: str = ""
    platform: str = ""
    sort: Sort = Sort.POPULAR
    cursor: str = ""
    """From the previous page; empty for the first."""
    limit: int = 50
    """Rows of a page, 1..200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSummary:
    """One catalog row: the newest release of a package."""

    package: PackageId
    version: str
    title: str
    summary: str
    category: str
    tags: tuple[str, ...] = ()
    license: str = ""
    size: int = 0
    """Bytes of the `.icpkg`."""
    downloads: int = 0
    published_at: float = 0.0
    """Of the first release, seconds since the epoch."""
    updated_at: float = 0.0
    """Of this release, seconds since the epoch."""
    preview_sha256: str = ""
    """Hex; empty when the author gave no picture."""
    game_module: str = ""
    platforms: tuple[str, ...] = ()
    seeders: int = 0
    leechers: int = 0

    @property
    def ref(self) -> PackageRef:
        return PackageRef(self.package.publisher, self.package.name, self.version)


class Facet(NamedTuple):
    """One filter value and how many rows have it."""

    value: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """One page of results."""

    items: tuple[PackageSummary, ...]
    total: int
    next_cursor: str = ""
    """Empty on the last page."""
    categories: tuple[Facet, ...] = ()
    tags: tuple[Facet, ...] = ()
    licenses: tuple[Facet, ...] = ()
    close_matches: bool = False
    """True when nothing matched as written and these are the nearest."""
    stale: bool = False
    """True when the server is out of reach and these were seen before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """What a release needs."""

    package: PackageId
    requirement: str
    """A range in Cargo's syntax."""
    optional: bool = False
    """Only fetched when a feature asks for it."""
    features: tuple[str, ...] = ()
    """Features of that package which must come along."""
    platforms: tuple[str, ...] = ()
    """Needed on these platforms only; empty: on all."""


Features = tuple[tuple[str, tuple[str, ...]], ...]
"""Feature -> optional dependencies (`publisher/name`) and other features of the same package that it brings along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a release."""

    path: str
    size: int
    sha256: str
    """Hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Everything the registry knows about one version."""

    ref: PackageRef
    title: str
    summary: str
    category: str
    license: str
    size: int
    sha256: str
    """Of the whole `.icpkg`, hex: the word that every path is checked against."""
    info_hash: str = ""
    """v1, hex."""
    published_at: float = 0.0
    tags: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    files: tuple[FileEntry, ...] = ()
    installed_size: int = 0
    downloads: int = 0
    game_module: str = ""
    platforms: tuple[str, ...] = ()
    preview_sha256: str = ""
    yanked: bool = False
    features: Features = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDetail:
    """A package page: the release shown, its words, and the other versions."""

    release: Release
    readme: str = ""
    """Markdown, from a stranger."""
    changelog: str = ""
    """Markdown, from a stranger."""
    versions: tuple[Release, ...] = ()
    """Newest first; without `files`."""
    seeders: int = 0
    leechers: int = 0
    stale: bool = False
    """True when the server is out of reach and this was seen before."""
