"""What was asked for together is installed together: a package that is verified in the store waits for the others.

Which releases belong together is on the disk before the first of them is fetched (`workshop/sets.json`), so that it
holds after a restart too. The switch itself is `store.switch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import WorkshopError
from icworkshop_gui.core.units import MIB
from icworkshop_gui.store.durable import disk_errors, replace_file
from icworkshop_gui.store.switch import Coming

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session
    from icworkshop_gui.engine.transfer import Transfer

log = logging.getLogger("icw.sets")

FILE_MAX = 16 * MIB
"""Bytes that are read; a longer file is not ours."""
_VERSION = 1

Together = frozenset[PackageRef]


class Sets:
    """Everything runs on the engine's loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._path = session.store.paths.root / "sets.json"
        self._sets: list[Together] = []
        self._waiting: dict[PackageRef, tuple[Transfer, asyncio.Future[None]]] = {}
        self._switching = asyncio.Lock()

    async def load(self) -> None:
        """After the transfers. A set of which something was never begun is not what anybody was promised: it goes."""
        self._sets = await self._session.in_disk(lambda: _load(self._path))
        for together in tuple(self._sets):
            lost = [ref for ref in together if not self._is_here(ref) and self._session.transfers.by_ref(ref) is None]
            if lost:
                log.info("event=set-undone lost=%d of=%d", len(lost), len(together))
                self._sets.remove(together)
                for ref in sorted(together):
                    transfer = self._session.transfers.by_ref(ref)
                    if transfer is not None and not transfer.is_complete and not self._in_any(ref):
                        await self._session.transfers.cancel(transfer.id, delete=True)
        await self._settle()

    def _is_here(self, ref: PackageRef) -> bool:
        return ref in self._session.library

    def _in_any(self, ref: PackageRef) -> bool:
        return any(ref in together for together in self._sets)

    async def begin(self, refs: Iterable[PackageRef]) -> None:
        """These will be fetched, and are installed together. Before anything of them is begun. StorageError."""
        together = frozenset(refs)
        if len(together) > 1 and together not in self._sets:
            self._sets.append(together)
            await self._save()

    async def leave(self, ref: PackageRef) -> None:
        """The player does not want this one any more; the others go on without it."""
        if self._in_any(ref):
            self._sets = [together - {ref} for together in self._sets]
            await self._settle()
            await self._look()

    async def arrive(self, transfer: Transfer) -> None:
        """Its content is in the store: wait for the others, then be installed. StorageError, as for `SetSwitch`."""
        assert transfer.ref is not None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[transfer.ref] = (transfer, done)
        try:
            # A task of its own: who is cancelled must not take the others' switch along.
            self._session.spawn(self._look())
            if lacks := self._lacks(transfer.ref):
                transfer.wait_for_set(lacks)
            await done
        finally:
            del self._waiting[transfer.ref]

    def _lacks(self, ref: PackageRef) -> str:
        """A package that it waits for, for people."""
        for together in self._sets:
            if ref in together:
                for other in sorted(together):
                    if other not in self._waiting and not self._is_here(other):
                        return str(other)
        return ""

    async def _look(self) -> None:
        """Install what has everybody."""
        async with self._switching:
            for ready in self._ready():
                await self._install(ready)

    def _ready(self) -> list[list[PackageRef]]:
        waiting = [ref for ref, (_transfer, done) in self._waiting.items() if not done.done()]
        found = [[ref] for ref in waiting if not self._in_any(ref)]
        taken: set[PackageRef] = set()
        for together in self._sets:
            if all(ref in self._waiting or self._is_here(ref) for ref in together):
                coming = [ref for ref in waiting if ref in together and ref not in taken]
                taken.update(coming)
                if coming:
                    found.append(coming)
        return found

    async def _install(self, refs: Sequence[PackageRef]) -> None:
        store, stopping = self._session.store, False
        told = [self._waiting[ref] for ref in refs]
        transfers = {ref: transfer for ref, (transfer, _done) in zip(refs, told, strict=True)}
        coming = [Coming(ref, store.paths.install / ref.folder_name) for ref in refs]

        def apply() -> None:
            store.switch.apply(
                coming,
                progress=lambda ref, done: transfers[ref].note(done),
                cancel=lambda: stopping,
            )

        job = asyncio.wrap_future(self._session.world.disk.submit(apply))
        try:
            await asyncio.shield(job)
        except asyncio.CancelledError:
            # Whoever asked goes, the disk thread may not be left alone with a store that closes.
            stopping = True
            with contextlib.suppress(WorkshopError):
                await job
            raise
        except Exception as error:
            for _transfer, done in told:
                if not done.done():
                    done.set_exception(error)
            return
        for _transfer, done in told:
            if not done.done():
                done.set_result(None)
        await self._session.library.reload()
        await self._settle()

    async def _settle(self) -> None:
        """Forget the sets that are whole."""
        left = [together for together in self._sets if len(together) > 1 and not all(map(self._is_here, together))]
        if left != self._sets or not self._sets:
            self._sets = left
            await self._save()

    async def _save(self) -> None:
        rows = [[str(ref) for ref in sorted(together)] for together in self._sets]

        def save() -> None:
            if rows:
                replace_file(self._path, json.dumps({"version": _VERSION, "sets": rows}).encode())
            else:
                with disk_errors():
                    self._path.unlink(missing_ok=True)

        await self._session.in_disk(save)


def _load(path: Path) -> list[Together]:
    """Blocks. What cannot be read costs that some packages are installed one after the other."""
    with disk_errors():
        if not path.exists():
            return []
        with open(path, "rb") as file:
            raw = file.read(FILE_MAX + 1)
    try:
        body = json.loads(raw) if len(raw) <= FILE_MAX else None
        if not isinstance(body, dict) or body.get("version") != _VERSION:
            raise ValueError("not a list of sets that is known here")
        return [frozenset(PackageRef.parse(ref) for ref in row) for row in body["sets"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("event=sets-unreadable: %s", error)
        return []
