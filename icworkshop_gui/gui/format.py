"""Numbers and words for people: sizes, rates, times, states, reasons, errors. Pure; knows neither Qt nor widgets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from icworkshop_gui.core import errors
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import Reason, TransferSnapshot, TransferState

UNKNOWN = "—"
DAY = 86_400
ERROR_TEXT_MAX = 300
"""Characters of an error that are shown; the rest goes to the log."""
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")

# --- numbers (gui.md B0.4) -----------------------------------------------------------------------


def _scaled(count: float, unit: int) -> str:
    value = count / 1000**unit
    if unit <= 1:
        return f"{value:.0f}"
    if unit == 2:
        return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _unit_of(count: float) -> int:
    for unit in range(len(_UNITS) - 1):
        # What would be rounded up to "1000 KB" belongs to the next unit.
        if float(_scaled(count, unit)) < 1000:
            return unit
    return len(_UNITS) - 1


def size(count: int) -> str:
    """Bytes with decimal units: 4.2 MB, 212 MB, 1.39 GB."""
    unit = _unit_of(max(0, count))
    return f"{_scaled(max(0, count), unit)} {_UNITS[unit]}"


def size_of(done: int, total: int) -> str:
    """`38 of 54 MB`: one unit when both have the same."""
    done = max(0, done)
    unit = _unit_of(max(0, total))
    if done and _unit_of(done) == unit:
        return f"{_scaled(done, unit)} of {size(total)}"
    return f"{size(done)} of {size(total)}" if done else f"0 of {size(total)}"


def rate(count: int) -> str:
    """Bytes per second: 9.4 MB/s."""
    return f"{size(count)}/s"


def limit(count: int | None) -> str:
    """A rate limit; `Unlimited` and `Paused` are words (DESIGN §4.13)."""
    if count is None:
        return "Unlimited"
    return rate(count) if count else "Paused"


def count(number: int, one: str, many: str) -> str:
    """`1 player`, `1,284 results`."""
    return f"{number:,} {one if number == 1 else many}"


def tally(number: int) -> str:
    """A count in a narrow column: 812, 3.1k, 12.4k, 2.3M."""
    for unit, least, sign in ((1_000_000, 999_500, "M"), (1_000, 1_000, "k")):
        if number >= least:
            value = number / unit
            return f"{value:.1f}{sign}" if value < 99.95 else f"{value:.0f}{sign}"
    return str(max(0, number))


def percent(done: int, total: int) -> int:
    """Floored: never 100 before all is there."""
    return max(0, min(100, done * 100 // total)) if total > 0 else 0


def duration(seconds: float | None) -> str:
    """Two largest units, rounded up: `3 min 20 s`, `2 h 5 min`; `> 1 day`; a dash when unknown."""
    if seconds is None or math.isnan(seconds) or seconds < 0:
        return UNKNOWN
    if seconds > DAY:
        return "> 1 day"
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(math.ceil(whole / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def ago(then: float, now: float) -> str:
    """A date near enough to be told in words, else as a date. Both in wall clock seconds, shown in local time."""
    day = datetime.fromtimestamp(then).astimezone()
    today = datetime.fromtimestamp(now).astimezone()
    days = (today.date() - day.date()).days
    passed = now - then
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{int(passed // 60)} min ago"
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    if days < 7:
        return f"{days} days ago"
    if days < 14:
        return "last week"
    if days < 60:
        return f"{days // 7} weeks ago"
    return date(then)


def date(then: float) -> str:
    """`5 March 2026`, in local time."""
    day = datetime.fromtimestamp(then).astimezone()
    return f"{day.day} {day:%B %Y}"


# --- states and reasons (gui.md B0.2, B0.3) -------------------------------------------------------

_STATE_WORDS = {
    TransferState.QUEUED: "Queued",
    TransferState.CHECKING: "Checking files",
    TransferState.DOWNLOADING: "Downloading",
    TransferState.VERIFYING: "Verifying",
    TransferState.INSTALLING: "Installing",
    TransferState.PAUSED: "Paused",
    TransferState.SEEDING: "Sharing",
    TransferState.FINISHED: "Finished",
    TransferState.ERROR: "Needs attention",
}

_TIER_WORDS = {
    Tier.LOBBY_URGENT: ("Lobby", "goes first, everything else makes room"),
    Tier.USER_REQUESTED: ("Requested by you", ""),
    Tier.BACKGROUND: ("Background", "updates and prefetch, with what is left over"),
}


def state_word(state: TransferState) -> str:
    return _STATE_WORDS[state]


def tier_word(tier: Tier) -> str:
    return _TIER_WORDS[tier][0]


def tier_hint(tier: Tier) -> str:
    """What the tier means, beside its title."""
    return _TIER_WORDS[tier][1]


class Remedy(StrEnum):
    """What the button beside a reason does."""

    START_NOW = "start_now"
    RAISE = "raise"
    RESUME = "resume"
    SHOW_LOBBY = "show_lobby"
    FREE_SPACE = "free_space"
    DETAILS = "details"
    RETRY = "retry"
    LIMITS = "limits"
    IGNORE_SCHEDULE = "ignore_schedule"
    NETWORK = "network"
    """The settings that say what may run where data is limited."""
    SHARING = "sharing"
    """The settings that say when sharing is enough."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item makes no progress, and the way out."""

    sentence: str
    button: str = ""
    """Empty when there is nothing to press."""
    remedy: Remedy | None = None
    hint: str = ""
    """What will happen by itself, where there is no button."""


