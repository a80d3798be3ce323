"""Tracker messages: what we build reads back, known bytes mean what the BEPs say, and any bytes are safe."""

from __future__ import annotations

import ipaddress

import bencode2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError, RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.wire.tracker import http, udp
from icworkshop_gui.wire.tracker.messages import (
    DEFAULT_INTERVAL,
    MAX_INTERVAL,
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    ScrapeEntry,
    TrackerRefused,
)
from icworkshop_gui.wire.tracker.url import MAX_URL, TrackerUrl

HASH = InfoHash(bytes(range(20)))
PEER = PeerId(b"-IC0001-&=+%/?#abcde")
V4, V6 = Endpoint("192.0.2.7", 6881), Endpoint("2001:db8::7", 51413)

requests = st.builds(
    AnnounceRequest,
    info_hash=st.binary(min_size=20, max_size=20).map(InfoHash),
    peer_id=st.binary(min_size=20, max_size=20).map(PeerId),
    port=st.integers(0, 65535),
    uploaded=st.integers(0, 2**63 - 1),
    downloaded=st.integers(0, 2**63 - 1),
    left=st.integers(0, 2**63 - 1),
    event=st.sampled_from(AnnounceEvent),
    num_want=st.integers(-1, 2**31 - 1),
    key=st.integers(0, 2**32 - 1),
)
ports = st.integers(1, 65535)
peers_v4 = st.lists(st.builds(lambda ip, port: Endpoint(str(ip), port), st.ip_addresses(v=4), ports), max_size=60)
peers_v6 = st.lists(
    st.builds(lambda ip, port: Endpoint.of(str(ip), port), st.ip_addresses(v=6), ports).filter(lambda e: e.is_ipv6),
    max_size=60,
)


@given(requests, st.binary(max_size=30))
def test_an_http_announce_reads_back(request, tracker_id):
    url = TrackerUrl.parse("http://tracker.example/announce?pass=1")
    sent = AnnounceRequest(**{name: getattr(request, name) for name in request.__slots__} | {"tracker_id": tracker_id})
    text = http.announce_url(url, sent)
    assert text.startswith("http://tracker.example/announce?pass=1&info_hash=")
    assert text.isascii()
    assert http.parse_announce(text.partition("?")[2].encode()) == sent


@given(peers_v4, peers_v6, st.booleans(), st.text(max_size=40), st.binary(max_size=20))
def test_an_http_response_reads_back(v4, v6, compact, warning, tracker_id):
    sent = AnnounceResponse(
        interval=1800,
        min_interval=60,
        seeders=3,
        leechers=4,
        peers=(*v4, *v6),
        untrusted_warning=warning,
        tracker_id=tracker_id,
    )
    body = http.encode_announce(sent, compact=compact)
    assert bencode2.bencode(bencode2.bdecode(body)) == body
    assert http.decode_announce(body) == sent


def test_a_response_as_other_trackers_send_it():
    body = b"d8:completei5e10:incompletei2e8:intervali600e5:peers12:\xc0\0\2\7\x1a\xe1\xc0\0\2\x08\0\0e\r\n"
    assert http.decode_announce(body) == AnnounceResponse(interval=600, seeders=5, leechers=2, peers=(V4,))
    body = (
        b"d8:intervali600e5:peersld2:ip9:192.0.2.77:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eed2:ip3:bad4:porti1eeee"
    )
    assert http.decode_announce(body).peers == (V4,)
    body = b"d11:external ip4:\xc0\0\2\x078:intervali600e6:peers618:" + b"\x20\1\x0d\xb8" + bytes(11) + b"\7\xc8\xd5e"
    assert http.decode_announce(body) == AnnounceResponse(interval=600, peers=(V6,), external_ip="192.0.2.7")


@pytest.mark.parametrize(
    ("body", "interval"),
    [(b"de", DEFAULT_INTERVAL), (b"d8:intervali-5ee", DEFAULT_INTERVAL), (b"d8:intervali99999999ee", MAX_INTERVAL)],
)
def test_a_strange_interval_becomes_a_sane_one(body, interval):
    assert http.decode_announce(body).interval == interval


