"""When and whom the announcer asks, what it says, and what it makes of the answers. Time leaps, the network is ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.engine.discovery.tracker import (
    MAX_INTERVAL,
    MAX_RETRY,
    MAX_TRACKERS,
    MIN_INTERVAL,
    STOP_DEADLINE,
    AnnounceStats,
    TrackerAnnouncer,
    next_interval,
    retry_delay,
)
from icworkshop_gui.engine.discovery.udp_tracker import CONNECTION_LIFE, RESEND_AFTER, UdpTrackerClient
from icworkshop_gui.engine.world import World
from icworkshop_gui.wire.tracker import http, udp
from icworkshop_gui.wire.tracker.compact import pack_v4, pack_v6
from icworkshop_gui.wire.tracker.messages import AnnounceEvent, AnnounceRequest, AnnounceResponse
from tests.sim.loop import LoopClock, run_leaping

HASH, PEER = InfoHash(b"h" * 20), PeerId(b"-IC0001-aaaaaaaaaaaa")
FRIEND = Endpoint("8.8.4.4", 6881)
NONE, STARTED, COMPLETED, STOPPED = (
    AnnounceEvent.NONE,
    AnnounceEvent.STARTED,
    AnnounceEvent.COMPLETED,
    AnnounceEvent.STOPPED,
)


class FakeReply:
    def __init__(self, body: bytes, status: int) -> None:
        self.body, self.status, self.headers = body, status, {}

    async def read(self, limit: int) -> bytes:
        if len(self.body) > limit:
            raise RemoteProtocolError("too long")
        return self.body

    async def aclose(self) -> None:
        pass


class FakeSocket:
    def __init__(self, net: FakeNetwork, on_datagram: Callable[[bytes, Endpoint], None]) -> None:
        self.net, self.on_datagram, self.port, self.closed = net, on_datagram, 4000, False

    def send(self, data: bytes, endpoint: Endpoint) -> None:
        self.net.datagrams_sent.append((LoopClock().now() - self.net.start, endpoint, udp.parse_request(data)))
        for reply in self.net.udp_answer(data, endpoint):
            asyncio.get_running_loop().call_later(0.01, self.on_datagram, reply, endpoint)

    def close(self) -> None:
        self.closed = True


class FakeNetwork:
    """Trackers by host name: a body, an exception, or a function of the request."""

    def __init__(self) -> None:
        self.start = LoopClock().now()
        self.asked: list[tuple[float, str, AnnounceRequest]] = []
        self.answers: dict[str, object] = {}
        self.names: dict[str, tuple[str, ...]] = {}
        self.udp: dict[Endpoint, Callable[[udp.Request], bytes | None]] = {}
        self.datagrams_sent: list[tuple[float, Endpoint, udp.Request | None]] = []
        self.sockets: list[FakeSocket] = []
        self.private: list[bool] = []

    async def http_get(self, url, *, headers=None, timeout=30.0, allow_private=False):
        parts = urlsplit(url)
        request = http.parse_announce(parts.query.encode())
        self.asked.append((LoopClock().now() - self.start, parts.hostname, request))
        self.private.append(allow_private)
        answer = self.answers.get(parts.hostname, OSError("refused"))
        if callable(answer):
            answer = answer(request)
        if answer == "silence":
            await asyncio.sleep(10_000)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return FakeReply(body, status)

    async def resolve(self, host, port):
        try:
            return (Endpoint.of(host, port),)
        except ValueError:
            return tuple(Endpoint.of(item, port) for item in self.names.get(host, ("8.8.8.8",)))

    async def datagrams(self, port, on_datagram, *, ipv6=False):
        await asyncio.sleep(0)
        self.sockets.append(FakeSocket(self, on_datagram))
        return self.sockets[-1]

    def udp_answer(self, data: bytes, endpoint: Endpoint) -> list[bytes]:
        request, tracker = udp.parse_request(data), self.udp.get(endpoint)
        answer = None if request is None or tracker is None else tracker(request)
        return [] if answer is None else [answer]

    def events(self, host: str) -> list[tuple[int, AnnounceEvent]]:
        return [(round(at), request.event) for at, name, request in self.asked if name == host]


def ok(*peers: Endpoint, interval: int = 600, minimum: int = 0) -> bytes:
    return http.encode_announce(AnnounceResponse(interval=interval, min_interval=minimum, peers=peers))


class Room:
    """An announcer and what it needs."""

    def __init__(self, *tiers: list[str], allow_private: bool = False) -> None:
        self.net = FakeNetwork()
        self.world = World(clock=LoopClock(), rng=random.Random(1), network=self.net, disk=None)
        self.udp = UdpTrackerClient(self.world)
        self.peers: list[Endpoint] = []
        self.left = 5
        self.announcer = TrackerAnnouncer(
            self.world,
            HASH,
            PEER,
            tiers,
            lambda: 19711,
            lambda: AnnounceStats(1, 2, self.left),
            self.peers.extend,
            self.udp,
            allow_private,
        )

    async def __aenter__(self) -> Room:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.announcer.stop()
        await self.udp.aclose()


def test_announces_at_the_trackers_pace_and_says_how_it_goes():
    async def main():
        async with Room(["http://a.example/announce"]) as room:
            room.net.answers["a.example"] = ok(FRIEND, interval=100)
            room.announcer.start()
            await asyncio.sleep(150)
            room.left = 0
            room.announcer.completed()
            await asyncio.sleep(10)
            await room.announcer.stop()
            assert room.net.events("a.example") == [(0, STARTED), (100, NONE), (150, COMPLETED), (160, STOPPED)]
            first, *_, last = (request for _, _, request in room.net.asked)
            assert (first.port, first.uploaded, first.downloaded, first.left) == (19711, 1, 2, 5)
            assert (first.info_hash, first.peer_id, first.num_want) == (HASH, PEER, 50)
            assert (last.left, last.num_want) == (0, 0)
            assert room.peers == [FRIEND] * 3
            assert room.net.private == [False] * 4

    run_leaping(main())


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (AnnounceResponse(interval=600), 600),
        (AnnounceResponse(interval=1), MIN_INTERVAL),
        (AnnounceResponse(interval=0), 1800),
        (AnnounceResponse(interval=60, min_interval=90), 90),
        (AnnounceResponse(interval=86400), MAX_INTERVAL),
    ],
)
def test_interval_within_reason(answer, wait):
    assert next_interval(answer) == wait


def test_retries_back_off_up_to_an_hour():
    assert [retry_delay(n) for n in (1, 2, 3)] == [17.5, 55.0, 117.5]
    assert retry_delay(1000) == MAX_RETRY


def test_a_dead_tracker_is_asked_less_and_less():
    async def main():
        async with Room(["http://dead.example/announce"]) as room:
            room.announcer.start()
            await asyncio.sleep(200)
            assert room.net.events("dead.example") == [(0, STARTED), (18, STARTED), (72, STARTED), (190, STARTED)]
            (status,) = room.announcer.status()
            assert (status.ok, status.message) == (False, "cannot be reached")
            assert status.next_in == pytest.approx(190 + 205 - 200)
            await room.announcer.stop()
            assert len(room.net.asked) == 4, "who never knew us need not be told that we stopped"

    run_leaping(main())


def test_the_next_of_a_tier_takes_over_and_stays():
    async def main():
        urls = ["http://a.example/announce", "http://b.example/announce"]
        async with Room(urls) as room:
            first, second = (item.url.split("/")[2] for item in room.announcer.status())
            room.net.answers[second] = ok(interval=100)
            room.announcer.start()
            await asyncio.sleep(250)
            assert room.net.events(second) == [(0, STARTED), (100, NONE), (200, NONE)]
            assert room.net.events(first) == [(0, STARTED)], "never behind the back of one that works"
            room.net.answers = {first: ok(interval=100)}
            await asyncio.sleep(60)
            assert room.net.events(first)[1:] == [(300, STARTED)]
            assert [item.url.split("/")[2] for item in room.announcer.status()] == [first, second]

    run_leaping(main())


def test_every_tier_has_its_own_working_tracker():
    async def main():
        async with Room(["http://a.example/announce"], ["http://b.example/announce"]) as room:
            room.net.answers = {"a.example": ok(FRIEND), "b.example": ok(Endpoint("1.1.1.1", 5))}
            room.announcer.start()
            await asyncio.sleep(1)
            assert sorted(room.peers) == [Endpoint("1.1.1.1", 5), FRIEND]

    run_leaping(main())


def test_tiers_are_shuffled_within_but_not_among():
    orders = set()

    async def main():
        for seed in range(20):
            room = Room([f"http://{c}.example/announce" for c in "abc"], ["http://z.example/announce"])
            room.world.rng.seed(seed)
            room.announcer = TrackerAnnouncer(
                room.world,
                HASH,
                PEER,
                [["http://a.example/announce", "http://b.example/announce"], ["http://z.example/announce"]],
                int,
                lambda: AnnounceStats(0, 0, 1),
                print,
                room.udp,
                False,
            )
            names = [item.url[7] for item in room.announcer.status()]
            assert names[2] == "z"
            orders.add("".join(names))

    run_leaping(main())
    assert orders == {"abz", "baz"}


def test_announce_now_respects_the_minimum():
    async def main():
        async with Room(["http://a.example/announce"]) as room:
            room.net.answers["a.example"] = ok(interval=900, minimum=60)
            room.announcer.start()
            await asyncio.sleep(10)
            room.announcer.announce_now()
            room.announcer.announce_now()
            await asyncio.sleep(90)
            room.announcer.announce_now()
            await asyncio.sleep(5)
            assert room.net.events("a.example") == [(0, STARTED), (60, NONE)]
            await asyncio.sleep(30)
            assert room.net.events("a.example") == [(0, STARTED), (60, NONE), (120, NONE)]

    run_leaping(main())


def test_completed_is_owed_until_it_arrives():
    async def main():
        async with Room(["http://a.example/announce"]) as room:
            room.net.answers["a.example"] = ok()
            room.announcer.start()
            await asyncio.sleep(1)
            room.net.answers["a.example"] = TimeoutError()
            room.announcer.completed()
            await asyncio.sleep(1)
            room.net.answers["a.example"] = ok()
            await asyncio.sleep(30)
            room.announcer.announce_now()
            await asyncio.sleep(30)
            events = [event for _, event in room.net.events("a.example")]
            assert events == [STARTED, COMPLETED, COMPLETED, NONE]

    run_leaping(main())


def test_completed_while_an_announce_is_under_way_is_not_lost():
    async def main():
        async with Room(["http://a.example/announce"]) as room:

            def finish_meanwhile(request):
                if request.event is STARTED:
                    room.announcer.completed()
                return ok()

            room.net.answers["a.example"] = finish_meanwhile
            room.announcer.start()
            await asyncio.sleep(1)
            assert [event for _, event in room.net.events("a.example")] == [STARTED, COMPLETED]

    run_leaping(main())


def test_stop_waits_no_longer_than_its_deadline():
    async def main():
        async with Room(["http://a.example/announce"]) as room:
            room.net.answers["a.example"] = lambda r: "silence" if r.event is STOPPED else ok()
            room.announcer.start()
            await asyncio.sleep(1)
            before = room.world.clock.now()
            await room.announcer.stop()
            assert room.world.clock.now() - before == STOP_DEADLINE
            assert room.announcer.status()[0].next_in is None

    run_leaping(main())


def test_a_silent_tracker_times_out_and_cancel_is_clean():
    async def main():
        async with Room(["http://a.example/announce"]) as room:
            room.net.answers["a.example"] = "silence"
            room.announcer.start()
            await asyncio.sleep(31)
            assert room.announcer.status()[0].message == "no answer"
            await asyncio.sleep(20)  # asking again
            await room.announcer.stop()

    run_leaping(main())


def test_what_a_tracker_says_stays_fenced():
    async def main():
        async with Room(["http://a.example/pass123/announce"]) as room:
            room.net.answers["a.example"] = b"d14:failure reason9:click me!8:retry ini10ee"
            room.announcer.start()
            await asyncio.sleep(1)
            (status,) = room.announcer.status()
            assert (status.url, status.ok) == ("http://a.example/…", False)
            assert status.message == "the tracker refused"
            assert status.untrusted_text == "click me!"
            assert status.next_in == pytest.approx(599)
            room.net.answers["a.example"] = b"d14:failure reason4:gone8:retry in5:nevere"
            await asyncio.sleep(5000)
            assert len(room.net.asked) == 2
            assert room.announcer.status()[0].next_in is None

    run_leaping(main())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, b"<html>"), "HTTP status 404"),
        (b"<html>", "the tracker's answer is not bencoded"),
        ((403, b"d14:failure reason2:noe"), "the tracker refused"),
        (b"x" * (http.MAX_RESPONSE + 1), "too long"),
    ],
)
def test_answers_that_are_none(answer, message):
    async def main():
        async with Room(["http://a.example/announce"]) as room:
            room.net.answers["a.example"] = answer
            room.announcer.start()
            await asyncio.sleep(1)
            assert room.announcer.status()[0].message == message

    run_leaping(main())


@pytest.mark.parametrize(
    ("allow_private", "kept"),
    [
        (False, [FRIEND]),
        (True, [FRIEND, Endpoint("127.0.0.1", 7000), Endpoint("192.168.1.5", 19711)]),
    ],
)
def test_peers_that_are_no_use_are_dropped(allow_private, kept):
    peers = [
        FRIEND,
        FRIEND,
        Endpoint("127.0.0.1", 7000),
        Endpoint("127.0.0.1", 19711),
        Endpoint("8.8.8.8", 19711),
        Endpoint("192.168.1.5", 19711),
        Endpoint("224.0.0.1", 7000),
        Endpoint("0.0.0.0", 7000),
    ]
    packed = pack_v4(peers) + b"\1\2\3\4\0\0"
    body = b"d11:external ip4:\x08\x08\x08\x088:intervali600e5:peers%d:%be" % (len(packed), packed)

    async def main():
        async with Room(["http://a.example/announce"], allow_private=allow_private) as room:
            room.net.answers["a.example"] = body
            room.announcer.start()
            await asyncio.sleep(1)
            assert room.peers == kept
            assert room.announcer.status()[0].peers == len(kept)

    run_leaping(main())


def test_trackers_that_may_not_be_asked_are_shown_with_the_reason():
    async def main():
        tiers = [["http://10.0.0.1/announce", "ftp://x.example/pass", "http://u:secret@t.example/announce"]]
        async with Room(*tiers) as room:
            room.announcer.start()
            await asyncio.sleep(100)
            shown = {item.url: item.message for item in room.announcer.status()}
            assert list(shown) == ["http://10.0.0.1", "ftp://x.example", "http://t.example"]
            assert all(shown.values())
            assert room.net.asked == []
        async with Room(["http://svc.example/admin"], allow_private=True) as room:
            room.net.names["svc.example"] = ("127.0.0.1",)
            room.announcer.start()
            await asyncio.sleep(1)
            assert room.net.asked == []
            assert room.announcer.status()[0].message == "an address that this torrent may not ask"
        async with Room(["http://svc.example/announce"], allow_private=True) as room:
            room.net.names["svc.example"] = ("127.0.0.1",)
            room.announcer.start()
            await asyncio.sleep(1)
            assert len(room.net.asked) == 1

    run_leaping(main())


def test_no_more_trackers_than_the_limit():
    async def main():
        async with Room([f"http://t{n}.example/announce" for n in range(MAX_TRACKERS + 20)]) as room:
            assert len(room.announcer.status()) == MAX_TRACKERS

    run_leaping(main())


# ---- UDP


def udp_tracker(*peers: Endpoint, interval: int = 600) -> Callable[[udp.Request], bytes | None]:
    def answer(request: udp.Request) -> bytes | None:
        match request:
            case udp.ConnectRequest(tid):
                return udp.connect_reply(tid, b"conn" * 2)
            case udp.Announce(cid, tid, _, _):
                assert cid == b"connconn"
                return udp.announce_reply(tid, interval, 1, 2, pack_v4(peers) or pack_v6(peers))
            case udp.Scrape():
                return None

    return answer


def kinds(net: FakeNetwork) -> list[tuple[int, str]]:
    return [(round(at), type(request).__name__) for at, _, request in net.datagrams_sent]


def test_udp_connects_once_a_minute_for_all_transfers():
    async def main():
        async with Room(["udp://u.example:6969/announce?x=1"]) as room:
            room.net.udp[Endpoint("8.8.8.8", 6969)] = udp_tracker(FRIEND)
            request = AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1)
            here = Endpoint("8.8.8.8", 6969)
            answers = await asyncio.gather(*(room.udp.announce(here, request) for _ in range(3)))
            assert {answer.peers for answer in answers} == {(FRIEND,)}
            assert [kind for _, kind in kinds(room.net)] == ["ConnectRequest"] + ["Announce"] * 3
            await asyncio.sleep(CONNECTION_LIFE)
            room.announcer.start()
            await asyncio.sleep(1)
            assert [kind for _, kind in kinds(room.net)[4:]] == ["ConnectRequest", "Announce"]
            assert room.net.datagrams_sent[-1][2].url_data == b"/announce?x=1"
            assert room.peers == [FRIEND]
            assert len(room.net.sockets) == 1
        assert room.net.sockets[0].closed

    run_leaping(main())


def test_udp_resends_ever_later_then_gives_up():
    async def main():
        async with Room(["udp://u.example:6969"]) as room:
            room.announcer.start()
            await asyncio.sleep(110)
            assert kinds(room.net) == [(0, "ConnectRequest"), (15, "ConnectRequest"), (45, "ConnectRequest")]
            assert room.announcer.status()[0].message == "no answer"

    run_leaping(main())


def test_udp_reconnects_when_the_tracker_forgot_us():
    async def main():
        async with Room() as room:
            here, deaf = Endpoint("8.8.8.8", 6969), [True]

            def answer(request):
                return None if isinstance(request, udp.Announce) and deaf else udp_tracker(FRIEND)(request)

            room.net.udp[here] = answer
            task = asyncio.ensure_future(room.udp.announce(here, AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1)))
            await asyncio.sleep(RESEND_AFTER - 1)
            deaf.clear()
            assert (await task).peers == (FRIEND,)
            assert [kind for _, kind in kinds(room.net)] == ["ConnectRequest", "Announce"] * 2

    run_leaping(main())


def test_udp_believes_only_the_tracker_it_asked():
    async def main():
        async with Room() as room:
            here = Endpoint("8.8.8.8", 6969)
            real = udp_tracker(FRIEND)

            def answer(request):
                if isinstance(request, udp.Announce):
                    forged = udp.announce_reply(request.transaction_id, 1, 0, 0, pack_v4([Endpoint("6.6.6.6", 6)]))
                    room.net.sockets[0].on_datagram(forged, Endpoint("6.6.6.6", 6969))
                    room.net.sockets[0].on_datagram(b"\0", here)
                    room.net.sockets[0].on_datagram(udp.announce_reply(1, 1, 0, 0, b""), here)
                return real(request)

            room.net.udp[here] = answer
            request = AnnounceRequest(info_hash=HASH, peer_id=PEER, port=1)
            assert (await room.udp.announce(here, request)).peers == (FRIEND,)

    run_leaping(main())


def test_udp_errors_and_nonsense_end_the_attempt():
    async def main():
        async with Room(["udp://u.example:6969"]) as room:
            here = Endpoint("8.8.8.8", 6969)
            for reply, message in (
                (lambda tid: udp.error_reply(tid, "go away"), "the tracker refused"),
                (lambda tid: udp.scrape_reply(tid, []), "the tracker answered something else than was asked"),
                (lambda tid: udp.REPLY_HEAD.pack(0, tid), "the tracker's connect reply is too short"),
            ):
                room.net.udp[here] = lambda request, reply=reply: reply(request.transaction_id)
                room.announcer.start()
                await asyncio.sleep(1)
                assert room.announcer.status()[0].message == message
                await room.announcer.stop()
                room.announcer = TrackerAnnouncer(
                    room.world,
                    HASH,
                    PEER,
                    [["udp://u.example:6969"]],
                    int,
                    lambda: AnnounceStats(0, 0, 1),
                    print,
                    room.udp,
                    False,
                )

    run_leaping(main())


def test_udp_asks_both_families_and_joins_the_answers():
    async def main():
        v6 = Endpoint("2a00::1", 51413)
        async with Room(["udp://u.example:6969"]) as room:
            room.net.names["u.example"] = ("8.8.8.8", "2001:4860:4860::8888")
            room.net.udp[Endpoint("8.8.8.8", 6969)] = udp_tracker(FRIEND)
            room.net.udp[Endpoint("2001:4860:4860::8888", 6969)] = udp_tracker(v6)
            room.announcer.start()
            await asyncio.sleep(1)
            assert sorted(room.peers) == sorted([FRIEND, v6])
            del room.net.udp[Endpoint("2001:4860:4860::8888", 6969)]
            await room.announcer.stop()
            room.peers.clear()
            room.announcer.start()
            await asyncio.sleep(6)
            assert room.peers == [FRIEND], "a dead family does not hold up the other"

    run_leaping(main())


@pytest.mark.parametrize(
    "answer", [b"", b"d14:failure reason2:noe", b"d8:intervali600e5:peers6:\x08\x08\x08\x08\x1a\xe1e"]
)
def test_a_passkey_is_in_no_log_and_no_status(answer: bytes, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")

    async def main():
        tiers = [[f"http://t{n}.example/{path}"] for n, path in enumerate(["sesame/announce", "announce?key1=sesame"])]
        async with Room(*tiers) as room:
            for n in range(2):
                room.net.answers[f"t{n}.example"] = answer
            room.announcer.start()
            await asyncio.sleep(1)
            assert len(room.net.asked) == 2
            assert "sesame" not in repr(room.announcer.status())

    run_leaping(main())
    assert "tracker=" in caplog.text
    assert "sesame" not in caplog.text
