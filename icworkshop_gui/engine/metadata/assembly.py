"""Which piece of an info dict to ask of whom, and who is to blame when the whole does not fit its hash. Pure.

Peers may disagree about its size: each size is put together by itself. What fails from the hands of one peer is that
peer's fault. Where several had a hand in it nobody can be blamed yet, so from then on each brings all of it alone;
the one whole that fits then shows whose pieces were wrong (engine.md F D-9).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from icworkshop_gui.wire.peer.extensions.ut_metadata import piece_count

OUTSTANDING_MAX: Final = 16
"""Requests that one peer has at once: a quarter of a MiB, so that most info dicts take one round trip."""
HEDGE_SECONDS: Final = 2.0
"""After which a piece that one peer owes is asked of another one too."""
TIMEOUT: Final = 20.0
"""Seconds after which a peer that owes a piece is given up."""
REST: Final = 15.0
"""Seconds for which a peer that refused is not asked: it has none itself, or serves others first."""
DRAFTS_MAX: Final = 4
"""Sizes that are put together at once, and in bad times peers: 16 MiB at the most."""
FAILED_MAX: Final = 4
"""Wholes that did not fit and are remembered to find out who was wrong."""


class Verdict(NamedTuple):
    """What an arrival led to."""

    info: bytes | None = None
    """The info dict: it fits."""
    blamed: tuple[int, ...] = ()
    """They lied, or break the rules: not spoken to again."""


class _Draft:
    __slots__ = ("by", "parts")

    def __init__(self, size: int) -> None:
        count = piece_count(size)
        self.parts: list[bytes | None] = [None] * count
        self.by = [0] * count


class Assembly:
    """One for the link. Peers have keys; times are arguments."""

    def __init__(self, matches: Callable[[bytes], bool]) -> None:
        """`matches`: are these bytes the info dict?"""
        self._matches = matches
        self._sizes: dict[int, int] = {}
        self._asked: dict[int, dict[int, float]] = {}
        self._rest_until: dict[int, float] = {}
        self._drafts: dict[tuple[int, int | None], _Draft] = {}
        """Size and, where each works alone, the peer."""
        self._alone: set[int] = set()
        """Sizes of which a whole by several peers failed."""
        self._failed: list[tuple[int, _Draft]] = []

    def offers(self, key: int, size: int) -> None:
        """A peer says how many bytes it has. What it said first holds."""
        if key not in self._sizes:
            self._sizes[key] = size
            self._asked[key] = {}

    @property
    def progress(self) -> tuple[int, int]:
        """Pieces here, and pieces in all, of the draft that is furthest; (0, 0) before anything came."""
        counts = ((sum(part is not None for part in d.parts), len(d.parts)) for d in self._drafts.values())
        return max(counts, default=(0, 0), key=lambda pair: pair[0] / pair[1])

    def ask(self, key: int, now: float) -> list[int]:
        """Pieces to ask of this peer now; they count as asked."""
        size = self._sizes.get(key)
        if size is None or now < self._rest_until.get(key, now):
            return []
        draft = self._draft(key, size)
        mine = self._asked[key]
        room = OUTSTANDING_MAX - len(mine)
        if draft is None or room <= 0:
            return []
        times: Counter[int] = Counter()
        busy: set[int] = set()
        if size not in self._alone:
            for other, asked in self._asked.items():
                if other != key and self._sizes[other] == size:
                    times.update(asked.keys())
                    busy.update(piece for piece, at in asked.items() if now - at < HEDGE_SECONDS)
        free = [
            piece for piece, part in enumerate(draft.parts) if part is None and piece not in mine and piece not in busy
        ]
        free.sort(key=lambda piece: (times[piece], piece))
        for piece in free[:room]:
            mine[piece] = now
        return free[:room]

    def arrived(self, key: int, piece: int, size: int, data: bytes) -> Verdict:
        """A piece, of the right length for `size`."""
        asked = self._asked.get(key)
        if asked is None or piece not in asked or size != self._sizes[key]:
            return Verdict(blamed=(key,))
        del asked[piece]
        draft = self._draft(key, size)
        if draft is None or draft.parts[piece] is not None:
            return Verdict()
        draft.parts[piece], draft.by[piece] = data, key
        parts = [part for part in draft.parts if part is not None]
        if len(parts) < len(draft.parts):
            return Verdict()
        info = b"".join(parts)
        if self._matches(info):
            return Verdict(info, tuple(self._liars(size, draft)))
        self._drafts = {place: other for place, other in self._drafts.items() if other is not draft}
        hands = set(draft.by)
        if len(hands) == 1:
            return Verdict(blamed=tuple(hands))
        self._alone.add(size)
        self._failed = [*self._failed[1 - FAILED_MAX :], (size, draft)]
        return Verdict()

    def refused(self, key: int, piece: int, now: float) -> None:
        """It does not give this piece, nor any other for a while."""
        asked = self._asked.get(key)
        if asked is not None and asked.pop(piece, None) is not None:
            self._rest_until[key] = now + REST

    def overdue(self, now: float) -> list[int]:
        """Peers that have owed a piece for too long."""
        return [key for key, asked in self._asked.items() if any(now - at >= TIMEOUT for at in asked.values())]

    def gone(self, key: int) -> None:
        """It left; what it brought stays, unless nobody can add to it."""
        size = self._sizes.pop(key, None)
        self._asked.pop(key, None)
        self._rest_until.pop(key, None)
        if size is not None:
            self._drafts.pop((size, key), None)
            if size not in self._sizes.values():
                self._drafts.pop((size, None), None)

    def _draft(self, key: int, size: int) -> _Draft | None:
        place = (size, key if size in self._alone else None)
        draft = self._drafts.get(place)
        if draft is None and len(self._drafts) < DRAFTS_MAX:
            draft = self._drafts[place] = _Draft(size)
        return draft

    def _liars(self, size: int, good: _Draft) -> set[int]:
        """Whose pieces of earlier wholes differ from the one that fits. A size that does not fit has no right piece."""
        return {
            failed.by[piece]
            for failed_size, failed in self._failed
            for piece, part in enumerate(failed.parts)
            if failed_size != size or part != good.parts[piece]
        }
