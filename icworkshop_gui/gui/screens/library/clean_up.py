"""What can go without anybody missing it: counted by the engine, shown on a card, listed before it goes."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, QTimer, Signal

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.engine.api.commands import CleanUp, CleanUpReport
from icworkshop_gui.engine.api.snapshots import Hold, LibraryEntry
from icworkshop_gui.gui.format import clipped, count, error_sentence, size
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.labels import Paragraph
from icworkshop_gui.gui.widgets.row_list import RowItem, RowList
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import Toast

COUNT_AFTER_MS = 800
"""Several changes of the library are counted once."""
LIST_HEIGHT = 300
_WHY = {Hold.TEMPORARY: "temporary, its time is over", Hold.UNUSED: "came along, nothing needs it any more"}


def summary(report: CleanUpReport, library: Mapping[PackageRef, LibraryEntry]) -> str:
    """What would go: `2 temporary packages, 1 that nothing needs, left-overs`."""
    temporary = sum(ref in library and library[ref].hold is Hold.TEMPORARY for ref, _bytes in report.packages)
    unused = len(report.packages) - temporary
    parts = []
    if temporary:
        parts.append(count(temporary, "temporary package", "temporary packages"))
    if unused:
        parts.append(f"{count(unused, 'package', 'packages')} that nothing needs")
    if report.freed > sum(freed for _ref, freed in report.packages):
        parts.append("left-overs of downloads")
    return ", ".join(parts)


class CleanUpSheet(Sheet):
    """Signals: agreed()."""

    agreed = Signal()

    def __init__(self, report: CleanUpReport, library: Mapping[PackageRef, LibraryEntry]) -> None:
        super().__init__(f"Free {size(report.freed)}?", width=520)
        rows = []
        for ref, freed in report.packages:
            entry = library.get(ref)
            rows.append(
                RowItem(
                    key=str(ref),
                    title=f"{clipped(entry.title) if entry is not None else ref.name} {ref.version}",
                    second=_WHY.get(entry.hold, "") if entry is not None else "",
                    right=f"frees {size(freed)}",
                    icon="package",
                )
            )
        rest = report.freed - sum(freed for _ref, freed in report.packages)
        if rest > 0:
            rows.append(
                RowItem(
                    key="rest",
                    title="Left-overs",
                    second="files of the store that no package has any more",
                    right=f"frees {size(rest)}",
                    icon="file",
                )
            )
        words = "This cannot be undone. What you asked for or pinned stays, and what that needs."
        self.body.addWidget(Paragraph(words, Text.SECOND, Token.MUTED))
        self.list = RowList("What goes")
        self.list.set_rows(rows)
        self.list.setFixedHeight(min(LIST_HEIGHT, 54 * len(rows) + 4))
        self.body.addWidget(self.list)
        self.cancel = self.add_button(Button("Cancel"))
        self.cancel.clicked.connect(self.close_sheet)
        self.go = self.add_button(Button(f"Clean up · frees {size(report.freed)}", kind=Kind.DANGER))
        self.go.clicked.connect(self._go)

    def _go(self) -> None:
        self.close_sheet()
        self.agreed.emit()


class CleanUps(QObject):
    """Signals:
    counted(CleanUpReport): what would go now.
    """

    counted = Signal(object)

    def __init__(self, shell: Shell, parent: QObject) -> None:
        super().__init__(parent)
        self._shell = shell
        self.report = CleanUpReport()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(COUNT_AFTER_MS)
        self._timer.timeout.connect(self.count)

    def count_soon(self) -> None:
        """The library has changed."""
        self._timer.start()

    def count(self) -> None:
        """Ask the engine; nothing is removed."""
        self._timer.stop()
        self._shell.bridge.ask(CleanUp(dry_run=True), self._counted, self._not_counted)

    def _counted(self, report: CleanUpReport) -> None:
        self.report = report
        self.counted.emit(report)

    def _not_counted(self, _error: Exception) -> None:
        """The card goes on saying what it said; whoever presses the button hears why."""

    def review(self) -> None:
        """List what goes, and ask."""
        sheet = CleanUpSheet(self.report, self._shell.bridge.view.library)
        sheet.agreed.connect(self._clean_up)
        self._shell.open_sheet(sheet, sheet.cancel)

    def _clean_up(self) -> None:
        self._shell.bridge.ask(CleanUp(), self._done, self._failed)

    def _done(self, report: CleanUpReport) -> None:
        self._shell.toast(Toast(f"Freed {size(report.freed)}.", icon="sparkles", token=Token.OK))
        self.count()

    def _failed(self, error: Exception) -> None:
        words = f"It could not be cleaned up. {error_sentence(error)}"
        self._shell.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))
