"""The list of Downloads: section titles and transfers in one flat model, arranged by a pure function."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from PySide6.QtCore import QMimeData, QModelIndex, QObject, Qt

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import TransferDetail, TransferSnapshot, TransferState
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.bridge import TransfersDelta
from icworkshop_gui.gui.models.rows import ROW_ROLE, Index, RowsModel


class Section(StrEnum):
    """Where a transfer stands on the page, top to bottom."""

    LOBBY = "lobby"
    USER = "user"
    BACKGROUND = "background"
    SHARING = "sharing"
    FINISHED = "finished"

    @property
    def tier(self) -> Tier | None:
        """The tier that dropping a transfer here gives it; None where nothing can be dropped."""
        return _TIERS.get(self)

    @property
    def collapsible(self) -> bool:
        return self in (Section.SHARING, Section.FINISHED)


_TIERS = {Section.LOBBY: Tier.LOBBY_URGENT, Section.USER: Tier.USER_REQUESTED, Section.BACKGROUND: Tier.BACKGROUND}
_OF_TIER = {tier: section for section, tier in _TIERS.items()}
_RUNNING = (
    TransferState.DOWNLOADING,
    TransferState.CHECKING,
    TransferState.VERIFYING,
    TransferState.INSTALLING,
)
MIME = "application/x-icworkshop-transfers"
NAMES_IN_TITLE = 3
"""How many finished names a collapsed title lists before it says how many more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleRow:
    """The title of a section."""

    section: Section
    title: str
    hint: str
    open: bool = True
    more: str = ""
    """The words of its toggle; empty when it does not fold."""
    attention: int = 0
    """How many of its transfers need the player."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """One transfer, and where in its card it is."""

    section: Section
    transfer: TransferSnapshot
    first: bool
    last: bool


DownloadsRow = TitleRow | TransferRow


def section_of(transfer: TransferSnapshot, wall: float) -> Section | None:
    """The section a transfer belongs to; None when the page does not show it. `wall` in seconds since the epoch."""
    if transfer.finished_at is None and transfer.state not in (TransferState.SEEDING, TransferState.FINISHED):
        return _OF_TIER[transfer.tier]
    finished_today = transfer.finished_at is not None and _same_day(transfer.finished_at, wall)
    if not transfer.cleared and (finished_today or transfer.state is TransferState.FINISHED):
        return Section.FINISHED
    return Section.SHARING if transfer.state is not TransferState.FINISHED else None


def _same_day(then: float, now: float) -> bool:
    return datetime.fromtimestamp(then).astimezone().date() == datetime.fromtimestamp(now).astimezone().date()


def arrange(transfers: Iterable[TransferSnapshot], opened: frozenset[Section], wall: float) -> list[DownloadsRow]:
    """Every row of the page, top to bottom. `opened`: which of the folding sections show their transfers."""
    members: dict[Section, list[TransferSnapshot]] = {section: [] for section in Section}
    for transfer in transfers:
        section = section_of(transfer, wall)
        if section is not None:
            members[section].append(transfer)
    rows: list[DownloadsRow] = []
    for section, found in members.items():
        if not found:
            continue
        if section is Section.FINISHED:
            found.sort(key=lambda t: (-(t.finished_at or 0.0), t.id))
        elif section is Section.SHARING:
            found.sort(key=lambda t: (-t.rate_up, t.name.casefold(), t.id))
        else:
            found.sort(key=lambda t: (t.position, t.id))
        is_open = not section.collapsible or section in opened
        rows.append(_title(section, found, is_open, wall))
        if is_open:
            last = len(found) - 1
            rows += [
                TransferRow(section=section, transfer=transfer, first=at == 0, last=at == last)
                for at, transfer in enumerate(found)
            ]
    return rows


def _title(section: Section, found: list[TransferSnapshot], is_open: bool, wall: float) -> TitleRow:
    attention = sum(t.state is TransferState.ERROR for t in found)
    tier = section.tier
    if tier is not None:
        items = words.count(len(found), "item", "items")
        hint = words.tier_hint(tier) or items
        return TitleRow(section=section, title=words.tier_word(tier), hint=hint, attention=attention)
    more = "Show less" if is_open else "Show all"
    if section is Section.SHARING:
        rate = sum(t.rate_up for t in found)
        hint = words.count(len(found), "package", "packages")
        if rate:
            hint += f" · ↑ {words.rate(rate)}"
        return TitleRow(section=section, title="Sharing", hint=hint, open=is_open, more=more, attention=attention)
    today = all(t.finished_at is not None and _same_day(t.finished_at, wall) for t in found)
    names = ", ".join(t.name for t in found[:NAMES_IN_TITLE])
    if len(found) > NAMES_IN_TITLE:
        names += f" and {len(found) - NAMES_IN_TITLE} more"
    title = "Finished today" if today else "Finished"
    return TitleRow(section=section, title=title, hint=names, open=is_open, more=more, attention=attention)


def summary(transfers: Iterable[TransferSnapshot], wall: float) -> str:
    """Beside the page's title: `3 active, 2 waiting`."""
    active, waiting, paused, failed = _counts(transfers, wall)
    parts = [f"{active} active"] if active else []
    if waiting:
        parts.append(f"{waiting} waiting")
    if paused:
        parts.append(f"{paused} paused")
    if failed:
        parts.append(words.count(failed, "needs attention", "need attention"))
    return ", ".join(parts)


def active_count(transfers: Iterable[TransferSnapshot], wall: float) -> int:
    """How many transfers run, for the badge."""
    return _counts(transfers, wall)[0]


