"""What a preview picture may be, judged by its header alone: nobody decodes a stranger's image to find out."""

from __future__ import annotations

import struct

from icworkshop_gui.core.errors import IntegrityError

PREVIEW_MAX = 1024 * 1024
"""Bytes of a picture (ic-workshop §7.2 U18)."""
PREVIEW_SIDE = 512
"""Pixels, both ways."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def check_png(body: bytes) -> tuple[int, int]:
    """Width and height by the header alone; IntegrityError when it is no PNG of at most 512×512 pixels.

    PNG specification, "IHDR Image header": the chunk is the first one, 13 bytes long.
    """
    if len(body) > PREVIEW_MAX or len(body) < 33 or not body.startswith(PNG_MAGIC) or body[8:16] != b"\0\0\0\rIHDR":
        raise IntegrityError("the preview is not a PNG of at most 1 MiB")
    width, height = struct.unpack(">II", body[16:24])
    if not (0 < width <= PREVIEW_SIDE and 0 < height <= PREVIEW_SIDE):
        raise IntegrityError(f"the preview has more than {PREVIEW_SIDE}×{PREVIEW_SIDE} pixels, or none")
    return width, height