@pytest.mark.parametrize(
    ("body", "retry_in", "never"),
    [
        (b"d14:failure reason4:nonee", None, False),
        (b"d14:failure reason4:none8:retry ini5ee", 300.0, False),
        (b"d14:failure reason4:none8:retry in1:5e", 300.0, False),
        (b"d14:failure reason4:none8:retry in5:nevere", None, True),
    ],
)
def test_a_refusal_says_when_to_come_back(body, retry_in, never):
    with pytest.raises(TrackerRefused) as caught:
        http.decode_announce(body)
    assert (caught.value.retry_in, caught.value.never) == (retry_in, never)
    assert caught.value.untrusted_text == "none"
    assert "none" not in caught.value.reason


def test_failure_text_is_cut():
    with pytest.raises(TrackerRefused) as caught:
        http.decode_announce(http.encode_failure("x" * 5000))
    assert len(caught.value.untrusted_text) == http.MAX_TEXT


def test_a_body_over_the_limit_is_refused():
    with pytest.raises(RemoteProtocolError, match="longer"):
        http.decode_announce(b"d1:a%d:%be" % (http.MAX_RESPONSE, bytes(http.MAX_RESPONSE)))


def test_no_more_peers_than_the_limit():
    body = http.encode_compact(interval=1, min_interval=1, seeders=0, leechers=0, peers=b"\1\2\3\4\5\6" * 3000)
    assert len(http.decode_announce(body).peers) == http.MAX_PEERS


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: b"d5:peers%d:%be" % (len(b), b)))
def test_any_body_is_a_response_or_a_protocol_error(body):
    for read in (http.decode_announce, http.decode_scrape):
        try:
            read(body)
        except RemoteProtocolError:
            pass


@given(st.binary(max_size=200) | st.from_regex(rb"(info_hash|peer_id|port|left|key|ip|event)=[%0-9a-z&=-]{0,60}"))
def test_any_query_is_a_request_or_a_protocol_error(query):
    base = b"info_hash=%b&peer_id=%b&port=1&" % (b"a" * 20, b"b" * 20)
    for text in (query, base + query):
        for read in (http.parse_announce, http.parse_scrape):
            try:
                read(text)
            except RemoteProtocolError:
                pass


def test_queries_over_the_limits_are_refused():
    good = b"info_hash=%b&peer_id=%b&port=1" % (b"a" * 20, b"b" * 20)
    assert http.parse_announce(good + b"&a=%b" % (b"x" * 1000)).port == 1
    for bad in (good + b"&a=%b" % (b"x" * http.MAX_QUERY), good + b"&a=1" * http.MAX_QUERY_FIELDS):
        with pytest.raises(RemoteProtocolError):
            http.parse_announce(bad)


def test_a_missing_left_makes_no_seed():
    assert http.parse_announce(b"info_hash=%b&peer_id=%b&port=1" % (b"a" * 20, b"b" * 20)).left == 1


def test_scrape_reads_back():
    url = TrackerUrl.parse("http://t.example/x/announce.php?k=1")
    text = http.scrape_url(url, [HASH])
    assert text is not None
    assert text.startswith("http://t.example/x/scrape.php?k=1&info_hash=")
    assert http.parse_scrape(text.partition("?")[2].encode()) == (HASH,)
    entries = {HASH: ScrapeEntry(1, 2, 3)}
    assert http.decode_scrape(http.encode_scrape(entries)) == entries
    assert http.scrape_url(TrackerUrl.parse("http://t.example/tracker"), [HASH]) is None
    assert len(http.parse_scrape(b"&".join([b"info_hash=" + b"a" * 20] * 100))) == http.MAX_SCRAPE


# ---- UDP


@given(requests, st.binary(max_size=600))
def test_a_udp_announce_reads_back(request, url_data):
    packet = udp.announce_request(b"12345678", 77, request, url_data=url_data)
    assert len(packet) >= 98
    assert udp.parse_request(packet) == udp.Announce(b"12345678", 77, request, url_data)


