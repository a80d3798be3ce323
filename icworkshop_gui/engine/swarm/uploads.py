"""What one peer asked for and has not got: waiting for the disk, being read, ready for the line. Pure.

Requests in, batches of contiguous reads out; blocks in, slices of them out. Until a block is handed over its request
can still be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass

Request = tuple[int, int, int]
"""(piece, begin, length)."""


@dataclass(slots=True)
class Run:
    """Requests whose blocks lie one behind the other in the torrent: one read."""

    offset: int
    length: int
    requests: list[Request]


class UploadQueue:
    """In the order of asking; the same request twice counts once."""

    __slots__ = (
        "_limit",
        "_piece_length",
        "_reading",
        "_ready",
        "_waiting",
        "epoch",
        "reading",
        "ready_bytes",
        "refused",
    )

    def __init__(self, piece_length: int, limit: int) -> None:
        self._piece_length = piece_length
        self._limit = limit
        self._waiting: dict[Request, None] = {}
        self._reading: dict[Request, None] = {}
        self._ready: dict[Request, memoryview] = {}
        self.reading = False
        """Since `take`, until `arrived`, `failed` or `clear`."""
        self.ready_bytes = 0
        """Bytes that `hand_over` has."""
        self.epoch = 0
        """Grows with `clear`: what was read before is for nobody any more."""
        self.refused = 0
        """Requests over the limit so far."""

    def __len__(self) -> int:
        """Requests that wait for the disk."""
        return len(self._waiting)

    def add(self, request: Request) -> bool:
        """False when the queue is full."""
        if request in self._ready or request in self._reading:
            return True
        if len(self._waiting) >= self._limit:
            self.refused += 1
            return False
        self._waiting[request] = None
        return True

    def pieces(self) -> int:
        """Mask of the pieces that are asked for and not read yet."""
        mask = 0
        for index in {request[0] for request in self._waiting}:
            mask |= 1 << index
        return mask

    def cancel(self, request: Request) -> bool:
        """True when it had not been handed over."""
        if request in self._waiting:
            del self._waiting[request]
        elif request in self._ready:
            self.ready_bytes -= len(self._ready.pop(request))
        elif request in self._reading:
            del self._reading[request]
        else:
            return False
        return True

    def clear(self) -> list[Request]:
        """Everything that was not handed over."""
        unserved = [*self._ready, *self._reading, *self._waiting]
        self._ready.clear()
        self._reading.clear()
        self._waiting.clear()
        self.reading = False
        self.ready_bytes = 0
        self.epoch += 1
        return unserved

    def take(self, limit: int) -> list[Run]:
        """The oldest requests, about `limit` bytes of them and at least one, as runs; they count as being read."""
        runs: list[Run] = []
        total = 0
        end = -1
        reading = self._reading
        self.reading = True
        for request in self._waiting:
            index, begin, length = request
            if total and total + length > limit:
                break
            total += length
            reading[request] = None
            offset = index * self._piece_length + begin
            if offset == end:
                run = runs[-1]
                run.length += length
                run.requests.append(request)
            else:
                runs.append(Run(offset, length, [request]))
            end = offset + length
        waiting = self._waiting
        for request in reading:
            waiting.pop(request, None)
        return runs

    def arrived(self, runs: list[Run], data: list[bytes]) -> None:
        """What `take` named was read; blocks that were taken back meanwhile are dropped."""
        reading, ready = self._reading, self._ready
        for run, read in zip(runs, data, strict=True):
            view = memoryview(read)
            at = 0
            for request in run.requests:
                length = request[2]
                if request in reading:
                    ready[request] = view[at : at + length]
                    self.ready_bytes += length
                at += length
        reading.clear()
        self.reading = False

    def failed(self) -> list[Request]:
        """What `take` named cannot be read: the requests of it that were not taken back."""
        unserved = list(self._reading)
        self._reading.clear()
        self.reading = False
        return unserved

    def hand_over(self, limit: int) -> list[tuple[Request, memoryview]]:
        """The oldest blocks that are ready, about `limit` bytes of them and at least one. They cannot be taken back."""
        slice_: list[tuple[Request, memoryview]] = []
        total = 0
        for item in self._ready.items():
            if total >= limit:
                break
            total += len(item[1])
            slice_.append(item)
        if len(slice_) == len(self._ready):
            self._ready.clear()
        else:
            for request, _ in slice_:
                del self._ready[request]
        self.ready_bytes -= total
        return slice_
