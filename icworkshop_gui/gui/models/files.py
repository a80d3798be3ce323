"""The Files tab: one row a file of the torrent."""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QObject

from icworkshop_gui.engine.api.snapshots import FileSnapshot
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.models.rows import Column, SortedRowsModel


def _state(file: FileSnapshot) -> str:
    if file.done >= file.size:
        return "Verified"
    return f"{words.percent(file.done, file.size)} %" if file.done else "Waiting"


COLUMNS: tuple[Column[FileSnapshot], ...] = (
    Column("File", lambda f: words.clipped(f.path), lambda f: f.path.casefold(), width=460),
    Column("Size", lambda f: words.size(f.size), lambda f: f.size, number=True, width=90),
    Column("State", _state, lambda f: f.done / f.size if f.size else 1.0, width=110),
)


class FilesModel(SortedRowsModel[FileSnapshot]):
    """By path, until the player sorts otherwise."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(COLUMNS, 0, False, parent)

    def key(self, row: FileSnapshot) -> Hashable:
        return row.path