@given(peers_v4, peers_v6)
def test_a_udp_response_reads_back(v4, v6):
    for family, peers in ((False, v4), (True, v6)):
        packed = b"".join(ipaddress.ip_address(p.host).packed + p.port.to_bytes(2, "big") for p in peers)
        packet = udp.announce_reply(5, 1800, 2, 1, packed)
        assert udp.parse_reply(packet, ipv6=family) == udp.AnnounceReply(
            5, AnnounceResponse(interval=1800, leechers=2, seeders=1, peers=tuple(peers))
        )


def test_udp_answers_are_cut_to_the_limits():
    reply = udp.parse_reply(udp.announce_reply(1, 2**32 - 1, 0, 0, b"\1\2\3\4\5\6" * 2000), ipv6=False)
    assert isinstance(reply, udp.AnnounceReply)
    assert reply.response.interval == MAX_INTERVAL
    assert len(reply.response.peers) == udp.MAX_PEERS
    scrape = udp.parse_reply(udp.scrape_reply(1, [ScrapeEntry(1, 1, 1)] * 100), ipv6=False)
    assert isinstance(scrape, udp.ScrapeReply)
    assert len(scrape.entries) == udp.MAX_SCRAPE
    error = udp.parse_reply(udp.error_reply(1, "x" * 5000), ipv6=False)
    assert isinstance(error, udp.ErrorReply)
    assert len(error.refused.untrusted_text) == udp.MAX_TEXT


def test_the_other_udp_messages_read_back():
    assert udp.connect_request(9) == bytes.fromhex("00000417271019800000000000000009")
    assert udp.parse_request(udp.connect_request(9)) == udp.ConnectRequest(9)
    assert udp.parse_reply(udp.connect_reply(9, b"abcdefgh"), ipv6=False) == udp.ConnectReply(9, b"abcdefgh")
    assert udp.parse_request(udp.scrape_request(b"abcdefgh", 9, [HASH, HASH])) == udp.Scrape(
        b"abcdefgh", 9, (HASH, HASH)
    )
    entries = [ScrapeEntry(1, 2, 3), ScrapeEntry(4, 5, 6)]
    assert udp.parse_reply(udp.scrape_reply(9, entries), ipv6=False) == udp.ScrapeReply(9, tuple(entries))
    reply = udp.parse_reply(udp.error_reply(9, "no"), ipv6=False)
    assert isinstance(reply, udp.ErrorReply)
    assert reply.refused.untrusted_text == "no"


def test_an_announce_lies_where_bep_15_says():
    request = AnnounceRequest(
        info_hash=HASH, peer_id=PEER, port=6881, uploaded=3, downloaded=1, left=2, event=AnnounceEvent.STARTED, key=5
    )
    packet = udp.announce_request(b"abcdefgh", 7, request)
    assert packet[16:36] == HASH
    assert packet[36:56] == PEER
    assert packet[56:80] == bytes([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3])
    assert packet[80:] == bytes.fromhex("00000002 00000000 00000005 ffffffff 1ae1")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (b"", b""),
        (b"\x02\x03/an\x02\x01x", b"/anx"),
        (b"\x01\x01\x02\x02/a\x00\x02\x01x", b"/a"),
        (b"\x09\x02??\x02\x01/", b"/"),
        (b"\x02\x05/a", b""),
        (b"\x02", b""),
        (b"\x02\xff" + b"a" * 255 + b"\x02\xff" + b"b" * 10, b"a" * 255),
    ],
)
def test_options_behind_an_announce(options, found):
    assert udp.parse_url_data(bytes(98) + options) == found


def test_a_scrape_over_the_limit_is_nothing():
    head = udp.HEAD.pack(b"abcdefgh", udp.ACTION_SCRAPE, 1)
    assert udp.parse_request(head + bytes(20 * udp.MAX_SCRAPE)) is not None
    assert udp.parse_request(head + bytes(20 * (udp.MAX_SCRAPE + 1))) is None
    assert udp.parse_request(head) is None
    assert (
        udp.parse_request(
            udp.announce_request(b"abcdefgh", 1, AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1))
            + bytes(udp.MAX_DATAGRAM)
        )
        is None
    )


