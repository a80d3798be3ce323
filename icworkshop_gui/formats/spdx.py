"""Licence expressions (SPDX specification 2.3, annex D): is this text one? The list of licences is not kept here."""

from __future__ import annotations

import re

EXPRESSION_MAX = 200
"""Characters of one licence expression."""

_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9.-]+(?::[A-Za-z0-9.-]+)?\+?)", re.ASCII)
_REFERENCE = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+", re.ASCII)
_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\+?", re.ASCII)
_OPERATORS = frozenset({"AND", "OR", "WITH"})


def is_license_expression(text: str) -> bool:
    """`MIT`, `GPL-3.0-or-later WITH Classpath-exception-2.0`, `(MIT OR CC0-1.0)`, `LicenseRef-mine`."""
    if len(text) > EXPRESSION_MAX:
        return False
    text = text.strip()
    position = depth = 0
    previous = "("
    is_exception = False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return False
        position = match.end()
        token = match[1]
        wants_operand = previous == "(" or previous in _OPERATORS
        if token == "(":
            if not wants_operand or previous == "WITH":
                return False
            depth += 1
        elif token == ")":
            depth -= 1
            if wants_operand or depth < 0:
                return False
        elif token in _OPERATORS:
            # WITH binds one licence to one exception: neither a group nor an exception may stand before it.
            if wants_operand or (token == "WITH" and (previous == ")" or is_exception)):
                return False
        elif not wants_operand or not (_REFERENCE.fullmatch(token) or _LICENSE.fullmatch(token)):
            return False
        is_exception = previous == "WITH"
        previous = token
    return depth == 0 and previous != "(" and previous not in _OPERATORS


def has_limits(text: str) -> bool:
    """Does a Creative Commons licence in it forbid to use it for money (NC) or to change it (ND)?"""
    return any(not {"NC", "ND"}.isdisjoint(token.split("-")) for token in text.split() if token.startswith("CC-"))
