"""The pure parts of web seeds, from places to the reader; and whose turn it is."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE
from icworkshop_gui.engine.swarm.availability import Availability
from icworkshop_gui.engine.swarm.piece_tracker import PieceTracker
from icworkshop_gui.engine.swarm.webseed.answers import (
    RETRY_AFTER_MAX,
    Busy,
    RangesRefused,
    Refusal,
    busy_seconds,
    check_range,
    check_script,
    check_whole,
)
from icworkshop_gui.engine.swarm.webseed.claims import Claims
from icworkshop_gui.engine.swarm.webseed.config import WebSeedConfig
from icworkshop_gui.engine.swarm.webseed.gates import (
    LOBBY_EXTRA,
    Fitness,
    PeersView,
    SeedView,
    bytes_left,
    fitness,
    pieces_left,
    whole_files_help,
)
from icworkshop_gui.engine.swarm.webseed.places import FileMap, SeedKind, WebFile, WebSeedUrl
from icworkshop_gui.engine.swarm.webseed.reader import BlockReader
from icworkshop_gui.engine.swarm.webseed.seed import WebSeed
from icworkshop_gui.engine.swarm.webseed.share import HALF_LIFE, Share
from icworkshop_gui.engine.web_turn import FALLBACK_AFTER, HEAD_START, STANDS_BACK, TurnView, is_web_turn
from icworkshop_gui.formats.create import SourceFile, TorrentVersion, create_torrent
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import content, torrent
from tests.helpers.fake_peer import FakeAnswer

CONFIG = WebSeedConfig()
HASH = InfoHash(bytes(range(0x9C, 0xB0)))
PIECE = 4 * BLOCK_SIZE

# --- places --------------------------------------------------------------------------------------


def folder_torrent(files: dict[tuple[str, ...], int], name: str = "pub & co") -> FileMap:
    sources = [SourceFile(path, size, lambda size=size: io.BytesIO(bytes(size))) for path, size in files.items()]
    return FileMap.of(Metainfo.parse(create_torrent(name, sources, version=TorrentVersion.V1, piece_length=BLOCK_SIZE)))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://m.example/x/map.bin", "http://m.example/x/map.bin"),
        ("http://m.example/pub/", "http://m.example/pub/map%20%C3%A4.bin"),
        ("http://m.example/get?file=7", "http://m.example/get?file=7"),
    ],
)
def test_where_a_single_file_lies(url: str, asked: str) -> None:
    files = FileMap.of(Metainfo.parse(torrent(content(40_000), name="map ä.bin")))
    assert files.url(WebSeedUrl(url), files.files[0]) == asked


@pytest.mark.parametrize("url", ["http://m.example/pub", "http://m.example/pub/"])
def test_where_the_files_of_a_folder_lie(url: str) -> None:
    """BEP 19: root, the torrent's name, path; also for the root without its slash, as other clients read it."""
    files = folder_torrent({("a#b.txt",): 10, ("deep", "100%?.bin"): 20, ("empty",): 0, ("日本.ogg",): 5})
    root = "http://m.example/pub/pub%20%26%20co/"
    assert [files.url(WebSeedUrl(url), file).removeprefix(root) for file in files.files] == [
        "a%23b.txt",
        "deep/100%25%3F.bin",
        "%E6%97%A5%E6%9C%AC.ogg",
    ]  # fmt: skip


def test_the_server_knows_a_file_by_the_name_that_the_torrent_spells() -> None:
    """On the disk it gets a name that every system allows."""
    meta = Metainfo.parse(b"d4:infod5:filesld6:lengthi9e4:pathl7:con.txteed6:lengthi9e4:pathl2:..3:a:beee"
                          b"4:name3:x|y12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee")  # fmt: skip
    assert "con.txt" not in meta.files[0].path
    files = FileMap.of(meta)
    seed = WebSeedUrl("http://m.example/")
    assert files.url(seed, files.files[0]) == "http://m.example/x%7Cy/con.txt"
    # A path that would leave its folder is asked for by the name that we gave it.
    assert ".." not in files.url(seed, files.files[1])


