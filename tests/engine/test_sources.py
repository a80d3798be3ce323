"""Packages from a folder and from an index, in both layouts, as a folder and over HTTP: the whole chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef, SearchQuery
from icworkshop_gui.core.errors import NotFound, RegistryError
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import TransferStalled
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.package_torrent import hash_package
from icworkshop_gui.registry.source import parse_address
from tests.helpers.builders import content, needs, package
from tests.helpers.engines import Engine, engine
from tests.helpers.programs import cli_here
from tests.helpers.static_server import StaticServer, static_server

MAP, WATER = PackageId("alice", "map"), PackageId("bob", "water")
FILES = {"big.bin": content(700_000, "big"), "README.md": b"# Map\n"}


class Shelf:
    """Packages in a folder, and what an index says of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []
        (root / "files").mkdir(parents=True)

    def add(self, ref: str, files: dict[str, bytes] | None = None, **fields: Any) -> dict[str, Any]:
        data = package(FILES if files is None else files, ref, **fields)
        parsed = PackageRef.parse(ref)
        (self.root / "files" / parsed.file_name).write_bytes(data)
        row: dict[str, Any] = {
            "publisher": parsed.publisher,
            "name": parsed.name,
            "version": parsed.version,
            "license": "CC-BY-4.0",
            "title": fields.get("title", parsed.name),
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "sources": [{"type": "http", "url": f"files/{parsed.file_name}"}],
            "dependencies": {str(need.package): need.requirement for need in fields.get("dependencies", ())},
        }
        self.rows.append(row)
        return row

    def index(self, **head: Any) -> None:
        """index.yaml of all rows: JSON is YAML."""
        (self.root / "index.yaml").write_text(json.dumps({"name": "Shelf", **head, "packages": self.rows}))

    def version_files(self) -> None:
        for row in self.rows:
            path = self.root / "packages" / row["publisher"] / row["name"] / f"{row['version']}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(row))

    def lines(self, download: str) -> None:
        (self.root / "config.json").write_text(json.dumps({"dl": download}))
        for pattern in ("?/*/*", "??/??/*/*"):
            for path in self.root.glob(pattern):
                path.unlink()
        for row in self.rows:
            name, publisher = row["name"], row["publisher"]
            shard = str(len(name)) if len(name) < 4 else f"{name[:2]}/{name[2:4]}"
            path = self.root / shard / publisher / name
            path.parent.mkdir(parents=True, exist_ok=True)
            deps = [
                {"publisher": key.split("/")[0], "name": key.split("/")[1], "req": value}
                for key, value in row["dependencies"].items()
            ]
            line = {"name": name, "publisher": publisher, "vers": row["version"], "deps": deps, "yanked": False}
            with path.open("a") as file:
                file.write(json.dumps({**line, "cksum": f"sha256:{row['sha256']}", "links": None}) + "\n")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path / "shelf")
    made.add("bob/water@1.0.0", {"w.bin": content(50_000, "w")}, title="Water")
    made.add("alice/map@1.0.0", title="Map", dependencies=(needs("bob/water", "^1"),))
    return made


@pytest.fixture
def web(shelf: Shelf) -> Iterator[StaticServer]:
    with static_server(shelf.root) as server:
        yield server


def install(player: Engine, package: PackageId = MAP) -> tuple[int, int]:
    """Bytes over HTTP and from peers."""
    (transfer,) = player.ask(wish.InstallAll(((package, ""),)))
    done = player.complete(transfer)
    player.until(lambda view: all(t.finished_at is not None for t in view.transfers.values()))
    return done.from_http, done.from_peers


def installed(data: Path) -> None:
    assert (data / "mods" / "alice--map-1.0.0" / "big.bin").read_bytes() == FILES["big.bin"]
    assert (data / "mods" / "bob--water-1.0.0" / "w.bin").is_file()


def refused(player: Engine, package: PackageId = MAP) -> str:
    """Why the installation was refused; nothing of it may be installed."""
    try:
        (transfer,) = player.ask(wish.InstallAll(((package, ""),)))
    except RegistryError as error:
        message = error.message
    else:
        player.until(lambda view: view.transfers[transfer].state is TransferState.ERROR)
        assert player.view.transfers[transfer].reason is Reason.HASH
        stalled = player.heard(TransferStalled)
        assert isinstance(stalled, TransferStalled)
        message = stalled.message
    assert package not in {ref.package for ref in player.view.library}
    return message


