"""Updates that fetch only what is new: the whole chain against a real server process."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import PeerBanned
from icworkshop_gui.engine.catalog import Catalog
from icworkshop_gui.formats.chunks import coarse_hash, cut_coarse
from icworkshop_gui.registry.client import RegistryClient
from tests.helpers.builders import content, package
from tests.helpers.engines import Engine, Workshop, engine, workshop
from tests.helpers.programs import Program

WAR = PackageId("alice", "desert-war")
COPY = PackageId("bob", "desert-copy")
REMIX_ID = PackageId("bob", "desert-remix")
PAK = content(6_000_000, "pak")
SMALL = content(40_000, "small")
INSERTED = content(1024, "inserted")
OLD = {"big/a.pak": PAK, "sets/one.bin": content(200_000, 1), "sets/two.bin": content(90_000, 2), "a.cfg": SMALL}
NEW = {
    "big/a.pak": PAK[:70_000] + INSERTED + PAK[70_000:],
    "renamed/one.bin": OLD["sets/one.bin"],
    "renamed/two.bin": OLD["sets/two.bin"],
    "a.cfg": SMALL[:20_000] + b"!" + SMALL[20_001:],
    "fresh.bin": content(50_000, "fresh"),
}
NEW_BYTES = 1024 + 50_000 + 1
REMIX = {"own.pak": content(3000, "own") + PAK[500_000:], "own.cfg": content(30_000, "cfg")}
NEWEST = {**NEW, "big/a.pak": NEW["big/a.pak"][:-500]}


def publish(server: Workshop, folder: Path, ref: str, files: dict[str, bytes]) -> None:
    path = folder / f"{ref.replace('/', '-')}.icpkg"
    path.write_bytes(package(files, ref, title="Desert war"))
    server.publish(path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    with workshop(folder) as running:
        put = functools.partial(publish, running, folder)
        put("alice/desert-war@1.0.0", OLD)
        put("alice/desert-war@1.1.0", NEW)
        put("bob/desert-remix@1.0.0", REMIX)
        for number in range(4):
            put(f"carol/pack-{number}@1.0.0", {"pack.bin": PAK, "own.bin": content(30_000, number)})
        put("bob/desert-copy@1.0.0", {f"moved/{path}": data for path, data in NEW.items()})
        yield running


def fetched(player: Engine, package: PackageId, version: str) -> tuple[int, int]:
    """Install it; bytes of payload that came, and those that were thrown away."""
    done = player.complete(player.ask(wish.Install(package, version)))
    return done.from_peers + done.from_http, done.wasted


def is_here(player: Engine, ref: PackageRef, files: dict[str, bytes]) -> bool:
    view = player.until(lambda view: ref in view.library)
    folder = Path(view.library[ref].folder)
    return all((folder / path).read_bytes() == data for path, data in files.items())


@pytest.mark.parametrize("way", ["swarm", "web"])
def test_an_update_fetches_what_is_new(server: Workshop, tmp_path: Path, way: str) -> None:
    settings = {"prefer_p2p": "true" if way == "swarm" else "false"}
    with engine(tmp_path / "data", server.url, **settings) as player:
        fetched(player, WAR, "1.0.0")
        plan = player.ask(wish.PlanUpdate(WAR))
        assert (plan.installed.version, plan.ref.version) == ("1.0.0", "1.1.0")
        assert plan.to_fetch <= NEW_BYTES + 40_000
        assert plan.to_fetch + plan.here >= plan.size
        payload, wasted = fetched(player, WAR, "1.1.0")
        assert payload <= plan.to_fetch + 2048
        assert wasted <= 2048
        assert is_here(player, plan.ref, NEW)
        assert is_here(player, plan.installed, OLD)
        again = player.ask(wish.PlanUpdate(WAR))
        assert (again.ref, again.to_fetch) == (plan.ref, 0)


def test_the_same_content_of_another_package_is_not_fetched(server: Workshop, tmp_path: Path) -> None:
    with engine(tmp_path / "data", server.url) as player:
        fetched(player, WAR, "1.1.0")
        assert fetched(player, COPY, "1.0.0") == (0, 0)
        assert is_here(player, PackageRef(*COPY, "1.0.0"), {f"moved/{path}": data for path, data in NEW.items()})


@pytest.mark.parametrize("way", ["swarm", "web"])
def test_files_that_several_packages_bring_come_once(server: Workshop, tmp_path: Path, way: str) -> None:
    wishes = tuple((PackageId("carol", f"pack-{number}"), "") for number in range(4))
    with engine(tmp_path / "data", server.url, prefer_p2p="true" if way == "swarm" else "false") as player:
        done = [player.complete(transfer) for transfer in player.ask(wish.InstallAll(wishes))]
        assert sum(item.from_peers + item.from_http for item in done) <= len(PAK) + 4 * (30_000 + 2048)
        for number, item in enumerate(done):
            assert item.ref is not None
            assert is_here(player, item.ref, {"pack.bin": PAK, "own.bin": content(30_000, number)})


class Lying:
    """A registry whose chunk lists are of something else."""

    def __init__(
        self, client: RegistryClient, outline: Callable[[bytes], bytes], fine: Callable[[bytes], bytes]
    ) -> None:
        self._client = client
        self._outline = outline
        self._fine = fine

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    async def chunks(self, ref: PackageRef) -> bytes:
        return self._outline(await self._client.chunks(ref))

    async def fine_chunks(self, ref: PackageRef, spans: list[tuple[int, int]]) -> bytes:
        return self._fine(await self._client.fine_chunks(ref, spans))


class Counting(Lying):
    """An honest one that counts."""

    asked = 0

    async def chunks(self, ref: PackageRef) -> bytes:
        Counting.asked += 1
        return await super().chunks(ref)


class WithoutLists(Lying):
    """A server that has no chunk lists."""

    async def chunks(self, ref: PackageRef) -> bytes:
        raise NotFound("no chunk list")


def replace_client(patch: pytest.MonkeyPatch, kind: type[Lying]) -> None:
    honest = Catalog.source
    patch.setattr(Catalog, "source", lambda self, url: kind(honest(self, url), lambda raw: raw, lambda raw: raw))


@pytest.mark.parametrize(("package", "version", "new"), [(WAR, "1.1.0", NEW_BYTES), (REMIX_ID, "1.0.0", 33_000)])
def test_the_review_counts_what_will_really_be_fetched(
    server: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: PackageId, version: str, new: int
) -> None:
    Counting.asked = 0
    replace_client(monkeypatch, Counting)
    with engine(tmp_path / "data", server.url) as player:
        fetched(player, WAR, "1.0.0")
        asked = Counting.asked
        (change,) = player.ask(wish.PlanInstall(((package, version),))).changes
        assert new <= change.fetch <= new + 60_000
        assert change.fetch + change.reused == change.size
        assert fetched(player, package, version)[0] == pytest.approx(change.fetch, abs=2048)
        assert Counting.asked == asked + 1  # what was measured is not searched for again


def test_without_chunk_lists_the_review_counts_whole_files(
    server: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_client(monkeypatch, WithoutLists)
    with engine(tmp_path / "data", server.url) as player:
        fetched(player, WAR, "1.0.0")
        (change,) = player.ask(wish.PlanInstall(((WAR, "1.1.0"),))).changes
        assert fetched(player, WAR, "1.1.0")[0] == pytest.approx(change.fetch, abs=4096)
        assert change.fetch > len(PAK)


def swapped(outline: bytes) -> bytes:
    """Names two chunks of the archive by each other's hashes, so that what is copied is in the wrong place."""
    hashes = [coarse_hash(cut.data) for cut in cut_coarse(io.BytesIO(PAK))]
    one, other = hashes[5], hashes[8]
    assert one in outline
    assert other in outline
    return outline.replace(one, b"\0" * 8).replace(other, one).replace(b"\0" * 8, other)


