"""From a wish to what is done about it: asks the engine what would change, shows the review where one is due.

What one click may do happens at once (gui.md B2.2); an answer that takes its time opens the sheet while it is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from PySide6.QtCore import QObject, QSize, QTimer, Signal
from PySide6.QtGui import QPixmap

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import VersionConflict, WayOut
from icworkshop_gui.engine.api.changes import Change, ChangeSet
from icworkshop_gui.engine.api.commands import Command, InstallAll, PlanInstall, PlanRemove
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.dialogs.review import ReviewSheet
from icworkshop_gui.gui.format import clipped, error_sentence
from icworkshop_gui.gui.models.review import ReviewRow, needs_review, review
from icworkshop_gui.gui.pictures import Pictures
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import Toast

PATIENCE_MS = 150
"""Before the sheet says that it is waiting (gui.md D1)."""
SHOWN_MS = 300
"""How long what was opened stays at least."""

Wishes = Sequence[tuple[PackageId, str]]


class Desk(Protocol):
    """The window, as far as a review needs it."""

    @property
    def bridge(self) -> EngineBridge: ...

    @property
    def pictures(self) -> Pictures: ...

    def toast(self, toast: Toast) -> None: ...

    def open_sheet(self, sheet: Sheet) -> None: ...


class Reviews(QObject):
    """One review at a time: a second wish while one is looked up is the same click twice."""

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._desk = desk
        self._running: _Review | None = None

    @property
    def sheet(self) -> ReviewSheet | None:
        """What is open."""
        return None if self._running is None else self._running.sheet

    def install(self, wishes: Wishes, title: str) -> None:
        """Install or update these (version empty: the newest that goes); `title` until the answer is here."""
        self._begin(_Install(self._desk, clipped(title), self, wishes))

    def remove(self, refs: Sequence[PackageRef], title: str, act: Callable[[ChangeSet], object]) -> None:
        """`act` removes what goes, in this order."""
        self._begin(_Removal(self._desk, f"Remove {clipped(title)}?", self, refs, act))

    def _begin(self, running: _Review) -> None:
        if self._running is not None:
            running.deleteLater()
            return
        self._running = running
        running.ended.connect(self._over)
        running.ask()

    def _over(self) -> None:
        if self._running is not None:
            self._running.deleteLater()
            self._running = None


class _Review(QObject):
    """One review, from the question to the deed. What is asked, done and ticked is up to the two kinds below; Qt's
    metaclass rules out `abc` here.

    Signals:
        ended(): nothing more will come of it.
    """

    ended = Signal()

    def __init__(self, desk: Desk, title: str, parent: QObject) -> None:
        super().__init__(parent)
        self._desk = desk
        self._title = title
        self._serial = 0
        self._changes: ChangeSet | None = None
        self._dropped: list[Change] = []
        self._order: tuple[PackageId, ...] = ()
        self.sheet: ReviewSheet | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._open)
        desk.pictures.arrived.connect(self._repaint)

    def question(self) -> Command[ChangeSet]:
        """What the engine is asked."""
        raise NotImplementedError

    def act(self, changes: ChangeSet) -> None:
        """Do it."""
        raise NotImplementedError

    def toggled(self, ref: PackageRef, on: bool) -> None:
        """A tick was set or taken."""
        raise NotImplementedError

    def chosen(self, way: WayOut) -> None:
        """A way out of a conflict."""
        raise NotImplementedError

    def ask(self) -> None:
        """Also once more: other ticks, or another try."""
        self._serial += 1
        if self.sheet is None:
            self._patience.start()
        else:
            self.sheet.show_loading()
        serial = self._serial
        self._desk.bridge.ask(self.question(), partial(self._answered, serial), partial(self._failed, serial))

    def _open(self) -> ReviewSheet:
        """The sheet, on the screen from now on."""
        self._patience.stop()
        if self.sheet is None:
            self.sheet = ReviewSheet(self._title, self._art)
            self.sheet.agreed.connect(self._agreed)
            self.sheet.toggled.connect(self.toggled)
            self.sheet.chosen.connect(self.chosen)
            self.sheet.retried.connect(self.ask)
            self.sheet.closed.connect(self._closed)
            self._desk.open_sheet(self.sheet)
        return self.sheet

    def _answered(self, serial: int, changes: ChangeSet) -> None:
        if serial != self._serial:
            return
        self._patience.stop()
        was_shown, self._changes = self._changes is not None, changes
        if was_shown or needs_review(changes):
            self._open().show_review(review(changes, self._dropped, self._order))
            return
        self.act(changes)
        if self.sheet is None:
            self.ended.emit()
        else:
            # What has just come up does not vanish under the eye.
            QTimer.singleShot(SHOWN_MS, self.sheet, self.sheet.close_sheet)

    def _failed(self, serial: int, error: Exception) -> None:
        if serial != self._serial:
            return
        sheet = self._open()
        if isinstance(error, VersionConflict):
            sheet.show_conflict(error)
        else:
            sheet.show_trouble(error_sentence(error))

    def _agreed(self) -> None:
        if self._changes is not None:
            self.act(self._changes)
        if self.sheet is not None:
            self.sheet.close_sheet()

    def _closed(self) -> None:
        self._serial += 1  # an answer that still comes is nobody's any more
        self.ended.emit()

    def _art(self, row: ReviewRow, size: QSize, dpr: float) -> QPixmap:
        return self._desk.pictures.pixmap(
            row.ref.package,
            row.category,
            size,
            version=row.ref.version,
            sha256=row.preview_sha256,
            radius=Measure.RADIUS_THUMB,
            dpr=dpr,
        )

    def _repaint(self, _pictures: object) -> None:
        if self.sheet is not None:
            self.sheet.list.viewport().update()


class _Install(_Review):
    def __init__(self, desk: Desk, title: str, parent: QObject, wishes: Wishes) -> None:
        super().__init__(desk, f"Install {title}", parent)
        self._name = title
        self._wishes = dict(wishes)
        self._order = tuple(self._wishes)
        self._not_now: dict[PackageId, str] = {}

    def question(self) -> Command[ChangeSet]:
        return PlanInstall(tuple(self._wishes.items()))

    def act(self, changes: ChangeSet) -> None:
        # In the versions that were shown, whatever has been published since.
        asked = {change.ref.package: change.ref.version for change in changes.changes}
        wishes = tuple((package, asked.get(package, version)) for package, version in self._wishes.items())
        self._desk.bridge.send(InstallAll(wishes), self._refused)

    def _refused(self, error: Exception) -> None:
        words = f"{self._name} could not be installed. {error_sentence(error)}"
        self._desk.toast(Toast(words, icon="triangle-alert", token=Token.ERROR))

    def toggled(self, ref: PackageRef, on: bool) -> None:
        package = ref.package
        if on and package in self._not_now:
            self._wishes[package] = self._not_now.pop(package)
            self._dropped = [change for change in self._dropped if change.ref.package != package]
        elif not on and len(self._wishes) > 1 and self._changes is not None and package in self._wishes:
            self._not_now[package] = self._wishes.pop(package)
            self._dropped += [change for change in self._changes.changes if change.ref == ref]
        else:
            return
        self.ask()

    def chosen(self, way: WayOut) -> None:
        if way.package is None:
            return
        if way.version:
            self._wishes[way.package] = way.version
        else:
            self._wishes.pop(way.package, None)
        self.ask()


class _Removal(_Review):
    def __init__(
        self,
        desk: Desk,
        title: str,
        parent: QObject,
        refs: Sequence[PackageRef],
        act: Callable[[ChangeSet], object],
    ) -> None:
        super().__init__(desk, title, parent)
        self._refs = tuple(refs)
        self._keep: dict[PackageRef, None] = {}
        self._act = act

    def question(self) -> Command[ChangeSet]:
        return PlanRemove(self._refs, tuple(self._keep))

    def act(self, changes: ChangeSet) -> None:
        self._act(changes)

    def toggled(self, ref: PackageRef, on: bool) -> None:
        if on:
            self._keep.pop(ref, None)
        else:
            self._keep[ref] = None
        self.ask()

    def chosen(self, way: WayOut) -> None:
        """Removing never contradicts itself."""
