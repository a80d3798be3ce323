"""One package: what it is, what it costs, its words, versions, needs and files. A page with Back, not a window."""

from __future__ import annotations

from functools import partial

import shiboken6
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef, PackageSummary, Release
from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api.commands import GetPackage, Subscribe, Unsubscribe
from icworkshop_gui.gui.categories import word
from icworkshop_gui.gui.format import clipped, count, date, error_sentence, size
from icworkshop_gui.gui.models.package_state import PackageState, PackageStates
from icworkshop_gui.gui.package_actions import carry_out
from icworkshop_gui.gui.requirements import requirement_words
from icworkshop_gui.gui.screens.base import Screen, Shell
from icworkshop_gui.gui.screens.package.facts import FactsColumn
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Measure, Token
from icworkshop_gui.gui.widgets.buttons import Button, IconButton, Kind
from icworkshop_gui.gui.widgets.card import Card
from icworkshop_gui.gui.widgets.empty_state import EmptyState
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.markdown_view import MarkdownView
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.picture import PictureBox
from icworkshop_gui.gui.widgets.row_list import RowItem, RowList
from icworkshop_gui.gui.widgets.tabs import PillTabs

TABS = (
    ("description", "Description"),
    ("changelog", "Changelog"),
    ("versions", "Versions"),
    ("dependencies", "Dependencies"),
    ("files", "Files"),
)
FILES_SHOWN = 5_000
VERSIONS_SHOWN = 500
TAGS_SHOWN = 6


