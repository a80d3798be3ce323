"""Does the answer of a web server hold what was asked for? Pure (RFC 9110 §14.4, §15.3.7; BEP 17)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from icworkshop_gui.core.errors import RemoteProtocolError

RETRY_AFTER_MAX = 3600.0
"""Seconds of a server's wish to be left alone that we heed."""

BUSY_BODY_MAX = 64
"""Bytes of a BEP 17 script's busy answer that are read: a number of seconds."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


class Head(Protocol):
    """What of an answer is judged before its body is read."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class Refusal(RemoteProtocolError):
    """The server answered, and not with what we need."""

    def __init__(self, reason: str, *, lacking: bool = False) -> None:
        """`lacking`: it does not have this file as it was published; asking for it again will not help."""
        super().__init__(reason)
        self.lacking = lacking


class Busy(Refusal):
    """It asks to be left alone for `seconds`, which is no failure."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = min(seconds, RETRY_AFTER_MAX)


class RangesRefused(Refusal):
    """It sends whole files or nothing."""


def check_range(answer: Head, first: int, last: int, size: int) -> int:
    """How many bytes the body must have when bytes first..last of a file of `size` bytes were asked for. Refusal."""
    if answer.status == 206:
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        if match is None:
            raise Refusal("the server sent a part without saying which", lacking=True)
        begin, end, length = match.groups()
        if length != "*" and int(length) != size:
            raise Refusal(f"the server's file has {length} bytes instead of {size}", lacking=True)
        if int(begin) != first or not first <= int(end) <= last:
            raise Refusal("the server sent another part than was asked for", lacking=True)
        return int(end) - first + 1
    if answer.status == 200:
        _check_length(answer, size)
        if first or last + 1 < size:
            raise RangesRefused("the server cannot send parts of a file")
        return size
    raise _refusal(answer)


def check_whole(answer: Head, size: int) -> None:
    """Does the body hold the whole file of `size` bytes? Refusal when not."""
    if answer.status != 200:
        raise _refusal(answer)
    _check_length(answer, size)


def check_script(answer: Head, size: int) -> None:
    """BEP 17: are these the `size` bytes that were asked for? Refusal; a busy answer is told by `busy_seconds`."""
    if answer.status != 200:
        raise _refusal(answer)
    _check_length(answer, size)


def busy_seconds(body: bytes) -> float | None:
    """BEP 17: the number of seconds that a 503 names in its body; None when it is none."""
    text = body.decode("ascii", "replace").strip()
    return float(text) if _SECONDS.fullmatch(text) else None


def _check_length(answer: Head, size: int) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and length.lstrip("0") != str(size).lstrip("0"):
        raise Refusal(f"the server's file has {length[:20]} bytes instead of {size}", lacking=True)


def _refusal(answer: Head) -> Refusal:
    status = answer.status
    reason = f"the server answered {status}"
    after = answer.headers.get("Retry-After", "").strip()
    if status in (429, 503) and _SECONDS.fullmatch(after):
        return Busy(reason, float(after))
    return Refusal(reason, lacking=400 <= status < 500 and status not in (401, 403, 408, 425, 429))
