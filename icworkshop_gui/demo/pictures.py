"""Previews of the sample packages: drawn from their names in whole numbers, the same bytes on every machine."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Callable, Iterator

from icworkshop_gui.demo.packages import Sample

WIDTH, HEIGHT = 320, 180
"""Pixels of a preview, 16:9."""
FINE = 2
"""Drawn so many times larger each way and averaged, so that slants and circles are smooth."""


def noise(name: str, size: int) -> bytes:
    """`size` bytes that depend on `name` alone and do not compress."""
    return hashlib.shake_128(name.encode()).digest(size)


def wave(turn: int) -> int:
    """Nearly a sine, in whole numbers so that every machine agrees: 1024 steps a turn, -1000 to 1000."""
    x = turn % 512
    height = 4 * x * (512 - x) * 1000 // (512 * 512)
    return height if turn % 1024 < 512 else -height


def preview(sample: Sample) -> bytes:
    """A PNG in the package's own colours, of what it holds: land, sprites, sound, a voice, hills."""
    seed = noise(f"{sample.ref.package}/preview", 2048)
    paint = _PAINTERS.get(sample.category, _ridges)
    canvas = _Canvas(WIDTH * FINE, HEIGHT * FINE)
    paint(canvas, seed)
    return _png(b"".join(b"\0" + row for row in canvas.rows()))


