"""The settings table and file."""

from __future__ import annotations

from pathlib import Path

import pytest

from icworkshop_gui.core.errors import UserError
from icworkshop_gui.engine.api.settings import (
    BY_KEY,
    SETTINGS,
    format_duration,
    format_rate,
    format_ratio,
    parse_amount,
    parse_duration,
    parse_rate,
    parse_ratio,
)
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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("2 h", 7200),
        ("1h30m", 5400),
        ("1 d 1 s", 86401),
        ("0", 0),
        ("90 min", 5400),
        ("unlimited", None),
    ],
)
def test_times(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", " ", "5", "-1m", "m", "1 week", "9" * 40 + "s", "1m1h"])
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)
    with pytest.raises(ValueError, match=r"30m"):
        BY_KEY["workshop.p2p.seed_duration_after_exit"].parse(text)


@pytest.mark.parametrize(("text", "percent"), [("1", 100), ("1.5", 150), ("0.05", 5), ("0", 0), ("unlimited", None)])
def test_ratios(text: str, percent: int | None) -> None:
    assert parse_ratio(text) == percent
    assert parse_ratio(format_ratio(percent)) == percent


@pytest.mark.parametrize("text", ["", "-1", "1.234", "nan", "1e3", "99999"])
def test_no_ratios(text: str) -> None:
    with pytest.raises(ValueError):
        parse_ratio(text)


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
