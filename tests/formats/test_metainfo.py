"""Torrents as strangers make them: what is legal is read, everything else is a clear error."""

from __future__ import annotations

import bencode2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import filetree
from icworkshop_gui.formats.bencode import TORRENT_LIMITS
from icworkshop_gui.formats.create import TorrentVersion
from icworkshop_gui.formats.metainfo import PIECE_LENGTH_MAX, PIECE_LENGTH_MIN, PIECES_MAX, TEXT_MAX, Metainfo
from icworkshop_gui.formats.paths import DEPTH_MAX, DUPLICATES_MAX
from icworkshop_gui.formats.urls import TRACKERS_MAX, URL_BYTES_MAX, WEB_SEEDS_MAX, is_tracker_url, is_web_seed_url
from tests.helpers.builders import content, torrent, v1_torrent

V1, V2, HYBRID = TorrentVersion.V1, TorrentVersion.V2, TorrentVersion.HYBRID
TWO = {"a": content(40_000, 1), "b/c": content(50_000, 2)}


def refused(data, word):
    with pytest.raises(FormatError, match=word):
        Metainfo.parse(data)


def test_single_file():
    meta = Metainfo.parse(torrent(content(40_000), name="map.oramap"))
    assert meta.is_single_file
    assert meta.files == ((("map.oramap",), 40_000, 0, False),)
    assert (meta.piece_count, meta.total_size, meta.name) == (3, 40_000, "map.oramap")
    assert meta.piece_hash(2) == meta.pieces[40:]
    for index in (-1, 3):
        with pytest.raises(IndexError):
            meta.piece_hash(index)
        with pytest.raises(IndexError):
            meta.piece_root(index)
    assert meta.swarm_hash == meta.info_hash


def test_several_files_lie_below_the_name():
    meta = Metainfo.parse(torrent(TWO))
    assert meta.files == ((("thing", "a"), 40_000, 0, False), (("thing", "b", "c"), 50_000, 40_000, False))
    assert not meta.is_single_file


def test_v2_files_begin_with_a_piece():
    meta = Metainfo.parse(torrent(TWO, version=V2))
    assert [(file.size, file.offset, file.is_pad) for file in meta.files] == [
        (40_000, 0, False),
        (9152, 40_000, True),
        (50_000, 49152, False),
    ]
    assert (meta.info_hash, meta.pieces, meta.total_size) == (None, b"", 90_000)
    assert meta.swarm_hash == meta.info_hash_v2[:20]
    assert meta.piece_count == len(meta.piece_roots) // 32 == 7


def test_a_hybrid_has_both():
    meta = Metainfo.parse(torrent(TWO, version=HYBRID))
    assert meta.info_hash is not None
    assert meta.info_hash_v2 is not None
    assert meta.total_size == 90_000
    assert meta.swarm_hash == meta.info_hash
    assert len(meta.pieces) // 20 == len(meta.piece_roots) // 32 == meta.piece_count


def test_a_v2_info_dict_from_peers_has_no_layers_yet():
    meta = Metainfo.from_info(Metainfo.parse(torrent(TWO, version=V2)).info)
    assert meta.piece_roots == b""
    assert not meta.piece_matches(0, TWO["a"][:16384])