def test_a_folder_of_packages(shelf: Shelf, tmp_path: Path) -> None:
    data = tmp_path / "player"
    with engine(data, parse_address(str(shelf.root / "files"))) as player:
        assert [row.title for row in player.ask(wish.Search(SearchQuery(text="wat"))).items] == ["Water"]
        page = player.ask(wish.GetPackage(MAP))
        assert (page.readme, len(page.release.files)) == ("# Map\n", 2)
        plan = player.ask(wish.PlanInstall(((MAP, ""),)))
        assert (plan.fetch, [str(change.ref) for change in plan.coming]) == (0, ["bob/water@1.0.0", "alice/map@1.0.0"])
        assert install(player) == (0, 0)
        installed(data)
        with pytest.raises(NotFound):
            player.ask(wish.GetPackage(PackageId("no", "such")))


@pytest.mark.parametrize("layout", ["index", "version files", "lines"])
def test_an_index_in_a_folder(shelf: Shelf, tmp_path: Path, layout: str) -> None:
    data = tmp_path / "player"
    if layout == "index":
        shelf.index(serial=1)
        shelf.version_files()
    elif layout == "version files":
        shelf.version_files()
    else:
        shelf.lines("files/{publisher}-{name}-{version}.icpkg")
    address = parse_address(str(shelf.root))
    assert address.startswith("git+file://")
    with engine(data, address) as player:
        assert player.ask(wish.Search(SearchQuery())).total == 2
        assert install(player) == (0, 0)
        installed(data)


@pytest.mark.parametrize("layout", ["index", "lines"])
def test_an_index_over_http(shelf: Shelf, web: StaticServer, tmp_path: Path, layout: str) -> None:
    data = tmp_path / "player"
    if layout == "index":
        shelf.index(serial=1)
    else:
        shelf.lines(f"{web.url}files/{{publisher}}-{{name}}-{{version}}.icpkg")
    with engine(data, f"git+{web.url.rstrip('/')}") as player:
        from_http, from_peers = install(player)
        assert (from_http, from_peers) == (shelf.rows[1]["size"], 0)
        installed(data)
        page = player.ask(wish.Search(SearchQuery(text="map")))
        assert [row.package for row in page.items] == [MAP]
        for transfer in player.view.transfers.values():
            assert transfer.ref is not None
            with (shelf.root / "files" / transfer.ref.file_name).open("rb") as raw:
                torrent = hash_package(raw, transfer.ref, transfer.size).torrent
            assert transfer.info_hash == Metainfo.parse(torrent).swarm_hash.hex(), "the torrent that everybody makes"


def test_nobody_is_passed_over_in_silence(shelf: Shelf, tmp_path: Path) -> None:
    """Dependency confusion: a source that does not answer is not replaced by the next one."""
    other = Shelf(tmp_path / "other")
    other.add("bob/water@9.0.0", {"evil.bin": b"evil"}, title="Water")
    gone, here = f"path+{(tmp_path / 'stick').as_uri()}", parse_address(str(other.root / "files"))
    with engine(tmp_path / "player", gone, here) as player:
        with pytest.raises(RegistryError, match="it might be another package of the same name"):
            player.ask(wish.InstallAll(((WATER, ""),)))
        assert player.ask(wish.Search(SearchQuery())).total == 1, "looking is allowed"
    with engine(tmp_path / "player", here, gone) as player:
        install(player, WATER)
    first = parse_address(str(shelf.root / "files"))
    with engine(tmp_path / "second", first, here) as player:
        (change,) = player.ask(wish.PlanInstall(((WATER, ""),))).coming
        assert change.ref.version == "1.0.0", "the first source counts, however new the other's is"


def test_two_sources_with_the_same_release_and_other_content(shelf: Shelf, tmp_path: Path) -> None:
    other = Shelf(tmp_path / "other")
    other.add("bob/water@1.0.0", {"w.bin": b"something else"}, title="Water")
    sources = [parse_address(str(root / "files")) for root in (shelf.root, other.root)]
    for order in (sources, sources[::-1]):
        with engine(tmp_path / "player", *order) as player:
            assert "Two of your sources have different content for bob/water@1.0.0" in refused(player, WATER)
            assert "have different content" in refused(player, MAP), "also as what something else needs"
            player.ask(wish.RemoveSource(order[1]))
            player.complete(player.ask(wish.InstallAll(((WATER, ""),)))[0])
        with engine(tmp_path / "player", *order) as player:
            player.ask(wish.RemovePackage(PackageRef(*WATER, "1.0.0")))