def test_a_piece_over_several_files_is_a_span_of_each() -> None:
    files = FileMap(
        [
            WebFile("a", 100, 0),
            WebFile("e", 0, 100),
            WebFile("", 28, 100),
            WebFile("b", 50, 128),
            WebFile("c", 900, 178),
        ],
        HASH,
        is_single=False,
    )
    spans = [(span.file.path, span.first, span.last, span.length) for span in files.spans(90, 199)]
    assert spans == [("a", 90, 99, 10), ("", 100, 127, 28), ("b", 128, 177, 50), ("c", 178, 199, 22)]
    assert [span.file.path for span in files.spans(128, 128)] == ["b"]
    assert [span.file.path for span in files.spans(0, 1077)] == ["a", "", "b", "c"]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any), st.data())
def test_spans_cover_what_was_asked_and_nothing_else(sizes: list[int], data: st.DataObject) -> None:
    offset, listed = 0, []
    for number, size in enumerate(sizes):
        listed.append(WebFile(f"f{number}", size, offset))
        offset += size
    files = FileMap(listed, HASH, is_single=False)
    first = data.draw(st.integers(0, offset - 1))
    last = data.draw(st.integers(first, offset - 1))
    covered = [byte for span in files.spans(first, last) for byte in range(span.first, span.last + 1)]
    assert covered == list(range(first, last + 1))
    for span in files.spans(first, last):
        assert span.file.offset <= span.first <= span.last < span.file.end


def test_a_script_is_told_piece_and_ranges() -> None:
    """BEP 17."""
    files = FileMap([WebFile("x", 100, 0)], HASH, is_single=True)
    script = WebSeedUrl("http://m.example/seed.php", SeedKind.SCRIPT)
    quoted = "".join(f"%{byte:02X}" for byte in HASH)
    assert files.script_url(script, 8, [(49152, 131071), (180224, 262143)]) == (
        f"http://m.example/seed.php?info_hash={quoted}&piece=8&ranges=49152-131071,180224-262143"
    )
    other = WebSeedUrl("http://m.example/seed.php?a=1", SeedKind.SCRIPT)
    assert files.script_url(other, 0, [(0, 1)]).startswith("http://m.example/seed.php?a=1&info_hash=")


def test_what_is_shown_of_an_address_holds_no_secret() -> None:
    assert WebSeedUrl("https://me:word@m.example:81/p/?key=7#x").shown == "https://m.example:81/p/"


# --- answers -------------------------------------------------------------------------------------


def answer(status: int, **headers: str) -> FakeAnswer:
    return FakeAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("span", "length"), [("100-199/1000", 100), ("100-150/1000", 51), ("100-199/*", 100), ("100-100/1000", 1)]
)
def test_legal_ranges(span: str, length: int) -> None:
    assert check_range(answer(206, Content_Range=f"bytes {span}"), 100, 199, 1000) == length


@pytest.mark.parametrize(
    ("status", "headers", "lacking"),
    [
        (206, {}, True),
        (206, {"Content_Range": "bytes 0-99/1000"}, True),
        (206, {"Content_Range": "bytes 100-99/1000"}, True),
        (206, {"Content_Range": "bytes 100-199/999"}, True),
        (206, {"Content_Range": "bytes 100-200/1000"}, True),
        (206, {"Content_Range": "bytes 100-199"}, True),
        (206, {"Content_Range": "bytes 100-" + "9" * 400 + "/1000"}, True),
        (206, {"Content_Range": "bytes ١٠٠-199/1000"}, True),
        (200, {"Content_Length": "999"}, True),
        (200, {"Content_Length": "9" * 5000}, True),
        (204, {}, False),
        (301, {}, False),
        (401, {}, False),
        (404, {}, True),
        (416, {}, True),
        (429, {}, False),
        (500, {}, False),
    ],
)
def test_illegal_ranges(status: int, headers: dict[str, str], lacking: bool) -> None:
    with pytest.raises(Refusal) as refusal:
        check_range(answer(status, **headers), 100, 199, 1000)
    assert refusal.value.lacking is lacking


