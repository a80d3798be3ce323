"""Whose block broke the piece? Pure (engine.md E.6).

One contributor: it lied. Several: all go on parole (they work alone on their pieces), and the SHA-1 of every block
is kept with its sender until the piece passes; whoever's block differs from the good one lied. Nobody is banned on
a guess.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icworkshop_gui.core.units import BLOCK_SIZE

MAX_SUSPECT_PIECES = 256
"""Corrupt pieces whose block hashes are kept; the oldest is forgotten beyond."""

MAX_VERSIONS = 16
"""Failures of one piece that are remembered."""


def block_digests(data: bytes | bytearray | memoryview) -> list[bytes]:
    """SHA-1 of each block of a piece."""
    view = memoryview(data)
    return [hashlib.sha1(view[at : at + BLOCK_SIZE]).digest() for at in range(0, len(view), BLOCK_SIZE)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from one checked piece."""

    ban: tuple[int, ...] = ()
    """Keys of those who are proven to have sent a bad block."""
    parole: tuple[int, ...] = ()
    """Keys of the suspects."""
    cleared: tuple[int, ...] = ()
    """Keys whose parole ends."""


class SmartBan:
    """Remembers corrupt pieces until they pass. Keys are never reused, so a peer that left can still be named."""

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: dict[int, list[dict[int, tuple[int, bytes]]]] = {}

    def is_suspect(self, index: int) -> bool:
        """Did this piece fail before? Then `passed` needs its block digests."""
        return index in self._records

    def failed(self, index: int, givers: Sequence[int], digests: Sequence[bytes]) -> Verdict:
        """The piece is corrupt; `givers` and `digests` are per block."""
        contributors = tuple(dict.fromkeys(givers))
        if len(contributors) == 1:
            return Verdict(ban=contributors)
        versions = self._records.setdefault(index, [])
        if len(versions) < MAX_VERSIONS:
            versions.append(dict(enumerate(zip(givers, digests, strict=True))))
        if len(self._records) > MAX_SUSPECT_PIECES:
            del self._records[next(iter(self._records))]
        return Verdict(parole=contributors)

    def passed(self, index: int, givers: Sequence[int], digests: Sequence[bytes] | None) -> Verdict:
        """The piece is good; `digests` are needed when it was suspect."""
        contributors = tuple(dict.fromkeys(givers))
        versions = self._records.pop(index, None)
        liars: dict[int, None] = {}
        if versions is not None and digests is not None:
            for version in versions:
                for block, (giver, digest) in version.items():
                    if digest != digests[block]:
                        liars[giver] = None
        alone = contributors if len(contributors) == 1 else ()
        suspects = self._suspects()
        cleared = {key: None for key in alone if key not in liars}
        if versions is not None:
            # Whoever took part in this failure and is in no other open one has nothing left against it.
            for version in versions:
                for giver, _digest in version.values():
                    if giver not in liars and giver not in suspects:
                        cleared[giver] = None
        return Verdict(ban=tuple(liars), cleared=tuple(cleared))

    def _suspects(self) -> set[int]:
        return {giver for versions in self._records.values() for record in versions for giver, _ in record.values()}

    def records(self) -> Mapping[int, int]:
        """Corrupt piece -> how many failures are remembered."""
        return {index: len(versions) for index, versions in self._records.items()}
