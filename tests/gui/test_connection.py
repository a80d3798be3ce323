"""The connection in plain words: what holds, and what the buttons do about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QApplication

from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import Connection, EngineTotals, Network, SourceState
from icworkshop_gui.gui.models.connection import DHT, PORT, Health, Way, facts, verdict
from icworkshop_gui.gui.screens.connection import ConnectionScreen
from icworkshop_gui.gui.widgets.buttons import Button
from tests.gui.conftest import Desk
from tests.helpers.sample_content import TOTALS

NOW = 2_000_000.0
CONFIGURED = {PORT: "19711", DHT: "true"}


def told(totals: EngineTotals, **settings: str) -> dict[str, tuple[Health, Way | None]]:
    found = facts(totals, {**CONFIGURED, **settings}, NOW)
    assert all(bool(fact.button) == (fact.way is not None) for fact in found), "no button without function"
    return {fact.key: (fact.health, fact.way) for fact in found}


@pytest.mark.parametrize(
    ("changes", "health", "title"),
    [
        ({"reached_at": NOW - 300}, Health.GOOD, "Others can reach you"),
        ({}, Health.UNKNOWN, "You reach others"),
        ({"peers": 0}, Health.UNKNOWN, "Nobody to talk to now"),
        ({"listen_port": 0}, Health.BAD, "No port is open"),
        ({"network": Network.OFFLINE, "reached_at": NOW}, Health.BAD, "No network"),
    ],
)
def test_one_sentence_for_all(changes: dict[str, object], health: Health, title: str) -> None:
    found = verdict(replace(TOTALS, **changes), NOW)  # type: ignore[arg-type]
    assert (found.health, found.title) == (health, title)


def test_the_port() -> None:
    assert told(TOTALS)["port"] == (Health.UNKNOWN, None)
    assert told(replace(TOTALS, reached_at=NOW))["port"] == (Health.GOOD, None)
    assert told(replace(TOTALS, listen_port=0))["port"] == (Health.BAD, Way.PORT)
    taken = replace(TOTALS, listen_port=40_001)
    assert told(taken)["port"] == (Health.WATCH, Way.PORT)
    assert told(taken, **{PORT: "0"})["port"] == (Health.UNKNOWN, None), "any port was wished for"
    words = next(fact.words for fact in facts(TOTALS, CONFIGURED, NOW) if fact.key == "port")
    assert "forward 19711, TCP and UDP" in words


def test_servers_directory_players_sharing_network() -> None:
    good = SourceState(url="https://a.example", name="A", ok=True)
    assert told(TOTALS)["servers"] == (Health.WATCH, Way.SOURCES)
    assert told(replace(TOTALS, sources=()))["servers"] == (Health.WATCH, Way.SOURCES)
    assert told(replace(TOTALS, sources=(good,)))["servers"] == (Health.GOOD, None)
    assert told(replace(TOTALS, sources=(replace(good, ok=False),)))["servers"] == (Health.BAD, Way.SOURCES)
    assert told(replace(TOTALS, connection=Connection.STARTING))["servers"] == (Health.UNKNOWN, None)
    assert told(TOTALS)["dht"] == (Health.OFF, Way.DHT_ON)
    assert told(replace(TOTALS, dht_nodes=0))["dht"] == (Health.UNKNOWN, None)
    assert told(replace(TOTALS, dht_nodes=9))["dht"] == (Health.GOOD, None)
    assert told(replace(TOTALS, peers=0))["players"] == (Health.UNKNOWN, None)
    assert told(replace(TOTALS, sharing=False))["sharing"] == (Health.OFF, Way.SHARE)
    assert "network" not in told(TOTALS)
    for network in (Network.METERED, Network.NO_SHARING, Network.OFFLINE):
        assert told(replace(TOTALS, network=network))["network"][1] is Way.NETWORK


def test_names_of_strangers_are_one_line() -> None:
    hostile = SourceState(url="https://a.example", name="A\nB\u202e" * 300, ok=False)
    words = next(fact.words for fact in facts(replace(TOTALS, sources=(hostile,)), {}, NOW) if fact.key == "servers")
    assert "\n" not in words
    assert "\u202e" not in words


def page_of(desk: Desk) -> ConnectionScreen:
    page = desk.window.page("connection")
    assert isinstance(page, ConnectionScreen)
    return page


def test_the_strip_leads_there_and_back_again(desk: Desk) -> None:
    desk.window.strip.connection.click()
    more = next(b for b in desk.window.strip._status.findChildren(Button) if b.text() == "More about the connection")
    more.click()
    desk.settle()
    assert desk.window.current == "connection"
    assert page_of(desk).verdict.text() == "You reach others"


def test_buttons_do_what_they_say(desk: Desk) -> None:
    desk.engine.publish(sharing=False, listen_port=0)
    page = desk.go("connection")
    page.rows["sharing"].button.click()
    assert desk.engine.last(c.SetSharing) == c.SetSharing(True)
    page.rows["dht"].button.click()
    assert desk.engine.last(c.SetSetting) == c.SetSetting(DHT, "true")
    page.rows["port"].button.click()
    assert desk.window.current == "settings"
    desk.go("connection")
    page.rows["servers"].button.click()
    assert desk.window.current == "settings"


def test_it_follows_what_happens(desk: Desk) -> None:
    page = desk.go("connection")
    assert page.rows["dht"].button.isVisible()
    desk.engine.publish(dht_nodes=12, reached_at=NOW)
    desk.settle()
    assert page.verdict.text() == "Others can reach you"
    assert not page.rows["dht"].button.isVisible()
    assert "12 computers" in page.rows["dht"].words.text()
    desk.engine.publish(network=Network.METERED, network_name="Hotel")
    desk.settle()
    assert page.rows["network"].isVisible()
    desk.engine.publish(network=Network.UNMETERED)
    desk.settle()
    assert not page.rows["network"].isVisible()


def test_copied_for_support(desk: Desk) -> None:
    page = desk.go("connection")
    page.copy.click()
    text = QApplication.clipboard().text()
    assert text.startswith("You reach others: ")
    assert "- Port 19711 (not known): " in text
