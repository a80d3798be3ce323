"""Thumbnails: the author's picture, fetched through the engine and decoded off the GUI thread; drawn art until then.

Memory is bounded (LRU); a picture that is missing, too large or broken is not asked for again for an hour.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QRectF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QImage, QImageReader, QPainter, QPainterPath, QPixmap

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.engine.api.commands import GetPreview
from icworkshop_gui.gui.art import draw_art
from icworkshop_gui.gui.bridge import EngineBridge

PICTURE_BYTES_MAX = 4 * 1024 * 1024
"""Encoded bytes (gui.md B1)."""
PICTURE_SIDE_MAX = 4096
"""Pixels before decoding, both ways."""
KEPT_BYTES = 64 * 1024 * 1024
"""Decoded pixmaps kept in memory."""
FORGIVE_AFTER = 3600.0
"""Seconds until a failed picture is asked for again."""
FORMATS = frozenset({b"png", b"jpeg", b"jpg", b"webp"})
TELL_MS = 50
"""Arrivals are told together, at most this often."""
RUNNING_MAX = 4
"""Pictures under way at a time; the newest wish goes first, so that scrolling past costs nothing."""
WAITING_MAX = 64
SOURCE_SIDE = 1024
"""Decoded pictures are kept at most this wide; every size is cut from them."""


def decode(data: bytes) -> QImage | None:
    """A stranger's picture within the limits, or None. Safe on any thread."""
    if len(data) > PICTURE_BYTES_MAX:
        return None
    buffer = QBuffer()
    buffer.setData(QByteArray(data))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer)
    reader.setDecideFormatFromContent(True)
    if bytes(reader.format().data()).lower() not in FORMATS:
        return None
    size = reader.size()
    if not size.isValid() or size.isEmpty() or max(size.width(), size.height()) > PICTURE_SIDE_MAX:
        return None
    if max(size.width(), size.height()) > SOURCE_SIDE:
        reader.setScaledSize(size.scaled(SOURCE_SIDE, SOURCE_SIDE, Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return None if image.isNull() else image


def cover(image: QImage, size: QSize, radius: float) -> QImage:
    """The middle of a picture, filling `size` (device pixels), with round corners. Safe on any thread."""
    scaled = image.scaled(
        size, Qt.AspectRatioMode.KeepAspectRatioByExpanding, Qt.TransformationMode.SmoothTransformation
    )
    result = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    path = QPainterPath()
    path.addRoundedRect(QRectF(0, 0, size.width(), size.height()), radius, radius)
    painter.setClipPath(path)
    painter.drawImage((size.width() - scaled.width()) // 2, (size.height() - scaled.height()) // 2, scaled)
    painter.end()
    return result


class Pictures(QObject):
    """Ask for a pixmap while painting; it is there at once, and better later.

    Signals:
        arrived(set): SHA-256s whose pixmaps are now the author's own; repaint what shows them.
    """

    arrived = Signal(object)
    _decoded = Signal(str, object)

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._pixmaps: OrderedDict[tuple[str, str, int, int, float, bool], QPixmap] = OrderedDict()
        self._bytes = 0
        self._sources: OrderedDict[str, QImage] = OrderedDict()
        self._failed: dict[str, float] = {}
        self._waiting: OrderedDict[str, GetPreview] = OrderedDict()
        self._running: set[str] = set()
        self._news: set[str] = set()
        self._closed = False
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="pictures")
        self._decoded.connect(self._arrive, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TELL_MS)
        self._timer.timeout.connect(self._tell)

    def close(self) -> None:
        """No more pictures."""
        self._closed = True
        self._timer.stop()
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def pixmap(
        self,
        package: PackageId,
        category: str,
        size: QSize,
        *,
        version: str = "",
        sha256: str = "",
        radius: float = 6.0,
        dpr: float = 1.0,
    ) -> QPixmap:
        """The picture of a package at `size` logical pixels. `sha256` empty: the author gave none."""
        source = self._sources.get(sha256) if sha256 else None
        own = source is not None
        key = (sha256 if own else str(package), category, size.width(), size.height(), dpr, own)
        found = self._pixmaps.get(key)
        if found is not None:
            self._pixmaps.move_to_end(key)
        else:
            real = QSize(round(size.width() * dpr), round(size.height() * dpr))
            base = source if source is not None else draw_art(str(package), category, real)
            found = QPixmap.fromImage(cover(base, real, radius * dpr))
            found.setDevicePixelRatio(dpr)
            self._keep(key, found)
        if sha256 and not own:
            self._want(sha256, GetPreview(package, version, sha256))
        return found

    def _keep(self, key: tuple[str, str, int, int, float, bool], pixmap: QPixmap) -> None:
        self._pixmaps[key] = pixmap
        self._bytes += pixmap.width() * pixmap.height() * 4
        while self._bytes > KEPT_BYTES and len(self._pixmaps) > 1:
            _key, old = self._pixmaps.popitem(last=False)
            self._bytes -= old.width() * old.height() * 4

    def _want(self, sha256: str, command: GetPreview) -> None:
        if sha256 in self._running or time.monotonic() < self._failed.get(sha256, 0.0):
            return
        self._waiting[sha256] = command
        self._waiting.move_to_end(sha256)
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)
        self._start_some()

    def _start_some(self) -> None:
        while self._waiting and len(self._running) < RUNNING_MAX:
            sha256, command = self._waiting.popitem(last=True)
            self._running.add(sha256)
            self._bridge.ask(command, _Answer(self, sha256).got, _Answer(self, sha256).failed)

    def _decode(self, sha256: str, data: bytes) -> None:
        if self._closed:
            return
        job = self._pool.submit(decode, data)
        job.add_done_callback(lambda done: self._hand_over(sha256, done))

    def _hand_over(self, sha256: str, done: Future[QImage | None]) -> None:
        """On the pool's thread."""
        if not done.cancelled():
            self._decoded.emit(sha256, None if done.exception() else done.result())

    @Slot(str, object)
    def _arrive(self, sha256: str, image: QImage | None) -> None:
        self._running.discard(sha256)
        if self._closed:
            return
        if image is None:
            self._failed[sha256] = time.monotonic() + FORGIVE_AFTER
        else:
            self._sources[sha256] = image
            while sum(kept.sizeInBytes() for kept in self._sources.values()) > KEPT_BYTES and len(self._sources) > 1:
                self._sources.popitem(last=False)
            self._news.add(sha256)
            if not self._timer.isActive():
                self._timer.start()
        self._start_some()

    def _tell(self) -> None:
        news, self._news = self._news, set()
        self.arrived.emit(news)


class _Answer:
    """One preview under way; plain methods, so that the bridge need not keep the object alive by itself."""

    def __init__(self, pictures: Pictures, sha256: str) -> None:
        self._pictures = pictures
        self._sha256 = sha256

    def got(self, data: bytes) -> None:
        self._pictures._decode(self._sha256, data)

    def failed(self, _error: Exception) -> None:
        self._pictures._arrive(self._sha256, None)
