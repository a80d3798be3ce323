"""Cut points and chunk lists: both are formats, so both have vectors."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.formats import chunks as module
from icworkshop_gui.formats.chunks import (
    COARSE_MAX,
    FILE_MIN,
    FINE_ENTRY,
    ChunkList,
    Coarse,
    FileChunks,
    Outline,
    chunk_package,
    coarse_hash,
    cut_coarse,
    cut_fine,
    fine_name,
    read_fine,
)
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from tests.helpers.builders import content, foreign_package, package

SAMPLE = content(3_000_000, "chunks")


def coarse_lengths(data: bytes) -> list[int]:
    return [len(cut.data) for cut in cut_coarse(io.BytesIO(data))]


def fine_lengths(data: bytes) -> list[int]:
    return [len(cut.data) for cut in cut_fine(data)]


def listed(files: Mapping[str, bytes]) -> tuple[bytes, Skeleton, ChunkList]:
    raw = package(files=files)
    skeleton = Skeleton.from_package(io.BytesIO(raw))
    return raw, skeleton, chunk_package(io.BytesIO(raw), skeleton, BlobId(hashlib.sha256(raw).digest()))


def test_where_coarse_chunks_are_cut():
    assert coarse_lengths(SAMPLE) == [
        155748, 87660, 244649, 75842, 136631, 243405, 136825, 154515, 160604, 296532,
        139310, 119364, 215735, 144342, 132014, 346255, 101944, 85406, 23219,
    ]  # fmt: skip
    assert next(iter(cut_coarse(io.BytesIO(SAMPLE)))).offset == 0
    assert coarse_hash(SAMPLE[:155748]).hex() == "057bf8c43235ef36"
    assert coarse_lengths(bytes(2_000_000)) == [524288, 524288, 524288, 427136]


def test_where_fine_chunks_are_cut():
    assert fine_lengths(SAMPLE[:155748]) == [
        7581, 5758, 7606, 3131, 4746, 1952, 3856, 2494, 4942, 1996, 5242, 13715, 1572, 4556, 4113, 1317, 4727,
        4083, 6456, 4107, 3957, 6859, 5048, 4467, 5220, 2509, 8809, 4321, 2922, 3153, 1955, 4251, 4967, 3360,
    ]  # fmt: skip
    assert fine_name(SAMPLE[:7581]) == (bytes.fromhex("b4d79119d050"), 7581)
    assert fine_lengths(bytes(60000)) == [16384, 16384, 16384, 10848]


class Dribble:
    """A stream that gives as little as it likes."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self._rng = random.Random(1)

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._rng.randint(1, 70_000)))


def test_cuts_do_not_depend_on_how_a_stream_flows():
    assert [len(cut.data) for cut in cut_coarse(Dribble(SAMPLE))] == coarse_lengths(SAMPLE)


@pytest.mark.parametrize("at", [0, 700_000, 2_999_999])
def test_an_insertion_moves_no_cut_but_those_beside_it(at: int):
    changed = SAMPLE[:at] + b"one thing more" + SAMPLE[at:]
    old, new = ({coarse_hash(cut.data) for cut in cut_coarse(io.BytesIO(data))} for data in (SAMPLE, changed))
    assert len(new - old) <= 2


def test_a_list_of_a_package_and_back():
    files = {"assets/big.pak": SAMPLE, "assets/small.bin": content(20_000), "readme.txt": content(FILE_MIN - 1)}
    raw, skeleton, made = listed(files)
    outline = Outline.decode(made.outline.encode(), made.outline.package, skeleton)
    assert outline == made.outline
    big, small = outline.files
    assert (big.size, len(big.chunks)) == (len(SAMPLE), 19)
    assert b"".join(chunk.hash for chunk in big.chunks[:1]).hex() == "057bf8c43235ef36"
    assert [chunk.hash for chunk in small.chunks] == [b""]
    everything = [chunk for file in outline.files for chunk in file.chunks]
    fine = read_fine(made.fine, everything)
    assert [entry.length for entry in fine[0]] == fine_lengths(SAMPLE[:155748])
    # Each list begins where the one before it ends: so a range of them can be asked for.
    assert [chunk.fine for chunk in everything[1:]] == [chunk.fine + chunk.fine_count for chunk in everything[:-1]]
    assert len(raw) == skeleton.total_length


def test_what_the_list_of_a_known_package_is():
    _, _, made = listed({"assets/big.pak": SAMPLE, "assets/small.bin": content(20_000)})
    body = made.outline.encode()[5 + 32 :]
    assert hashlib.sha256(body + made.fine).hexdigest() == (
        "ab3fee46ae92345ff2b4d92ac9df024b326b24ad63bd53a43e3dff170ad24142"
    )


