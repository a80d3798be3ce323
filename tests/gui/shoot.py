"""Pictures of every screen, to lay beside the drawings: `python -m tests.gui.shoot FOLDER [NAME…]`.

Canned content, no network. A NAME (`browse`, `package` …) limits what is taken.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import RegistryError, VersionConflict, WayOut
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api.changes import Caution, Change, ChangeKind, ChangeSet, Why, Worry
from icworkshop_gui.engine.api.commands import (
    BundledPackage,
    BundleView,
    CleanUp,
    CleanUpReport,
    InspectBundle,
    PlanInstall,
    ReadTorrent,
    Search,
    TorrentFacts,
)
from icworkshop_gui.engine.api.snapshots import Connection, Hold, LimitCause, Network, SubscriptionSnapshot
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.theme import Mode, theme
from icworkshop_gui.gui.widgets.toast import Toast
from icworkshop_gui.gui.window import MainWindow
from tests.helpers.fake_engine import FakeEngine
from tests.helpers.sample_content import MB

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


def _release(ref: str, title: str, category: str, size: int, **changes: Any) -> Change:
    return Change(ref=PackageRef.parse(ref), title=title, category=category, size=size * MB, **changes)


CAMPAIGN = _release(
    "workshop/starter-campaign@1.0.0", "Starter Campaign", "campaign", 33, license="CC-BY-4.0", kind=ChangeKind.ADD,
    disk=33 * MB,
)  # fmt: skip
NEEDED = {"why": Why.NEEDED, "needed_by": (CAMPAIGN.ref.package,)}


def many_changes(extra: int = 0) -> ChangeSet:
    """A wish with what it needs, an update among it, and things that a player should know."""
    sand = _release(
        "frostbyte/sand-textures@2.0.0", "Sand Textures in Four Times the Detail", "sprites", 112, kind=ChangeKind.ADD,
        license="CC-BY-NC-4.0", disk=75 * MB, reused=37 * MB, newer="3.0.0", **NEEDED,
    )  # fmt: skip
    sounds = _release(
        "signal-corps/sounds@1.3.0", "Sounds", "voice-pack", 61, kind=ChangeKind.UPDATE, before="1.1.0",
        license="CC-BY-SA-4.0", reused=52 * MB, disk=12 * MB, why=Why.NEEDED, needed_by=(sand.ref.package,),
    )  # fmt: skip
    here = _release("ladder-crew/balance@2.1.0", "Balance", "mod", 0, kind=ChangeKind.KEEP, **NEEDED)
    more = tuple(
        _release(f"pack/part-{at}@1.{at}.0", f"Map Pack Part {at}", "map", 4 + at, kind=ChangeKind.ADD,
                 license="CC0-1.0", disk=(4 + at) * MB, **NEEDED)
        for at in range(1, extra + 1)
    )  # fmt: skip
    return ChangeSet(
        changes=(here, sounds, sand, *more, CAMPAIGN),
        cautions=(Caution(worry=Worry.LICENSE_LIMITS, ref=sand.ref, detail="CC-BY-NC-4.0"),),
        disk_free=118_000 * MB,
    )


def review_of(changes: ChangeSet) -> Callable[[Scene], None]:
    def shown(scene: Scene) -> None:
        scene.engine.answer(PlanInstall, changes)
        browse(scene)
        scene.window.reviews.install(((CAMPAIGN.ref.package, ""),), CAMPAIGN.title)

    return shown


def review_warns(scene: Scene) -> None:
    changes = many_changes()
    sounds = changes.changes[1]
    cautions = (
        Caution(worry=Worry.LICENSE_CHANGED, ref=sounds.ref, detail="CC0-1.0"),
        Caution(worry=Worry.WITHDRAWN, ref=changes.changes[2].ref),
        Caution(worry=Worry.DISK),
    )
    review_of(replace(changes, cautions=cautions, disk_free=60 * MB))(scene)


def review_updates(scene: Scene) -> None:
    library = scene.engine.view.library.values()
    scene.engine.publish(library=[replace(e, update_to="9.0.0", update_bytes=e.size // 3) for e in library])
    scene.window.go("library")
    settle()
    scene.window.page("library").update_all.click()
    settle()
    sheet = scene.window.reviews.sheet
    sheet.list.toggled.emit(sheet.list.rows.rows[1].ref, False)
    sheet.list.setFocus(Qt.FocusReason.TabFocusReason)


def review_removal(scene: Scene) -> None:
    scene.window.go("library")
    settle()
    page = scene.window.page("library")
    page.actions_.remove([entry for entry in page.model.entries if entry.needed_by][:1])
    settle()
    sheet = scene.window.reviews.sheet
    sheet.list.toggled.emit(sheet.list.rows.rows[-1].ref, False)


def review_loading(scene: Scene) -> None:
    scene.engine.hold(PlanInstall)
    review_of(many_changes())(scene)


def review_trouble(scene: Scene) -> None:
    scene.engine.refuse(PlanInstall, RegistryError("unreachable", "no answer"))
    review_of(many_changes())(scene)


def review_conflict(scene: Scene) -> None:
    ways = (
        WayOut(
            "Take frostbyte/sand-textures 1.4.0 instead of =2.0.0: that works.",
            PackageId("frostbyte", "sand-textures"), "1.4.0",
        ),
        WayOut("Leave out workshop/starter-campaign: everything else works together.", CAMPAIGN.ref.package),
    )  # fmt: skip
    conflict = VersionConflict(
        "…",
        headline="Not all of this works together: signal-corps/sounds is needed in versions that exclude each other.",
        chains=(
            "You want workshop/starter-campaign, and workshop/starter-campaign 1.0.0 needs signal-corps/sounds ^1.3",
            "You want frostbyte/sand-textures =2.0.0, and frostbyte/sand-textures 2.0.0 needs signal-corps/sounds <1.2",
        ),
        helps=ways,
    )
    scene.engine.refuse(PlanInstall, conflict)
    review_of(many_changes())(scene)


FACTS = TorrentFacts(
    metainfo=b"", name="Desert Campaign Maps (community collection, third edition)", size=1_240 * MB,
    files=tuple((f"Desert Campaign Maps/chapter-{at:02}/terrain.pak", (4 + at * 7) * MB) for at in range(20)),
    file_count=6_020, info_hash="b46b4e5bf8d36777b4e87020bfd048ef01197140", trackers=3, web_seeds=1, private=True,
)  # fmt: skip


FOLLOWED = (
    SubscriptionSnapshot(
        kind=SubscriptionKind.PUBLISHER, id="mapsmith", title="mapsmith", checked_at=time.time() - 1200,
        waiting=(PackageRef("mapsmith", "iron-dunes", "1.2.0"), PackageRef("mapsmith", "northern-passage", "1.0.0")),
    ),
    SubscriptionSnapshot(
        kind=SubscriptionKind.PACKAGE, id="combined-arms/combined-arms", title="Combined Arms",
        checked_at=time.time() - 1200, coming=(PackageRef("combined-arms", "combined-arms", "2.2.0"),),
    ),
    SubscriptionSnapshot(
        kind=SubscriptionKind.COLLECTION, id="tournament/autumn-cup", title="Autumn Cup",
        checked_at=time.time() - 90_000, message="Its Workshop does not answer.",
    ),
    SubscriptionSnapshot(kind=SubscriptionKind.PACKAGE, id="frostbyte/polar-ui", title="Polar UI",
                         checked_at=time.time() - 1200),
)  # fmt: skip


def library_holds(scene: Scene) -> None:
    """Every state that a row of the library can have."""
    entries = list(scene.engine.view.library.values())
    holds = ({"pinned": True}, {"hold": Hold.TEMPORARY}, {"staged": "1.4.0"}, {"hold": Hold.UNUSED})
    scene.engine.publish(library=[replace(e, **more) for e, more in zip(entries[1:], holds, strict=False)])
    scene.engine.follow(*FOLLOWED)
    scene.window.go("library")


def clean_up(scene: Scene) -> None:
    report = CleanUpReport(
        packages=((PackageRef("mapsmith", "iron-dunes", "1.1.0"), 6 * MB),
                  (PackageRef("frostbyte", "polar-tiles-hd", "1.3.0"), 212 * MB)),
        freed=231 * MB,
    )  # fmt: skip
    scene.engine.answer(CleanUp, report)
    library_holds(scene)
    settle()
    scene.window.page("library").clean_ups.review()


def subscriptions(scene: Scene) -> None:
    scene.engine.follow(*FOLLOWED)
    scene.window.go("library", "subscriptions")


def connection(**totals: Any) -> Callable[[Scene], None]:
    def shown(scene: Scene) -> None:
        scene.engine.publish(**totals)
        scene.window.go("connection")

    return shown


MAGNET = f"magnet:?xt=urn:btih:{FACTS.info_hash}&dn=Desert%20Campaign%20Maps&tr=http%3A%2F%2Ft.example%2Fannounce"


def bundle(scene: Scene) -> None:
    def package(name: str, size: int, **more: bool) -> BundledPackage:
        ref = PackageRef("mapsmith", name, "1.2.0")
        facts = {"here": False, "vouched": True, **more}
        return BundledPackage(
            ref=ref, title=name.title(), license="CC-BY-4.0", size=size * MB, sha256="", source="", **facts
        )

    packages = (package("dunes", 6), package("tiles", 212, here=True), package("voices", 58, vouched=False))
    scene.engine.answer(InspectBundle, BundleView(packages=packages))
    scene.window.go("library")
    settle()
    scene.window.page("library").bundles.look(Path("lan-party.icbundle"))


def torrent_of(facts: TorrentFacts) -> Callable[[Scene], None]:
    def shown(scene: Scene) -> None:
        scene.engine.answer(ReadTorrent, facts)
        scene.window.go("downloads")
        settle()
        scene.window.torrents.open([str(Path("maps.torrent").absolute())])

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
    "review": review_of(many_changes()),
    "review-many": review_of(many_changes(24)),
    "review-warns": review_warns,
    "review-updates": review_updates,
    "review-removal": review_removal,
    "review-loading": review_loading,
    "review-trouble": review_trouble,
    "review-conflict": review_conflict,
    "library-holds": library_holds,
    "clean-up": clean_up,
    "subscriptions": subscriptions,
    "subscriptions-none": lambda scene: scene.window.go("library", "subscriptions"),
    "connection": connection(dht_nodes=214, reached_at=time.time() - 300),
    "connection-troubled": connection(
        listen_port=0, sharing=False, network=Network.METERED, network_name="Hotel Lobby", peers=3
    ),
    "bundle": bundle,
    "torrent": torrent_of(FACTS),
    "magnet": lambda scene: scene.window.torrents.open([MAGNET]),
    "torrent-running": torrent_of(replace(FACTS, running=TransferId("t-synthwave-front"), private=False)),
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
