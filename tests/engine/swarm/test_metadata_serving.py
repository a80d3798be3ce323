"""Giving the info dict away, within limits (engine.md E.10)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from icworkshop_gui.engine.swarm import metadata_serving
from icworkshop_gui.engine.swarm.metadata_serving import REFILL_SECONDS, TIMES, UNSENT_MAX, MetadataServing
from icworkshop_gui.engine.swarm.peer import Peer
from icworkshop_gui.wire.peer.extensions import ut_metadata
from icworkshop_gui.wire.peer.extensions.handshake import METADATA_MAX
from icworkshop_gui.wire.peer.extensions.ut_metadata import PIECE_SIZE, Kind, Message, piece_count
from icworkshop_gui.wire.peer.messages import Extended
from tests.helpers.builders import content

INFO = content(20 * PIECE_SIZE + 5, "info")
COUNT = piece_count(len(INFO))


class Wire:
    def supports(self, name: str) -> bool:
        return name == ut_metadata.NAME

    def extension(self, name: str, payload: bytes) -> bytes:
        return payload


class Taker:
    """As much of a peer as is needed."""

    def __init__(self, key: int = 1) -> None:
        self.key = key
        self.wire = Wire()
        self.unsent = 0
        self.gone = False
        self.answers: list[Message] = []

    def say(self, payload: bytes) -> None:
        message = ut_metadata.parse(payload)
        assert message is not None
        self.answers.append(message)

    def say_at_once(self, payload: bytes) -> None:
        self.unsent += len(payload)
        self.say(payload)

    def drop(self, reason: str, *, fault: bool = False) -> None:
        self.gone = True


def ask(serving: MetadataServing, taker: Taker, pieces: Any, now: float = 0.0) -> None:
    for piece in pieces:
        payload = ut_metadata.encode(Message(Kind.REQUEST, piece))
        serving.heard(cast("Peer", taker), Extended(ut_metadata.NAME, payload), now)


def test_who_asks_gets_it_all() -> None:
    serving, taker = MetadataServing(INFO), Taker()
    ask(serving, taker, range(COUNT))
    while len(taker.answers) < COUNT:
        taker.unsent = 0
        serving.pump(cast("Peer", taker))
    assert b"".join(answer.data for answer in taker.answers) == INFO
    assert {answer.total_size for answer in taker.answers} == {len(INFO)} == {serving.size}


def test_what_the_line_does_not_take_waits() -> None:
    serving, taker = MetadataServing(INFO), Taker()
    ask(serving, taker, range(COUNT))
    assert UNSENT_MAX <= taker.unsent <= UNSENT_MAX + 17 * 1024
    assert len(taker.answers) < COUNT
    assert all(answer.kind is Kind.DATA for answer in taker.answers)


def test_a_few_times_the_whole_and_then_at_a_slow_pace() -> None:
    serving, taker = MetadataServing(INFO), Taker()
    for _ in range(TIMES * COUNT):
        ask(serving, taker, [0])
        taker.unsent = 0
    assert all(answer.kind is Kind.DATA for answer in taker.answers)
    ask(serving, taker, [0])
    assert taker.answers[-1].kind is Kind.REJECT
    ask(serving, taker, [0], now=REFILL_SECONDS / COUNT + 0.01)
    assert taker.answers[-1].kind is Kind.DATA
    ask(serving, Taker(2), [1])  # another one has its own


def test_a_flood_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_serving, "MESSAGES_MAX", 50)
    serving, taker = MetadataServing(INFO), Taker()
    ask(serving, taker, [COUNT] * 51)
    assert taker.gone
    assert {answer.kind for answer in taker.answers} == {Kind.REJECT}


def test_nonsense_ends_the_connection() -> None:
    serving, taker = MetadataServing(INFO), Taker()
    serving.heard(cast("Peer", taker), Extended(ut_metadata.NAME, b"no"), 0.0)
    assert taker.gone


@pytest.mark.parametrize("info", [b"", bytes(METADATA_MAX + 1)])
def test_what_nobody_would_believe_is_not_offered(info: bytes) -> None:
    assert MetadataServing(info).size is None