@given(st.binary(max_size=200), st.integers(0, 5), st.booleans())
def test_any_datagram_is_a_message_or_nothing(data, action, ipv6):
    for packet in (data, data[:8] + action.to_bytes(4, "big") + data[8:], action.to_bytes(4, "big") + data):
        udp.parse_request(packet)
        try:
            udp.parse_reply(packet, ipv6=ipv6)
        except RemoteProtocolError:
            pass


# ---- URLs


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("http://Tracker.Example/announce", "tracker.example", 80, "http://tracker.example/announce"),
        ("https://t.example:8443/abc123/announce", "t.example", 8443, "https://t.example:8443/…"),
        ("http://t.example/announce?passkey=1", "t.example", 80, "http://t.example/…"),
        ("udp://[2001:db8::1]:6969", "2001:db8::1", 6969, "udp://[2001:db8::1]:6969"),
        ("udp://10.0.0.1:6969/announce", "10.0.0.1", 6969, "udp://10.0.0.1:6969/announce"),
        ("http://xn--80ak6aa92e.com/announce", "xn--80ak6aa92e.com", 80, "http://xn--80ak6aa92e.com/announce"),
    ],
)
def test_good_urls(text, host, port, shown):
    url = TrackerUrl.parse(text)
    assert (url.host, url.port, str(url)) == (host, port, shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "announce",
        "ftp://t.example/announce",
        "file:///etc/passwd",
        "udp://t.example",
        "http://t.example:0/announce",
        "http://t.example:99999/announce",
        "http://t.example:22/announce",
        "http://u:p@t.example/announce",
        "http://t.example/announce?port=22",
        "http://t.example/announce?INFO_HASH=x",
        "http://раypal.example/announce",
        "http://t.example/announce\r\nX: 1",
        "http://t.example\\@evil/announce",
        "http://2130706433/announce",
        "http://127.1/announce",
        "http://0x7f.0x1/announce",
        "http:///announce",
        "http://[::1/announce",
        "http://t.example/" + "a" * MAX_URL,
    ],
)
def test_bad_urls(text):
    with pytest.raises(FormatError):
        TrackerUrl.parse(text)


@pytest.mark.parametrize(
    ("url", "address", "public", "private"),
    [
        ("http://t.example/announce", "8.8.8.8", True, True),
        ("http://t.example/announce", "10.1.2.3", False, True),
        ("http://t.example/announce", "127.0.0.1", False, True),
        ("http://t.example/admin", "127.0.0.1", False, False),
        ("http://t.example/admin", "::ffff:127.0.0.1", False, False),
        ("http://t.example/announce", "169.254.169.254", False, False),
        ("http://t.example/announce", "fe80::1", False, False),
        ("http://t.example/announce?reboot=1", "192.168.1.1", False, False),
        ("http://t.example/announce?reboot=1", "127.0.0.1", False, False),
        ("http://t.example/announce?passkey=1", "8.8.8.8", True, True),
        ("udp://t.example:6969", "127.0.0.1", False, True),
        ("udp://t.example:6969", "224.0.0.1", False, False),
        ("udp://t.example:6969", "0.0.0.0", False, False),
        ("udp://t.example:6969", "2001:4860:4860::8888", True, True),
    ],
)
def test_which_addresses_may_be_asked(url, address, public, private):
    parsed = TrackerUrl.parse(url)
    assert parsed.allows(address, allow_private=False) is public
    assert parsed.allows(address, allow_private=True) is private


@given(st.text(max_size=80) | st.text(max_size=40).map(lambda rest: "http://" + rest))
def test_any_text_is_a_url_or_a_format_error(text):
    try:
        str(TrackerUrl.parse(text))
    except FormatError:
        pass
