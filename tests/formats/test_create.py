"""What we create is what libtorrent creates from the same files, and what the oracle reads."""

from __future__ import annotations

import hashlib
import io
import warnings

import bencodepy
import pytest

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.formats.bencode import decode
from icworkshop_gui.formats.create import (
    SourceFile,
    TorrentHasher,
    TorrentVersion,
    create_torrent,
    piece_length_for,
    torrent_file,
)
from icworkshop_gui.formats.metainfo import PIECES_MAX, Metainfo
from tests.helpers.builders import content, torrent

TREES = {
    "one small file": b"hello",
    "one file, odd last piece": content(100_001),
    "one file, exactly two pieces": content(65536),
    "one file, exactly one piece": content(32768),
    "one block short of a piece": content(32768 - 16384),
    "one file in a folder": {"only.bin": content(50_000)},
    "one file in a folder of its name": {"thing": content(50_000)},
    "several": {"b.txt": b"b", "Zed/y": content(40_000), "a/deep/er/x": content(70_000, 1), "a/file": content(32768)},
    "empty files": {"a": b"", "b": content(33_000), "c/empty": b"", "d": b"x", "z": b""},
    "folder beside a name with a dot": {"sub.a/x": content(20_000), "sub/big": content(300_000)},
    "scripts": {
        "Красная тревога.map": content(10_000, 1),
        "紅色警戒/地圖.ogg": content(20_000, 2),
        "إنذار/ملف": content(33_000, 3),
        "🎮.png": content(100, 4),
        "e\u0301té": b"nfd",
    },
    "same content twice": {"a": content(80_000), "b": content(80_000)},
    "two hundred": {f"maps/{number % 7}/{number:04}.oramap": content(number * 37, number) for number in range(1, 200)},
}
VERSIONS = [TorrentVersion.V1, TorrentVersion.V2, TorrentVersion.HYBRID]


