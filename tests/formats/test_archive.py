"""A corpus of hostile archives: each is refused before anything of it is used (engine.md F D-4)."""

from __future__ import annotations

import io
import time
import tracemalloc
import zipfile
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import archive
from icworkshop_gui.formats import zipformat as z
from icworkshop_gui.formats.archive import RATIO_FREE_SIZE, RATIO_MAX, iter_content, read_archive
from tests.helpers.builders import Raw, content, deflate, foreign_package, package, raw_zip


def read(raw: bytes, start: int = 0) -> dict[str, bytes]:
    file = io.BytesIO(raw)
    return {entry.path: b"".join(iter_content(file, entry)) for entry in read_archive(file, start)}


def packed(data: bytes, **lies) -> Raw:
    return Raw(**{"data": data, "method": z.DEFLATED, "packed": deflate(data), **lies})


def test_legal_ones_are_read():
    files = {"a": b"1", "dir/b": content(5000)}
    raw = raw_zip([Raw(name=b"dir/", data=b""), *(Raw(name=name.encode(), data=data) for name, data in files.items())])
    assert read(raw) == files
    assert read(b"front" + raw, 5) == files
    assert read(raw_zip([packed(b"x" * 1000, name=b"c")])) == {"c": b"x" * 1000}
    assert read(raw_zip([])) == {}


def test_what_the_standard_library_writes_is_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive_:
        archive_.mkdir("folder")
        archive_.writestr("folder/ё.txt", "текст" * 100)
        archive_.comment = b"a comment"

        class Unseekable(io.RawIOBase):
            def write(self, data):
                return out2.write(data)

            def writable(self):
                return True

    assert read(out.getvalue()) == {"folder/ё.txt": ("текст" * 100).encode()}
    out2 = io.BytesIO()
    with zipfile.ZipFile(Unseekable(), "w", zipfile.ZIP_DEFLATED) as streamed:
        streamed.writestr("with a descriptor", b"x" * 500)
    assert read(out2.getvalue()) == {"with a descriptor": b"x" * 500}


SLIPS = [
    b"../x",
    b"a/../../x",
    b"/etc/passwd",
    b"..\\x",
    b"a\\b",
    b"C:/x",
    b"C:x",
    b"//server/share",
    b"a:b",
    b"a\0.png",
    b"CON",
    b"aux.txt",
    b"dir/nul",
    b"a//b",
    b"./a",
    b"a/./b",
    b"trailing.",
    b"trailing ",
    b"",
    b"/",
    b"a/" * 101 + b"b",
    "gpj\u202e.exe".encode(),
    "zero\u200b".encode(),
    b"x" * 300,
    b"new\nline",
    b"wild*card",
    b"PROGRA~1/../x",
]


@pytest.mark.parametrize("name", SLIPS)
def test_zip_slip_and_names_that_are_not_the_same_everywhere(name):
    with pytest.raises(FormatError, match="path is not safe"):
        read(raw_zip([Raw(name=name, flags=z.FLAG_UTF8)]))


def test_names_that_are_not_utf8():
    with pytest.raises(FormatError, match="UTF-8"):
        read(raw_zip([Raw(name=b"\xff\xfe", flags=z.FLAG_UTF8)]))
    assert read(raw_zip([Raw(name=b"\x81.txt")])) == {"ü.txt": b"content"}
    assert read(raw_zip([Raw(name="ё.txt".encode())])) == {"ё.txt": b"content"}


