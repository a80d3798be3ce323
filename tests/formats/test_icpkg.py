"""Packages: the same input is the same bytes, they open anywhere, and a header block that lies is named."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import header as h
from icworkshop_gui.formats import zipformat
from icworkshop_gui.formats.archive import iter_content, read_archive, read_content
from icworkshop_gui.formats.header import HEADER_SIZE, build_header, parse_header
from icworkshop_gui.formats.icpkg import PackageFile, read_package, write_package
from icworkshop_gui.formats.manifest import MANIFEST_PATH
from icworkshop_gui.formats.skeleton import Skeleton
from tests.helpers.builders import (
    SAMPLE_FILES,
    Raw,
    built,
    content,
    files_of,
    foreign_package,
    header_block,
    manifest,
    package,
    raw_zip,
)

KNOWN_SHA256 = "ce097c1f2887d578bf0bc9de392156b18ec791c383ba6b281ac1bf077c682511"
"""Of the sample package: whatever system or version builds it, these are its bytes."""


def unpack(raw: bytes) -> dict[str, bytes]:
    file = io.BytesIO(raw)
    return {entry.path: b"".join(iter_content(file, entry)) for entry in read_package(file).entries}


def test_written_is_read():
    raw, report = built()
    assert (report.size, report.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    contents = read_package(io.BytesIO(raw))
    assert contents.manifest == report.manifest
    assert contents.manifest.files == files_of(SAMPLE_FILES)
    assert contents.size == len(raw)
    assert contents.header.manifest.ref == report.manifest.ref
    assert [entry.path for entry in contents.entries] == [MANIFEST_PATH, *sorted(SAMPLE_FILES)]
    assert unpack(raw) == {MANIFEST_PATH: report.manifest.dump(), **SAMPLE_FILES}
    assert contents.raw_manifest == report.manifest.dump()
    assert contents.entry("README.md").size == len(SAMPLE_FILES["README.md"])
    assert contents.entry("nothing") is None


def test_the_same_input_is_the_same_bytes():
    assert package() == package(dict(reversed(SAMPLE_FILES.items())))
    assert hashlib.sha256(package()).hexdigest() == KNOWN_SHA256


def test_any_zip_reader_opens_it_whole_and_cut_out():
    raw = package()
    for data in (raw, raw[HEADER_SIZE:]):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert archive.namelist()[0] == MANIFEST_PATH
            assert {name: archive.read(name) for name in SAMPLE_FILES} == SAMPLE_FILES
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert {entry.external_attr for entry in archive.infolist()} == {0o100644 << 16}


def test_a_package_without_files():
    assert list(unpack(package({}))) == [MANIFEST_PATH]


PATHS = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d", "ё/漢", "z.txt", "b.x"]), st.binary(max_size=300), max_size=6
)


@given(PATHS)
def test_any_files_survive(files):
    raw, report = built(files)
    inside = unpack(raw)
    inside.pop(MANIFEST_PATH)
    assert inside == files
    assert report.skeleton.total_length == len(raw)


def test_packages_of_others_may_be_compressed():
    raw = foreign_package()
    inside = unpack(raw)
    inside.pop(MANIFEST_PATH)
    assert inside == SAMPLE_FILES


def test_writing_never_holds_the_content():
    size = 64_000_000

    class Endless(io.RawIOBase):
        left = size

        def read(self, count=-1):
            taken = min(count, self.left)
            self.left -= taken
            return bytes(taken)

    class Nowhere(io.RawIOBase):
        def write(self, data):
            return len(data)

    tracemalloc.start()
    report = write_package(Nowhere(), manifest(), [PackageFile("big.bin", size, Endless)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.size > size
    assert peak < 6_000_000


def test_progress_counts_both_passes():
    told = []
    write_package(
        io.BytesIO(),
        manifest(),
        [PackageFile("a", 3, lambda: io.BytesIO(b"abc")), PackageFile("b", 2, lambda: io.BytesIO(b"de"))],
        lambda done, total: told.append((done, total)),
    )
    assert told == [(3, 10), (5, 10), (8, 10), (10, 10)]


@pytest.mark.parametrize(("size", "word"), [(2, "grew"), (4, "shrank")])
def test_a_file_of_another_size_is_an_error(size, word):
    with pytest.raises(FormatError, match=word):
        write_package(io.BytesIO(), manifest(), [PackageFile("a", size, lambda: io.BytesIO(b"abc"))])


def test_a_file_that_changes_between_the_passes_is_an_error():
    versions = iter([b"abc", b"abd"])
    with pytest.raises(FormatError, match="changed"):
        write_package(io.BytesIO(), manifest(), [PackageFile("a", 3, lambda: io.BytesIO(next(versions)))])


@pytest.mark.parametrize("path", ["../x", "/x", "a\\b", "con", "a:b", "", "manifest.yaml", "x/../y", "half\ud800"])
def test_paths_that_no_package_can_have(path):
    with pytest.raises(FormatError):
        write_package(io.BytesIO(), manifest(), [PackageFile(path, 0, io.BytesIO)])


def test_paths_that_collide():
    for pair in (("a", "A"), ("é", "e\u0301"), ("a", "a/b"), ("a", "a")):
        with pytest.raises(FormatError):
            write_package(io.BytesIO(), manifest(), [PackageFile(path, 0, io.BytesIO) for path in pair])


def test_zip64_where_it_is_needed(monkeypatch):
    # The real threshold is 4 GiB; a lower one leads through the same branches of writer and reader.
    monkeypatch.setattr(zipformat, "FULL32", 50_000)
    monkeypatch.setattr(zipformat, "FULL16", 4)
    raw, report = built()
    assert raw.count(zipformat.END64_SIGNATURE) == raw.count(zipformat.LOCATOR64_SIGNATURE) == 1
    inside = unpack(raw)
    inside.pop(MANIFEST_PATH)
    assert inside == SAMPLE_FILES
    assert Skeleton.from_package(io.BytesIO(raw)) == report.skeleton
    for at in range(len(raw) - 130, len(raw)):
        try:
            unpack(raw[:at] + b"\xff" + raw[at + 1 :])
        except FormatError:
            pass


# --- the header block --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "error"),
    [
        (b"", h.ShortFile),
        (header_block()[:-1], h.ShortFile),
        (header_block(magic=b"PK\3\4"), h.BadMagic),
        (header_block(version=0), h.UnsupportedVersion),
        (header_block(version=2), h.UnsupportedVersion),
        (header_block(length=h.HEADER_MANIFEST_MAX + 1), h.ManifestTooLarge),
        (header_block(length=2**32 - 1), h.ManifestTooLarge),
        (header_block(digest=bytes(32)), h.HashMismatch),
        (header_block(b"\xff\xfe", digest=hashlib.sha256(b"\xff\xfe").digest()), h.InvalidUtf8),
        (header_block(padding=b"\0\1"), h.NonZeroPadding),
        (header_block()[:-1] + b"x", h.NonZeroPadding),
        (header_block(b"a: ["), FormatError),
        (header_block(length=0, digest=hashlib.sha256(b"").digest(), raw=b""), FormatError),
    ],
)
def test_header_blocks_that_lie(block, error):
    with pytest.raises(error):
        parse_header(block)


def test_the_longest_header_manifest():
    raw = manifest().dump()
    raw += b"#" * (h.HEADER_MANIFEST_MAX - len(raw))
    assert parse_header(header_block(raw)).raw_manifest == raw
    block = build_header(manifest(description="x" * 10_000))
    assert len(block) == HEADER_SIZE
    assert parse_header(block).manifest.truncated


def test_known_header_bytes():
    block = build_header(manifest())
    assert block[:6] == b"ICPK\x01\x00"
    size = int.from_bytes(block[6:10], "little")
    assert block[42 : 42 + size].decode().startswith("package:\n  name: tank-sounds\n")
    assert block[10:42] == hashlib.sha256(block[42 : 42 + size]).digest()


@given(st.binary(max_size=80), st.integers(0, 60))
def test_mutated_headers_are_read_or_refused(noise, at):
    block = header_block()
    try:
        parse_header(block[:at] + noise + block[at + len(noise) :])
    except FormatError:
        pass


# --- manifest against archive ------------------------------------------------------------------------------------


def wrapped(inner, files, head=None):
    entries = [Raw(name=b"manifest.yaml", data=inner.dump())]
    entries += [Raw(name=path.encode(), data=data) for path, data in files.items()]
    return build_header(head or inner) + raw_zip(entries)


def test_header_and_manifest_must_agree():
    inner = manifest()
    assert read_package(io.BytesIO(wrapped(inner, {}))).manifest == inner
    for head in (manifest("alice/tank-sounds@9.9.9"), manifest(license="MIT"), manifest(category="Maps")):
        with pytest.raises(FormatError, match="header says"):
            read_package(io.BytesIO(wrapped(inner, {}, head)))
    with pytest.raises(FormatError, match="cut short"):
        read_package(io.BytesIO(wrapped(manifest(truncated=True), {})))


@pytest.mark.parametrize("files", [{}, {"a": b"123"}, {"a": b"1", "b": b"2"}, {"A": b"1"}])
def test_the_archive_holds_what_the_manifest_lists(files):
    inner = manifest().with_files(files_of({"a": b"1"}))
    with pytest.raises(FormatError, match="lists"):
        read_package(io.BytesIO(wrapped(inner, files)))
    assert read_package(io.BytesIO(wrapped(inner, {"a": b"1"}))).entry("a").size == 1


def test_a_package_needs_a_manifest():
    with pytest.raises(FormatError, match="without manifest"):
        read_package(io.BytesIO(header_block() + raw_zip([Raw()])))


def test_contents_may_be_limited():
    raw = raw_zip([Raw(data=content(100))])
    (entry,) = read_archive(io.BytesIO(raw), 0)
    assert read_content(io.BytesIO(raw), entry, size_max=100) == content(100)
    with pytest.raises(FormatError, match="larger than 99"):
        read_content(io.BytesIO(raw), entry, size_max=99)