@pytest.mark.parametrize(("info", "word"), [(b"", "breaks off"), (b"le", "no dict"), (b"dex", "stray")])
def test_illegal_info_dicts_from_peers(info, word):
    with pytest.raises(FormatError, match=word):
        Metainfo.from_info(info)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "breaks off"),
        (b"le", "no info"),
        (b"de", "no info"),
        (b"d4:infoi1ee", "no dict"),
        (b"d4:infodee", "without piece hashes"),
        (torrent() + b"x", "stray"),
        (torrent(without=[b"name"]), "without a name"),
        (torrent(info={b"name": 5}), "without a name"),
        (torrent(without=[b"pieces"]), "without piece hashes"),
        (torrent(without=[b"length"]), "without files"),
        (torrent(info={b"length": -1}), "proper length"),
        (torrent(info={b"length": b"14"}), "proper length"),
        (torrent(info={b"length": 0, b"pieces": b""}), "single byte"),
        (torrent(info={b"files": []}), "at once"),
        (torrent(TWO, info={b"files": []}), "without files"),
        (torrent(TWO, info={b"files": [1]}), "no dict"),
        (torrent(TWO, info={b"files": [{b"length": 1}]}), "without a path"),
        (torrent(TWO, info={b"files": [{b"length": 1, b"path": []}]}), "without a path"),
        (torrent(TWO, info={b"files": [{b"length": 1, b"path": [1]}]}), "without a path"),
        (torrent(TWO, info={b"files": [{b"length": -5, b"path": [b"x"]}]}), "proper length"),
        (torrent(without=[b"piece length"]), "piece length"),
        (torrent(info={b"piece length": 0}), "piece length"),
        (torrent(info={b"piece length": -16384}), "piece length"),
        (torrent(info={b"piece length": PIECE_LENGTH_MIN - 1}), "piece length"),
        (torrent(info={b"piece length": PIECE_LENGTH_MAX + 1}), "piece length"),
        (torrent(info={b"pieces": bytes(19)}), "SHA-1"),
        (torrent(info={b"pieces": bytes(21)}), "SHA-1"),
        (torrent(info={b"pieces": bytes(40)}), "SHA-1"),
        (torrent(info={b"pieces": 1}), "SHA-1"),
        (torrent(info={b"meta version": 3}), "version"),
        (torrent(info={b"meta version": b"2"}), "version"),
        (torrent(info={b"meta version": 2}), "file tree"),
        (torrent(info={b"length": 2**63 - 1}), "pieces"),
        (torrent(TWO, info={b"files": [{b"length": 2**62, b"path": [b"%d" % n]} for n in range(2)]}), "2\\^63"),
    ],
)
def test_illegal_v1(data, word):
    refused(data, word)


def leaf(size, root=b"r" * 32):
    return {b"": {b"length": size, b"pieces root": root}}


@pytest.mark.parametrize("version", [V2, HYBRID])
@pytest.mark.parametrize(
    ("info", "word"),
    [
        ({b"piece length": 3 * 16384}, "power of two"),
        ({b"file tree": 1}, "branch"),
        ({b"file tree": {}}, "branch"),
        ({b"file tree": {b"a": {}}}, "branch"),
        ({b"file tree": {b"a": 1}}, "branch"),
        ({b"file tree": {b"": {b"length": 1}}}, "also a folder"),
        ({b"file tree": {b"a": {**leaf(5), b"b": leaf(5)}}}, "also a folder"),
        ({b"file tree": {b"a": {b"": 1}}}, "no dict"),
        ({b"file tree": {b"a": leaf(-1)}}, "proper length"),
        ({b"file tree": {b"a": leaf(5, b"r" * 31)}}, "pieces root"),
        ({b"file tree": {b"a": leaf(0)}}, "pieces root"),
        ({b"file tree": {b"a": {b"": {b"length": 5}}}}, "pieces root"),
        ({b"file tree": {b"a": {b"": {b"length": 0}}}}, "single byte|differ"),
    ],
)
def test_illegal_v2(version, info, word):
    refused(torrent(TWO, version=version, info=info), word)


@pytest.mark.parametrize("version", [V2, HYBRID])
def test_piece_layers_must_hash_to_their_roots(version):
    good = torrent(TWO, version=version)
    layers = bencode2.bdecode(good)[b"piece layers"]
    (first, layer), *rest = layers.items()
    for lie in (layer[:-32], layer + bytes(32), layer[:-1] + b"\0", b"", 1):
        refused(torrent(TWO, version=version, root={b"piece layers": {**layers, first: lie}}), "piece layer")
    refused(torrent(TWO, version=version, root={b"piece layers": dict(rest)}), "piece layer")
    # Left out altogether they are like the metadata of a magnet link: nothing is wrong, and no tree hash known.
    assert Metainfo.parse(torrent(TWO, version=version, without=[b"piece layers"])).piece_roots == b""
    refused(torrent(TWO, version=version, root={b"piece layers": []}), "no dict")
    swapped = dict(zip(layers, reversed(layers.values()), strict=True))
    refused(torrent(TWO, version=version, root={b"piece layers": swapped}), "piece layer")


def test_v2_keys_must_be_in_order():
    good = torrent(TWO, version=V2)
    swapped = good.replace(b"12:meta versioni2e", b"").replace(b"4:infod", b"4:infod12:meta versioni2e")
    assert len(swapped) == len(good)
    refused(swapped, "out of order")