def test_a_source_that_was_set_back(shelf: Shelf, web: StaticServer, tmp_path: Path) -> None:
    address = f"git+{web.url.rstrip('/')}"
    old = list(shelf.rows)
    shelf.add("alice/map@1.1.0", title="Map")
    shelf.index(serial=7)
    with engine(tmp_path / "player", address) as player:
        assert player.ask(wish.GetPackage(MAP)).release.ref.version == "1.1.0"
    shelf.rows = old
    shelf.index(serial=6)
    with engine(tmp_path / "player", address) as player:
        assert "was set back: it showed index number 7 before, and shows 6 now" in refused(player)
        (state,) = player.ask(wish.CheckSources())
        assert (state.ok, state.distrusted) == (False, True)
        player.ask(wish.RemoveSource(address))
        player.ask(wish.AddSource(address))
        install(player)


@pytest.mark.parametrize("layout", ["version files", "lines"])
def test_an_index_without_serials_loses_nothing(shelf: Shelf, tmp_path: Path, layout: str) -> None:
    added = shelf.add("alice/map@1.1.0", title="Map")

    def write() -> None:
        shelf.version_files() if layout == "version files" else shelf.lines("files/{publisher}-{name}-{version}.icpkg")

    write()
    address = parse_address(str(shelf.root))
    with engine(tmp_path / "player", address) as player:
        player.ask(wish.GetPackage(MAP))
    shelf.rows.remove(added)
    (shelf.root / "packages" / "alice" / "map" / "1.1.0.yaml").unlink(missing_ok=True)
    write()
    with engine(tmp_path / "player", address) as player:
        assert "it showed alice/map@1.1.0 before, and does not any more" in refused(player)


def test_an_index_that_stands_still(shelf: Shelf, web: StaticServer, tmp_path: Path) -> None:
    address = f"git+{web.url.rstrip('/')}"
    with engine(tmp_path / "player", address) as player:
        shelf.index(serial=1, valid_until="2026-01-01T00:00:00Z")
        assert "was promised to be renewed before 2026-01-01 00:00 UTC, and was not" in refused(player)
        shelf.index(serial=1, generated_at="2999-01-01T00:00:00Z")
        assert "is still to come" in refused(player)
        shelf.index(serial=1, valid_until="2999-01-01T00:00:00Z")
        player.ask(wish.GetPackage(MAP))
        shelf.rows[1]["title"] = "Another map"
        shelf.index(serial=1, valid_until="2999-01-01T00:00:00Z")
        assert "two different indexes under the same number 1" in refused(player)


def test_a_release_that_changed(shelf: Shelf, web: StaticServer, tmp_path: Path) -> None:
    address = f"git+{web.url.rstrip('/')}"
    shelf.index(serial=1)
    with engine(tmp_path / "player", address) as player:
        player.ask(wish.GetPackage(MAP))
        shelf.rows.pop()
        shelf.add("alice/map@1.0.0", {"big.bin": b"replaced"}, title="Map")
        shelf.index(serial=2)
        assert "had other content for alice/map@1.0.0 before" in refused(player)


LIES = {
    "size": ({"size": 12_345}, "has 12345 bytes, but it has "),
    "hash": ({"sha256": "ab" * 32}, "is not what its source promises: its SHA-256 is "),
    "dependency left out": ({"dependencies": {}}, "needs nothing, but the package itself names bob/water"),
    "dependency put in": (
        {"dependencies": {"bob/water": "^1", "bob/extra": "*"}},
        "needs bob/extra *, bob/water ^1, but the package itself names bob/water ^1",
    ),
    "name": ({"name": "chart"}, "alice/chart@1.0.0 lies there, where alice/map@1.0.0 does"),
    "torrent": (
        {
            "sources": [
                {"type": "torrent", "info_hash": "cd" * 20},
                {"type": "http", "url": "files/alice-map-1.0.0.icpkg"},
            ]
        },
        "names the torrent of something else",
    ),
    "manifest": ({"manifest_hash": "ef" * 32}, "is not the one that its source names"),
}


@pytest.mark.logs
@pytest.mark.parametrize("where", ["folder", "web"])
@pytest.mark.parametrize("lie", LIES)
def test_an_index_that_lies(shelf: Shelf, web: StaticServer, tmp_path: Path, lie: str, where: str) -> None:
    changes, words = LIES[lie]
    shelf.add("bob/extra@1.0.0", {"x.bin": b"x"}, title="Extra")
    shelf.rows[1].update(changes)
    shelf.index(serial=1)
    address = parse_address(str(shelf.root)) if where == "folder" else f"git+{web.url.rstrip('/')}"
    with engine(tmp_path / "player", address) as player:
        assert words in refused(player, PackageId("alice", shelf.rows[1]["name"]))


