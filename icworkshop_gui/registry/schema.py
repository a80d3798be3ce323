"""REST messages as JSON, both directions in one place: what the server writes is what the client reads.

Nothing here opens a connection. Every reader takes the words of a stranger: each limit has a name, and what
crosses one is a RegistryError with the code "bad_reply" (a server's words) or "bad_request" (a client's).
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from icworkshop_gui.core.catalog import (
    Dependency,
    Facet,
    Features,
    FileEntry,
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    Release,
    SearchPage,
    SearchQuery,
    Sort,
    is_segment,
    is_version,
)
from icworkshop_gui.core.errors import RegistryError

T = TypeVar("T")
Json = dict[str, Any]

API = "/api/v1"

REPLY_MAX = 16 * 1024 * 1024
"""Bytes of one JSON message."""
LINE_MAX = 500
"""Characters of a title, summary or any other single line."""
DOCUMENT_MAX = 512 * 1024
"""Characters of a README or changelog."""
WORD_MAX = 100
"""Characters of a category, tag, licence or platform."""
LIST_MAX = 200
"""Tags, licences, platforms, facets, dependencies; rows of one page."""
VERSIONS_MAX = 5_000
FILES_MAX = 65_535
"""Files of one release: what a ZIP without ZIP64 records can hold."""
PATH_MAX = 1_024
"""Characters of a file's path."""
CURSOR_MAX = 1_000
QUERY_TEXT_MAX = 200
"""Characters of a search text."""
PAGE_ROWS_MAX = 200
INT_MAX = 2**63 - 1