class _Canvas:
    """Columns of RGB: everything that is drawn here is made of upright lines."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.columns = [bytearray(3 * height) for _ in range(width)]

    def fill(self, color: bytes) -> None:
        for column in self.columns:
            column[:] = color * self.height

    def line(self, x: int, top: int, end: int, color: bytes) -> None:
        """From `top` to before `end`; what is outside is left out."""
        top, end = max(0, top), min(self.height, end)
        if 0 <= x < self.width and top < end:
            self.columns[x][3 * top : 3 * end] = color * (end - top)

    def disc(self, x: int, y: int, radius: int, color: bytes) -> None:
        for across in range(-radius, radius + 1):
            half = math.isqrt(radius * radius - across * across)
            self.line(x + across, y - half, y + half + 1, color)

    def rows(self) -> Iterator[bytes]:
        """Averaged down by FINE, top to bottom."""
        planes = []
        for channel in range(3):
            lines = []
            for left in range(0, self.width, FINE):
                parts = [
                    column[channel + 3 * down :: 3 * FINE]
                    for column in self.columns[left : left + FINE]
                    for down in range(FINE)
                ]
                lines.append([sum(values) // FINE**2 for values in zip(*parts, strict=True)])
            planes.append(zip(*lines, strict=True))
        for red, green, blue in zip(*planes, strict=True):
            row = bytearray(3 * len(red))
            row[0::3], row[1::3], row[2::3] = bytes(red), bytes(green), bytes(blue)
            yield bytes(row)


def _ridges(canvas: _Canvas, seed: bytes) -> None:
    """Hills under a low sun."""
    wide, high = canvas.width, canvas.height
    hue = seed[0]
    low, top = _colour(hue + seed[1] // 4, 34, 60), _colour(hue + seed[1] // 4, 14, 55)
    sky = b"".join(bytes(a + (b - a) * y // high for a, b in zip(top, low, strict=True)) for y in range(high))
    for column in canvas.columns:
        column[:] = sky
    canvas.disc(wide // 5 + seed[2] * wide * 3 // 1280, high * (22 + seed[3] % 10) // 100, high // 11, _SUN)
    for layer in range(3):
        colour = _colour(hue + 6 * layer, 34 + 11 * layer, 48 - 4 * layer)
        turns = [seed[8 + 2 * layer] % 3 + 2 + layer, seed[9 + 2 * layer] % 5 + 6]
        base = high * (38 + 19 * layer) // 100
        for x in range(wide):
            swell = 40 * wave(turns[0] * 1024 * x // wide + 4 * seed[16 + layer])
            ripple = 14 * wave(turns[1] * 1024 * x // wide + 4 * seed[20 + layer])
            canvas.line(x, base + high * (swell + ripple) // 450_000, high, colour)


def _tiles(canvas: _Canvas, seed: bytes) -> None:
    """An isometric field, seen from above."""
    hue = (70, 80, 28, 92, 40)[seed[0] % 5]
    canvas.fill(_colour(hue, 16, 45))
    side = 11
    half = canvas.width // 17
    for tile in range(side * side):
        row, column = divmod(tile, side)
        x = canvas.width // 2 + (column - row) * half
        y = canvas.height // 2 + (column + row - side + 1) * half // 2
        mood = seed[64 + tile]
        colour = _colour(140, 46, 50) if mood < 20 else _colour(hue + mood % 17 - 8, 30 + mood // 9, 50)
        for across in range(1 - half, half):
            reach = (half - abs(across)) // 2 - 1
            canvas.line(x + across, y - reach, y + reach + 1, colour)


def _waves(canvas: _Canvas, seed: bytes) -> None:
    """A wave form in bars with round ends."""
    hue = (205, 190, 148, 238, 122)[seed[0] % 5]
    canvas.fill(_colour(hue, 17, 60))
    bars = 28
    step = canvas.width * 9 // (10 * bars)
    radius = step // 4
    for bar in range(bars):
        swell = 32 + 26 * abs(wave(bar * 60 + 4 * seed[1])) // 1000 + seed[64 + bar] % 34 - 12
        reach = canvas.height * max(6, min(88, swell)) // 200
        colour = _colour(hue + bar, 84, 50)
        middle = canvas.width // 20 + bar * step + step // 2
        for across in range(-radius, radius + 1):
            cap = radius - math.isqrt(radius * radius - across * across)
            canvas.line(middle + across, canvas.height // 2 - reach + cap, canvas.height // 2 + reach - cap, colour)


def _rings(canvas: _Canvas, seed: bytes) -> None:
    """A voice that spreads."""
    hue = (130, 120, 23, 153, 92)[seed[0] % 5]
    ground = _colour(hue, 19, 62)
    canvas.fill(ground)
    x = canvas.width // 2 + (seed[1] - 128) * canvas.width // 2400
    step = canvas.height // 11
    for ring in range(6, 0, -1):
        ink = _colour(hue + ring, 80, 62)
        share = 110 - 14 * ring
        colour = bytes((a * share + b * (100 - share)) // 100 for a, b in zip(ink, ground, strict=True))
        canvas.disc(x, canvas.height // 2, step * ring, colour if ring > 1 else ink)
        canvas.disc(x, canvas.height // 2, step * ring - canvas.height // 60, ground)


def _pixels(canvas: _Canvas, seed: bytes) -> None:
    """A sheet of sprites."""
    hue = (30, 41, 8, 153, 102)[seed[0] % 5]
    canvas.fill(_colour(hue, 18, 65))
    cell = canvas.width // 16
    gap = cell // 16
    for column in range(16):
        for row in range(9):
            mood = seed[64 + column * 16 + row]
            if mood < 50:
                continue
            colour = _colour(hue + mood % 29 - 14, 42 + mood // 6, 55 + mood % 13)
            for x in range(column * cell + gap, (column + 1) * cell - gap):
                canvas.line(x, row * cell + gap, (row + 1) * cell - gap, colour)


_PAINTERS: dict[str, Callable[[_Canvas, bytes], None]] = {
    "map": _tiles,
    "music": _waves,
    "voice-pack": _rings,
    "sprites": _pixels,
}
_SUN = bytes((244, 138, 96))


def _colour(hue: int, value: int, saturation: int) -> bytes:
    """RGB of a hue (256 to the turn) and percentages."""
    sector, rest = divmod(hue % 256 * 6, 256)
    top = 255 * value // 100
    low = top * (100 - saturation) // 100
    rising, falling = low + (top - low) * rest // 256, top - (top - low) * rest // 256
    red, green, blue = (
        (top, rising, low), (falling, top, low), (low, top, rising),
        (low, falling, top), (rising, low, top), (top, low, falling),
    )[sector]  # fmt: skip
    return bytes((red, green, blue))


def _png(rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", _stored(rows)) + chunk(b"IEND", b"")


def _stored(data: bytes) -> bytes:
    """A zlib stream without compression: compressors differ from machine to machine, this does not."""
    out = bytearray(b"\x78\x01")
    for start in range(0, len(data), 65535):
        part = data[start : start + 65535]
        out += struct.pack("<BHH", start + 65535 >= len(data), len(part), 65535 - len(part)) + part
    return bytes(out + struct.pack(">I", zlib.adler32(data)))
