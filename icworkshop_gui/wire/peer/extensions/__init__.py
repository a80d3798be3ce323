"""Extensions to the peer wire, one file each (BEP 10). Adding one is a line in `EXTENSIONS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from icworkshop_gui.wire.peer.extensions import ic_auth, ic_priority, lt_donthave, ut_metadata, ut_pex

EXTENSIONS: Mapping[str, int] = MappingProxyType(
    {ic_auth.NAME: 1, ic_priority.NAME: 2, ut_metadata.NAME: 3, ut_pex.NAME: 4, lt_donthave.NAME: 5}
)
"""What we announce: name -> the number under which peers send it to us, 1..255."""


def without(*names: str) -> Mapping[str, int]:
    """All but these."""
    return {name: number for name, number in EXTENSIONS.items() if name not in names}
