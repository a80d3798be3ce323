"""Connection ids of the UDP tracker: proof that a sender really has the address it claims (BEP 15, engine.md F D-12).

Stateless: an id is a keyed hash of the address and of which two minutes it is, so a flood of connects costs no memory.
"""

from __future__ import annotations

from hashlib import blake2s

BUCKET = 120
"""Seconds an id is made for; it is good until the end of the next such span (BEP 15 demands two minutes at least)."""
SIZE = 8
REMEMBERED = 65_536
"""Addresses whose id was checked and is remembered within a span; hashing again is all that happens beyond."""


class ConnectionIds:
    """Makes and checks ids. `known` maps a packed address to its checked id."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 secret bytes, new at each start."""
        self._key = key
        self._bucket = -1
        self.known: dict[bytes, bytes] = {}

    def turn(self, now: float) -> None:
        """Tell it the time, in seconds of the tracker's clock; to be called before the others."""
        bucket = int(now) // BUCKET
        if bucket != self._bucket:
            self._bucket = bucket
            self.known.clear()

    def make(self, packed: bytes) -> bytes:
        """The id for an address of 4 or 16 bytes."""
        return self._hash(packed, self._bucket)

    def check(self, packed: bytes, connection_id: bytes) -> bool:
        """Whether the id is one of ours for this address, of this span or the last."""
        if connection_id != self._hash(packed, self._bucket) and connection_id != self._hash(packed, self._bucket - 1):
            return False
        if len(self.known) >= REMEMBERED:
            self.known.clear()
        self.known[packed] = connection_id
        return True

    def _hash(self, packed: bytes, bucket: int) -> bytes:
        return blake2s(packed + bucket.to_bytes(8, "big", signed=True), digest_size=SIZE, key=self._key).digest()