HALF = raw_zip([Raw(name=b"a", data=content(100)), Raw(name=b"b", data=content(100))])
LIES = {
    "nothing": (b"", "cut off"),
    "no archive": (bytes(1000), "no archive"),
    "a tail behind the end": (HALF + b"x", "no archive"),
    "only the end": (HALF[-22:], "not where"),
    "cut in front": (HALF[1:], "not where"),
    "bytes before the directory": (raw_zip([Raw()], directory_offset=3), "not where"),
    "more entries than told": (raw_zip([Raw(name=b"a"), Raw(name=b"b")], count=1), "more in it"),
    "fewer entries than told": (raw_zip([Raw()], count=2), "breaks off"),
    "too many entries": (raw_zip([Raw()], count=0xFFFE), "breaks off"),
    "twice the same": (raw_zip([Raw(), Raw()]), "take for one"),
    "differing in case": (raw_zip([Raw(name=b"a"), Raw(name=b"A")]), "take for one"),
    "differing in composition": (
        raw_zip([Raw(name=text.encode(), flags=z.FLAG_UTF8) for text in ("é", "e\u0301")]),
        "take for one",
    ),
    "file and folder": (raw_zip([Raw(name=b"a"), Raw(name=b"a/b")]), "at once"),
    "file and empty folder": (raw_zip([Raw(name=b"a"), Raw(name=b"A/", data=b"")]), "at once"),
    "folder with content": (raw_zip([Raw(name=b"a/")]), "folder with content"),
    "overlap": (raw_zip([Raw(name=b"a"), Raw(name=b"b", offset=10)]), "overlap|not where"),
    "two entries on one place": (raw_zip([Raw(name=b"a"), Raw(name=b"a", offset=0)]), "overlap"),
    "into the directory": (raw_zip([Raw(size=10_000, packed=b"x" * 9, local_size=10_000)]), "two sizes"),
    "beyond the end": (raw_zip([Raw(offset=1 << 31)]), "not where"),
    "no local header": (raw_zip([Raw(local_signature=b"PK\0\0")]), "not where"),
    "two names": (raw_zip([Raw(name=b"good.txt", local_name=b"evil.exe")]), "two names"),
    "two sizes": (raw_zip([Raw(local_size=3)]), "two sizes"),
    "two methods": (raw_zip([packed(b"abc", local_method=z.STORED)]), "two ways"),
    "stored with two sizes": (raw_zip([Raw(size=3)]), "two sizes"),
    "encrypted": (raw_zip([Raw(flags=z.FLAG_ENCRYPTED)]), "encrypted"),
    "strongly encrypted": (raw_zip([Raw(flags=z.FLAG_STRONG_ENCRYPTION)]), "encrypted"),
    "masked headers": (raw_zip([Raw(flags=z.FLAG_MASKED)]), "encrypted"),
    "a patch": (raw_zip([Raw(flags=z.FLAG_PATCHED)]), "not known"),
    "lzma": (raw_zip([Raw(method=14)]), "not known"),
    "symlink": (raw_zip([Raw(data=b"/etc/passwd", mode=0o120777)]), "symlink"),
    "device": (raw_zip([Raw(mode=0o020666)]), "symlink or device"),
    "fifo": (raw_zip([Raw(mode=0o010666)]), "symlink or device"),
    "folder in disguise": (raw_zip([Raw(mode=0o040755)]), "symlink or device"),
    "wrong checksum": (raw_zip([Raw(crc=1)]), "checksum"),
    "wrong checksum, packed": (raw_zip([packed(b"abc", crc=1)]), "checksum"),
    "unpacks to more": (raw_zip([packed(b"x" * 1000, size=999)]), "more than was stated"),
    "unpacks to less": (raw_zip([packed(b"x" * 1000, size=1001)]), "less than was stated"),
    "not deflate": (raw_zip([packed(b"abc", packed=b"\xff" * 20)]), "not what deflate"),
    "deflate that breaks off": (raw_zip([packed(content(50_000), packed=deflate(content(50_000))[:-9])]), "breaks off"),
    "bytes behind deflate": (raw_zip([packed(b"abc", packed=deflate(b"abc") + b"hidden")]), "behind its compressed"),
    "zip64 without sizes": (raw_zip([Raw(size=z.FULL32)]), "ZIP64"),
    "zip64 without locator": (raw_zip([Raw()], count=z.FULL16), "locator"),
}


