from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core import errors
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import Reason, TransferState
from icworkshop_gui.gui import format as words
from tests.helpers.sample_content import DAY, KB, MB, WALL, transfer


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (180 * KB, "180 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (4_200 * KB, "4.2 MB"),
        (9_960 * KB, "10 MB"),
        (96 * MB, "96 MB"),
        (999_600 * KB, "1.00 GB"),
        (1_389 * MB, "1.39 GB"),
        (118_000 * MB, "118 GB"),
        (-5, "0 B"),
    ],
)
def test_size(count: int, said: str) -> None:
    assert words.size(count) == said


@given(st.integers(0, 10**17))
def test_size_is_never_a_thousand_of_a_unit_that_has_a_bigger_one(count: int) -> None:
    number, unit = words.size(count).split()
    assert float(number) < 1000 or unit == "PB"


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (38 * MB, 54 * MB, "38 of 54 MB"),
        (0, 54 * MB, "0 of 54 MB"),
        (500 * KB, 54 * MB, "500 KB of 54 MB"),
        (54 * MB, 54 * MB, "54 of 54 MB"),
    ],
)
def test_size_of(done: int, total: int, said: str) -> None:
    assert words.size_of(done, total) == said


@pytest.mark.parametrize(
    ("rate", "said"), [(None, "Unlimited"), (0, "Paused"), (1 * MB, "1.0 MB/s"), (640 * KB, "640 KB/s")]
)
def test_limits_are_words(rate: int | None, said: str) -> None:
    assert words.limit(rate) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "—"),
        (float("nan"), "—"),
        (-1, "—"),
        (3.2, "4 s"),
        (59.5, "1 min"),
        (100, "1 min 40 s"),
        (199.1, "3 min 20 s"),
        (3599.5, "1 h"),
        (7500, "2 h 5 min"),
        (86_401, "> 1 day"),
        (float("inf"), "> 1 day"),
    ],
)
def test_duration(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_percent_is_a_hundred_only_when_all_is_there(done: int, total: int) -> None:
    shown = words.percent(done, total)
    assert 0 <= shown <= 100
    if done < total:
        assert shown < 100


@pytest.mark.parametrize(
    ("age", "said"),
    [(5, "just now"), (600, "10 min ago"), (1.2 * DAY, "yesterday"), (4 * DAY, "4 days ago"), (9 * DAY, "last week")],
)
def test_ago(age: float, said: str) -> None:
    noon = WALL - WALL % DAY + DAY / 2
    assert words.ago(noon - age, noon) == said
    assert words.ago(noon - 400 * DAY, noon) == words.date(noon - 400 * DAY)


def test_every_reason_has_a_sentence() -> None:
    for reason in Reason:
        said = words.explanation(transfer("X", reason=reason, state=TransferState.QUEUED), 0.0)
        assert (said is None) == (reason is Reason.NONE)
        if said is not None:
            assert said.sentence
            assert bool(said.button) == (said.remedy is not None)


def test_every_state_has_a_line() -> None:
    for state in TransferState:
        assert words.status_line(transfer("X", state=state), 0.0)
        assert words.state_word(state)
    assert {words.tier_word(tier) for tier in Tier} == {"Lobby", "Requested by you", "Background"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"done": 40 * MB, "peers": 9, "eta": 100.0}, "40 of 96 MB · 9 players · 1 min 40 s left"),
        ({"done": 40 * MB, "peers": 1, "http_active": True}, "40 of 96 MB · 1 player, web"),
        ({"done": 0}, "0 of 96 MB · looking for sources"),
        ({"state": TransferState.PAUSED, "reason": Reason.LOBBY_FIRST}, "Paused – a lobby download goes first"),
        ({"state": TransferState.PAUSED, "reason": Reason.USER}, "Paused by you"),
        (
            {"state": TransferState.QUEUED, "reason": Reason.SLOT, "done": 85 * MB, "reused": 85 * MB},
            "Queued – waiting for a free slot · 11 MB to fetch, 85 MB already here",
        ),
        (
            {"reason": Reason.NO_SOURCE, "retry_at": 130.0},
            "Nobody online has this, and the web server cannot be reached – next try in 30 s",
        ),
        (
            {"reason": Reason.DISK, "reason_data": (("need", "2000000000"), ("free", "500000000"), ("path", "/games"))},
            "Needs 2.00 GB, 500 MB free on /games",
        ),
        ({"reason": Reason.DISK, "reason_data": (("path", "/g"), ("fault", "gone"))}, "The folder cannot be found: /g"),
        (
            {"reason": Reason.HASH, "reason_data": (("attempt", "2"), ("of", "3"))},
            "Data did not match (attempt 2 of 3) – trying other sources",
        ),
        (
            {"state": TransferState.ERROR, "reason": Reason.FAILED, "reason_data": (("message", "No\nsuch\x00thing"),)},
            "Needs attention – No such thing",
        ),
        ({"state": TransferState.SEEDING, "rate_up": 120 * KB, "peers": 3, "uploaded": 9 * MB}, None),
    ],
)
def test_status_line(changes: dict[str, object], said: str | None) -> None:
    line = words.status_line(transfer("X", **changes), 100.0)
    assert line == (said or "Sharing ↑ 120 KB/s · 3 players · 9.0 MB shared so far")


def test_a_row_in_one_breath() -> None:
    row = transfer("Desert War", category="map", size=48 * MB, done=20_200 * KB, eta=180.0)
    said = words.row_for_screen_reader(row, 0.0)
    assert said == "Desert War, map, 48 MB, downloading, 42 percent, 3 min left"
    paused = replace(row, state=TransferState.PAUSED, reason=Reason.LOBBY_FIRST)
    assert words.row_for_screen_reader(paused, 0.0).endswith("paused, a lobby download goes first")


def test_errors_never_carry_strangers_words() -> None:
    error = errors.RemoteProtocolError("bad handshake", untrusted_text="<script>")
    assert words.error_sentence(error) == "The other side broke the rules: bad handshake"
    assert "unreachable" not in words.error_sentence(errors.RegistryError("unreachable", "x", untrusted_text="y"))
    assert words.error_sentence(errors.StorageError(errors.StorageFault.FULL, "/games")) == "The disk is full: /games"
    assert words.error_sentence(errors.UserError("Say what to do.")) == "Say what to do."
    assert "inside the program" in words.error_sentence(ValueError("secret"))
    assert "secret" not in words.error_sentence(ValueError("secret"))


@given(st.text(max_size=2000))
def test_shown_text_is_one_bounded_printable_line(text: str) -> None:
    shown = words.clipped(text)
    assert len(shown) <= words.ERROR_TEXT_MAX
    assert shown.isprintable()
