"""The page of a package: facts, versions, needs, words of strangers, and its one button."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtTest import QTest

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef
from icworkshop_gui.core.errors import NotFound, RegistryError
from icworkshop_gui.engine.api.commands import GetPackage, InstallAll
from icworkshop_gui.gui.widgets.buttons import Button
from icworkshop_gui.gui.widgets.markdown_view import MarkdownView
from tests.gui.conftest import Desk
from tests.helpers import sample_content as sample

ARMS = PackageId("combined-arms", "combined-arms")
CAMPAIGN = PackageId("workshop", "starter-campaign")


def titles(rows: Any) -> list[str]:
    return [rows.rows.index(at).data() for at in range(rows.rows.rowCount())]


def spoken(rows: Any) -> list[str]:
    return [rows.rows.index(at).data(Qt.ItemDataRole.AccessibleTextRole) for at in range(rows.rows.rowCount())]


def answer(desk: Desk, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> PackageDetail:
    """From now on every package's page has these fields."""
    real = sample.detail_of

    def changed(summary: Any, version: str = "") -> PackageDetail:
        return replace(real(summary, version), **changes)

    monkeypatch.setattr(sample, "detail_of", changed)
    return changed(next(row for row in desk.engine.catalog if row.package == CAMPAIGN))


def test_title_facts_and_licence_in_words(desk: Desk) -> None:
    page = desk.go("package", ARMS)
    assert page.header.title.text() == "Combined Arms"
    assert "total conversion · 2.1.0" in page.header.subtitle.text()
    words = page.facts.words()
    assert "name the author" in words
    assert "14 players have it" in words
    assert "Free space 118 GB" in words


def test_install_button_is_one_object(desk: Desk) -> None:
    page = desk.go("package", CAMPAIGN)
    button = page.facts.button
    button.setFocus()
    assert button.text() == "Install 33 MB"
    QTest.keyClick(button, Qt.Key.Key_Return)
    desk.settle()
    assert desk.engine.last(InstallAll).packages == ((CAMPAIGN, "1.2.0"),)
    assert "%" in button.text()
    assert button.hasFocus()
    transfer = next(t for t in desk.engine.view.transfers.values() if t.ref and t.ref.package == CAMPAIGN)
    ref = PackageRef(*CAMPAIGN, "1.0.0")
    desk.engine.publish(
        gone_transfers=[transfer.id], library=[sample.entry(str(ref), "Starter Campaign", "campaign", 33_000_000)]
    )
    desk.settle()
    assert button.text() in ("Installed", f"Update to {transfer.ref.version}")


def test_row_from_the_list_is_shown_before_the_page_is_here(desk: Desk) -> None:
    desk.engine.hold(GetPackage)
    row = next(row for row in desk.engine.catalog if row.package == CAMPAIGN)
    page = desk.go("package", row)
    assert page.header.title.text() == "Starter Campaign"
    assert page.facts.button.text() == "Install 33 MB"
    assert page._nothing.title.text() == "Loading …"
    desk.engine.release(GetPackage)
    desk.settle()
    assert "Six missions" in page.description.text()


def test_page_that_cannot_be_loaded_still_installs(desk: Desk) -> None:
    desk.engine.refuse(GetPackage, RegistryError("unreachable", "x"))
    row = next(row for row in desk.engine.catalog if row.package == CAMPAIGN)
    page = desk.go("package", row)
    assert "could not be loaded" in page._nothing.title.text()
    assert "Installing still works." in page._nothing.text.text()
    page.facts.button.click()
    desk.settle()
    assert desk.engine.last(InstallAll).packages == ((CAMPAIGN, "1.2.0"),)
    desk.engine.accept(GetPackage)
    next(b for b in page._nothing.findChildren(Button) if b.text() == "Try again").click()
    desk.settle()
    assert page._pages.currentWidget() is page.description


def test_unknown_package_says_so(desk: Desk) -> None:
    desk.engine.refuse(GetPackage, NotFound("There is no such package."))
    page = desk.go("package", PackageId("no", "body"))
    assert page._stack.currentWidget() is page._missing
    assert "no such package" in page._missing.text.text()


