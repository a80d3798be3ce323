"""Reading pieces back and checking them, over any Storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.store.hashing import Cancel, Cancelled, Progress, never, no_progress
from icworkshop_gui.store.storage import Storage

PieceMatches = Callable[[int, bytes], bool]
"""`Metainfo.piece_matches`: has piece `index` these bytes?"""

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
    """Which of these pieces (None: all) are there and right. `progress` is told the pieces done.

    A piece that is not stored is simply not there; every other StorageError is raised. Cancelled.
    """
    have = Bitfield(geometry.piece_count)
    for done, index in enumerate(range(geometry.piece_count) if indices is None else indices, 1):
        if cancel():
            raise Cancelled
        try:
            data = storage.read(geometry.piece_offset(index), geometry.piece_size(index))
        except StorageError as error:
            if error.fault not in _ABSENT:
                raise
        else:
            if piece_matches(index, data):
                have.add(index)
        progress(done)
    return have
