"""One release as an index lists it, in both layouts (ic-workshop.md §3.5). Pure; every field is a stranger's word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlsplit

from icworkshop_gui.core.catalog import Dependency, PackageId, PackageRef, PackageSummary, Release
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.formats.manifest import FILE_SIZE_MAX, Manifest
from icworkshop_gui.formats.yamltree import Tree, parse_yaml
from icworkshop_gui.registry import schema
from icworkshop_gui.registry.freshness import Mark
from icworkshop_gui.registry.listing import summary_of

VERSION_FILE_MAX = 256 * KIB
"""Bytes of one version file."""
INDEX_MAX = 32 * MIB
"""Bytes of one `index.yaml`."""
LINES_MAX = 8 * MIB
"""Bytes of one package's file in the second layout."""
RELEASES_MAX = 100_000
"""Releases of one index."""
PLACES_MAX = 20
"""Web addresses, or trackers, that one release names."""
URL_MAX = 2_048
NO_LICENSE = "NOASSERTION"
"""SPDX's word where the second layout says nothing."""

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)
_INFO_HASH = re.compile(r"(?:btih:)?([0-9a-f]{40})", re.ASCII)
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What an index says of one release."""

    release: Release
    """`size` 0: the index does not say."""
    manifest: Manifest
    urls: tuple[str, ...] = ()
    """Of the package; relative ones from the index's own place."""
    torrent_url: str = ""
    info_hash: str = ""
    trackers: tuple[str, ...] = ()
    manifest_sha256: str = ""

    @property
    def row(self) -> PackageSummary:
        when = self.release.published_at
        return summary_of(self.manifest, size=self.release.size, published_at=when, updated_at=when)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A whole `index.yaml`."""

    name: str = ""
    mark: Mark = field(default_factory=Mark)
    releases: dict[PackageId, tuple[Listed, ...]] = field(default_factory=dict)


def read_index(data: bytes, digest: str) -> Index:
    """`index.yaml`: `serial`, `generated_at`, `valid_until`, and under `packages` a list of what version files say.
    FormatError.
    """
    root = parse_yaml(data, size_max=INDEX_MAX)
    if not isinstance(root, dict):
        raise FormatError("an index that is no map")
    rows = root.get("packages")
    if rows is not None and not isinstance(rows, list):
        raise FormatError("an index whose packages are no list")
    if len(rows or ()) > RELEASES_MAX:
        raise FormatError(f"an index of more than {RELEASES_MAX} releases")
    serial = _text(root, "serial")
    if serial and not _DIGITS.fullmatch(serial):
        raise FormatError("an index whose serial is no number")
    return Index(
        name=schema.clean_line(_text(root, "name"), schema.WORD_MAX),
        mark=Mark(
            serial=int(serial) if serial else None,
            generated_at=_moment(root, "generated_at"),
            valid_until=_moment(root, "valid_until"),
            digest=digest,
        ),
        releases=by_package([listed_from_tree(row) for row in rows or ()]),
    )


def by_package(listed: Sequence[Listed]) -> dict[PackageId, tuple[Listed, ...]]:
    """FormatError for a release that is listed twice."""
    found: dict[PackageId, dict[str, Listed]] = {}
    for item in listed:
        ref = item.release.ref
        if found.setdefault(ref.package, {}).setdefault(ref.version, item) is not item:
            raise FormatError(f"an index that lists {ref} twice")
    return {package: tuple(versions.values()) for package, versions in found.items()}


def read_version_file(data: bytes) -> Listed:
    """`packages/<publisher>/<name>/<version>.yaml`. FormatError."""
    return listed_from_tree(parse_yaml(data, size_max=VERSION_FILE_MAX))


def listed_from_tree(tree: Tree) -> Listed:
    """FormatError names what is wrong."""
    if not isinstance(tree, dict):
        raise FormatError("a release in an index that is no map")
    package: dict[str, Tree] = {key: value for key, value in tree.items() if isinstance(value, str | list)}
    modules = tree.get("game_modules")
    if "game_module" not in package and isinstance(modules, list) and modules:
        package["game_module"] = modules[0]
    manifest = Manifest.from_tree(
        {"package": package, "dependencies": tree.get("dependencies"), "features": tree.get("features")}
    )
    size = _text(tree, "size")
    if not _DIGITS.fullmatch(size) or not 0 < int(size) <= FILE_SIZE_MAX:
        raise FormatError(f"{manifest.ref} in an index without its size in bytes")
    urls, torrent_url, info_hash, trackers = _places(tree.get("sources"), manifest.ref)
    return Listed(
        release=_release(
            manifest,
            size=int(size),
            sha256=_sha256(tree, "sha256", manifest.ref, required=True),
            info_hash=info_hash,
            published_at=_moment(tree, "published_at"),
            yanked=_text(tree, "yanked") == "true",
        ),
        manifest=manifest,
        urls=urls,
        torrent_url=torrent_url,
        info_hash=info_hash,
        trackers=trackers,
        manifest_sha256=_sha256(tree, "manifest_hash", manifest.ref),
    )


def read_lines(data: bytes, download: str) -> tuple[Listed, ...]:
    """One package's file of the second layout: a line of JSON for each version, oldest first. `download`: the `dl` of
    `config.json`. FormatError.
    """
    found: list[Listed] = []
    for line in data.splitlines():
        if line.strip():
            if len(found) >= schema.VERSIONS_MAX:
                raise FormatError(f"more than {schema.VERSIONS_MAX} versions of one package")
            found.append(_from_line(schema.decode(line), download))
    if len({item.release.ref for item in found}) != len(found):
        raise FormatError("an index that lists a version twice")
    return tuple(found)


def _from_line(raw: object, download: str) -> Listed:
    fields = schema.Fields(raw)
    ref = PackageRef(fields.segment("publisher"), fields.segment("name"), fields.version("vers"))
    manifest = Manifest(
        ref=ref,
        license=fields.line("license", NO_LICENSE, schema.WORD_MAX),
        title=fields.line("title", ""),
        summary=fields.line("summary", ""),
        category=fields.line("category", "", schema.WORD_MAX),
        tags=fields.words("tags"),
        platforms=fields.words("platforms"),
        game_module=fields.line("game_module", "", schema.WORD_MAX),
        dependencies=fields.items("deps", schema.LIST_MAX, _need),
        features=schema.features_from_json(fields.value("features") or {}),
    )
    manifest.check()
    return Listed(
        release=_release(
            manifest,
            size=fields.integer("size", 0),
            sha256=_bare(fields.text("cksum", 71), ref),
            info_hash=fields.hexadecimal("info_hash", 40),
            published_at=fields.moment("published_at"),
            yanked=fields.flag("yanked"),
        ),
        manifest=manifest,
        urls=(download_url(download, ref),) if download else (),
        manifest_sha256=_bare(fields.text("manifest_hash", 71), ref) if "manifest_hash" in fields else "",
    )


def _need(raw: object) -> Dependency:
    fields = schema.Fields(raw)
    return Dependency(
        package=PackageId(fields.segment("publisher"), fields.segment("name")),
        requirement=fields.line("req", "*") or "*",
        optional=fields.flag("optional"),
        features=fields.words("features"),
        platforms=fields.words("platforms"),
    )


def download_url(template: str, ref: PackageRef) -> str:
    """`dl` with its markers filled in; without any as Cargo's: `/<publisher>/<name>/<version>/download` behind it."""
    marked = template
    for marker, value in (("{publisher}", ref.publisher), ("{name}", ref.name), ("{version}", ref.version)):
        marked = marked.replace(marker, value)
    return marked if marked != template else f"{template.rstrip('/')}/{'/'.join(ref)}/download"


