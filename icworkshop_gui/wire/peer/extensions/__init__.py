"""Extensions to the peer wire, one file each (BEP 10). Adding one is a line in `EXTENSIONS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from icworkshop_gui.wire.peer.extensions import ic_auth, ic_priority

EXTENSIONS: Mapping[str, int] = MappingProxyType({ic_auth.NAME: 1, ic_priority.NAME: 2})
"""What we announce: name -> the number under which peers send it to us, 1..255."""
