"""The one owner of piece states. Pure: no clock, no chance, no I/O. Transitions in STATE.md.

A piece is in exactly one of: missing, open (has a buffer, blocks are asked for or here), checking (all blocks are
here; hash and disk have it), had (verified and written). A block of an open piece is free, asked or here; those that
a hint knows are here from the beginning.
Whether a piece is wanted is another question: wanting changes what is opened, never what is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import BLOCK_SIZE, KIB, MIB
from icworkshop_gui.engine.swarm.hints import Hints, PieceHint
from icworkshop_gui.engine.swarm.piece_mask import full_mask, mask_of

FREE, ASKED, HERE = 0, 1, 2
"""States of one block, as bytes in `OpenPiece.blocks`."""

_ASKED_BYTE, _HERE_BYTE = bytes((ASKED,)), bytes((HERE,))

NOBODY = 0
"""No peer has this key."""

OURSELVES = -1
"""Giver of blocks that are known from a hint (`hints`). No peer has this key either."""

GAP_MAX = 1 * KIB
"""Known bytes between two runs of needed ones that are fetched along: a request to a web server costs as much."""

SPARE_BUFFER_BYTES = 8 * MIB
"""Buffers kept for the next piece: fresh ones cost a page fault per 4 KiB."""


class Arrival(IntEnum):
    """What became of a block that came."""

    UNWANTED = 0
    """The piece is not open or the block is here already: thrown away."""
    STORED = 1
    COMPLETED = 2
    """It was the last: the piece is checking now."""


class OpenPiece:
    """A piece on its way. Changed by its tracker only."""

    __slots__ = (
        "bit",
        "blocks",
        "buffer",
        "duplicates",
        "exclusive",
        "free",
        "givers",
        "hint",
        "index",
        "missing",
        "size",
        "unknown",
        "view",
    )

    def __init__(self, index: int, size: int, buffer: bytearray, exclusive: int, hint: PieceHint | None = None) -> None:
        count = -(-size // BLOCK_SIZE)
        self.index = index
        self.size = size
        self.bit = 1 << index
        self.buffer = buffer
        self.view = memoryview(buffer)[:size]
        self.blocks = bytearray(count)
        self.givers = [NOBODY] * count
        """Per block: whom we asked, then who sent it."""
        self.free = count
        """Blocks nobody was asked for."""
        self.missing = count
        """Blocks that are not here."""
        self.exclusive = exclusive
        """Key of the only peer that may be asked (a peer on parole), or NOBODY."""
        self.duplicates: dict[int, list[int]] = {}
        """Block -> further peers asked for it (endgame)."""
        self.hint = hint
        self.unknown = count
        """Blocks that must come."""
        if hint is not None:
            for block in range(count):
                if block not in hint.needed:
                    self.blocks[block] = HERE
                    self.givers[block] = OURSELVES
            self.free = self.missing = self.unknown = len(hint.needed)

    def contributors(self) -> set[int]:
        """Keys of those who sent a block."""
        return {giver for giver, state in zip(self.givers, self.blocks, strict=True) if state == HERE} - {OURSELVES}

    def block_size(self, block: int) -> int:
        return min(BLOCK_SIZE, self.size - block * BLOCK_SIZE)


class PieceTracker:
    """States of all pieces of one torrent."""

    def __init__(
        self, geometry: Geometry, have: Bitfield, wanted: Bitfield | None = None, hints: Hints | None = None
    ) -> None:
        self.geometry = geometry
        self.length = geometry.piece_count
        self.blocks_per_piece = geometry.blocks_per_piece
        self.have = have.copy()
        """Pieces had. Read only for everybody else."""
        self.wanted_mask = full_mask(self.length) if wanted is None else mask_of(wanted)
        self.lacking_mask = full_mask(self.length) & ~mask_of(have)
        """Pieces not had, wanted or not."""
        self.missing_mask = self.lacking_mask
        """Pieces neither had, open nor checking."""
        self.open: dict[int, OpenPiece] = {}
        self.partial: dict[int, OpenPiece] = {}
        """Those of `open` with a free block."""
        self.checking: dict[int, OpenPiece] = {}
        self.hints = {} if hints is None else hints
        """Owned together with whoever gave them: one that proves wrong is taken out."""
        self._spans = {
            (index, block): span for index, hint in self.hints.items() for block, span in hint.needed.items()
        }
        """Of blocks of pieces that have, or had, a hint: what is asked for of them."""
        self.contested = False
        """Some block may be asked of more than one peer."""
        self.buffered = 0
        """Bytes of buffers in use: open and checking."""
        self._spare: list[bytearray] = []
        self._spare_limit = max(1, SPARE_BUFFER_BYTES // geometry.piece_length)

    # --- questions ----------------------------------------------------------------------------

    @property
    def pickable_mask(self) -> int:
        """Pieces that may be opened."""
        return self.missing_mask & self.wanted_mask

    @property
    def interesting_mask(self) -> int:
        """Pieces that make their owner interesting: wanted and not had."""
        return self.lacking_mask & self.wanted_mask

    @property
    def is_complete(self) -> bool:
        """Everything wanted is had."""
        return not self.lacking_mask & self.wanted_mask

    @property
    def is_full(self) -> bool:
        """Everything is had, wanted or not."""
        return not self.lacking_mask

    @property
    def all_asked(self) -> bool:
        """Every wanted block is asked for or here: the condition of strict endgame (DESIGN §4.9)."""
        return not self.partial and not self.pickable_mask

    def span(self, index: int, block: int) -> tuple[int, int]:
        """(first byte, length) within its piece of what is asked for of this block."""
        if index in self.hints:
            found = self._spans.get((index, block))
            if found is not None:
                return found
        return block * BLOCK_SIZE, self.geometry.block_size(index, block)

    def is_part(self, index: int, begin: int, length: int) -> bool:
        """Was this part of a block asked for, under a hint that may be gone?"""
        return self._spans.get((index, begin // BLOCK_SIZE)) == (begin, length)

    def bytes_had(self) -> int:
        last = self.length - 1
        short = self.geometry.piece_length - self.geometry.piece_size(last)
        return self.have.count * self.geometry.piece_length - (short if last in self.have else 0)

    # --- transitions --------------------------------------------------------------------------

    def open_piece(self, index: int, exclusive: int = NOBODY) -> OpenPiece:
        """missing -> open."""
        bit = 1 << index
        if not self.missing_mask & bit:
            raise ValueError(f"piece {index} is not missing")
        buffer = self._spare.pop() if self._spare else bytearray(self.geometry.piece_length)
        piece = OpenPiece(index, self.geometry.piece_size(index), buffer, exclusive, self.hints.get(index))
        self.missing_mask &= ~bit
        self.open[index] = piece
        self.partial[index] = piece
        self.buffered += piece.size
        return piece

    def ask(self, piece: OpenPiece, count: int, key: int) -> list[range]:
        """Up to `count` free blocks become asked of `key`, lowest first. Runs of block numbers within the piece."""
        blocks, givers = piece.blocks, piece.givers
        taken: list[range] = []
        left = count = min(count, piece.free)
        at = 0
        while left:
            at = blocks.find(FREE, at)
            end = at + left
            if blocks.count(FREE, at, end) < left:
                # Not free one after the other as far as that.
                end = at + 1
                while blocks[end] == FREE:
                    end += 1
            size = end - at
            blocks[at:end] = _ASKED_BYTE * size
            givers[at:end] = [key] * size
            taken.append(range(at, end))
            left -= size
            at = end
        piece.free -= count
        if not piece.free:
            self.partial.pop(piece.index, None)
        return taken

    def ask_run(self, piece: OpenPiece, key: int) -> list[range]:
        """The first free blocks with nothing much between what is needed of them become asked of `key`."""
        first = piece.blocks.find(FREE)
        end = first + 1
        while end < len(piece.blocks) and piece.blocks[end] == FREE:
            if self.span(piece.index, end)[0] - sum(self.span(piece.index, end - 1)) > GAP_MAX:
                break
            end += 1
        return self.ask(piece, end - first, key)

    def ask_again(self, piece: OpenPiece, block: int, key: int) -> None:
        """Endgame: an asked block is asked of one more peer."""
        if piece.blocks[block] != ASKED or key == piece.givers[block] or key in piece.duplicates.get(block, ()):
            raise ValueError(f"block {block} of piece {piece.index} cannot be asked of {key} too")
        piece.duplicates.setdefault(block, []).append(key)
        self.contested = True

    def release(self, index: int, block: int, key: int) -> None:
        """`key` will not send this block: it is free again unless somebody else was asked as well.

        A piece of which nothing is here or asked for is missing again.
        """
        piece = self.open.get(index)
        if piece is None or piece.blocks[block] != ASKED:
            return
        others = piece.duplicates.get(block)
        if piece.givers[block] == key:
            if others:
                piece.givers[block] = others.pop(0)
            else:
                piece.blocks[block] = FREE
                piece.givers[block] = NOBODY
                piece.free += 1
                self.partial[index] = piece
                if piece.free == piece.unknown:
                    self.close_piece(index)
                    return
        elif others and key in others:
            others.remove(key)
        if others is not None and not others:
            del piece.duplicates[block]

    def arrived(self, index: int, block: int, data: memoryview | bytes, key: int) -> Arrival:
        """A block (or what is needed of it) came from `key`, asked or late; its shape was checked. Copies `data`."""
        piece = self.open.get(index)
        if piece is None:
            return Arrival.UNWANTED
        blocks = piece.blocks
        state = blocks[block]
        if state == HERE:
            return Arrival.UNWANTED
        begin = block * BLOCK_SIZE
        if len(data) != BLOCK_SIZE and len(data) != piece.block_size(block):
            if piece.hint is None or piece.hint.needed[block][1] != len(data):
                return Arrival.UNWANTED  # asked for under a hint that has been proved wrong since
            begin = piece.hint.needed[block][0]
        piece.view[begin : begin + len(data)] = data
        blocks[block] = HERE
        piece.givers[block] = key
        if state == FREE:
            piece.free -= 1
            if not piece.free:
                self.partial.pop(index, None)
        return self._have_come(piece, 1)

    def arrived_in_order(self, piece: OpenPiece, first: int, blocks: Sequence[memoryview]) -> Arrival:
        """Whole blocks of an open piece came, from `first` on, each from whom alone it was asked of. Copies them."""
        view = piece.view
        begin = first * BLOCK_SIZE
        for data in blocks:
            end = begin + BLOCK_SIZE
            view[begin:end] = data
            begin = end
        count = len(blocks)
        piece.blocks[first : first + count] = _HERE_BYTE * count
        return self._have_come(piece, count)

    def _have_come(self, piece: OpenPiece, count: int) -> Arrival:
        piece.missing -= count
        if piece.missing:
            return Arrival.STORED
        del self.open[piece.index]
        self.checking[piece.index] = piece
        if not self.open:
            self.contested = False
        return Arrival.COMPLETED

    def others_asked(self, index: int, block: int, key: int) -> list[int]:
        """Ask before `arrived`: who else was asked for this block and need not send it now."""
        piece = self.open.get(index)
        if piece is None or piece.blocks[block] != ASKED:
            return []
        asked = [piece.givers[block], *piece.duplicates.pop(block, ())]
        return [other for other in asked if other != key]

    def distrust(self, key: int) -> int:
        """`key` lied: what it gave to open pieces is thrown away, before it breaks them. Bytes thrown away."""
        wasted = 0
        for piece in list(self.open.values()):
            for block, giver in enumerate(piece.givers):
                if giver == key and piece.blocks[block] == HERE:
                    piece.blocks[block] = FREE
                    piece.givers[block] = NOBODY
                    piece.free += 1
                    piece.missing += 1
                    wasted += piece.block_size(block)
            if piece.free == piece.unknown:
                self.close_piece(piece.index)
            elif piece.free:
                self.partial[piece.index] = piece
        return wasted

    def end_exclusive(self, key: int) -> None:
        """The peer on parole left, or is cleared: others may help with its pieces."""
        for piece in self.open.values():
            if piece.exclusive == key:
                piece.exclusive = NOBODY

    def verified(self, index: int) -> None:
        """checking -> had."""
        self._give_back(self.checking.pop(index))
        self.lacking_mask &= ~(1 << index)
        self.have.add(index)

    def failed(self, index: int) -> None:
        """checking -> missing: the hash did not match. A hint that took part is not believed any more."""
        self._give_back(self.checking.pop(index))
        self.missing_mask |= 1 << index
        self.hints.pop(index, None)

    def close_piece(self, index: int) -> int:
        """open -> missing: what had arrived is thrown away; its bytes are returned. Nothing may be asked still."""
        piece = self.open[index]
        if ASKED in piece.blocks:
            raise ValueError(f"piece {index} has blocks asked for")
        del self.open[index]
        self.partial.pop(index, None)
        self._give_back(piece)
        self.missing_mask |= 1 << index
        return sum(
            self.span(index, block)[1]
            for block, state in enumerate(piece.blocks)
            if state == HERE and piece.givers[block] != OURSELVES
        )

    def want(self, wanted: Bitfield | None) -> None:
        """Change what is wanted. Open pieces stay open."""
        self.wanted_mask = full_mask(self.length) if wanted is None else mask_of(wanted)

    def _give_back(self, piece: OpenPiece) -> None:
        self.buffered -= piece.size
        piece.view.release()
        if len(self._spare) < self._spare_limit:
            self._spare.append(piece.buffer)

    # --- proof --------------------------------------------------------------------------------

    def check_invariants(self) -> None:
        """AssertionError when the books do not balance. For tests."""
        assert not self.open.keys() & self.checking.keys()
        states = self.missing_mask
        for index in self._busy():
            assert not states >> index & 1, f"piece {index} is in two states"
            states |= 1 << index
        assert states == self.lacking_mask
        assert self.lacking_mask == full_mask(self.length) & ~mask_of(self.have)
        assert self.buffered == sum(self.geometry.piece_size(index) for index in self._busy())
        for index, piece in self.open.items():
            assert piece.index == index
            assert piece.free == piece.blocks.count(FREE)
            assert piece.missing == len(piece.blocks) - piece.blocks.count(HERE)
            assert piece.missing, f"piece {index} is complete and still open"
            assert (index in self.partial) == bool(piece.free)
            assert piece.hint is self.hints.get(index)
            assert piece.givers.count(OURSELVES) == len(piece.blocks) - piece.unknown
            for block, state in enumerate(piece.blocks):
                assert (piece.givers[block] == NOBODY) == (state == FREE)
                extra = piece.duplicates.get(block)
                if extra is not None:
                    assert state == ASKED
                    assert extra
                    assert piece.givers[block] not in extra
                    assert len(set(extra)) == len(extra)
        assert self.partial.keys() <= self.open.keys()
        for piece in self.checking.values():
            assert piece.blocks.count(HERE) == len(piece.blocks)

    def _busy(self) -> Iterator[int]:
        yield from self.open
        yield from self.checking
