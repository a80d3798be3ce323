"""Reading pieces back and checking them, over any Storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.units import MIB
from icworkshop_gui.store.hashing import Cancel, Cancelled, Progress, never, no_progress
from icworkshop_gui.store.parallel import Sum, in_parallel
from icworkshop_gui.store.storage import Storage

PieceMatches = Callable[[int, bytes], bool]
"""`Metainfo.piece_matches`: has piece `index` these bytes?"""

JOB_BYTES = 4 * MIB
"""One thread reads so much at a time: the hand-over must cost little beside it."""
_ABSENT = (StorageFault.GONE, StorageFault.CHANGED)


def recheck(
    storage: Storage,
    geometry: Geometry,
    piece_matches: PieceMatches,
    indices: Iterable[int] | None = None,
    *,
    cancel: Cancel = never,
    progress: Progress = no_progress,
) -> Bitfield:
    """On all cores: which of these pieces (None: all) are there and right? `progress` is told the pieces done.

    A piece that is not stored is simply not there; every other StorageError is raised. Cancelled.
    """
    have = Bitfield(geometry.piece_count)
    wanted = range(geometry.piece_count) if indices is None else list(indices)
    step = max(1, JOB_BYTES // geometry.piece_length)
    done = Sum(progress)

    def look(batch: Sequence[int]) -> list[int]:
        found: list[int] = []
        for index in batch:
            if cancel():
                raise Cancelled
            try:
                data = storage.read(geometry.piece_offset(index), geometry.piece_size(index))
            except StorageError as error:
                if error.fault not in _ABSENT:
                    raise
            else:
                if piece_matches(index, data):
                    found.append(index)
            done.add(1)
        return found

    for found in in_parallel(look, [wanted[at : at + step] for at in range(0, len(wanted), step)]):
        for index in found:
            have.add(index)
    return have