def test_v1_keys_may_be_out_of_order():
    good = torrent(name="x")
    odd = good.replace(b"4:name1:x", b"").replace(b"4:infod", b"4:infod4:name1:x")
    assert len(odd) == len(good)
    meta = Metainfo.parse(odd)
    assert meta.name == "x"
    assert meta.info_hash != Metainfo.parse(good).info_hash


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda info: info[b"files"].reverse(), "differ"),
        (lambda info: info[b"files"][0].update({b"path": [b"A"]}), "differ"),
        (lambda info: info[b"files"][0].update({b"length": 40_001}), "differ"),
        (lambda info: info[b"files"].pop(1), "begin with a piece"),
        (lambda info: info[b"files"].insert(0, {b"attr": b"p", b"length": 16384, b"path": []}), "aligns nothing"),
        (lambda info: info[b"files"].append({b"attr": b"p", b"length": 1, b"path": []}), "aligns nothing"),
    ],
)
def test_the_halves_of_a_hybrid_must_agree(change, word):
    refused(torrent(TWO, version=HYBRID, edit=change), word)


def test_padding_at_the_end_of_a_hybrid_is_optional():
    meta = Metainfo.parse(torrent(TWO, version=HYBRID, edit=lambda info: info[b"files"].pop()))
    assert meta.total_size == 90_000
    assert not meta.files[-1].is_pad


def test_padding_and_symlinks():
    files = [
        {b"length": 100, b"path": [b"a"]},
        {b"length": 50, b"attr": b"p", b"path": [b".pad", b"50"]},
        {b"length": 0, b"attr": b"l", b"path": [b"link"], b"symlink path": [b"..", b"..", b"etc"]},
        {b"length": 10, b"attr": b"xh", b"path": [b"b"]},
    ]
    meta = Metainfo.parse(torrent({"x": bytes(160)}, info={b"files": files}))
    assert [(file.path, file.offset, file.is_pad) for file in meta.files] == [
        (("thing", "a"), 0, False),
        ((".pad", "50"), 100, True),
        (("thing", "b"), 150, False),
    ]
    assert (meta.geometry.total_length, meta.total_size) == (160, 110)


def test_a_torrent_of_padding_alone_is_none():
    refused(torrent({"x": bytes(9)}, info={b"files": [{b"length": 9, b"attr": b"p", b"path": [b"p"]}]}), "single byte")


def test_hostile_names_are_made_safe():
    paths = [[b"..", b"..", b"etc", b"passwd"], [b"/abs"], [b"C:\\x"], [b"CON"], [b"same"], [b"SAME"], [b"a\xff"]]
    meta = Metainfo.parse(v1_torrent(paths, name=b"../../up"))
    assert [file.path for file in meta.files] == [
        ("....up", "etc", "passwd"),
        ("....up", "abs"),
        ("....up", "C_x"),
        ("....up", "_CON"),
        ("....up", "same"),
        ("....up", "SAME.1"),
        ("....up", "a_"),
    ]


def test_a_name_that_says_nothing_becomes_the_hash():
    meta = Metainfo.parse(torrent(info={b"name": b".."}))
    assert meta.name == str(meta.info_hash)
    assert meta.files[0].path == (meta.name,)


def test_a_file_named_nothing_but_dots_is_an_error():
    refused(v1_torrent([[b".."]]), "without a name")


@given(st.lists(st.lists(st.binary(max_size=8), min_size=1, max_size=4), min_size=1, max_size=8), st.binary(max_size=8))
def test_no_file_of_a_torrent_escapes(paths, name):
    try:
        meta = Metainfo.parse(v1_torrent(paths, name=name))
    except FormatError:
        return
    places = [file.path for file in meta.files]
    assert len(set(places)) == len(places)
    for place in places:
        assert place[0] == meta.name
        assert not {"", ".", ".."} & set(place)
        assert not any("/" in part or "\\" in part or "\0" in part for part in place)


@given(st.data())
def test_mutated_torrents_are_read_or_refused(data):
    raw = bytearray(torrent(TWO, version=data.draw(st.sampled_from(list(TorrentVersion)))))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b"0123456789:deil-a\0"))
    try:
        Metainfo.parse(bytes(raw))
    except FormatError:
        pass


