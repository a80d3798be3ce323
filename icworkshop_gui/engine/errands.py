"""Several packages that bring the same files: one fetches them, the others wait and find them here. Pure.

Who is under way is waited for, never who waits: so nobody waits for ever. What is worth less than `COMMON_MIN` is
fetched twice rather than waited for, and nobody waits for a lower tier or for what does not move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from icworkshop_gui.core.ids import BlobId, TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import KIB, MIB

FILE_MIN = 64 * KIB
"""Bytes of a file that is looked at."""
COMMON_MIN = MIB
"""Bytes that two transfers must have in common for one to wait."""
Files = Mapping[BlobId, int]
"""Files that must be fetched, with their sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What one transfer fetches, or is about to."""

    id: TransferId
    tier: Tier
    files: Files = field(default_factory=dict)
    held: bool = False
    """The queue does not let it run."""


def waits_for(errand: Errand, under_way: Iterable[Errand]) -> TransferId | None:
    """The transfer that brings enough of what this one needs; None when it had better begin."""
    for other in under_way:
        if other.id == errand.id or other.tier < errand.tier or (other.held and not errand.held):
            continue
        fewer, more = sorted((errand.files, other.files), key=len)
        if sum(size for blob, size in fewer.items() if blob in more) >= COMMON_MIN:
            return other.id
    return None
