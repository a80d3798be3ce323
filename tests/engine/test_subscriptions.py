"""Subscriptions stage and never activate: the whole chain against a real server process (DESIGN §4.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import NotFound, UserError
from icworkshop_gui.core.subscription import Subscription, SubscriptionKind
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import ReleaseStaged, TransferFinished
from icworkshop_gui.store.subscriptions import FILE_MAX, load_subscriptions, save_subscriptions
from tests.helpers.builders import content, needs, package
from tests.helpers.engines import Engine, Workshop, engine, workshop
from tests.helpers.programs import cli_here

MAP = PackageId("alice", "map")
PACKAGE, PUBLISHER, COLLECTION = SubscriptionKind.PACKAGE, SubscriptionKind.PUBLISHER, SubscriptionKind.COLLECTION


class Shop:
    def __init__(self, server: Workshop, folder: Path) -> None:
        self.server, self.url, self._folder = server, server.url, folder

    def publish(self, ref: str, **fields: object) -> None:
        path = self._folder / f"{ref.replace('/', '-')}.icpkg"
        path.write_bytes(package({"a.bin": content(30_000, ref), "same.bin": content(90_000, "same")}, ref, **fields))
        self.server.publish(path)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with workshop(tmp_path / "server") as server:
        made = Shop(server, tmp_path / "server")
        made.publish("alice/map@1.0.0", title="Map")
        yield made


def install(player: Engine, *wanted: PackageId) -> None:
    for transfer in player.ask(wish.InstallAll(tuple((item, "") for item in wanted))):
        player.complete(transfer)


def check(player: Engine) -> tuple[PackageRef, ...]:
    """What waits after a look."""
    for transfer in player.ask(wish.CheckSubscriptions()):
        player.complete(transfer)
    player.until(lambda view: not any(row.coming for row in view.subscriptions))
    return tuple(ref for row in player.view.subscriptions for ref in row.waiting)


@pytest.mark.slow
def test_news_is_staged_survives_a_restart_and_waits_for_the_click(shop: Shop, tmp_path: Path) -> None:
    data = tmp_path / "player"
    old, new = PackageRef(*MAP, "1.0.0"), PackageRef(*MAP, "1.1.0")
    with engine(data, shop.url) as player:
        install(player, MAP)
        player.ask(wish.Subscribe(PACKAGE, "alice/map"))
        assert check(player) == ()
        shop.publish("alice/water@1.0.0", title="Water")
        shop.publish("alice/map@1.1.0", title="Map", dependencies=(needs("alice/water"),))
        assert new in check(player)
        assert isinstance(player.heard(ReleaseStaged), ReleaseStaged)
        assert all(event.ref == old for event in player.events if isinstance(event, TransferFinished))
        player.until(lambda view: view.library[old].staged == "1.1.0")
        assert set(player.view.library) == {old}, "nothing is activated by itself"
        assert not (data / "mods" / new.folder_name).exists()
        assert check(player)[0] == new, "and not fetched twice"
    with engine(data) as player:  # no source: what waits is here
        player.until(lambda view: any(row.waiting for row in view.subscriptions))
        with pytest.raises(NotFound):
            player.ask(wish.ActivateStaged((PackageRef("alice", "map", "9.0.0"),)))
    with engine(data, shop.url) as player:
        for transfer in player.ask(wish.ActivateStaged()):
            done = player.complete(transfer)
            assert (done.from_http, done.from_peers, done.staged) == (0, 0, False) or done.ref == new
        player.until(lambda view: new in view.library and PackageRef("alice", "water", "1.0.0") in view.library)
        assert (data / "mods" / new.folder_name / "a.bin").read_bytes() == content(30_000, "alice/map@1.1.0")
        player.until(lambda view: view.subscriptions[0].waiting == ())


@pytest.mark.slow
def test_publishers_collections_and_what_goes_when_nobody_follows(shop: Shop, tmp_path: Path) -> None:
    shop.publish("alice/pack@1.0.0", title="Pack", dependencies=(needs("alice/map", "*"),))
    with engine(tmp_path / "player", shop.url) as player:
        player.ask(wish.Subscribe(PUBLISHER, "alice"))
        player.ask(wish.Subscribe(COLLECTION, "alice/pack"))
        assert check(player) == (), "what was there before is no news"
        with pytest.raises(NotFound):
            player.ask(wish.Subscribe(PUBLISHER, "nobody"))
        with pytest.raises(NotFound):
            player.ask(wish.Subscribe(PACKAGE, "alice/nothing"))
        with pytest.raises(UserError):
            player.ask(wish.Subscribe(PACKAGE, "Not A Name"))
        with pytest.raises(NotFound):
            player.ask(wish.Unsubscribe(PACKAGE, "alice/map"))
        shop.publish("alice/fresh@0.1.0", title="Fresh")
        shop.publish("alice/map@1.2.0", title="Map")
        waiting = check(player)
        assert set(waiting) == {PackageRef("alice", "fresh", "0.1.0"), PackageRef("alice", "map", "1.2.0")}
        shop.publish("alice/map@1.3.0", title="Map")
        assert PackageRef("alice", "map", "1.2.0") not in check(player), "what was never used makes room for the newer"
        player.ask(wish.Unsubscribe(PUBLISHER, "alice"))
        player.ask(wish.Unsubscribe(COLLECTION, "alice/pack"))
        player.until(lambda view: not view.transfers and not view.subscriptions)
        blobs = tmp_path / "player" / "workshop" / "blobs"
        assert not [path for path in blobs.rglob("*") if path.is_file()], "and its bytes are gone"


@pytest.mark.slow
def test_the_command_line(shop: Shop, tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path / "player", "--source", shop.url)
    assert cli_here("subscribe", "alice/none", *where)[0] == 3
    code, lines, errors = cli_here("subscribe", "alice/map", "alice", *where)
    assert (code, [line["kind"] for line in lines]) == (0, ["package", "publisher"]), errors
    shop.publish("alice/map@1.1.0", title="Map")
    code, lines, errors = cli_here("subscriptions", "--check", *where)
    assert code == 0, errors
    assert lines[-1] == {"event": "done", "total": 2, "waiting": 1}
    assert cli_here("list", *where[:2])[1][-1]["total"] == 0
    code, lines, errors = cli_here("subscriptions", "--activate", "alice/map@1.1.0", *where)
    assert (code, lines[-1]["waiting"]) == (0, 0), errors
    assert [line["id"] for line in cli_here("list", *where[:2])[1] if line["event"] == "package"] == ["alice/map"]
    assert cli_here("unsubscribe", "alice", *where)[0] == 0
    shop.publish("alice/map@1.2.0", title="Map")
    assert cli_here("subscriptions", "--check", *where)[1][-1]["waiting"] == 1
    assert cli_here("search", "map", *where)[1][-1]["stale"] is False
    assert cli_here("show", "alice/map", *where)[1][-1]["stale"] is False
    shop.server.program.kill()
    code, lines, errors = cli_here("search", "map", *where)
    assert (code, lines[0]["id"], lines[-1]["stale"]) == (0, "alice/map", True)
    code, lines, errors = cli_here("show", "alice/map", *where)
    assert (code, lines[-1]["version"], lines[-1]["stale"]) == (0, "1.2.0", True), errors
    code, lines, errors = cli_here("subscriptions", "--activate", *where)
    assert (code, lines[-1]["waiting"]) == (0, 0), errors
    assert (tmp_path / "player" / "mods" / "alice--map-1.2.0" / "a.bin").is_file(), "without the server"


@pytest.mark.logs
def test_the_file_comes_back_and_a_bad_one_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.json"
    assert load_subscriptions(path) == ([], "")
    item = Subscription(
        kind=PUBLISHER, id="alice", since=5.0, known={"alice/map": "1.0.0"}, staged=(PackageRef(*MAP, "1.1.0"),)
    )
    save_subscriptions(path, [item, replace(item, kind=PACKAGE, id="alice/map")])
    assert load_subscriptions(path)[0][0] == item
    for bad in (b"{", b"[]", b'{"version": 9}', b'{"version": 1, "subscriptions": [{}]}', b" " * (FILE_MAX + 1)):
        path.write_bytes(bad)
        found, notice = load_subscriptions(path)
        assert (found, "subscriptions.bad" in notice) == ([], True)
        assert not path.exists()
        assert path.with_suffix(".bad").exists()