@pytest.mark.parametrize("headers", [{}, {"Content_Length": "1000"}, {"Content_Length": "what"}])
def test_the_whole_file_is_an_answer_only_to_who_asked_for_all_of_it(headers: dict[str, str]) -> None:
    assert check_range(answer(200, **headers), 0, 999, 1000) == 1000
    for first, last in ((0, 998), (1, 999)):
        with pytest.raises(RangesRefused):
            check_range(answer(200, **headers), first, last, 1000)
    check_whole(answer(200, **headers), 1000)


def test_who_is_busy_says_for_how_long() -> None:
    for status, after, seconds in ((503, "77", 77.0), (429, "5", 5.0), (503, "999999999", RETRY_AFTER_MAX)):
        with pytest.raises(Busy) as busy:
            check_range(answer(status, Retry_After=after), 0, 9, 10)
        assert busy.value.seconds == seconds
    for after in ("", "soon", "-1", "1e9", "9" * 5000, "٧"):
        with pytest.raises(Refusal) as refusal:
            check_range(answer(503, Retry_After=after), 0, 9, 10)
        assert not isinstance(refusal.value, Busy)


def test_scripts() -> None:
    check_script(answer(200), 10)
    check_script(answer(200, Content_Length="10"), 10)
    for status, length in ((200, "11"), (206, "10"), (404, "10")):
        with pytest.raises(Refusal):
            check_script(answer(status, Content_Length=length), 10)
    assert [busy_seconds(body) for body in (b"30", b" 7\n", b"", b"<html>", b"9" * 40, b"-1", b"\xff")] == [
        30.0, 7.0, None, None, None, None, None
    ]  # fmt: skip


# --- the gates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "active_in_all", "fit"),
    [
        (SeedView(), 0, Fitness.FIT),
        (SeedView(ranges=True, active=3), 15, Fitness.FIT),
        (SeedView(active=4), 4, Fitness.BUSY),
        (SeedView(active=1, parallel=1), 1, Fitness.BUSY),
        (SeedView(active=4, parallel=99), 4, Fitness.BUSY),
        (SeedView(), 16, Fitness.FULL),
        (SeedView(ranges=False), 0, Fitness.NO_RANGES),
        (SeedView(blocked_until=100.1), 0, Fitness.WAITING),
        (SeedView(blocked_until=100.0), 0, Fitness.FIT),
        (SeedView(given_up=True), 0, Fitness.GIVEN_UP),
        (SeedView(given_up=True, blocked_until=200.0, active=9, ranges=False), 99, Fitness.GIVEN_UP),
    ],
)
def test_gate_1(seed: SeedView, active_in_all: int, fit: Fitness) -> None:
    assert fitness(seed, 100.0, active_in_all, Tier.USER_REQUESTED, CONFIG) is fit


def test_a_lobby_does_not_wait_for_the_requests_of_others() -> None:
    full = CONFIG.max_requests_global
    assert fitness(SeedView(), 0.0, full, Tier.LOBBY_URGENT, CONFIG) is Fitness.FIT
    assert fitness(SeedView(), 0.0, full + LOBBY_EXTRA, Tier.LOBBY_URGENT, CONFIG) is Fitness.FULL


WELL = PeersView(healthy=2, pieces=0b0110, rate=200_000.0)
POOR = PeersView(healthy=1, pieces=0b0110, rate=900_000.0)


@pytest.mark.parametrize(
    ("peers_sent", "asked", "peers", "fraction", "left"),
    [
        (1000, 0, WELL, 0.8, 4000),
        (1000, 3999, WELL, 0.8, 1),
        (1000, 4000, WELL, 0.8, 0),
        (1000, 9000, WELL, 0.8, 0),
        (0, 0, WELL, 0.8, 0),
        (1000, 0, WELL, 0.5, 1000),
        (1000, 0, WELL, 0.0, 0),
        (1000, 9000, WELL, 1.0, None),
        (1000, 9000, POOR, 0.8, None),
        (0, 9000, PeersView(), 0.8, None),
    ],
)
def test_gate_2(peers_sent: int, asked: int, peers: PeersView, fraction: float, left: int | None) -> None:
    share = Share(0.0)
    share.peers_sent(peers_sent, 0.0)
    share.asked(asked, 0.0)
    found = bytes_left(share, peers, 0.0, WebSeedConfig(max_bandwidth_fraction=fraction))
    # In binary 0.8/0.2 is a hair under 4.
    assert found == left or (found is not None and left is not None and abs(found - left) <= 1)


