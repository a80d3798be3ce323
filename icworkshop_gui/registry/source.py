"""Where packages come from, as everything above sees it: a Workshop server, a git index, or a folder of packages.

A source is named by its address, which says what it is: `https://…` a Workshop server; `git+https://…` or
`git+file:///…` an index (ic-workshop.md §3.5); `path+file:///…` a folder with `.icpkg` files. In `ic.lock` a server is
written `workshop+https://…`, the others as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef, SearchPage, SearchQuery
from icworkshop_gui.registry.schema import ServerInfo

ADDRESS_MAX = 2_048
"""Characters."""
INDEX_FILE, SHARDS_FILE, VERSIONS_FOLDER = "index.yaml", "config.json", "packages"
"""What makes a folder an index: of the first layout, of the second, of the first without its summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """How the bytes of one release can be had. Strangers' words: everything is checked against the SHA-256."""

    torrent: bytes = b""
    """A whole .torrent, unparsed; empty: none is named."""
    skeleton: bytes = b""
    """Unparsed; empty: none is named."""
    file: Path | None = None
    """On this computer."""
    urls: tuple[str, ...] = ()
    """Of the `.icpkg`, best first."""
    trackers: tuple[str, ...] = ()
    info_hash: str = ""
    """v1, hex; empty: none is named."""
    size: int = 0
    """Bytes, where the catalog did not say it; else 0."""
    manifest_sha256: str = ""
    """Of the inner `manifest.yaml`, hex; empty: none is named."""


class Source(Protocol):
    """Raises NotFound for what is not there, and RegistryError: "unreachable" when it does not answer, "bad_reply" when
    its answer is none, a code of `core.errors.DISTRUST` when what it says cannot be true.
    """

    @property
    def address(self) -> str: ...

    @property
    def keeps_all(self) -> bool:
        """Releases never vanish from it: one that does is a sign that it was set back."""
        ...

    async def server(self) -> ServerInfo:
        """What it says of itself; always asked, never from the cache."""
        ...

    async def search(self, query: SearchQuery) -> SearchPage: ...

    async def package(self, package: PackageId, version: str = "", *, files: bool = True) -> PackageDetail: ...

    async def offer(self, ref: PackageRef) -> Offer: ...

    async def chunks(self, ref: PackageRef) -> bytes:
        """The chunks of its files (`formats.chunks.Outline`), unparsed; NotFound where none are kept."""
        ...

    async def fine_chunks(self, ref: PackageRef, spans: Sequence[tuple[int, int]]) -> bytes: ...

    async def preview(self, ref: PackageRef, sha256: str) -> bytes: ...

    def package_url(self, ref: PackageRef) -> str:
        """Where a server of this source has the package's bytes; empty where there is none."""
        ...


def parse_address(text: str) -> str:
    """The address of what a person names: a URL, or a folder. ValueError says what is wrong."""
    text = text.strip()
    if not text or len(text) > ADDRESS_MAX:
        raise ValueError("a source is a web address or a folder")
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    match scheme:
        case "http" | "https" | "git+http" | "git+https":
            return _web_address(text, scheme)
        case "file" | "git+file" | "path+file":
            parts = urlsplit(text)
            if parts.netloc not in ("", "localhost"):
                raise ValueError("a folder of another computer is named by the path under which it is mounted here")
            folder = Path(url2pathname(parts.path))
            return f"{scheme}://{_slashed(folder)}" if scheme != "file" else _folder_address(folder)
        case "":
            return _folder_address(Path(text).expanduser().absolute())
        case _:
            raise ValueError("a source is a web address that begins with https:// or http://, or a folder")


def _web_address(text: str, scheme: str) -> str:
    parts = urlsplit(text)
    if not parts.hostname or parts.username or parts.query:
        raise ValueError("a Workshop is given as http(s)://host[:port][/path]")
    url = text.split("#")[0].rstrip("/")
    for name in (INDEX_FILE, SHARDS_FILE):
        if url.endswith(f"/{name}"):
            url = url.removesuffix(f"/{name}")
            return url if scheme.startswith("git+") else f"git+{url}"
    return url


def _folder_address(folder: Path) -> str:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    is_index = any((folder / name).exists() for name in (INDEX_FILE, SHARDS_FILE, VERSIONS_FOLDER))
    return f"{'git' if is_index else 'path'}+file://{_slashed(folder)}"


def _slashed(folder: Path) -> str:
    return folder.as_uri().removeprefix("file://").rstrip("/")


def folder_of(address: str) -> Path | None:
    """The folder that a source is; None for one on the web."""
    scheme, _, _rest = address.partition("://")
    return Path(url2pathname(urlsplit(address).path)) if scheme in ("git+file", "path+file") else None


def is_index(address: str) -> bool:
    return address.startswith("git+")


def web_base(address: str) -> str:
    """The URL below which a source on the web answers."""
    return address.removeprefix("git+")


def display_address(address: str) -> str:
    """As a person would write it."""
    folder = folder_of(address)
    return unquote(web_base(address)) if folder is None else str(folder)


def address_of(kind: object, url: object, path: object) -> str:
    """From a row of `settings.toml` (ic-workshop.md §2.15). The folder need not be there just now. ValueError."""
    if kind == "remote" and isinstance(url, str):
        return parse_address(url)
    if kind == "git-index" and isinstance(url, str):
        return parse_address(url if url.startswith("git+") else f"git+{url}")
    if kind in ("git-index", "local") and isinstance(path, str) and Path(path).is_absolute():
        return f"{'git' if kind == 'git-index' else 'path'}+file://{_slashed(Path(path))}"
    raise ValueError("a type that is not known, or neither its url nor its path")


def row_of(address: str) -> tuple[str, str, str]:
    """For `settings.toml`: its type, and the key and value that say where it is."""
    folder = folder_of(address)
    kind = "git-index" if is_index(address) else "remote" if folder is None else "local"
    return (kind, "url", web_base(address)) if folder is None else (kind, "path", str(folder))
