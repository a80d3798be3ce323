"""What is here is searched for once."""

from __future__ import annotations

import asyncio

import pytest

from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.engine.searches import KEPT_MAX, Copies, Searches
from icworkshop_gui.store.reuse import Copy

ONE, TWO = BlobId(b"1" * 32), BlobId(b"2" * 32)
FOUND = (Copy(ONE, 0, TWO, 0, 10),)


class Search:
    def __init__(self, error: Exception | None = None) -> None:
        self.count = 0
        self.error = error

    async def __call__(self) -> Copies:
        self.count += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return FOUND


def test_many_who_ask_are_told_by_one_search_until_the_store_changes() -> None:
    async def ask() -> None:
        searches, search = Searches(), Search()
        assert await asyncio.gather(*(searches.find(ONE, 1, search) for _ in range(5))) == [FOUND] * 5
        assert (await searches.find(ONE, 1, search), search.count) == (FOUND, 1)
        await searches.find(ONE, 2, search)
        await searches.find(TWO, 2, search)
        assert search.count == 3

    asyncio.run(ask())


def test_a_search_that_failed_is_made_again() -> None:
    async def ask() -> None:
        searches, search = Searches(), Search(NotFound("no list"))
        for _ in range(2):
            with pytest.raises(NotFound):
                await searches.find(ONE, 1, search)
        assert search.count == 2

    asyncio.run(ask())


def test_only_so_much_is_remembered() -> None:
    async def ask() -> None:
        searches, search = Searches(), Search()
        for number in range(KEPT_MAX + 1):
            await searches.find(BlobId(number.to_bytes(32, "big")), 1, search)
        await searches.find(BlobId((1).to_bytes(32, "big")), 1, search)
        assert search.count == KEPT_MAX + 1
        await searches.find(BlobId(bytes(32)), 1, search)
        assert search.count == KEPT_MAX + 2

    asyncio.run(ask())