def _counts(transfers: Iterable[TransferSnapshot], wall: float) -> tuple[int, int, int, int]:
    active = waiting = paused = failed = 0
    for transfer in transfers:
        section = section_of(transfer, wall)
        if section is None or section.tier is None:
            continue
        if transfer.state is TransferState.ERROR:
            failed += 1
        elif transfer.state in _RUNNING:
            active += 1
        elif transfer.state is TransferState.PAUSED and transfer.reason.value == "user":
            paused += 1
        else:
            waiting += 1
    return active, waiting, paused, failed


def moves(
    transfers: Iterable[TransferSnapshot], tier: Tier, wanted: Sequence[tuple[TransferId, TransferId | None]]
) -> list[tuple[TransferId, int]]:
    """The `Move` commands, in order, that put each transfer in front of another one of `tier`, or at its end (None).

    Positions count every transfer of the tier, also those that the page shows elsewhere because they are finished.
    """
    facts = {transfer.id: transfer for transfer in transfers}
    order = sorted((t for t in facts.values() if t.tier is tier), key=lambda t: (t.position, t.id))
    line = [transfer.id for transfer in order]
    found: list[tuple[TransferId, int]] = []
    for moved, before in wanted:
        rest = [other for other in line if other != moved]
        position = rest.index(before) if before in rest else len(rest)
        if line[position : position + 1] != [moved]:
            found.append((moved, position))
        line = [*rest[:position], moved, *rest[position:]]
    return found


def stepped(shown: Sequence[TransferId], chosen: frozenset[TransferId], where: str) -> list[TransferId]:
    """The order of a section after its chosen ones went `up` or `down` one place, or to the `top` or `bottom`."""
    line = list(shown)
    inside = [transfer for transfer in line if transfer in chosen]
    outside = [transfer for transfer in line if transfer not in chosen]
    match where:
        case "top":
            return inside + outside
        case "bottom":
            return outside + inside
        case "up":
            for at in range(1, len(line)):
                if line[at] in chosen and line[at - 1] not in chosen:
                    line[at - 1], line[at] = line[at], line[at - 1]
        case "down":
            for at in range(len(line) - 2, -1, -1):
                if line[at] in chosen and line[at + 1] not in chosen:
                    line[at + 1], line[at] = line[at], line[at + 1]
        case _:
            raise ValueError(where)
    return line


class TransfersModel(RowsModel[DownloadsRow]):
    """Downloads as rows. Feed it the bridge's deltas; it keeps the facts and arranges them."""

    def __init__(self, wall: Callable[[], float] = time.time, parent: QObject | None = None) -> None:
        super().__init__(parent=parent)
        self._wall = wall
        self._transfers: dict[TransferId, TransferSnapshot] = {}
        self._hidden: set[TransferId] = set()
        self._opened: frozenset[Section] = frozenset()
        self.engine_now = 0.0
        """The engine's clock, for "next try in"."""
        self.details: TransferDetail | None = None
        """Of the watched transfer; its row draws its pieces."""

    @property
    def transfers(self) -> dict[TransferId, TransferSnapshot]:
        return self._transfers

    @property
    def visible(self) -> list[TransferSnapshot]:
        """The facts without what was cancelled a moment ago."""
        return [t for t in self._transfers.values() if t.id not in self._hidden]

    @property
    def opened(self) -> frozenset[Section]:
        return self._opened

    def apply(self, delta: TransfersDelta) -> None:
        for transfer in delta.changed:
            self._transfers[transfer.id] = transfer
        for gone in delta.gone:
            self._transfers.pop(gone, None)
            self._hidden.discard(gone)
        self._arrange()

    def set_hidden(self, transfer: TransferId, hidden: bool) -> None:
        """Take a row off the page at once, before the engine has answered; or bring it back."""
        if hidden:
            self._hidden.add(transfer)
        else:
            self._hidden.discard(transfer)
        self._arrange()

    def toggle(self, section: Section) -> None:
        """Fold or unfold a section that can."""
        if section.collapsible:
            self._opened ^= {section}
            self._arrange()

    def set_detail(self, detail: TransferDetail | None) -> None:
        before, self.details = self.details, detail
        for shown in {d.id for d in (before, detail) if d is not None}:
            index = self.index_of(shown)
            if index.isValid():
                self.dataChanged.emit(index, index)

    def _arrange(self) -> None:
        self.set_rows(arrange(self.visible, self._opened, self._wall()))

    def key(self, row: DownloadsRow) -> Hashable:
        return row.transfer.id if isinstance(row, TransferRow) else ("title", row.section)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row_at(index)
        if row is None:
            return None
        if role == ROW_ROLE:
            return row
        if isinstance(row, TitleRow):
            if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
                return f"{row.title}, {row.hint}"
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return row.transfer.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return words.row_for_screen_reader(row.transfer, self.engine_now)
        if role == Qt.ItemDataRole.ToolTipRole:
            return words.status_line(row.transfer, self.engine_now)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        row = self.row_at(index)
        if row is None:
            return Qt.ItemFlag.NoItemFlags
        usable = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        if isinstance(row, TitleRow):
            return usable if row.more else Qt.ItemFlag.ItemNeverHasChildren
        return usable | Qt.ItemFlag.ItemIsDragEnabled if row.section.tier is not None else usable

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        # The view knows what is selected; nothing of ours means anything to other programs.
        data = QMimeData()
        data.setData(MIME, b"")
        return data

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def supportedDragActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction | Qt.DropAction.CopyAction
