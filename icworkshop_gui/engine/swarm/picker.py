"""Which blocks to ask a peer for. Pure: a state machine over `PieceTracker` and `Availability`, chance handed in.

Order (engine.md E.1): free blocks of open pieces, rarest first, as far as no new piece is rarer; new pieces, rarest
first with random ties (the first few of a transfer at random); the other open pieces; then, when every wanted block is
asked for, one busy block once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.swarm import time_critical
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.config import SwarmConfig
from icworkshop_gui.engine.swarm.piece_mask import any_bit
from icworkshop_gui.engine.swarm.piece_tracker import ASKED, NOBODY, OpenPiece, PieceTracker

MAX_ENDGAME_SCAN = 200
"""Open pieces looked through for a busy block (engine.md E.1)."""

ENDGAME_DEPTH = {Tier.BACKGROUND: 1, Tier.USER_REQUESTED: 1, Tier.LOBBY_URGENT: 4}
"""Busy blocks one idle peer is asked for. A waiting lobby pays for speed with some duplicates (DESIGN §4.9)."""

ENDGAME_PATIENCE = {Tier.BACKGROUND: 10.0, Tier.USER_REQUESTED: 1.5}
"""Seconds: a busy block is asked for once more where whoever was asked first will need longer than that. Below it the
second copy mostly comes for nothing, and takes the line from others. For a lobby `time_critical` compares the two."""

MAX_COPIES = 3
"""Peers that one block is asked of at the same time."""


@dataclass(slots=True)
class PickView:
    """What the picker knows of the peer that it picks for."""

    key: int
    has: int = 0
    """Mask of its pieces."""
    allowed: int | None = None
    """Mask of the pieces it may be asked for; None: all (it unchoked us)."""
    outstanding: int = 0
    on_parole: bool = False
    """It contributed to a corrupt piece: it works alone on its pieces until one passes."""
    snubbed: bool = False
    """It let us wait: it takes what nobody else is after."""


class Pick(NamedTuple):
    """What to ask for."""

    runs: list[tuple[int, range]]
    """(piece, block numbers), in the order to ask."""
    starved: bool
    """It has more that we want, but no room for another open piece is left: ask again when a piece closes."""

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """(piece, block number), in the order to ask."""
        return [(index, block) for index, run in self.runs for block in run]

    @property
    def size(self) -> int:
        """Blocks in all."""
        return sum(len(run) for _, run in self.runs)


class _Wish:
    """What is still to be picked, and what has been."""

    __slots__ = ("left", "runs")

    def __init__(self, count: int) -> None:
        self.left = count
        self.runs: list[tuple[int, range]] = []


class PiecePicker:
    """Picks and marks as asked. `wasted` counts bytes of partial pieces given up to make room."""

    def __init__(
        self, tracker: PieceTracker, availability: Availability, rng: Random, config: SwarmConfig | None = None
    ) -> None:
        self._tracker = tracker
        self._availability = availability
        self._rng = rng
        self._config = config or SwarmConfig()
        self.tier = Tier.USER_REQUESTED
        self.peers = 1
        """Connected peers; scales the number of partial pieces."""
        self.wasted = 0
        self.seconds_left: Callable[[int, int], float] = lambda _key, _more: math.inf
        """How long a peer will need for what it is asked for and so many blocks more; infinite when not known."""

    def pick(self, peer: PickView, count: int) -> Pick:
        """Up to `count` blocks for this peer."""
        tracker = self._tracker
        wish = _Wish(count)
        has = peer.has if peer.allowed is None else peer.has & peer.allowed
        starved = False
        if count > 0:
            rarer, others = self._partials(peer, has)
            self._ask_partials(peer, rarer, wish)
            starved = self._ask_new(peer, has, wish)
            self._ask_partials(peer, others, wish)
            if starved and not wish.runs and not peer.outstanding:
                # Over the cap a busy peer waits; one with nothing to do may still open a piece, or it idles for ever.
                starved = self._ask_new(peer, has, wish, over_cap=True)
        if not wish.runs and not peer.outstanding and not peer.on_parole and tracker.all_asked and tracker.open:
            busy = self._busy_blocks(peer, has, min(count, ENDGAME_DEPTH[self.tier]))
            return Pick([(index, range(block, block + 1)) for index, block in busy], starved)
        return Pick(wish.runs, starved)

    def _ask(self, piece: OpenPiece, peer: PickView, wish: _Wish) -> None:
        for run in self._tracker.ask(piece, wish.left, peer.key):
            wish.runs.append((piece.index, run))
            wish.left -= len(run)

    # --- open pieces --------------------------------------------------------------------------

    def _ask_partials(self, peer: PickView, pieces: list[OpenPiece], wish: _Wish) -> None:
        for piece in pieces:
            if not wish.left:
                return
            self._ask(piece, peer, wish)

    def _partials(self, peer: PickView, has: int) -> tuple[list[OpenPiece], list[OpenPiece]]:
        """Open pieces that it may work on: those to be asked for before any new piece, and those after.

        A piece that others have too comes after a new one that is rarer: whoever has what nobody else has (a lone
        seed) is asked for that, and the open piece is finished by the others.
        """
        tracker = self._tracker
        if not tracker.partial:
            return [], []
        key = peer.key
        pieces = [
            piece
            for piece in tracker.partial.values()
            if has & piece.bit
            and (piece.exclusive == NOBODY or piece.exclusive == key)
            and (not peer.on_parole or self._is_alone(piece, key))
        ]
        if not pieces:
            return [], []
        if tracker.have.count < self._config.random_first_pieces:
            pieces.sort(key=lambda piece: piece.missing)
            return pieces, []
        count = self._availability.count
        ranked = sorted((count(piece.index), piece.missing, piece.index, piece) for piece in pieces)
        if peer.snubbed:
            return [piece for *_, piece in reversed(ranked)], []
        new = has & tracker.pickable_mask
        if not new or peer.on_parole:
            return [piece for *_, piece in ranked], []
        rarest = self._availability.rarest(new)
        floor = count((rarest & -rarest).bit_length() - 1)
        before = [piece for copies, *_, piece in ranked if copies <= floor]
        return before, [piece for copies, *_, piece in ranked if copies > floor]

    @staticmethod
    def _is_alone(piece: OpenPiece, key: int) -> bool:
        return all(giver in (NOBODY, key) for giver in piece.givers)

    # --- new pieces ---------------------------------------------------------------------------

    def _ask_new(self, peer: PickView, has: int, wish: _Wish, *, over_cap: bool = False) -> bool:
        """Open pieces and ask for their blocks. True when it has more that we want, but no room is left."""
        tracker = self._tracker
        while wish.left:
            candidates = has & tracker.pickable_mask
            if not candidates:
                return False
            if not self._has_room(peer) or (self._is_over_cap() and not (over_cap and not wish.runs)):
                return True
            index = self._choose(candidates, peer)
            self._ask(tracker.open_piece(index, peer.key if peer.on_parole else NOBODY), peer, wish)
        return False

    def _has_room(self, peer: PickView) -> bool:
        """Is there memory for one more open piece?"""
        tracker = self._tracker
        if tracker.buffered + tracker.geometry.piece_length <= self._config.max_buffered:
            return True
        if not tracker.open and not tracker.checking:
            return True
        return not tracker.checking and self._make_room(peer)

    def _is_over_cap(self) -> bool:
        """Are so many pieces half done that finishing them comes first?"""
        tracker, config = self._tracker, self._config
        partials = len(tracker.partial)
        return partials > config.partials_per_peer * self.peers or (
            partials * tracker.geometry.piece_length > config.max_partial_bytes
        )

    def _make_room(self, peer: PickView) -> bool:
        """Give up the least finished piece that waits for peers who left, if there is one."""
        tracker = self._tracker
        idle = [piece for piece in tracker.partial.values() if ASKED not in piece.blocks and not peer.has & piece.bit]
        if not idle:
            return False
        worst = max(idle, key=lambda piece: (piece.missing, piece.index))
        self.wasted += tracker.close_piece(worst.index)
        return True

    def _choose(self, candidates: int, peer: PickView) -> int:
        if peer.snubbed:
            candidates = self._availability.commonest(candidates)
        elif self._tracker.have.count >= self._config.random_first_pieces:
            candidates = self._availability.rarest(candidates)
        return any_bit(candidates, self._rng)

    # --- endgame ------------------------------------------------------------------------------

    def _busy_blocks(self, peer: PickView, has: int, count: int) -> list[tuple[int, int]]:
        key = peer.key
        tracker = self._tracker
        busy: list[tuple[int, int]] = []
        for scanned, piece in enumerate(tracker.open.values()):
            if scanned >= MAX_ENDGAME_SCAN:
                break
            if not has & piece.bit or piece.exclusive != NOBODY:
                continue
            for block, state in enumerate(piece.blocks):
                if state != ASKED or piece.givers[block] == key or not self._is_late(piece.givers[block], key):
                    continue
                copies = piece.duplicates.get(block, ())
                if key not in copies and len(copies) < MAX_COPIES - 1:
                    busy.append((piece.index, block))
        chosen = self._chosen(busy, count)
        for index, block in chosen:
            tracker.ask_again(tracker.open[index], block, key)
        return chosen

    def _is_late(self, giver: int, key: int) -> bool:
        if self.tier is Tier.LOBBY_URGENT:
            return time_critical.is_late(self.seconds_left(giver, 0), self.seconds_left(key, 1))
        return self.seconds_left(giver, 0) > ENDGAME_PATIENCE[self.tier]

    def _chosen(self, busy: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
        if len(busy) <= count:
            return busy
        chosen = self._rng.sample(busy, len(busy) if self.tier is Tier.LOBBY_URGENT else count)
        if self.tier is Tier.LOBBY_URGENT:
            # Those that would come last, and by lot among them: idle peers should not all take the same.
            giver = {place: self._tracker.open[place[0]].givers[place[1]] for place in chosen}
            chosen.sort(key=lambda place: -self.seconds_left(giver[place], 0))
        return chosen[:count]