_HEX = re.compile(r"[0-9a-f]*")
_ERROR_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_HIDDEN = frozenset("\u061c\ufeff") | {
    chr(code) for start, end in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069)) for code in range(start, end + 1)
}
"""Characters that turn or hide text around them (engine.md F, incident 18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a Workshop server says about itself."""

    name: str
    software: str
    """Program and version."""
    api: int = 1
    packages: int = 0
    releases: int = 0
    trackers: tuple[str, ...] = ()
    max_package_size: int = 0
    """Bytes."""
    swarm_min_size: int = 0
    """Packages below this many bytes come over plain HTTP only (DESIGN §4.10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """What the server answers to an accepted package."""

    release: Release
    warnings: tuple[str, ...] = ()


def clean_line(text: str, limit: int = LINE_MAX) -> str:
    """One line that cannot turn, hide or break what stands around it; cut at `limit` characters."""
    kept = "".join(" " if c in "\t\r\n" else c for c in text[: 4 * limit] if c not in _HIDDEN)
    return "".join(c for c in kept if unicodedata.category(c) not in ("Cc", "Cs", "Co")).strip()[:limit]


def clean_document(text: str) -> str:
    """Several lines, with the characters that turn or hide text taken out."""
    return "".join(c for c in text if c in "\t\n" or (c not in _HIDDEN and unicodedata.category(c) not in ("Cc", "Cs")))


class Fields:
    """One JSON object of a stranger, read field by field. `code` is what a wrong field is reported as."""

    __slots__ = ("_code", "_raw")

    def __init__(self, raw: object, code: str = "bad_reply") -> None:
        if not isinstance(raw, dict):
            raise RegistryError(code, "expected a JSON object")
        self._raw: Mapping[str, Any] = raw
        self._code = code

    def wrong(self, key: str, why: str) -> RegistryError:
        return RegistryError(self._code, f"{key}: {why}")

    def __contains__(self, key: str) -> bool:
        return self._raw.get(key) is not None

    def names(self, limit: int) -> tuple[str, ...]:
        """Of all fields, each a legal name."""
        if len(self._raw) > limit:
            raise RegistryError(self._code, f"an object of more than {limit} fields")
        found = tuple(self._raw)
        if not all(is_segment(name) for name in found):
            raise RegistryError(self._code, "a field whose name is not a legal one")
        return found

    def value(self, key: str) -> object:
        """As it stands; None when it is not there."""
        return self._raw.get(key)

    def text(self, key: str, limit: int, default: str | None = None) -> str:
        """As it stands."""
        value = self._raw.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "is not a text")
        if len(value) > limit:
            raise self.wrong(key, f"is longer than {limit} characters")
        return value

    def line(self, key: str, default: str | None = None, limit: int = LINE_MAX) -> str:
        return clean_line(self.text(key, limit, default), limit)

    def document(self, key: str) -> str:
        return clean_document(self.text(key, DOCUMENT_MAX, ""))

    def integer(self, key: str, default: int | None = None) -> int:
        """From 0 to 2^63-1."""
        value = self._raw.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "is not a whole number")
        if not 0 <= value <= INT_MAX:
            raise self.wrong(key, "is out of range")
        return value

    def moment(self, key: str) -> float:
        """Seconds since the epoch, not negative."""
        value = self._raw.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "is not a number")
        if not (0 <= value <= INT_MAX and math.isfinite(value)):
            raise self.wrong(key, "is out of range")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._raw.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "is neither true nor false")
        return value

    def hexadecimal(self, key: str, digits: int, *, required: bool = False) -> str:
        value = self.text(key, digits, None if required else "")
        if (value or required) and (len(value) != digits or _HEX.fullmatch(value) is None):
            raise self.wrong(key, f"is not {digits} lower-case hex digits")
        return value

    def segment(self, key: str) -> str:
        value = self.text(key, WORD_MAX)
        if not is_segment(value):
            raise self.wrong(key, "is not a legal name")
        return value

    def version(self, key: str) -> str:
        value = self.text(key, WORD_MAX)
        if not is_version(value):
            raise self.wrong(key, "is not a SemVer version")
        return value

    def items(self, key: str, limit: int, read: Callable[[object], T]) -> tuple[T, ...]:
        value = self._raw.get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "is not a list")
        if len(value) > limit:
            raise self.wrong(key, f"has more than {limit} entries")
        return tuple(read(item) for item in value)

    def words(self, key: str, limit: int = LIST_MAX) -> tuple[str, ...]:
        def word(item: object) -> str:
            if not isinstance(item, str) or len(item) > WORD_MAX:
                raise self.wrong(key, f"has an entry that is not a text of at most {WORD_MAX} characters")
            return clean_line(item, WORD_MAX)

        return self.items(key, limit, word)


def encode(message: Json) -> bytes:
    """The bytes of one message."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def decode(raw: bytes, code: str = "bad_reply") -> object:
    """JSON of a stranger; RegistryError when it is none, is too long or nests too deep."""
    if len(raw) > REPLY_MAX:
        raise RegistryError(code, f"a message of more than {REPLY_MAX} bytes")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RegistryError(code, "not JSON", untrusted_text=raw[:200].decode("utf-8", "replace")) from error


SPANS_MAX = 500
"""Spans of fine chunks in one question."""

# --- errors --------------------------------------------------------------------------------------

STATUS_OF_CODE = {
    "bad_request": 400,
    "unauthorised": 401,
    "forbidden_scope": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "length_required": 411,
    "version_exists": 409,
    "too_large": 413,
    "bad_host": 421,
    "bad_range": 416,
    "format_error": 422,
    "archive_invalid": 422,
    "manifest_mismatch": 422,
    "manifest_invalid": 422,
    "license_missing": 422,
    "license_invalid": 422,
    "hash_mismatch": 422,
    "preview_invalid": 422,
    "dependency_missing": 422,
    "dependency_invalid": 422,
    "cycle": 422,
    "name_too_similar": 422,
    "rate_limited": 429,
    "internal": 500,
    "draining": 503,
    "storage_full": 507,
}


def error_to_json(code: str, message: str, detail: str = "", retry_after: float | None = None) -> Json:
    body: Json = {"code": code, "message": message, "detail": detail}
    if retry_after is not None:
        body["retry_after"] = retry_after
    return body


