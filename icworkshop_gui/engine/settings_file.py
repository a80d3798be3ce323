"""`settings.toml`: what the user changed, and the Workshop servers. Never stops the program from starting."""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.core.schedule import Rule
from icworkshop_gui.engine.api.settings import BY_KEY, SETTINGS, Kind, Value, parse_hosts
from icworkshop_gui.registry.source import address_of, row_of

log = logging.getLogger("icw.settings")

FILE_LIMIT = 1 << 20
"""Bytes of a settings file that are read; a larger one is not ours."""
SOURCES_LIMIT = 50


class Settings:
    """Values by key: overrides of this run > the file > the table's defaults."""

    def __init__(self, path: Path, overrides: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._texts: dict[str, str] = {}
        self._sources: list[str] = []
        self.notice = ""
        """A sentence for the user when the file had to be set aside; empty otherwise."""
        self._load()
        self._overrides: dict[str, str] = {}
        for key, text in (overrides or {}).items():
            self._check(key, text)
            self._overrides[key] = text

    def text(self, key: str) -> str:
        return self._overrides.get(key, self._texts.get(key, BY_KEY[key].default))

    def value(self, key: str) -> Value:
        return BY_KEY[key].parse(self.text(key))

    def rate(self, key: str) -> int | None:
        """A RATE setting: bytes a second, None for unlimited."""
        value = self.value(key)
        assert value is None or isinstance(value, int)
        return value

    def number(self, key: str) -> int:
        value = self.value(key)
        assert isinstance(value, int)
        return value

    def optional(self, key: str) -> int | None:
        """A RATIO or DURATION setting: percent or seconds, None for unlimited."""
        value = self.value(key)
        assert value is None or isinstance(value, int)
        return value

    def schedule(self, key: str) -> tuple[Rule, ...]:
        """The rules of a SCHEDULE setting."""
        value = self.value(key)
        assert isinstance(value, tuple)
        return tuple(rule for rule in value if isinstance(rule, Rule))

    def hosts(self, key: str) -> tuple[tuple[str, int], ...]:
        """Host and port of each of a HOSTS setting."""
        return parse_hosts(self.text(key))

    def flag(self, key: str) -> bool:
        return bool(self.value(key))

    def all(self) -> tuple[tuple[str, str], ...]:
        return tuple((setting.key, self.text(setting.key)) for setting in SETTINGS)

    @property
    def sources(self) -> tuple[str, ...]:
        """Addresses (`registry.source`) of the configured sources, most important first."""
        return tuple(self._sources)

    def set(self, key: str, text: str) -> None:
        """Change and save. UserError with a sentence when it does not fit; the old value stays."""
        self._check(key, text)
        self._overrides.pop(key, None)
        if text == BY_KEY[key].default:
            self._texts.pop(key, None)
        else:
            self._texts[key] = text
        self._save()

    def add_source(self, url: str) -> None:
        if url in self._sources:
            return
        if len(self._sources) >= SOURCES_LIMIT:
            raise UserError(f"There are {SOURCES_LIMIT} sources already. Remove one first.")
        self._sources.append(url)
        self._save()

    def remove_source(self, url: str) -> None:
        if url in self._sources:
            self._sources.remove(url)
            self._save()

    def move_source(self, address: str, position: int) -> None:
        """To this place, 0 being the most important."""
        if address in self._sources:
            self._sources.remove(address)
            self._sources.insert(max(0, min(position, len(self._sources))), address)
            self._save()

    @staticmethod
    def _check(key: str, text: str) -> None:
        setting = BY_KEY.get(key)
        if setting is None:
            raise UserError(f"There is no setting called {key!r}.")
        try:
            setting.parse(text)
        except ValueError as error:
            raise UserError(str(error)) from None

    def _load(self) -> None:
        try:
            raw = self._path.read_bytes()
            if len(raw) > FILE_LIMIT:
                raise ValueError("too large")
            table = tomllib.loads(raw.decode("utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._set_aside(error)
            return
        bad: list[str] = []
        for setting in SETTINGS:
            value = _dig(table, setting.key)
            if value is None:
                continue
            text = str(value).lower() if isinstance(value, bool) else str(value)
            try:
                setting.parse(text)
            except ValueError as error:
                bad.append(str(error))
            else:
                self._texts[setting.key] = text
        workshop = table.get("workshop")
        sources = workshop.get("sources", []) if isinstance(workshop, dict) else []
        if isinstance(sources, list):
            rows = [row for row in sources if isinstance(row, dict)]
            rows.sort(key=lambda row: row["priority"] if isinstance(row.get("priority"), int) else 1 << 30)
            found = []
            for row in rows:
                try:
                    found.append(address_of(row.get("type", "remote"), row.get("url"), row.get("path")))
                except ValueError as error:
                    bad.append(f"A source: {error}.")
            self._sources = list(dict.fromkeys(found))[:SOURCES_LIMIT]
        if bad:
            self.notice = "Some settings could not be read and have their default: " + " ".join(bad)

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_suffix(".bad")
        self.notice = f"The settings could not be read, so the defaults apply. The old file is {aside.name}."
        log.error("settings unreadable: %s", error)
        try:
            os.replace(self._path, aside)
        except OSError:
            log.exception("the unreadable settings file could not be renamed")

    def _save(self) -> None:
        lines: list[str] = []
        for priority, address in enumerate(self._sources, 1):
            kind, key, value = row_of(address)
            lines += [
                "[[workshop.sources]]",
                f'type = "{kind}"',
                f"{key} = {_quote(value)}",
                f"priority = {priority}",
                "",
            ]
        tables: dict[str, list[str]] = {}
        for setting in SETTINGS:
            if setting.key in self._texts:
                table, _, name = setting.key.rpartition(".")
                text = self._texts[setting.key]
                plain = setting.kind in (Kind.BOOL, Kind.INT)
                tables.setdefault(table, []).append(f"{name} = {text.lower() if plain else _quote(text)}")
        for table, rows in tables.items():
            lines += [f"[{table}]", *rows, ""]
        temporary = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "w", encoding="utf-8", newline="\n") as file:
                file.write("\n".join(lines))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as error:
            raise UserError(
                f"The setting applies now but could not be saved ({error.strerror}): {self._path}"
            ) from None


def _dig(table: Mapping[str, Any], key: str) -> object:
    value: Any = table
    for part in key.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value if isinstance(value, (str, int, bool)) else None


def _quote(text: str) -> str:
    # A JSON string is a TOML basic string as long as no character outside the BMP is written as surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
