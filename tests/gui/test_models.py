"""After any sequence of deltas a model equals the list built from scratch, and views keep their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.modeltest import ModelTester

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.commands import VerifyReport
from icworkshop_gui.engine.api.snapshots import TransferSnapshot, TransferState
from icworkshop_gui.gui.bridge import LibraryDelta, TransfersDelta
from icworkshop_gui.gui.models import library, pieces, sources, transfers
from icworkshop_gui.gui.models.files import FilesModel
from icworkshop_gui.gui.models.library import LibraryModel, LibraryRow, Look, Order
from icworkshop_gui.gui.models.peers import DOWN, PeersModel
from icworkshop_gui.gui.models.sources import SourcesModel
from icworkshop_gui.gui.models.transfers import Section, TitleRow, TransferRow, TransfersModel
from tests.helpers.sample_content import LIBRARY, TRANSFERS, WALL, detail_for, entry, transfer


def wall() -> float:
    return WALL


@st.composite
def any_transfer(draw: st.DrawFn) -> TransferSnapshot:
    name = draw(st.sampled_from("abcdefgh"))
    finished = draw(st.sampled_from([None, WALL - 60, WALL - 90_000]))
    return transfer(
        name,
        state=draw(st.sampled_from(list(TransferState))),
        tier=draw(st.sampled_from(list(Tier))),
        position=draw(st.integers(0, 5)),
        done=draw(st.integers(0, 9)),
        rate_up=draw(st.integers(0, 2)),
        finished_at=finished,
        cleared=draw(st.booleans()),
    )


any_step = st.one_of(
    st.tuples(
        st.just("delta"), st.lists(any_transfer(), max_size=5), st.lists(st.sampled_from("abcdefgh"), max_size=3)
    ),
    st.tuples(st.just("toggle"), st.sampled_from(list(Section)), st.none()),
    st.tuples(st.just("hide"), st.sampled_from("abcdefgh"), st.booleans()),
)


@given(st.lists(any_step, max_size=12))
def test_transfers_equal_the_list_built_from_scratch(qapp: QApplication, steps: list[tuple[str, Any, Any]]) -> None:
    model = TransfersModel(wall)
    tester = ModelTester(None)
    tester.check(model)
    facts: dict[TransferId, TransferSnapshot] = {}
    hidden: set[TransferId] = set()
    held: dict[TransferId, QPersistentModelIndex] = {}
    for kind, first, second in steps:
        if kind == "delta":
            gone = tuple(TransferId(f"t-{name}") for name in second)
            model.apply(TransfersDelta(tuple(first), gone))
            facts.update({t.id: t for t in first})
            for name in gone:
                facts.pop(name, None)
                hidden.discard(name)
        elif kind == "toggle":
            model.toggle(first)
        else:
            model.set_hidden(TransferId(f"t-{first}"), second)
            (hidden.add if second else hidden.discard)(TransferId(f"t-{first}"))
        visible = [t for t in facts.values() if t.id not in hidden]
        assert list(model.rows) == transfers.arrange(visible, model.opened, WALL)
        for transfer_id, index in held.items():
            if index.isValid():
                row = model.row_at(index)
                assert isinstance(row, TransferRow)
                assert row.transfer.id == transfer_id
        held = {
            row.transfer.id: QPersistentModelIndex(model.index(at, 0))
            for at, row in enumerate(model.rows)
            if isinstance(row, TransferRow)
        }
    tester._cleanup()


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), max_size=4),
            st.lists(st.integers(0, 7), max_size=2),
            st.sampled_from(list(Order)),
            st.sampled_from(["", "a", "pack 3", "zzz"]),
        ),
        max_size=8,
    )
)
def test_library_equals_the_list_built_from_scratch(qapp: QApplication, steps: list[Any]) -> None:
    model = LibraryModel()
    tester = ModelTester(None)
    tester.check(model)
    facts: dict[PackageRef, Any] = {}
    for changed, gone, order, text in steps:
        new = [entry(f"pub/p{n}@1.0.0", f"Pack {n}", "map", size * 1000) for n, size in changed]
        refs = tuple(PackageRef("pub", f"p{n}", "1.0.0") for n in gone)
        model.apply(LibraryDelta(tuple(new), refs))
        model.set_order(order)
        model.search(text)
        facts.update({e.ref: e for e in new})
        for ref in refs:
            facts.pop(ref, None)
        assert [row.entry for row in model.rows] == library.arrange(facts.values(), text, order)
    tester._cleanup()


def full_model() -> TransfersModel:
    model = TransfersModel(wall)
    model.apply(TransfersDelta(TRANSFERS, ()))
    return model


def shape(model: TransfersModel) -> list[str]:
    return [row.title if isinstance(row, TitleRow) else f"  {row.transfer.name}" for row in model.rows]


def test_sections_of_the_drawing(qapp: QApplication) -> None:
    model = full_model()
    assert shape(model) == [
        "Lobby",
        "  Tournament Pack 7",
        "Requested by you",
        "  Synthwave Front",
        "  Combined Arms 2.1",
        "Background",
        "  Polar Tiles HD 1.4",
        "Finished today",
    ]
    last = model.rows[-1]
    assert isinstance(last, TitleRow)
    assert (last.hint, last.more) == ("Desert Showdown, Balance 2.1", "Show all")
    model.toggle(Section.FINISHED)
    assert shape(model)[-2:] == ["  Desert Showdown", "  Balance 2.1"]
    assert transfers.summary(TRANSFERS, WALL) == "2 active, 2 waiting"
    assert transfers.active_count(TRANSFERS, WALL) == 2


def test_one_changed_row_is_one_signal(qapp: QApplication) -> None:
    model = full_model()
    said: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last, roles: said.append((first.row(), last.row())))
    model.apply(TransfersDelta((replace(TRANSFERS[1], done=50),), ()))
    assert said == [(3, 3)]
    model.apply(TransfersDelta((replace(TRANSFERS[1], done=50),), ()))
    assert said == [(3, 3)], "what did not change is not told"


def test_titles_are_passed_over_and_only_tiers_are_dragged(qapp: QApplication) -> None:
    model = full_model()
    model.toggle(Section.FINISHED)
    for at, row in enumerate(model.rows):
        flags = model.flags(model.index(at, 0))
        if isinstance(row, TitleRow):
            assert bool(flags & Qt.ItemFlag.ItemIsEnabled) == (row.section is Section.FINISHED)
        else:
            assert bool(flags & Qt.ItemFlag.ItemIsDragEnabled) == (row.section is not Section.FINISHED)


names = st.lists(st.sampled_from("abcdefg"), unique=True, min_size=1)


@given(names, st.data())
def test_moves_put_each_where_it_was_wanted(line: list[str], data: st.DataObject) -> None:
    """Carried out by an engine that removes and inserts, the commands give the order that was asked for."""
    facts = [transfer(name, position=at, finished_at=WALL if name in "ag" else None) for at, name in enumerate(line)]
    chosen = data.draw(st.lists(st.sampled_from(line), unique=True))
    before = data.draw(st.sampled_from([*(name for name in line if name not in chosen), None]))
    target = TransferId(f"t-{before}") if before is not None else None
    wanted = [(TransferId(f"t-{name}"), target) for name in chosen]
    order = [t.id for t in facts]
    for moved, position in transfers.moves(facts, Tier.USER_REQUESTED, wanted):
        order.remove(moved)
        order.insert(position, moved)
    rest = [t.id for t in facts if t.id not in dict(wanted)]
    at = rest.index(target) if target is not None else len(rest)
    assert order == [*rest[:at], *(moved for moved, _target in wanted), *rest[at:]]


@given(names, st.sets(st.sampled_from("abcdefg")), st.sampled_from(["up", "down", "top", "bottom"]))
def test_steps_keep_everybody_and_the_order_among_the_chosen(line: list[str], chosen: set[str], where: str) -> None:
    found = transfers.stepped([TransferId(n) for n in line], frozenset(TransferId(n) for n in chosen), where)
    assert sorted(found) == sorted(line)
    assert [n for n in found if n in chosen] == [n for n in line if n in chosen]
    if where in ("up", "top"):
        assert all(found.index(TransferId(n)) <= line.index(n) for n in chosen & set(line))


def test_library_words(qapp: QApplication) -> None:
    model = LibraryModel()
    model.apply(LibraryDelta(LIBRARY, ()))
    rows = {row.entry.title: row for row in model.rows}
    assert rows["Combined Arms"].state == "Update available 2.0.0 → 2.1.0"
    measured = replace(rows["Combined Arms"].entry, update_bytes=11_000_000)
    assert LibraryRow(entry=measured).state == "Update available 2.0.0 → 2.1.0 · 11 MB to fetch"
    assert rows["Combined Arms"].sharing == "Sharing ↑ 120 KB/s"
    assert rows["Polar Tiles HD"].frees == "frees 0 B – needed by 2"
    assert rows["Classic Voices"].look is Look.DAMAGED
    assert rows["Iron Dunes"].sharing == "Not shared"
    ref = rows["Iron Dunes"].entry.ref
    model.set_checking(ref)
    assert model.row_at(model.index_of(ref)).state == "Checking files"  # type: ignore[union-attr]
    model.set_outcome(ref, library.report_words(VerifyReport(12)))
    assert model.row_at(model.index_of(ref)).state == "Installed · 12 files checked, all good"  # type: ignore[union-attr]
    assert library.report_words(VerifyReport(12, ("a", "b"), True)) == "2 files were damaged, being repaired"
    model.set_ticked(ref, True)
    model.set_hidden(ref, True)
    assert not model.index_of(ref).isValid()
    assert not model.ticked


def test_detail_tables(qapp: QApplication, qtmodeltester: Any) -> None:
    detail = detail_for(TRANSFERS[0])
    peers, files, origins = PeersModel(), FilesModel(), SourcesModel()
    for model, rows in ((peers, detail.peers), (files, detail.files), (origins, detail.sources)):
        model.show_rows(rows)  # type: ignore[attr-defined]
        qtmodeltester.check(model)
        for column in range(model.columnCount()):
            assert model.headerData(column, Qt.Orientation.Horizontal)
            model.sort(column, Qt.SortOrder.DescendingOrder)
            model.sort(column, Qt.SortOrder.AscendingOrder)
    peers.sort(DOWN, Qt.SortOrder.DescendingOrder)
    rates = [row.rate_down for row in peers.rows]
    assert rates == sorted(rates, reverse=True)
    assert [line.label for line in sources.helpers(detail)] == [
        "6 lobby players",
        "2 players",
        "1 browser",
        "web server",
    ]


@given(st.integers(1, 300), st.data())
def test_stripes_cover_every_piece_once(count: int, data: st.DataObject) -> None:
    snapshot = transfer("x", size=count * 262_144, done=data.draw(st.integers(0, count)) * 262_144)
    detail = detail_for(snapshot)
    width = data.draw(st.integers(1, 400))
    found = pieces.stripes(detail, width)
    assert len(found) == min(width, count)
    covered = [
        piece
        for stripe in range(len(found))
        for piece in range(*(lambda ends: (ends[0], ends[1] + 1))(pieces.piece_at(detail, width, stripe)))
    ]
    assert covered == list(range(count))
    here = sum(byte.bit_count() for byte in detail.have)
    assert (sum(stripe.have for stripe in found) == len(found)) == (here == count)
    assert pieces.overview(detail).startswith(f"{here} of {count} pieces here")


def test_a_lying_detail_draws_nothing() -> None:
    detail = replace(detail_for(TRANSFERS[0]), have=b"")
    assert pieces.stripes(detail, 100) == ()
