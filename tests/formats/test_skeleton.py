"""Skeleton and files together are the package, byte for byte."""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise

import bencode2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats import skeleton as module
from icworkshop_gui.formats.manifest import MANIFEST_PATH
from icworkshop_gui.formats.skeleton import LITERALS_MAX, FileSegment, Literal, Skeleton
from tests.helpers.builders import SAMPLE_FILES, built, content, foreign_package, package

BLOB = BlobId(bytes(32))


def assembled(skeleton: Skeleton, blobs: dict[bytes, bytes]) -> bytes:
    return b"".join(
        segment.data if isinstance(segment, Literal) else blobs[segment.sha256] for segment in skeleton.segments
    )


def blobs(*contents: bytes) -> dict[bytes, bytes]:
    return {hashlib.sha256(data).digest(): data for data in contents}


def test_skeleton_and_files_are_the_package():
    raw, report = built()
    skeleton = Skeleton.from_package(io.BytesIO(raw))
    assert skeleton == report.skeleton
    assert assembled(skeleton, blobs(*SAMPLE_FILES.values())) == raw
    assert skeleton.total_length == report.size
    assert [file.path for file in skeleton.files] == sorted(SAMPLE_FILES)
    assert not skeleton.is_whole
    for offset, segment in skeleton.with_offsets():
        if isinstance(segment, FileSegment):
            assert raw[offset : offset + segment.size] == SAMPLE_FILES[segment.path]
    empty = next(file for file in skeleton.files if file.path == "assets/empty.txt")
    assert (empty.size, empty.sha256) == (0, hashlib.sha256(b"").digest())


def test_the_manifest_is_in_the_skeleton():
    _, report = built()
    assert report.manifest.dump() in report.skeleton.segments[0].data
    assert MANIFEST_PATH not in [file.path for file in report.skeleton.files]


def test_a_foreign_package_of_stored_files_is_taken_apart():
    raw = foreign_package(compressed=["assets/fire.ogg"])
    skeleton = Skeleton.from_package(io.BytesIO(raw))
    assert "assets/fire.ogg" not in [file.path for file in skeleton.files]
    assert assembled(skeleton, blobs(*SAMPLE_FILES.values())) == raw


def test_a_large_compressed_package_is_kept_whole(monkeypatch):
    raw = foreign_package()
    assert not Skeleton.from_package(io.BytesIO(raw)).files
    monkeypatch.setattr(module, "LITERALS_MAX", len(raw) - 1)
    skeleton = Skeleton.from_package(io.BytesIO(raw))
    assert skeleton.segments == (FileSegment("", BlobId(hashlib.sha256(raw).digest()), len(raw)),)
    assert skeleton.is_whole
    assert Skeleton.decode(skeleton.encode()) == skeleton
    monkeypatch.setattr(module, "LITERALS_MAX", len(raw))
    assert not Skeleton.from_package(io.BytesIO(raw)).is_whole


def test_no_package_has_no_skeleton():
    raw = package()
    for broken in (raw[:5000], raw[4096:], raw[:-1], b""):
        with pytest.raises(FormatError):
            Skeleton.from_package(io.BytesIO(broken))


SEGMENTS = st.lists(
    st.binary(max_size=20).map(Literal)
    | st.builds(
        FileSegment, st.uuids().map(str), st.binary(min_size=32, max_size=32).map(BlobId), st.integers(0, 2**50)
    ),
    max_size=12,
)


@given(SEGMENTS)
def test_encoded_is_decoded(segments):
    total = sum(segment.size for segment in segments)
    try:
        skeleton = Skeleton.of(segments)
    except FormatError:
        assert total == 0
        return
    assert skeleton.total_length == total
    assert Skeleton.decode(skeleton.encode()) == skeleton
    assert not any(isinstance(a, Literal) and isinstance(b, Literal) for a, b in pairwise(skeleton.segments))


@pytest.mark.parametrize(
    "root",
    [
        [],
        {},
        {b"version": 2, b"segments": [[b"x"]]},
        {b"version": 1, b"segments": {}},
        {b"version": 1, b"segments": []},
        {b"version": 1, b"segments": [b"x"]},
        {b"version": 1, b"segments": [[]]},
        {b"version": 1, b"segments": [[1]]},
        {b"version": 1, b"segments": [[b""]]},
        {b"version": 1, b"segments": [[b"a", bytes(31), 1]]},
        {b"version": 1, b"segments": [[b"a", bytes(32), -1], [b"x"]]},
        {b"version": 1, b"segments": [[b"a", bytes(32), b"1"]]},
        {b"version": 1, b"segments": [[b"a", bytes(32), 1, 1]]},
        {b"version": 1, b"segments": [[b"\xff", bytes(32), 1]]},
        {b"version": 1, b"segments": [[b"../a", bytes(32), 1]]},
        {b"version": 1, b"segments": [[b"/a", bytes(32), 1]]},
        {b"version": 1, b"segments": [[b"", bytes(32), 1], [b"x"]]},
        {b"version": 1, b"segments": [[b"", bytes(32), 0]]},
        {b"version": 1, b"segments": [[b"a", bytes(32), 1], [b"a", bytes(32), 1]]},
        {b"version": 1, b"segments": [[b"a", bytes(32), 2**63 - 1], [b"b", bytes(32), 1]]},
    ],
)
def test_refused(root):
    with pytest.raises(FormatError):
        Skeleton.decode(bencode2.bencode(root))


def test_limits(monkeypatch):
    assert Skeleton.of([Literal(bytes(LITERALS_MAX))]).total_length == LITERALS_MAX
    with pytest.raises(FormatError, match="literal bytes"):
        Skeleton.of([Literal(bytes(LITERALS_MAX)), FileSegment("a", BLOB, 1), Literal(b"x")])
    monkeypatch.setattr(module, "SEGMENTS_MAX", 2)
    with pytest.raises(FormatError, match="more than 2"):
        Skeleton.of([FileSegment("a", BLOB, 1), FileSegment("b", BLOB, 1), Literal(b"x")])


@given(st.data())
def test_mutated_skeletons_are_read_or_refused(data):
    raw = bytearray(Skeleton.of([Literal(b"head"), FileSegment("a/b", BLOB, 7), Literal(content(9))]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b"0123456789:deil-/.\0\xff"))
    try:
        skeleton = Skeleton.decode(bytes(raw))
    except FormatError:
        return
    assert Skeleton.decode(skeleton.encode()) == skeleton
