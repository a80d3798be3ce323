"""The sample content: the same bytes on every machine, and packages that the server would take."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.demo.__main__ import PREFIX, chosen, place, sweep
from icworkshop_gui.demo.build import build
from icworkshop_gui.demo.packages import Sample, load_samples
from icworkshop_gui.demo.peer import write_part
from icworkshop_gui.demo.pictures import HEIGHT, WIDTH, preview
from icworkshop_gui.formats.ranges import Requirement

SAMPLES = {str(sample.ref): sample for sample in load_samples()}
PINNED = {
    "frostbyte/base-palette@1.0.0": "88321c4c13244847ee3ebcf5a4a773744e38fdd08920ebe26aef08b20eae58e8",
    "ladder-crew/balance-2@2.1.0": "975fd1efe9a8a4bc80013cb55cda0b664852dabb21c12263badc932a0f7ae8f5",
    "mapsmith/river-delta@0.9.0": "89c93eef8ce84f5c1d5a5124d51927cd216631fb75a0d81e2705abd66f896e85",
    "quiet-hours/dusk-theme@1.0.0": "92b3036dd23cd0e5442fd4c9c51647d662531a629ce02b2294bd6f2a9bd77e29",
}

PICTURES = {
    "map": "210f4c6beb2d019b",
    "music": "5bb15e6439f93a84",
    "sprites": "413f68b7873193f2",
    "total-conversion": "b04cfd290d0dfe1f",
    "voice-pack": "6d24ffbd1569b6b3",
}
"""Category to the beginning of the SHA-256 of its first sample's preview."""


@pytest.mark.parametrize("ref", sorted(PINNED))
def test_bytes_are_the_same_everywhere(ref: str, tmp_path: Path) -> None:
    assert build(SAMPLES[ref], tmp_path / "x.icpkg").sha256 == PINNED[ref]


def test_each_comes_after_what_it_needs() -> None:
    seen: dict[PackageId, list[str]] = {}
    for sample in load_samples():
        for need in sample.dependencies:
            requirement = Requirement.parse(need.requirement)
            assert any(requirement.matches(version) for version in seen.get(need.package, ())), sample.ref
        seen.setdefault(sample.ref.package, []).append(sample.ref.version)
    assert len(seen) >= 12


def test_the_catalog_is_varied() -> None:
    samples = load_samples()
    assert {"map", "mod", "sprites", "music", "voice-pack", "total-conversion"} <= {s.category for s in samples}
    assert max(s.size for s in samples) > 190_000_000
    assert min(s.size for s in samples) < 5_000_000
    assert len({s.license for s in samples}) >= 4


def one_of(category: str) -> Sample:
    return next(sample for sample in SAMPLES.values() if sample.category == category)


@pytest.mark.parametrize("category", ["map", "sprites", "music", "voice-pack", "total-conversion"])
def test_a_preview_is_a_png_that_unpacks(category: str) -> None:
    picture = preview(one_of(category))
    at = picture.index(b"IDAT")
    length = int.from_bytes(picture[at - 4 : at], "big")
    rows = zlib.decompress(picture[at + 4 : at + 4 + length])
    assert len(rows) == HEIGHT * (1 + 3 * WIDTH)
    colours = {rows[at : at + 3] for at in range(1, len(rows) - 3, 3)}
    assert len(colours) > 20


def test_previews_are_the_same_everywhere() -> None:
    found = {category: hashlib.sha256(preview(one_of(category))).hexdigest()[:16] for category in PICTURES}
    assert found == PICTURES


def test_the_parts_of_both_players_cover_some_and_share_some(tmp_path: Path) -> None:
    package = tmp_path / "whole"
    package.write_bytes(bytes(range(1, 251)) * 42_000)  # 10.5 MB without a zero
    parts = []
    for number in range(2):
        write_part(package, tmp_path / f"p{number}", first=number * 2, count=3, of=5)
        data = (tmp_path / f"p{number}").read_bytes()
        assert len(data) == package.stat().st_size
        parts.append({at for at in range(0, len(data), 1 << 20) if data[at]})
    assert len(parts[0] | parts[1]) == 11
    assert len(parts[0]) < 11
    assert len(parts[1]) < 11
    assert parts[0] & parts[1]


def names(samples: tuple[Sample, ...]) -> set[str]:
    return {str(sample.ref.package) for sample in samples}


def test_only_brings_what_it_needs() -> None:
    assert names(chosen(["ladder-crew/fair-start"])) == {"ladder-crew/fair-start", "ladder-crew/balance-2"}
    assert len(chosen([])) == len(load_samples())
    with pytest.raises(ValueError, match="there is no some/thing"):
        chosen(["some/thing"])


def test_what_a_killed_demo_left_is_taken_away(tmp_path: Path) -> None:
    old, young, used = (tmp_path / f"{PREFIX}{name}" for name in ("old", "young", "used"))
    other = tmp_path / "something-else"
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
    with place(used):
        for folder in (old, used, other):
            os.utime(folder, (1, 1))
        sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([young.name, used.name, other.name])
