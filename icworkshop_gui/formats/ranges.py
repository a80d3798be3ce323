"""Version requirements in Cargo's syntax (ic-workshop.md §1.2): `^1.2`, `~1.2.3`, `>=1.0, <3.0`, `=1.2.3`, `*`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from icworkshop_gui.core.catalog import version_key
from icworkshop_gui.core.errors import FormatError

REQUIREMENT_MAX = 256
"""Characters of one requirement."""
COMPARATORS_MAX = 32
"""Comparators joined by commas; Cargo stops there too."""

Key = tuple[object, ...]
Triple = tuple[int, int, int]

_NUMBER = r"0|[1-9]\d{0,17}"
_COMPARATOR = re.compile(
    rf"\s*(\^|~|=|>=|>|<=|<|)\s*({_NUMBER})(?:\.({_NUMBER}|[*xX]))?(?:\.({_NUMBER}|[*xX]))?"
    r"(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """Which versions will do. Build metadata never matters."""

    text: str
    _at_least: tuple[Key, ...]
    _more_than: tuple[Key, ...]
    _at_most: tuple[Key, ...]
    _less_than: tuple[Key, ...]
    _previews_of: frozenset[Triple]
    """Releases whose pre-releases may match, because the requirement itself names one of them."""

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """FormatError says what is not understood."""
        if len(text) > REQUIREMENT_MAX:
            raise FormatError(f"a version requirement of more than {REQUIREMENT_MAX} characters")
        found = _Bounds()
        if text.strip() != "*":
            comparators = text.split(",")
            if len(comparators) > COMPARATORS_MAX:
                raise FormatError(f"a version requirement of more than {COMPARATORS_MAX} comparators")
            for comparator in comparators:
                found.add(comparator)
        return cls(
            text,
            tuple(found.at_least),
            tuple(found.more_than),
            tuple(found.at_most),
            tuple(found.less_than),
            frozenset(found.previews_of),
        )

    @classmethod
    def exactly(cls, version: str) -> Requirement:
        """This version and no other; build metadata aside. FormatError for what is no version."""
        return cls.parse(f"={version}")

    def matches(self, version: str) -> bool:
        """Does this version do? ValueError for what is no version.

        A pre-release only does when the requirement names a pre-release of the same release.
        """
        key = version_key(version)
        is_release = key[3]
        if not is_release and key[:3] not in self._previews_of:
            return False
        return (
            all(key >= bound for bound in self._at_least)
            and all(key > bound for bound in self._more_than)
            and all(key <= bound for bound in self._at_most)
            and all(key < bound for bound in self._less_than)
        )

    def __str__(self) -> str:
        return self.text


class _Bounds:
    """The comparators of one requirement taken apart into bounds."""

    def __init__(self) -> None:
        self.at_least: list[Key] = []
        self.more_than: list[Key] = []
        self.at_most: list[Key] = []
        self.less_than: list[Key] = []
        self.previews_of: set[Triple] = set()

    def add(self, comparator: str) -> None:
        match = _COMPARATOR.fullmatch(comparator)
        if match is None:
            raise FormatError(f"not a version requirement: {comparator[:80]!r}")
        operator, major_text, *rest, preview = match.groups()
        numbers = [int(major_text)]
        is_wild = False
        for text in rest:
            if text is None:
                continue
            if not text.isdigit():
                is_wild = True
            elif is_wild:
                raise FormatError(f"a number behind a wildcard in a version requirement: {comparator[:80]!r}")
            else:
                numbers.append(int(text))
        if preview is not None and len(numbers) < 3:
            raise FormatError(f"a pre-release of an incomplete version: {comparator[:80]!r}")
        low = self._key(numbers, preview, comparator)
        if preview is not None:
            major, minor, patch = numbers
            self.previews_of.add((major, minor, patch))
        is_partial = len(numbers) < 3
        match operator or ("=" if is_wild else "^"):
            case "^":
                self._between(low, _after_caret(numbers))
            case "~":
                self._between(low, _after(numbers[:2]))
            case "=" if is_partial:
                self._between(low, _after(numbers))
            case "=":
                self.at_least.append(low)
                self.at_most.append(low)
            case ">=":
                self.at_least.append(low)
            case ">" if is_partial:
                self.at_least.append(_release(_after(numbers)))
            case ">":
                self.more_than.append(low)
            case "<=" if is_partial:
                self.less_than.append(_release(_after(numbers)))
            case "<=":
                self.at_most.append(low)
            case "<":
                self.less_than.append(low)

    def _between(self, low: Key, high: Triple) -> None:
        self.at_least.append(low)
        self.less_than.append(_release(high))

    @staticmethod
    def _key(numbers: list[int], preview: str | None, comparator: str) -> Key:
        text = ".".join(map(str, (*numbers, 0, 0)[:3]))
        try:
            return version_key(text if preview is None else f"{text}-{preview}")
        except ValueError as error:
            raise FormatError(f"not a version requirement: {comparator[:80]!r}") from error


def _release(numbers: Triple) -> Key:
    return version_key(".".join(map(str, numbers)))


def _after(numbers: list[int]) -> Triple:
    """The first release behind all that begin with these numbers."""
    raised = [*numbers[:-1], numbers[-1] + 1, 0, 0]
    return raised[0], raised[1], raised[2]


def _after_caret(numbers: list[int]) -> Triple:
    """The first release that may break what these numbers promise: the leftmost one that is not 0 goes up."""
    for position, number in enumerate(numbers):
        if number:
            return _after(numbers[: position + 1])
    return _after(numbers)