@pytest.mark.parametrize(
    ("outline", "fine"),
    [
        (swapped, lambda raw: raw),
        (lambda raw: raw[:-1], lambda raw: raw),
        (lambda raw: raw, lambda raw: raw[:-8]),
        (lambda raw: raw, lambda raw: raw[-8:] + raw[8:]),
    ],
    ids=["swapped", "cut off", "short", "shuffled"],
)
def test_a_chunk_list_that_lies_costs_bytes_and_nothing_else(
    server: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outline: Callable[[bytes], bytes],
    fine: Callable[[bytes], bytes],
) -> None:
    honest = Catalog.source
    monkeypatch.setattr(Catalog, "source", lambda self, url: Lying(honest(self, url), outline, fine))
    with engine(tmp_path / "data", server.url) as player:
        fetched(player, WAR, "1.0.0")
        payload, _ = fetched(player, WAR, "1.1.0")
        assert is_here(player, PackageRef(*WAR, "1.1.0"), NEW)
        assert payload <= 1.2 * len(PAK)
        assert not [event for event in player.events if isinstance(event, PeerBanned)]


def test_the_command_line(server: Workshop, tmp_path: Path) -> None:
    common = ("--json", "--data-dir", tmp_path / "data", "--source", server.url)
    with Program("install", f"{WAR}@1.0.0", *common) as program:
        assert program.finish() == 0
    with Program("update", "--dry-run", *common) as program:
        plan, done = program.event("plan"), program.event("done")
    assert (plan["installed"], plan["version"], done["updates"]) == ("1.0.0", "1.1.0", 1)
    assert done["to_fetch"] == plan["to_fetch"] <= NEW_BYTES + 40_000
    with Program("update", WAR, *common) as program:
        done = program.event("done")
    assert done["from_peers"] + done["from_http"] <= plan["to_fetch"] + 2048
    with Program("update", COPY, *common) as program:
        assert program.finish() == 3