def test_the_last_word_has_the_package(shelf: Shelf, tmp_path: Path) -> None:
    """A source that lies about what is needed, and whose header is cut short, is found out when all of it is here."""
    with engine(tmp_path / "player", parse_address(str(shelf.root / "files"))) as player:
        player.ask(wish.GetPackage(MAP))
    many = tuple(needs(f"bob/need-{number}", "^1.0.0") for number in range(120))
    row = shelf.add("alice/chart@1.0.0", title="Chart", dependencies=many)
    row["dependencies"] = {}
    shelf.index(serial=1)
    with engine(tmp_path / "player", parse_address(str(shelf.root))) as player:
        assert "The source says that alice/chart@1.0.0 needs nothing" in refused(player, PackageId("alice", "chart"))


def test_an_index_that_leads_astray(shelf: Shelf, web: StaticServer, tmp_path: Path) -> None:
    """A folder may be a stranger's: what it names must be on the open Internet, or lie in it."""
    port = web.url.rstrip("/").rpartition(":")[2]
    shelf.rows[0]["sources"] = [{"type": "http", "url": f"http://127.0.0.1:{port}/files/bob-water-1.0.0.icpkg"}]
    shelf.index(serial=1)
    asked = len(web.traffic.paths)
    with engine(tmp_path / "player", parse_address(str(shelf.root))) as player:
        (transfer,) = player.ask(wish.InstallAll(((WATER, ""),)))
        player.until(lambda view: view.transfers[transfer].reason is Reason.OFFLINE)
        assert len(web.traffic.paths) == asked
        for place in ("../outside.icpkg", "/etc/passwd", "file:///etc/passwd", "ftp://example.org/x", "a/../../b"):
            shelf.rows[0]["sources"] = [{"type": "http", "url": place}]
            shelf.index(serial=2)
            with pytest.raises(RegistryError, match="leads elsewhere"):
                player.ask(wish.GetPackage(WATER))


def test_a_folder_that_is_not_there_and_one_that_changes(shelf: Shelf, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    address = f"path+{stick.as_uri()}"
    with engine(tmp_path / "player", address) as player:
        with pytest.raises(RegistryError, match="Is its disk connected"):
            player.ask(wish.GetPackage(MAP))
        (shelf.root / "files").rename(stick)
        (stick / "broken.icpkg").write_bytes(b"no package")
        assert player.ask(wish.Search(SearchQuery())).total == 2
        (stick / "copy-of-water.icpkg").write_bytes(package({"w.bin": b"other"}, "bob/water@1.0.0"))
        with pytest.raises(RegistryError, match="twice with different content"):
            player.ask(wish.GetPackage(WATER))


def test_the_command_line(shelf: Shelf, tmp_path: Path) -> None:
    data = ("--data-dir", tmp_path / "player")
    files = shelf.root / "files"
    assert cli_here("source", "add", tmp_path / "nowhere", *data)[0] == 1
    code, lines, errors = cli_here("source", "add", files, *data)
    assert (code, lines[0]["type"], lines[0]["ok"]) == (0, "folder", True), errors
    shelf.index(serial=3)
    code, lines, errors = cli_here("source", "add", shelf.root, *data)
    assert [line["type"] for line in lines[:-1]] == ["folder", "index"], errors
    code, lines, _ = cli_here("source", "move", shelf.root, "1", *data)
    assert [line["type"] for line in lines[:-1]] == ["index", "folder"]
    assert 'type = "git-index"' in (tmp_path / "player" / "settings.toml").read_text()
    code, lines, errors = cli_here("install", "alice/map", *data)
    assert (code, lines[-1]["id"]) == (0, "alice/map@1.0.0"), errors
    lock = tmp_path / "ic.lock"
    assert cli_here("lock", "-o", lock, *data)[0] == 0
    assert f'source = "git+{shelf.root.as_uri()}"' in lock.read_text()
    code, _lines, errors = cli_here("install", "--locked", lock, "--data-dir", tmp_path / "second")
    assert code == 0, errors
    shelf.index(serial=2)
    code, lines, _ = cli_here("show", "alice/map", *data)
    assert (code, "was set back" in lines[-1]["message"]) == (5, True)
    assert cli_here("source", "remove", shelf.root, *data)[0] == 0
    assert cli_here("source", "remove", shelf.root, *data)[0] == 3
    assert cli_here("show", "alice/map", *data)[0] == 0
