"""Files of the sample packages: made from their names alone, the same on every machine and Python."""

from __future__ import annotations

import functools
import io
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

from icworkshop_gui.demo.packages import Sample
from icworkshop_gui.demo.pictures import noise, preview, wave
from icworkshop_gui.formats.icpkg import PackageFile

TONE_RATE = 22_050
"""Samples a second of the music; mono, 16 bit."""


class Part(NamedTuple):
    path: str
    data: Callable[[], bytes]
    size: int


def files_of(sample: Sample) -> list[PackageFile]:
    """Everything in the package but its manifest."""
    parts = [_small("README.md", _readme(sample)), _small("CHANGELOG.md", _changelog(sample)), *_assets(sample)]
    if sample.size >= 1_000_000:
        parts.append(_small("preview.png", preview(sample)))
    return [PackageFile(part.path, part.size, partial(_opened, part.data)) for part in parts]


def _opened(data: Callable[[], bytes]) -> BinaryIO:
    return io.BytesIO(data())


def _small(path: str, data: bytes) -> Part:
    return Part(path, lambda: data, len(data))


def _readme(sample: Sample) -> bytes:
    needs = "".join(f"* {package} {requirement}\n" for package, requirement in sample.needs)
    tail = f"\n## Needs\n\n{needs}" if needs else ""
    return f"# {sample.title}\n\n{sample.summary}\n\n{sample.about}\n{tail}".encode()


def _changelog(sample: Sample) -> bytes:
    lines = ["# Changes", ""]
    for version, changes in sample.changes:
        lines += [f"## {version}", "", *(f"* {change}" for change in changes), ""]
    return "\n".join(lines).encode()


def _assets(sample: Sample) -> Iterator[Part]:
    key = str(sample.ref.package)
    match sample.category:
        case "map":
            yield _small("assets/map.yaml", _map_yaml(sample))
            yield from _noise_files(f"{key}/terrain", "assets/terrain", ".bin", sample.size, 8)
        case "music" | "voice-pack":
            count = 12 if sample.category == "music" else 30
            for number in range(count):
                name = f"assets/{'track' if sample.category == 'music' else 'line'}-{number + 1:02}.wav"
                size = sample.size // count
                yield Part(name, partial(_tone, key, number, size), size)
        case "total-conversion" | "campaign":
            yield from _noise_files(f"{key}/units", "assets/units", ".shp", sample.size // 2, 60)
            yield from _noise_files(f"{key}/movies", "assets/movies", ".vqa", sample.size // 4, 6)
            yield from _noise_files(f"{key}/missions", "assets/missions", ".oramap", sample.size // 4, 22)
        case "mod" | "script":
            yield _small("assets/rules.yaml", _rules(sample))
            if sample.size > 1_000_000:
                yield from _noise_files(f"{key}/art", "assets/art", ".shp", sample.size, 24)
        case _:
            yield from _noise_files(f"{key}/tiles", "assets/tiles", ".shp", sample.size, 40)


def _noise_files(key: str, folder: str, suffix: str, size: int, count: int) -> Iterator[Part]:
    """`count` files of growing size that make up `size` bytes together."""
    total = count * (count + 1) // 2
    for number in range(1, count + 1):
        length = size * number // total
        yield Part(f"{folder}/{number:03}{suffix}", partial(noise, f"{key}/{number}", length), length)


def _map_yaml(sample: Sample) -> bytes:
    return f"title: {sample.title}\nsize: [128, 128]\ntags: [{', '.join(sample.tags)}]\n".encode()


def _rules(sample: Sample) -> bytes:
    """A list of numbers as a rules file has them, as long as the package is large."""
    seed = noise(str(sample.ref), 4096)
    rows = [
        f"unit-{number:04}: {{cost: {100 + 10 * seed[number % 4096]}, speed: {seed[(number * 7) % 4096] % 40}}}"
        for number in range(min(sample.size, 400_000) // 34)
    ]
    return ("\n".join(rows) + "\n").encode()


@functools.lru_cache(maxsize=4)
def _chord(base: int) -> bytes:
    """One second: a chord over a pulse, so that it is really to be listened to."""
    samples = array("h", bytes(2 * TONE_RATE))
    pitches = [110 * part * (12 + base) // 48 for part in (4, 5, 6)]
    for at in range(TONE_RATE):
        chord = sum(wave(1024 * pitch * at // TONE_RATE) for pitch in pitches)
        fade = 10 - 6 * (2 * at % TONE_RATE) // TONE_RATE
        samples[at] = chord * fade // 3
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _tone(key: str, number: int, size: int) -> bytes:
    """A WAV file of `size` bytes: bars of music, and between them noise that no other track has."""
    seed = noise(f"{key}/{number}", 8)
    loop = _chord(seed[0] % 4 * 3)
    sound = bytearray(noise(f"{key}/{number}/hiss", size - 44))
    for start in range(0, len(sound) - len(loop), 2 * len(loop)):
        sound[start : start + len(loop)] = loop
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + len(sound), b"WAVE", b"fmt ", 16, 1, 1, TONE_RATE, 2 * TONE_RATE, 2, 16, b"data", len(sound),
    )  # fmt: skip
    return header + sound