def error_from_json(status: int, raw: bytes, retry_after: float | None = None) -> RegistryError:
    """What an answer with an error status means. Never raises: a server may say anything when it refuses.

    The code is the server's where it is a legal word, else one that follows from the status. The server's
    own sentences are in `untrusted_text`.
    """
    code, said = "", ""
    try:
        fields = Fields(decode(raw[:65536]))
        code = fields.text("code", 40, "")
        said = " ".join(filter(None, (fields.line("message", ""), fields.line("detail", ""))))
        if retry_after is None and "retry_after" in fields:
            retry_after = fields.moment("retry_after")
    except RegistryError:
        pass
    if _ERROR_CODE.fullmatch(code) is None:
        code = {401: "unauthorised", 403: "forbidden_scope", 404: "not_found", 409: "version_exists"}.get(status, "")
        code = code or {413: "too_large", 429: "rate_limited", 503: "draining"}.get(status, f"http_{status}")
    return RegistryError(
        code, f"the Workshop server refused: {code} (HTTP {status})", retry_after=retry_after, untrusted_text=said
    )


# --- search --------------------------------------------------------------------------------------


def search_to_params(query: SearchQuery) -> list[tuple[str, str]]:
    """The query as URL parameters; lists repeat their key."""
    pairs = [("q", query.text), ("category", query.category)]
    pairs += [("tag", tag) for tag in query.tags]
    pairs += [("license", name) for name in query.licenses]
    pairs += [("publisher", query.publisher), ("game_module", query.game_module), ("platform", query.platform)]
    pairs += [("sort", query.sort.value), ("cursor", query.cursor), ("limit", str(query.limit))]
    return [(key, value) for key, value in pairs if value]


def search_from_params(pairs: Sequence[tuple[str, str]]) -> SearchQuery:
    """The query of URL parameters; RegistryError "bad_request" when one does not fit. Unknown keys are ignored."""
    lists: dict[str, list[str]] = {"tag": [], "license": []}
    single: dict[str, str] = {}
    for key, value in pairs:
        if key in lists:
            lists[key].append(value)
        else:
            single[key] = value
    fields = Fields({**single, **lists}, "bad_request")
    limit_text = fields.text("limit", 6, "50")
    if not (limit_text.isascii() and limit_text.isdigit() and 1 <= int(limit_text) <= PAGE_ROWS_MAX):
        raise fields.wrong("limit", f"is not a number from 1 to {PAGE_ROWS_MAX}")
    try:
        sort = Sort(fields.text("sort", 20, "") or (Sort.RELEVANCE if single.get("q") else Sort.POPULAR))
    except ValueError as error:
        raise fields.wrong("sort", "is not one of " + ", ".join(Sort)) from error
    return SearchQuery(
        text=fields.line("q", "", QUERY_TEXT_MAX),
        category=fields.line("category", "", WORD_MAX),
        tags=fields.words("tag", 20),
        licenses=fields.words("license", 20),
        publisher=fields.line("publisher", "", WORD_MAX),
        game_module=fields.line("game_module", "", WORD_MAX),
        platform=fields.line("platform", "", WORD_MAX),
        sort=sort,
        cursor=fields.text("cursor", CURSOR_MAX, ""),
        limit=int(limit_text),
    )


def summary_to_json(row: PackageSummary) -> Json:
    return {
        "publisher": row.package.publisher,
        "name": row.package.name,
        "version": row.version,
        "title": row.title,
        "summary": row.summary,
        "category": row.category,
        "tags": list(row.tags),
        "license": row.license,
        "size": row.size,
        "downloads": row.downloads,
        "published_at": row.published_at,
        "updated_at": row.updated_at,
        "preview_sha256": row.preview_sha256,
        "game_module": row.game_module,
        "platforms": list(row.platforms),
        "seeders": row.seeders,
        "leechers": row.leechers,
    }


