"""Sizes, and the integer kinds that must not be mixed up."""

from __future__ import annotations

from typing import NewType

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

BLOCK_SIZE = 16 * KIB
"""Bytes of one request; every client in use serves this size (BEP 3, "request")."""

PieceIndex = NewType("PieceIndex", int)
BytesPerSecond = int

UNLIMITED: None = None
"""A rate limit of None is no limit; 0 means nothing may pass (DESIGN §4.13)."""
