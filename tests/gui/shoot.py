"""Pictures of every screen, to lay beside the drawings: `python -m tests.gui.shoot FOLDER [NAME…]`.

Canned content, no network. A NAME (`browse`, `package` …) limits what is taken.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.engine.api.commands import Search
from icworkshop_gui.engine.api.snapshots import Connection, LimitCause
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.theme import Mode, theme
from icworkshop_gui.gui.widgets.toast import Toast
from icworkshop_gui.gui.window import MainWindow
from tests.helpers.fake_engine import FakeEngine

SIZES = ((1280, 800), (1280, 720))
MODES = {"dark": Mode.DARK, "light": Mode.LIGHT}
NARROW = (1024, 640)
SETTLE_MS = 250


def settle(milliseconds: int = SETTLE_MS) -> None:
    QTest.qWait(milliseconds)


class Scene:
    """One window with its engine; gone at the end of the `with` block."""

    def __init__(self, engine: FakeEngine | None = None) -> None:
        self.engine = engine or FakeEngine.full()

    def __enter__(self) -> Scene:
        self.bridge = EngineBridge(self.engine)
        self.window = MainWindow(self.bridge)
        self.window.show()
        return self

    def __exit__(self, *_: object) -> None:
        self.window.shut_down()
        self.bridge.detach()
        self.window.close()
        self.window.deleteLater()
        settle(10)


def browse(scene: Scene) -> None:
    scene.window.go("browse")
    settle()
    view = scene.window.page("browse")
    view.list.setCurrentIndex(view.model.index(1))


def browse_nothing(scene: Scene) -> None:
    scene.window.go("browse", "zeppelin")


def browse_filters(scene: Scene) -> None:
    browse(scene)
    QTest.mouseClick(scene.window.page("browse").filter_button, Qt.MouseButton.LeftButton)


def browse_loading(scene: Scene) -> None:
    scene.engine.hold(Search)
    scene.window.go("browse")


def browse_error(scene: Scene) -> None:
    scene.engine.refuse(Search, RegistryError("unreachable", "no answer"))
    scene.engine.publish(connection=Connection.OFFLINE)
    scene.window.go("browse")


def browse_focus(scene: Scene) -> None:
    browse(scene)
    view = scene.window.page("browse")
    view.list.setFocus(Qt.FocusReason.TabFocusReason)
    scene.window.toast(Toast("Removed Iron Dunes.", action="Undo", on_action=lambda: None))
    QTest.mouseClick(scene.window.strip.down, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))


def package(scene: Scene) -> None:
    scene.window.go("package", scene.engine.catalog[1].package)


def package_tab(tab: str) -> Callable[[Scene], None]:
    def shown(scene: Scene) -> None:
        package(scene)
        settle()
        scene.window.page("package").show_tab(tab)

    return shown


def plain(key: str) -> Callable[[Scene], None]:
    return lambda scene: scene.window.go(key)


def settings_speed(scene: Scene) -> None:
    scene.engine.publish(
        settings=(("workshop.p2p.schedule", "mon-fri 18:00-23:00 slow; daily 01:00-06:00 down 20 MB/s up unlimited"),)
    )
    scene.window.go("settings", "Speed")


def downloads_scheduled(scene: Scene) -> None:
    scene.engine.publish(
        limit_down=200_000,
        limit_up=50_000,
        limit_cause=LimitCause.SCHEDULE,
        limit_slow=True,
        limit_until=time.time() + 3600,
    )
    scene.window.go("downloads")


SHOTS: dict[str, Callable[[Scene], None]] = {
    "browse": browse,
    "browse-nothing": browse_nothing,
    "browse-filters": browse_filters,
    "browse-loading": browse_loading,
    "browse-error": browse_error,
    "browse-focus": browse_focus,
    "package": package,
    "package-versions": package_tab("versions"),
    "package-needs": package_tab("dependencies"),
    "package-files": package_tab("files"),
    "downloads": plain("downloads"),
    "library": plain("library"),
    "downloads-scheduled": downloads_scheduled,
    "settings": plain("settings"),
    "settings-speed": settings_speed,
}


def main(folder: Path, names: list[str]) -> None:
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, arrange in SHOTS.items():
        if names and name not in names:
            continue
        for mode_name, mode in MODES.items():
            theme().set_mode(mode)
            with Scene() as scene:
                for width, height in SIZES:
                    scene.window.resize(width, height)
                    if (width, height) == SIZES[0]:
                        arrange(scene)
                    settle()
                    scene.window.grab().save(str(folder / f"{name}-{mode_name}-{height}.png"))
        theme().set_mode(Mode.CONTRAST)
        with Scene() as scene:
            scene.window.resize(*NARROW)
            arrange(scene)
            settle()
            scene.window.grab().save(str(folder / f"{name}-contrast-{NARROW[1]}.png"))
        print(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
