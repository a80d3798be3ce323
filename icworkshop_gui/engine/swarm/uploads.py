"""What one peer asked for and has not got. Pure: requests in, batches of contiguous reads out."""

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

    __slots__ = ("_limit", "_piece_length", "_waiting", "refused")

    def __init__(self, piece_length: int, limit: int) -> None:
        self._piece_length = piece_length
        self._limit = limit
        self._waiting: dict[Request, None] = {}
        self.refused = 0
        """Requests over the limit so far."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Request) -> bool:
        """False when the queue is full."""
        if len(self._waiting) >= self._limit:
            self.refused += 1
            return False
        self._waiting[request] = None
        return True

    def pieces(self) -> int:
        """Mask of the pieces that are asked for."""
        mask = 0
        for index in {request[0] for request in self._waiting}:
            mask |= 1 << index
        return mask

    def cancel(self, request: Request) -> bool:
        """True when it was waiting."""
        if request not in self._waiting:
            return False
        del self._waiting[request]
        return True

    def clear(self) -> list[Request]:
        """Everything that waited."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def take(self, limit: int) -> list[Run]:
        """The oldest requests, about `limit` bytes of them and at least one, as runs."""
        runs: list[Run] = []
        taken: list[Request] = []
        total = 0
        end = -1
        for request in self._waiting:
            index, begin, length = request
            if total and total + length > limit:
                break
            total += length
            taken.append(request)
            offset = index * self._piece_length + begin
            if offset == end:
                run = runs[-1]
                run.length += length
                run.requests.append(request)
            else:
                runs.append(Run(offset, length, [request]))
            end = offset + length
        waiting = self._waiting
        for request in taken:
            del waiting[request]
        return runs
