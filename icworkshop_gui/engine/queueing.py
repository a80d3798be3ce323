"""Which transfers run and which packages are shared, and why the others wait. Pure: a view in, a verdict for each out.

DESIGN §4.2: a lobby-urgent transfer always runs and makes background ones wait while it lacks bandwidth (`precedence`
says when); under user-requested ones the background keeps a small share of it, so there it only competes for slots.

What takes no part in the traffic takes no slot either: a download that has been idle for `SLOW_SECONDS` and a shared
package that nobody fetches go on, and leave their slots to the next in line. Only `Limits.in_all` counts them, so that
a list of dead downloads cannot open everything at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import Network, Reason

SLOW_RATE = 2048
"""Bytes a second below which a transfer counts as idle; a line that is in use has more than this in overhead."""
SLOW_SECONDS = 60.0
"""How long it must have been idle to give up its slot, and how long one that began counts in any case."""
TURN_SECONDS = 1800.0
"""Seconds for which a shared package keeps its place before one that waits is preferred to it: one announce interval,
or its peers would not even have heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many may be active at once. Forced and lobby-urgent ones count, but are never held back."""

    downloads: int = 5
    seeds: int = 100
    in_all: int = 5_000
    """Idle ones counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What around us says that something must not run."""

    network: Network = Network.UNMETERED
    sharing: bool = True
    """The seeding switch."""
    share_on_metered: bool = False
    download_on_metered: bool = False
    game_running: bool = False
    pause_in_game: bool = False

    def against_download(self, tier: Tier) -> Reason:
        """NONE when a download of this tier may run. A lobby waits for nothing but the network itself."""
        if self.network is Network.OFFLINE:
            return Reason.OFFLINE
        if tier is Tier.LOBBY_URGENT:
            return Reason.NONE
        if self.network is Network.METERED and not self.download_on_metered:
            return Reason.METERED
        if self.game_running and self.pause_in_game:
            return Reason.GAME
        return Reason.NONE

    def against_sharing(self) -> Reason:
        """NONE when packages may be shared."""
        if not self.sharing or self.network is Network.NO_SHARING:
            return Reason.SHARING_OFF
        if self.network is Network.OFFLINE:
            return Reason.OFFLINE
        if self.network is Network.METERED and not self.share_on_metered:
            return Reason.METERED
        if self.game_running and self.pause_in_game:
            return Reason.GAME
        return Reason.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One unfinished transfer, as the queue sees it."""

    id: TransferId
    tier: Tier
    position: int
    """Within its tier; ties go by `id`, so that the verdict never depends on the order of the view."""
    paused: bool = False
    """By the user."""
    forced: bool = False
    """"Start now": runs whatever the number of slots."""
    idle: bool = False
    """It has not moved for `SLOW_SECONDS`, or waits for another to bring the same files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """One complete transfer that is to be shared."""

    id: TransferId
    paused: bool = False
    forced: bool = False
    done: bool = False
    """Its goal is reached."""
    seeds: int | None = None
    """Others that have all of it; None while unknown."""
    leechers: int = 0
    idle: bool = False
    """It is shared, and nobody is there, or nobody has fetched anything for `SLOW_SECONDS`."""
    turn_over: bool = False
    """It has been shared for `TURN_SECONDS` without a break."""
    shared_at: float = -math.inf
    """When it was shared last, engine clock; of one that is shared: when that began."""
    running: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """Everything that wants to run."""

    downloads: tuple[Waiting, ...] = ()
    seeds: tuple[Sharing, ...] = ()
    limits: Limits = field(default_factory=Limits)
    conditions: Conditions = field(default_factory=Conditions)
    lobby_lacks: bool = True
    """A lobby's download could use what background ones take."""


def decide(view: View) -> dict[TransferId, Reason]:
    """For every transfer NONE (run) or the reason why it waits."""
    verdict, taken = _downloads(view)
    verdict.update(_seeds(view, view.limits.in_all - taken))
    return verdict


def _downloads(view: View) -> tuple[dict[TransferId, Reason], int]:
    """The verdicts, and how many run."""
    verdict: dict[TransferId, Reason] = {}
    order = sorted(view.downloads, key=lambda item: (-item.tier, item.position, item.id))
    reachable = view.conditions.against_download(Tier.LOBBY_URGENT) is Reason.NONE
    lobby = view.lobby_lacks and reachable and any(item.tier is Tier.LOBBY_URGENT and not item.paused for item in order)
    free, left = view.limits.downloads, view.limits.in_all
    lowest = Tier.LOBBY_URGENT
    """Of those that hold slots: whoever waits behind higher ones alone waits for its tier, not for its place."""
    for item in order:
        against = view.conditions.against_download(item.tier)
        if item.paused:
            verdict[item.id] = Reason.USER
            continue
        if item.tier is Tier.LOBBY_URGENT or item.forced:
            reason = Reason.OFFLINE if against is Reason.OFFLINE else Reason.NONE
        elif against is not Reason.NONE:
            reason = against
        elif lobby and item.tier is Tier.BACKGROUND:
            reason = Reason.LOBBY_FIRST
        elif left > 0 and (free > 0 or item.idle):
            reason = Reason.NONE
        else:
            reason = Reason.SLOT if item.tier >= lowest else Reason.TIER
        verdict[item.id] = reason
        if reason is Reason.NONE:
            left -= 1
            if not item.idle:
                free -= 1
                lowest = min(lowest, item.tier)
    return verdict, view.limits.in_all - left


def _seeds(view: View, left: int) -> dict[TransferId, Reason]:
    verdict: dict[TransferId, Reason] = {}
    against = view.conditions.against_sharing()
    free = view.limits.seeds
    for item in sorted(view.seeds, key=need):
        if item.paused:
            reason = Reason.USER
        elif against is not Reason.NONE:
            reason = against
        elif item.forced:
            reason = Reason.NONE
        elif item.done:
            reason = Reason.GOAL
        elif left > 0 and (free > 0 or item.idle):
            reason = Reason.NONE
        else:
            reason = Reason.TURN
        verdict[item.id] = reason
        if reason is Reason.NONE:
            left -= 1
            # One that nobody waits for can be found and costs nothing until somebody comes.
            free -= not item.idle if item.running else item.leechers > 0
    return verdict


def need(item: Sharing) -> tuple[object, ...]:
    """Sorts shared packages, the one that is needed most in front.

    First those whose turn is not over (a package that is dropped after a minute helps nobody), then where somebody
    waits and few others have it, then whoever has waited longest.
    """
    keeps = item.running and not item.turn_over and not item.idle
    scarce = 0 if item.seeds is None else item.seeds
    return (not item.forced, not keeps, not item.leechers, scarce, item.running, item.shared_at, item.id)
