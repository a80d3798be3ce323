"""What was found here of packages that are not: searched for once, however many ask, and remembered for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.store.reuse import Copy

KEPT_MAX = 16
"""Packages of which it is remembered what was found."""
Copies = tuple[Copy, ...]


class Searches:
    """Who measures an update mostly goes on to fetch it. Everything runs on the engine's loop."""

    def __init__(self) -> None:
        self._found: dict[BlobId, tuple[int, Copies]] = {}
        self._locks: WeakValueDictionary[BlobId, asyncio.Lock] = WeakValueDictionary()

    async def find(self, package: BlobId, state: int, search: Callable[[], Awaitable[Copies]]) -> Copies:
        """What `search` finds for the package of this SHA-256; what it found before when the store is in the same
        `state` still. Raises what it raises."""
        lock = self._locks.setdefault(package, asyncio.Lock())
        async with lock:
            known, copies = self._found.get(package, (None, ()))
            if known == state:
                return copies
            copies = await search()
            self._found.pop(package, None)
            self._found[package] = state, copies
            while len(self._found) > KEPT_MAX:
                del self._found[next(iter(self._found))]
            return copies
