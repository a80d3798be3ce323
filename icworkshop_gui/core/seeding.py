"""When sharing a package is enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedGoal:
    """Whichever comes first ends the sharing; None is never."""

    ratio: int | None = None
    """Bytes given per byte of the package, in percent: 100 is as much as it is large."""
    seconds: int | None = None
    """Time that it was shared, all sessions together."""
    seeds: int | None = None
    """So many others have all of it."""

    def is_reached(self, *, uploaded: int, size: int, shared: float, seeds: int | None) -> bool:
        """`uploaded` and `size` in bytes, `shared` in seconds; `seeds` None: nobody knows how many there are."""
        return (
            (self.ratio is not None and uploaded * 100 >= self.ratio * size)
            or (self.seconds is not None and shared >= self.seconds)
            or (self.seeds is not None and seeds is not None and seeds >= self.seeds)
        )
