"""Bundles in the window: what one holds is shown first; writing and checking say how far they are, and can stop."""

from __future__ import annotations

from pathlib import Path

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import BundleProgress
from icworkshop_gui.gui.dialogs.bundle import BundleSheet, row_of
from icworkshop_gui.gui.tokens import Token
from tests.gui.conftest import Desk
from tests.helpers.desk import choose
from tests.helpers.sample_content import MB

FILE = Path("/media/stick/party.icbundle")
DUNES = PackageId("mapsmith", "iron-dunes")


def bundled(name: str, *, here: bool = False, vouched: bool = True) -> c.BundledPackage:
    return c.BundledPackage(
        ref=PackageRef("a", name, "1.0.0"), title=name.title(), license="MIT", size=5 * MB, sha256="ab" * 32,
        source="https://a.example", here=here, vouched=vouched,
    )  # fmt: skip


VIEW = c.BundleView(packages=(bundled("new"), bundled("old", here=True), bundled("odd", vouched=False)))


def toasts(desk: Desk) -> list[str]:
    return [toast.text for toast in desk.window.toasts.toasts()]


def test_rows_say_what_is_known() -> None:
    assert [(row_of(p).right, row_of(p).right_token) for p in VIEW.packages] == [
        ("5.0 MB", Token.TEXT),
        ("is here", Token.MUTED),
        ("5.0 MB · only the bundle says so", Token.WARN),
    ]


def test_shown_then_checked_then_installed(desk: Desk) -> None:
    page = desk.go("library")
    desk.engine.answer(c.InspectBundle, VIEW)
    desk.engine.answer(c.ImportBundle, (TransferId("x"), TransferId("y")))
    page.bundles.look(FILE)
    desk.settle()
    (sheet,) = desk.window.findChildren(BundleSheet)
    assert sheet.go.text() == "Install 2 · 10 MB"
    assert sheet.go.hasFocus()
    desk.engine.hold(c.ImportBundle)
    sheet.go.click()
    desk.settle()
    desk.engine.tell(BundleProgress(path=FILE, done=3 * MB, total=10 * MB))
    desk.engine.tell(BundleProgress(path=Path("/other"), done=1, total=1))
    desk.settle()
    assert page.bundles.work.words.text() == "30 % · 3.0 MB of 10 MB"
    desk.engine.release(c.ImportBundle)
    desk.settle()
    assert page.bundles.work is None
    assert toasts(desk) == ["2 packages are being installed."]
    assert not [command for command in desk.engine.commands if isinstance(command, c.StopBundle)]


def test_written_and_stopped(desk: Desk) -> None:
    page = desk.go("library")
    desk.engine.answer(c.CreateBundle, c.BundleView(packages=(bundled("new"),)))
    desk.engine.answer(c.StopBundle, None)
    page.bundles.write(FILE, (DUNES,))
    desk.settle()
    assert desk.engine.last(c.CreateBundle) == c.CreateBundle(FILE, (DUNES,))
    assert toasts(desk) == ["1 package is in party.icbundle."]
    desk.engine.hold(c.CreateBundle)
    page.bundles.write(FILE, ())
    desk.engine.hold(c.StopBundle)
    page.bundles.work.close_sheet()
    desk.settle()
    assert desk.engine.last(c.StopBundle) == c.StopBundle(FILE)


def test_what_is_no_bundle_is_told(desk: Desk) -> None:
    page = desk.go("library")
    desk.engine.refuse(c.InspectBundle, FormatError("no bundle"))
    page.bundles.look(FILE)
    desk.settle()
    assert "damaged or not what it claims to be" in toasts(desk)[0]


def test_reached_from_the_menus(desk: Desk) -> None:
    page = desk.go("library")
    assert [action.text() for action in page.header_menu().actions()] == [
        "Install from a bundle…",
        "Put everything into a bundle…",
    ]
    wanted: list[object] = []
    page.actions_.bundleWanted.disconnect()
    page.actions_.bundleWanted.connect(wanted.append)
    entry = next(entry for ref, entry in desk.engine.view.library.items() if ref.package == DUNES)
    choose(page.actions_.menu(entry, page), "Put into a bundle…")
    assert wanted == [DUNES]
