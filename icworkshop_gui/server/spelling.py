"""Words that were nearly typed right: deletion keys, and a bounded edit distance that has the last word. Pure.

Two words within n edits of each other share a text that is made by at most n deletions from either. So the
keys of every catalog word are stored, and the keys of a typed word find its neighbours by equality.
"""

from __future__ import annotations

import re
import unicodedata

WORD_SHORT = 3
"""Characters; shorter words have too many neighbours to guess."""
WORD_LONG = 7
"""From this length on two edits are forgiven, below one."""
WORD_MAX = 24
"""Characters of a word that is corrected; longer ones are looked up as they are."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text as the full-text index sees them: lower case, no diacritics, no punctuation."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return _WORD.findall(bare)


def edits_forgiven(word: str) -> int:
    if not WORD_SHORT <= len(word) <= WORD_MAX:
        return 0
    return 2 if len(word) >= WORD_LONG else 1


def deletion_keys(word: str) -> set[str]:
    """The word and everything that its forgiven number of deletions makes of it; empty for no word to correct."""
    keys: set[str] = set()
    edits = edits_forgiven(word)
    if not edits:
        return keys
    keys.add(word)
    ring = {word}
    for _ in range(edits):
        ring = {text[:i] + text[i + 1 :] for text in ring for i in range(len(text))}
        keys |= ring
    return keys


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap neighbours) from `a` to `b`; `limit + 1` when there are more.

    Optimal string alignment: no part is edited twice.
    """
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        row = [i] + [0] * len(b)
        for j, cb in enumerate(b, 1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (ca != cb))
            if i > 1 and j > 1 and ca == b[j - 2] and a[i - 2] == cb:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > limit:
            return limit + 1
        before, previous = previous, row
    return min(previous[-1], limit + 1)


def nearest(typed: str, candidates: list[str], keep: int) -> list[str]:
    """Those candidates within the forgiven number of edits, nearest first, at most `keep`."""
    limit = edits_forgiven(typed)
    scored = sorted((d, word) for word in set(candidates) if 0 < (d := distance(typed, word, limit)) <= limit)
    return [word for _, word in scored[:keep]]
