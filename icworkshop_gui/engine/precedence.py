"""How much of the line those of a lower tier may use. Pure: bytes that came in, bytes a second to ask for out.

DESIGN §4.2: whoever waits in a lobby gets the line; the player's own downloads are left a little of it, background ones
nothing. Under the player's own downloads the background keeps a small share (weights 16:4:1). None of that may hold
anybody back where it helps nobody: a lobby whose peers are slow leaves room.

Mostly no limit is set and the narrow place is somewhere outside, so how wide it is must be learned. `Yielding` learns
it by holding those below back first (a lobby cannot wait for the result of an experiment) and letting go then:

    HELD ── what is above has settled, and the line has room, or a try is due ──► LOOSE ── nobody above ──► free
     ▲                                                                              │
     └────────────────────── what is above went down since ─────────────────────────┘

What is known of the line is the most that has come in lately, all tiers together. What is above when it has about as
much for itself fills the line, and the next try is far off. When it went down while those below were let go, they are
held again; did that help, the next try is later; did it not, they were not the cause.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE

LOBBY_LEAVES = 0.04
"""Share of the line that the player's own downloads keep beside a lobby's. DESIGN §4.2 allows a tenth, but then the
lobby would be a ninth slower than alone, which is more than §7 allows."""
USER_LEAVES = 1 / 5
"""Share that background downloads keep beside the player's own: weights 4:1."""
BACKGROUND_MIN = 4.0 * BLOCK_SIZE
"""Bytes a second below which background downloads together wait rather than trickle."""

SETTLE_MIN, SETTLE_MAX = 3.0, 10.0
"""Seconds that those below are held until what is above is believed to show its speed."""
STEADY = 1.06
"""It has settled when a second brings less than this times the one before."""
ROOM = 0.9
"""Of what the line is known to carry, the part that is given out."""
FULL = 0.8
"""Of what the line is known to carry, the part above which what is above fills it."""
HARM = 0.92
"""What is above suffers when it falls below this part of what it had."""
GROWTH = 1.3
"""By which those below may ask for more each second that does no harm, as long as they use it."""
TRY_FIRST, TRY_FULL, TRY_MAX = 5.0, 60.0, 240.0
"""Seconds until those below are let go on trial: when nothing is known, when the line seems full, at most."""
FORGET = 0.999
"""What the line is known to carry fades by this each second: half in twelve minutes."""
STALLS = 3
"""Seconds in which those below do not get what they may have, and no more than ever comes in, after which a trial is
over: the line is full, and what is above may only not show that it wants more."""
SMOOTH = 0.5
"""Weight of the newest second in a rate."""


class _State(Enum):
    FREE = auto()
    """Nobody is above."""
    HELD = auto()
    LOOSE = auto()


class Yielding:
    """One boundary between those above and those below."""

    def __init__(self, leaves: float) -> None:
        """`leaves`: share of the line that those below keep in any case."""
        self._leaves = leaves
        self._line = 0.0
        """The most that has come in lately, bytes a second."""
        self._known = 0.0
        """What the line carried with those below taking part, when they were held last."""
        self._state = _State.FREE
        self._since = 0.0
        self._try_after = TRY_FIRST
        self._grow_at = 0.0
        """From when those below may ask for more than the line is known to carry."""
        self._had = 0.0
        """The most that was above since those below were let go."""
        self._stalls = 0
        self._fell_to: float | None = None
        """What was above when those below were held because of it."""
        self._line_before = 0.0
        self._above = 0.0
        self._before = 0.0
        self._allowed = 0.0

    @property
    def holds(self) -> bool:
        """Are those below held down to their least share?"""
        return self._state is _State.HELD

    def begin(self, now: float) -> None:
        """Somebody is above from now on. Nothing when that is so already."""
        if self._state is _State.FREE:
            self._try_after = TRY_FIRST
            self._above = self._before = self._had = 0.0
            self._fell_to = None
            self._hold(now)

    def end(self) -> None:
        """Nobody is above any more."""
        self._state = _State.FREE

    def second(self, now: float, above: float, below: float, limit: float | None) -> None:
        """A second is over: the rates of it. `limit`: of the whole program."""
        before = self._line
        self._line = max(before * FORGET, above + below)
        if limit is not None:
            self._line = min(self._line, limit)
        self._before, self._above = self._above, self._above + SMOOTH * (above - self._above)
        if self._state is _State.HELD:
            self._while_held(now, limit)
        elif self._state is _State.LOOSE:
            self._while_loose(now, above + below, below, before)

    def allowed(self) -> float | None:
        """Bytes a second that those below may ask for together; None: as much as they like."""
        if self._state is _State.FREE:
            return None
        return self._least if self._state is _State.HELD else max(self._least, self._allowed)

    @property
    def _least(self) -> float:
        return self._above * self._leaves / (1 - self._leaves)

    def _hold(self, now: float) -> None:
        self._state, self._since = _State.HELD, now
        self._known = self._line

    def _while_held(self, now: float, limit: float | None) -> None:
        held = now - self._since
        if held < SETTLE_MIN or (self._above > STEADY * self._before and held < SETTLE_MAX):
            return
        fell_to, self._fell_to = self._fell_to, None
        if fell_to is not None and self._above - fell_to < (self._had - fell_to) / 2:
            # It did not come back, so it was not those below who took it.
            self._try_after = TRY_FIRST
            self._grow_at = now
            self._line = max(self._line, self._line_before)
            self._let_go(now)
        elif self._above < FULL * self._line:
            self._grow_at = max(self._grow_at, now + TRY_FULL)
            self._let_go(now)
        elif limit is None or self._above < ROOM * limit:
            seems_full = self._known and self._above <= self._known / FULL
            if held >= max(self._try_after, TRY_FULL if seems_full else TRY_FIRST):
                self._grow_at = now
                self._let_go(now)

    def _let_go(self, now: float) -> None:
        self._state, self._since = _State.LOOSE, now
        self._had = self._above
        self._allowed = max(0.0, ROOM * self._line - self._above)

    def _while_loose(self, now: float, total: float, below: float, line: float) -> None:
        if self._above < HARM * self._had and below > self._least:
            # Together they had all that the line carries.
            self._line_before, self._line = self._line, total
            self._fell_to = self._above
            self._try_after = min(TRY_MAX, max(2 * self._try_after, TRY_FULL))
            self._grow_at = now + self._try_after
            self._hold(now)
            return
        stalled = below < 0.9 * self._allowed and total >= 0.95 * line
        self._stalls = self._stalls + 1 if stalled else 0
        if now >= self._grow_at and self._stalls >= STALLS:
            self._grow_at = now + TRY_FULL
        grew = self._above - self._had
        self._had = max(self._above, 0.98 * self._had)
        if grew > 0.02 * self._above:
            # It takes what is left over, and is made room for before it has to fight for more.
            self._allowed = max(0.0, self._allowed - 2 * grew)
        elif below >= 0.9 * self._allowed:
            self._allowed = max(self._allowed, BACKGROUND_MIN) * GROWTH
        if now < self._grow_at:
            self._allowed = min(self._allowed, max(0.0, ROOM * self._line - self._above))