class PackageScreen(Screen):
    """Shows one package at a time; `visit` takes a PackageSummary, PackageId or PackageRef."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell, "Package")
        self._package: PackageId | None = None
        self._version = ""
        self._row: PackageSummary | None = None
        self._detail: PackageDetail | None = None
        self._states = PackageStates()
        self._serial = 0
        self._build_header()
        self._build_body()
        bridge = shell.bridge
        bridge.transfersChanged.connect(self._facts_changed)
        bridge.libraryChanged.connect(self._facts_changed)
        bridge.subscriptionsChanged.connect(self._show_bell)

    def _build_header(self) -> None:
        back = IconButton("arrow-left", "Back")
        back.clicked.connect(self.shell.back)
        self.header.lead(back)
        self.bell = IconButton("bell", "Follow", kind=Kind.SECONDARY)
        self.bell.setCheckable(True)
        self.bell.clicked.connect(self._follow)
        self.header.add(self.bell)
        self.more = IconButton("ellipsis", "More", kind=Kind.SECONDARY)
        self.more.clicked.connect(self._menu)
        self.header.add(self.more)

    def _build_body(self) -> None:
        self._picture = PictureBox(self.shell.pictures, 140)
        self._picture.setFixedWidth(224)
        self._summary = Label("", Text.BODY, wrap=True)
        self._numbers = Label("", Text.SECOND, Token.MUTED)
        self._tags = Label("", Text.SECOND, Token.MUTED, wrap=True)
        words = QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(self._summary)
        words.addWidget(self._numbers)
        words.addWidget(self._tags)
        words.addStretch(1)
        hero = QHBoxLayout()
        hero.setSpacing(18)
        hero.addWidget(self._picture)
        hero.addLayout(words, 1)
        self.tabs = PillTabs(TABS, "Parts of this page")
        self.tabs.chosen.connect(self.show_tab)
        self.description = MarkdownView("Description")
        self.changelog = MarkdownView("Changelog")
        self.versions = RowList("Versions")
        self.versions.pressed.connect(self._install_version)
        self.needs = RowList("Dependencies")
        self.needs.opened.connect(self._open_need)
        self.files = RowList("Files", tall=False)
        self._nothing = EmptyState("file-text", "")
        self._pages = QStackedWidget()
        for page in (self.description, self.changelog, self.versions, self.needs, self.files, self._nothing):
            self._pages.addWidget(page)
        card = Card()
        inside = QVBoxLayout(card)
        inside.setContentsMargins(18, 12, 10, 12)
        inside.addWidget(self._pages)
        left = QVBoxLayout()
        left.setSpacing(12)
        left.addLayout(hero)
        left.addWidget(self.tabs)
        left.addWidget(card, 1)
        self.facts = FactsColumn()
        self.facts.wanted.connect(self._wish)
        self._body = QWidget()
        row = QHBoxLayout(self._body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(Measure.GAP)
        row.addLayout(left, 1)
        row.addWidget(self.facts)
        self._missing = EmptyState("package", "")
        self._stack = QStackedWidget()
        self._stack.addWidget(self._body)
        self._stack.addWidget(self._missing)
        column = QVBoxLayout(self)
        column.setContentsMargins(Measure.MARGIN, 14, Measure.MARGIN, 14)
        column.addWidget(self._stack)

    # --- Screen ----------------------------------------------------------------------------------

    def visit(self, argument: object) -> None:
        version = ""
        row = argument if isinstance(argument, PackageSummary) else None
        if row is not None:
            package = row.package
        elif isinstance(argument, PackageRef):
            package, version = argument.package, argument.version
        elif isinstance(argument, PackageId):
            package = argument
        else:
            return
        if (package, version) != (self._package, self._version):
            self._package, self._version, self._row, self._detail = package, version, row, None
            self.tabs.choose("description")
        self._states.update(self.shell.bridge.view)
        self._show_bell()
        self._show_known()
        self._ask()

    def refresh(self) -> None:
        self._ask()

    def show_tab(self, key: str) -> None:
        """Choose a tab and show what is there, or why there is nothing."""
        self.tabs.choose(key)
        page = {
            "description": self.description,
            "changelog": self.changelog,
            "versions": self.versions,
            "dependencies": self.needs,
            "files": self.files,
        }[key]
        self._pages.setCurrentWidget(page if self._has(key) else self._nothing)
        if not self._has(key):
            self._say_nothing(key)

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self) -> None:
        if self._package is None:
            return
        self._serial += 1
        self.shell.bridge.ask(
            GetPackage(self._package, self._version),
            partial(self._got, self._serial),
            partial(self._failed, self._serial),
        )

    def _got(self, serial: int, detail: PackageDetail) -> None:
        if serial != self._serial or not shiboken6.isValid(self):
            return
        self._detail = detail
        self._show_known()

    def _failed(self, serial: int, error: Exception) -> None:
        if serial != self._serial or not shiboken6.isValid(self) or self._detail is not None:
            return
        known = self._row is not None or self._state().entry is not None
        if known and not isinstance(error, NotFound):
            words = f"{error_sentence(error)} Installing still works."
            self._nothing.set("wifi-off", "The author’s page could not be loaded", words)
            retry = self._nothing.add_action(Button("Try again", icon="rotate-ccw"))
            retry.clicked.connect(self.refresh)
            self._pages.setCurrentWidget(self._nothing)
            return
        self._missing.set("package", "This package cannot be shown", error_sentence(error))
        retry = self._missing.add_action(Button("Try again", icon="rotate-ccw", kind=Kind.PRIMARY))
        retry.clicked.connect(self.refresh)
        self._stack.setCurrentWidget(self._missing)

    # --- showing ---------------------------------------------------------------------------------

    def _state(self) -> PackageState:
        if self._package is None:
            return PackageState()
        newest = ""
        if self._detail is not None and self._detail.versions:
            newest = self._detail.versions[0].ref.version
        elif self._row is not None:
            newest = self._row.version
        return self._states.of(self._package, newest)

    def _show_known(self) -> None:
        """From the detail, else from the catalog's row, else from what is installed."""
        self._stack.setCurrentWidget(self._body)
        state = self._state()
        free = self.shell.bridge.view.totals.disk_free
        if self._detail is not None:
            self._show_detail(self._detail, state, free)
            return
        row, entry, package = self._row, state.entry, self._package
        if package is None:
            return
        title = row.title if row else entry.title if entry else package.name
        category = row.category if row else entry.category if entry else ""
        version = row.version if row else entry.ref.version if entry else ""
        self._show_title(title, package, category, version)
        self._summary.setText(row.summary if row else entry.summary if entry else "")
        self._numbers.setText("")
        self._tags.setText("")
        self._picture.show_package(package, category, version, row.preview_sha256 if row else "")
        self.facts.show_size(row.size if row else entry.size if entry else 0, version, state, free)
        self._nothing.set("circle-dashed", "Loading …")
        self._pages.setCurrentWidget(self._nothing)

    def _show_title(self, title: str, package: PackageId, category: str, version: str) -> None:
        self.header.set_title(clipped(title)[:80])
        parts = (package.publisher, clipped(word(category)), version)
        self.header.set_subtitle(" · ".join(part for part in parts if part))

    def _show_detail(self, detail: PackageDetail, state: PackageState, free: int) -> None:
        release = detail.release
        self._show_title(release.title, release.ref.package, release.category, release.ref.version)
        self._summary.setText(clipped(release.summary))
        files = count(len(release.files), "file", "files")
        self._numbers.setText(f"{size(release.size)} · {files} · {count(release.downloads, 'download', 'downloads')}")
        if detail.stale:
            self._numbers.setText(f"{self._numbers.text()} · as seen before, its source does not answer")
        tags = [clipped(tag) for tag in release.tags[:TAGS_SHOWN]]
        self._tags.setText("  ".join(f"#{tag}" for tag in tags))
        self._picture.show_package(release.ref.package, release.category, release.ref.version, release.preview_sha256)
        self.facts.show_detail(detail, state, free)
        self.description.set_markdown(detail.readme, release.title)
        self.changelog.set_markdown(detail.changelog)
        self._show_rows(detail)
        self.show_tab(self.tabs.current)

    def _show_rows(self, detail: PackageDetail) -> None:
        self.versions.set_rows([self._version_row(release) for release in detail.versions[:VERSIONS_SHOWN]])
        self.needs.set_rows(
            [
                RowItem(
                    key=str(need.package),
                    title=str(need.package),
                    second=f"{requirement_words(need.requirement)}{' · optional' if need.optional else ''}",
                    right=self._need_words(need.package, optional=need.optional),
                    right_token=Token.OK if self._states.of(need.package).entry else Token.MUTED,
                    icon="package",
                )
                for need in detail.release.dependencies
            ]
        )
        self.files.set_rows(
            [
                RowItem(key=str(at), title=clipped(file.path), right=size(file.size), icon="file")
                for at, file in enumerate(detail.release.files[:FILES_SHOWN])
            ]
        )

    def _version_row(self, release: Release) -> RowItem:
        parts = [date(release.published_at)] if release.published_at else []
        parts.append(size(release.size))
        if release.downloads:
            parts.append(count(release.downloads, "download", "downloads"))
        state = self._state()
        installed = state.entry is not None and state.entry.ref.version == release.ref.version
        right, token, button = "", Token.MUTED, ""
        if installed:
            right, token = "Installed", Token.OK
        elif release.yanked:
            right, token = "Withdrawn by its author", Token.WARN
        elif state.transfer is None:
            button = "Switch to this" if state.entry is not None else "Install"
        return RowItem(
            key=release.ref.version,
            title=release.ref.version,
            second=" · ".join(parts),
            right=right,
            right_token=token,
            icon="tag",
            button=button,
        )

    def _need_words(self, package: PackageId, *, optional: bool) -> str:
        entry = self._states.of(package).entry
        if entry is not None:
            return f"Installed {entry.ref.version}"
        return "Not needed" if optional else "Comes with it"

    def _has(self, key: str) -> bool:
        detail = self._detail
        if detail is None:
            return False
        present = {
            "description": bool(detail.readme.strip()),
            "changelog": bool(detail.changelog.strip()),
            "versions": bool(detail.versions),
            "dependencies": bool(detail.release.dependencies),
            "files": bool(detail.release.files),
        }
        return present[key]

    def _say_nothing(self, key: str) -> None:
        if self._detail is None:
            self._nothing.set("circle-dashed", "Loading …")
            return
        words = {
            "description": ("file-text", "No description", "The author wrote none."),
            "changelog": ("history", "No changelog", "The author wrote none."),
            "versions": ("tag", "No versions", "The Workshop offers none at the moment."),
            "dependencies": ("git-branch", "Needs nothing else", "It works on its own."),
            "files": ("file", "No list of files", "The Workshop does not tell what is inside."),
        }[key]
        self._nothing.set(*words)

    # --- facts and wishes ------------------------------------------------------------------------

    def _follows(self, kind: SubscriptionKind, id: str) -> bool:
        return any((row.kind, row.id) == (kind, id) for row in self.shell.bridge.view.subscriptions)

    def _show_bell(self, _rows: object = None) -> None:
        """Whether new releases come by themselves."""
        on = self._package is not None and self._follows(SubscriptionKind.PACKAGE, str(self._package))
        self.bell.setChecked(on)
        self.bell.set_icon("bell-ring" if on else "bell")
        words = "Followed: new releases are fetched and wait for your click" if on else "Follow: fetch new releases"
        self.bell.setToolTip(words)
        self.bell.setAccessibleName(words)

    def _follow(self) -> None:
        if self._package is not None:
            self._set_following(SubscriptionKind.PACKAGE, str(self._package))

    def _set_following(self, kind: SubscriptionKind, id: str) -> None:
        """Follow it, or no longer."""
        self._show_bell()  # as it is until the engine says otherwise
        wish = Unsubscribe if self._follows(kind, id) else Subscribe
        self.shell.bridge.send(wish(kind, id))

    def _facts_changed(self, _delta: object) -> None:
        changed = self._states.update(self.shell.bridge.view)
        if self._package is None or self.isHidden():
            return
        free = self.shell.bridge.view.totals.disk_free
        if self._package in changed and self._detail is not None:
            self.facts.show_detail(self._detail, self._state(), free)
        elif self._package in changed and self._row is not None:
            self.facts.show_size(self._row.size, self._row.version, self._state(), free)
        if changed and self._detail is not None:
            self._show_rows(self._detail)

    def _wish(self, wish: str) -> None:
        if self._package is not None:
            title = self._detail.release.title if self._detail is not None else self.header.title.text()
            carry_out(self.shell, wish, self._package, title, self._state(), self._version if wish == "install" else "")

    def _install_version(self, version: str) -> None:
        if self._package is not None and self._detail is not None:
            title = f"{self._detail.release.title} {version}"
            carry_out(self.shell, "install", self._package, title, self._state(), version)

    def _open_need(self, key: str) -> None:
        self.shell.go("package", PackageId.parse(key))

    def _menu(self) -> None:
        if self._package is None:
            return
        menu = Menu(self)
        menu.entry("Copy name", partial(_copy, str(self._package)), icon_name="copy")
        if self._detail is not None and self._detail.release.info_hash:
            menu.entry("Copy info-hash", partial(_copy, self._detail.release.info_hash), icon_name="copy")
        author = self._package.publisher
        menu.entry(
            f"Follow everything by {author}",
            partial(self._set_following, SubscriptionKind.PUBLISHER, author),
            icon_name="bell",
            checked=self._follows(SubscriptionKind.PUBLISHER, author),
        )
        entry = self._state().entry
        if entry is not None:
            menu.entry("Show in library", partial(self.shell.go, "library", entry.ref), icon_name="library")
        menu.open_below(self.more)


def _copy(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
