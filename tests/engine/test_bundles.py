"""Bundles out of one library and into another, without a network."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, IntegrityError, NotFound, UserError
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import BundleProgress
from icworkshop_gui.engine.api.snapshots import Hold
from icworkshop_gui.formats import bundle as formats
from icworkshop_gui.registry.source import parse_address
from tests.engine.test_sources import MAP, WATER, Shelf, install, shelf
from tests.helpers.engines import engine
from tests.helpers.programs import cli_here

__all__ = ["shelf"]  # a fixture


def bundled(shelf: Shelf, tmp_path: Path) -> Path:
    path = tmp_path / "party.icbundle"
    with engine(tmp_path / "giver", parse_address(str(shelf.root / "files"))) as giver:
        install(giver)
        made = giver.ask(wish.CreateBundle(path, (MAP,)))
        assert [str(item.ref) for item in made.packages] == ["alice/map@1.0.0", "bob/water@1.0.0"]
        assert all(item.here and item.vouched for item in made.packages)
        with pytest.raises(NotFound):
            giver.ask(wish.CreateBundle(path, (PackageId("no", "such"),)))
    return path


def test_from_one_player_to_another_without_a_network(shelf: Shelf, tmp_path: Path) -> None:
    path = bundled(shelf, tmp_path)
    with engine(tmp_path / "taker") as taker:
        view = taker.ask(wish.InspectBundle(path, verify=True))
        assert [item.vouched for item in view.packages] == [False, False]
        for transfer in taker.ask(wish.ImportBundle(path)):
            done = taker.complete(transfer)
            assert (done.from_http, done.from_peers) == (0, 0)
        taker.until(lambda view: len(view.library) == 2)
        path.unlink()
        assert taker.view.library[PackageRef(*WATER, "1.0.0")].hold is Hold.NEEDED
        assert taker.ask(wish.VerifyPackage(PackageRef(*MAP, "1.0.0"))).bad == ()
        again = tmp_path / "again.icbundle"
        taker.ask(wish.CreateBundle(again))
    with engine(tmp_path / "third", parse_address(str(shelf.root / "files"))) as third:
        assert all(not item.vouched for item in third.ask(wish.InspectBundle(again)).packages)
        third.ask(wish.GetPackage(MAP))
        assert {item.vouched for item in third.ask(wish.InspectBundle(again)).packages} == {True, False}


def test_what_contradicts_is_refused_whole(shelf: Shelf, tmp_path: Path) -> None:
    path = bundled(shelf, tmp_path)
    other = Shelf(tmp_path / "other")
    other.add("bob/water@1.0.0", {"w.bin": b"another"}, title="Water")
    with engine(tmp_path / "taker", parse_address(str(other.root / "files"))) as taker:
        install(taker, WATER)
        with pytest.raises(IntegrityError, match="is installed with other content than the bundle has"):
            taker.ask(wish.ImportBundle(path))
        assert len(taker.view.transfers) == 1, "nothing of it was begun"
    source = shelf.root / "files" / "bob-water-1.0.0.icpkg"
    honest = source.read_bytes()
    source.write_bytes((other.root / "files" / source.name).read_bytes())
    with engine(tmp_path / "fourth", parse_address(str(shelf.root / "files"))) as fourth:
        fourth.ask(wish.GetPackage(WATER))
        with pytest.raises(IntegrityError, match="The bundle has other content for bob/water"):
            fourth.ask(wish.ImportBundle(path))
        assert not fourth.view.transfers
    source.write_bytes(honest)
    raw = bytearray(path.read_bytes())
    raw[-100_000] ^= 1
    path.write_bytes(raw)
    with engine(tmp_path / "fifth") as fifth:
        with pytest.raises(FormatError, match="cannot be used"):
            fifth.ask(wish.ImportBundle(path))
        assert not fifth.view.transfers


def test_progress_and_stopping(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundled(shelf, tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr("icworkshop_gui.engine.bundles.PROGRESS_SECONDS", 0.0)
    begun, go_on = threading.Event(), threading.Event()
    honest = formats.entry_path

    def slow(*arguments: object) -> str:
        begun.set()
        go_on.wait(10)
        return honest(*arguments)  # type: ignore[arg-type]

    with engine(tmp_path / "giver") as giver:
        giver.ask(wish.InspectBundle(path, verify=True))
        assert isinstance(giver.heard(BundleProgress), BundleProgress)
        monkeypatch.setattr(formats, "entry_path", slow)
        future = giver.host.submit(wish.CreateBundle(path))
        assert begun.wait(10)
        with pytest.raises(Conflict, match="is being worked on"):
            giver.ask(wish.InspectBundle(path))
        giver.ask(wish.StopBundle(path))
        go_on.set()
        with pytest.raises(UserError, match="was stopped"):
            future.result(10)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir() if item.name.endswith(".part")] == []


def test_the_command_line(shelf: Shelf, tmp_path: Path) -> None:
    data, path = ("--data-dir", tmp_path / "player"), tmp_path / "all.icbundle"
    assert cli_here("install", "alice/map", "--source", shelf.root / "files", *data)[0] == 0
    code, lines, errors = cli_here("bundle", "create", "-o", path, *data)
    assert (code, lines[-1]["total"]) == (0, 2), errors
    assert cli_here("bundle", "create", "-o", path, *data)[0] == 1
    code, lines, errors = cli_here("bundle", "show", "--verify", path, "--data-dir", tmp_path / "second")
    assert (code, [line["version"] for line in lines[:-1]]) == (0, ["1.0.0", "1.0.0"]), errors
    code, lines, errors = cli_here("bundle", "import", path, "--data-dir", tmp_path / "second")
    assert (code, lines[-1]["installed"]) == (0, 2), errors
    assert (tmp_path / "second" / "mods" / "alice--map-1.0.0" / "big.bin").is_file()
    assert cli_here("bundle", "import", path, "--data-dir", tmp_path / "second")[1][-1]["installed"] == 0
    path.write_bytes(b"nothing")
    assert cli_here("bundle", "import", path, "--data-dir", tmp_path / "third")[0] == 1
    assert cli_here("bundle", "show", tmp_path / "none", "--data-dir", tmp_path / "third")[0] == 1
