"""A whole set of packages comes and goes at once: all of it or none, whatever dies in between.

Everything that comes is verified in the store first. Then its files are made beside their places, out of the game's
sight; one small file says that it is decided; and from then on the switch is finished, by this program or by the next
start. Before that word, the next start takes away what was begun.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.store.clone import EVERY_WAY, How
from icworkshop_gui.store.durable import disk_errors, remove_tree, replace_file, sync_folder
from icworkshop_gui.store.hashing import Cancel, never
from icworkshop_gui.store.installs import Installs
from icworkshop_gui.store.packages import Packages
from icworkshop_gui.store.transfers import TransferRecords

log = logging.getLogger("icw.store")

JOURNAL_MAX = 16 * MIB
"""Bytes that are read; a longer one is not ours."""
_VERSION = 1

RefProgress = Callable[[PackageRef, int], None]
"""Told the bytes of one package that are in place."""


def tell_nobody(ref: PackageRef, done: int) -> None:
    """Nobody waits."""


class _State(StrEnum):
    BEGUN = "begun"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Coming:
    """A package of the store that shall be installed, or installed again."""

    ref: PackageRef
    folder: Path


@dataclass(frozen=True, slots=True)
class Going:
    """A package that shall be out of the library; its blobs stay until it is purged."""

    ref: PackageRef
    transfer: TransferId | None = None
    """Which would fetch it again: it goes too."""


class SetSwitch:
    """One switch at a time. Blocks; raises StorageError, and NotFound for what is not in the store."""

    def __init__(self, journal: Path, packages: Packages, installs: Installs, transfers: TransferRecords) -> None:
        self._journal = journal
        self._packages = packages
        self._installs = installs
        self._transfers = transfers
        self._lock = threading.Lock()

    def apply(
        self,
        coming: Sequence[Coming],
        going: Sequence[Going] = (),
        *,
        ways: tuple[How, ...] = EVERY_WAY,
        progress: RefProgress = tell_nobody,
        cancel: Cancel = never,
    ) -> None:
        """Cancelled, and every error before the decision, leave what was there before. After it nothing is undone:
        what an error (a disk that is gone) leaves unfinished, the next `recover` finishes.
        """
        with self._lock:
            self._recover()
            for ref in (*(item.ref for item in coming), *(item.ref for item in going)):
                self._packages.get(ref)
            self._write(_State.BEGUN, coming, going)
            try:
                ready = [
                    self._installs.prepare(
                        item.ref,
                        item.folder,
                        ways=ways,
                        progress=lambda done, ref=item.ref: progress(ref, done),  # type: ignore[misc]
                        cancel=cancel,
                    )
                    for item in coming
                ]
                self._write(_State.DECIDED, coming, going)
            except BaseException:
                self._recover()
                raise
            for prepared in ready:
                self._installs.put(prepared)
            self._leave(going)
            self._close()

    def recover(self) -> None:
        """At the start: finish what was decided, undo what was not."""
        with self._lock:
            self._recover()

    def _recover(self) -> None:
        found = self._read()
        if found is None:
            return
        state, coming, going = found
        log.info("event=switch-recovered state=%s coming=%d going=%d", state, len(coming), len(going))
        known = [item for item in coming if self._packages.knows(item.ref)]
        if state is _State.DECIDED:
            for item in known:
                self._installs.install(item.ref, item.folder)
            self._leave(going)
        else:
            for item in known:
                self._installs.unprepare(item.ref, item.folder)
        self._close()

    def _leave(self, going: Sequence[Going]) -> None:
        for item in going:
            if self._packages.knows(item.ref):
                self._installs.remove(item.ref)
            if item.transfer is not None:
                # A transfer without its package would fetch it again.
                self._transfers.delete(item.transfer)

    # --- the journal -----------------------------------------------------------------------------

    def _write(self, state: _State, coming: Sequence[Coming], going: Sequence[Going]) -> None:
        body = {
            "version": _VERSION,
            "state": state.value,
            "coming": [[str(item.ref), str(item.folder)] for item in coming],
            "going": [[str(item.ref), item.transfer] for item in going],
        }
        replace_file(self._journal, json.dumps(body).encode())

    def _read(self) -> tuple[_State, list[Coming], list[Going]] | None:
        with disk_errors():
            try:
                with open(self._journal, "rb") as file:
                    raw = file.read(JOURNAL_MAX + 1)
            except FileNotFoundError:
                return None
        try:
            body: dict[str, Any] = json.loads(raw)
            if len(raw) > JOURNAL_MAX or body["version"] != _VERSION:
                raise ValueError("not a journal that is known here")
            coming = [Coming(PackageRef.parse(ref), Path(folder)) for ref, folder in body["coming"]]
            going = [
                Going(PackageRef.parse(ref), None if transfer is None else TransferId(transfer))
                for ref, transfer in body["going"]
            ]
            return _State(body["state"]), coming, going
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            # It is replaced as a whole, so only another program can have done this.
            log.error("event=switch-journal-set-aside reason=%s", error)
            with disk_errors():
                self._journal.replace(self._journal.with_suffix(".bad"))
            return None

    def _close(self) -> None:
        with disk_errors():
            remove_tree(self._journal)
            sync_folder(self._journal.parent)
