"""Answers "what would change?" for the session: asks the plan, the library and the disk, lets `reviewing` judge."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import NotFound, StorageError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.engine.api.changes import ChangeSet
from icworkshop_gui.engine.planning import Step
from icworkshop_gui.engine.reviewing import review, review_removal
from icworkshop_gui.store.disk import free_space

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session


class Reviews:
    """Everything runs on the engine's loop; nothing is changed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of_install(self, packages: Sequence[tuple[PackageId, str]]) -> ChangeSet:
        """NotFound, Conflict, RegistryError."""
        session = self._session

        async def known(blobs: Iterable[BlobId]) -> set[BlobId]:
            return await session.in_disk(lambda: session.store.blobs.known(blobs))

        async def measure(step: Step) -> int:
            assert step.release is not None, "what is not installed was found in a source"
            to_fetch, _here = await session.updates.measure(step.release, step.source)
            return to_fetch

        plan = await session.transfers.plan(packages)
        return await review(plan, session.catalog, session.library.facts(), known, measure, await self._free())

    async def of_removal(self, asked: Sequence[PackageRef], keep: Sequence[PackageRef]) -> ChangeSet:
        """NotFound when one is not installed."""
        session = self._session
        facts = session.library.facts()
        missing = [ref for ref in asked if ref not in facts]
        if missing:
            raise NotFound(f"{missing[0]} is not installed.")

        async def frees(refs: Sequence[PackageRef]) -> Sequence[int]:
            packages = session.store.packages

            def add_up() -> list[int]:
                sums = [packages.unique_bytes(*refs[:count]) for count in range(len(refs) + 1)]
                return [after - before for before, after in itertools.pairwise(sums)]

            return await session.in_disk(add_up)

        return await review_removal(asked, keep, session.library.holdings(), facts, frees, await self._free())

    async def _free(self) -> int:
        """Bytes, where the store is; 0 when the disk does not say."""
        try:
            return await self._session.in_disk(lambda: free_space(self._session.store.paths.root))
        except StorageError:
            return 0
