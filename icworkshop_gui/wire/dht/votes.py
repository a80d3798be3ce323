"""Which address we have, as others see it: nobody is believed alone (BEP 42, "Bootstrapping")."""

from __future__ import annotations

from collections import Counter
from typing import Final

from icworkshop_gui.wire.dht.node_id import is_global, subnet_of

VOTES_NEEDED: Final = 5
"""Networks that must say the same."""
VOTERS_MAX: Final = 50
"""Networks whose last word is remembered; the oldest word is forgotten."""


class AddressVotes:
    """Pure. Each network (/24, /64) has one vote, its last."""

    def __init__(self) -> None:
        self._votes: dict[str, str] = {}

    def vote(self, voter: str, address: str) -> str | None:
        """`voter` sees us at `address`; where we are if so many agree that it is beyond doubt."""
        if not is_global(voter) or not is_global(address):
            return None
        subnet = subnet_of(voter)
        self._votes.pop(subnet, None)
        self._votes[subnet] = address
        if len(self._votes) > VOTERS_MAX:
            del self._votes[next(iter(self._votes))]
        winner, count = Counter(self._votes.values()).most_common(1)[0]
        return winner if count >= VOTES_NEEDED and 2 * count > len(self._votes) else None
