"""What passed between simulated hosts, counted from the bytes they wrote: messages by kind and payload, by connection.

Read with a few lines of our own instead of asking the program that is being watched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from icworkshop_gui.engine.net.stream import Buffer
from tests.sim.tcp import SimStream

HANDSHAKE: Final = 68
KINDS: Final = {
    0: "choke", 1: "unchoke", 2: "interested", 3: "not interested", 4: "have", 5: "bitfield", 6: "request",
    7: "piece", 8: "cancel", 13: "suggest", 14: "have all", 15: "have none", 16: "reject", 17: "allowed fast",
    20: "extended",
}  # fmt: skip
"""BEP 3, 6 and 10."""
PIECE: Final = 7
PIECE_HEAD: Final = 9

Traffic = Counter[tuple[str, str, str]]
"""(from address, to address, message kind or `bytes`): how many."""


class Reading:
    """The messages in what one side of a connection writes."""

    def __init__(self, source: str, target: str, traffic: Traffic) -> None:
        self._source, self._target, self._traffic = source, target, traffic
        self._skip = HANDSHAKE
        self._head = bytearray()

    def read(self, data: Buffer) -> None:
        view = memoryview(data).cast("B")
        at, end = 0, len(view)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            self._head.append(view[at])
            at += 1
            if len(self._head) == 4 and not any(self._head):
                self._head.clear()  # a keep-alive
            elif len(self._head) == 5:
                length, kind = int.from_bytes(self._head[:4], "big"), self._head[4]
                self._traffic[self._source, self._target, KINDS[kind]] += 1
                if kind == PIECE:
                    self._traffic[self._source, self._target, "bytes"] += length - PIECE_HEAD
                self._skip = length - 1
                self._head.clear()


class CountedStream(SimStream):
    """A connection whose writer is read along."""

    reading: Reading

    def write(self, chunks: Sequence[Buffer]) -> None:
        if not (self._closing or self._finished):
            for chunk in chunks:
                if len(chunk):
                    self.reading.read(chunk)
        super().write(chunks)


def table(rows: Sequence[Sequence[object]]) -> str:
    """Columns of one width each, the first to the left."""
    text = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in text) for at in range(len(text[0]))]
    return "".join(
        " ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        + "\n"
        for row in text
    )