def shard_paths(package: PackageId) -> tuple[str, ...]:
    """Where the second layout keeps a package: by its name, else by its publisher (C19: both are in use)."""
    tail = f"{package.publisher}/{package.name}"
    return tuple(dict.fromkeys(f"{_shard(word)}/{tail}" for word in (package.name, package.publisher)))


def _shard(word: str) -> str:
    return str(len(word)) if len(word) < 4 else f"{word[:2]}/{word[2:4]}"


def _release(
    manifest: Manifest, *, size: int, sha256: str, info_hash: str, published_at: float, yanked: bool
) -> Release:
    row = summary_of(manifest, size=size)
    return Release(
        ref=manifest.ref,
        title=row.title,
        summary=row.summary,
        category=row.category,
        license=manifest.license,
        size=size,
        sha256=sha256,
        info_hash=info_hash,
        published_at=published_at,
        tags=manifest.tags,
        dependencies=manifest.dependencies,
        features=manifest.features,
        game_module=row.game_module,
        platforms=manifest.platforms,
        yanked=yanked,
    )


def _places(tree: Tree, ref: PackageRef) -> tuple[tuple[str, ...], str, str, tuple[str, ...]]:
    """Web addresses, the torrent's own address, its info-hash, its trackers."""
    if tree is None:
        return (), "", "", ()
    if not isinstance(tree, list) or len(tree) > PLACES_MAX:
        raise FormatError(f"{ref} in an index whose sources are no list of at most {PLACES_MAX}")
    urls: list[str] = []
    torrent_url, info_hash, trackers = "", "", list[str]()
    for item in tree:
        if not isinstance(item, dict):
            raise FormatError(f"{ref} in an index with a source that is no map")
        kind = _text(item, "type")
        if kind == "http":
            urls.append(_place(_text(item, "url"), ref))
        elif kind == "torrent":
            found = _INFO_HASH.fullmatch(_text(item, "info_hash"))
            if found is None:
                raise FormatError(f"{ref} in an index with a torrent without its info-hash of 40 digits")
            info_hash = found[1]
            torrent_url = _place(_text(item, "url"), ref) if item.get("url") else ""
            named = item.get("trackers")
            listed = named if isinstance(named, list) else []
            trackers += [url for url in listed if isinstance(url, str) and len(url) <= URL_MAX]
    return tuple(dict.fromkeys(urls)), torrent_url, info_hash, tuple(dict.fromkeys(trackers))[:PLACES_MAX]


