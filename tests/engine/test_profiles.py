"""Profiles through the engine's door and on the command line, against a real server process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.profiles import EVERYTHING
from icworkshop_gui.engine.planning import Installed
from icworkshop_gui.engine.profiles import load_order
from tests.helpers.builders import content, needs, package
from tests.helpers.engines import Engine, Workshop, engine, workshop
from tests.helpers.programs import cli

UNITS = "rules/units.yaml"
CONTENTS = {
    "a/base@1.0.0": {UNITS: b"base", "art/tank.shp": content(40_000, "tank")},
    "a/base@1.1.0": {UNITS: b"base, later", "art/tank.shp": content(40_000, "tank")},
    "b/mod@1.0.0": {UNITS: b"mod", "mod.lua": b"mod"},
    "b/hd@1.0.0": {"art/tank.shp": content(90_000, "hd")},
}
BASE, MOD, HD = PackageRef("a", "base", "1.0.0"), PackageRef("b", "mod", "1.0.0"), PackageRef("b", "hd", "1.0.0")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    with workshop(folder) as running:
        for ref, files in CONTENTS.items():
            path = folder / f"{ref.replace('/', '-')}.icpkg"
            path.write_bytes(package(files, ref))
            running.publish(path)
        yield running


def install(player: Engine, *refs: PackageRef) -> None:
    wishes = tuple((ref.package, ref.version) for ref in refs)
    for transfer in player.ask(wish.InstallAll(wishes, Tier.USER_REQUESTED)):
        player.complete(transfer)
    player.until(lambda view: all(ref in view.library for ref in refs))


def shown(data: Path) -> dict[str, bytes]:
    folder = data / "active"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".icw")
    }


def test_sets_are_made_compared_switched_and_kept(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path, server.url) as player:
        (only,) = player.ask(wish.ListProfiles())
        assert (only.name, only.sources, only.active, only.built_in) == (EVERYTHING, (), False, True)
        install(player, BASE, MOD, HD)
        player.ask(wish.SaveProfile("Plain", (BASE, MOD)))
        player.ask(wish.SaveProfile("Shiny", (BASE, MOD, HD)))
        everything, plain, shiny = player.ask(wish.ListProfiles())
        assert everything.sources == (BASE, HD, MOD)
        assert (plain.gameplay, plain.presentation != shiny.presentation) == (shiny.gameplay, True)

        assert player.ask(wish.ActivateProfile("Plain")) == ""
        assert shown(tmp_path) == {
            UNITS: b"mod",
            "mod.lua": b"mod",
            "art/tank.shp": CONTENTS["a/base@1.0.0"]["art/tank.shp"],
        }
        assert player.ask(wish.ActivateProfile("shiny")) == "Plain"
        assert shown(tmp_path)["art/tank.shp"] == CONTENTS["b/hd@1.0.0"]["art/tank.shp"]
        report = player.ask(wish.InspectProfile("Shiny"))
        assert report.profile.active
        assert not report.profile.stale
        assert [(item.path, item.winner, item.losers, item.chosen) for item in report.contested] == [
            ("art/tank.shp", HD, (BASE,), False),
            (UNITS, MOD, (BASE,), False),
        ]

        player.ask(wish.SaveProfile("Shiny", (BASE, MOD, HD), ((UNITS, PackageId("a", "base")),)))
        changed = player.ask(wish.InspectProfile("Shiny")).profile
        assert (changed.active, changed.stale) == (True, True)
        found = player.ask(wish.CompareProfiles("Plain", "Shiny"))
        assert (found.only_one, found.only_other, found.choices) == ((), (HD,), (UNITS,))
        assert (found.same_gameplay, found.same_presentation, found.reordered) == (False, False, False)

        # What a profile names is nothing that could be cleaned away.
        assert player.ask(wish.CleanUp(dry_run=True)).packages == ()
    with engine(tmp_path, server.url) as again:
        active = [row.name for row in again.ask(wish.ListProfiles()) if row.active]
        assert active == ["Shiny"]


def test_what_cannot_be_is_refused_and_changes_nothing(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path, server.url) as player:
        install(player, BASE)
        player.ask(wish.SaveProfile("Mine", (BASE,)))
        player.ask(wish.ActivateProfile("Mine"))
        player.ask(wish.SaveProfile("More", (BASE, MOD)))
        more = player.ask(wish.InspectProfile("More"))
        assert (more.profile.missing, more.profile.gameplay, more.files) == ((MOD,), "", 0)
        assert player.ask(wish.CompareProfiles("Mine", "More")).same_gameplay is None
        with pytest.raises(Conflict, match=r"More needs b/mod@1.0.0, not installed here"):
            player.ask(wish.ActivateProfile("More"))
        assert shown(tmp_path)[UNITS] == b"base"
        for name in (EVERYTHING, "default"):
            with pytest.raises(Conflict, match="always there"):
                player.ask(wish.SaveProfile(name, (BASE,)))
            with pytest.raises(Conflict, match="always there"):
                player.ask(wish.DeleteProfile(name))
        with pytest.raises(FormatError, match="file name"):
            player.ask(wish.SaveProfile("a/b", (BASE,)))
        with pytest.raises(NotFound, match="no profile"):
            player.ask(wish.ActivateProfile("Nobody"))


def test_a_set_travels_as_a_file(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path / "one", server.url) as player:
        install(player, BASE, MOD)
        player.ask(wish.SaveProfile("LAN", (MOD, BASE), ((UNITS, PackageId("b", "mod")),), "ra"))
        data = player.ask(wish.ExportProfile("LAN"))
        mine = player.ask(wish.InspectProfile("LAN")).profile
        with pytest.raises(Conflict, match="another name"):
            player.ask(wish.ImportProfile(data))
        player.ask(wish.DeleteProfile("LAN"))
        player.ask(wish.ImportProfile(data, "LAN again"))
        player.ask(wish.RestoreProfile("LAN"))
        assert [row.name for row in player.ask(wish.ListProfiles())] == [EVERYTHING, "LAN", "LAN again"]
    with engine(tmp_path / "two", server.url) as other:
        came = other.ask(wish.ImportProfile(data))
        assert came.missing == (MOD, BASE)
        install(other, *came.missing)
        theirs = other.ask(wish.InspectProfile("LAN")).profile
        assert (theirs.gameplay, theirs.presentation) == (mine.gameplay, mine.presentation)
        assert theirs.choices == ((UNITS, PackageId("b", "mod")),)


def test_what_is_needed_stands_before_who_needs_it() -> None:
    def here(ref: str, *wants: str) -> Installed:
        return Installed(
            ref=PackageRef.parse(ref), source="", dependencies=tuple(needs(want) for want in wants), features=()
        )

    order = load_order(
        [
            here("a/map@1.0.0", "b/tiles", "z/sound"),
            here("b/tiles@1.0.0", "z/sound"),
            here("b/tiles@1.2.0", "a/map"),  # in a circle
            here("z/sound@1.0.0"),
        ]
    )
    assert [str(ref) for ref in order] == ["b/tiles@1.2.0", "z/sound@1.0.0", "a/map@1.0.0"]


@pytest.mark.slow
def test_the_verbs(server: Workshop, tmp_path: Path) -> None:
    data, source = ("--data-dir", tmp_path / "data"), ("--source", server.url)

    def run(*words: str | Path, code: int = 0) -> list[dict[str, Any]]:
        got, lines, errors = cli("profile", *words, *data, *source)
        assert got == code, errors
        return lines

    file = tmp_path / "lan.toml"
    file.write_text(
        '[profile]\nname = "LAN"\n[[sources]]\nid = "a/base"\nversion = "1.0.0"\n'
        '[[sources]]\nid = "b/mod"\nversion = "1.0.0"\n'
    )
    assert run("import", file)[-1]["missing"] == ["a/base@1.0.0", "b/mod@1.0.0"]
    assert run("activate", "LAN", "--offline", code=4)[-1]["event"] == "error"
    activated = run("activate", "LAN")[-1]
    assert (activated["active"], activated["files"], activated["before"]) == (True, 3, "")
    assert shown(tmp_path / "data")[UNITS] == b"mod"
    assert run("save", "Base", "a/base")[-1]["sources"] == ["a/base@1.0.0"]
    assert run("save", "Base", code=4)[-1]["event"] == "error"
    assert run("save", "Base", "b/mod", "a/base", "--use", f"{UNITS}=b/mod", "--replace")[-1]["contested"] == 1
    assert run("compare", "LAN", "Base")[-1]["same_gameplay"] is True
    assert [row["name"] for row in run("list")[:-1]] == [EVERYTHING, "Base", "LAN"]
    assert run("show", "Base")[0]["contested"][0]["chosen"] is True
    run("export", "Base", "-o", tmp_path / "out.toml")
    assert 'use_source = "b/mod"' in (tmp_path / "out.toml").read_text()
    run("delete", "Base")
    run("delete", "Base", code=3)
    run("restore", "Base")
