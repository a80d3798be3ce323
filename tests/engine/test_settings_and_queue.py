"""The settings table and file, and the queue's decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.settings import SETTINGS, format_rate, parse_amount, parse_rate
from icworkshop_gui.engine.api.snapshots import Reason
from icworkshop_gui.engine.queueing import Waiting, decide
from icworkshop_gui.engine.settings_file import FILE_LIMIT, SOURCES_LIMIT, Settings

UP = "workshop.p2p.max_upload_speed"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0 B/s", 0), ("5 MB", 5_000_000), ("1.5 MiB", 1_572_864), ("300 kB/s", 300_000), ("17", 17), ("2gb", 2 * 10**9)],
)
def test_amounts(text: str, amount: int) -> None:
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "MB", "1 TB/h", "9" * 40, "nan", "1e9"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(ValueError):
        parse_amount(text)


@pytest.mark.parametrize("rate", [None, 0, 1, 999, 1000, 512_000, 1_000_000, 1_500_000, 25_000_000, 10**9, 123_456])
def test_rates_read_back(rate: int | None) -> None:
    assert parse_rate(format_rate(rate)) == rate


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_default_is_legal_and_every_row_explains_itself(setting: object) -> None:
    assert hasattr(setting, "parse")
    setting.parse(setting.default)
    assert setting.label
    assert setting.help.endswith(".")


def test_the_file_keeps_what_was_changed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    settings = Settings(path)
    settings.set(UP, "2 MB/s")
    settings.set("workshop.p2p.sharing", "false")
    settings.set("workshop.p2p.max_active_downloads", "7")
    settings.set("workshop.storage.install_folder", 'C:\\Games "x" \N{SNOWMAN}')
    settings.add_source("https://a.example")
    settings.add_source("https://b.example")
    again = Settings(path)
    assert again.rate(UP) == 2_000_000
    assert again.flag("workshop.p2p.sharing") is False
    assert again.number("workshop.p2p.max_active_downloads") == 7
    assert again.text("workshop.storage.install_folder") == 'C:\\Games "x" \N{SNOWMAN}'
    assert again.sources == ("https://a.example", "https://b.example")
    again.set(UP, "1 MB/s")
    assert "max_upload_speed" not in path.read_text("utf-8"), "a default is not written down"


def test_overrides_last_for_one_run_and_a_change_beats_them(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    settings = Settings(path, {UP: "0 B/s"})
    assert settings.rate(UP) == 0
    assert Settings(path).rate(UP) == 1_000_000
    settings.set(UP, "unlimited")
    assert settings.rate(UP) is None


def test_a_wrong_value_is_refused_with_a_sentence_and_the_old_one_stays(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.toml")
    for key, text in ((UP, "fast"), ("workshop.p2p.listen_port", "65536"), ("no.such", "1")):
        with pytest.raises(UserError):
            settings.set(key, text)
    assert settings.rate(UP) == 1_000_000


@pytest.mark.logs
@pytest.mark.parametrize("content", [b"\xff\xfe", b"[workshop\n", b"#" * (FILE_LIMIT + 1)])
def test_an_unreadable_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    settings = Settings(path)
    assert "defaults" in settings.notice
    assert (tmp_path / "settings.bad").read_bytes() == content
    assert settings.all() == Settings(tmp_path / "none.toml").all()


def test_one_bad_value_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[workshop.p2p]\nmax_upload_speed = "quick"\nlisten_port = 4000\nsharing = 3\n')
    settings = Settings(path)
    assert settings.rate(UP) == 1_000_000
    assert settings.number("workshop.p2p.listen_port") == 4000
    assert "Sharing limit" in settings.notice


def test_sources_have_a_limit(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.toml")
    for number in range(SOURCES_LIMIT):
        settings.add_source(f"https://{number}.example")
    with pytest.raises(UserError, match="Remove one"):
        settings.add_source("https://more.example")


def queue(picture: str, slots: int) -> str:
    """`L1 u2 b3p`: tier letter, position, then p for paused, f for forced. Answer: one reason each."""
    tiers = {"L": Tier.LOBBY_URGENT, "u": Tier.USER_REQUESTED, "b": Tier.BACKGROUND}
    view = [
        Waiting(
            id=TransferId(word),
            tier=tiers[word[0]],
            position=int(word[1]),
            paused="p" in word,
            forced="f" in word,
        )
        for word in picture.split()
    ]
    verdict = decide(view, slots)
    assert verdict == decide(reversed(view), slots)
    return " ".join(verdict[TransferId(word)].value or "run" for word in picture.split())


@pytest.mark.parametrize(
    ("picture", "slots", "expected"),
    [
        ("u0 u1 u2", 2, "run run slot"),
        ("u2 u1 u0", 2, "slot run run"),
        ("b0 u0 u1", 2, "slot run run"),
        ("b0 u0", 2, "run run"),
        ("L0 u0 b0", 5, "run run lobby_first"),
        ("L0p u0 b0", 5, "user run run"),
        ("L0 L1 L2 u0", 1, "run run run slot"),
        ("u0p u1 u2", 1, "user run slot"),
        ("u0 u1f", 1, "run run"),
        ("b0 b1", 1, "run slot"),
    ],
)
def test_the_queue(picture: str, slots: int, expected: str) -> None:
    assert queue(picture, slots) == expected


def test_forced_takes_a_slot_from_the_ones_behind_it() -> None:
    assert queue("u0f u1 u2", 2) == "run run slot"
    assert Reason("slot") is Reason.SLOT