def summary_from_json(raw: object) -> PackageSummary:
    fields = Fields(raw)
    return PackageSummary(
        package=PackageId(fields.segment("publisher"), fields.segment("name")),
        version=fields.version("version"),
        title=fields.line("title"),
        summary=fields.line("summary", ""),
        category=fields.line("category", "", WORD_MAX),
        tags=fields.words("tags"),
        license=fields.line("license", "", WORD_MAX),
        size=fields.integer("size", 0),
        downloads=fields.integer("downloads", 0),
        published_at=fields.moment("published_at"),
        updated_at=fields.moment("updated_at"),
        preview_sha256=fields.hexadecimal("preview_sha256", 64),
        game_module=fields.line("game_module", "", WORD_MAX),
        platforms=fields.words("platforms"),
        seeders=fields.integer("seeders", 0),
        leechers=fields.integer("leechers", 0),
    )


def page_to_json(page: SearchPage) -> Json:
    return {
        "items": [summary_to_json(row) for row in page.items],
        "total": page.total,
        "next_cursor": page.next_cursor,
        "categories": [list(facet) for facet in page.categories],
        "tags": [list(facet) for facet in page.tags],
        "licenses": [list(facet) for facet in page.licenses],
        "close_matches": page.close_matches,
    }


def page_from_json(raw: object) -> SearchPage:
    fields = Fields(raw)

    def facet(item: object) -> Facet:
        if not (isinstance(item, list) and len(item) == 2):
            raise fields.wrong("facet", "is not a pair")
        pair = Fields({"value": item[0], "rows": item[1]})
        return Facet(pair.line("value", limit=WORD_MAX), pair.integer("rows"))

    return SearchPage(
        items=fields.items("items", PAGE_ROWS_MAX, summary_from_json),
        total=fields.integer("total"),
        next_cursor=fields.text("next_cursor", CURSOR_MAX, ""),
        categories=fields.items("categories", LIST_MAX, facet),
        tags=fields.items("tags", LIST_MAX, facet),
        licenses=fields.items("licenses", LIST_MAX, facet),
        close_matches=fields.flag("close_matches"),
    )


# --- packages ------------------------------------------------------------------------------------


def dependency_to_json(dependency: Dependency) -> Json:
    return {
        "id": str(dependency.package),
        "version": dependency.requirement,
        "optional": dependency.optional,
        "features": list(dependency.features),
        "platforms": list(dependency.platforms),
    }


def dependency_from_json(raw: object) -> Dependency:
    fields = Fields(raw)
    try:
        package = PackageId.parse(fields.text("id", LINE_MAX))
    except ValueError as error:
        raise fields.wrong("id", "is not publisher/name") from error
    return Dependency(
        package=package,
        requirement=fields.line("version"),
        optional=fields.flag("optional"),
        features=fields.words("features"),
        platforms=fields.words("platforms"),
    )


def features_to_json(features: Features) -> Json:
    return {name: list(brought) for name, brought in features}


def features_from_json(raw: object) -> Features:
    fields = Fields(raw)
    names = sorted(fields.names(LIST_MAX))
    return tuple((name, fields.words(name)) for name in names)


def file_to_json(entry: FileEntry) -> Json:
    return {"path": entry.path, "size": entry.size, "sha256": entry.sha256}


def file_from_json(raw: object) -> FileEntry:
    """The path is as the server says it: check it before it touches a disk."""
    fields = Fields(raw)
    path = fields.text("path", PATH_MAX)
    if not path or clean_line(path, PATH_MAX) != path:
        raise fields.wrong("path", "is empty or holds characters that hide or turn text")
    return FileEntry(path=path, size=fields.integer("size"), sha256=fields.hexadecimal("sha256", 64, required=True))