@pytest.mark.parametrize("lie", LIES)
def test_refused(lie):
    raw, word = LIES[lie]
    with pytest.raises(FormatError, match=word):
        read(raw)
    with pytest.raises(FormatError):
        read(b"front" + raw, 5)


def test_bombs():
    zeros = bytes(50 * RATIO_FREE_SIZE)
    bomb = packed(zeros)
    assert len(zeros) > RATIO_MAX * len(bomb.packed)
    with pytest.raises(FormatError, match=f"more than {RATIO_MAX} times"):
        read(raw_zip([bomb]))
    # One that states a harmless size is stopped when it has been reached, not when memory ends.
    liar = replace(bomb, size=RATIO_FREE_SIZE)
    tracemalloc.start()
    with pytest.raises(FormatError, match="more than was stated"):
        for _ in iter_content(io.BytesIO(raw := raw_zip([liar])), read_archive(io.BytesIO(raw), 0)[0]):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * RATIO_FREE_SIZE
    well_packed = bytes(RATIO_FREE_SIZE)
    assert read(raw_zip([packed(well_packed)])) == {"file.bin": well_packed}


def test_many_files_that_are_large_together(monkeypatch):
    monkeypatch.setattr(archive, "UNPACKED_MAX", 1000)
    assert len(read(raw_zip([packed(b"x" * 500, name=b"%d" % number) for number in range(2)]))) == 2
    with pytest.raises(FormatError, match="more than 1000"):
        read(raw_zip([packed(b"x" * 500, name=b"%d" % number) for number in range(3)]))


def test_entry_count_and_directory_limits(monkeypatch):
    raw = raw_zip([Raw(name=b"%d" % number) for number in range(3)])
    monkeypatch.setattr(archive, "ENTRIES_MAX", 2)
    with pytest.raises(FormatError, match="more than 2 entries"):
        read(raw)
    monkeypatch.setattr(archive, "ENTRIES_MAX", 3)
    monkeypatch.setattr(archive, "DIRECTORY_MAX", 100)
    with pytest.raises(FormatError, match="directory is larger"):
        read(raw)


def test_an_end_record_inside_a_comment_is_not_believed():
    end = raw_zip([])
    comment = raw_zip([])
    raw = raw_zip([Raw(name=b"real")])[:-2] + len(comment).to_bytes(2, "little") + comment
    # Two readings: the last record (an empty archive) ends exactly at the end of the file, so it must be consistent.
    with pytest.raises(FormatError, match="not where"):
        read(raw)
    assert read(end) == {}


def test_ten_thousand_end_records_cost_nothing():
    began = time.perf_counter()
    with pytest.raises(FormatError):
        read(z.END_SIGNATURE * 16_000 + bytes(10))
    assert time.perf_counter() - began < 0.5


@given(st.data())
def test_mutated_archives_are_read_or_refused(data):
    raw = bytearray(
        data.draw(st.sampled_from([HALF, LIES["two sizes"][0], foreign_package()[4096:], package({"a": b"x"})[4096:]]))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        # Most of the structure lies at the end.
        at = data.draw(st.integers(0, len(raw) - 1) | st.integers(max(0, len(raw) - 300), len(raw) - 1))
        raw[at] = data.draw(st.sampled_from([0, 1, 8, 0x2F, 0x50, 0x7F, 0xFE, 0xFF]))
    try:
        read(bytes(raw))
    except FormatError:
        pass


def test_packed_entries_are_checked_in_small_steps():
    raw = raw_zip([packed(content(3_000_000))])
    (entry,) = read_archive(io.BytesIO(raw), 0)
    chunks = list(iter_content(io.BytesIO(raw), entry))
    assert b"".join(chunks) == content(3_000_000)
    assert max(map(len, chunks)) <= archive.CHUNK
    assert entry.crc == zlib.crc32(content(3_000_000))