def test_utf8_keys_win():
    assert Metainfo.parse(torrent(info={b"name": b"\xba", b"name.utf-8": "ё".encode()})).name == "ё"


def test_comments_are_cut_and_cleaned():
    meta = Metainfo.parse(torrent(root={b"comment": b"\x1b[31mred\n" + b"x" * 2 * TEXT_MAX, b"created by": 3}))
    assert meta.comment.startswith("[31mred\nxxx")
    assert len(meta.comment) < TEXT_MAX
    assert meta.created_by == ""


def test_the_size_limits_are_where_they_are_said_to_be():
    refused(torrent(root={b"comment": bytes(TORRENT_LIMITS.size)}), "allowed")
    pieces = bytes(20 * (PIECES_MAX // 16))
    size = 16384 * (PIECES_MAX // 16)
    assert Metainfo.parse(torrent(info={b"length": size, b"pieces": pieces})).piece_count == PIECES_MAX // 16
    refused(torrent(info={b"length": 16384 * PIECES_MAX + 1}), "pieces")
    assert Metainfo.parse(v1_torrent([[b"a"] * DEPTH_MAX])).files
    refused(v1_torrent([[b"a"] * (DEPTH_MAX + 1)]), "folders")
    assert Metainfo.parse(v1_torrent([[b"a"]] * (DUPLICATES_MAX + 1))).files
    refused(v1_torrent([[b"a"]] * (DUPLICATES_MAX + 2)), "share their names")


def test_a_deep_tree_is_refused():
    tree = leaf(5)
    for _ in range(DEPTH_MAX - 10):
        tree = {b"d": tree}
    assert len(Metainfo.parse(torrent(b"12345", version=V2, info={b"file tree": tree})).files[0].path) > 80
    for _ in range(20):
        tree = {b"d": tree}
    refused(torrent(b"12345", version=V2, info={b"file tree": tree}), "deeper|folders")


def test_file_count_limits(monkeypatch):
    monkeypatch.setattr(filetree, "FILES_MAX", 3)
    many = {f"{number}": b"x" for number in range(4)}
    for version in TorrentVersion:
        refused(torrent(many, version=version), "more than 3 files")
    monkeypatch.undo()
    monkeypatch.setattr(filetree, "PATH_ELEMENTS_MAX", 3)
    for version in TorrentVersion:
        refused(torrent(many, version=version), "elements")


def test_trackers_are_filtered():
    urls = [
        b"http://ok.example/announce",
        b"ftp://no.example/",
        b"file:///etc/passwd",
        b"http://ok.example/announce",
        "http://bücher.example/".encode(),
        b"http://x.example/?info_hash=abc",
        b"udp://ok.example:6969",
        b"http:///nohost",
        b"http://a b.example/",
        b"http://line\nbreak.example/",
        b"http://bad.example:99999/",
        b"\xff\xfe",
    ]
    meta = Metainfo.parse(torrent(root={b"announce-list": [urls, [1, b"wss://t.example/ws"], b"udp://s.example:1", 7]}))
    assert meta.trackers == (
        ("http://ok.example/announce", "udp://ok.example:6969"),
        ("wss://t.example/ws",),
        ("udp://s.example:1",),
    )
    meta = Metainfo.parse(torrent(root={b"announce": b"http://one.example/a", b"announce-list": [[]]}))
    assert meta.trackers == (("http://one.example/a",),)


def test_tracker_and_web_seed_limits():
    many = [[b"http://%d.example/announce" % number] for number in range(TRACKERS_MAX + 1)]
    seeds = [b"http://%d.example/" % number for number in range(WEB_SEEDS_MAX + 1)]
    meta = Metainfo.parse(torrent(root={b"announce-list": many, b"url-list": seeds}))
    assert len(meta.trackers) == TRACKERS_MAX
    assert len(meta.web_seeds) == WEB_SEEDS_MAX
    assert Metainfo.parse(torrent(root={b"url-list": b"http://one.example/f"})).web_seeds == ("http://one.example/f",)
    long = "http://x.example/" + "a" * URL_BYTES_MAX
    assert not is_tracker_url(long)
    assert is_tracker_url(long[:URL_BYTES_MAX])
    assert not is_tracker_url("http://x.example/?" + "a=1&" * 100)
    assert not is_web_seed_url("udp://x.example:1")
    assert not is_web_seed_url("http://x.example\\@evil.example/")
