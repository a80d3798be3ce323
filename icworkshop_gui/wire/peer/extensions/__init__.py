"""Extensions to the peer wire, one file each (BEP 10). Adding one is a line in `EXTENSIONS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXTENSIONS: Mapping[str, int] = MappingProxyType({})
"""What we announce: name -> the number under which peers send it to us, 1..255."""
