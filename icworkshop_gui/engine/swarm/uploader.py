"""Serves requests: one disk job reads a batch of runs, vectored writes send it slice by slice.

While one batch leaves the next is being read, so that neither disk nor line waits for the other. What is ready stays
here, where it can be taken back, until the line has room for it (`Backlog`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.net.stream import LOW_SHARE, Buffer
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.disk_jobs import DiskJobs
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.uploads import Run
from icworkshop_gui.store.storage import Storage

MIN_BATCH = 64 * KIB
"""Bytes of a batch for a slow peer."""

BATCH_SECONDS = 0.5
"""A batch holds about so much of a peer's rate."""


def _read_runs(storage: Storage, runs: list[Run]) -> list[bytes]:
    """The job. On a pool thread."""
    return [storage.read(run.offset, run.length) for run in runs]


class Uploader:
    """One for the swarm; the queues are the peers' own."""

    def __init__(
        self,
        storage: Storage,
        jobs: DiskJobs,
        config: SwarmConfig,
        clock: Clock,
        on_error: Callable[[StorageError], None],
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._config = config
        self._clock = clock
        self._on_error = on_error

    def serve(self, peer: Peer) -> None:
        """Write what is ready, read what is asked for; to be called whenever either may be possible."""
        if peer.gone or peer.wire.am_choking:
            return
        uploads = peer.uploads
        while uploads.ready_bytes and peer.unsent <= peer.backlog.size // LOW_SHARE:
            self._write(peer)
        if uploads and not uploads.reading and uploads.ready_bytes <= peer.backlog.size:
            self._read(peer)

    def choke(self, peer: Peer) -> None:
        """Serve it no longer: what was not handed over is rejected (BEP 6) or forgotten (BEP 3)."""
        peer.say(peer.wire.choke() + peer.wire.reject(peer.uploads.clear()))

    def _read(self, peer: Peer) -> None:
        wish = int(peer.up_meter.rate * BATCH_SECONDS)
        runs = peer.uploads.take(max(MIN_BATCH, min(self._config.upload_batch, wish)))
        epoch = peer.uploads.epoch
        self._jobs.run(lambda future: self._on_read(peer, epoch, runs, future), _read_runs, self._storage, runs)

    def _on_read(self, peer: Peer, epoch: int, runs: list[Run], future: Future[list[bytes]]) -> None:
        if peer.gone or epoch != peer.uploads.epoch:
            return
        failure = future.exception()
        if failure is not None:
            peer.say(peer.wire.reject(peer.uploads.failed()))
            if not isinstance(failure, StorageError):
                failure = StorageError(StorageFault.IO, "", str(failure))
            self._on_error(failure)
            return
        peer.uploads.arrived(runs, future.result())
        self.serve(peer)

    def _write(self, peer: Peer) -> None:
        header = peer.wire.piece_header
        chunks: list[Buffer] = []
        size = 0
        for (index, begin, length), block in peer.uploads.hand_over(peer.backlog.size):
            chunks.append(header(index, begin, length))
            chunks.append(block)
            size += length
        peer.send_blocks(chunks, size)
        if peer.backlog.handed(size, self._clock.now()):
            peer.set_backlog()
