"""Serves requests: one disk job reads a batch of runs, one vectored write sends it.

While a batch waits in the stream the next one is being read, so that neither disk nor line waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.net.stream import LOW_WATER, Buffer
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.disk_jobs import DiskJobs
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.engine.swarm.uploads import Run
from icworkshop_gui.store.storage import Storage

MIN_BATCH = 64 * KIB
"""Bytes of a batch for a slow peer: what has been handed over can be neither choked nor cancelled any more."""

BATCH_SECONDS = 0.5
"""A batch holds about so much of a peer's rate."""


def _read_runs(storage: Storage, runs: list[Run]) -> list[bytes]:
    """The job. On a pool thread."""
    return [storage.read(run.offset, run.length) for run in runs]


class Uploader:
    """One for the swarm; the queues are the peers' own."""

    def __init__(
        self, storage: Storage, jobs: DiskJobs, config: SwarmConfig, on_error: Callable[[StorageError], None]
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._config = config
        self._on_error = on_error

    def serve(self, peer: Peer) -> None:
        """Write what is ready, read what is asked for; to be called whenever either may be possible."""
        if peer.gone or peer.wire.am_choking:
            return
        if peer.ready and peer.unsent <= LOW_WATER:
            self._write(peer)
        if peer.uploads and not peer.reading and not peer.ready:
            self._read(peer)

    def choke(self, peer: Peer) -> None:
        """Serve it no longer: what is read already goes out, the rest is rejected (BEP 6) or forgotten (BEP 3)."""
        if peer.ready:
            self._write(peer)
        peer.upload_epoch += 1
        refused = [*peer.reading, *peer.uploads.clear()]
        peer.reading = []
        peer.say(peer.wire.choke() + peer.wire.reject(refused))

    def _read(self, peer: Peer) -> None:
        wish = int(peer.up_meter.rate * BATCH_SECONDS)
        runs = peer.uploads.take(max(MIN_BATCH, min(self._config.upload_batch, wish)))
        peer.reading = [request for run in runs for request in run.requests]
        epoch = peer.upload_epoch
        self._jobs.run(lambda future: self._on_read(peer, epoch, runs, future), _read_runs, self._storage, runs)

    def _on_read(self, peer: Peer, epoch: int, runs: list[Run], future: Future[list[bytes]]) -> None:
        if peer.gone or epoch != peer.upload_epoch:
            return
        requests, peer.reading = peer.reading, []
        failure = future.exception()
        if failure is not None:
            peer.say(peer.wire.reject(requests))
            if not isinstance(failure, StorageError):
                failure = StorageError(StorageFault.IO, "", str(failure))
            self._on_error(failure)
            return
        header = peer.wire.piece_header
        chunks: list[Buffer] = []
        for run, data in zip(runs, future.result(), strict=True):
            view = memoryview(data)
            at = 0
            for index, begin, length in run.requests:
                chunks.append(header(index, begin, length))
                chunks.append(view[at : at + length])
                at += length
            peer.ready_bytes += run.length
        peer.ready = chunks
        self.serve(peer)

    def _write(self, peer: Peer) -> None:
        chunks, size = peer.ready, peer.ready_bytes
        peer.ready, peer.ready_bytes = [], 0
        peer.send_blocks(chunks, size)