@dataclass(frozen=True, slots=True)
class Fetching:
    """One download that runs, or would if none of a higher tier went before it."""

    id: TransferId
    tier: Tier
    received: int
    """Payload bytes so far."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What each download of a tier may ask for, bytes a second; None: no limit."""

    user: float | None = None
    background: float | None = None
    hold_background: bool = False
    """Background downloads wait."""

    def of(self, tier: Tier) -> float | None:
        if tier is Tier.LOBBY_URGENT:
            return None
        return self.user if tier is Tier.USER_REQUESTED else self.background


class Precedence:
    """Both boundaries. `look` may be called at any time; rates are taken once a second."""

    def __init__(self) -> None:
        self._lobby = Yielding(LOBBY_LEAVES)
        self._user = Yielding(USER_LEAVES)
        self._seen: dict[TransferId, int] = {}
        self._rates = dict.fromkeys(Tier, 0.0)
        self._spill = USER_LEAVES
        """The background's part of what a lobby leaves: what the player's own do not use, and a fifth in any case."""
        self._at = -math.inf

    def look(self, now: float, downloads: Sequence[Fetching], limit: float | None) -> Shares:
        """`downloads`: those that fetch, and those that wait for a higher tier alone. `limit`: of the program."""
        counts = Counter(item.tier for item in downloads)
        for boundary, tier in ((self._lobby, Tier.LOBBY_URGENT), (self._user, Tier.USER_REQUESTED)):
            if counts[tier]:
                boundary.begin(now)
            else:
                boundary.end()
        if now - self._at >= 0.9:
            self._second(now, downloads, limit)
        return self._shares(counts)

    def _second(self, now: float, downloads: Sequence[Fetching], limit: float | None) -> None:
        self._rates = dict.fromkeys(Tier, 0.0)
        for item in downloads:
            self._rates[item.tier] += (item.received - self._seen.get(item.id, item.received)) / (now - self._at)
        self._seen, self._at = {item.id: item.received for item in downloads}, now
        lobby, user, background = (self._rates[tier] for tier in sorted(Tier, reverse=True))
        self._lobby.second(now, lobby, user + background, limit)
        self._user.second(now, user, background, limit)
        below = self._lobby.allowed()
        unused = 1 - user / below if below else 0.0
        self._spill = max(USER_LEAVES, self._spill + (unused - self._spill) / 4)

    def _shares(self, counts: Counter[Tier]) -> Shares:
        users, others = counts[Tier.USER_REQUESTED], counts[Tier.BACKGROUND]
        hold, user, background = self._lobby.holds, None, None
        below = self._lobby.allowed()
        if below is not None:
            part = 0.0 if hold or not others else self._spill if users else 1.0
            hold = hold or part * below < BACKGROUND_MIN
            if hold:
                part = 0.0
            used = self._rates[Tier.USER_REQUESTED]
            user = max((1 - part) * below, min((1 - USER_LEAVES) * below, GROWTH * used)) / max(1, users)
            background = part * below / max(1, others)
        below = self._user.allowed()
        if below is not None and others:
            background = min(below / others, math.inf if background is None else background)
        return Shares(user=user, background=background, hold_background=hold)
