"""The files of an index, in a folder or on a web server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from icworkshop_gui.core.errors import NotFound, RegistryError
from icworkshop_gui.registry.asker import Asker, HttpGetter
from icworkshop_gui.registry.cache import RegistryCache


class Reader(Protocol):
    """Files of the index by their path in it. NotFound; RegistryError "unreachable"."""

    async def read(self, path: str, limit: int) -> tuple[bytes, bool]:
        """And whether it was kept from before, because the index is out of reach."""
        ...


class FolderReader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, path: str, limit: int) -> tuple[bytes, bool]:
        return await asyncio.to_thread(self._read, path, limit), False

    def _read(self, path: str, limit: int) -> bytes:
        place = self._folder / path
        try:
            with place.open("rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if not self._folder.is_dir():
                raise gone(self._folder) from error
            raise NotFound(f"the index has no {path}") from error
        except OSError as error:
            raise RegistryError("unreachable", f"{place} cannot be read: {error.strerror}") from error
        if len(data) > limit:
            raise RegistryError("bad_reply", f"{place} is longer than {limit} bytes")
        return data


class WebReader:
    def __init__(self, network: HttpGetter, base: str, cache: RegistryCache) -> None:
        self._base = base
        self._asker = Asker(network, base, cache)

    async def read(self, path: str, limit: int) -> tuple[bytes, bool]:
        return await self._asker.fetch(f"{self._base}/{quote(path)}", limit)


def gone(folder: Path) -> RegistryError:
    return RegistryError("unreachable", f"The folder {folder} is not there. Is its disk connected?")
