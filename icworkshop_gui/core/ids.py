"""Names of things as validated bytes: never a str by accident, printed as short hex."""

from __future__ import annotations

from typing import NewType, Self


class _FixedBytes(bytes):
    """Bytes of one exact length; hex in logs, equal and hashable as bytes."""

    SIZE = 0
    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != cls.SIZE:
            raise ValueError(f"{cls.__name__} takes {cls.SIZE} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """From lower or upper case hex; ValueError otherwise."""
        return cls(bytes.fromhex(text))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    def __str__(self) -> str:
        return self.hex()


class InfoHash(_FixedBytes):
    """SHA-1 of the bencoded info dict (BEP 3), or the first 20 bytes of the v2 one (BEP 52)."""

    SIZE = 20


class InfoHashV2(_FixedBytes):
    """SHA-256 of the bencoded info dict (BEP 52)."""

    SIZE = 32

    def truncated(self) -> InfoHash:
        """As trackers, DHT and handshake carry it."""
        return InfoHash(self[:20])


def swarm_hashes(v1: InfoHash | None, v2: InfoHashV2 | None) -> tuple[InfoHash, ...]:
    """What handshake, trackers and DHT carry: the v1 hash, and the first 20 bytes of the v2 one. The first of them is
    ours to announce; a hybrid torrent has two, and peers may know it under either."""
    return tuple(dict.fromkeys((*(() if v1 is None else (v1,)), *(() if v2 is None else (v2.truncated(),)))))


class PeerId(_FixedBytes):
    """20 bytes that name one running program in one swarm (BEP 20 style)."""

    SIZE = 20


class NodeId(_FixedBytes):
    """A place in the DHT's space of ids: of a node, or of what is looked for (BEP 5)."""

    SIZE = 20


class BlobId(_FixedBytes):
    """SHA-256 of a file's content; its name in the store."""

    SIZE = 32


TransferId = NewType("TransferId", str)
"""What the engine calls one transfer; opaque, survives restarts."""