@pytest.mark.parametrize(
    ("tier", "peers", "prefer", "left"),
    [
        (Tier.USER_REQUESTED, WELL, True, 0b1001),
        (Tier.BACKGROUND, WELL, True, 0b1001),
        (Tier.LOBBY_URGENT, WELL, True, 0b1111),
        (Tier.USER_REQUESTED, WELL, False, 0b1111),
        (Tier.USER_REQUESTED, POOR, True, 0b1111),
        (Tier.USER_REQUESTED, PeersView(), True, 0b1111),
        (Tier.USER_REQUESTED, PeersView(healthy=2, pieces=0b1111), True, 0),
    ],
)
def test_gate_3(tier: Tier, peers: PeersView, prefer: bool, left: int) -> None:
    assert pieces_left(0b1111, peers, tier, WebSeedConfig(prefer_bt_peers=prefer)) == left


@pytest.mark.parametrize(
    ("rate", "others_fit", "helps"),
    [(0.0, False, True), (0.0, True, False), (51_200.0, False, False), (51_199.0, False, True)],
)
def test_whole_files_only_when_nobody_else_helps(rate: float, others_fit: bool, helps: bool) -> None:
    assert whole_files_help(PeersView(rate=rate), others_fit, CONFIG) is helps


def test_the_share_fades() -> None:
    share = Share(0.0)
    share.peers_sent(1000, 0.0)
    assert share.left(0.5, 0.0) == 1000
    assert share.left(0.5, HALF_LIFE) == 500
    share.asked(300, HALF_LIFE)
    assert share.left(0.5, HALF_LIFE) == 200
    share.asked(-300, HALF_LIFE)
    assert share.left(0.5, HALF_LIFE) == 500
    # A clock that steps back changes nothing.
    assert share.left(0.5, 0.0) == 500


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 10**6), st.integers(0, 10**7)), max_size=60),
    st.sampled_from([0.2, 0.5, 0.8]),
)
def test_the_share_is_never_exceeded_over_the_whole(steps: list[tuple[float, int, int]], fraction: float) -> None:
    """Who asks for no more than is left stays within the fraction from the beginning on, whatever the rates do."""
    share, now, http, peers = Share(0.0), 0.0, 0, 0
    for pause, sent, wish in steps:
        now += pause
        share.peers_sent(sent, now)
        peers += sent
        left = share.left(fraction, now)
        assert left is not None
        share.asked(min(wish, left), now)
        http += min(wish, left)
        assert http <= fraction * (http + peers) + 1e-6 * peers + 1


# --- one server ----------------------------------------------------------------------------------


def seed() -> WebSeed:
    return WebSeed(WebSeedUrl("http://m.example/f"), 7)


def test_failures_and_the_circuit_breaker() -> None:
    one = seed()
    now, waits = 0.0, []
    for _ in range(7):
        one.failed("down", now, now, CONFIG)
        waits.append(one.blocked_until - now)
        now = one.blocked_until
    assert waits == [1, 2, 4, 8, 300, 300, 300]
    one.delivered()
    one.failed("down", now, now, CONFIG)
    assert one.blocked_until - now == 1
    assert one.message == "down"


def test_one_outage_counts_once_however_many_requests_it_ends() -> None:
    one = seed()
    for asked_at in (5.0, 6.0, 7.0, 8.0):
        one.failed("down", asked_at, 10.0, CONFIG)
    assert (one.failures, one.blocked_until) == (1, 11.0)


def test_a_busy_server_is_no_failing_one() -> None:
    one = seed()
    one.busy("busy", 40.0, 0.0)
    assert (one.failures, one.blocked_until) == (0, 40.0)
    one.busy("busy", 0.0, 50.0)
    assert one.blocked_until == 51.0, "never at once"


def test_three_bad_pieces_and_it_is_over() -> None:
    one = seed()
    one.cleared()
    assert one.view(CONFIG).parallel == 4
    for bad in (1, 2):
        one.lied(CONFIG)
        assert (one.bad_pieces, one.given_up, one.view(CONFIG).parallel) == (bad, False, 1)
    one.lied(CONFIG)
    assert one.given_up


