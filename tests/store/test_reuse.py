"""What is copied on the word of a chunk list: right, wrong, or of nothing at all, the package is right in the end."""

from __future__ import annotations

import io
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.formats.chunks import FINE_ENTRY, Coarse, FileChunks, Outline, chunk_package, read_fine
from icworkshop_gui.store.hashing import never, no_progress
from icworkshop_gui.store.reuse import Copy, ReuseSearch, add_copy
from icworkshop_gui.store.staging import is_begun, plan_reuse
from icworkshop_gui.store.verifier import recheck
from tests.helpers.builders import content
from tests.store.samples import open_store, sample

BODY = content(600_000, "body")
OLD = sample({"a.bin": BODY, "b.bin": content(90_000, "b")})
NEW = sample(
    {"a.bin": BODY[:50_000] + b"new" + BODY[50_000:], "c.bin": content(90_000, "b"), "d.bin": BODY[200_000:400_000]},
    "alice/tank-sounds@1.3.0",
)
TRUE = chunk_package(io.BytesIO(NEW.data), NEW.skeleton, NEW.sha256)
T2 = TransferId("t2")


def update(folder: Path, outline: Outline, fine: bytes) -> tuple[int, int, bytes]:
    """Bytes that were copied, pieces that had to come, and the package in the end."""
    store = open_store(folder)
    try:
        OLD.fetch(store)
        search = ReuseSearch(store, NEW.ref, NEW.skeleton)
        missing = search.find_coarse(Outline.decode(outline.encode(), NEW.sha256, NEW.skeleton), no_progress, never)
        size = FINE_ENTRY.size
        parts = b"".join(fine[size * chunk.fine : size * (chunk.fine + chunk.fine_count)] for chunk in missing)
        search.find_fine(zip(missing, read_fine(parts, missing), strict=True), no_progress, never)
        copies = search.copies()
        assert not is_begun(store.staging_folder(T2))
        plan_reuse(store.staging_folder(T2), copies)
        download = NEW.download(store, T2)
        journal, have, _ = download.open_journal()
        journal.close()
        assert is_begun(download.folder)
        download.reuse(have)
        geometry = NEW.metainfo.geometry
        right = recheck(download.storage, geometry, NEW.metainfo.piece_matches)
        wrong = [index for index in range(geometry.piece_count) if index not in right]
        NEW.write(download, wrong)
        download.finish()
        return (
            sum(copy.length for copy in copies),
            len(wrong),
            store.packages.seed_storage(NEW.ref).read(0, len(NEW.data)),
        )
    finally:
        store.close()


def test_an_honest_list_leaves_only_what_is_new(tmp_path: Path) -> None:
    copied, wrong, data = update(tmp_path, TRUE.outline, TRUE.fine)
    assert data == NEW.data
    assert copied >= 590_000
    assert wrong <= 10  # of 28: where the new bytes, headers and the edges of what was cut out lie


@pytest.mark.slow
@settings(max_examples=8)
@given(st.randoms(use_true_random=False), st.sampled_from(["coarse", "fine", "both"]), st.floats(0.05, 1))
def test_whatever_the_hashes_say_the_package_is_right(rng: random.Random, lies: str, share: float) -> None:
    outline, fine = TRUE.outline, bytearray(TRUE.fine)
    if lies != "fine":
        names = [chunk.hash for file in outline.files for chunk in file.chunks if chunk.hash]

        def lie(chunk: Coarse) -> Coarse:
            return chunk._replace(hash=rng.choice(names)) if chunk.hash and rng.random() < share else chunk

        outline = replace(
            outline,
            files=tuple(FileChunks(file.blob, file.size, tuple(map(lie, file.chunks))) for file in outline.files),
        )
    if lies != "coarse":
        entries = [fine[at : at + 6] for at in range(0, len(fine), FINE_ENTRY.size)]
        for at in range(0, len(fine), FINE_ENTRY.size):
            if rng.random() < share:
                fine[at : at + 6] = rng.choice(entries)
    with tempfile.TemporaryDirectory() as folder:
        assert update(Path(folder), outline, bytes(fine))[2] == NEW.data


def test_copies_that_lie_side_by_side_become_one() -> None:
    one, other = OLD.sha256, NEW.sha256
    found: list[Copy] = []
    for copy in (
        Copy(one, 0, other, 10, 5),
        Copy(one, 5, other, 15, 5),
        Copy(one, 10, other, 21, 5),
        Copy(other, 15, other, 26, 5),
    ):
        add_copy(found, copy)
    assert found == [Copy(one, 0, other, 10, 10), Copy(one, 10, other, 21, 5), Copy(other, 15, other, 26, 5)]
