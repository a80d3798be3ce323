"""Any bytes from a stranger: an answer or silence, never an exception, and never more out than in unproved."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.server.tracker.front import MAX_HEAD, _forwarded_for
from icworkshop_gui.server.tracker.http import HttpAnswers
from icworkshop_gui.server.tracker.tracker import Tracker
from icworkshop_gui.server.tracker.udp import UdpTrackerServer
from icworkshop_gui.wire.tracker import udp

ADDRESS = bytes([192, 0, 2, 1])


def server() -> tuple[UdpTrackerServer, Tracker]:
    tracker = Tracker(SystemClock(), random.Random(1))
    made = UdpTrackerServer(tracker)
    made._ids.turn(tracker.clock.now())
    return made, tracker


@given(st.binary(max_size=1600), st.integers(0, 5))
def test_udp_without_proof(data, action):
    made, tracker = server()
    for packet in (data, udp.PROTOCOL_ID.to_bytes(8, "big") + action.to_bytes(4, "big") + data):
        reply = made._answer(packet, ADDRESS)
        assert reply is None or len(reply) <= len(packet)
        made._answer(packet, bytes.fromhex("fe80" + 13 * "00" + "01"))
    assert tracker.stats().peers == 0


@given(st.binary(max_size=1600), st.integers(0, 5))
def test_udp_with_proof(data, action):
    made, tracker = server()
    proof = made._ids.make(ADDRESS)
    reply = made._answer(proof + action.to_bytes(4, "big") + data, ADDRESS)
    assert reply is None or action in (udp.ACTION_ANNOUNCE, udp.ACTION_SCRAPE)
    assert tracker.stats().peers <= 1


@given(st.binary(max_size=300), st.binary(max_size=60), st.text(max_size=40))
def test_http(query, forwarded, host):
    tracker = Tracker(SystemClock(), random.Random(1))
    answers = HttpAnswers(tracker, trusted=["0.0.0.0/0", "::/0"])
    base = b"info_hash=%b&peer_id=%b&port=1&ip=%b&" % (b"a" * 20, b"b" * 20, forwarded)
    for text in (query, base + query):
        for source in (host, "192.0.2.1", "::1", ""):
            assert answers.announce(text, source, lambda: forwarded).startswith(b"d")
        assert answers.scrape(text).startswith(b"d")


@given(st.binary(max_size=500))
def test_request_heads(data):
    assert len(_forwarded_for(data)) <= len(data) < MAX_HEAD