def test_it_costs_less_than_a_five_hundredth():
    _, _, made = listed({"assets/big.pak": content(6_000_000, 1), **{f"a/{n}": content(30_000, n) for n in range(40)}})
    size = 6_000_000 + 40 * 30_000
    assert len(made.outline.encode()) + len(made.fine) <= 0.002 * size
    assert len(made.outline.encode()) <= 0.0002 * size


def test_the_same_content_twice_is_listed_once():
    _, _, made = listed({"a/one.bin": SAMPLE, "a/two.bin": SAMPLE})
    assert [file.size for file in made.outline.files] == [len(SAMPLE)]


def test_a_package_kept_whole_is_cut_as_one_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("icworkshop_gui.formats.skeleton.LITERALS_MAX", 4096)
    raw = foreign_package(compressed=["assets/fire.ogg"])
    skeleton = Skeleton.from_package(io.BytesIO(raw))
    assert skeleton.is_whole
    monkeypatch.setattr(module, "FILE_MIN", 1)
    made = chunk_package(io.BytesIO(raw), skeleton, BlobId(hashlib.sha256(raw).digest()))
    assert [file.size for file in made.outline.files] == [len(raw)]


# --- from strangers ------------------------------------------------------------------------------

PACKAGE = BlobId(bytes(32))


def skeleton_of(*sizes: int) -> Skeleton:
    return Skeleton.of(FileSegment(f"a/{n}", BlobId(bytes([n]) * 32), size) for n, size in enumerate(sizes))


def outline_of(*files: tuple[Coarse, ...]) -> bytes:
    sizes = [sum(chunk.length for chunk in chunks) for chunks in files]
    return Outline(
        PACKAGE,
        tuple(FileChunks(BlobId(bytes([n]) * 32), sizes[n], chunks) for n, chunks in enumerate(files)),
    ).encode()


def chunk(length: int, fine: int = 0) -> Coarse:
    return Coarse(b"12345678", length, 0, fine)


GOOD = outline_of((chunk(9000), chunk(1000)))


def test_the_sample_that_the_bad_ones_are_made_of_is_good():
    (file,) = Outline.decode(GOOD, PACKAGE, skeleton_of(10_000)).files
    assert [part.length for part in file.chunks] == [9000, 1000]


def bad_lists() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "another version", b"ICCL\x02" + GOOD[5:]
    yield "another package", GOOD[:5] + b"\x01" * 32 + GOOD[37:]
    yield "cut off", GOOD[:-1]
    yield "more behind it", GOOD + b"\0"
    yield "a file without chunks", GOOD[:37] + b"\0"
    yield "a file of another size", outline_of((chunk(9000), chunk(1001)))
    yield "a chunk of nothing", outline_of((chunk(10_000), chunk(0)))
    yield "a chunk that is too long", outline_of((chunk(COARSE_MAX + 1), chunk(1)))
    yield "too many fine chunks", outline_of((chunk(9000, 513), chunk(1000)))
    yield "more fine chunks than bytes", outline_of((chunk(9990, 1), chunk(10, 11)))
    yield "more chunks than bytes could hold", GOOD[:37] + b"\xff\xff\xff\xff\xff\xff\x7f"
    yield "a number without end", GOOD[:37] + b"\xff" * 8


@pytest.mark.parametrize(("what", "raw"), list(bad_lists()), ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_list_of_this_package_is_refused(what: str, raw: bytes):
    with pytest.raises(FormatError):
        Outline.decode(raw, PACKAGE, skeleton_of(10_000))


def test_the_limits_are_where_they_are_said_to_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "OUTLINE_MAX", len(GOOD))
    monkeypatch.setattr(module, "COARSE_COUNT_MAX", 2)
    Outline.decode(GOOD, PACKAGE, skeleton_of(10_000))
    with pytest.raises(FormatError):
        Outline.decode(outline_of((chunk(9000), chunk(500), chunk(500))), PACKAGE, skeleton_of(10_000))
    monkeypatch.setattr(module, "OUTLINE_MAX", len(GOOD) - 1)
    with pytest.raises(FormatError):
        Outline.decode(GOOD, PACKAGE, skeleton_of(10_000))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_list_or_a_format_error(raw: bytes):
    try:
        Outline.decode(GOOD[:37] + raw, PACKAGE, skeleton_of(10_000))
    except FormatError:
        pass


def test_fine_chunks_add_up_or_are_refused():
    good = FINE_ENTRY.pack(b"abcdef", 600) + FINE_ENTRY.pack(b"ghijkl", 400)
    assert read_fine(good, [chunk(5000), chunk(1000, 2)]) == [(), ((b"abcdef", 600), (b"ghijkl", 400))]
    for raw in (b"", good[:-1], good + good[:8], FINE_ENTRY.pack(b"abcdef", 600) + FINE_ENTRY.pack(b"ghijkl", 401)):
        with pytest.raises(FormatError):
            read_fine(raw, [chunk(1000, 2)])
