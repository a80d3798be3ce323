"""The three tiers, highest last, so that `>` reads as "goes first"."""

from __future__ import annotations

from enum import IntEnum


class Tier(IntEnum):
    """Who needs the bytes. The values are those of `ic_priority` on the wire."""

    BACKGROUND = 0
    USER_REQUESTED = 1
    LOBBY_URGENT = 2

    @property
    def slug(self) -> str:
        """The word on command lines and in JSON: `background`, `user`, `lobby`."""
        return ("background", "user", "lobby")[self.value]

    @classmethod
    def from_slug(cls, slug: str) -> Tier:
        """The tier of a slug; ValueError for any other word."""
        return cls(("background", "user", "lobby").index(slug))