def _number(data: Mapping[str, str], key: str) -> int:
    text = data.get(key, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _disk(data: Mapping[str, str]) -> Explanation:
    where = data.get("path", "") or "the disk"
    need, free = _number(data, "need"), _number(data, "free")
    if need:
        return Explanation(
            f"Needs {size(need)}, {size(free)} free on {where}", "Free up space", Remedy.FREE_SPACE, "goes on by itself"
        )
    words = {
        "full": f"The disk is full: {where}",
        "gone": f"The folder cannot be found: {where}",
        "denied": f"No permission to write to {where}",
        "changed": f"Files were changed by another program: {where}",
    }
    return Explanation(
        words.get(data.get("fault", ""), f"The disk reported an error: {where}"), "", None, "tries again"
    )


def explanation(transfer: TransferSnapshot, now: float) -> Explanation | None:
    """The reason sentence of a transfer, with its button; None while it moves. `now` is the engine's clock."""
    data = dict(transfer.reason_data)
    wait = transfer.retry_at - now if transfer.retry_at is not None else None
    match transfer.reason:
        case Reason.NONE:
            return None
        case Reason.SLOT:
            return Explanation("waiting for a free slot", "Start now", Remedy.START_NOW)
        case Reason.LOBBY_FIRST:
            return Explanation("a lobby download goes first", "", None, "resumes by itself")
        case Reason.TIER:
            return Explanation("your own downloads go first", "Download now", Remedy.RAISE)
        case Reason.USER:
            return Explanation("by you", "Resume", Remedy.RESUME)
        case Reason.OFFLINE:
            return Explanation("No connection", "", None, "continues by itself")
        case Reason.METADATA:
            return Explanation("asking other players for the list of files")
        case Reason.NO_SOURCE:
            sentence = "Nobody online has this, and the web server cannot be reached"
            if wait is not None and wait > 0:
                sentence += f" – next try in {duration(wait)}"
            return Explanation(sentence, "Details", Remedy.DETAILS)
        case Reason.DISK:
            return _disk(data)
        case Reason.DEP:
            return Explanation(f"waiting for {data.get('package', 'another package')}")
        case Reason.HASH:
            attempt, of = data.get("attempt", "1"), data.get("of", "")
            count_words = f"attempt {attempt} of {of}" if of else f"attempt {attempt}"
            sentence = f"Data did not match ({count_words}) – trying other sources"
            return Explanation(sentence, "Details", Remedy.DETAILS)
        case Reason.METERED:
            name = clipped(data.get("network", ""))
            where = f'"{name}"' if name else "this network"
            if transfer.state is TransferState.FINISHED:
                return Explanation(f"{where} has a data limit", "Network settings", Remedy.NETWORK)
            return Explanation(f"{where} has a data limit", "Download anyway", Remedy.START_NOW)
        case Reason.GAME:
            return Explanation("while the game runs", "Resume anyway", Remedy.START_NOW)
        case Reason.SCHEDULE:
            until = _number(data, "until")
            when = datetime.fromtimestamp(until).astimezone().strftime("%H:%M") if until else ""
            sentence = f"until {when} by your schedule" if when else "by your schedule"
            return Explanation(sentence, "Not this time", Remedy.IGNORE_SCHEDULE)
        case Reason.LOCKED:
            where = data.get("path", "") or "A file"
            return Explanation(f"{where} is in use by another program", "Try again", Remedy.RETRY)
        case Reason.TURN:
            return Explanation("others need your sharing more", "Share now", Remedy.START_NOW)
        case Reason.GOAL:
            return Explanation("shared as much as you wanted", "Share on", Remedy.START_NOW)
        case Reason.SHARING_OFF:
            return Explanation("sharing is switched off", "Sharing settings", Remedy.SHARING)
        case Reason.LIMIT:
            return Explanation("the download limit is set to Paused", "Change limit", Remedy.LIMITS)
        case Reason.FAILED:
            return Explanation(clipped(data.get("message", "")) or "It failed", "Try again", Remedy.RETRY)
    raise AssertionError(transfer.reason)


_SENTENCE_STANDS_ALONE = frozenset({Reason.OFFLINE, Reason.NO_SOURCE, Reason.DISK, Reason.HASH, Reason.LOCKED})
_PAUSED_BY = frozenset({Reason.METERED, Reason.GAME, Reason.SCHEDULE})
"""B0.2 calls these paused, not queued: nothing that runs before them would end the waiting."""


def status_line(transfer: TransferSnapshot, now: float) -> str:
    """The second line of a row: where it stands and who helps, or the state and its one reason."""
    if transfer.staged and transfer.state in (TransferState.SEEDING, TransferState.FINISHED):
        return f"Waits for your click in Library, Subscriptions · {size(transfer.size)}"
    why = explanation(transfer, now)
    if why is not None:
        if transfer.state is TransferState.PAUSED and transfer.reason is Reason.USER:
            done, total = fetched(transfer)
            return f"Paused by you · {size_of(done, total)}" if done else "Paused by you"
        if transfer.state is TransferState.FINISHED:
            return f"Finished · not shared: {why.sentence[:1].lower()}{why.sentence[1:]}"
        if transfer.reason in _SENTENCE_STANDS_ALONE:
            words = why.sentence
        elif transfer.reason in _PAUSED_BY:
            words = f"{state_word(TransferState.PAUSED)} – {why.sentence}"
        else:
            words = f"{state_word(transfer.state)} – {why.sentence}"
        to_fetch = max(0, transfer.size - transfer.done)
        if transfer.state is TransferState.QUEUED and transfer.reused:
            return f"{words} · {size(to_fetch)} to fetch, {size(transfer.reused)} already here"
        return f"{words} · {size(to_fetch)} to fetch" if transfer.state is TransferState.QUEUED else words
    match transfer.state:
        case TransferState.DOWNLOADING:
            parts = [size_of(*fetched(transfer)), *_helpers(transfer)]
            if transfer.eta is not None:
                parts.append(f"{duration(transfer.eta)} left")
            if len(parts) == 1:
                parts.append("looking for sources")
            return " · ".join(parts)
        case TransferState.CHECKING | TransferState.VERIFYING:
            return f"{state_word(transfer.state)} · {percent(transfer.done, transfer.size)} %"
        case TransferState.SEEDING:
            parts = [f"Sharing ↑ {rate(transfer.rate_up)}" if transfer.rate_up else "Sharing"]
            if transfer.peers:
                parts.append(count(transfer.peers, "player", "players"))
            parts.append(f"{size(transfer.uploaded)} shared so far" if transfer.uploaded else size(transfer.size))
            return " · ".join(parts)
        case TransferState.FINISHED:
            return f"Finished · {size(transfer.size)}"
        case _:
            return state_word(transfer.state)


def fetched(transfer: TransferSnapshot) -> tuple[int, int]:
    """How much has come of what had to come: what was on this disk already does not count."""
    return max(0, transfer.done - transfer.reused), max(0, transfer.size - transfer.reused)


def _helpers(transfer: TransferSnapshot) -> list[str]:
    """Who sends us bytes: `9 players, web`."""
    words = [count(transfer.peers, "player", "players")] if transfer.peers else []
    if transfer.http_active:
        words.append("web")
    return [", ".join(words)] if words else []


def row_for_screen_reader(transfer: TransferSnapshot, now: float) -> str:
    """One row in one breath: "Desert War, map, 48 MB, downloading, 42 percent, 3 minutes left"."""
    parts = [transfer.name]
    if transfer.category:
        parts.append(transfer.category)
    parts += [size(transfer.size), state_word(transfer.state).lower()]
    why = explanation(transfer, now)
    if why is not None:
        parts.append(why.sentence)
    elif transfer.state is TransferState.DOWNLOADING:
        parts.append(f"{percent(*fetched(transfer))} percent")
        if transfer.eta is not None:
            parts.append(f"{duration(transfer.eta)} left")
    return ", ".join(parts)


# --- errors (gui.md B0.6) --------------------------------------------------------------------------


def clipped(text: str) -> str:
    """One printable line of bounded length: control and bidirectional signs of strangers are taken out."""
    clean = "".join(sign if sign.isprintable() else " " for sign in text[: ERROR_TEXT_MAX * 2])
    line = " ".join(clean.split())
    return line if len(line) <= ERROR_TEXT_MAX else line[: ERROR_TEXT_MAX - 1] + "…"


_STORAGE_WORDS = {
    errors.StorageFault.FULL: "The disk is full",
    errors.StorageFault.GONE: "The folder cannot be found",
    errors.StorageFault.IO: "The disk reported an error",
    errors.StorageFault.DENIED: "No permission",
    errors.StorageFault.CHANGED: "Files were changed by another program",
}


def error_sentence(error: BaseException) -> str:
    """What happened, in one line that is safe to show. Strangers' words never get in."""
    match error:
        case errors.StorageError():
            where = f": {clipped(error.path)}" if error.path else ""
            return f"{_STORAGE_WORDS[error.fault]}{where}"
        case errors.RegistryError(code="unreachable"):
            return "The Workshop cannot be reached. Check the connection, or the sources in Settings."
        case errors.RegistryError():
            return f"The Workshop refused: {clipped(error.message)}"
        case errors.RemoteProtocolError():
            return f"The other side broke the rules: {clipped(error.reason)}"
        case errors.IntegrityError():
            return f"The data is not what the Workshop promised: {clipped(str(error))}"
        case errors.FormatError():
            return f"The file is damaged or not what it claims to be: {clipped(str(error))}"
        case errors.LocalProtocolError():
            return "Something went wrong inside the program. The log has the details."
        case errors.WorkshopError():
            return clipped(str(error)) or "It could not be done."
        case TimeoutError():
            return "It took too long. Try again."
        case _:
            return "Something went wrong inside the program. The log has the details."
