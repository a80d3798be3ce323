"""Is it the web servers' turn at all? Pure; what they are asked for once it is, the gates of `swarm.webseed` decide.

DESIGN §4.10: small packages come over HTTP alone; everything else from peers and web servers together, with a short
head start for peers, since without it every download of some seconds would cost the server all of it, however many
players have it. Who switched web servers off gets a package from them all the same where no peer serves, until peers
serve again: P2P that fails must never be the end of a download.
"""

from __future__ import annotations

from dataclasses import dataclass

from icworkshop_gui.core.priority import Tier

HEAD_START = 2.0
"""Seconds that peers have for themselves at the beginning, unless it is known that there are none."""
FALLBACK_AFTER = 6.0
"""Seconds without a useful byte from peers after which web servers are asked that the user switched off."""
STANDS_BACK = 256_000
"""Bytes a second from peers above which those are left in peace again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """One transfer that fetches."""

    is_on: bool = False
    """It is their turn now."""
    http_only: bool = False
    enabled: bool = True
    """The user lets web servers help (`webseed.enabled`)."""
    peers_first: bool = True
    """`webseed.prefer_bt_peers`."""
    is_package: bool = True
    """Of a Workshop, which must always end in a download."""
    tier: Tier = Tier.USER_REQUESTED
    elapsed: float = 0.0
    """Seconds since the fetching began."""
    quiet: float = 0.0
    """Seconds without a useful byte."""
    rate_peers: int = 0
    """Bytes a second."""
    nobody_known: bool = False
    """No peer is known and whoever could name some has been asked."""


def is_web_turn(view: TurnView) -> bool:
    """May web servers be asked now?"""
    if view.http_only:
        return True
    if not view.enabled:
        if not view.is_package:
            return False
        return view.rate_peers < STANDS_BACK if view.is_on else view.quiet >= FALLBACK_AFTER
    if view.is_on or not view.peers_first or view.tier is Tier.LOBBY_URGENT:
        return True
    return view.nobody_known or view.elapsed >= HEAD_START
