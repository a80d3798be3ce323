"""So many announces a second to one tracker, over all transfers of the program.

A program that shares a thousand packages would otherwise send a tracker a thousand announces in its first second, and
again every interval: trackers answer that with a ban.
"""

from __future__ import annotations

from collections.abc import Hashable

PER_SECOND = 20.0
"""Announces a second to one tracker that nobody waits for."""
HOSTS_MAX = 1_000
"""Trackers remembered; the oldest is forgotten."""


class AnnouncePace:
    """Hands out turns. Pure: the time is an argument."""

    def __init__(self, per_second: float = PER_SECOND) -> None:
        self._gap = 1.0 / per_second
        self._next: dict[Hashable, float] = {}

    def turn(self, tracker: Hashable, now: float) -> float:
        """When the next announce to this tracker may go out, from `now` on; the turn is taken."""
        at = max(now, self._next.pop(tracker, now))
        self._next[tracker] = at + self._gap
        if len(self._next) > HOSTS_MAX:
            del self._next[next(iter(self._next))]
        return at