def test_a_server_proves_itself_before_it_is_asked_for_much() -> None:
    one = seed()
    one.rate = 3_000_000
    assert (one.view(CONFIG).parallel, one.request_bytes(PIECE, CONFIG)) == (1, PIECE)
    one.cleared()
    assert (one.view(CONFIG).parallel, one.request_bytes(PIECE, CONFIG)) == (4, 3_000_000)
    one.rate = 10**9
    assert one.request_bytes(PIECE, CONFIG) == CONFIG.request_bytes
    one.rate = 10
    assert one.request_bytes(PIECE, CONFIG) == PIECE
    one.on_parole = True
    assert (one.view(CONFIG).parallel, one.request_bytes(PIECE, CONFIG)) == (1, PIECE)


def test_its_speed_is_that_of_the_seconds_in_which_it_was_asked() -> None:
    one = seed()
    one.active = 1
    for now in range(1, 31):
        one.received += 1000
        one.tick(float(now))
    assert one.rate == pytest.approx(1000)
    one.active = 0
    one.tick(31.0)
    measured = one.rate
    for now in range(32, 90):
        one.tick(float(now))
    assert one.rate == measured
    one.active = 1
    for now in range(90, 130):
        one.received += 4000
        one.tick(float(now))
    assert one.rate == pytest.approx(4000, rel=0.01)


# --- claims --------------------------------------------------------------------------------------


def books(availability: str, max_buffered: int = 10**9) -> tuple[PieceTracker, Claims]:
    """One digit a piece: how many peers have it."""
    count = len(availability)
    tracker = PieceTracker(Geometry(count * PIECE, PIECE), Bitfield(count))
    counts = Availability(count)
    for level in range(1, 10):
        counts.add(sum(1 << index for index, digit in enumerate(availability) if int(digit) >= level))
    return tracker, Claims(tracker, counts, Random(1), max_buffered)


def pieces_of(blocks: list[tuple[int, int]]) -> list[int]:
    return list(dict.fromkeys(index for index, _ in blocks))


def test_a_run_begins_with_the_rarest_and_goes_on_to_the_right() -> None:
    tracker, claims = books("9111119")
    everything = claims.work()
    assert pieces_of(claims.run(5, 2 * PIECE, everything, alone=False, scattered=False)) == [1, 2]
    assert pieces_of(claims.run(5, 99 * PIECE, everything, alone=False, scattered=False)) == [3, 4, 5, 6]
    assert pieces_of(claims.run(5, 1, everything, alone=False, scattered=False)) == [0]
    assert claims.run(5, 1, everything, alone=False, scattered=False) == []
    assert claims.work() == 0
    tracker.check_invariants()


def test_players_who_begin_together_begin_in_different_places() -> None:
    starts = set()
    for chance in range(30):
        tracker, _ = books("1" * 40)
        claims = Claims(tracker, Availability(40), Random(chance), 10**9)
        starts.add(claims.run(5, PIECE, claims.work(), alone=False, scattered=True)[0][0])
    assert len(starts) > 15


def test_only_pieces_that_the_gates_let_through() -> None:
    _, claims = books("1111")
    assert pieces_of(claims.run(5, 99 * PIECE, 0b1010, alone=False, scattered=False)) == [1]
    assert claims.run(5, 99 * PIECE, 0, alone=False, scattered=False) == []


def test_what_peers_left_lying_comes_first_but_not_for_who_is_on_parole() -> None:
    tracker, claims = books("111")
    tracker.ask(tracker.open_piece(2), 1, 9)
    assert claims.run(5, PIECE, claims.work(), alone=True, scattered=False) == [(0, b) for b in range(4)]
    assert tracker.open[0].exclusive == 5
    assert claims.run(6, 99 * PIECE, claims.work(), alone=False, scattered=False) == [(2, b) for b in (1, 2, 3)]
    assert pieces_of(claims.run(6, 99 * PIECE, claims.work(), alone=False, scattered=False)) == [1]


