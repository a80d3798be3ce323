"""The permanent seed: every package with a swarm is shared by our own engine, straight from where it is kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from icworkshop_gui.core.errors import Conflict
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import AddTorrent, Command
from icworkshop_gui.engine.api.events import Event, Listening
from icworkshop_gui.engine.api.snapshots import EngineTotals, SnapshotDelta
from icworkshop_gui.server.catalog import Asset, Catalog, StoredPackage

R = TypeVar("R")
log = logging.getLogger("icw.seeder")


class Engine(Protocol):
    """The part of EngineFacade that a seeder needs."""

    def submit(self, command: Command[R]) -> Future[R]: ...

    def subscribe(self, callback: Callable[[SnapshotDelta | Event], object]) -> Callable[[], None]: ...

    def close(self, timeout: float = 10.0) -> None: ...


class Seeder:
    """Hands packages to an engine. Thread-safe as far as the engine is."""

    def __init__(self, engine: Engine, catalog: Catalog, on_seeded: Callable[[str], None]) -> None:
        """`on_seeded` is told the info-hash (hex) of each package that is shared now, on the engine's thread."""
        self._engine = engine
        self._on_seeded = on_seeded
        self._catalog = catalog
        self._seeded: set[str] = set()
        self._totals = EngineTotals()
        self._port = 0
        self._told = threading.Event()
        self._unsubscribe = engine.subscribe(self._heard)

    @property
    def port(self) -> int:
        """The peer port, once it is open; 0 before."""
        return self._port or self._totals.listen_port

    def wait_until_told(self, seconds: float) -> None:
        """Blocks until the engine has said how it is, its port among that, or the time is over."""
        self._told.wait(seconds)

    @property
    def totals(self) -> EngineTotals:
        return self._totals

    def seeded(self) -> tuple[str, ...]:
        """Info-hashes (hex) that the engine has taken."""
        return tuple(self._seeded)

    def add_all(self, packages: Iterable[StoredPackage]) -> None:
        for package in packages:
            self.add(package)

    def add(self, package: StoredPackage) -> None:
        """Share one package; without a swarm nothing happens. Blocks for a moment, never raises: a package that
        cannot be seeded is still served over HTTP."""
        if not package.info_hash:
            return
        try:
            found = package.path.stat()
        except OSError as error:
            log.error("missing ref=%s path=%s error=%s", package.ref, package.path, error)
            return
        if found.st_size != package.size:
            log.error(
                "damaged ref=%s path=%s size=%d expected=%d", package.ref, package.path, found.st_size, package.size
            )
            return
        command = AddTorrent(
            metainfo=self._catalog.asset(package.ref, Asset.TORRENT),
            folder=package.path.parent,
            seed_only=True,
            trust_existing=found.st_mtime_ns == package.mtime_ns,
            use_trackers=False,  # the tracker is ours: it is told directly
        )
        self._engine.submit(command).add_done_callback(lambda future: self._added(package, future))

    def close(self) -> None:
        self._unsubscribe()
        self._engine.close()

    def _added(self, package: StoredPackage, future: Future[TransferId]) -> None:
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or (error is not None and not isinstance(error, Conflict)):
            log.error("not seeded ref=%s error=%s", package.ref, error)
            return
        self._seeded.add(package.info_hash)
        self._on_seeded(package.info_hash)

    def _heard(self, fact: SnapshotDelta | Event) -> None:
        if isinstance(fact, SnapshotDelta):
            self._totals = fact.totals
        elif isinstance(fact, Listening):
            self._port = fact.port
        self._told.set()
