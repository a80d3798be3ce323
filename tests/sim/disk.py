"""The disk of a simulated host: jobs run inline on the loop, after the time that the disk takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.engine.net.stream import Buffer
from tests.sim.loop import sim_loop


class SimDisk:
    """Implements `Disk`. Jobs are done one after the other, `delay` seconds each."""

    def __init__(self, delay: float = 0.001) -> None:
        self.delay = delay
        self.fault: StorageError | None = None
        """What every job from now on fails with."""
        self.jobs = 0
        self._free_at = 0.0

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        loop = sim_loop()
        future: Future[Any] = Future()
        self._free_at = max(self._free_at, loop.now) + self.delay
        self.jobs += 1
        loop.at(self._free_at, self._run, future, lambda: job(*args, **kwargs))
        return future

    def _run(self, future: Future[Any], work: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            if self.fault is not None:
                raise self.fault
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    def close(self) -> None:
        """Nothing runs elsewhere."""


class ContentStorage:
    """A torrent's storage that knows what belongs there, so that many hosts need no memory of their own.

    A write of anything else fails the simulation; a read of what was not written gives other bytes than the content.
    """

    def __init__(self, content: bytes, geometry: Geometry, *, full: bool = False) -> None:
        self._content = content
        self._geometry = geometry
        self.total_length = len(content)
        self.written = set(range(geometry.piece_count)) if full else set()
        self.fail_writes: StorageError | None = None
        self.corrupts = False
        """True: reads give bytes that are not the content, as a broken or lying seed does."""

    def read(self, offset: int, length: int) -> bytes:
        if offset + length > self.total_length:
            raise StorageError(StorageFault.GONE)
        data = self._content[offset : offset + length]
        first, last = offset // self._geometry.piece_length, (offset + length - 1) // self._geometry.piece_length
        if self.corrupts or not self.written.issuperset(range(first, last + 1)):
            return data[:-1] + bytes([data[-1] ^ 0xFF])
        return data

    def write(self, offset: int, chunks: Sequence[Buffer]) -> None:
        if self.fail_writes is not None:
            raise self.fail_writes
        for chunk in chunks:
            assert bytes(chunk) == self._content[offset : offset + len(chunk)], "a wrong byte was written"
            first = offset // self._geometry.piece_length
            offset += len(chunk)
            self.written.update(range(first, -(-offset // self._geometry.piece_length)))

    def sync(self) -> None:
        """Nothing outlives the simulation."""

    def close(self) -> None:
        """Nothing is open."""