def release_to_json(release: Release) -> Json:
    return {
        "publisher": release.ref.publisher,
        "name": release.ref.name,
        "version": release.ref.version,
        "title": release.title,
        "summary": release.summary,
        "category": release.category,
        "license": release.license,
        "size": release.size,
        "sha256": release.sha256,
        "info_hash": release.info_hash,
        "published_at": release.published_at,
        "tags": list(release.tags),
        "dependencies": [dependency_to_json(dependency) for dependency in release.dependencies],
        "features": features_to_json(release.features),
        "files": [file_to_json(entry) for entry in release.files],
        "installed_size": release.installed_size,
        "downloads": release.downloads,
        "game_module": release.game_module,
        "platforms": list(release.platforms),
        "preview_sha256": release.preview_sha256,
        "yanked": release.yanked,
    }


def release_from_json(raw: object) -> Release:
    fields = Fields(raw)
    return Release(
        ref=PackageRef(fields.segment("publisher"), fields.segment("name"), fields.version("version")),
        title=fields.line("title"),
        summary=fields.line("summary", ""),
        category=fields.line("category", "", WORD_MAX),
        license=fields.line("license", "", WORD_MAX),
        size=fields.integer("size"),
        sha256=fields.hexadecimal("sha256", 64, required=True),
        info_hash=fields.hexadecimal("info_hash", 40),
        published_at=fields.moment("published_at"),
        tags=fields.words("tags"),
        dependencies=fields.items("dependencies", LIST_MAX, dependency_from_json),
        features=features_from_json(fields.value("features") or {}),
        files=fields.items("files", FILES_MAX, file_from_json),
        installed_size=fields.integer("installed_size", 0),
        downloads=fields.integer("downloads", 0),
        game_module=fields.line("game_module", "", WORD_MAX),
        platforms=fields.words("platforms"),
        preview_sha256=fields.hexadecimal("preview_sha256", 64),
        yanked=fields.flag("yanked"),
    )


def detail_to_json(detail: PackageDetail) -> Json:
    return {
        "release": release_to_json(detail.release),
        "readme": detail.readme,
        "changelog": detail.changelog,
        "versions": [release_to_json(release) for release in detail.versions],
        "seeders": detail.seeders,
        "leechers": detail.leechers,
    }


def detail_from_json(raw: object) -> PackageDetail:
    fields = Fields(raw)
    return PackageDetail(
        release=release_from_json(fields.value("release")),
        readme=fields.document("readme"),
        changelog=fields.document("changelog"),
        versions=fields.items("versions", VERSIONS_MAX, release_from_json),
        seeders=fields.integer("seeders", 0),
        leechers=fields.integer("leechers", 0),
    )


# --- the server and publishing -------------------------------------------------------------------


def server_to_json(info: ServerInfo) -> Json:
    return {
        "name": info.name,
        "software": info.software,
        "api": info.api,
        "packages": info.packages,
        "releases": info.releases,
        "trackers": list(info.trackers),
        "max_package_size": info.max_package_size,
        "swarm_min_size": info.swarm_min_size,
    }


def server_from_json(raw: object) -> ServerInfo:
    fields = Fields(raw)
    return ServerInfo(
        name=fields.line("name"),
        software=fields.line("software", ""),
        api=fields.integer("api"),
        packages=fields.integer("packages", 0),
        releases=fields.integer("releases", 0),
        trackers=fields.items("trackers", 20, lambda url: Fields({"url": url}).line("url")),
        max_package_size=fields.integer("max_package_size", 0),
        swarm_min_size=fields.integer("swarm_min_size", 0),
    )


def publish_to_json(result: PublishResult) -> Json:
    return {"release": release_to_json(result.release), "warnings": list(result.warnings)}


def publish_from_json(raw: object) -> PublishResult:
    fields = Fields(raw)
    return PublishResult(
        release=release_from_json(fields.value("release")),
        warnings=fields.items("warnings", LIST_MAX, lambda text: Fields({"warning": text}).line("warning")),
    )
