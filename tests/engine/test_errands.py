"""Who waits for whom when several bring the same files."""

from __future__ import annotations

import pytest

from icworkshop_gui.core.ids import BlobId, TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.errands import COMMON_MIN, Errand, waits_for

PACK, OTHER, SMALL = (BlobId(bytes([number]) * 32) for number in range(3))
FILES = {PACK: 3 * MIB, OTHER: 5 * MIB, SMALL: COMMON_MIN - 1}


def errand(name: str, *blobs: BlobId, tier: Tier = Tier.USER_REQUESTED, held: bool = False) -> Errand:
    return Errand(id=TransferId(name), tier=tier, files={blob: FILES[blob] for blob in blobs}, held=held)


MINE = errand("mine", PACK, SMALL)


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        (errand("other", PACK), True),
        (errand("other", PACK, OTHER, SMALL), True),
        (errand("other", OTHER), False),
        (errand("other", SMALL), False),  # not worth it
        (errand("other"), False),
        (errand("mine", PACK), False),  # itself
        (errand("other", PACK, tier=Tier.LOBBY_URGENT), True),
        (errand("other", PACK, tier=Tier.BACKGROUND), False),
        (errand("other", PACK, held=True), False),
    ],
)
def test_who_waits(other: Errand, waits: bool) -> None:
    assert waits_for(MINE, [other]) == (other.id if waits else None)


def test_those_who_are_held_both_wait_for_one_another() -> None:
    held = errand("mine", PACK, held=True)
    assert waits_for(held, [errand("other", PACK, held=True)]) == "other"
    assert waits_for(held, []) is None


def test_small_files_count_together() -> None:
    blobs = [BlobId(number.to_bytes(32, "big")) for number in range(16)]
    files = dict.fromkeys(blobs, COMMON_MIN // 16)
    mine, other = (Errand(id=TransferId(name), tier=Tier.BACKGROUND, files=files) for name in ("mine", "other"))
    assert waits_for(mine, [other]) == "other"
    fewer = Errand(id=TransferId("other"), tier=Tier.BACKGROUND, files=dict(list(files.items())[1:]))
    assert waits_for(mine, [fewer]) is None
