"""The catalog's model keeps Qt's rules under any sequence of pages and facts, and stays cheap with 10,000 rows."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.modeltest import ModelTester

from icworkshop_gui.core.catalog import PackageId, PackageRef, PackageSummary, SearchPage
from icworkshop_gui.engine.api.snapshots import EngineView, Reason, TransferState
from icworkshop_gui.gui.models.catalog import CatalogModel, CatalogRole
from icworkshop_gui.gui.models.package_state import PackageState, PackageStates, Standing
from tests.helpers.sample_content import CATALOG, WALL, entry, transfer


def wall() -> float:
    return WALL


def rows(first: int, count: int) -> tuple[PackageSummary, ...]:
    return tuple(
        replace(CATALOG[0], package=PackageId("author", f"p{n}"), title=f"P{n}") for n in range(first, first + count)
    )


def page(first: int, count: int, *, more: bool = True) -> SearchPage:
    return SearchPage(items=rows(first, count), total=10_000, next_cursor="x" if more else "")


def view_of(installed: list[str] = [], running: list[str] = []) -> EngineView:  # noqa: B006 - read only
    view = EngineView()
    for name in installed:
        ref = PackageRef("author", name, "1.0.0")
        view.library[ref] = entry(str(ref), name, "map", 10)
    for name in running:
        fact = transfer(name, ref=PackageRef("author", name, "1.0.0"), size=100, done=42)
        view.transfers[fact.id] = fact
    return view


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("first"), st.integers(0, 5), st.integers(0, 4)),
        st.tuples(st.just("more"), st.integers(0, 8), st.integers(0, 4)),
        st.tuples(st.just("hide"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("install"), st.integers(0, 6), st.integers(0, 6)),
    ),
    max_size=12,
)


@given(OPERATIONS)
def test_any_sequence_keeps_the_rules(qapp: QApplication, operations: list[tuple[str, int, int]]) -> None:
    model = CatalogModel(wall=wall)
    tester = ModelTester(None)
    tester.check(model)
    shown: list[PackageSummary] = []
    hide = False
    installed: set[PackageId] = set()
    for kind, one, two in operations:
        if kind == "first":
            model.show_first(page(one, two))
            shown = list(rows(one, two))
        elif kind == "more":
            model.show_more(page(one, two))
            known = {row.package for row in shown}
            shown += [row for row in rows(one, two) if row.package not in known]
        elif kind == "hide":
            hide = bool(one)
            model.set_hide_installed(hide)
        else:
            installed = {PackageId("author", f"p{one}"), PackageId("author", f"p{two}")}
            model.update_states(view_of(installed=[package.name for package in installed]))
            model.set_hide_installed(False)
            model.set_hide_installed(hide)
        expected = [row for row in shown if not (hide and row.package in installed)]
        assert [model.summary(model.index(at)) for at in range(model.rowCount())] == expected
        assert all(model.index_of(row.package).row() == at for at, row in enumerate(expected))


def test_only_changed_rows_are_told(qapp: QApplication) -> None:
    model = CatalogModel(wall=wall)
    model.show_first(page(0, 50))
    told: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last, _roles: told.append((first.row(), last.row())))
    model.update_states(view_of(running=["p3", "p4", "p9"]))
    assert told == [(3, 4), (9, 9)]
    told.clear()
    same = view_of(running=["p3"])
    model.update_states(same)
    told.clear()
    model.update_states(same)
    assert told == []


def test_more_is_asked_once_until_it_came_or_failed(qapp: QApplication) -> None:
    model = CatalogModel(wall=wall)
    asked: list[str] = []
    model.moreWanted.connect(asked.append)
    model.show_first(page(0, 5))
    model.fetchMore(QModelIndex())
    model.fetchMore(QModelIndex())
    assert asked == ["x"]
    model.more_failed()
    model.fetchMore(QModelIndex())
    assert len(asked) == 2
    model.show_more(page(5, 5, more=False))
    assert not model.canFetchMore(QModelIndex())


def test_page_without_rows_ends_the_catalog(qapp: QApplication) -> None:
    model = CatalogModel(wall=wall)
    model.show_first(SearchPage(items=(), total=0, next_cursor="again"))
    assert not model.canFetchMore(QModelIndex())


def test_line_and_spoken_words(qapp: QApplication) -> None:
    model = CatalogModel(wall=wall)
    model.show_first(SearchPage(items=(CATALOG[0],), total=1))
    assert model.index(0).data(CatalogRole.LINE) == "mapsmith · map · 2 days ago"
    spoken = model.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "Desert Showdown, map, by mapsmith, 4.2 MB, not installed"


def test_ten_thousand_rows(qapp: QApplication) -> None:
    model = CatalogModel(wall=wall)
    begin = time.process_time()
    model.show_first(page(0, 200))
    for start in range(200, 10_000, 200):
        model.show_more(page(start, 200))
    loaded = time.process_time() - begin
    begin = time.process_time()
    for n in range(20):
        model.update_states(view_of(running=[f"p{n}"]))
    told = time.process_time() - begin
    assert model.rowCount() == 10_000
    # Generous against noisy machines; a model that looks at every row for every fact takes seconds.
    assert loaded < 2.0
    assert told < 0.2


@pytest.mark.parametrize(
    ("state", "standing", "action"),
    [
        (TransferState.QUEUED, Standing.QUEUED, ""),
        (TransferState.DOWNLOADING, Standing.RUNNING, ""),
        (TransferState.VERIFYING, Standing.RUNNING, ""),
        (TransferState.PAUSED, Standing.PAUSED, "Resume"),
        (TransferState.ERROR, Standing.FAILED, "Show"),
        (TransferState.SEEDING, Standing.ABSENT, "Install"),
    ],
)
def test_standing_of_a_transfer(state: TransferState, standing: Standing, action: str) -> None:
    view = EngineView()
    fact = transfer("p", ref=PackageRef("a", "p", "1.0.0"), state=state, reason=Reason.NONE)
    view.transfers[fact.id] = fact
    states = PackageStates()
    states.update(view)
    assert states.of(PackageId("a", "p")).standing is standing
    assert states.of(PackageId("a", "p")).action == action


@pytest.mark.parametrize(
    ("newest", "standing"),
    [
        ("1.0.0", Standing.INSTALLED),
        ("1.0.1", Standing.UPDATE),
        ("0.9.0", Standing.INSTALLED),
        ("x", Standing.INSTALLED),
    ],
)
def test_update_is_a_newer_version_only(newest: str, standing: Standing) -> None:
    states = PackageStates()
    states.update(view_of(installed=["p"]))
    assert states.of(PackageId("author", "p"), newest).standing is standing


@pytest.mark.parametrize(
    ("eta", "words"), [(4.0, "4 s left"), (61.0, "2 min left"), (3700.0, "2 h left"), (None, "starting")]
)
def test_time_left_is_short(eta: float | None, words: str) -> None:
    state = PackageState(Standing.RUNNING, transfer("p", eta=eta))
    assert state.time_left == words