def by_libtorrent(files, version, folder, piece_length=32768):
    lt = pytest.importorskip("libtorrent")
    flags = {TorrentVersion.V1: lt.create_torrent.v1_only, TorrentVersion.V2: lt.create_torrent.v2_only}.get(version, 0)
    single = isinstance(files, bytes)
    tree = {(): files} if single else {tuple(path.split("/")): data for path, data in files.items()}
    storage = lt.file_storage()
    # libtorrent keeps the order that it is given in v1; in v2 it sorts by itself.
    for path in sorted(tree, key=lambda path: [part.encode() for part in path]):
        place = folder.joinpath("thing", *path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tree[path])
        storage.add_file("/".join(("thing", *path)), len(tree[path]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker = lt.create_torrent(storage, piece_length, flags)
        lt.set_piece_hashes(maker, str(folder))
        return lt.bencode(maker.generate())


# libtorrent 2.1 orders the two halves of a hybrid differently here, and then refuses its own torrent.
DISORDERED = ("folder beside a name with a dot", TorrentVersion.HYBRID)


@pytest.mark.parametrize(
    ("tree", "version"), [(tree, version) for tree in TREES for version in VERSIONS if (tree, version) != DISORDERED]
)
def test_the_info_hash_is_libtorrents(tree, version, tmp_path):
    theirs = by_libtorrent(TREES[tree], version, tmp_path)
    ours = torrent(TREES[tree], version=version, piece_length=32768)
    mine, other = Metainfo.parse(ours), Metainfo.parse(theirs)
    assert bencodepy.decode(mine.info) == bencodepy.decode(other.info)
    assert (mine.info_hash, mine.info_hash_v2) == (other.info_hash, other.info_hash_v2)
    assert decode(ours).get(b"piece layers") == decode(theirs).get(b"piece layers")
    assert mine == other


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tree", TREES)
def test_libtorrent_reads_ours(tree, version):
    lt = pytest.importorskip("libtorrent")
    ours = torrent(TREES[tree], version=version, piece_length=32768)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = lt.torrent_info(ours)
        layout = info.layout()
        theirs = [
            (layout.file_path(index), layout.file_size(index), layout.file_offset(index))
            for index in range(layout.num_files())
            if not layout.file_flags(index) & lt.file_storage.flag_pad_file
        ]
    mine = Metainfo.parse(ours)
    assert [("/".join(file.path), file.size, file.offset) for file in mine.files if not file.is_pad and file.size] == [
        told for told in theirs if told[1]
    ]
    assert info.num_pieces() == mine.piece_count
    if mine.info_hash:
        assert str(info.info_hashes().v1) == str(mine.info_hash)
    if mine.info_hash_v2:
        assert str(info.info_hashes().v2) == str(mine.info_hash_v2)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tree", TREES)
def test_every_piece_matches_its_bytes_and_no_other(tree, version):
    files = TREES[tree]
    meta = Metainfo.parse(torrent(files, version=version, piece_length=32768))
    stream = bytearray(meta.geometry.total_length)
    for file in meta.files:
        if not file.is_pad:
            data = files if isinstance(files, bytes) else files["/".join(file.path[1:]) or file.path[0]]
            stream[file.offset : file.offset + file.size] = data
    for index in range(meta.piece_count):
        start = meta.geometry.piece_offset(index)
        piece = stream[start : start + meta.geometry.piece_size(index)]
        assert meta.piece_matches(index, piece)
        piece[-1] ^= 1
        assert not meta.piece_matches(index, piece)
        assert not meta.piece_matches(index, piece[:-1])


def test_the_oracle_reads_what_we_write():
    raw = torrent(
        {"a": b"1", "b": b"22"},
        trackers=[["http://one.example/announce", "udp://two.example:6969"], ["wss://three.example/"]],
        web_seeds=["https://seed.example/files/"],
        comment="für alle",
        created_by="icworkshop",
        creation_date=1_800_000_000,
        private=True,
    )
    told = bencodepy.decode(raw)
    assert bencodepy.encode(told) == raw
    assert told[b"announce"] == b"http://one.example/announce"
    assert told[b"announce-list"] == [
        [b"http://one.example/announce", b"udp://two.example:6969"],
        [b"wss://three.example/"],
    ]
    assert (told[b"creation date"], told[b"info"][b"private"]) == (1_800_000_000, 1)
    meta = Metainfo.parse(raw)
    assert meta.info_hash == hashlib.sha1(bencodepy.encode(told[b"info"])).digest()
    assert meta.trackers == (
        ("http://one.example/announce", "udp://two.example:6969"),
        ("wss://three.example/",),
    )
    assert (meta.web_seeds, meta.comment, meta.created_by, meta.private) == (
        ("https://seed.example/files/",),
        "für alle",
        "icworkshop",
        True,
    )


def test_private_changes_the_info_hash():
    assert Metainfo.parse(torrent(private=True)).info_hash != Metainfo.parse(torrent()).info_hash


@pytest.mark.parametrize(
    ("size", "piece_length"),
    [
        (1, 256 * KIB),
        (50_000_000, 256 * KIB),
        (50_000_001, MIB),
        (500_000_000, MIB),
        (500_000_001, 4 * MIB),
        (4 * MIB * PIECES_MAX, 4 * MIB),
        (4 * MIB * PIECES_MAX + 1, 8 * MIB),
    ],
)
def test_piece_length_rule(size, piece_length):
    assert piece_length_for(size) == piece_length


@pytest.mark.parametrize("version", VERSIONS)
def test_the_bytes_may_come_cut_anywhere(version):
    data = {"a": content(50_000, 1), "b": b"", "c": content(70_001, 2)}
    files = [((path,), len(part)) for path, part in data.items()]

    def hashed(step):
        hasher = TorrentHasher("thing", files, version=version, piece_length=16384)
        stream = b"".join(data["/".join(path)] for path, _ in hasher.files)
        for at in range(0, len(stream), step):
            hasher.update(stream[at : at + step])
        return hasher.finish()

    assert hashed(1_000_000) == hashed(16384) == hashed(7919) == hashed(333)


def test_progress_is_told_and_may_stop():
    told = []
    data = content(3 * MIB)
    file = SourceFile((), len(data), lambda: io.BytesIO(data))
    create_torrent("thing", [file], progress=lambda done, total: told.append((done, total)))
    assert told == [(MIB, 3 * MIB), (2 * MIB, 3 * MIB), (3 * MIB, 3 * MIB)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_torrent("thing", [file], progress=stop)


@pytest.mark.parametrize(("size", "word"), [(9, "grew"), (11, "shrank")])
def test_a_file_that_changes_meanwhile_is_an_error(size, word):
    with pytest.raises(FormatError, match=word):
        create_torrent("thing", [SourceFile(("a",), size, lambda: io.BytesIO(b"0123456789"))])


@pytest.mark.parametrize(
    ("paths", "word"),
    [
        ([], "at least one byte"),
        ([("a",), ("a",)], "twice"),
        ([("a",), ("a", "b")], "file and a folder"),
        ([(), ("b",)], "single file and a folder"),
        ([("..", "b")], "no name"),
        ([("a/b",)], "no name"),
        ([("",)], "no name"),
        ([("a\0b",)], "no name"),
        ([("half\ud800",)], "not Unicode"),
    ],
)
def test_names_that_no_torrent_can_have(paths, word):
    with pytest.raises(FormatError, match=word):
        TorrentHasher("thing", [(path, 1) for path in paths])


@pytest.mark.parametrize("piece_length", [0, 8192, 3 * 16384, 256 * MIB])
def test_illegal_piece_lengths(piece_length):
    with pytest.raises(FormatError, match="power of two"):
        TorrentHasher("thing", [((), 1)], piece_length=piece_length)


def test_other_limits():
    with pytest.raises(FormatError, match="pieces"):
        TorrentHasher("thing", [((), 16384 * PIECES_MAX + 1)], piece_length=16384)
    with pytest.raises(FormatError, match="at least one byte"):
        TorrentHasher("thing", [(("a",), 0)])
    with pytest.raises(FormatError, match="below zero"):
        TorrentHasher("thing", [(("a",), -1), (("b",), 5)])
    hasher = TorrentHasher("thing", [((), 3)])
    with pytest.raises(FormatError, match="fewer"):
        hasher.finish()
    with pytest.raises(FormatError, match="more bytes"):
        hasher.update(b"1234")


def test_an_info_dict_from_peers_becomes_a_torrent_again():
    meta = Metainfo.parse(torrent({"a": content(50_000), "b": b"2"}))
    again = Metainfo.parse(torrent_file(meta.info, trackers=[["udp://t.example:1"]]))
    assert again.info_hash == meta.info_hash
    assert again.trackers == (("udp://t.example:1",),)
    assert Metainfo.from_info(meta.info) == meta
