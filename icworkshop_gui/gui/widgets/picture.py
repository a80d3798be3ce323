"""A package's picture as a widget: fixed height, covers its width, better once the author's own has come."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.gui.pictures import Pictures
from icworkshop_gui.gui.tokens import Measure


class PictureBox(QWidget):
    """Shows nothing until `show_package`."""

    def __init__(self, pictures: Pictures, height: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._what: tuple[PackageId, str, str, str] | None = None
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        pictures.arrived.connect(self._arrived)

    def show_package(self, package: PackageId, category: str, version: str, sha256: str) -> None:
        """The picture of this release."""
        self._what = (package, category, version, sha256)
        self.update()

    def _arrived(self, pictures: set[str]) -> None:
        if self._what is not None and self._what[3] in pictures:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._what is None or self.width() < 2:
            return
        package, category, version, sha256 = self._what
        pixmap = self._pictures.pixmap(
            package,
            category,
            QSize(self.width(), self.height()),
            version=version,
            sha256=sha256,
            radius=Measure.RADIUS_THUMB,
            dpr=self.devicePixelRatioF(),
        )
        QPainter(self).drawPixmap(0, 0, pixmap)
