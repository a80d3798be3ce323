"""Gives the info dict to peers that know only its hash (BEP 9), within limits: it is cheap to ask for and large."""

from __future__ import annotations

from collections import deque
from typing import Final

from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.units import KIB
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.wire.peer.extensions import ut_metadata
from icworkshop_gui.wire.peer.extensions.ut_metadata import Kind, Message
from icworkshop_gui.wire.peer.messages import Extended

UNSENT_MAX: Final = 160 * KIB
"""Bytes that wait for a peer above which no further piece is put behind them (engine.md E.10)."""
WAITING_MAX: Final = ut_metadata.PIECES_MAX
"""Requests of one peer that wait; more than a whole info dict at once nobody needs."""
TIMES: Final = 3
"""How often one peer may have the whole; beyond, it waits."""
REFILL_SECONDS: Final = 60.0
"""In which what it may have grows by one whole."""
MESSAGES_MAX: Final = 2_000
"""Requests beyond what it may have, after which a peer is dropped: each costs us a refusal."""


class _Taker:
    """What one peer wants."""

    __slots__ = ("at", "credit", "refused", "waiting")

    def __init__(self, credit: float, now: float) -> None:
        self.waiting: deque[int] = deque()
        self.credit = credit
        """Pieces."""
        self.at = now
        self.refused = 0


class MetadataServing:
    """One for the swarm."""

    def __init__(self, info: bytes) -> None:
        """Empty: nothing is given."""
        self._info = info
        self._count = ut_metadata.piece_count(len(info))
        self._takers: dict[int, _Taker] = {}

    @property
    def size(self) -> int | None:
        """Bytes, for the extension handshake; None when nothing is given, or too much to be believed."""
        return len(self._info) if 0 < self._count <= ut_metadata.PIECES_MAX else None

    def heard(self, peer: Peer, event: Extended, now: float) -> None:
        """A message of `ut_metadata`. Answers to what we asked another connection for are of no interest."""
        try:
            message = ut_metadata.parse(event.payload)
        except RemoteProtocolError as error:
            peer.drop(error.reason, fault=True)
            return
        if message is None or message.kind is not Kind.REQUEST or not peer.wire.supports(ut_metadata.NAME):
            return
        taker = self._takers.get(peer.key)
        if taker is None:
            taker = self._takers[peer.key] = _Taker(float(TIMES * self._count), now)
        taker.credit = min(TIMES * self._count, taker.credit + (now - taker.at) / REFILL_SECONDS * self._count)
        taker.at = now
        if message.piece >= self._count or taker.credit < 1 or len(taker.waiting) >= WAITING_MAX:
            taker.refused += 1
            if taker.refused > MESSAGES_MAX:
                peer.drop("a flood of requests for metadata", fault=True)
            else:
                peer.say(peer.wire.extension(ut_metadata.NAME, ut_metadata.encode(Message(Kind.REJECT, message.piece))))
            return
        taker.credit -= 1
        taker.waiting.append(message.piece)
        self.pump(peer)

    def pump(self, peer: Peer) -> None:
        """Send what waits, as far as there is room."""
        taker = self._takers.get(peer.key)
        while taker is not None and taker.waiting and not peer.gone and peer.unsent < UNSENT_MAX:
            piece = taker.waiting.popleft()
            start = piece * ut_metadata.PIECE_SIZE
            data = self._info[start : start + ut_metadata.PIECE_SIZE]
            peer.say_at_once(
                peer.wire.extension(
                    ut_metadata.NAME, ut_metadata.encode(Message(Kind.DATA, piece, len(self._info), data))
                )
            )

    def forget(self, peer: Peer) -> None:
        self._takers.pop(peer.key, None)
