"""What the command line says: bars on a terminal, plain lines in a pipe, one JSON object a line with `--json`."""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from collections.abc import Mapping
from typing import Any, TextIO

from icworkshop_gui.engine.api.snapshots import TransferSnapshot, TransferState

BAR_CELLS = 24
COLUMNS = 80
"""Of a terminal that does not say how wide it is."""
PLAIN_SECONDS = 5.0
"""Between two progress lines where there is no terminal."""
JSON_SECONDS = 0.5
"""Between two progress objects."""
TTY_SECONDS = 0.1
"""Between two drawings of a bar."""

_STATES = {
    TransferState.QUEUED: "waiting",
    TransferState.CHECKING: "checking files",
    TransferState.DOWNLOADING: "downloading",
    TransferState.VERIFYING: "verifying",
    TransferState.INSTALLING: "installing",
    TransferState.PAUSED: "paused",
    TransferState.SEEDING: "sharing",
    TransferState.FINISHED: "done",
    TransferState.ERROR: "needs attention",
}


def size_text(count: int) -> str:
    """Decimal units, one decimal below 100: `4.2 MB`."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def time_text(seconds: float | None) -> str:
    """Two largest units, rounded up; `—` when unknown."""
    if seconds is None:
        return "—"
    whole = int(seconds) + (seconds > int(seconds))
    if whole >= 86400:
        return "> 1 day"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def safe(text: str) -> str:
    """A stranger's text without anything that steers a terminal."""
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def json_line(fields: Mapping[str, Any]) -> str:
    """One line of JSON in which a stranger's text cannot steer a terminal either."""
    line = json.dumps(fields, ensure_ascii=False)
    return "".join(c if c == " " or c.isprintable() else json.dumps(c)[1:-1] for c in line)


class Output:
    """Progress, results and errors of one command."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._tty = not as_json and self._err.isatty()
        self._bar_shown = False
        self._last: dict[str, float] = {}

    def object(self, **fields: Any) -> None:
        """One JSON line; nothing without `--json`."""
        if self.as_json:
            print(json_line(fields), file=self._out, flush=True)

    def line(self, text: str = "") -> None:
        """A result for people; nothing with `--json`."""
        if not self.as_json:
            self._wipe()
            print(text, file=self._out, flush=True)

    def note(self, text: str) -> None:
        """A remark for people, apart from the results."""
        if not self.as_json:
            self._wipe()
            print(safe(text), file=self._err, flush=True)

    def state(self, name: str, state: str, reason: str = "", **more: Any) -> None:
        self.object(event="state", name=name, state=state, reason=reason, **more)
        if not self.as_json and not self._tty:
            self.note(f"{safe(name)}: {state}{' – ' + reason if reason else ''}")

    def progress(self, transfers: list[TransferSnapshot]) -> None:
        """The transfers that run now."""
        now = time.monotonic()
        gap = JSON_SECONDS if self.as_json else 0.0 if self._tty else PLAIN_SECONDS
        for transfer in transfers:
            if now - self._last.get(transfer.id, -1e9) < gap:
                continue
            self._last[transfer.id] = now
            if self.as_json:
                self.object(
                    event="progress", id=transfer.id, name=transfer.name, state=transfer.state.value,
                    done=transfer.done, size=transfer.size, rate_down=transfer.rate_down,
                    rate_up=transfer.rate_up, uploaded=transfer.uploaded, peers=transfer.peers,
                    from_peers=transfer.from_peers, from_http=transfer.from_http, wasted=transfer.wasted,
                    reused=transfer.reused, eta=transfer.eta,
                )  # fmt: skip
            elif not self._tty:
                self.note(_row(transfer))
        if self._tty and transfers:
            self._draw(transfers)

    def step(self, word: str, done: int, size: int) -> None:
        """Progress of one long step of a command."""
        now = time.monotonic()
        gap = JSON_SECONDS if self.as_json else TTY_SECONDS if self._tty else PLAIN_SECONDS
        if now - self._last.setdefault(word, now if not self.as_json else -1e9) < gap:
            return
        self._last[word] = now
        self.object(event="progress", step=word, done=done, size=size)
        text = f"{_bar(done, size)} {safe(word)}  {size_text(done)} of {size_text(size)}"
        if self._tty:
            self._show(text)
        else:
            self.note(text)

    def error(self, message: str, code: int) -> None:
        self.object(event="error", message=message, code=code)
        if not self.as_json:
            self._wipe()
            print(f"icworkshop: {safe(message)}", file=self._err, flush=True)

    def _draw(self, transfers: list[TransferSnapshot]) -> None:
        # One line that is drawn over: several transfers share it, since rows that move up and down cannot be read.
        if len(transfers) == 1:
            text = _row(transfers[0])
        else:
            done, size = sum(t.done for t in transfers), sum(t.size for t in transfers)
            rate = sum(t.rate_down for t in transfers)
            amount = f"{size_text(done)} of {size_text(size)}"
            text = f"{_bar(done, size)} {len(transfers)} downloads  {amount}  {size_text(rate)}/s"
        self._show(text)

    def _show(self, bar: str) -> None:
        try:
            columns = os.get_terminal_size(self._err.fileno()).columns or COLUMNS
        except OSError:
            columns = COLUMNS
        # A line that wraps cannot be drawn over; the last column stays free, or some terminals wrap already.
        self._err.write(f"\r\x1b[K{bar[: columns - 1]}")
        self._err.flush()
        self._bar_shown = True

    def _wipe(self) -> None:
        if self._bar_shown:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._bar_shown = False


def _bar(done: int, size: int) -> str:
    cells = BAR_CELLS * done // size if size else 0
    percent = 100 * done // size if size else 0
    return f"[{'#' * cells}{'.' * (BAR_CELLS - cells)}] {percent:3d} %"


def _row(transfer: TransferSnapshot) -> str:
    text = f"{_bar(transfer.done, transfer.size)} {safe(transfer.name)[:40]}  {_STATES[transfer.state]}"
    if transfer.reason:
        return f"{text} ({transfer.reason.value.replace('_', ' ')})"
    if transfer.state is TransferState.DOWNLOADING:
        text += f"  {size_text(transfer.rate_down)}/s  {transfer.peers} peers  {time_text(transfer.eta)} left"
    elif transfer.state is TransferState.SEEDING:
        text += f"  {size_text(transfer.rate_up)}/s up  {transfer.peers} peers"
    return text