def test_late_answer_for_another_package_is_dropped(desk: Desk) -> None:
    desk.engine.hold(GetPackage)
    desk.window.go("package", ARMS)
    desk.window.go("package", CAMPAIGN)
    desk.engine.release(GetPackage)
    desk.settle()
    assert desk.window.page("package").header.title.text() == "Starter Campaign"


def test_versions_install_exactly_that_version(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    base = sample.detail_of(next(row for row in desk.engine.catalog if row.package == CAMPAIGN), "").release
    releases = tuple(
        replace(base, ref=PackageRef(*CAMPAIGN, version), yanked=version == "0.8.0")
        for version in ("1.1.0", "0.9.0", "0.8.0")
    )
    answer(desk, monkeypatch, versions=releases)
    page = desk.go("package", CAMPAIGN)
    QTest.mouseClick(page.tabs.pill("versions"), Qt.MouseButton.LeftButton)
    assert titles(page.versions) == ["1.1.0", "0.9.0", "0.8.0"]
    assert spoken(page.versions)[2].endswith("Withdrawn by its author")
    page.versions.setCurrentIndex(page.versions.rows.index(1))
    QTest.keyClick(page.versions, Qt.Key.Key_Return)
    desk.settle()
    assert desk.engine.last(InstallAll).packages == ((CAMPAIGN, "0.9.0"),)


def test_dependencies_lead_to_their_pages_and_back(desk: Desk) -> None:
    page = desk.go("package", ARMS)
    page.show_tab("dependencies")
    assert titles(page.needs) == ["ladder-crew/balance", "frostbyte/polar-tiles-hd"]
    assert "Installed" in spoken(page.needs)[0]
    page.needs.setCurrentIndex(page.needs.rows.index(0))
    QTest.keyClick(page.needs, Qt.Key.Key_Return)
    desk.settle()
    assert page.header.title.text() == "Balance"
    QTest.keyClick(desk.window, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    desk.settle()
    assert page.header.title.text() == "Combined Arms"


def test_files_and_what_has_none(desk: Desk) -> None:
    page = desk.go("package", CAMPAIGN)
    page.show_tab("files")
    assert titles(page.files)[0] == "manifest.yaml"
    page.show_tab("dependencies")
    assert page._nothing.title.text() == "Needs nothing else"


def test_empty_readme_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(desk, monkeypatch, readme="  ", changelog="")
    page = desk.go("package", CAMPAIGN)
    assert page._nothing.title.text() == "No description"
    page.show_tab("changelog")
    assert page._nothing.title.text() == "No changelog"


def test_readme_does_not_repeat_the_title(desk: Desk) -> None:
    assert not desk.go("package", ARMS).description.text().startswith("Combined Arms")


def test_link_shows_its_host_before_it_opens(desk: Desk) -> None:
    opened: list[str] = []
    view = MarkdownView(open_url=lambda url: opened.append(url.toString()))
    desk.bot.addWidget(view)
    view.set_markdown("[our page](https://example.org/a)")
    view.show()
    view.browser.anchorClicked.emit(QUrl("https://example.org/a"))
    assert opened == []
    assert view.line.isVisible()
    assert "example.org" in view._host.text()
    view._go.click()
    assert opened == ["https://example.org/a"]
    assert not view.line.isVisible()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "https://a@b.example/", "smb://x/y"])
def test_other_links_do_nothing(desk: Desk, url: str) -> None:
    view = MarkdownView(open_url=lambda _url: pytest.fail("opened"))
    desk.bot.addWidget(view)
    view.show()
    view.browser.anchorClicked.emit(QUrl(url))
    assert not view.line.isVisible()


def test_nothing_is_ever_loaded(desk: Desk) -> None:
    view = MarkdownView()
    desk.bot.addWidget(view)
    view.set_markdown("![x](https://example.org/a.png) <img src='file:///etc/hostname'>")
    assert bytes(view.browser.loadResource(2, QUrl("file:///etc/hostname")).data()) == b""
    assert "<img" not in view.browser.toHtml()
