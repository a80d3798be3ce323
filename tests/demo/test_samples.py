"""The sample content: the same bytes on every machine, and packages that the server would take."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.demo.__main__ import PREFIX, chosen, place, sweep
from icworkshop_gui.demo.build import build
from icworkshop_gui.demo.content import preview
from icworkshop_gui.demo.packages import Sample, load_samples
from icworkshop_gui.demo.peer import write_part
from icworkshop_gui.formats.ranges import Requirement

SAMPLES = {str(sample.ref): sample for sample in load_samples()}
PINNED = {
    "frostbyte/base-palette@1.0.0": "88321c4c13244847ee3ebcf5a4a773744e38fdd08920ebe26aef08b20eae58e8",
    "ladder-crew/balance-2@2.1.0": "975fd1efe9a8a4bc80013cb55cda0b664852dabb21c12263badc932a0f7ae8f5",
    "mapsmith/river-delta@0.9.0": "34c4254a9b83189ac7e13550053756a22f57a2afc492ec5c50278acc5926a33a",
    "quiet-hours/dusk-theme@1.0.0": "e2cea699c87ee90ec13a79a3f16753361ddfaa7919dbbdc3a80abba6b9bc8efc",
}


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


def test_a_preview_is_a_png_that_unpacks() -> None:
    picture = preview(SAMPLES["mapsmith/river-delta@0.9.0"])
    at = picture.index(b"IDAT")
    length = int.from_bytes(picture[at - 4 : at], "big")
    assert len(zlib.decompress(picture[at + 4 : at + 4 + length])) == 144 * (1 + 3 * 256)


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