def _place(url: str, ref: PackageRef) -> str:
    """A web address, or a plain path below the index."""
    parts = urlsplit(url)
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    is_path = not parts.scheme and not parts.netloc and bool(parts.path) and not url.startswith("/")
    is_path = is_path and ".." not in url.split("/") and "\\" not in url
    if len(url) > URL_MAX or not (is_web or is_path):
        raise FormatError(f"{ref} in an index with an address that leads elsewhere")
    return url


def _sha256(tree: dict[str, Tree], key: str, ref: PackageRef, *, required: bool = False) -> str:
    text = _text(tree, key)
    return _bare(text, ref) if text or required else ""


def _bare(text: str, ref: PackageRef) -> str:
    found = _SHA256.fullmatch(text)
    if found is None:
        raise FormatError(f"{ref} in an index without its SHA-256")
    return found[1]


def _text(tree: dict[str, Tree], key: str) -> str:
    value = tree.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FormatError(f"{key} in an index is no text")
    return value


def _moment(tree: dict[str, Tree], key: str) -> float:
    """ISO 8601 or seconds since the epoch, as wall clock; 0 where nothing stands."""
    text = _text(tree, key)
    if not text:
        return 0.0
    if _DIGITS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FormatError(f"{key} in an index is no time such as 2026-11-28T08:00:00Z") from None
    if moment.tzinfo is None:
        raise FormatError(f"{key} in an index is a time without its zone")
    return max(0.0, moment.timestamp())


def with_size(listed: Listed, size: int) -> Listed:
    """Where the index did not say it."""
    return replace(listed, release=replace(listed.release, size=size))
