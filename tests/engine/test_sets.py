"""What is asked for together comes together, or not at all; what goes together too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.snapshots import Reason
from tests.helpers.builders import content, needs, package
from tests.helpers.engines import Workshop, engine, workshop

ONE, TWO, TOP = (PackageId("a", name) for name in ("one", "two", "top"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    with workshop(folder) as running:
        for name, fields in (
            ("one", {}),
            ("two", {}),
            ("top", {"dependencies": (needs("a/one"), needs("a/two"))}),
        ):
            path = folder / f"{name}.icpkg"
            path.write_bytes(package({"x.bin": content(60_000, name)}, f"a/{name}@1.0.0", **fields))
            running.publish(path)
        yield running


def ref(package: PackageId) -> PackageRef:
    return PackageRef(package.publisher, package.name, "1.0.0")


def test_nothing_is_installed_before_all_of_it_is_here(server: Workshop, tmp_path: Path) -> None:
    mods = tmp_path / "mods"
    with engine(tmp_path, server.url) as one:
        one.ask(wish.SetSetting("workshop.p2p.max_active_downloads", "1"))
        (held,) = one.ask(wish.InstallAll(((ONE, ""),)))
        one.complete(held)
        one.ask(wish.RemovePackage(ref(ONE)))
        # One of three is paused: the other two are fetched and wait, with one slot for all.
        (top,) = one.ask(wish.InstallAll(((TOP, ""),)))
        others = [row.id for row in one.view.transfers.values() if row.ref == ref(TWO)]
        one.ask(wish.Pause((top,)))
        one.until(lambda view: all(view.transfers[other].reason is Reason.DEP for other in others))
        assert not any(path.name.startswith("a--") for path in mods.iterdir())
        assert not one.view.library
    with engine(tmp_path, server.url) as one:
        # Also after a restart.
        one.until(lambda view: all(view.transfers[other].reason is Reason.DEP for other in others))
        assert not one.view.library
        one.ask(wish.Resume((top,)))
        one.complete(top)
        one.until(lambda view: set(view.library) == {ref(ONE), ref(TWO), ref(TOP)})
    assert not (tmp_path / "workshop" / "sets.json").exists()
    assert not (tmp_path / "workshop" / "switch.json").exists()


def test_who_is_cancelled_does_not_hold_up_the_others(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path, server.url, max_download_speed="0 B/s") as one:
        first, second = one.ask(wish.InstallAll(((ONE, ""), (TWO, ""))))
        one.ask(wish.Pause((second,)))
        one.ask(wish.SetSetting("workshop.p2p.max_download_speed", "unlimited"))
        one.until(lambda view: view.transfers[first].reason is Reason.DEP)
        assert not one.view.library
        one.ask(wish.Cancel(second))
        one.complete(first)
        one.until(lambda view: set(view.library) == {ref(ONE)})


def test_a_set_that_was_never_wholly_begun_is_undone(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path, server.url, max_download_speed="0 B/s") as one:
        one.ask(wish.InstallAll(((ONE, ""), (TWO, ""))))
    sets = tmp_path / "workshop" / "sets.json"
    body = json.loads(sets.read_bytes())
    body["sets"][0].append("a/never@1.0.0")  # the program died before this one's record was written
    sets.write_text(json.dumps(body))
    with engine(tmp_path, server.url) as one:
        one.until(lambda view: not view.transfers)
        assert not one.view.library
    assert not sets.exists()
