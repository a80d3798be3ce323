"""A mod profile: a named set of packages in load order, as TOML (ic-workshop.md §1.9).

    [profile]
    name = "LAN"
    game_module = "ra"

    [[sources]]                    # later ones win
    id = "frostbyte/polar-tiles"
    version = "1.2.0"

    [[conflicts]]                  # but here
    path = "rules/units.yaml"
    use_source = "mapsmith/iron-dunes"

The same profile is the same bytes. What is not known is ignored.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from icworkshop_gui.core.catalog import PackageId, PackageRef, is_version
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import MIB
from icworkshop_gui.formats.paths import is_safe_path, safe_element

PROFILE_MAX: Final = MIB
"""Bytes of one profile."""
SOURCES_MAX: Final = 1_000
CHOICES_MAX: Final = 10_000
NAME_MAX: Final = 64
"""Characters."""
MODULE_MAX: Final = 64


def check_name(name: str) -> str:
    """The name of a profile, which is also that of its file. FormatError says what does not go."""
    if not name or len(name) > NAME_MAX:
        raise FormatError(f"a profile's name has 1 to {NAME_MAX} characters")
    if name != name.strip() or name.startswith(".") or not name.isprintable() or safe_element(name) != name:
        raise FormatError(f"{name!r} cannot be a profile's name: it must be a file name on every system")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One such set."""

    name: str
    game_module: str = ""
    sources: tuple[PackageRef, ...] = ()
    """In load order: later ones win. Each package once."""
    choices: tuple[tuple[str, PackageId], ...] = ()
    """(path, whose file it shall be), sorted by path."""

    def check(self) -> None:
        """FormatError names what is wrong."""
        check_name(self.name)
        if len(self.sources) > SOURCES_MAX:
            raise FormatError(f"a profile of more than {SOURCES_MAX} packages")
        if len(self.choices) > CHOICES_MAX:
            raise FormatError(f"a profile with more than {CHOICES_MAX} choices")
        if len(self.game_module) > MODULE_MAX or not self.game_module.isprintable():
            raise FormatError("a profile whose game_module is no short word")
        if len({ref.package for ref in self.sources}) != len(self.sources):
            raise FormatError("a profile with a package in two versions")
        for ref in self.sources:
            if not is_version(ref.version):
                raise FormatError(f"{ref.package} in a profile without a version like 1.2.3")
        for path, _package in self.choices:
            if not is_safe_path(path):
                raise FormatError("a profile with a choice for a path that no package can have")

    def dump(self) -> bytes:
        """FormatError as for `check`."""
        self.check()
        lines = ["[profile]\n", f"name = {_quoted(self.name)}\n"]
        if self.game_module:
            lines.append(f"game_module = {_quoted(self.game_module)}\n")
        lines += [
            f"\n[[sources]]\nid = {_quoted(str(ref.package))}\nversion = {_quoted(ref.version)}\n"
            for ref in self.sources
        ]
        lines += [
            f"\n[[conflicts]]\npath = {_quoted(path)}\nuse_source = {_quoted(str(package))}\n"
            for path, package in sorted(self.choices)
        ]
        return "".join(lines).encode()

    @classmethod
    def parse(cls, data: bytes) -> Profile:
        """FormatError says what is wrong."""
        if len(data) > PROFILE_MAX:
            raise FormatError(f"a profile of more than {PROFILE_MAX} bytes")
        try:
            root = tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise FormatError(f"a profile that is no TOML: {str(error)[:200]}") from error
        head = root.get("profile")
        if not isinstance(head, dict):
            raise FormatError("a profile without a [profile] table")
        found = cls(
            name=_text(head, "name"),
            game_module=_text(head, "game_module", ""),
            sources=tuple(_source(row) for row in _rows(root, "sources", SOURCES_MAX)),
            choices=tuple(
                sorted(
                    (_text(row, "path"), _package(_text(row, "use_source")))
                    for row in _rows(root, "conflicts", CHOICES_MAX)
                    if "path" in row
                )
            ),
        )
        found.check()
        return found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _rows(root: dict[str, Any], key: str, most: int) -> list[dict[str, Any]]:
    rows = root.get(key, [])
    if not isinstance(rows, list) or len(rows) > most or not all(isinstance(row, dict) for row in rows):
        raise FormatError(f"a profile whose {key} are no list of at most {most} tables")
    return rows


def _source(row: dict[str, Any]) -> PackageRef:
    package = _package(_text(row, "id"))
    return PackageRef(package.publisher, package.name, _text(row, "version"))


def _package(text: str) -> PackageId:
    try:
        return PackageId.parse(text)
    except ValueError as error:
        raise FormatError("a profile with a package that is not named publisher/name") from error


def _text(row: dict[str, Any], key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise FormatError(f"a profile without {key}")
    return value
