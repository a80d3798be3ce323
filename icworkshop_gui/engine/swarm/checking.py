"""Complete pieces: hash first, write only what is right, and judge who sent what was wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from icworkshop_gui.core.errors import IntegrityError, StorageError, StorageFault
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.swarm.disk_jobs import DiskJobs
from icworkshop_gui.engine.swarm.piece_tracker import OURSELVES, PieceTracker
from icworkshop_gui.engine.swarm.smart_ban import SmartBan, Verdict, block_digests
from icworkshop_gui.store.storage import Storage

JOB_BYTES = MIB
"""Pieces that are complete at the same moment share a job up to this size: small pieces would drown in hand-overs."""


class _Task(NamedTuple):
    piece: int
    offset: int
    data: memoryview
    expected: bytes
    suspect: bool
    known: Sequence[tuple[int, int]]
    """(first byte, length) of what lies in the storage already and is only believed so far."""


class _Outcome(NamedTuple):
    piece: int
    good: bool
    digests: list[bytes] | None
    error: StorageError | IntegrityError | None


def _fill(storage: Storage, task: _Task) -> bool:
    """Read what is known of the piece; False when it is not there after all."""
    try:
        for begin, length in task.known:
            task.data[begin : begin + length] = storage.read(task.offset + begin, length)
    except StorageError:
        return False
    return True


def _received(task: _Task) -> Iterator[tuple[int, int]]:
    """(first byte, end) of what did not lie in the storage already."""
    at = 0
    for begin, length in (*task.known, (len(task.data), 0)):
        if begin > at:
            yield at, begin
        at = begin + length


def _check_and_write(storage: Storage, tasks: Sequence[_Task]) -> list[_Outcome]:
    """The job. On a pool thread; SHA-1 and the write release the interpreter's lock."""
    outcomes: list[_Outcome] = []
    for task in tasks:
        good = _fill(storage, task) and hashlib.sha1(task.data).digest() == task.expected
        digests = block_digests(task.data) if task.suspect or not good else None
        error: StorageError | IntegrityError | None = None
        if good:
            try:
                for begin, end in _received(task):
                    storage.write(task.offset + begin, [task.data[begin:end]])
            except (StorageError, IntegrityError) as caught:
                error = caught
        outcomes.append(_Outcome(task.piece, good, digests, error))
    return outcomes


@dataclass(slots=True)
class Checked:
    """What became of a batch of pieces."""

    verified: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    wasted: int = 0
    """Bytes of corrupt pieces."""
    verdicts: list[Verdict] = field(default_factory=list)
    error: StorageError | IntegrityError | None = None
    """The disk refused at least one piece, or the storage's layout contradicts it: it waits for `retry`."""


class PieceChecker:
    """Takes pieces in state checking, brings each to had or back to missing."""

    def __init__(
        self,
        tracker: PieceTracker,
        storage: Storage,
        piece_hash: Callable[[int], bytes],
        jobs: DiskJobs,
        on_checked: Callable[[Checked], None],
    ) -> None:
        self._tracker = tracker
        self._storage = storage
        self._piece_hash = piece_hash
        self._jobs = jobs
        self._on_checked = on_checked
        self._smart_ban = SmartBan()
        self._queue: list[int] = []
        self._stuck: list[int] = []

    @property
    def stuck(self) -> int:
        """Verified pieces that the disk refused."""
        return len(self._stuck)

    def add(self, index: int) -> None:
        """A piece is complete. Nothing happens before `flush`."""
        self._queue.append(index)

    def flush(self) -> None:
        """Hand what was added to the pool."""
        if not self._queue:
            return
        queue, self._queue = self._queue, []
        batch: list[_Task] = []
        size = 0
        for index in queue:
            piece = self._tracker.checking[index]
            if batch and size + piece.size > JOB_BYTES:
                self._submit(batch)
                batch, size = [], 0
            offset = self._tracker.geometry.piece_offset(index)
            suspect = self._smart_ban.is_suspect(index)
            known = piece.hint.known if piece.hint is not None else ()
            batch.append(_Task(index, offset, piece.view, self._piece_hash(index), suspect, known))
            size += piece.size
        self._submit(batch)

    def retry(self) -> None:
        """Try again what the disk refused."""
        self._queue += self._stuck
        self._stuck.clear()
        self.flush()

    def _submit(self, tasks: list[_Task]) -> None:
        self._jobs.run(lambda future: self._finish(tasks, future), _check_and_write, self._storage, tasks)

    def _finish(self, tasks: list[_Task], future: Future[list[_Outcome]]) -> None:
        failure = future.exception()
        if failure is not None:
            # Not a disk fault but ours, or the pool is closed: the pieces stay complete and wait for a retry.
            self._stuck += [task.piece for task in tasks]
            self._on_checked(Checked(error=StorageError(StorageFault.IO, "", str(failure))))
            return
        checked = Checked()
        tracker = self._tracker
        for outcome in future.result():
            index = outcome.piece
            piece = tracker.checking[index]
            givers = [giver for giver in piece.givers if giver != OURSELVES]
            if outcome.error is not None:
                self._stuck.append(index)
                checked.error = outcome.error
            elif outcome.good:
                tracker.verified(index)
                checked.verified.append(index)
                checked.verdicts.append(self._smart_ban.passed(index, givers, outcome.digests))
            elif piece.hint is not None:
                # Our own guess took part, so nobody is blamed; it is asked for again without the guess.
                checked.wasted += sum(length for _, length in piece.hint.needed.values())
                tracker.failed(index)
                checked.failed.append(index)
            else:
                checked.wasted += piece.size
                tracker.failed(index)
                checked.failed.append(index)
                checked.verdicts.append(self._smart_ban.failed(index, givers, outcome.digests or ()))
        self._on_checked(checked)
