"""Sheets of bundles: what one holds before it is installed, and how far its writing or checking is."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from icworkshop_gui.engine.api.commands import BundledPackage, BundleView
from icworkshop_gui.gui.format import clipped, count, percent, size
from icworkshop_gui.gui.theme import Text, theme
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets import paint
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.labels import Label, Paragraph
from icworkshop_gui.gui.widgets.row_list import RowItem, RowList
from icworkshop_gui.gui.widgets.sheet import Sheet, Side


def row_of(package: BundledPackage) -> RowItem:
    """One package of a bundle."""
    if package.here:
        right, token = "is here", Token.MUTED
    elif package.vouched:
        right, token = size(package.size), Token.TEXT
    else:
        right, token = f"{size(package.size)} · only the bundle says so", Token.WARN
    return RowItem(
        key=str(package.ref),
        title=clipped(package.title) or package.ref.name,
        second=f"{package.ref} · {clipped(package.license) or 'no licence stated'}",
        right=right,
        right_token=token,
        icon="package",
    )


class BundleSheet(Sheet):
    """Signals: agreed()."""

    agreed = Signal()

    def __init__(self, path: Path, view: BundleView) -> None:
        super().__init__(clipped(path.name), side=Side.RIGHT, width=Measure.SHEET)
        new = [package for package in view.packages if not package.here]
        bytes_ = sum(package.size for package in new)
        words = f"{count(len(view.packages), 'package', 'packages')} in this file, {len(new)} not here yet. "
        self.body.addWidget(
            Paragraph(words + "Nothing is fetched: all of it is in the file.", Text.SECOND, Token.MUTED)
        )
        self.list = RowList("What the bundle holds")
        self.list.set_rows([row_of(package) for package in view.packages])
        self.body.addWidget(self.list, 1)
        strange = sum(not package.vouched and not package.here for package in view.packages)
        note = "Packages that no source has named to this computer are only as good as whoever made the file."
        if strange:
            self.body.addWidget(Paragraph(note, Text.SECOND, Token.WARN))
        cancel = self.add_button(Button("Cancel"))
        cancel.clicked.connect(self.close_sheet)
        self.go = self.add_button(Button(f"Install {len(new)} · {size(bytes_)}", kind=Kind.PRIMARY))
        self.go.setEnabled(bool(new))
        self.go.clicked.connect(self._go)

    def _go(self) -> None:
        self.close_sheet()
        self.agreed.emit()


class _Bar(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.share = 0.0
        self.setFixedHeight(Measure.TRACK_SHEET)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint.track(painter, QRectF(self.rect()), self.share, theme().color(Token.ACCENT))


class WorkSheet(Sheet):
    """Something long with a file; closing it stops that.

    Signals: stopped().
    """

    stopped = Signal()

    def __init__(self, title: str) -> None:
        super().__init__(title, width=420)
        self._over = False
        self._bar = _Bar()
        self.words = Label("", Text.SECOND, Token.MUTED)
        self.body.addWidget(self._bar)
        self.body.addWidget(self.words)
        stop = self.add_button(Button("Stop"))
        stop.clicked.connect(self.close_sheet)
        self.closed.connect(self._closed)

    def show_progress(self, done: int, total: int) -> None:
        """Bytes."""
        self._bar.share = done / total if total else 0.0
        self._bar.update()
        self.words.setText(f"{percent(done, total)} % · {size(done)} of {size(total)}")

    def finish(self) -> None:
        """It is done, or has failed: go without stopping anything."""
        self._over = True
        self.close_sheet()

    def _closed(self) -> None:
        if not self._over:
            self.stopped.emit()
