"""What an operator may decide: one table of settings, read from flags, environment, file and defaults, in this order.

The server runs with none of them. The file is `server_config.toml` in the data folder.
"""

from __future__ import annotations

import argparse
import ipaddress
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.engine.api.settings import parse_amount, parse_rate
from icworkshop_gui.formats.urls import is_web_seed_url

CONFIG_FILE = "server_config.toml"
CONFIG_VERSION = 1
ENV_PREFIX = "ICW_SERVER_"


class Kind(StrEnum):
    TEXT = "text"
    PORT = "port"
    """0: any free one."""
    SIZE = "size"
    RATE = "rate"
    """Kept as text: what the engine reads."""
    COUNT = "count"
    SECONDS = "seconds"
    SWITCH = "switch"
    LIST = "list"
    """Separated by commas in flags and environment; a list in the file."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: the flag is `--` and the key with hyphens, the variable ICW_SERVER_ and the key in capitals."""

    key: str
    kind: Kind
    default: str
    help: str

    @property
    def flag(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.key.upper()

    def parse(self, raw: object) -> Any:
        """The value of a text, or of what TOML made of it. ValueError with a sentence when it does not fit."""
        if self.kind is Kind.LIST:
            items = raw if isinstance(raw, list) else str(raw).split(",")
            return tuple(str(item).strip() for item in items if str(item).strip())
        text = str(raw).strip()
        match self.kind:
            case Kind.TEXT:
                return text
            case Kind.PORT:
                return _number(text, 65535)
            case Kind.COUNT:
                return _number(text, 10**9)
            case Kind.SECONDS:
                return float(_number(text, 86_400))
            case Kind.SIZE:
                return parse_amount(text)
            case Kind.RATE:
                parse_rate(text)
                return text
            case Kind.SWITCH:
                if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
                    raise ValueError(f"true or false, not {text[:40]!r}")
                return text.lower() in ("true", "1", "yes")


SETTINGS: tuple[Setting, ...] = (
    Setting("host", Kind.TEXT, "", "address to listen on; empty: all of this machine"),
    Setting("port", Kind.PORT, "19710", "TCP port of REST, announce and documentation"),
    Setting("bt_port", Kind.PORT, "19711", "port of the permanent seed"),
    Setting("udp_port", Kind.PORT, "6969", "UDP port of the tracker"),
    Setting("public_url", Kind.TEXT, "", "base URL as players reach it, for torrents; empty: as each request came"),
    Setting("mirrors", Kind.LIST, "", "folders of web servers with the same .icpkg files, for torrents (BEP 19)"),
    Setting("public_address", Kind.TEXT, "", "IP address of the seed as peers reach it; empty: found out"),
    Setting("name", Kind.TEXT, "Workshop", "name that players see"),
    Setting("max_package_size", Kind.SIZE, "4 GiB", "largest package that is accepted"),
    Setting("swarm_min_size", Kind.SIZE, "5 MB", "smaller packages are plain HTTP, without a swarm"),
    Setting("seed", Kind.SWITCH, "true", "seed every package with a swarm"),
    Setting("upload_limit", Kind.RATE, "unlimited", "upload speed of the seed, such as 20 MB/s"),
    Setting("open_tracker", Kind.SWITCH, "false", "track any swarm, not only those of the catalog"),
    Setting("token_file", Kind.LIST, "", "files with tokens to accept: a line each, `publisher scope token`"),
    Setting("trusted_proxies", Kind.LIST, "", "networks whose X-Forwarded-For is believed, such as 127.0.0.1/32"),
    Setting("allowed_hosts", Kind.LIST, "", "Host names that are answered; empty: any"),
    Setting("api_rate", Kind.COUNT, "50", "questions a second from one address, on average"),
    Setting("api_burst", Kind.COUNT, "300", "questions at once from one address"),
    Setting("bytes_rate", Kind.COUNT, "1000", "range requests a second from one address, on average"),
    Setting("bytes_burst", Kind.COUNT, "5000", "range requests at once from one address"),
    Setting("publishes_per_hour", Kind.COUNT, "120", "uploads with one token"),
    Setting("drain_seconds", Kind.SECONDS, "10", "how long running requests may take when the server ends"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The settings as values, and where the data is."""

    data: Path
    host: str = ""
    port: int = 19710
    bt_port: int = 19711
    udp_port: int = 6969
    public_url: str = ""
    mirrors: tuple[str, ...] = ()
    public_address: str = ""
    name: str = "Workshop"
    max_package_size: int = 4 * 1024**3
    swarm_min_size: int = 5_000_000
    seed: bool = True
    upload_limit: str = "unlimited"
    open_tracker: bool = False
    token_file: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    api_rate: int = 50
    api_burst: int = 300
    bytes_rate: int = 1000
    bytes_burst: int = 5000
    publishes_per_hour: int = 120
    drain_seconds: float = 10.0

    @property
    def database(self) -> Path:
        return self.data / "catalog.db"

    @property
    def packages(self) -> Path:
        return self.data / "packages"

    @property
    def incoming(self) -> Path:
        return self.data / "incoming"

    @property
    def engine(self) -> Path:
        return self.data / "engine"


def add_flags(parser: argparse.ArgumentParser) -> None:
    for setting in SETTINGS:
        action = "append" if setting.kind is Kind.LIST else "store"
        shown = f" (default: {setting.default})" if setting.default else ""
        parser.add_argument(setting.flag, dest=setting.key, action=action, help=setting.help + shown, metavar="…")


def load_config(data: Path, flags: Mapping[str, object], environment: Mapping[str, str]) -> ServerConfig:
    """Flags that are None are not given. UserError names the setting and the place that is wrong."""
    path = data / CONFIG_FILE
    written: dict[str, Any] = {}
    if path.exists():
        try:
            written = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: {error}") from error
        version = written.pop("config_version", CONFIG_VERSION)
        if version != CONFIG_VERSION:
            raise UserError(f"{path}: config_version {version}; this program reads {CONFIG_VERSION}")
        unknown = sorted(set(written) - {setting.key for setting in SETTINGS})
        if unknown:
            raise UserError(f"{path}: there is no setting {unknown[0]!r}")
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        raw, place = _raw(setting, flags, environment, written, path)
        try:
            values[setting.key] = setting.parse(raw)
        except ValueError as error:
            raise UserError(f"{place}: {error}") from error
    config = ServerConfig(data=data, **values)
    _check(config)
    return config


def _raw(
    setting: Setting,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    written: Mapping[str, Any],
    path: Path,
) -> tuple[object, str]:
    given = flags.get(setting.key)
    if given is not None:
        return given, setting.flag
    if setting.variable in environment:
        return environment[setting.variable], setting.variable
    if setting.key in written:
        return written[setting.key], f"{path}: {setting.key}"
    return setting.default, setting.flag


def _check(config: ServerConfig) -> None:
    parts = urlsplit(config.public_url)
    if config.public_url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise UserError("public_url: an address like https://workshop.example")
    for url in config.mirrors:
        if not is_web_seed_url(url):
            raise UserError(f"mirrors: addresses like https://cdn.example/packages/, not {url[:60]!r}")
    _networks("trusted_proxies", config.trusted_proxies)
    for key, address in (("host", config.host), ("public_address", config.public_address)):
        if address:
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise UserError(f"{key}: a numeric IP address, not {address[:60]!r}") from error


def _networks(key: str, items: Sequence[str]) -> None:
    for item in items:
        try:
            ipaddress.ip_network(item)
        except ValueError as error:
            raise UserError(f"{key}: a network like 10.0.0.0/8, not {item[:60]!r}") from error


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
        raise ValueError(f"a whole number up to {most}, not {text[:40]!r}")
    return int(text)
