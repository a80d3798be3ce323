"""Pictures from strangers are bounded; art is the same every time; nothing is asked for twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize
from PySide6.QtGui import QColor, QImage

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.engine.api.commands import GetPreview
from icworkshop_gui.gui import pictures
from icworkshop_gui.gui.art import draw_art
from icworkshop_gui.gui.categories import TABS, Motif, motif
from icworkshop_gui.gui.pictures import PICTURE_BYTES_MAX, PICTURE_SIDE_MAX, SOURCE_SIDE, WAITING_MAX, decode
from tests.gui.conftest import Desk
from tests.helpers.fake_engine import FakeEngine

SIZE = QSize(88, 56)
PACKAGE = PackageId("a", "b")


def encoded(width: int, height: int, kind: str = "PNG", color: str = "#336699") -> bytes:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor(color))
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, kind)  # type: ignore[call-overload]
    return bytes(data.data())


def test_decode_accepts_what_is_allowed(qapp: object) -> None:
    assert decode(encoded(40, 30)).size() == QSize(40, 30)  # type: ignore[union-attr]
    assert decode(encoded(40, 30, "JPG")) is not None


def test_decode_refuses_other_formats_and_noise(qapp: object) -> None:
    assert decode(encoded(4, 4, "BMP")) is None
    assert decode(b"<svg xmlns='http://www.w3.org/2000/svg'/>") is None
    assert decode(b"") is None
    assert decode(encoded(40, 30)[:60]) is None


def test_byte_limit(qapp: object) -> None:
    good = encoded(8, 8)
    assert decode(good + b"\0" * (PICTURE_BYTES_MAX - len(good))) is not None
    assert decode(good + b"\0" * (PICTURE_BYTES_MAX - len(good) + 1)) is None


def test_side_limit_and_scaling(qapp: object) -> None:
    kept = decode(encoded(PICTURE_SIDE_MAX, 2))
    assert kept is not None
    assert kept.width() == SOURCE_SIDE
    assert decode(encoded(PICTURE_SIDE_MAX + 1, 2)) is None


def test_art_is_the_same_every_time_and_differs_by_package(qapp: object) -> None:
    one, again, other = (draw_art(name, "map", SIZE) for name in ("a/b", "a/b", "a/c"))
    assert one == again
    assert one != other
    assert draw_art("a/b", "music", SIZE) != one


@pytest.mark.parametrize("category", [key for key, _word in TABS if key] + ["", "something-new", "Maps", "Voice Packs"])
def test_every_category_has_art(qapp: object, category: str) -> None:
    image = draw_art("a/b", category, SIZE)
    colors = {image.pixel(x, y) for x in range(0, 88, 3) for y in range(0, 56, 3)}
    assert len(colors) > 4


def test_unknown_category_is_ridges() -> None:
    assert motif("something-new") is Motif.RIDGES
    assert motif("Maps") is Motif.TILES


def test_author_picture_replaces_art(desk: Desk) -> None:
    desk.engine.previews["ab"] = encoded(100, 100, color="#00FF00")
    store = desk.window.pictures
    before = store.pixmap(PACKAGE, "map", SIZE, version="1.0.0", sha256="ab")
    with desk.bot.waitSignal(store.arrived, timeout=5000) as arrived:
        desk.settle()
    assert arrived.args == [{"ab"}]
    after = store.pixmap(PACKAGE, "map", SIZE, version="1.0.0", sha256="ab")
    assert after.toImage().pixelColor(44, 28) == QColor("#00FF00")
    assert before.toImage().pixelColor(44, 28) != QColor("#00FF00")
    assert desk.engine.last(GetPreview) == GetPreview(PACKAGE, "1.0.0", "ab")


def test_missing_picture_is_not_asked_for_again(desk: Desk) -> None:
    desk.engine.refuse(GetPreview, NotFound("none"))
    store = desk.window.pictures
    for _ in range(5):
        store.pixmap(PACKAGE, "map", SIZE, sha256="cd")
        desk.settle()
    assert sum(isinstance(command, GetPreview) for command in desk.engine.commands) == 1


def test_failed_picture_is_forgiven_after_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.engine.refuse(GetPreview, NotFound("none"))
    store = desk.window.pictures
    store.pixmap(PACKAGE, "map", SIZE, sha256="cd")
    desk.settle()
    now = pictures.time.monotonic()
    monkeypatch.setattr(pictures.time, "monotonic", lambda: now + pictures.FORGIVE_AFTER + 1)
    store.pixmap(PACKAGE, "map", SIZE, sha256="cd")
    assert sum(isinstance(command, GetPreview) for command in desk.engine.commands) == 2


def test_waiting_wishes_are_bounded_and_the_newest_goes_first(desk: Desk) -> None:
    desk.engine.hold(GetPreview)
    store = desk.window.pictures
    for n in range(WAITING_MAX * 2):
        store.pixmap(PACKAGE, "map", SIZE, sha256=f"{n:x}")
    asked = [command for command in desk.engine.commands if isinstance(command, GetPreview)]
    assert len(asked) == pictures.RUNNING_MAX
    assert len(store._waiting) == WAITING_MAX
    desk.engine.refuse(GetPreview, NotFound("none"))
    desk.engine.release(GetPreview)
    desk.settle()
    asked = [command for command in desk.engine.commands if isinstance(command, GetPreview)]
    assert asked[pictures.RUNNING_MAX].sha256 == f"{WAITING_MAX * 2 - 1:x}"


def test_memory_is_bounded(new_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "KEPT_BYTES", 88 * 56 * 4 * 3)
    store = new_desk(FakeEngine()).window.pictures
    for n in range(10):
        store.pixmap(PackageId("a", f"b{n}"), "map", SIZE)
    assert len(store._pixmaps) == 3
