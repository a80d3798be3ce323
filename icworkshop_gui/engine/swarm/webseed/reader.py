"""A stream of the torrent's bytes, cut into the blocks that are waited for. Pure.

The blocks may become fewer while the stream flows: others sent them, or a faster server took them over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from icworkshop_gui.engine.swarm.webseed.claims import Place


class BlockReader:
    """`blocks` is shared with its owner: ascending, taken from the left as they come."""

    __slots__ = ("_block", "_part", "_span", "blocks", "position", "skipped")

    def __init__(self, span: Callable[[Place], tuple[int, int]], blocks: deque[Place], position: int) -> None:
        """`span`: first byte and length, in the torrent, of what is waited for of a block."""
        self.blocks = blocks
        self.position = position
        """Of the next byte of the stream, in the torrent."""
        self.skipped = 0
        """Bytes that nobody waited for."""
        self._span = span
        self._part = bytearray()
        self._block: Place | None = None

    def break_off(self) -> bytes:
        """The stream ends here: what came of the block that was begun. It is forgotten here."""
        part = bytes(self._part)
        self._part.clear()
        self._block = None
        return part

    def go_on(self, part: bytes) -> None:
        """The first block was begun by an earlier stream, which brought this much: ours comes after it."""
        self._block = self.blocks[0]
        self._part += part
        self.position = self._span(self._block)[0] + len(part)

    def feed(self, data: bytes) -> Iterator[tuple[Place, memoryview]]:
        """The blocks that end in `data`, which comes next in the stream. To be read to its end; views, to be copied."""
        view = memoryview(data)
        while view:
            self._forget_lost()
            if not self.blocks:
                self._skip(len(view))
                return
            head = self.blocks[0]
            begin, length = self._span(head)
            if self.position < begin:
                count = min(begin - self.position, len(view))
                self._skip(count)
                view = view[count:]
                continue
            lacking = begin + length - self.position
            taken = view[:lacking]
            view = view[lacking:]
            self.position += len(taken)
            if len(taken) < lacking:
                self._block = head
                self._part += taken
                return
            self.blocks.popleft()
            self._block = None
            if self._part:
                part, self._part = self._part, bytearray()
                part += taken
                yield head, memoryview(part)
            else:
                yield head, taken

    def _forget_lost(self) -> None:
        """What came of a block that is not waited for any more is of no use."""
        if self._block is not None and (not self.blocks or self.blocks[0] != self._block):
            self.skipped += len(self._part)
            self._part.clear()
            self._block = None

    def _skip(self, count: int) -> None:
        self.position += count
        self.skipped += count