def test_a_piece_of_somebody_on_parole_is_left_to_it() -> None:
    tracker, claims = books("1")
    piece = tracker.open_piece(0, exclusive=9)
    tracker.ask(piece, 1, 9)
    assert claims.work() == 0
    assert claims.run(5, PIECE, 1, alone=False, scattered=False) == []
    assert claims.piece(5, 0) == []


def test_web_servers_leave_half_of_the_memory_to_peers() -> None:
    _, claims = books("111111", max_buffered=4 * PIECE)
    assert len(pieces_of(claims.run(5, 99 * PIECE, claims.work(), alone=False, scattered=False))) == 2
    assert claims.piece(5, 3) == []


# --- the reader ----------------------------------------------------------------------------------


def spans(geometry: Geometry) -> Callable[[tuple[int, int]], tuple[int, int]]:
    """Whole blocks."""
    return lambda place: (geometry.piece_offset(place[0]) + place[1] * BLOCK_SIZE, geometry.block_size(*place))


@given(
    st.integers(1, 5 * BLOCK_SIZE),
    st.lists(st.integers(1, 30_000), min_size=1, max_size=8),
    st.integers(0, 3),
    st.data(),
)
def test_blocks_come_out_however_the_stream_is_cut(
    length: int, cuts: list[int], start: int, data: st.DataObject
) -> None:
    geometry = Geometry(length, 2 * BLOCK_SIZE)
    whole = content(length)
    places = [(index, block) for index in range(geometry.piece_count) for block in range(geometry.block_count(index))]
    waited = [place for place in places if data.draw(st.booleans())]
    start = min(start * BLOCK_SIZE, length - 1) // BLOCK_SIZE * BLOCK_SIZE
    waited = [place for place in waited if geometry.piece_offset(place[0]) + place[1] * BLOCK_SIZE >= start]
    reader = BlockReader(spans(geometry), deque(waited), start)
    came: dict[tuple[int, int], bytes] = {}
    at, turn = start, 0
    while at < length:
        step = cuts[turn % len(cuts)]
        for place, view in reader.feed(whole[at : at + step]):
            came[place] = bytes(view)
        at, turn = at + step, turn + 1
    assert list(came) == waited
    for (index, block), got in came.items():
        begin = geometry.piece_offset(index) + block * BLOCK_SIZE
        assert got == whole[begin : begin + geometry.block_size(index, block)]
    assert reader.position == length
    assert reader.skipped == length - start - sum(map(len, came.values()))


def test_half_a_block_that_another_sent_meanwhile_is_waste() -> None:
    geometry = Geometry(3 * BLOCK_SIZE, 4 * BLOCK_SIZE)
    blocks = deque([(0, 0), (0, 1), (0, 2)])
    reader = BlockReader(spans(geometry), blocks, 0)
    assert [place for place, _ in reader.feed(bytes(BLOCK_SIZE + 100))] == [(0, 0)]
    blocks.remove((0, 1))
    assert [place for place, _ in reader.feed(bytes(2 * BLOCK_SIZE - 100))] == [(0, 2)]
    assert reader.skipped == BLOCK_SIZE


# --- whose turn it is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "turn"),
    [
        (TurnView(), False),
        (TurnView(elapsed=HEAD_START), True),
        (TurnView(nobody_known=True), True),
        (TurnView(tier=Tier.LOBBY_URGENT), True),
        (TurnView(peers_first=False), True),
        (TurnView(is_on=True), True),
        (TurnView(http_only=True), True),
        (TurnView(http_only=True, enabled=False), True),
        (TurnView(enabled=False, elapsed=99.0, quiet=FALLBACK_AFTER - 0.1), False),
        (TurnView(enabled=False, quiet=FALLBACK_AFTER), True),
        (TurnView(enabled=False, quiet=FALLBACK_AFTER, is_package=False), False),
        (TurnView(enabled=False, is_on=True, rate_peers=STANDS_BACK - 1), True),
        (TurnView(enabled=False, is_on=True, rate_peers=STANDS_BACK), False),
    ],
)
def test_whose_turn_it_is(view: TurnView, turn: bool) -> None:
    assert is_web_turn(view) is turn
