"""Proof that who announces a peer can be reached where it says it is (BEP 5, "announce_peer")."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from icworkshop_gui.wire.dht.node_id import RandBytes

LIFE: Final = 5 * 60.0
"""Seconds after which the secret changes; tokens of the secret before it still hold."""
SIZE: Final = 8


class Tokens:
    """Gives tokens out and knows them again, without remembering any."""

    def __init__(self, now: float, randbytes: RandBytes) -> None:
        self._randbytes = randbytes
        self._changed_at = now
        self._secrets = [randbytes(16), randbytes(16)]
        """The one in use, the one before."""

    def give(self, host: str, target: bytes, now: float) -> bytes:
        """For who asked about `target` from `host`."""
        self._turn(now)
        return self._token(self._secrets[0], host, target)

    def is_valid(self, token: bytes, host: str, target: bytes, now: float) -> bool:
        """Was it given to `host` for `target` within the last five to ten minutes?"""
        self._turn(now)
        return any(hmac.compare_digest(token, self._token(secret, host, target)) for secret in self._secrets)

    def _turn(self, now: float) -> None:
        age = now - self._changed_at
        if age < LIFE:
            return
        # After a long silence the secret in use is as old as the one before.
        before = self._secrets[0] if age < 2 * LIFE else self._randbytes(16)
        self._secrets = [self._randbytes(16), before]
        self._changed_at = now

    @staticmethod
    def _token(secret: bytes, host: str, target: bytes) -> bytes:
        return hashlib.blake2s(host.encode() + b" " + target, key=secret, digest_size=SIZE).digest()
